"""`replace`: stand-ins for all recurrent modules of a model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from wgru import Device, Limit, Unsupported

from ._modules import STAND_INS, Recurrent
from ._suitable import kind_of, reason_against

if TYPE_CHECKING:
    from wgru import Storage

# Recurrent modules of torch that are none of its three classes.
_OTHERS = re.compile(r"(GRU|LSTM|RNN)(Cell)?")


@dataclass(frozen=True)
class Swapped:
    """A module that was swapped: its name in the model (each of them, if it is used in several places), and its class."""

    name: str
    module: str


@dataclass(frozen=True)
class Left:
    """A recurrent module that was not swapped, and why."""

    name: str
    module: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What `replace` did. As text, a line for each recurrent module."""

    device: str
    """The kind of the device that computes: `cpu`, `gpu` or `reference`."""
    swapped: list[Swapped] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{one.name}: {one.module}, on {self.device}" for one in self.swapped]
        lines += [f"{one.name or '(the model)'}: {one.module} not swapped: {one.reason}" for one in self.left]
        return "\n".join(lines or ["no recurrent module"])


def replace(
    model: nn.Module, device: str | Device = "auto", weights: "Storage" = "f32", activations: "Storage" = "f32"
) -> Report:
    """Swaps every recurrent module of a model for a stand-in, in place, and reports which were swapped and which not, and why.

    The model has to be in eval mode. All stand-ins compute on one device. A module that is used in several places gets one
    stand-in. Modules that a stand-in would not equal are left as they are: cells, subclasses with a forward of their own,
    modules with hooks, and parametrized, pruned or quantized weights. If the device cannot be opened, or another error is
    raised, the model is unchanged.
    """
    opened = Device.open(device) if isinstance(device, str) else device
    report = Report(opened.kind)
    made: dict[nn.Module, Recurrent] = {}
    places: list[tuple[nn.Module, str, nn.Module]] = []
    for parent, attribute, name, module in _recurrent(model):
        reason = None if module in made else _reason(parent, module)
        if reason is None and module not in made:
            kind = kind_of(module)
            assert isinstance(module, nn.RNNBase) and kind is not None
            try:
                made[module] = STAND_INS[kind](module, opened, weights, activations)
            except (Unsupported, Limit) as refused:
                reason = str(refused)
        if reason is not None:
            report.left.append(Left(name, _class(module), reason))
        elif parent is not None:
            places.append((parent, attribute, module))
            report.swapped.append(Swapped(name, _class(module)))
    # Only now, so that an error above leaves the model as it was.
    for parent, attribute, module in places:
        parent._modules[attribute] = made[module]
    return report


def _recurrent(model: nn.Module) -> Iterator[tuple[nn.Module | None, str, str, nn.Module]]:
    """The recurrent modules of a model: parent, attribute, name, module; once for each place."""
    if _is_recurrent(model):
        yield None, "", "", model
        return
    for name, parent in model.named_modules():
        if isinstance(parent, Recurrent) or _is_recurrent(parent):
            continue
        for attribute, module in parent._modules.items():
            if module is not None and _is_recurrent(module):
                yield parent, attribute, f"{name}.{attribute}" if name else attribute, module


def _is_recurrent(module: nn.Module) -> bool:
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase, Recurrent)):
        return True
    is_torchs = type(module).__module__.startswith("torch.") or isinstance(module, torch.jit.ScriptModule)
    return is_torchs and _OTHERS.fullmatch(_class(module)) is not None


def _class(module: nn.Module) -> str:
    # A parametrized module has a class made for it, and a scripted one has a general class.
    return getattr(module, "original_name", None) or type(module).__name__.removeprefix("Parametrized")


def _reason(parent: nn.Module | None, module: nn.Module) -> str | None:
    """Why a recurrent module is not swapped, or None."""
    if isinstance(module, Recurrent):
        return "it is a stand-in already"
    if isinstance(module, nn.RNNCellBase):
        return (
            "a cell is called for each step, and a session would keep its states: use a sequence module, or wgru.Engine.session"
        )
    if isinstance(module, torch.jit.ScriptModule):
        return "it is scripted: replace the modules of the model before torch.jit.script"
    if not isinstance(module, nn.RNNBase) or kind_of(module) is None:
        where = type(module).__module__
        return f"its class is of {where}: " + (
            "quantized weights are not read" if "quant" in where else "its forward is not known"
        )
    if parent is None:
        return f"a model cannot swap itself: use wgru.torch.{_class(module)}(model)"
    return reason_against(module)
