"""Recurrent networks (GRU, LSTM, RNN) on GPUs of every vendor and on the CPU, for inference.

Letters of shapes: B sequences of T steps, I features of x, L layers of D directions, H units, P outputs of a layer and direction
(H, or less of an LSTM with a projection), O outputs of the readout. Arrays are `numpy.float32`.
"""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self, SupportsIndex, TypedDict, final, overload

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.uint32] | npt.NDArray[np.int64] | npt.NDArray[np.int32] | Sequence[int]
Bytes = bytes | bytearray | memoryview
File = str | PathLike[str] | Bytes
Storage = Literal["f32", "f16", "bf16"]

__version__: str

class Error(Exception):
    """Every error of this package. The message names the argument, the numbers and what to try."""

class WrongUse(Error, ValueError):
    """The arguments do not fit the model, each other, or an earlier call."""

class FileError(Error, OSError):
    """The system does not open, read or write a file."""

class FileMissing(FileError, FileNotFoundError):
    """There is no such file."""

class BadFile(Error, ValueError):
    """The file is damaged, contradicts itself, or does not match the options."""

class Unsupported(Error, NotImplementedError):
    """Valid, but this version or device does not support it."""

class Limit(Error, MemoryError):
    """More than the device allows. Use less at once."""

class DeviceError(Error, RuntimeError):
    """No device matches, the driver refused something, or the device is lost or closed."""

class NoDevice(DeviceError):
    """No device matches the selector."""

class LostDevice(DeviceError):
    """The device was taken away or closed: open it again, and load the model on it."""

class InternalError(Error, RuntimeError):
    """A fault of this package. Please report it."""

class PickleError(Error, TypeError):
    """An object of a device is not sent to another process; what made it is."""

def devices() -> list[str]:
    """All devices, in words. Looks for drivers anew on each call."""

@final
class Model:
    """A stack of recurrent layers with its weights, and maybe a readout. Can be pickled."""

    @staticmethod
    def from_pytorch(
        file: File,
        *,
        prefix: str | None = None,
        cell: Literal["gru", "lstm", "rnn", "rnn-relu"] | None = None,
        reset: Literal["after", "before"] | None = None,
        update: Literal["keeps", "takes"] | None = None,
        readout: str | None = None,
        readout_at: Literal["last", "every"] | None = None,
        readout_activation: Literal["linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax"] | None = None,
    ) -> Model:
        """From a safetensors file with PyTorch's names."""
    @staticmethod
    def from_state_dict(
        tensors: Mapping[str, Any],
        *,
        prefix: str | None = None,
        cell: Literal["gru", "lstm", "rnn", "rnn-relu"] | None = None,
        reset: Literal["after", "before"] | None = None,
        update: Literal["keeps", "takes"] | None = None,
        readout: str | None = None,
        readout_at: Literal["last", "every"] | None = None,
        readout_activation: Literal["linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax"] | None = None,
    ) -> Model:
        """From a module's `state_dict()`: a mapping of names to tensors or arrays of f32, f16, bf16 or f64, copied."""
    @staticmethod
    def from_onnx(file: File, *, nodes: Sequence[str] | None = None) -> Model:
        """From an ONNX file, whose recurrent nodes are taken. `nodes`: those of a stack, from the input on."""
    @staticmethod
    def from_keras(
        file: File,
        *,
        layers: Sequence[str] | None = None,
        config: str | None = None,
        keras_version: int | None = None,
        readout: str | None = None,
        readout_at: Literal["last", "every"] | None = None,
    ) -> Model:
        """From a Keras file (.keras, .h5, .weights.h5)."""
    def to_onnx(self) -> bytes:
        """As an ONNX file."""
    def to_pytorch(self) -> bytes:
        """As a safetensors file with PyTorch's names."""
    @property
    def cell(self) -> Literal["gru", "lstm", "rnn"]: ...
    @property
    def input(self) -> int:
        """I"""
    @property
    def hidden(self) -> int:
        """H of the first layer."""
    @property
    def output(self) -> int:
        """Features of y: D·P of the last layer."""
    @property
    def num_states(self) -> int:
        """L·D"""
    @property
    def state_size(self) -> int:
        """P"""
    @property
    def has_c(self) -> bool:
        """Whether its states have a c: those of an LSTM."""
    @property
    def readout_outputs(self) -> int:
        """O, 0 without a readout."""
    @property
    def readout_at(self) -> Literal["last", "every"] | None: ...
    @property
    def readout_activation(self) -> Literal["linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax"] | None:
        """What is applied to the readout's outputs; softmax and its logarithm over the O outputs of a step."""
    @property
    def decisions(self) -> list[str]:
        """What was decided where the file does not say."""
    @property
    def left_over(self) -> list[str]:
        """Tensors of the file that the model does not use."""
    @property
    def initial_states(self) -> list[str]:
        """Initial states that the file takes from elsewhere: `h0` and `c0` of each run, 0 if they are left out."""

@final
class Device:
    """What computes. Closing it frees what its engines hold; their calls then raise `LostDevice`."""

    @staticmethod
    def open(
        selector: str = "auto",
        *,
        threads: int | None = None,
        instructions: str | None = None,
        pipeline_cache: str | PathLike[str] | None = None,
    ) -> Device:
        """Opens a device.

        `auto` (the best real GPU, else the CPU), `cpu` (`cpu:2`: on two threads), `reference`, a backend (`vulkan`,
        `metal`, `dx12`, `gl`), a part of a name that `devices()` gives, both (`vulkan:llvmpipe`), or a number (`vulkan:#1`).
        `threads` and `instructions` (`avx2` …) are for the CPU path. `pipeline_cache`: a folder for compiled kernels.
        """
    def load(self, model: Model, *, weights: Storage = "f32", activations: Storage = "f32", memory: int | None = None) -> Engine:
        """Loads a model. `memory`: bytes that all runs together may take on a GPU; larger batches run in pieces."""
    @property
    def kind(self) -> Literal["cpu", "gpu", "reference"]: ...
    @property
    def is_software(self) -> bool:
        """Of a GPU, whether its driver is software."""
    @property
    def is_lost(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...

@final
class Output:
    """The arrays of a run. Unpacks, and is indexed, as `y, h_n, c_n, out`."""

    def __new__(
        cls, *, y: Floats | None = None, h_n: Floats | None = None, c_n: Floats | None = None, out: Floats | None = None
    ) -> Self:
        """Arrays of the caller for `Engine.run(…, out=…)`. Those that are left out are not written."""
    @property
    def y(self) -> Floats:
        """`[B, T, D·P]`"""
    @property
    def h_n(self) -> Floats:
        """`[L·D, B, P]`"""
    @property
    def c_n(self) -> Floats | None:
        """`[L·D, B, H]`, of an LSTM."""
    @property
    def out(self) -> Floats | None:
        """The readout: `[B, O]`, or `[B, T, O]` where it is at every step."""
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...

class State(TypedDict, total=False):
    h: Floats
    """`[L·D, B, P]`"""
    c: Floats | None
    """`[L·D, B, H]`, of an LSTM."""

@final
class Engine:
    """A model on a device. Its methods may be called from several threads at once; they release the GIL."""

    def __new__(
        cls,
        model: Model,
        device: str | Device = "auto",
        *,
        weights: Storage = "f32",
        activations: Storage = "f32",
        memory: int | None = None,
    ) -> Self:
        """`Device.open(device).load(model, …)`."""
    @property
    def model(self) -> Model: ...
    @property
    def device(self) -> Device: ...
    def run(
        self,
        x: Floats,
        *,
        lengths: Numbers | None = None,
        h0: Floats | None = None,
        c0: Floats | None = None,
        resets: npt.NDArray[Any] | None = None,
        layout: Literal["batch-major", "time-major"] = "batch-major",
        output_layout: Literal["batch-major", "time-major", "direction-major"] | None = None,
        padding: Literal["zero", "last"] = "zero",
        check_finite: bool = True,
        out: Output | None = None,
    ) -> Output:
        """Runs a batch. Ctrl-C ends a long run with `KeyboardInterrupt`.

        x: `[B, T, I]`, or `[T, B, I]` if `layout` is time-major; C-contiguous, read without a copy.
        lengths: the real steps of each sequence, `[B]`; T by default. Padding is not computed.
        h0, c0: `[L·D, B, P]` and `[L·D, B, H]`; 0 by default.
        resets: `[B, T]`, not 0 where the states are zero before that step.
        output_layout: of y and of a readout at every step; that of x by default.
        padding: y past the end of a sequence, 0 or the last output.
        check_finite: whether x with NaN or infinity is refused.
        out: arrays that are written in place of new ones.
        """
    def prepare(self, batch: int, steps: int) -> None:
        """Compiles and allocates what runs of this shape need."""
    def explain(self, batch: int, steps: int) -> str:
        """In words, the kernels of a run."""
    def memory(self, batch: int, steps: int) -> int:
        """The bytes that a run takes on a GPU."""
    def session(self, streams: int = 1) -> Session:
        """Streams that advance together, with their states on the device."""
    def pool(
        self,
        capacity: int = 16,
        *,
        fixed: bool = False,
        frames: int | None = None,
        queue: int | None = None,
        non_finite: Literal["refuse", "isolate"] = "refuse",
        snapshot: File | None = None,
        save_to: str | PathLike[str] | None = None,
        save_every: int | None = None,
    ) -> Pool:
        """Streams that come and go; those of `snapshot` go on.

        capacity: streams that there is room for. The pool grows, unless it is fixed.
        frames: the most that a tick takes of a stream. queue: the most of a stream that may wait.
        non_finite: whether frames with NaN or infinity are refused, or their stream takes no more until it is reset.
        save_to: where a snapshot is written every `save_every` ticks. If it cannot be, the tick warns and the pool goes on.
        """
    def recipe(self) -> Recipe:
        """What `Recipe.open` makes an equal engine from, in this process or another."""

@final
class Recipe:
    """A model, a device's selector and options. Can be pickled, which an engine cannot."""

    def __new__(
        cls,
        model: Model,
        device: str = "auto",
        *,
        weights: Storage = "f32",
        activations: Storage = "f32",
        memory: int | None = None,
        pipeline_cache: str | PathLike[str] | None = None,
    ) -> Self: ...
    @property
    def model(self) -> Model: ...
    @property
    def device(self) -> str: ...
    def open(self) -> Engine:
        """Opens the device, and loads the model."""

@final
class Step:
    """The arrays of a step. Unpacks, and is indexed, as `y, out`."""

    @property
    def y(self) -> Floats:
        """`[streams, P]`"""
    @property
    def out(self) -> Floats | None:
        """`[streams, O]`"""
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...

@final
class Session:
    """Streams that advance together. One call at a time; another raises `WrongUse`."""

    @property
    def streams(self) -> int: ...
    def step(self, x: Floats, *, resets: Numbers | None = None) -> Step:
        """One step of every stream. x: `[streams, I]`, or `[I]` of one stream."""
    def reset(self) -> None:
        """All states to zero."""
    def state(self) -> State: ...
    def set_state(self, state: State) -> None: ...

@final
class Frames:
    """What a tick gave of a stream. Unpacks, and is indexed, as `y, out`."""

    @property
    def stream(self) -> int: ...
    @property
    def y(self) -> Floats:
        """`[frames, P]`"""
    @property
    def out(self) -> Floats | None:
        """`[frames, O]`"""
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...

@final
class Pool:
    """Streams that come and go. One call at a time; another raises `WrongUse`."""

    def open(self, state: State | None = None) -> int:
        """Opens a stream, and gives its number."""
    def close(self, stream: int) -> int:
        """Closes a stream, and gives how many of its frames were never computed."""
    def push(self, stream: int, frames: Floats) -> None:
        """Queues frames, `[n, I]` or `[I]`, copied."""
    def tick(self) -> list[Frames]:
        """Computes waiting frames of every stream, at most `frames` of each."""
    def pending(self, stream: int) -> int:
        """Frames of a stream that wait."""
    def reset(self, stream: int) -> int:
        """Zero states for a stream; gives how many of its frames were dropped."""
    def state(self, stream: int) -> State: ...
    def set_state(self, stream: int, state: State) -> int: ...
    @property
    def streams(self) -> list[int]: ...
    @property
    def ready(self) -> int:
        """Streams that have a frame waiting."""
    def prepare(self, streams: int, frames: int = 1) -> None:
        """Compiles what ticks of so many streams and frames need."""
    def snapshot(self) -> bytes:
        """All streams, for `Engine.pool(snapshot=…)`."""
    def save(self, path: str | PathLike[str]) -> None:
        """Writes a snapshot to a file: beside it first, then renamed."""
    def __len__(self) -> int: ...

def bench(device: str | Device = "auto", *, cases: str = "default", rounds: int = 5) -> list[dict[str, Any]]:
    """Times cases on a device as `wgru bench` does, each verified against the reference first; a record for each measurement.

    `cases`: a suite (`quick`, `default`, `deepbench`, `real`, `steps`, `scaling`), or cases with commas between them
    (`gru-b16-t50-i64-h64`).
    """
