"""Ways to train with learned or given sample weights, by this package."""

import warnings

import keras
from sklearn.metrics import roc_auc_score
from trials import issue_figures
from trials import of_training

import keras_curvenet as kcn


class MetaWeightNet(keras.layers.Layer):
    """Shu et al., 2019: loss `(batch, 1)` to weight `(batch,)`."""

    reads_current_loss = True

    def __init__(self):
        super().__init__(dtype="float32")
        self.hidden = keras.layers.Dense(100, activation="relu")
        self.weight = keras.layers.Dense(1, activation="sigmoid")
        self.hidden.build((None, 1))
        self.weight.build((None, 100))
        self.built = True

    def call(self, inputs):
        losses, _ = inputs
        return keras.ops.squeeze(self.weight(self.hidden(losses)), axis=-1)


def meta_weight_net(trial):
    """With a clean meta set; its probe is made, and not read."""
    weighted = kcn.CurveWeightedModel(
        trial.new_network(),
        curve_net=MetaWeightNet(),
        top_layers=None,
        soft_labels=False,
        balance_classes=False,
    )
    evaluation = fit_weighted(
        trial,
        weighted,
        trial.probe().curves,
        meta_data=trial.data.meta,
        meta_epochs=trial.task.epochs,
    )
    return of_training(trial, evaluation)


def as_published(trial):
    """CurveNet with a clean meta set, as its authors trained it."""
    curves = trial.waving_probe().curves
    weighted = kcn.CurveWeightedModel.as_published(trial.new_network(), curves)
    evaluation = fit_weighted(
        trial,
        weighted,
        curves,
        meta_data=trial.data.meta,
        meta_epochs=2 * trial.task.epochs // 5,
    )
    return of_training(trial, evaluation, probes=1)


def fit_weighted(trial, weighted, curves, momentum=None, **arguments):
    """Fits a `CurveWeightedModel`, perhaps averaged; its `Evaluation`."""
    callbacks, averaging = [], {}
    if momentum is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
        averaging = {"use_ema": True, "ema_momentum": momentum}
    trial.compile(weighted, **averaging)
    data = trial.data
    samples = kcn.with_sample_ids((data.inputs, data.labels))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "error", message="The base model was trained for"
        )
        return trial.fit(
            weighted,
            trial.batches(samples),
            loss_curves=curves,
            callbacks=callbacks,
            **arguments,
        )


def weighted_by_curves(
    trial,
    goes_on=None,
    meta_epochs=None,
    is_clean=False,
    num_checked=0,
    without_margins=False,
    momentum=None,
    **arguments,
):
    """`CurveWeightedModel` with its defaults, or what differs from them.

    Args:
        trial: `Trial`.
        goes_on: True for the probe's network. None for README's rule: a fresh
            one where `fit` warns of that, or features are pre-trained.
        meta_epochs: As of `fit`.
        is_clean: Bool, whether the meta set is the clean one.
        num_checked: Int, labels that somebody checked.
        without_margins: Bool, whether curves are of losses alone.
        momentum: Float, of averaged weights, or None.
        **arguments: Of `CurveWeightedModel`.
    """
    probe = trial.probe()
    curves = probe.curves
    if without_margins:
        curves = kcn.LossCurves(curves.values, curves.labels)
    checked = None
    if num_checked:
        is_right = ~trial.data.is_wrong
        ids = kcn.labels_to_check(curves, num_checked, seed=trial.seed)
        checked = {int(i): bool(is_right[i]) for i in ids}

    def fitted(base):
        weighted = kcn.CurveWeightedModel(base, **arguments)
        evaluation = fit_weighted(
            trial,
            weighted,
            curves,
            momentum,
            meta_epochs=meta_epochs,
            meta_data=trial.data.meta if is_clean else None,
            checked=checked,
        )
        return weighted, evaluation

    by_rule = goes_on is None
    if by_rule:
        goes_on = not trial.task.is_pretrained
    base = trial.new_network()
    if goes_on:
        base.set_weights(probe.weights)
        if by_rule:
            trial.compile(base)
            base.optimizer.iterations.assign(1)  # So that `fit` may warn.
    try:
        weighted, evaluation = fitted(base)
    except UserWarning:
        goes_on = False
        weighted, evaluation = fitted(trial.new_network())
    figures = weight_figures(trial, weighted) | {"goes_on": goes_on}
    if not without_margins:
        scores = kcn.label_quality_scores(curves, checked)
        epochs = trial.task.probe_epochs
        figures |= issue_figures(trial, scores < 0.5, scores, epochs)
        figures |= other_rankings(trial, curves)
    return of_training(trial, evaluation, probes=1, **figures)


def weight_figures(trial, weighted):
    """Mean weights, and what the trained model finds."""
    is_wrong = trial.data.is_wrong
    weights = weighted.sample_weights()
    scores = weighted.revised_label_quality_scores()
    figures = {
        "weight_right": weights[~is_wrong].mean(),
        "found_after": (scores < 0.5).mean(),
    }
    if is_wrong.any():
        figures["weight_wrong"] = weights[is_wrong].mean()
        figures["auroc_after"] = roc_auc_score(is_wrong, -scores)
    return figures


def other_rankings(trial, curves):
    """AUROC of simpler scores of the same probe."""
    is_wrong = trial.data.is_wrong
    if not is_wrong.any():
        return {}
    return {
        "auroc_mean_margin": roc_auc_score(
            is_wrong, -curves.margins.mean(axis=1)
        ),
        "auroc_last_loss": roc_auc_score(is_wrong, curves.values[:, -1]),
    }
