"""`wgru.torch.replace`: what is swapped, and what not and why."""

import copy

import pytest

torch = pytest.importorskip("torch")

import wgru  # noqa: E402
import wgru.torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402
from torch_common import SEED  # noqa: E402


class Tagger(nn.Module):
    """Three recurrent layers, one of them shared by two names, and what models do with them."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.encoder = nn.GRU(6, 8, 2, batch_first=True, bidirectional=True, dropout=0.1)
        self.decoders = nn.ModuleList([nn.LSTM(16, 8, batch_first=True), nn.RNN(8, 5, nonlinearity="relu", batch_first=True)])
        self.again = self.decoders[0]
        self.head = nn.Linear(5, 3)

    def forward(self, words):
        self.encoder.flatten_parameters()
        y, h = self.encoder(self.embed(words))
        assert h.shape[0] == 2 * self.encoder.num_layers
        y, _ = self.decoders[0](y)
        return self.head(self.decoders[1](y)[0])


def model(seed=SEED):
    torch.manual_seed(seed)
    return Tagger().eval()


def test_a_model():
    before = model()
    after = copy.deepcopy(before)
    report = wgru.torch.replace(after, "cpu")
    swapped = {one.name: one.module for one in report.swapped}
    assert swapped == {"encoder": "GRU", "decoders.0": "LSTM", "decoders.1": "RNN", "again": "LSTM"}
    assert report.left == [] and report.device == "cpu"
    assert str(report).splitlines()[0] == "encoder: GRU, on cpu"
    assert isinstance(after.encoder, wgru.torch.GRU) and after.again is after.decoders[0]
    assert after.encoder.engine.device is after.decoders[1].engine.device or after.encoder.engine.device.kind == "cpu"
    words = torch.randint(0, 20, (3, 7))
    with torch.inference_mode():
        torch.testing.assert_close(after(words), before(words), atol=1e-5, rtol=0)
    with pytest.raises(wgru.WrongUse, match="gradient"):
        after(words)
    again = wgru.torch.replace(after, "cpu")
    assert again.swapped == [] and all(one.reason == "it is a stand-in already" for one in again.left)


def test_weights_may_be_shared():
    built = nn.ModuleList([nn.GRU(4, 4), nn.GRU(4, 4)]).eval()
    built[1].weight_hh_l0 = built[0].weight_hh_l0
    before = copy.deepcopy(built)
    assert len(wgru.torch.replace(built, "cpu").swapped) == 2
    x = torch.randn(3, 2, 4)
    with torch.inference_mode():
        for one, two in zip(built, before, strict=True):
            torch.testing.assert_close(one(x), two(x), atol=1e-5, rtol=0)


class Own(nn.GRU):
    def forward(self, input, hx=None):
        return super().forward(-input, hx)


class Named(nn.GRU):
    """A subclass that computes what nn.GRU does."""


def hooked(module):
    module.register_forward_hook(lambda module, inputs, outputs: None)
    return module


def with_forward(module):
    module.forward = lambda input, hx=None: (input, hx)
    return module


def with_buffer(module):
    module.register_buffer("scale", torch.ones(1))
    return module


def trained(module):
    return module.train()


@pytest.mark.parametrize(
    "made, words",
    [
        (lambda: trained(nn.GRU(3, 4)), r"training mode: call eval\(\)"),
        (lambda: Own(3, 4), "Own has a forward of its own"),
        (lambda: with_forward(nn.GRU(3, 4)), "has a forward of its own"),
        (lambda: hooked(nn.GRU(3, 4)), "forward hook"),
        (lambda: parametrizations.orthogonal(nn.GRU(3, 4), "weight_hh_l0"), r"parametrized: call .*remove_parametrizations"),
        (lambda: prune.l1_unstructured(nn.GRU(3, 4), "weight_hh_l0", 0.3), r"pruned: call .*prune\.remove"),
        (lambda: nn.utils.spectral_norm(nn.GRU(3, 4), "weight_hh_l0"), "SpectralNorm"),
        (lambda: with_buffer(nn.GRU(3, 4)), '"scale"'),
        (lambda: nn.GRU(3, 4).double(), r"float64.*module\.float\(\)"),
        (lambda: nn.GRU(3, 4, device="meta"), "meta device"),
        (lambda: nn.GRUCell(3, 4), "a cell is called for each step"),
        (lambda: nn.LSTMCell(3, 4), "a cell is called for each step"),
        (lambda: torch.jit.script(nn.GRU(3, 4)), r"scripted.*before torch\.jit\.script"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_left(made, words):
    module = made()
    if "training" not in words:
        module.eval()
    parent = nn.ModuleDict({"a": module, "b": nn.GRU(3, 4).eval()})
    report = wgru.torch.replace(parent, "cpu")
    assert [one.name for one in report.left] == ["a"] and [one.name for one in report.swapped] == ["b"]
    assert parent["a"] is module
    import re

    assert re.search(words, report.left[0].reason), report.left[0].reason
    assert report.left[0].reason in str(report)


def test_removed_again():
    """What the reasons advise makes a module suitable."""
    pruned = prune.l1_unstructured(nn.GRU(3, 4), "weight_hh_l0", 0.3)
    prune.remove(pruned, "weight_hh_l0")
    bound = parametrizations.orthogonal(nn.GRU(3, 4), "weight_hh_l0")
    parametrize.remove_parametrizations(bound, "weight_hh_l0")
    parent = nn.ModuleList([pruned, bound, Named(3, 4)]).eval()
    before = copy.deepcopy(parent)
    report = wgru.torch.replace(parent, "cpu")
    assert [one.module for one in report.swapped] == ["GRU", "GRU", "Named"], str(report)
    x = torch.randn(3, 2, 3)
    with torch.inference_mode():
        for one, two in zip(parent, before, strict=True):
            torch.testing.assert_close(one(x), two(x), atol=1e-5, rtol=0)


def test_quantized():
    quantized = pytest.importorskip("torch.ao.nn.quantized.dynamic")
    parent = nn.ModuleDict({"a": quantized.LSTM(3, 4)}).eval()
    report = wgru.torch.replace(parent, "cpu")
    assert report.swapped == [] and "quantized weights are not read" in report.left[0].reason


def test_the_model_itself():
    report = wgru.torch.replace(nn.LSTM(3, 4).eval(), "cpu")
    assert report.swapped == [] and "wgru.torch.LSTM(model)" in report.left[0].reason


def test_no_recurrent_module():
    assert str(wgru.torch.replace(nn.Linear(2, 2), "cpu")) == "no recurrent module"


def test_no_device():
    before = model()
    with pytest.raises(wgru.NoDevice):
        wgru.torch.replace(before, "no such device")
    assert type(before.encoder) is nn.GRU
