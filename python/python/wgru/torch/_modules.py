"""The stand-ins: what torch's `forward` takes, given to an engine, and back."""

import copy
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from wgru import Device, Engine, Model, Unsupported, WrongUse

from ._suitable import TYPES, kind_of, reason_against, words
from ._suitable import weights as weights_of

if TYPE_CHECKING:
    from wgru import Floats, Storage

Layout = Literal["batch-major", "time-major"]
BATCH_MAJOR: Layout = "batch-major"
TIME_MAJOR: Layout = "time-major"

OPTIONS = ["mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"]

# The torch devices whose tensors were copied and warned of.
_warned: set[str] = set()


# Unlike torch.compiler.disable, this does not import the compiler before it is used.
@torch._disable_dynamo  # type: ignore[attr-defined]
def _outside_of_graphs(module: "Recurrent", input: Tensor | PackedSequence, hx: Any) -> tuple[Any, Any]:
    return module._forward(input, hx)


class Recurrent(nn.Module):
    """What the stand-ins share. `engine` computes; its `explain`, `memory`, `session` and `pool` are of use here too."""

    stands_for: ClassVar[type[nn.RNNBase]]
    engine: Engine
    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(
        self, module: nn.RNNBase, device: str | Device = "auto", weights: "Storage" = "f32", activations: "Storage" = "f32"
    ) -> None:
        """A stand-in for a trained `module`, whose weights are copied.

        device: as `wgru.Device.open` takes it, or an open one. weights, activations: their storage; computation is in f32.
        Raises `WrongUse` for a module that this would not equal, and says why.
        """
        super().__init__()
        name = self.stands_for.__name__
        if kind_of(module) is not self.stands_for:
            raise WrongUse(f"module: a {type(module).__qualname__}, and wgru.torch.{name} stands in for torch.nn.{name}")
        if reason := reason_against(module):
            raise WrongUse(f"module: {reason}")
        opened = Device.open(device) if isinstance(device, str) else device
        self.engine = opened.load(self._model(module), weights=weights, activations=activations)
        for attribute in OPTIONS:
            setattr(self, attribute, getattr(module, attribute))
        self._storage = (weights, activations)
        self._describe()
        self.eval()

    @staticmethod
    def _model(module: nn.RNNBase) -> Model:
        cells: dict[str, Literal["gru", "lstm", "rnn", "rnn-relu"]]
        cells = {"GRU": "gru", "LSTM": "lstm", "RNN_TANH": "rnn", "RNN_RELU": "rnn-relu"}
        return Model.from_state_dict(weights_of(module), cell=cells[module.mode])

    def _describe(self) -> None:
        """Keeps what each call needs."""
        states = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.mode == "LSTM" else [])
        # Of h, and of an LSTM's c: its name, rows and features.
        self._states = [(name, states, size) for name, size in zip(("h_0", "c_0"), sizes, strict=False)]
        # The layout of x and y, and the one that a transposed view of x may have.
        self._own: Layout = BATCH_MAJOR if self.batch_first else TIME_MAJOR
        self._other: Layout = TIME_MAJOR if self.batch_first else BATCH_MAJOR

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """As torch's: `output, h_n`, or `output, (h_n, c_n)` of an LSTM.

        input: `[T, B, I]`, `[B, T, I]` with `batch_first`, `[T, I]`, or a `PackedSequence`. hx: `[L·D, B, P]` (`[L·D, P]`
        without a batch), of an LSTM a tuple with c `[L·D, B, H]`; 0 by default.
        Raises `WrongUse` for shapes that do not fit, in training mode and where a gradient is needed, `Unsupported` for float64.
        """
        if torch.compiler.is_compiling():
            return _outside_of_graphs(self, input, hx)
        return self._forward(input, hx)

    def _forward(self, input: Tensor | PackedSequence, hx: Any) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if not isinstance(input, Tensor):
            raise WrongUse(f"input: a {type(input).__qualname__}, expected a tensor or a PackedSequence")
        given = self._given(hx)
        self._check(input, given)
        if input.dim() == 2:
            if any(state.dim() != 2 for state in given):
                raise WrongUse(f"hx: {[state.dim() for state in given]} dimensions, expected 2, because the input has no batch")
            y, states = self._run(input.unsqueeze(0), BATCH_MAJOR, BATCH_MAJOR, [state.unsqueeze(1) for state in given])
            return y[0], self._returned([state[:, 0] for state in states])
        if input.dim() != 3:
            raise WrongUse(f"input: {input.dim()} dimensions, expected 3, or 2 without a batch")
        # A transposed view of the other layout is read as what it is, without a copy.
        if not input.is_contiguous() and (transposed := input.transpose(0, 1)).is_contiguous():
            y, states = self._run(transposed, self._other, self._own, given)
        else:
            y, states = self._run(input, self._own, self._own, given)
        return y, self._returned(states)

    def _packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, back = input
        given = self._given(hx)
        self._check(data, given)
        if data.dim() != 2:
            raise WrongUse(f"input: packed data of {data.dim()} dimensions, expected 2")
        # Padded in the sorted order of `data`. The states are in the caller's order.
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        if order is not None:
            given = [state.index_select(1, order) if state.dim() == 3 else state for state in given]
        y, states = self._run(x, TIME_MAJOR, TIME_MAJOR, given, lengths)
        packed = pack_padded_sequence(y, lengths).data
        if back is not None:
            states = [state.index_select(1, back) for state in states]
        return PackedSequence(packed, batch_sizes, order, back), self._returned(states)

    def _run(
        self, x: Tensor, layout: Layout, output_layout: Layout, given: list[Tensor], lengths: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs x `[T, B, I]` or `[B, T, I]`; gives y and the final states, in x's type and on its device."""
        first, second, features = x.shape
        batch, steps = (first, second) if layout is BATCH_MAJOR else (second, first)
        if features != self.input_size:
            raise WrongUse(f"input: {features} features, expected input_size {self.input_size}")
        for state, (name, rows, size) in zip(given, self._states, strict=False):
            if state.shape != (rows, batch, size):
                raise WrongUse(f"hx: {name} is {list(state.shape)}, expected {[rows, batch, size]}")
        if batch == 0 and steps:
            return self._no_rows(x, layout is output_layout)
        out = self.engine.run(
            self._array(x),
            lengths=None if lengths is None else lengths.numpy(),
            h0=self._array(given[0]) if given else None,
            c0=self._array(given[1]) if len(given) > 1 else None,
            layout=layout,
            output_layout=output_layout,
            # torch computes with NaN and infinity, so this does.
            check_finite=False,
        )
        y, states = torch.from_numpy(out.y), [torch.from_numpy(out.h_n)]
        if out.c_n is not None:
            states.append(torch.from_numpy(out.c_n))
        if x.dtype is not torch.float32 or not x.is_cpu:
            return y.to(x.device, x.dtype), [state.to(x.device, x.dtype) for state in states]
        return y, states

    def _no_rows(self, x: Tensor, as_x: bool) -> tuple[Tensor, list[Tensor]]:
        """The results of a batch of no rows, which torch computes and an engine does not."""
        size = (self.proj_size or self.hidden_size) * (2 if self.bidirectional else 1)
        y = x.new_zeros(*(x.shape[:2] if as_x else reversed(x.shape[:2])), size)
        return y, [x.new_zeros(rows, 0, size) for _, rows, size in self._states]

    @staticmethod
    def _array(tensor: Tensor) -> "Floats":
        """The tensor as an array, without a copy if it is a contiguous float32 tensor on the CPU."""
        if tensor.requires_grad:
            tensor = tensor.detach()
        if tensor.dtype is not torch.float32 or not tensor.is_cpu:
            tensor = tensor.to("cpu", torch.float32)
        return tensor.contiguous().numpy()

    def _given(self, hx: Any) -> list[Tensor]:
        """h, and c of an LSTM, as the caller gave them; none if hx was left out."""
        if hx is None:
            return []
        if len(self._states) == 1:
            if isinstance(hx, Tensor):
                return [hx]
            raise WrongUse(f"hx: a {type(hx).__qualname__}, expected a tensor")
        if isinstance(hx, (tuple, list)) and len(hx) == 2 and all(isinstance(state, Tensor) for state in hx):
            return list(hx)
        raise WrongUse(f"hx: a {type(hx).__qualname__}, expected a tuple of two tensors, h_0 and c_0")

    @staticmethod
    def _returned(states: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
        return states[0] if len(states) == 1 else tuple(states)

    def _check(self, x: Tensor, given: list[Tensor]) -> None:
        """Refuses what an engine cannot do, or what would be wrong without a word."""
        if self.training:
            advice = "call model.eval() first, or train with torch's module"
            raise WrongUse(f"this stand-in is in training mode, and computes inference only: {advice}")
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *given)):
            raise WrongUse(
                "the input needs a gradient, which an engine does not compute: call the model under torch.inference_mode() "
                "or torch.no_grad(), or pass input.detach()"
            )
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            raise WrongUse("torch.jit.trace would record the results as constants: trace the model before wgru.torch.replace")
        for tensor in (x, *given):
            if tensor.dtype is not torch.float32 and tensor.dtype not in TYPES:
                name = "input" if tensor is x else "hx"
                raise Unsupported(f"{name}: {words(tensor.dtype)}, and computation is in float32: pass {name}.float()")
        if not x.is_cpu:
            self._warn(x.device)

    def _warn(self, device: torch.device) -> None:
        if device.type == "meta":
            raise WrongUse("input: it is on the meta device and has no values")
        if device.type not in _warned:
            _warned.add(device.type)
            message = (
                f"the input is on {device}: it is copied to the CPU, and y back, because engines do not share memory with torch"
            )
            warnings.warn(message, stacklevel=7)

    def flatten_parameters(self) -> None:
        """Does nothing. torch's modules have it, and models call it."""

    def extra_repr(self) -> str:
        described = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "bidirectional": False}
        described += [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        stored = zip(("weights", "activations"), self._storage, strict=True)
        described += [f"device={self.engine.device.kind}", *(f"{name}={storage}" for name, storage in stored if storage != "f32")]
        return ", ".join(described)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: Any,
        missing_keys: Any,
        unexpected_keys: Any,
        error_msgs: list[str],
    ) -> None:
        given = [key for key in state_dict if key.startswith(prefix)]
        if given:
            advice = "load them into the model before it is replaced"
            error_msgs.append(f'"{given[0]}": {type(self).__name__} has its weights in an engine: {advice}')

    def __deepcopy__(self, memo: dict[int, Any]) -> "Recurrent":
        shared = type(self).__new__(type(self))
        memo[id(self)] = shared
        # An engine has no state that a call could change.
        memo[id(self.engine)] = self.engine
        shared.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return shared

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "engine": self.engine.recipe()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "engine": state["engine"].open()})  # type: ignore[no-untyped-call]


class GRU(Recurrent):
    """Stands in for a trained `torch.nn.GRU` at inference."""

    stands_for = nn.GRU


class LSTM(Recurrent):
    """Stands in for a trained `torch.nn.LSTM`, with or without `proj_size`, at inference."""

    stands_for = nn.LSTM


class RNN(Recurrent):
    """Stands in for a trained `torch.nn.RNN`, with tanh or relu, at inference."""

    stands_for = nn.RNN

    @property
    def nonlinearity(self) -> Literal["tanh", "relu"]:
        return "relu" if self.mode == "RNN_RELU" else "tanh"


STAND_INS: dict[type[nn.RNNBase], type[Recurrent]] = {one.stands_for: one for one in (GRU, LSTM, RNN)}
