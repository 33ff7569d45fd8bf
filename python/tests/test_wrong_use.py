"""Wrong arguments: exceptions that name the argument, the numbers and what to do."""

import numpy as np
import pytest
import wgru
from common import net, normal, same_bits


@pytest.fixture
def it(rng):
    return net(rng, "gru", (4, 6))


@pytest.fixture
def engine(it, cpu):
    return cpu.load(it.model)


def f32(*shape):
    return np.zeros(shape, np.float32)


def read_only():
    array = f32(2, 3, 6)
    array.flags.writeable = False
    return array


def unaligned():
    return np.frombuffer(bytearray(2 * 3 * 4 * 4 + 1), np.uint8)[1:].view(np.float32).reshape(2, 3, 4)


# x, the options, and what the message says.
CASES = {
    "a list": ([[[0.0] * 4]], {}, "x: expected a numpy.ndarray of float32, got list: pass np.asarray"),
    "none": (None, {}, "got NoneType"),
    "float64": (np.zeros((2, 3, 4)), {}, r"x: its dtype is float64, expected float32: pass x.astype"),
    "big-endian": (np.zeros((2, 3, 4), ">f4"), {}, "x: its dtype is >f4"),
    "objects": (np.zeros((2, 3, 4), object), {}, "x: its dtype is object"),
    "two axes": (f32(3, 4), {}, r"x \[B, T, I\]: expected three axes, got the shape \[3, 4\]"),
    "four axes": (f32(1, 2, 3, 4), {}, "three axes"),
    "no axis": (np.float32(1) + f32(), {}, "x"),
    "features": (f32(2, 3, 5), {}, r"expected the shape \[2, 3, 4\], got \[2, 3, 5\]"),
    "no row": (f32(0, 3, 4), {}, "at least 1, got 0"),
    "no step": (f32(2, 0, 4), {}, "at least 1, got 0"),
    "strides": (f32(2, 6, 4)[:, ::2], {}, r"x: its strides are \[96, 32, 4\] bytes.*np.ascontiguousarray\(x\)"),
    "negative strides": (f32(2, 3, 4)[:, ::-1], {}, r"strides are \[48, -16, 4\] bytes"),
    "transposed": (f32(3, 2, 4).transpose(1, 0, 2), {}, "not C-contiguous"),
    "broadcast": (np.broadcast_to(f32(3, 4), (2, 3, 4)), {}, "not C-contiguous"),
    "unaligned": (unaligned(), {}, "x"),
    "NaN": (np.full((2, 3, 4), np.nan, np.float32), {}, "NaN, must be finite"),
    "infinity": (np.full((2, 3, 4), np.inf, np.float32), {}, "inf, must be finite"),
    "few lengths": (f32(2, 3, 4), {"lengths": [3]}, r"lengths \[B\]: expected the shape \[2\], got \[1\]"),
    "long": (f32(2, 3, 4), {"lengths": [3, 4]}, "sequence 1 has 4 steps, x has 3"),
    "negative": (f32(2, 3, 4), {"lengths": [3, -1]}, "lengths: element 1 is -1"),
    "huge": (f32(2, 3, 4), {"lengths": [3, 2**40]}, "lengths: element 1 is 1099511627776"),
    "huger": (f32(2, 3, 4), {"lengths": [3, 2**70]}, "lengths"),
    "uint64": (f32(2, 3, 4), {"lengths": np.array([3, 2**64 - 1], np.uint64)}, "18446744073709551615"),
    "real lengths": (f32(2, 3, 4), {"lengths": [1.5, 2.0]}, "lengths: its dtype is float64, expected whole numbers"),
    "square lengths": (f32(2, 3, 4), {"lengths": [[1, 2]]}, "one axis"),
    "ragged lengths": (f32(2, 3, 4), {"lengths": [[1], [1, 2]]}, "lengths"),
    "words": (f32(2, 3, 4), {"lengths": ["a", "b"]}, "lengths"),
    "h0": (f32(2, 3, 4), {"h0": f32(2, 1, 6)}, r"h0 \[L·D, B, P\]: expected the shape \[1, 2, 6\], got \[2, 1, 6\]"),
    "h0 of float64": (f32(2, 3, 4), {"h0": np.zeros((1, 2, 6))}, "h0: its dtype"),
    "h0 with NaN": (f32(2, 3, 4), {"h0": np.full((1, 2, 6), np.nan, np.float32)}, "h0.*must be finite"),
    "c0": (f32(2, 3, 4), {"c0": f32(1, 2, 6)}, "c0: .* has no cell state"),
    "resets": (f32(2, 3, 4), {"resets": np.zeros((3, 2), bool)}, r"resets \[B, T\]: expected the shape \[2, 3\]"),
    "real resets": (f32(2, 3, 4), {"resets": np.zeros((2, 3))}, "resets: its dtype is float64"),
    "layout": (f32(2, 3, 4), {"layout": "middle"}, 'layout: "middle" is none of "batch-major", "time-major"'),
    "output layout": (f32(2, 3, 4), {"output_layout": "x"}, "output_layout"),
    "padding": (f32(2, 3, 4), {"padding": "x"}, 'padding: "x" is none of "zero", "last"'),
    "out": (f32(2, 3, 4), {"out": wgru.Output(y=f32(2, 3, 5))}, r"out.y .*expected the shape \[2, 3, 6\]"),
    "out of float64": (f32(2, 3, 4), {"out": wgru.Output(y=np.zeros((2, 3, 6)))}, "out.y: its dtype is float64"),
    "out read-only": (f32(2, 3, 4), {"out": wgru.Output(y=read_only())}, "out.y: it is read-only"),
    "out strided": (f32(2, 3, 4), {"out": wgru.Output(y=f32(2, 6, 6)[:, ::2])}, "out.y: its strides"),
    "out list": (f32(2, 3, 4), {"out": wgru.Output(y=[1.0])}, "out.y: expected a numpy.ndarray"),
    "out c_n": (f32(2, 3, 4), {"out": wgru.Output(c_n=f32(1, 2, 6))}, "out.c_n: the model has none"),
    "out out": (f32(2, 3, 4), {"out": wgru.Output(out=f32(2, 6))}, "out.out: the model has none"),
    "out empty": (f32(2, 3, 4), {"out": wgru.Output()}, "out: it has no array"),
}


@pytest.mark.parametrize("case", CASES)
def test_runs(engine, case):
    x, options, words = CASES[case]
    with pytest.raises(wgru.WrongUse, match=words):
        engine.run(x, **options)
    # The engine goes on.
    assert engine.run(f32(2, 3, 4)).y.shape == (2, 3, 6)


def test_what_is_no_number_passes_where_it_is_allowed_or_padding(rng, engine):
    x = normal(rng, 2, 3, 4)
    x[0, 2] = np.nan
    assert np.isfinite(engine.run(x, lengths=[2, 3]).y).all()
    y = engine.run(x, check_finite=False).y
    assert np.isnan(y[0, 2]).any() and np.isfinite(y[1]).all()


def test_what_is_no_model(cpu):
    for load in (lambda model: wgru.Engine(model, cpu), cpu.load):
        for model, kind in (("gru.safetensors", "str"), (None, "NoneType")):
            with pytest.raises(wgru.WrongUse, match=rf"model: expected a wgru.Model, got {kind}.*Model.from_pytorch\(file\)"):
                load(model)


def test_overlaps(rng, cpu):
    it = net(rng, "lstm", (6, 6))
    engine = cpu.load(it.model)
    shared = normal(rng, 2, 3, 6)
    state = f32(2, 1, 2, 6)
    # The same memory by two objects, of which neither is a view of the other.
    memory = bytearray(2 * 3 * 6 * 4)
    twins = [np.frombuffer(memory, np.float32).reshape(2, 3, 6) for _ in range(2)]
    for x, options in (
        (shared, {"out": wgru.Output(y=shared)}),
        (shared, {"out": wgru.Output(y=shared[:])}),
        (twins[0], {"out": wgru.Output(y=twins[1])}),
        (shared, {"h0": state[0], "out": wgru.Output(h_n=state[0])}),
        (shared, {"out": wgru.Output(h_n=state[0], c_n=state[0])}),
        (shared, {"out": wgru.Output(h_n=state.reshape(-1)[:12].reshape(1, 2, 6), c_n=state.reshape(-1)[6:18].reshape(1, 2, 6))}),
    ):
        before = x.copy()
        with pytest.raises(wgru.WrongUse, match="overlap"):
            engine.run(x, **options)
        assert np.array_equal(x, before)
    output = wgru.Output(h_n=state[0], c_n=state[1])
    assert np.array_equal(engine.run(shared, out=output).h_n, engine.run(shared).h_n)


def test_c0_and_bidirectional_resets(rng, cpu):
    engine = cpu.load(net(rng, "lstm", (4, 6)).model)
    with pytest.raises(wgru.WrongUse, match=r"c0 \[L·D, B, H\]"):
        engine.run(f32(2, 3, 4), c0=f32(1, 2, 5))
    engine = cpu.load(net(rng, "gru", (4, 6), dirs=2).model)
    with pytest.raises(wgru.Unsupported, match="resets"):
        engine.run(f32(2, 3, 4), resets=np.zeros((2, 3), bool))
    with pytest.raises(wgru.Unsupported, match="bidirectional"):
        engine.session(1)
    with pytest.raises(NotImplementedError):
        engine.pool()


def test_sessions_and_pools(rng, engine):
    session = engine.session(2)
    for x, words in (
        (f32(3, 4), r"x \[streams, I\]: expected the shape \[2, 4\], got \[3, 4\]"),
        (f32(4), "expected the shape"),
        (np.zeros((2, 4)), "float64"),
        (f32(2, 8)[:, ::2], "C-contiguous"),
    ):
        with pytest.raises(wgru.WrongUse, match=words):
            session.step(x)
    with pytest.raises(wgru.WrongUse, match=r"resets \[streams\]"):
        session.step(f32(2, 4), resets=[1])
    for state, words in (
        ({}, r'state\["h"\].*it is not there'),
        ({"h": f32(1, 3, 6)}, "expected the shape"),
        ({"h": f32(1, 2, 6), "c": f32(1, 2, 6)}, "no cell state"),
        (7, "expected a mapping"),
    ):
        with pytest.raises(wgru.WrongUse, match=words):
            session.set_state(state)
    with pytest.raises(wgru.WrongUse):
        engine.session(0)
    pool = engine.pool()
    stream = pool.open()
    for frames, words in ((f32(2, 5), "frames"), (f32(1, 2, 4), "frames"), (f32(3), "frames"), (np.zeros(4), "float64")):
        with pytest.raises(wgru.WrongUse, match=words):
            pool.push(stream, frames)
    for other in (stream + 1, 2**63):
        with pytest.raises(wgru.WrongUse, match=f"stream {other}"):
            pool.push(other, f32(4))
    with pytest.raises(wgru.WrongUse, match="save_every"):
        engine.pool(save_to="x")
    with pytest.raises(wgru.WrongUse, match="save_to"):
        engine.pool(save_every=3)
    with pytest.raises(wgru.WrongUse, match='non_finite: "x"'):
        engine.pool(non_finite="x")
    with pytest.raises(wgru.FileMissing) as missing:
        engine.pool(snapshot="/nowhere/at all")
    assert isinstance(missing.value, FileNotFoundError) and isinstance(missing.value, wgru.Error)


def test_devices_and_options(it):
    with pytest.raises(wgru.NoDevice, match='"no such GPU"; found: auto, cpu, reference'):
        wgru.Device.open("no such GPU")
    with pytest.raises(wgru.WrongUse, match='selector "cpu", not "auto"'):
        wgru.Device.open(threads=2)
    with pytest.raises(wgru.WrongUse, match='instructions: "mmx" is none of'):
        wgru.Device.open("cpu", instructions="mmx")
    with pytest.raises(wgru.WrongUse, match="at least 1"):
        wgru.Device.open("cpu", threads=0)
    with pytest.raises(wgru.WrongUse, match='weights: "f64"'):
        wgru.Engine(it.model, "cpu", weights="f64")
    with pytest.raises(wgru.Unsupported):
        wgru.Engine(it.model, "cpu", weights="f16", activations="bf16")
    with pytest.raises(wgru.WrongUse, match="device: expected a selector"):
        wgru.Engine(it.model, 7)
    device = wgru.Device.open("cpu", threads=1, instructions="portable")
    assert device.kind == "cpu" and not device.is_software and not device.is_lost


def test_a_closed_device(rng, it):
    x = normal(rng, 2, 3, 4)
    with wgru.Device.open("cpu") as device:
        engine = device.load(it.model)
        session, pool = engine.session(1), engine.pool()
        stream = pool.open()
        output = engine.run(x)
    assert device.is_lost
    for call in (
        lambda: engine.run(x),
        lambda: session.step(f32(1, 4)),
        lambda: pool.push(stream, f32(4)),
        lambda: pool.tick(),
        lambda: engine.session(1),
        lambda: engine.prepare(1, 1),
        lambda: device.load(it.model),
        lambda: device.kind,
    ):
        with pytest.raises(wgru.LostDevice, match="closed: open it again"):
            call()
    device.close()
    # What it gave stays, and so does what made it.
    assert same_bits(output, engine.recipe().open().run(x))


def test_errors_are_those_of_python():
    assert issubclass(wgru.WrongUse, ValueError) and issubclass(wgru.Limit, MemoryError)
    for name in wgru.__all__:
        error = getattr(wgru, name)
        if isinstance(error, type) and issubclass(error, Exception):
            assert issubclass(error, wgru.Error) and error.__module__ == "wgru"
    with pytest.raises(wgru.BadFile):
        wgru.Model.from_pytorch(b"no file at all")
