"""Creates tests/goldens/keras/: small Keras files and Keras' results for them.

    KERAS_BACKEND=torch python tests/goldens/make_keras.py

Written by Keras 3.15.1 with h5py; `keras1.h5` and `cudnn.h5` are written here in the
layouts of Keras 1 and 2. `expected.json` holds x `[B, T, I]` and the output of every layer in Keras' form. Weights come
from a sine, so every run creates the same numbers.
"""

import json
import os
import pathlib
import zipfile

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
from keras import layers

FOLDER = pathlib.Path(__file__).parent / "keras"
B, T, I, H = 2, 5, 3, 4


def fill(model):
    """Weights of about 0.7 / sqrt(H), each array from another part of the sine."""
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
    """Every layer reads the single input, and a nested model reads the first layer."""
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
    """The zip is rewritten with compression, which Keras reads but does not write."""
    path = FOLDER / f"{name}.keras"
    model.save(path)
    with zipfile.ZipFile(path) as whole:
        parts = {part: whole.read(part) for part in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for part, content in parts.items():
            packed.writestr(zipfile.ZipInfo(part), content, zipfile.ZIP_DEFLATED)


def config_1(name, **more):
    """A recurrent layer's configuration with the keys of Keras 1."""
    fixed = {"name": name, "trainable": True, "return_sequences": True, "go_backwards": False, "stateful": False,
             "unroll": False, "consume_less": "cpu", "output_dim": H, "init": "glorot_uniform",
             "inner_init": "orthogonal", "activation": "tanh", "W_regularizer": None, "U_regularizer": None,
             "b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "input_dim": I, "input_length": None}
    return fixed | more


def config_cudnn(name):
    """A CuDNN layer's configuration with the keys of Keras 2."""
    return {"name": name, "trainable": True, "return_sequences": True, "return_state": False,
            "go_backwards": False, "stateful": False, "units": H, "kernel_regularizer": None}


def legacy(path, version, rows):
    """A file in the layout of Keras 1 and 2: rows of class, configuration, dtype and named arrays. One
    array is compressed, which Keras reads but does not write."""
    with h5py.File(FOLDER / path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        config = [{"class_name": kind, "config": config} for kind, config, *_ in rows]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config}).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [config["name"].encode() for _, config, *_ in rows]
        for _, config, dtype, arrays in rows:
            group = weights.create_group(config["name"])
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                packed = name == "cu_gru/recurrent_kernel:0"
                packing = {"compression": "gzip", "shuffle": True} if packed else {}
                group.create_dataset(name, data=array.astype(dtype), **packing)


def by_gate(name, gates, weights):
    """One array for each gate, with the names of Keras 1."""
    parts = [np.split(np.asarray(array), len(gates), axis=-1) for array in weights]
    return {f"{name}_{letter}_{gate}": parts[part][index]
            for index, gate in enumerate(gates) for part, letter in enumerate("WUb")}


def as_cudnn(gates, kernel, recurrent, bias):
    """From GRU or LSTM to CuDNNGRU or CuDNNLSTM, as in _convert_rnn_weights of Keras 2."""
    kernel, recurrent = np.asarray(kernel), np.asarray(recurrent)
    kernel = np.hstack([k.T.reshape(k.shape, order="C") for k in np.hsplit(kernel, gates)])
    recurrent = np.hstack([k.T for k in np.hsplit(recurrent, gates)])
    return kernel, recurrent, np.asarray(bias).reshape(-1)


def older(whole):
    """The layouts of Keras 1 and 2 that Keras 3 no longer writes, with the weights of `whole`."""
    of = {layer.name: layer.get_weights() for layer in whole.layers}
    gru, lstm, rnn = of["gru_before"], of["lstm"], of["rnn_leaky"]
    hard = {"inner_activation": "hard_sigmoid"}
    legacy("keras1.h5", "1.2.2", [
        ("GRU", config_1("gru_1", **hard), ">f4", by_gate("gru_1", "zrh", gru)),
        ("LSTM", config_1("lstm_1", forget_bias_init="one", **hard), "float64",
         by_gate("lstm_1", "ifco", lstm)),
        ("SimpleRNN", config_1("rnn_1"), "float16", {f"rnn_1_{letter}": array for letter, array in zip("WUb", rnn)}),
    ])
    # CuDNNLSTM has two biases, which Keras 2 adds: each is half of the one.
    halves = [lstm[0], lstm[1], np.concatenate([lstm[2] / 2, lstm[2] / 2])]
    names = ["kernel:0", "recurrent_kernel:0", "bias:0"]
    legacy("cudnn.h5", "2.2.4", [
        ("CuDNNGRU", config_cudnn("cu_gru"), "float32",
         {f"cu_gru/{name}": array for name, array in zip(names, as_cudnn(3, *of["gru_after"]))}),
        ("CuDNNLSTM", config_cudnn("cu_lstm"), "float32",
         {f"cu_lstm/{name}": array for name, array in zip(names, as_cudnn(4, *halves))}),
    ])


def numbers(array):
    return {"shape": list(array.shape), "data": [float(f"{v:.8g}") for v in np.asarray(array).ravel()]}


def main():
    FOLDER.mkdir(exist_ok=True)
    x = np.sin(np.arange(B * T * I) * 0.9).reshape(B, T, I).astype("float32") * 1.5
    whole = fill(branches())
    expected = {"x": numbers(x)}
    expected |= {name: numbers(y) for name, y in whole.predict(x, verbose=0).items()}
    save(whole, "branches")
    whole.save(FOLDER / "branches.h5", include_optimizer=False)
    older(whole)

    model = fill(stack())
    expected["stack"] = numbers(model.predict(x, verbose=0))
    model.save(FOLDER / "stack.keras")
    model.save_weights(FOLDER / "stack.weights.h5")
    (FOLDER / "stack.json").write_text(model.to_json())
    (FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")))


if __name__ == "__main__":
    main()
