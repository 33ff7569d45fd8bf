"""Makes tests/goldens/keras/: small Keras files and what Keras computes of them.

    KERAS_BACKEND=torch python tests/goldens/make_keras.py

Written by Keras 3.15.1 with h5py. `expected.json` holds x `[B, T, I]` and the output of every layer as Keras gives
it. Weights come from a sine, so that every run makes the same numbers.
"""

import json
import os
import pathlib
import zipfile

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers

FOLDER = pathlib.Path(__file__).parent / "keras"
B, T, I, H = 2, 5, 3, 4


def fill(model):
    """Weights of about 0.7 / sqrt(H), each array another part of the sine."""
    count = 0
    for array in model.weights:
        numbers = np.arange(count, count + np.prod(array.shape)).reshape(array.shape)
        array.assign(0.7 * np.sin(1.0 + 2.3 * numbers + 0.01 * numbers * numbers))
        count += numbers.size
    return model


LAYERS = [
    layers.GRU(H, return_sequences=True, name="gru_after"),
    layers.GRU(H, reset_after=False, return_sequences=True, name="gru_before"),
    layers.GRU(H, recurrent_activation="hard_sigmoid", activation="elu", return_sequences=True, name="gru_hard"),
    layers.GRU(H, reset_after=False, use_bias=False, return_sequences=True, name="gru_no_bias"),
    layers.LSTM(H, return_sequences=True, name="lstm"),
    layers.LSTM(H, activation="softsign", use_bias=False, return_sequences=True, name="lstm_softsign"),
    layers.SimpleRNN(H, activation="leaky_relu", return_sequences=True, name="rnn_leaky"),
    layers.SimpleRNN(H, go_backwards=True, return_sequences=True, name="rnn_backwards"),
    layers.Bidirectional(layers.LSTM(H, return_sequences=True), name="bidirectional_lstm"),
    layers.Bidirectional(layers.GRU(H), name="bidirectional_gru"),
    layers.RNN(layers.GRUCell(H), return_sequences=True, name="cell_in_rnn"),
]


def branches():
    """Every layer on the one input, and on the first of them a model inside the model."""
    x = keras.Input((T, I), name="x")
    inner = keras.Sequential(
        [keras.Input((T, H)), layers.GRU(H, return_sequences=True, name="deep")], name="inner")
    outputs = {layer.name: layer(x) for layer in LAYERS}
    return keras.Model(x, outputs | {"inner/deep": inner(outputs["gru_after"])})


def stack():
    return keras.Sequential([
        keras.Input((T, I)),
        layers.LSTM(H, return_sequences=True, name="first"),
        layers.Dropout(0.3),
        layers.LSTM(H, name="second"),
        layers.Dense(2, name="head"),
    ])


def save(model, name):
    """The zip is packed once more with compression, which Keras does not do and reads."""
    path = FOLDER / f"{name}.keras"
    model.save(path)
    with zipfile.ZipFile(path) as whole:
        parts = {part: whole.read(part) for part in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for part, content in parts.items():
            packed.writestr(zipfile.ZipInfo(part), content, zipfile.ZIP_DEFLATED)


def numbers(array):
    return {"shape": list(array.shape), "data": [float(f"{v:.9g}") for v in np.asarray(array).ravel()]}


def main():
    FOLDER.mkdir(exist_ok=True)
    x = np.sin(np.arange(B * T * I) * 0.9).reshape(B, T, I).astype("float32") * 1.5
    whole = fill(branches())
    expected = {"x": numbers(x)}
    expected |= {name: numbers(y) for name, y in whole.predict(x, verbose=0).items()}
    save(whole, "branches")
    whole.save(FOLDER / "branches.h5", include_optimizer=False)

    model = fill(stack())
    expected["stack"] = numbers(model.predict(x, verbose=0))
    model.save(FOLDER / "stack.keras")
    model.save_weights(FOLDER / "stack.weights.h5")
    (FOLDER / "stack.json").write_text(model.to_json())
    (FOLDER / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
