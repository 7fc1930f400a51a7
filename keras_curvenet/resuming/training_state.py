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
    """Gives variables a backup's values, but not groups of these names.

    Where it is of another model, this raises a ValueError and changes nothing.
    """
    variables = _of_groups(variables_by_name(model), lambda g: g not in without)
    arrays = _of_groups(backup.arrays, lambda g: g not in without)
    _refuse_other_variables(variables, arrays)
    for name, variable in variables.items():
        array = arrays[name]
        if array.dtype.kind == "V":  # Such as bfloat16.
            array = array.view(np.asarray(variable).dtype)
        variable.assign(array)


def fits(model, backup, group):
    """Bool: whether the model has the variables of a group of a backup."""
    variables = _of_groups(variables_by_name(model), lambda g: g == group)
    arrays = _of_groups(backup.arrays, lambda g: g == group)
    return _shapes(variables) == _shapes(arrays)


def _of_groups(values, is_chosen):
    """The values whose names begin with a chosen group's."""
    return {
        name: value
        for name, value in values.items()
        if is_chosen(name.split("/")[0])
    }


def _shapes(values):
    return {name: tuple(value.shape) for name, value in values.items()}


def _refuse_other_variables(variables, arrays):
    """Raises ValueError unless names and shapes are the same."""
    expected, received = _shapes(variables), _shapes(arrays)
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
