"""Sessions and pools: the bits of sequences."""

import os
import threading

import numpy as np
import pytest
import wgru
from common import net, normal

KINDS = [
    {"cell": "gru", "layers": 2},
    {"cell": "gru", "reset": "before", "readout": "last"},
    {"cell": "lstm", "proj": 5, "readout": "every"},
    {"cell": "rnn"},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_session_has_the_bits_of_a_sequence(rng, cpu, kind):
    it = net(rng, **kind)
    engine = cpu.load(it.model)
    x = normal(rng, 3, 8, 5)
    expected = engine.run(x)
    session = engine.session(3)
    assert session.streams == 3
    for t in range(8):
        y, out = session.step(np.ascontiguousarray(x[:, t]))
        assert y.shape == (3, it.model.output) and np.array_equal(y, expected.y[:, t])
        assert (out is None) == (it.model.readout_outputs == 0)
        if out is not None and it.model.readout_at == "every":
            assert np.array_equal(out, expected.out[:, t])
    if it.model.readout_at == "last":
        assert np.array_equal(out, expected.out)
    state = session.state()
    assert np.array_equal(state["h"], expected.h_n)
    assert (state["c"] is None) == (expected.c_n is None)
    # States go to another session, and on from there.
    other = engine.session(3)
    other.set_state(state)
    frame = normal(rng, 3, 5)
    assert np.array_equal(session.step(frame).y, other.step(frame).y)
    session.reset()
    assert not session.state()["h"].any()
    assert np.array_equal(session.step(np.ascontiguousarray(x[:, 0])).y, expected.y[:, 0])


def test_resets_of_a_step(rng, cpu):
    engine = cpu.load(net(rng, "gru").model)
    session, x = engine.session(2), normal(rng, 2, 5)
    first = session.step(x).y
    for resets in ([0, 1], np.array([False, True]), np.array([0, 7], np.uint8)):
        y = session.step(x, resets=resets).y
        assert np.array_equal(y[1], first[1]) and not np.array_equal(y[0], first[0])


def test_one_stream_takes_a_vector(rng, cpu):
    engine = cpu.load(net(rng, "gru").model)
    x = normal(rng, 5)
    y = engine.session().step(x).y
    assert y.shape == (1, 12) and np.array_equal(y, engine.session().step(x[None]).y)


def test_a_large_step_is_new_each_time(rng, cpu):
    """Large outputs are handed over and not copied: an earlier one is not written again."""
    engine = cpu.load(net(rng, "gru", (5, 64)).model)
    session = engine.session(200)
    first = session.step(normal(rng, 200, 5)).y
    kept = first.copy()
    second = session.step(normal(rng, 200, 5)).y
    assert np.array_equal(first, kept) and not np.array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_pool_has_the_bits_of_sequences(rng, cpu, kind, tmp_path):
    it = net(rng, **kind)
    engine = cpu.load(it.model)
    pool = engine.pool(2, frames=3)
    x = [normal(rng, 1, int(rng.integers(4, 12)), 5) for _ in range(5)]
    expected = [engine.run(one) for one in x]
    streams = [pool.open() for _ in x]
    assert len(pool) == 5 and pool.streams == sorted(streams)
    got = {stream: [] for stream in streams}

    def tick(pool):
        for frames in pool.tick():
            y, out = frames
            assert 1 <= len(y) <= 3 and (out is None) == (it.model.readout_outputs == 0)
            got[frames.stream].append(y)

    for stream, one in zip(streams, x, strict=True):
        pool.push(stream, one[0, :2])
        pool.push(stream, one[0, 2])
    assert pool.ready == 5 and pool.pending(streams[0]) == 3
    tick(pool)
    assert pool.ready == 0
    # The streams go on in a pool of another process, of bytes or of a file.
    snapshot = pool.snapshot()
    pool.save(tmp_path / "pool.safetensors")
    assert (tmp_path / "pool.safetensors").stat().st_size == len(snapshot)
    second = engine.pool(snapshot=snapshot if rng.random() < 0.5 else str(tmp_path / "pool.safetensors"), frames=3)
    assert second.streams == sorted(streams)
    for stream, one in zip(streams, x, strict=True):
        second.push(stream, one[0, 3:])
    while second.ready:
        tick(second)
    for stream, want in zip(streams, expected, strict=True):
        assert np.array_equal(np.concatenate(got[stream]), want.y[0])
        state = second.state(stream)
        assert np.array_equal(state["h"], want.h_n[:, 0])
        if want.c_n is not None:
            assert np.array_equal(state["c"], want.c_n[:, 0])


def test_a_pool_writes_snapshots(rng, cpu, tmp_path):
    engine = cpu.load(net(rng, "gru").model)
    path = tmp_path / "every.safetensors"
    pool = engine.pool(save_to=path, save_every=2)
    stream = pool.open()
    for _ in range(5):
        pool.push(stream, normal(rng, 5))
        pool.tick()
    assert engine.pool(snapshot=path).streams == [stream]
    # One that cannot be written is a warning, and the outputs are there.
    pool = engine.pool(save_to=path / "under a file", save_every=1)
    stream = pool.open()
    with pytest.warns(RuntimeWarning, match="snapshot"):
        for _ in range(3):
            pool.push(stream, normal(rng, 5))
            assert len(pool.tick()) == 1


def test_streams_of_a_pool(rng, cpu):
    it = net(rng, "lstm")
    engine = cpu.load(it.model)
    pool = engine.pool(fixed=True, capacity=2, queue=4, non_finite="isolate")
    a = pool.open()
    pool.push(a, normal(rng, 3, 5))
    assert pool.reset(a) == 3 and pool.pending(a) == 0
    pool.push(a, normal(rng, 2, 5))
    pool.tick()
    state = pool.state(a)
    assert state["h"].shape == (1, 12) and state["c"].shape == (1, 12)
    b = pool.open(state)
    frame = normal(rng, 5)
    for stream in (a, b):
        pool.push(stream, frame)
    first, second = pool.tick()
    assert np.array_equal(first.y, second.y)
    with pytest.raises(wgru.Limit):
        pool.open()
    with pytest.raises(wgru.Limit, match="5"):
        pool.push(a, normal(rng, 5, 5))
    with pytest.raises(wgru.WrongUse, match="frame 1"):
        pool.push(a, np.array([[0] * 5, [np.nan] * 5], np.float32))
    with pytest.raises(wgru.WrongUse, match=str(a)):
        pool.push(a, frame)
    assert pool.set_state(a, state) == 0
    pool.push(a, frame)
    assert pool.close(a) == 1
    with pytest.raises(wgru.WrongUse, match="not open"):
        pool.push(a, frame)
    assert pool.streams == [b]


def test_a_session_takes_one_call_at_a_time(rng, reference):
    """The second thread is told, and neither waits nor computes on half of a step."""
    engine = reference.load(net(rng, "gru", (8, 1024)).model)
    session, x = engine.session(4), normal(rng, 4, 8)
    begun, ended = threading.Event(), threading.Event()

    def steps():
        begun.set()
        for _ in range(3):
            session.step(x)
        ended.set()

    thread = threading.Thread(target=steps)
    thread.start()
    begun.wait()
    refused = 0
    while not ended.is_set():
        try:
            session.state()
        except wgru.WrongUse as error:
            assert "one at a time" in str(error)
            refused += 1
    thread.join()
    assert refused > 0
    assert session.step(x).y.shape == (4, 1024)


def test_a_snapshot_of_another_model_is_refused(rng, cpu):
    snapshot = cpu.load(net(rng, "gru").model).pool().snapshot()
    assert isinstance(snapshot, bytes)
    with pytest.raises(wgru.BadFile):
        cpu.load(net(rng, "gru").model).pool(snapshot=os.urandom(64))
    pool = cpu.load(net(rng, "gru").model).pool()
    pool.open()
    with pytest.raises(wgru.WrongUse):
        cpu.load(net(rng, "gru", (5, 13)).model).pool(snapshot=pool.snapshot())
