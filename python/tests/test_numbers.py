"""Results against the float64 reference, in every convention."""

import numpy as np
import pytest
import wgru
from common import assert_close, net, normal, same_bits, states

CELLS = [
    {"cell": "gru"},
    {"cell": "gru", "reset": "before"},
    {"cell": "gru", "update": "takes"},
    {"cell": "gru", "bias": False},
    {"cell": "lstm"},
    {"cell": "lstm", "proj": 7},
    {"cell": "rnn"},
    {"cell": "rnn-relu"},
]
STACKS = [
    {},
    {"layers": 3},
    {"dirs": 2},
    {"layers": 2, "dirs": 2, "readout": "every"},
    {"layers": 2, "readout": "last"},
]
STORAGE = [("f32", "f32"), ("f16", "f32"), ("bf16", "f32"), ("f16", "f16"), ("bf16", "bf16")]


def compare(rng, device, reference, kind, *, batch=4, steps=9, storage=("f32", "f32"), **run):
    it = net(rng, **kind)
    x = normal(rng, batch, steps, it.model.input)
    weights, activations = storage
    given = {**states(rng, it.model, batch), **run}
    output = device.load(it.model, weights=weights, activations=activations).run(x, **given)
    expected = reference.load(it.model).run(x, **given)
    assert_close(output, expected, it.tolerance(x, steps, weights=weights, activations=activations))
    return it, x, output


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_cell_in_every_stack(rng, cpu, reference, cell, stack):
    compare(rng, cpu, reference, {**cell, **stack}, lengths=[9, 0, 4, 1])


@pytest.mark.parametrize("storage", STORAGE, ids=str)
@pytest.mark.parametrize("cell", CELLS[:2] + CELLS[4:6], ids=str)
def test_storage(rng, cpu, reference, cell, storage):
    compare(rng, cpu, reference, cell, storage=storage)


def test_the_tolerance_tells_conventions_apart(rng, cpu, reference):
    """A tolerance that another convention passes would be none."""
    it = net(rng, "gru")
    x = normal(rng, 4, 9, 5)
    expected = reference.load(it.model).run(x)
    for other in ({"reset": "before"}, {"update": "takes"}):
        model = wgru.Model.from_state_dict(it.tensors, cell="gru", **other)
        error = np.abs(cpu.load(model).run(x).y - expected.y).max()
        for storage in ("f32", "f16"):
            assert error > it.tolerance(x, 9, weights=storage), (other, storage)


@pytest.mark.parametrize("cell", CELLS[:2] + CELLS[4:6], ids=str)
def test_resets_are_cuts(rng, cpu, reference, cell):
    resets = (rng.random((4, 9)) < 0.3).astype(rng.choice(["bool", "int64", "uint8"]))
    it, x, output = compare(rng, cpu, reference, {**cell, "layers": 2}, resets=resets)
    # The last part of a row, from its last reset on, is a run of its own from the same states.
    row = int(np.argmax(resets.astype(bool).any(axis=1)))
    if resets[row].any():
        first = int(np.flatnonzero(resets[row])[-1])
        alone = cpu.load(it.model).run(x[row : row + 1, first:].copy())
        zero = cpu.load(it.model).run(x, resets=resets)
        assert alone.y.tobytes() == zero.y[row : row + 1, first:].tobytes()
    assert output.y.shape == (4, 9, it.model.output)


@pytest.mark.parametrize("dirs", [1, 2])
def test_layouts_have_the_same_bits(rng, cpu, dirs):
    it = net(rng, "lstm", dirs=dirs, readout="every" if dirs == 1 else None)
    engine = cpu.load(it.model)
    batch, steps, p = 3, 6, it.model.state_size
    x, lengths = normal(rng, batch, steps, 5), np.array([6, 2, 5], dtype=rng.choice(["uint32", "int32", "int64"]))
    first = engine.run(x, lengths=lengths, padding="last")
    turned = np.ascontiguousarray(x.transpose(1, 0, 2))
    second = engine.run(turned, lengths=list(lengths), layout="time-major", padding="last")
    assert second.y.shape == (steps, batch, dirs * p)
    assert np.array_equal(second.y.transpose(1, 0, 2), first.y)
    assert np.array_equal(second.h_n, first.h_n) and np.array_equal(second.c_n, first.c_n)
    third = engine.run(x, lengths=lengths, padding="last", output_layout="direction-major")
    assert third.y.shape == (steps, dirs, batch, p)
    assert np.array_equal(third.y.transpose(2, 0, 1, 3).reshape(first.y.shape), first.y)
    if dirs == 1:
        assert np.array_equal(second.out.transpose(1, 0, 2), first.out)


def test_padding(rng, cpu):
    it = net(rng, "gru")
    x = normal(rng, 2, 5, 5)
    zero = cpu.load(it.model).run(x, lengths=[3, 5])
    last = cpu.load(it.model).run(x, lengths=[3, 5], padding="last")
    assert not zero.y[0, 3:].any() and zero.y[0, 2].any()
    assert np.array_equal(last.y[0, 3:], np.repeat(last.y[0, 2:3], 2, axis=0))


def test_an_output_unpacks_and_owns_its_arrays(rng, cpu):
    it = net(rng, "lstm", readout="last")
    engine = cpu.load(it.model)
    x = normal(rng, 2, 4, 5)
    output = engine.run(x)
    y, h_n, c_n, out = output
    assert (y.shape, h_n.shape, c_n.shape, out.shape) == ((2, 4, 12), (1, 2, 12), (1, 2, 12), (2, 3))
    assert all(array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable for array in output)
    before = y.copy()
    del output, engine
    cpu.load(it.model).run(normal(rng, 2, 4, 5))
    assert np.array_equal(y, before), "an array that a later run wrote to"
    y += 1


def test_arrays_of_the_caller(rng, cpu):
    it = net(rng, "lstm", readout="every")
    engine = cpu.load(it.model)
    x = normal(rng, 2, 4, 5)
    expected = engine.run(x)
    arrays = {
        "y": np.full((2, 4, 12), np.nan, np.float32),
        "h_n": np.full((1, 2, 12), np.nan, np.float32),
        "c_n": np.full((1, 2, 12), np.nan, np.float32),
        "out": np.full((2, 4, 3), np.nan, np.float32),
    }
    out = wgru.Output(**arrays)
    assert engine.run(x, out=out) is out
    assert out.y is arrays["y"] and same_bits(out, expected)
    # A part of a larger array, and no other.
    ring = np.zeros((3, 2, 4, 12), np.float32)
    engine.run(x, out=wgru.Output(y=ring[1]))
    assert np.array_equal(ring[1], expected.y) and not ring[0].any() and not ring[2].any()


def test_outputs_are_indexed_like_tuples(rng, cpu):
    it = net(rng, "lstm", (4, 6))
    engine = cpu.load(it.model)
    output = engine.run(normal(rng, 2, 3, 4))
    assert len(output) == 4 and output[0] is output.y and output[2] is output.c_n and output[-1] is None
    assert output[1:3] == (output.h_n, output.c_n)
    with pytest.raises(IndexError):
        output[4]
    step = engine.session(2).step(normal(rng, 2, 4))
    assert len(step) == 2 and step[0] is step.y and step[1] is None
