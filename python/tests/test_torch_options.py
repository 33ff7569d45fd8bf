"""`wgru.torch` beside torch in float64, over the options of its modules and the forms of its inputs."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402
from torch_common import (  # noqa: E402
    KINDS,
    ROUNDOFF,
    assert_equal,
    expected,
    flat,
    generator,
    in_type,
    integer,
    module,
    stand_in,
    states,
    tolerance,
)

FORMS = ["batched", "unbatched", "sorted", "unsorted"]


def inputs(form, built, draw):
    """x in a form, and the batch size (None without a batch)."""
    batch, steps = integer(draw, 1, 5), integer(draw, 1, 9)

    def normal(*shape):
        return torch.randn(*shape, built.input_size, generator=draw)

    if form == "unbatched":
        return normal(steps), None
    if form == "batched":
        return normal(*((batch, steps) if built.batch_first else (steps, batch))), batch
    lengths = torch.randint(1, steps + 1, (batch,), generator=draw)
    if form == "sorted":
        lengths = lengths.sort(descending=True).values
    return pack_padded_sequence(normal(steps, batch), lengths, enforce_sorted=form == "sorted"), batch


def check(built, gru, form, with_hx, draw):
    """Compares one call with torch's; also what is around the numbers."""
    x, batch = inputs(form, built, draw)
    hx = states(built, draw, batch) if with_hx else None
    wanted = expected(built, x, hx)
    with torch.inference_mode():
        found = gru(x, hx)
    assert_equal(found, wanted, tolerance(built, x, wanted))
    for one, other in zip(flat(found), flat(wanted), strict=True):
        assert one.shape == other.shape and one.dtype == torch.float32
    if isinstance(x, PackedSequence):
        for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            one, other = getattr(found[0], name), getattr(wanted[0], name)
            assert (one is None and other is None) or torch.equal(one, other), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional, layers", list(itertools.product([False, True], [1, 2, 3])))
@pytest.mark.parametrize("kind", KINDS)
def test_options(cpu, kind, bidirectional, layers, form):
    for bias, batch_first, with_hx in itertools.product([True, False], repeat=3):
        draw = generator(f"{kind} {bidirectional} {layers} {form} {bias} {batch_first} {with_hx}")
        options = {"bidirectional": bidirectional, "num_layers": layers, "bias": bias, "batch_first": batch_first}
        built = module(kind, draw, **options)
        check(built, stand_in(built, cpu), form, with_hx, draw)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu(gpu, kind, form):
    draw = generator(f"gpu {kind} {form}")
    built = module(kind, draw, num_layers=2, bidirectional=form != "batched", input_size=5, hidden_size=8)
    gru = stand_in(built, gpu)
    assert gru.engine.device.kind == "gpu"
    check(built, gru, form, True, draw)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_types(cpu, kind, dtype, form):
    """x, states and weights in 16 bits. Computation is in float32, so only the results are rounded, once."""
    draw = generator(f"{kind} {dtype} {form}")
    built = module(kind, draw, num_layers=2, batch_first=True).to(dtype)
    x, batch = inputs(form, built, draw)
    x, hx = in_type(x, dtype), in_type(states(built, draw, batch), dtype)
    wanted = expected(built, x, hx)
    with torch.inference_mode():
        found = stand_in(built, cpu)(x, hx)
    assert all(one.dtype == dtype for one in flat(found))
    assert_equal(found, wanted, tolerance(built.float(), in_type(x, torch.float32), wanted), rtol=ROUNDOFF[dtype])


@pytest.mark.parametrize("weights, activations", [("f16", "f32"), ("bf16", "f32"), ("f16", "f16"), ("bf16", "bf16")])
@pytest.mark.parametrize("kind", KINDS)
def test_storage(cpu, kind, weights, activations):
    draw = generator(f"{kind} {weights} {activations}")
    built = module(kind, draw, hidden_size=12)
    x, _ = inputs("batched", built, draw)
    wanted = expected(built, x, None)
    with torch.inference_mode():
        found = stand_in(built, cpu, weights=weights, activations=activations)(x)
    of = {"f32": 0.0, "f16": ROUNDOFF[torch.float16], "bf16": ROUNDOFF[torch.bfloat16]}
    assert_equal(found, wanted, tolerance(built, x, wanted, of[weights], of[activations]))


@pytest.mark.parametrize("kind", KINDS)
def test_sizes(cpu, kind):
    """Sizes beyond those of the other tests: long sequences, many rows, one unit more than a vector."""
    for batch, steps, width, hidden in [(1, 300, 3, 33), (70, 5, 17, 16), (3, 40, 130, 65), (1, 1, 1, 4)]:
        draw = generator(f"{kind} {batch} {steps}")
        built = module(kind, draw, input_size=width, hidden_size=hidden, num_layers=2, dropout=0.5)
        x = torch.randn(steps, batch, width, generator=draw)
        wanted = expected(built, x, None)
        with torch.inference_mode():
            assert_equal(stand_in(built, cpu)(x), wanted, tolerance(built, x, wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_tolerance_sees_faults(cpu, kind):
    """The comparison is not empty: a weight off by a hundredth, or two rows in the wrong order, is beyond the tolerance."""
    draw = generator(f"faults {kind}")
    built = module(kind, draw, input_size=6, hidden_size=8)
    x = torch.randn(6, 3, 6, generator=draw)
    wanted = expected(built, x, None)
    for change in (lambda w: w.mul_(1.01), lambda w: w.copy_(w.roll(1, 0))):
        other = module(kind, generator(f"faults {kind}"), input_size=6, hidden_size=8)
        with torch.no_grad():
            change(other.weight_hh_l0)
        with torch.inference_mode(), pytest.raises(AssertionError):
            assert_equal(stand_in(other, cpu)(x), wanted, tolerance(built, x, wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_not_finite(cpu, kind):
    """NaN in a row spreads as in torch, and to no other row."""
    draw = generator(f"nan {kind}")
    built = module(kind, draw, input_size=4, hidden_size=6)
    x = torch.randn(5, 3, 4, generator=draw)
    x[2, 1, 0] = float("nan")
    with torch.inference_mode():
        found, wanted = stand_in(built, cpu)(x), built(x)
    for one, other in zip(flat(found), flat(wanted), strict=True):
        assert torch.equal(one.isnan(), other.isnan())
    assert flat(found)[0][:2].isfinite().all() and flat(found)[0][:, [0, 2]].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_empty(cpu, kind):
    """What torch does with no rows and with no steps."""
    built = module(kind, generator(f"empty {kind}"))
    gru = stand_in(built, cpu)
    with torch.inference_mode():
        for steps, batch in [(4, 0), (0, 2), (0, 0)]:
            x = torch.zeros(steps, batch, built.input_size)
            try:
                wanted = flat(built(x))
            except RuntimeError:
                with pytest.raises(ValueError):
                    gru(x)
                continue
            for one, other in zip(flat(gru(x)), wanted, strict=True):
                assert one.shape == other.shape
