"""
Title: Correct labels and train again
Description: Suggestions taken over, a person's corrections, and what they gain.

The curves say which labels are wrong, and the probe's predictions what they
should be. One can let the training do what it can with that, take the
suggestions over, or have a person look at the worst. All of it, on
scikit-learn's digits, 40 % of whose labels were redrawn:

    python examples/correct_labels.py
"""

import keras
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.4, "Probability that a label is redrawn.")
flags.DEFINE_integer("looked_at", 150, "How many labels a person looks at.")
flags.DEFINE_integer("epochs", 30, "Epochs of every training but the probe.")
flags.DEFINE_integer("seed", 0, "Of the data and the networks.")
flags.DEFINE_string("output", "corrections.csv", "CSV file for corrections.")

PROBE_EPOCHS = 20

"""
## Data and network

Half of the digits are for testing; their labels are right.
"""


def load_digits():
    """Returns (x, noisy labels, true labels) and the test set."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, y, y_test = model_selection.train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=FLAGS.seed
    )
    noisy = kcn.datasets.corrupt_labels(y, FLAGS.noise_rate, seed=FLAGS.seed)
    return (x, noisy, y), (x_test, y_test)


def make_model():
    keras.utils.set_random_seed(FLAGS.seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


"""
## Probe

Beside the losses, the recorder keeps which class the network took each sample
for in every epoch. The most frequent one is suggested.
"""


def probe(x, labels):
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((x, labels))
    make_model().fit(
        kcn.shuffle_by_epoch(train, buffer_size=len(x)).batch(32),
        epochs=PROBE_EPOCHS,
        callbacks=[recorder],
        shuffle=False,  # The dataset shuffles itself.
        verbose=0,
    )
    return recorder


"""
## Two ways to correct

Suggestions are taken over for all label issues. Or a person looks at the worst
labels and puts them right, whatever is suggested: here the true labels are
known, so we are that person.
"""


def corrections(recorder, labels, true):
    """Labels by the suggestions, labels by a person, and a table of both."""
    report = kcn.label_report(recorder.loss_curves)
    issues = report[report.is_issue]
    suggested, by_person = labels.copy(), labels.copy()
    suggested[issues.sample_id] = issues.suggested_label
    worst = report.sample_id[: FLAGS.looked_at]
    by_person[worst] = true[worst]
    report["corrected_by_person"] = by_person[report.sample_id]
    return suggested, by_person, report


"""
## Training again

The curves are those of the labels as they were. A label that differs from them
is an error, unless `trust_changed_labels` says that someone corrected it: then
it is trained on with a weight of 1, and all others go on being weighted.
"""


def train_plain(x, labels):
    model = make_model()
    model.fit(x, labels, epochs=FLAGS.epochs, verbose=0)
    return model


def train_weighted(x, labels, curves):
    weighted = kcn.CurveWeightedModel(make_model())
    weighted.fit(
        x,
        labels,
        epochs=FLAGS.epochs,
        loss_curves=curves,
        trust_changed_labels=True,
        verbose=0,
    )
    return weighted


def accuracy(model, test_data):
    return model.evaluate(*test_data, verbose=0)[1]


def main(argv):
    del argv
    (x, noisy, true), test_data = load_digits()
    recorder = probe(x, noisy)
    curves = recorder.loss_curves
    suggested, by_person, report = corrections(recorder, noisy, true)
    changed, looked_at = suggested != noisy, report.sample_id[: FLAGS.looked_at]
    was_wrong = noisy != true
    print(
        f"{len(x)} samples, {was_wrong.sum()} labels wrong.\n"
        f"Suggestions change {changed.sum()} labels: "
        f"{(changed & (suggested == true)).sum()} are right then, "
        f"{(changed & ~was_wrong).sum()} had been right before. "
        f"{(suggested != true).sum()} labels are wrong afterwards.\n"
        f"Of the {len(looked_at)} that the person looked at "
        f"{was_wrong[looked_at].sum()} were wrong. "
        f"{(by_person != true).sum()} are wrong afterwards."
    )
    print(f"\n{'Test accuracy, labels':26}{'plain':>8}{'weighted':>10}")
    for name, labels in {
        "as they are": noisy,
        "suggestions taken over": suggested,
        "corrected by a person": by_person,
    }.items():
        plain = accuracy(train_plain(x, labels), test_data)
        weighted = accuracy(train_weighted(x, labels, curves), test_data)
        print(f"{name:26}{plain:>8.3f}{weighted:>10.3f}", flush=True)
    on_truth = accuracy(train_plain(x, true), test_data)
    print(f"{'all right':26}{on_truth:>8.3f}")
    report.to_csv(FLAGS.output, index=False)
    print(f"\nSuggestions and corrections, worst first: {FLAGS.output}")


if __name__ == "__main__":
    app.run(main)
