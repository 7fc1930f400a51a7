"""A training's variables as arrays, and back."""

import numpy as np


def variables_by_name(model):
    """Dict from names to the variables of a compiled model in training.

    They are the model's own, with its random seeds; the optimizer's; those of
    the metrics; and what the model's `resumable_variables()` names, if it has
    such a method.
    """
    groups = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    if hasattr(model, "resumable_variables"):
        groups |= model.resumable_variables()
    return {
        f"{group}/{index}": variable
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def arrays_of(model):
    """Dict from names to arrays: the present values of all variables."""
    return {
        name: np.asarray(variable)
        for name, variable in variables_by_name(model).items()
    }


def assign_backup(model, backup, without=()):
    """Gives the model's variables the values of a backup.

    Args:
        model: The compiled model.
        backup: `Backup` of the same model in the same training.
        without: Names of groups of variables that stay as they are.

    Raises:
        ValueError: If it is a backup of another model. Nothing is changed then.
    """
    variables = variables_by_name(model)

    def of_groups(items):
        return {n: x for n, x in items if n.split("/")[0] not in without}

    variables = of_groups(variables.items())
    arrays = of_groups(backup.arrays.items())
    _refuse_other_variables(variables, arrays)
    for name, variable in variables.items():
        array = arrays[name]
        if array.dtype.kind == "V":  # Such as bfloat16.
            array = array.view(np.asarray(variable).dtype)
        variable.assign(array)


def fits(model, backup, group):
    """Bool: whether the model has the variables of a group of a backup."""

    def of_group(items):
        return {n: x for n, x in items if n.split("/")[0] == group}

    try:
        _refuse_other_variables(
            of_group(variables_by_name(model).items()),
            of_group(backup.arrays.items()),
        )
    except ValueError:
        return False
    return True


def _refuse_other_variables(variables, arrays):
    """Raises ValueError unless names and shapes are the same."""
    expected = {name: tuple(x.shape) for name, x in variables.items()}
    received = {name: tuple(x.shape) for name, x in arrays.items()}
    if expected == received:
        return
    differing = sorted(set(expected.items()) ^ set(received.items()))
    name = differing[0][0]
    raise ValueError(
        "Invalid value for argument `backup_dir`. Expected backups of this "
        f"model, with {len(expected)} variables. Received: backups with "
        f"{len(received)}, where '{name}' has shape {received.get(name)} and "
        f"not {expected.get(name)}. Use a folder of its own for each training, "
        "or remove it to start anew."
    )
