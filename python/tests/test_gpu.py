"""The same on a GPU by Vulkan, real or software. What a GPU computes is tested in the crate; this is about the border."""

import numpy as np
import pytest
import wgru
from common import assert_close, net, normal, same_bits, states

KINDS = [
    {"cell": "gru", "layers": 2, "readout": "last"},
    {"cell": "lstm", "proj": 5, "readout": "every"},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_runs_sessions_and_pools(rng, gpu, reference, kind):
    it = net(rng, **kind)
    engine = gpu.load(it.model)
    engine.prepare(3, 6)
    x = normal(rng, 3, 6, 5)
    given = {"lengths": [6, 2, 4], **states(rng, it.model, 3)}
    output = engine.run(x, **given)
    assert_close(output, reference.load(it.model).run(x, **given), it.tolerance(x, 6))
    arrays = wgru.Output(
        **{n: np.full_like(a, np.nan) for n in ("y", "h_n", "c_n", "out") if (a := getattr(output, n)) is not None}
    )
    assert same_bits(engine.run(x, out=arrays, **given), output)
    plain = engine.run(x)
    session, pool = engine.session(3), engine.pool()
    streams = [pool.open() for _ in range(3)]
    for stream, row in zip(streams, x, strict=True):
        pool.push(stream, row)
    for t in range(6):
        assert np.array_equal(session.step(np.ascontiguousarray(x[:, t])).y, plain.y[:, t])
    ticked = {frames.stream: frames.y for frames in pool.tick()}
    assert all(np.array_equal(ticked[stream], plain.y[row]) for row, stream in enumerate(streams))
    assert np.array_equal(session.state()["h"], plain.h_n)
    assert gpu.kind == "gpu" and str(gpu).startswith("vulkan")
    assert engine.memory(3, 6) > 0 and engine.explain(3, 6)


def test_a_batch_in_pieces_has_the_bits_of_one(rng, gpu):
    it = net(rng, "gru")
    x = normal(rng, 64, 20, 5)
    whole = gpu.load(it.model).run(x)
    small = gpu.load(it.model, memory=100_000)
    assert "in " in small.explain(64, 20) and "pieces" in small.explain(64, 20)
    assert same_bits(small.run(x), whole)


def test_a_closed_gpu(rng):
    selector = next((name for name in wgru.devices() if name.startswith("vulkan")), None)
    if selector is None:
        pytest.skip("no adapter of Vulkan is here")
    it = net(rng, "gru")
    device = wgru.Device.open("vulkan")
    engine = device.load(it.model)
    session = engine.session()
    y = engine.run(normal(rng, 1, 2, 5)).y
    device.close()
    with pytest.raises(wgru.LostDevice):
        engine.run(normal(rng, 1, 2, 5))
    with pytest.raises(wgru.LostDevice):
        session.step(normal(rng, 5))
    assert np.isfinite(y).all()
