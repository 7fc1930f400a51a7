"""The zoo: recorded trainings of small networks on many kinds of wrong labels.

A round takes 16 tasks: images, digits, tables, text, or made up. Each is cut to
some size, mostly long-tailed, given labels that are wrong in some way, and a
network learns it, well or badly: slowly, or until it knows all by heart.
Figures of a few probes may be luck, those of the zoo are less so. 24 rounds
make 384 probes in some ten minutes of one core:

    python benchmarks/probe_zoo.py --folder=zoo --first=0 --last=24

A probe is an `.npz` file with the `Curves` of its training, `given` and `true`
labels, and how it was made. `label_quality.py` measures on them.
"""

import functools
import pathlib
from typing import NamedTuple

import docstrings
import numpy as np
import threadpoolctl
from absl import app
from absl import flags
from numpy_network import Training
from numpy_network import softmax
from numpy_network import trained
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_digits
from sklearn.datasets import load_wine
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from keras_curvenet.probing.whole_files import whole_file

FLAGS = flags.FLAGS
flags.DEFINE_string("folder", "zoo", "Where probes are; those there are kept.")
flags.DEFINE_integer("first", 0, "The first round.")
flags.DEFINE_integer("last", 24, "The round after the last one.")

TASKS_OF_ROUND = 16
_MOST_SAMPLES = 8000
_MOST_ALIKE = 0.45  # Rate of noise that is much the same in a class.


class Data(NamedTuple):
    """What there is to learn.

    Attributes:
        inputs: Float32 `(num_samples, num_features)`.
        labels: Int `(num_samples,)`, the true ones.
        num_classes: Int.
    """

    inputs: np.ndarray
    labels: np.ndarray
    num_classes: int

    def of(self, rows):
        """The data of some rows."""
        return Data(self.inputs[rows], self.labels[rows], self.num_classes)


def digits():
    """Images of digits."""
    inputs, labels = load_digits(return_X_y=True)
    return inputs, labels


def odd_digits():
    """The same, to tell odd ones from even ones."""
    inputs, labels = digits()
    return inputs, labels % 2


def digit_pairs():
    """Two digits side by side, in 100 classes."""
    inputs, labels = digits()
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, len(labels), (2, 12000))
    pairs = np.concatenate([inputs[left], inputs[right]], axis=1)
    return pairs, labels[left] * 10 + labels[right]


def table(load):
    """A table of scikit-learn, each column of deviation 1."""
    inputs, labels = load(return_X_y=True)
    return (inputs - inputs.mean(axis=0)) / inputs.std(axis=0), labels


def images(name):
    """The main components of an image dataset of TFDS."""
    import clean_data  # Takes seconds, and TFDS.

    data = clean_data.images(name)
    rows = np.random.default_rng(0).permutation(len(data.labels))[:25000]
    inputs = clean_data.scaled(data.inputs[rows].reshape(len(rows), -1))
    components = PCA(120, random_state=0).fit(inputs[:6000])
    return components.transform(inputs), data.labels[rows]


def text():
    """The main components of docstrings' words; the class is the package."""
    texts, labels = [], []
    for label, package in enumerate(docstrings.PACKAGES):
        paragraphs = docstrings.paragraphs(package)[:4000]
        texts += paragraphs
        labels += [label] * len(paragraphs)
    words = TfidfVectorizer(max_features=4000, sublinear_tf=True)
    components = TruncatedSVD(200, random_state=0)
    return components.fit_transform(words.fit_transform(texts)), labels


def made_up(number):
    """A table of 2 to 40 classes, more or less far from each other."""
    rng = np.random.default_rng(number)
    num_classes = int(rng.choice([2, 3, 4, 6, 10, 20, 40]))
    num_informative = int(rng.integers(6, 30))
    return make_classification(
        12000,
        n_features=num_informative + 10,
        n_informative=num_informative,
        n_redundant=0,
        n_classes=num_classes,
        n_clusters_per_class=int(rng.choice([1, 1, 2, 3])),
        class_sep=float(rng.uniform(0.6, 2.0)),
        flip_y=0,
        random_state=number,
    )


TASKS = {  # Their order decides what a round draws.
    "fashion": functools.partial(images, "fashion_mnist"),
    "cifar": functools.partial(images, "cifar10_jpeg"),
    "digits": digits,
    "odd_digits": odd_digits,
    "digit_pairs": digit_pairs,
    "cancer": functools.partial(table, load_breast_cancer),
    "wine": functools.partial(table, load_wine),
    "text": text,
    **{f"made_up{n}": functools.partial(made_up, n) for n in range(24)},
}


@functools.cache
def task(name):
    """A task's `Data`, made once."""
    inputs, labels = TASKS[name]()
    inputs = (inputs / inputs.std()).astype(np.float32)
    return Data(inputs, np.asarray(labels, int), int(np.max(labels)) + 1)


def shuffled_and_cut(data, rng):
    """At most `_MOST_SAMPLES` of the data, in most cases long-tailed."""
    data = data.of(rng.permutation(len(data.labels)))
    smallest = 1.0  # Over the largest class.
    if rng.random() < 0.7:
        smallest = _log_uniform(0.02, 1, rng)
    most = len(data.labels)
    if most > 3000:
        most = int(_log_uniform(60, 3000, rng))
    kept = []
    for place, label in enumerate(rng.permutation(data.num_classes)):
        rows = np.flatnonzero(data.labels == label)
        share = smallest ** (place / max(1, data.num_classes - 1))
        kept.append(rows[: max(2, int(min(most, len(rows)) * share))])
    rows = rng.permutation(np.concatenate(kept))
    return data.of(rows[:_MOST_SAMPLES]), smallest


def _log_uniform(low, high, rng):
    """A float of uniformly distributed logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


# Kinds of noise: functions of `Data`, a rate, a generator and a seed to the
# probabilities that labels are redrawn, and what they are redrawn as.


def none(data, rate, rng, seed):
    return 0.0, data.labels


def uniform(data, rate, rng, seed):
    """From the classes as often as they are."""
    return rate, rng.permutation(data.labels)


def symmetric(data, rate, rng, seed):
    """From all classes alike."""
    return rate, rng.integers(0, data.num_classes, len(data.labels))


def half(data, rate, rng, seed):
    """The same, in about half of the classes."""
    is_noisy = rng.random(data.num_classes) < 0.5
    _, redrawn = symmetric(data, rate, rng, seed)
    return rate * is_noisy[data.labels], redrawn


def pair(data, rate, rng, seed):
    """One other class for each class."""
    order = rng.permutation(data.num_classes)
    other = np.empty(data.num_classes, int)
    other[order] = np.roll(order, 1)
    return min(rate, _MOST_ALIKE), other[data.labels]


def classes(data, rate, rng, seed):
    """A few other classes for each class, at a rate of its own."""
    to = rng.dirichlet(np.full(data.num_classes, 0.3), data.num_classes)
    factors = rng.uniform(0, 2, data.num_classes)
    rates = np.clip(min(rate, _MOST_ALIKE) * factors, 0, 0.9)
    return rates[data.labels], _drawn(to[data.labels], rng)


def instance(data, rate, rng, seed):
    """As people err: where a weak network is unsure, as what it takes it."""
    hidden = [(), (32,)][rng.integers(2)]
    weak = Training(hidden, "adam", 2e-3, int(rng.integers(2, 6)), 64)
    network, _ = trained(*data, weak, np.random.default_rng(seed))
    logits = network.logits(data.inputs) * float(rng.uniform(0.5, 1.2))
    to, rows = softmax(logits), np.arange(len(data.labels))
    doubt = (1 - to[rows, data.labels]) ** float(rng.uniform(0.5, 1.5))
    rates = np.clip(doubt / doubt.mean() * min(rate, _MOST_ALIKE), 0, 0.95)
    to[rows, data.labels] = 0
    return rates, _drawn(to**1.2 + 1e-9, rng)


def _drawn(frequencies, rng):
    """One class for each row of frequencies."""
    sums = frequencies.cumsum(axis=1)
    sums /= sums[:, -1:]
    return (sums <= rng.random((len(sums), 1))).sum(axis=1)


NOISE_KINDS = {  # And how often they are drawn.
    none: 0.1,
    uniform: 0.12,
    symmetric: 0.1,
    pair: 0.12,
    instance: 0.28,
    classes: 0.2,
    half: 0.08,
}


def drawn_noise(data, rng, seed):
    """Given labels, some of them wrong, and the name of their noise."""
    kinds, shares = list(NOISE_KINDS), list(NOISE_KINDS.values())
    kind = kinds[rng.choice(len(kinds), p=shares)]
    rate = 0.0 if kind is none else float(rng.uniform(0.02, 0.6))
    draws = rng.random(len(data.labels))
    rates, redrawn = kind(data, rate, rng, seed)
    return np.where(draws < rates, redrawn, data.labels), kind.__name__


def drawn_training(num_samples, needs_hidden, rng):
    """Any `Training`, good or bad."""
    optimizer = str(rng.choice(["sgd", "adam"]))
    sizes = [(), (32,), (64,), (128,), (128, 64), (256, 128)]
    hidden = sizes[rng.integers(len(sizes))]
    rates = {"sgd": (0.005, 0.1), "adam": (3e-4, 5e-3)}
    return Training(
        hidden=hidden or ((64,) if needs_hidden else ()),
        optimizer=optimizer,
        learning_rate=_log_uniform(*rates[optimizer], rng),
        epochs=round(_log_uniform(6, 50, rng)),
        batch_size=min(
            int(rng.choice([32, 64, 128])), max(8, num_samples // 10)
        ),
        cosine=bool(rng.random() < 0.33),
        dropout=float(rng.choice([0, 0, 0.2, 0.5])),
        noise=float(rng.choice([0, 0, 0.3])),
        decay=5e-4 * bool(rng.random() < 0.5),
    )


@threadpoolctl.threadpool_limits.wrap(limits=1)  # More round otherwise.
def probe(name, seed):
    """A task's probe, as a dict of what its file has."""
    rng = np.random.default_rng([seed, list(TASKS).index(name)])
    data, imbalance = shuffled_and_cut(task(name), rng)
    given, kind = drawn_noise(data, rng, seed)
    needs_hidden = name.startswith(("odd", "made"))
    training = drawn_training(len(given), needs_hidden, rng)
    _, curves = trained(data.inputs, given, data.num_classes, training, rng)
    return {
        **curves._asdict(),
        "given": given,
        "true": data.labels,
        "num_classes": data.num_classes,
        "task": name,
        "kind": kind,
        "imbalance": imbalance,
        "optimizer": training.optimizer,
        "learning_rate": training.learning_rate,
    }


def tasks_of_round(seed):
    """Names of the tasks that a round has."""
    names = np.random.default_rng(seed).permutation(list(TASKS))
    return [str(name) for name in names[:TASKS_OF_ROUND]]


def save(folder, seed):
    """Makes a round's probes that are not there."""
    for name in tasks_of_round(seed):
        path = pathlib.Path(folder) / f"{name}_{seed}.npz"
        if path.exists():
            continue
        made = probe(name, seed)
        if np.isfinite(made["margins"]).all():
            with whole_file(str(path)) as file:
                np.savez(file, **made)


def main(argv):
    del argv
    for seed in range(FLAGS.first, FLAGS.last):
        save(FLAGS.folder, seed)
        print(f"Round {seed} is there.", flush=True)


if __name__ == "__main__":
    app.run(main)
