"""Creates tests/goldens/keras/: Keras files whose layers are called in unusual ways, and Keras' results.

    KERAS_BACKEND=torch python tests/goldens/make_keras_graphs.py

Written by Keras 3.15.1 on its PyTorch backend. `graphs.json` holds x `[B, T, I]`, x with padding, the arrays between
layers, and the output of every layer in Keras' form, initial states as `[D, B, H]`. Weights come from a sine, as in
make_keras.py.

    graphs.keras     merge modes, go_backwards in stacks, initial states, a mask, TimeDistributed(Dense)
    nested.h5        a nested model with a frozen layer and BatchNormalization, so that weights are not in the order
                     of the layers
    foreign.keras    a layer without a name in its configuration, and a class GRU of another package
    bfloat16.keras   weights in bfloat16
"""

import json

import numpy as np

from make_keras import B, FOLDER, H, I, T, fill, numbers, save

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="mine")
class Scale(layers.Layer):
    """Its configuration has no name."""

    def __init__(self, factor, **more):
        super().__init__(**more)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {"factor": self.factor}


@keras.saving.register_keras_serializable(package="audiokit", name="GRU")
class GRU(layers.GRU):
    """Keras' GRU, all numbers doubled."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


def pair(kind, mode, name):
    return layers.Bidirectional(kind(H, return_sequences=True), merge_mode=mode, name=name)


def graphs():
    """A layer of every kind that reads x, and the layers that read its output."""
    x, ctx = keras.Input((T, I), name="x"), keras.Input((H,), name="ctx")
    outputs = {}
    for mode in ["sum", "mul", "ave"]:
        outputs[mode] = pair(layers.GRU if mode == "mul" else layers.LSTM, mode, mode)(x)
    outputs["sum_on_ave"] = pair(layers.LSTM, "sum", "sum_on_ave")(outputs["ave"])
    outputs["last_sum"] = layers.Bidirectional(layers.GRU(H), merge_mode="sum", name="last_sum")(x)
    back = outputs["back"] = layers.GRU(H, return_sequences=True, go_backwards=True, name="back")(x)
    outputs["on_back"] = layers.GRU(H, return_sequences=True, name="on_back")(back)
    outputs["back_on_back"] = layers.GRU(H, return_sequences=True, go_backwards=True, name="back_on_back")(back)
    _, h, c = layers.LSTM(H, return_state=True, name="reader")(x)
    outputs["writer"] = layers.LSTM(H, return_sequences=True, name="writer")(x, initial_state=[h, c])
    outputs["h"], outputs["c"] = h, c
    outputs["from_input"] = layers.GRU(H, return_sequences=True, name="from_input")(x, ctx)
    masked = layers.Masking(name="masking")(x)
    one = outputs["masked"] = layers.GRU(H, return_sequences=True, name="masked")(masked)
    one = layers.Dropout(0.2, name="dropout")(one)
    outputs["on_masked"] = layers.GRU(H, return_sequences=True, name="on_masked")(one)
    outputs["masked_pair"] = pair(layers.GRU, "concat", "masked_pair")(masked)
    outputs["unmasked"] = layers.GRU(H, return_sequences=True, name="unmasked")(layers.Reshape((T, I))(masked))
    outputs["head"] = layers.TimeDistributed(layers.Dense(2, name="dense"), name="head")(outputs["on_back"])
    return keras.Model([x, ctx], outputs)


def nested():
    x = keras.Input((T, I))
    inside = keras.Input((T, I))
    y = layers.Dense(H, name="first")(inside)
    y = layers.GRU(H, return_sequences=True, name="gru", trainable=False)(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.GRU(H, return_sequences=True, name="gru_1")(y)
    inner = keras.Model(inside, y, name="inner")
    whole = keras.Model(x, layers.Dense(2, name="head")(inner(x)))
    seen = keras.Model(inside, [layer.output for layer in inner.layers[1:]])
    return whole, seen


def main():
    draw = np.sin(np.arange(B * T * I) * 0.9).reshape(B, T, I).astype("float32") * 1.5
    padded = draw.copy()
    padded[0, 3:] = 0
    ctx = np.cos(np.arange(B * H) * 0.7).reshape(B, H).astype("float32")
    expected = {"x": numbers(draw), "padded": numbers(padded), "ctx": numbers(ctx[None])}
    model = fill(graphs())
    outputs = model.predict([draw, ctx], verbose=0)
    masked = model.predict([padded, ctx], verbose=0)
    for name, y in outputs.items():
        expected[name] = numbers(y[None] if name in "hc" else masked[name] if "masked" in name else y)
    save(model, "graphs")

    whole, seen = nested()
    fill(whole)
    variance = seen.get_layer("norm").moving_variance
    variance.assign(1 + ops.abs(variance))
    first, gru, norm, gru_1 = seen.predict(draw, verbose=0)
    expected |= {"first": numbers(first), "gru": numbers(gru), "norm": numbers(norm), "gru_1": numbers(gru_1)}
    whole.save(FOLDER / "nested.h5", include_optimizer=False)

    rec = layers.GRU(H, return_sequences=True, name="rec")
    foreign = keras.Sequential([keras.Input((T, I)), Scale(2.0), rec, GRU(H, return_sequences=True, name="other")])
    fill(foreign)
    expected["rec"] = numbers(ops.convert_to_numpy(rec(ops.convert_to_tensor(draw))))
    save(foreign, "foreign")

    # PyTorch has no orthogonal matrices of bfloat16.
    narrow = layers.GRU(H, return_sequences=True, recurrent_initializer="zeros", dtype="bfloat16", name="narrow")
    model = fill(keras.Sequential([keras.Input((T, I)), narrow]))
    for name, weight in zip(["kernel", "recurrent_kernel", "bias"], narrow.get_weights()):
        expected[f"narrow.{name}"] = numbers(np.asarray(weight, "float32"))
    save(model, "bfloat16")
    (FOLDER / "graphs.json").write_text(json.dumps(expected, separators=(",", ":")))


if __name__ == "__main__":
    main()
