"""`wgru.ray.Predictor` without Ray: columns in, columns out, and what it refuses."""

import numpy as np
import pytest
import wgru
import wgru.ray
from common import net, normal
from wgru import Recipe
from wgru.ray import Predictor


def lists(x, lengths):
    """A list column: windows of different lengths, as Ray gives them."""
    column = np.empty(len(x), object)
    for row, steps in enumerate(lengths):
        column[row] = x[row, :steps]
    return column


def test_tensors(rng):
    model = net(rng, "lstm", (3, 8), layers=2, readout="last", outputs=4).model
    x = normal(rng, 7, 5, 3)
    names = {"forecast": "out", "sequence": "y", "h": "h_n", "c": "c_n"}
    predictor = Predictor(Recipe(model, "cpu:1"), input="window", output=names, keep=["id"])
    found = predictor({"id": np.arange(7), "window": x})
    y, h_n, c_n, out = predictor.engine.run(x)
    assert list(found) == ["id", *names]
    wanted = [np.arange(7), out, y, h_n.swapaxes(0, 1), c_n.swapaxes(0, 1)]
    for array, other in zip(found.values(), wanted, strict=True):
        assert array.shape == other.shape and array.tobytes() == np.ascontiguousarray(other).tobytes()


def test_lists_of_different_lengths(rng):
    """Each window has the bits that it has by itself; y is 0 past its end."""
    model = net(rng, "gru", (2, 6), readout="last").model
    x, lengths = normal(rng, 9, 8, 2), rng.integers(1, 9, 9)
    predictor = Predictor(Recipe(model, "cpu:1"), input="w", output={"out": "out", "y": "y"})
    column = lists(x, lengths)
    nested = np.empty(9, object)
    for row, window in enumerate(column):
        nested[row] = np.empty(len(window), object)
        nested[row][:] = [step.astype(np.float64) for step in window]
    padded = x.copy()
    padded[np.arange(8) >= lengths[:, np.newaxis]] = 99.0
    with_lengths = Predictor(Recipe(model, "cpu:1"), input="w", lengths="n", output={"out": "out", "y": "y"})
    given = [predictor({"w": column}), predictor({"w": nested}), with_lengths({"w": padded, "n": lengths})]
    for row, steps in enumerate(lengths):
        alone = predictor.engine.run(x[row : row + 1, :steps])
        for found in given:
            assert found["out"][row].tobytes() == alone.out[0].tobytes()
            assert found["y"][row, :steps].tobytes() == alone.y[0].tobytes()
            assert not found["y"][row, steps:].any()


def test_one_feature_and_no_readout(rng):
    model = net(rng, "gru", (1, 4)).model
    x = normal(rng, 4, 6, 1)
    predictor = Predictor(Recipe(model, "cpu:1"), input="w")
    wanted = predictor.engine.run(x).y
    for column in (x, x[:, :, 0], x[:, :, 0].astype(np.float64), lists(x[:, :, 0], [6] * 4)):
        assert predictor({"w": column})["output"].tobytes() == wanted.tobytes()
    assert len(predictor({"w": x[:0]})["output"]) == 0


@pytest.mark.parametrize(
    "batch, words",
    [
        ({"v": np.zeros((2, 3, 2))}, 'no column "w"; it has v'),
        ({"w": np.zeros((2, 3, 5))}, r"shape \[3, 5\], expected \[T, 2\]"),
        ({"w": np.zeros((2, 3))}, r"shape \[3\], expected \[T, 2\]"),
        ({"w": np.array(["a", "b"])}, "expected windows of numbers"),
        ({"w": lists(np.zeros((2, 3, 2)), [3, 0])}, r"row 1: shape \[0, 2\]"),
        ({"w": np.array([None, None])}, "row 0: "),
        ({"w": np.array([["a"], [1.0, 2.0]], object)}, "row 0: no window of numbers"),
        ({"w": np.zeros((2, 3, 2)), "output": np.zeros(2)}, 'column "output" already'),
        ([1], 'batch_format="numpy"'),
        ({"w": np.full((2, 3, 2), np.nan)}, "(?i)nan|finite"),
    ],
)
def test_batches_that_are_refused(rng, batch, words):
    with pytest.raises(wgru.WrongUse, match=words):
        Predictor(Recipe(net(rng, "gru", (2, 4)).model, "cpu:1"), input="w")(batch)


@pytest.mark.parametrize(
    "lengths, words", [([3, 4], "row 1 is 4, expected 1 to 3"), ([0, 1], "row 0 is 0"), ([1.5, 2.0], "whole number")]
)
def test_lengths_that_are_refused(rng, lengths, words):
    predictor = Predictor(Recipe(net(rng, "gru", (2, 4)).model, "cpu:1"), input="w", lengths="n")
    with pytest.raises(wgru.WrongUse, match=words):
        predictor({"w": np.zeros((2, 3, 2)), "n": np.array(lengths)})


@pytest.mark.parametrize(
    "output, words", [("out", "readout, which the model has not"), ("c_n", "only an LSTM"), ("z", "none of out, y, h_n, c_n")]
)
def test_outputs_that_are_refused(rng, output, words):
    with pytest.raises(wgru.WrongUse, match=words):
        Predictor(Recipe(net(rng, "gru", (2, 4)).model, "cpu:1"), input="w", output={"column": output})
