"""
Title: Check fifty labels
Description: A few answers say how many labels are wrong, and help in training.

How many labels are wrong can't be read off a training: a slow learner and wrong
labels look alike. But whoever owns the data can look at fifty samples in five
minutes. Which ones, and what the answers are worth, on scikit-learn's digits,
35 % of whose labels became those of the next class:

    python examples/check_labels.py
"""

import keras
from absl import app
from absl import flags
from sklearn import datasets
from sklearn import model_selection

import keras_curvenet as kcn

FLAGS = flags.FLAGS
flags.DEFINE_float("noise_rate", 0.35, "Probability that a label is changed.")
flags.DEFINE_integer("epochs", 20, "Epochs of training.")
flags.DEFINE_integer("seed", 0, "Of the data and the networks.")
flags.DEFINE_string("output_dir", "checked", "Folder for the report.")

PROBE_EPOCHS = 12
NUM_ANSWERS = (10, 25, 50, 100)

"""
## Data, network and probe

Half of the digits are for testing; their labels are right.
"""


def load_digits():
    """Returns (x, noisy labels, true labels) and the test set."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32").reshape(-1, 8, 8, 1)
    x, x_test, y, y_test = model_selection.train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=FLAGS.seed
    )
    noisy = kcn.datasets.corrupt_labels(
        y, FLAGS.noise_rate, kind="pair", seed=FLAGS.seed
    )
    return (x, noisy, y), (x_test, y_test)


def make_model():
    keras.utils.set_random_seed(FLAGS.seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
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
    return recorder.loss_curves


"""
## Which labels, and the answers

`labels_to_check` spreads them over the ranking and the classes. With the
answers so far, it asks on. A person would answer on a page:

```python
kcn.write_report(curves, "checked", images=x, num_labels_to_check=50)
```

The browser keeps the answers and saves them as a file; its path is what
`checked` takes then. Here the true labels are known and answer.
"""


def answers(curves, noisy, true):
    """Dicts of more and more answers: is the label right?"""
    checked = {}
    for num_answers in NUM_ANSWERS:
        num_more = num_answers - len(checked)
        for sample_id in kcn.labels_to_check(curves, num_more, checked=checked):
            checked[sample_id] = noisy[sample_id] == true[sample_id]
        yield dict(checked)


"""
## What they are worth

They give the share of wrong labels with an interval, turn label quality into
probabilities, and tell training where weights should start.
"""


def accuracy(x, labels, curves, test_data, checked=None):
    weighted = kcn.CurveWeightedModel(make_model())
    weighted.fit(
        x,
        labels,
        epochs=FLAGS.epochs,
        loss_curves=curves,
        checked=checked,
        verbose=0,
    )
    return weighted.evaluate(*test_data, verbose=0)[1]


def main(argv):
    del argv
    (x, noisy, true), test_data = load_digits()
    curves = probe(x, noisy)
    found = len(kcn.find_label_issues(curves)) / len(x)
    print(f"{len(x)} samples, {(noisy != true).mean():.3f} wrong.\n")
    print(f"{'answers':>7}{'share':>8}{'interval':>18}")
    print(f"{0:>7}{found:>8.3f}")
    for checked in answers(curves, noisy, true):
        share, *ends = kcn.share_of_wrong_labels(curves, checked)
        interval = "{:.3f} to {:.3f}".format(*ends)
        print(f"{len(checked):>7}{share:>8.3f}{interval:>18}")
    before = accuracy(x, noisy, curves, test_data)
    after = accuracy(x, noisy, curves, test_data, checked)
    print(
        f"\nTest accuracy without answers: {before:.3f}, with "
        f"{len(checked)}: {after:.3f}."
    )
    path = kcn.write_report(
        curves,
        FLAGS.output_dir,
        images=x,
        num_labels_to_check=50,
        checked=checked,
    )
    print(f"A page that asks for fifty more: {path}")


if __name__ == "__main__":
    app.run(main)
