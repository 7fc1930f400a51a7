"""The pictures of README and RESULTS: Fashion-MNIST with wrong labels.

python benchmarks/gallery.py --output_dir=benchmarks/figures
"""

import pathlib

import training
from absl import app
from absl import flags

import keras_curvenet as kcn

FLAGS = flags.FLAGS  # Those of training.py, and:
flags.DEFINE_string("output_dir", "benchmarks/figures", "Folder to write to.")
flags.DEFINE_integer("seed", 0, "Seed of data and training.")

CLASS_NAMES = ["T-shirt", "trousers", "pullover", "dress", "coat"]
CLASS_NAMES += ["sandal", "shirt", "sneaker", "bag", "ankle boot"]


def main(argv):
    del argv
    data = training.load_data(FLAGS.seed)
    recorder = kcn.LossCurveRecorder()
    model = training.new_model(data, FLAGS.seed)
    model.compile(**training.compile_arguments(data))
    train = training.batches(kcn.with_sample_ids((data.inputs, data.labels)))
    model.fit(train, epochs=20, callbacks=[recorder], verbose=0)
    curves = recorder.loss_curves
    base = training.new_model(data, FLAGS.seed)
    base.compile(**training.compile_arguments(data))
    weighted = kcn.CurveWeightedModel(base)
    training.fit(weighted, train, data.validation, loss_curves=curves)
    figures = {
        "loss_curves": kcn.plots.plot_loss_curves(curves, data.true_labels),
        "sample_weights": kcn.plots.plot_sample_weights(
            weighted.sample_weights(), data.labels, data.true_labels
        ),
        "label_issues": kcn.plots.plot_label_issues(
            curves,
            data.inputs,
            class_names=CLASS_NAMES,
            max_images=16,
        ),
    }
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=90)


if __name__ == "__main__":
    app.run(main)
