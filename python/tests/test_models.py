"""Models from files and memory, and back."""

import pickle

import numpy as np
import pytest
import wgru
from common import net, normal, same_bits, tensors_of

KINDS = [
    {"cell": "gru", "reset": "before", "update": "takes", "readout": "every"},
    {"cell": "lstm", "proj": 5, "layers": 2},
    {"cell": "rnn-relu", "dirs": 2, "readout": "last", "bias": False},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pickles(rng, cpu, kind):
    it = net(rng, **kind)
    x = normal(rng, 2, 4, 5)
    expected = cpu.load(it.model).run(x)
    model = pickle.loads(pickle.dumps(it.model))
    assert str(model) == str(it.model) and model.decisions == it.model.decisions
    assert same_bits(cpu.load(model).run(x), expected)
    recipe = cpu.load(it.model, weights="f16", memory=1 << 20).recipe()
    again = pickle.loads(pickle.dumps(recipe, protocol=int(rng.integers(2, pickle.HIGHEST_PROTOCOL + 1))))
    assert again.device == recipe.device == "cpu"
    assert same_bits(again.open().run(x), cpu.load(it.model, weights="f16").run(x))
    assert str(again.model) == str(it.model)


def test_what_is_of_a_device_has_no_pickle(rng, cpu):
    engine = cpu.load(net(rng).model)
    for what, words in (
        (engine, "recipe"),
        (engine.session(), "recipe"),
        (engine.pool(), "recipe"),
        (cpu, "Recipe"),
    ):
        with pytest.raises(TypeError, match=words):
            pickle.dumps(what)


@pytest.mark.parametrize("as_path", [False, True])
def test_files(rng, cpu, as_path, tmp_path):
    it = net(rng, "lstm", layers=2, readout="last")
    x = normal(rng, 2, 4, 5)
    expected = cpu.load(it.model).run(x)
    written = it.model.to_pytorch()
    file = written if rng.random() < 0.5 else bytearray(written)
    if as_path:
        file = tmp_path / "model.safetensors"
        file.write_bytes(written)
    read = wgru.Model.from_pytorch(file)
    assert np.array_equal(cpu.load(read).run(x).y, expected.y)
    plain = net(rng, "gru")
    onnx = plain.model.to_onnx()
    if as_path:
        (tmp_path / "model.onnx").write_bytes(onnx)
        onnx = str(tmp_path / "model.onnx")
    read = wgru.Model.from_onnx(onnx)
    assert np.array_equal(cpu.load(read).run(x).y, cpu.load(plain.model).run(x).y)


def test_onnx_nodes(rng):
    onnx = net(rng, "gru", layers=2).model.to_onnx()
    with pytest.raises(wgru.BadFile, match="nowhere"):
        wgru.Model.from_onnx(onnx, nodes=["nowhere"])


def test_keras_files_are_read():
    """That the reader is built in: tests of the crate read whole files."""
    with pytest.raises(wgru.BadFile):
        wgru.Model.from_keras(b"\x89HDF\r\n\x1a\nand nothing")


def test_properties(rng):
    model = net(rng, "lstm", (5, 12), layers=2, dirs=2, proj=3, readout="every", outputs=4).model
    assert (model.cell, model.input, model.hidden, model.output) == ("lstm", 5, 12, 6)
    assert (model.num_states, model.state_size, model.has_c) == (4, 3, True)
    assert (model.readout_outputs, model.readout_at) == (4, "every")
    plain = net(rng, "gru").model
    assert (plain.readout_outputs, plain.readout_at, plain.has_c) == (0, None, False)
    assert plain.decisions and not plain.left_over and not plain.initial_states
    assert "GRU" in repr(plain).upper()


def test_activation_of_a_readout(rng, cpu):
    it = net(rng, readout="every", readout_activation="softmax")
    linear = wgru.Model.from_state_dict(it.tensors, readout="head", readout_at="every")
    x = normal(rng, 2, 4, 5)
    out = cpu.load(linear).run(x).out
    e = np.exp(out - out.max(axis=-1, keepdims=True))
    assert np.allclose(cpu.load(it.model).run(x).out, e / e.sum(axis=-1, keepdims=True), atol=1e-6)
    assert [model.readout_activation for model in (it.model, linear, net(rng).model)] == ["softmax", "linear", None]
    again = wgru.Model.from_pytorch(it.model.to_pytorch(), readout="readout", readout_at="every")
    assert again.readout_activation == "softmax"
    for options in ({"readout": "last", "readout_activation": "gelu"}, {"readout_activation": "softmax"}):
        with pytest.raises(wgru.Error, match="readout_activation"):
            net(rng, **options)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_storage_of_a_state_dict(rng, cpu, dtype):
    tensors = {name: tensor.astype(dtype) for name, tensor in tensors_of(rng, "gru", (5, 12)).items()}
    # Those of other modules are left over.
    tensors["other.count"] = np.array(7)
    model = wgru.Model.from_state_dict(tensors)
    assert model.left_over == ["other.count"]
    rounded = {name: t.astype(np.float32) for name, t in tensors.items() if name != "other.count"}
    x = normal(rng, 1, 4, 5)
    assert same_bits(cpu.load(model).run(x), cpu.load(wgru.Model.from_state_dict(rounded)).run(x))


def test_a_state_dict_that_is_none(rng):
    tensors = tensors_of(rng, "gru", (5, 12))
    for wrong, words in (
        ({**tensors, "rnn.bias_ih_l0": np.zeros(36, complex)}, "rnn.bias_ih_l0.*complex128"),
        ({**tensors, "rnn.bias_ih_l0": "text"}, "rnn.bias_ih_l0"),
        (7, "mapping"),
        ([("a", 1)], "mapping"),
    ):
        with pytest.raises(wgru.WrongUse, match=words):
            wgru.Model.from_state_dict(wrong)
    del tensors["rnn.weight_hh_l0"]
    with pytest.raises(wgru.BadFile, match="weight_hh_l0"):
        wgru.Model.from_state_dict(tensors)
    for options in ({"cell": "lstm"}, {"cell": "rnn", "reset": "after"}, {"readout_at": "last"}, {"cell": "x"}):
        with pytest.raises((wgru.WrongUse, wgru.BadFile)):
            wgru.Model.from_state_dict(tensors_of(rng, "gru", (5, 12)), **options)
