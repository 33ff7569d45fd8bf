"""`wgru.torch` with tensors that are not on the CPU: on a torch device that is made here, whose memory nobody reads in place."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import wgru.torch._modules as modules  # noqa: E402
from torch.utils import backend_registration  # noqa: E402
from torch_common import KINDS, flat, generator, module, stand_in, states  # noqa: E402


class Remote(torch.Tensor):
    """A tensor of the device "remote": a shape and a type, with its values elsewhere."""

    @staticmethod
    def __new__(cls, size, dtype):
        made = torch._C._acc.create_empty_tensor(size, dtype)
        made.__class__ = cls
        return made

    def __init__(self, size, dtype):
        self.values = None


@pytest.fixture(scope="module")
def remote():
    start = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if start is None:
        pytest.skip(f"torch {torch.__version__} has no devices that are written in Python")
    start("remote")
    library = torch.library.Library("aten", "IMPL")

    def copied(source, target, non_blocking=False):
        values = source.values if isinstance(source, Remote) else source
        if isinstance(target, Remote):
            target.values = values.to(target.dtype).clone()
        else:
            target.copy_(values)
        return target

    def empty(size, *strides, dtype=None, **options):
        return Remote(torch.Size(size), dtype or torch.float32)

    library.impl("_copy_from", copied, "PrivateUse1")
    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty, "PrivateUse1")
    yield torch.device("remote:0")
    library._destroy()


@pytest.mark.parametrize("kind", KINDS)
def test_copied_there_and_back(cpu, remote, kind):
    draw = generator(f"remote {kind}")
    built = module(kind, draw, num_layers=2, batch_first=True)
    gru = stand_in(built, cpu)
    x, hx = torch.randn(2, 5, built.input_size, generator=draw), states(built, draw, 2)
    there = tuple(state.to(remote) for state in hx) if isinstance(hx, tuple) else hx.to(remote)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, wanted = flat(gru(x.to(remote), there)), flat(gru(x, hx))
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.device == remote and torch.equal(one.cpu(), other)


def test_warned_of_once(cpu, remote):
    modules._warned.clear()
    gru = stand_in(module("gru", generator("warned"), input_size=4), cpu)
    x = torch.zeros(2, 1, 4).to(remote)
    with torch.no_grad():
        with pytest.warns(UserWarning, match="on remote:0: it is copied to the CPU, and y back") as seen:
            gru(x)
        assert seen[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gru(x)
            stand_in(module("rnn-relu", generator("warned"), input_size=4), cpu)(x)
