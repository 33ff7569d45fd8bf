"""What the stand-ins of `wgru.torch` do beside computing: copies, refusals, pickling, state dicts."""

import copy
import importlib.util
import io
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import wgru  # noqa: E402
import wgru.torch  # noqa: E402
from torch import nn  # noqa: E402
from torch_common import KINDS, flat, generator, module, stand_in, states  # noqa: E402


class Seen:
    """An engine whose arguments and results are kept."""

    def __init__(self, engine):
        self.engine, self.device = engine, engine.device

    def run(self, x, **options):
        self.x, self.options = x, options
        self.out = self.engine.run(x, **options)
        return self.out


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_copied(cpu, kind, batch_first):
    draw = generator(f"copies {kind}")
    built = module(kind, draw, batch_first=batch_first)
    gru = stand_in(built, cpu)
    gru.engine = seen = Seen(gru.engine)
    x = torch.randn(3, 4, built.input_size, generator=draw)
    hx = states(built, draw, 3 if batch_first else 4)
    own, other = ("batch-major", "time-major") if batch_first else ("time-major", "batch-major")
    for given, layout, turned in [(x, own, False), (x.transpose(0, 1), other, True)]:
        hx = states(built, draw, given.shape[0 if batch_first else 1])
        with torch.inference_mode():
            found = flat(gru(given, hx))
            wanted = flat(built(given, hx))
        assert seen.options["layout"] == layout and seen.options["output_layout"] == own
        assert np.shares_memory(seen.x, x.numpy()), f"x was copied, turned: {turned}"
        given_states = [seen.options["h0"], seen.options["c0"]]
        for array, state in zip(given_states, flat(hx), strict=False):
            assert np.shares_memory(array, state.numpy())
        for tensor, array in zip(found, [seen.out.y, seen.out.h_n, seen.out.c_n], strict=False):
            assert np.shares_memory(tensor.numpy(), array)
        for one, two in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_other_strides_are_read_right(cpu):
    built = module("gru", generator("strides"), input_size=4)
    wide = torch.randn(6, 5, 9)
    for x in (wide[..., 2:6], wide[::2, :, :4], wide[:, 1:3, ::2][..., :4], torch.randn(1, 1, 4).expand(6, 3, 4)):
        with torch.inference_mode():
            torch.testing.assert_close(stand_in(built, cpu)(x), built(x), atol=1e-5, rtol=0)


def test_training_mode(cpu):
    gru = stand_in(module("gru", generator("training")), cpu)
    assert not gru.training
    with pytest.raises(wgru.WrongUse, match=r"model\.eval\(\)"):
        gru.train()(torch.zeros(1, 1, gru.input_size))
    with pytest.raises(wgru.WrongUse, match=r"training mode.*eval\(\)"):
        wgru.torch.GRU(nn.GRU(2, 3), cpu)


def test_gradients(cpu):
    gru = stand_in(module("lstm", generator("gradients")), cpu)
    x = torch.zeros(2, 1, gru.input_size)
    hx = states(gru, generator("gradients"), 1)
    for given in [(x.clone().requires_grad_(), None), (x, (hx[0].clone().requires_grad_(), hx[1]))]:
        with pytest.raises(wgru.WrongUse, match=r"torch\.inference_mode\(\)"):
            gru(*given)
        with torch.no_grad():
            assert not gru(*given)[0].requires_grad
    assert not gru(x)[0].requires_grad, "the weights' gradients are nobody's here"


@pytest.mark.parametrize(
    "kind, x, hx, words",
    [
        ("gru", (3, 2, 5), None, "5 features, expected input_size 4"),
        ("gru", (4,), None, "1 dimensions"),
        ("gru", (1, 3, 2, 4), None, "4 dimensions"),
        ("gru", (3, 2, 4), [(1, 3, 6)], r"h_0 is \[1, 3, 6\], expected \[1, 2, 6\]"),
        ("gru", (3, 2, 4), [(2, 6)], r"h_0 is \[2, 6\], expected \[1, 2, 6\]"),
        ("gru", (3, 4), [(1, 1, 6)], "expected 2, because the input has no batch"),
        ("gru", (3, 2, 4), [(1, 2, 6), (1, 2, 6)], "hx: a tuple, expected a tensor"),
        ("lstm", (3, 2, 4), [(1, 2, 6)], "expected a tuple of two tensors"),
        ("lstm-proj", (3, 2, 4), [(1, 2, 6), (1, 2, 6)], r"h_0 is \[1, 2, 6\], expected \[1, 2, 3\]"),
        ("lstm", (3, 2, 4), [(1, 2, 6), (1, 2, 5)], r"c_0 is \[1, 2, 5\], expected \[1, 2, 6\]"),
    ],
)
def test_shapes(cpu, kind, x, hx, words):
    """Each is refused by torch too."""
    built = module(kind, generator("shapes"), input_size=4, hidden_size=6)
    made = hx and [torch.zeros(shape) for shape in hx]
    hx = made and (made[0] if len(made) == 1 else tuple(made))
    with torch.inference_mode():
        with pytest.raises(wgru.WrongUse, match=words):
            stand_in(built, cpu)(torch.zeros(x), hx)
        with pytest.raises((RuntimeError, ValueError, AttributeError, TypeError, IndexError)):
            built(torch.zeros(x), hx)


def test_float64_and_other_inputs(cpu):
    built = module("gru", generator("types"), input_size=4)
    gru = stand_in(built, cpu)
    with pytest.raises(wgru.Unsupported, match=r"input: float64.*input\.float\(\)"):
        gru(torch.zeros(1, 1, 4, dtype=torch.float64))
    with pytest.raises(wgru.Unsupported, match="int64"):
        gru(torch.zeros(1, 1, 4, dtype=torch.int64))
    with pytest.raises(wgru.WrongUse, match="a ndarray, expected a tensor"):
        gru(np.zeros((1, 1, 4), np.float32))
    with pytest.raises(wgru.WrongUse, match=r"float64.*module\.float\(\)"):
        wgru.torch.GRU(built.double(), cpu)
    with pytest.raises(wgru.WrongUse, match="meta device"):
        gru(torch.zeros(1, 1, 4, device="meta"))


def test_the_class_has_to_fit(cpu):
    with pytest.raises(wgru.WrongUse, match=r"a LSTM, and wgru\.torch\.GRU stands in for torch\.nn\.GRU"):
        wgru.torch.GRU(nn.LSTM(2, 3).eval(), cpu)
    with pytest.raises(wgru.WrongUse, match="a Linear"):
        wgru.torch.RNN(nn.Linear(2, 3), cpu)


def test_names_a_module_has(cpu):
    built = module("lstm-proj", generator("names"), num_layers=2, bidirectional=True, batch_first=True, dropout=0.25, bias=False)
    gru = stand_in(built, cpu, weights="f16")
    names = ["mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"]
    assert [getattr(gru, name) for name in names] == [getattr(built, name) for name in names]
    gru.flatten_parameters()
    assert stand_in(module("rnn-relu", generator("names")), cpu).nonlinearity == "relu"
    text = repr(gru)
    sizes = f"{built.input_size}, {built.hidden_size}"
    assert (
        text
        == f"LSTM({sizes}, proj_size=3, num_layers=2, bias=False, batch_first=True, bidirectional=True, device=cpu, weights=f16)"
    )


def test_state_dict(cpu):
    built = module("gru", generator("state"), input_size=4)
    model = nn.ModuleDict({"rnn": stand_in(built, cpu), "head": nn.Linear(3, 2)})
    assert list(model.state_dict()) == ["head.weight", "head.bias"]
    model.load_state_dict(model.state_dict())
    with_weights = {**model.state_dict(), **{f"rnn.{name}": value for name, value in built.state_dict().items()}}
    for strict in (True, False):
        with pytest.raises(RuntimeError, match="has its weights in an engine"):
            model.load_state_dict(with_weights, strict=strict)
    assert model.half()["rnn"] is model["rnn"]


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
@pytest.mark.parametrize("kind", KINDS)
def test_copies(cpu, kind, how):
    draw = generator(f"{how} {kind}")
    built = module(kind, draw, num_layers=2, bidirectional=True)
    gru = stand_in(built, cpu)
    model = nn.Sequential(gru)
    if how == "deepcopy":
        other = copy.deepcopy(model)[0]
        assert other is not gru and other.engine is gru.engine
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(model))[0]
    else:
        file = io.BytesIO()
        torch.save(model, file)
        other = torch.load(io.BytesIO(file.getvalue()), weights_only=False)[0]
    assert repr(other) == repr(gru)
    x = torch.randn(5, 2, built.input_size, generator=draw)
    for one, two in zip(flat(gru(x)), flat(other(x)), strict=True):
        assert torch.equal(one, two)


def test_compile(cpu):
    built = module("gru", generator("compile"), input_size=4)
    gru = stand_in(built, cpu)
    compiled = torch.compile(lambda x: gru(x * 2)[0] + 1, backend="eager")
    x = torch.randn(5, 2, 4)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            torch.testing.assert_close(compiled(x), built(x * 2)[0] + 1, atol=1e-5, rtol=0)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="torch was installed without Triton")
def test_triton_is_loaded_before_drivers(gpu):
    """Triton crashes the process if it is loaded after Mesa's OpenGL drivers (wgru/torch/_triton.py)."""
    code = "import wgru.torch; wgru.devices(); wgru.Device.open('vulkan'); import triton; print('ok', triton.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "ok triton\n"), done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trace_is_refused(cpu):
    gru = stand_in(module("gru", generator("trace"), input_size=4), cpu)
    with torch.inference_mode(), pytest.raises(wgru.WrongUse, match="constants"):
        torch.jit.trace(gru, torch.zeros(2, 1, 4))


def test_threads(cpu):
    """One stand-in, called from several threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    built = module("gru", generator("threads"), input_size=4)
    gru = stand_in(built, cpu)
    xs = torch.randn(32, 9, 3, 4)
    with torch.inference_mode():
        wanted = [gru(x)[0] for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for one, two in zip(pool.map(lambda x: gru(x)[0], xs), wanted, strict=True):
            assert torch.equal(one, two)


def test_no_warning_on_the_cpu(cpu):
    gru = stand_in(module("gru", generator("quiet"), input_size=4), cpu)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gru(torch.zeros(2, 1, 4))
        gru(torch.zeros(2, 1, 4, dtype=torch.float16))
