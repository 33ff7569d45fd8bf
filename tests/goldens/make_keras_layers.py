"""Goldens of Keras in float32, on its PyTorch backend: keras_layers.safetensors.

Weights are a layer's `get_weights()`, `{layer}.{place}`, in Keras' own layout: kernel [I, G*H], recurrent kernel
[H, G*H], bias [2, 3*H], [3*H] or [G*H]; for a Bidirectional layer the forward ones, then the backward ones. GRU
z r h, LSTM i f c o. x and y are [B, T, .], the y of go_backwards reversed to the order of time; h0, c0, h_n and c_n
are [L*D, B, H]. Masks are prefixes, like lengths; a masked step repeats the previous output, except in a
Bidirectional layer, which puts 0 there. In float64 Keras 3.15 still multiplies in float32.

    pip install keras torch numpy safetensors
    python tests/goldens/make_keras_layers.py
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

from store import Draw, File

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}


def case(file, name, kind, sizes, batch, steps, lengths=None, both=False, **config):
    draw, (inputs, hidden, count) = Draw(name), sizes
    x = draw.values(batch, steps, inputs, scale=2)
    mask = None if lengths is None else np.arange(steps)[None, :] < np.array(lengths)[:, None]
    dirs, parts = 2 if both else 1, 2 if kind == "lstm" else 1
    given, states, last, y = {"x": x}, [[], []], [[], []], keras.ops.array(x, "float32")
    for index in range(count):
        one = CELLS[kind](hidden, return_sequences=True, return_state=True, **config)
        layer = keras.layers.Bidirectional(one) if both else one
        layer.build(y.shape)
        layer.set_weights([draw.weights(*weight.shape, fan=hidden) for weight in layer.get_weights()])
        initial = [draw.values(batch, hidden) for _ in range(dirs * parts)]
        called = layer(y, mask=mask, initial_state=[keras.ops.array(array, "float32") for array in initial])
        final = [keras.ops.convert_to_numpy(array) for array in called[1:]]
        y = called[0]
        for place, weight in enumerate(layer.get_weights()):
            given[f"{index}.{place}"] = weight
        for place, (first, final) in enumerate(zip(initial, final)):
            states[place % parts].append(first)
            last[place % parts].append(final)
    y = keras.ops.convert_to_numpy(y)
    if config.get("go_backwards"):
        y = y[:, ::-1]
    names = ["h0", "c0"][:parts]
    given |= {key: np.stack(arrays) for key, arrays in zip(names, states)}
    if lengths is not None:
        given["lengths"] = lengths
    expected = {"y": y} | {key: np.stack(arrays) for key, arrays in zip(["h_n", "c_n"][:parts], last)}
    about = {"kind": kind, "hidden": hidden, "layers": count, "both": both} | config
    file.case(name, about, given, expected)


def main():
    file, ragged = File(), [5, 0, 2, 3]
    hard = {"recurrent_activation": "hard_sigmoid"}
    case(file, "gru_masked_both_ways", "gru", (3, 5, 2), 4, 5, ragged, True)
    case(file, "gru_before_masked_both_ways", "gru", (3, 5, 2), 4, 5, ragged, True, reset_after=False)
    case(file, "gru_before_hard_sigmoid", "gru", (3, 5, 1), 2, 4, reset_after=False, **hard)
    case(file, "gru_zero_output_for_mask", "gru", (3, 5, 1), 4, 5, ragged, zero_output_for_mask=True)
    case(file, "gru_go_backwards", "gru", (3, 5, 1), 4, 5, ragged, go_backwards=True)
    case(file, "gru_no_bias", "gru", (3, 5, 1), 2, 4, use_bias=False)
    case(file, "lstm_masked", "lstm", (3, 5, 2), 4, 5, ragged)
    case(file, "lstm_masked_both_ways", "lstm", (3, 5, 2), 4, 5, ragged, True)
    case(file, "lstm_hard_sigmoid", "lstm", (3, 5, 1), 2, 4, activation="softsign", **hard)
    case(file, "rnn_masked", "rnn", (3, 5, 2), 4, 5, ragged)
    case(file, "rnn_elu_both_ways", "rnn", (3, 5, 1), 4, 5, ragged, True, activation="elu")
    file.write("keras_layers.safetensors")


if __name__ == "__main__":
    main()
