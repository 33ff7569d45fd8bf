"""An actor class for Ray Data: each actor loads a model once, then computes batches of windows.

    predictions = ray.data.read_parquet(windows).map_batches(
        wgru.ray.Predictor,
        fn_constructor_kwargs={"recipe": wgru.Recipe(model, "cpu:1"), "input": "window", "output": "forecast"},
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=1024,
        num_cpus=1,
    )

* **What is shipped.** To an actor, once: the recipe, which is the model with all its weights, and the options; a restarted
  actor gets them again. To a call: a batch of windows, from Ray's object store. The engine is made in the actor and never
  leaves it.
* **What a window costs.** On the CPU path 2·G·H·(I + H)·T operations for each layer and direction, with G = 3 for a GRU, 4 for
  an LSTM and 1 for an RNN. Ray's work for each batch comes on top, so use batches of hundreds of windows or more.
* **Threads.** Ray counts an actor as one core (`num_cpus=1`), so let it compute on one thread: `cpu:1`. For n threads give both.
* **When a GPU pays.** If it computes a batch, with x and the results crossing the bus, in less time than the cores that Ray
  would use instead. Time `Engine.run` on both with a batch of yours. One actor for each GPU is enough: its recipe names the
  device, such as `vulkan:#1`. `num_gpus` alone does not choose one, because Vulkan ignores `CUDA_VISIBLE_DEVICES`.
* **Failures.** Ray Data restarts an actor that died and repeats its batches (`max_restarts=0` turns that off). On the CPU path
  a repeated batch gives the same bits, as do other batch sizes and other numbers of actors. An exception, such as for a damaged
  window, ends the job instead.

This module does not import Ray: a `Predictor` is a plain callable.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wgru import Output, Recipe, WrongUse

if TYPE_CHECKING:
    from wgru import Floats

ARRAYS = ("out", "y", "h_n", "c_n")


class Predictor:
    """Computes the windows of a column, and adds columns of results.

    recipe: what each actor makes its engine from: the model, a device (`cpu:1` is the CPU path on one thread), storage.
    input: a column of windows of I features: tensors `[T, I]`, lists of lists, or `[T]` if I is 1. Windows of a batch may
    differ in T. Computed in float32; a column of another type of numbers is rounded to it.
    lengths: a column with the real steps of each window, T by default. The steps past them are not computed.
    output: the name of the column of results: the readout `[O]` (`[T, O]` at every step), or y `[T, D·P]` of a model without
    one. Or a mapping of names to `out`, `y`, `h_n` `[L·D, P]` and `c_n` `[L·D, H]`. y and a readout at every step are 0 past
    the end of a window.
    keep: the columns that are passed on, all by default.

    Batches have to be Ray's default, `batch_format="numpy"`. Raises `wgru.WrongUse` for columns that do not fit.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        input: str,
        lengths: str | None = None,
        output: str | Mapping[str, str] = "output",
        keep: Sequence[str] | None = None,
    ) -> None:
        self.engine = recipe.open()
        model = self.engine.model
        default = "out" if model.readout_outputs else "y"
        self.outputs = {output: default} if isinstance(output, str) else dict(output)
        for column, array in self.outputs.items():
            if array not in ARRAYS:
                raise WrongUse(f'output: "{array}" of column "{column}" is none of {", ".join(ARRAYS)}')
            if array == "out" and not model.readout_outputs:
                raise WrongUse(f'output: column "{column}" is of a readout, which the model has not')
            if array == "c_n" and not model.has_c:
                raise WrongUse(f'output: column "{column}" is of c, which only an LSTM has')
        self.input, self.lengths, self.keep = input, lengths, keep

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The kept columns of a batch, and those of results."""
        if not isinstance(batch, Mapping):
            raise WrongUse(
                f'batch: a {type(batch).__qualname__}, expected a dict of arrays: call map_batches with batch_format="numpy"'
            )
        result = {name: self._column(batch, name) for name in (batch if self.keep is None else self.keep)}
        for name in self.outputs:
            if name in result:
                raise WrongUse(f'output: the batch has a column "{name}" already: choose another name, or leave it out of keep')
        x, lengths = windows(self._column(batch, self.input), self.input, self.engine.model.input)
        if self.lengths is not None:
            lengths = self._checked_lengths(self._column(batch, self.lengths), x, lengths)
        if len(x):
            output = self.engine.run(x, lengths=lengths)
            result.update({name: by_window(output, array) for name, array in self.outputs.items()})
        else:
            result.update({name: np.zeros((0, 0), np.float32) for name in self.outputs})
        return result

    def _column(self, batch: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
        if name not in batch:
            raise WrongUse(f'the batch has no column "{name}"; it has {", ".join(batch)}')
        return batch[name]

    def _checked_lengths(
        self, column: npt.NDArray[Any], x: "Floats", found: npt.NDArray[np.int64] | None
    ) -> npt.NDArray[np.int64]:
        if column.dtype.kind not in "iu" or column.ndim != 1:
            raise WrongUse(
                f'column "{self.lengths}": {column.dtype} of shape {column.shape}, expected a whole number for each window'
            )
        longest = np.full(len(x), x.shape[1]) if found is None else found
        for row in np.flatnonzero((column < 1) | (column > longest))[:1]:
            raise WrongUse(
                f'column "{self.lengths}": row {row} is {column[row]}, expected 1 to {longest[row]}, the steps of its window'
            )
        return column.astype(np.int64)


def windows(column: npt.NDArray[Any], name: str, features: int) -> "tuple[Floats, npt.NDArray[np.int64] | None]":
    """x `[B, T, I]` of a column of windows; and the steps of each, if they differ."""
    if column.dtype.kind in "fiu":
        x = column
        if x.ndim == 2 and features == 1:
            x = x[:, :, np.newaxis]
        if x.ndim != 3 or x.shape[2] != features:
            raise WrongUse(f'column "{name}": windows of shape {list(column.shape[1:])}, expected {expected(features)}')
        return np.ascontiguousarray(x, np.float32), None
    if column.dtype != object:
        raise WrongUse(f'column "{name}": {column.dtype}, expected windows of numbers')
    rows = [window(row, f'column "{name}", row {index}', features) for index, row in enumerate(column)]
    steps = np.array([len(row) for row in rows], np.int64)
    x = np.zeros((len(rows), steps.max(initial=0), features), np.float32)
    for to, row in zip(x, rows, strict=True):
        to[: len(row)] = row
    return x, steps if len(rows) and steps.min() < steps.max() else None


def window(row: Any, place: str, features: int) -> npt.NDArray[Any]:
    """A window `[T, I]` of a list column: an array, or lists of lists."""
    if isinstance(row, np.ndarray) and row.dtype == object:
        row = row.tolist()
    try:
        array = np.asarray(row, np.float32)
    except (TypeError, ValueError) as reason:
        raise WrongUse(f"{place}: no window of numbers: {reason}") from reason
    if array.ndim == 1 and features == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] != features or not len(array):
        raise WrongUse(f"{place}: shape {list(array.shape)}, expected {expected(features)}, T at least 1")
    return array


def expected(features: int) -> str:
    return "[T] or [T, 1]" if features == 1 else f"[T, {features}]"


def by_window(output: Output, array: str) -> "Floats":
    """An array of a run, with a row for each window."""
    found: Floats = getattr(output, array)
    return found if array in ("out", "y") else np.ascontiguousarray(found.swapaxes(0, 1))
