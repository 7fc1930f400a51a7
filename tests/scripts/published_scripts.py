"""Scripts as the guides of Keras write theirs, small, with sample ids.

Each gives a compiled model and batches with ids, and where targets are no
classes, the recorder's `label_fn`.
"""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

import keras_curvenet as kcn

N = 96
SPARSE = "sparse_categorical_crossentropy"
rng = np.random.default_rng(0)
labels = np.arange(N) % 3
features = rng.normal(size=(N, 8)).astype("float32")
features[np.arange(N), labels] += 2.0
images = rng.uniform(0, 255, size=(N, 12, 12, 3)).astype("float32")
tokens = rng.integers(1, 20, size=(N, 10))
tokens[np.arange(10) >= rng.integers(3, 11, size=(N, 1))] = 0  # Padding.
texts = np.array([f"a film of {n} parts, {'good' * (n % 3)}" for n in range(N)])


def batches(*arrays):
    return kcn.with_sample_ids(arrays).shuffle(N).batch(32)


def classifier(optimizer="adam", **kwargs):
    """The network of those scripts that are about something else."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, SPARSE, metrics=["accuracy"], **kwargs)
    return model


# Images.


def small_cnn(num_classes=3):
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def cnn_from_arrays(folder):
    model = small_cnn()
    one_hot = keras.utils.to_categorical(labels, 3)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, batches(images, one_hot)


def cnn_from_directory(folder):
    for row, image in enumerate(images):
        path = folder / f"class_{labels[row]}" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        keras.utils.save_img(path, image, scale=False)
    train = keras.utils.image_dataset_from_directory(
        folder, image_size=(12, 12), batch_size=32, shuffle=False, verbose=False
    )
    model = small_cnn()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return model, kcn.with_sample_ids(train).prefetch(tf.data.AUTOTUNE)


def segmentation(folder):
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(
        inputs
    )
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    outputs = layers.Conv2D(3, 1, padding="same", activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.compile("rmsprop", SPARSE, metrics=["accuracy"])
    return model, batches(images, (images[..., :1] // 86).astype("uint8"))


# Text and sequences.


def text_vectorization_in_the_model(folder):
    vectorize = layers.TextVectorization(100, output_sequence_length=8)
    vectorize.adapt(texts)
    model = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            vectorize,
            layers.Embedding(100, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return model, batches(texts, labels)


def lstm_on_padded_sequences(folder):
    model = keras.Sequential(
        [
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(4)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.build((None, 10))
    return model, batches(tokens, labels % 2)


def token_classification(folder):
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    inputs = keras.Input((10,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    model.compile("adam", loss)
    return model, batches(tokens, np.where(tokens, tokens % 3 + 1, 0))


# Tables.


def csv_with_feature_layers(folder):
    table = pd.DataFrame(
        {
            "age": features[:, 0] * 10 + 40,
            "thal": np.array(["fixed", "normal", "reversible"])[labels],
            "target": labels % 2,
        }
    )
    table.to_csv(folder / "heart.csv", index=False)
    table = pd.read_csv(folder / "heart.csv")
    target = table.pop("target")
    slices = tf.data.Dataset.from_tensor_slices((dict(table), target))
    age = keras.Input((1,), name="age")
    thal = keras.Input((1,), name="thal", dtype="string")
    normalize = layers.Normalization()
    normalize.adapt(table.age.to_numpy()[:, np.newaxis])
    look_up = layers.StringLookup(output_mode="binary")
    look_up.adapt(table.thal.to_numpy(object))
    x = layers.concatenate([normalize(age), look_up(thal)])
    outputs = layers.Dense(1, activation="sigmoid")(
        layers.Dense(8, activation="relu")(x)
    )
    model = keras.Model({"age": age, "thal": thal}, outputs)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, kcn.with_sample_ids(slices).shuffle(N).batch(32)


def regression(folder):
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, activation="relu"), layers.Dense(1)]
    )
    model.compile("rmsprop", "mse", metrics=["mae"])
    return model, batches(features, features.sum(axis=1)), one_class


def one_class(y):
    """What the recorder asks for where targets are no classes."""
    return tf.zeros(tf.shape(y)[0], tf.int32)


def multi_hot(folder):
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(4, activation="sigmoid")]
    )
    model.compile("adam", "binary_crossentropy", metrics=["binary_accuracy"])
    return model, batches(features, (features[:, :4] > 0).astype("float32"))


def class_weights_as_sample_weight(folder):
    rare = (np.arange(N) % 8 == 0).astype("int32")
    weights = np.where(rare == 1, 4.0, 4 / 7)
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(1, activation="sigmoid")]
    )
    model.compile("adam", "binary_crossentropy", weighted_metrics=["accuracy"])
    return model, batches(features, rare, weights)


# Several inputs and outputs.


def two_inputs(folder):
    image = keras.Input((12, 12, 3), name="image")
    table = keras.Input((8,), name="table")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    x = layers.concatenate([x, table])
    model = keras.Model(
        [image, table], layers.Dense(3, activation="softmax")(x)
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return model, batches([images, features], labels)


def two_outputs(folder):
    inputs = keras.Input((8,))
    x = layers.Dense(8, activation="relu")(inputs)
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    model = keras.Model(inputs, {"kind": kind, "size": size})
    model.compile(
        "adam",
        {"kind": SPARSE, "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.2},
        metrics={"kind": ["accuracy"]},
    )
    return model, batches(features, {"kind": labels, "size": features[:, :1]})


# Ways to train.


class OwnTrainStep(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.softmax = layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.softmax(self.hidden(inputs))

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred, sample_weight)
        return {metric.name: metric.result() for metric in self.metrics}


def own_train_step(folder):
    model = OwnTrainStep()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return model, batches(features, labels)


def mixed_precision(folder):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    return model, batches(features, labels)


def moving_averages(folder):
    optimizer = keras.optimizers.AdamW(
        use_ema=True, ema_overwrite_frequency=2, clipnorm=1.0
    )
    return classifier(optimizer), batches(features, labels)


def gradient_accumulation(folder):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    return classifier(optimizer), batches(features, labels)


def several_steps_per_execution(folder):
    model = classifier(steps_per_execution=2, jit_compile=True)
    return model, batches(features, labels)


def learning_rate_schedule(folder):
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 12, warmup_target=1e-2, warmup_steps=3
    )
    model = classifier(keras.optimizers.Adam(schedule))
    return model, batches(features, labels)


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(32 * index, 32 * (index + 1))
        return features[rows], labels[rows]


def py_dataset(folder):
    return classifier(), kcn.with_sample_ids(Rows())


class Task(keras.Model):
    """As KerasHub's: `fit` preprocesses what it calls (x, y, sample_weight)."""

    preprocessor = None

    def preprocess_samples(self, x, y=None, sample_weight=None):
        if self.preprocessor is not None:
            x = self.preprocessor(x)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def fit(self, x=None, y=None, batch_size=None, **kwargs):
        if not isinstance(x, tf.data.Dataset):
            x = tf.data.Dataset.from_tensor_slices((x, y))
            x = x.batch(batch_size or 32)
        x = x.map(self.preprocess_samples, num_parallel_calls=tf.data.AUTOTUNE)
        return super().fit(x.prefetch(tf.data.AUTOTUNE), **kwargs)


def task_as_in_keras_hub():
    inputs = keras.Input((8,))
    x = layers.Dense(16, activation="relu", name="backbone")(inputs)
    task = Task(inputs, layers.Dense(3, name="logits")(x))
    task.preprocessor = layers.Rescaling(0.5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    task.compile("adam", loss, metrics=["accuracy"])
    return task


def keras_hub_task(folder):
    """Its own `fit` can't take ids: it is preprocessed, and fitted, without."""
    task = task_as_in_keras_hub()
    slices = tf.data.Dataset.from_tensor_slices((features, labels))
    slices = slices.map(task.preprocess_samples)
    model = keras.Model(task.inputs, task.outputs)
    model.compile("adam", task.loss, metrics=["accuracy"])
    return model, kcn.with_sample_ids(slices).shuffle(N).batch(32)


SCRIPTS = [
    cnn_from_arrays,
    cnn_from_directory,
    segmentation,
    text_vectorization_in_the_model,
    lstm_on_padded_sequences,
    token_classification,
    csv_with_feature_layers,
    regression,
    multi_hot,
    class_weights_as_sample_weight,
    two_inputs,
    two_outputs,
    own_train_step,
    mixed_precision,
    moving_averages,
    gradient_accumulation,
    several_steps_per_execution,
    learning_rate_schedule,
    py_dataset,
    keras_hub_task,
]
