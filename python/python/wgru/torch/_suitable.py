"""Which torch modules a stand-in computes exactly, and why not the others."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

KINDS: tuple[type[nn.RNNBase], ...] = (nn.GRU, nn.LSTM, nn.RNN)
TYPES = (torch.float32, torch.float16, torch.bfloat16)


def kind_of(module: nn.Module) -> type[nn.RNNBase] | None:
    """The torch class that a stand-in would have to equal, or None if there is none."""
    return next((kind for kind in KINDS if isinstance(module, kind)), None)


def reason_against(module: nn.RNNBase) -> str | None:
    """Why a stand-in could compute something else than `module`, or None if it cannot."""
    return _of_class(module) or _of_extras(module) or _of_weights(module) or _of_mode(module)


def weights(module: nn.RNNBase) -> dict[str, torch.Tensor]:
    """The weights of a suitable module by their names, on the CPU."""
    return {name: getattr(module, name).detach().cpu().contiguous() for name in module._flat_weights_names}


def _of_class(module: nn.RNNBase) -> str | None:
    kind = kind_of(module)
    assert kind is not None
    if parametrize.is_parametrized(module):
        # torch gives such a module a class of its own, so this comes first.
        return "its weights are parametrized: call torch.nn.utils.parametrize.remove_parametrizations first"
    differs = [
        name for name in ("forward", "permute_hidden", "__call__") if getattr(type(module), name) is not getattr(kind, name)
    ]
    if differs or "forward" in vars(module):
        return f"its class {type(module).__qualname__} has a {(differs or ['forward'])[0]} of its own"
    return None


def _of_extras(module: nn.RNNBase) -> str | None:
    if prune.is_pruned(module):
        return "its weights are pruned: call torch.nn.utils.prune.remove first"
    hooks = {
        "forward ": module._forward_hooks,
        "forward pre-": module._forward_pre_hooks,
        "backward ": module._backward_hooks,
        "backward pre-": module._backward_pre_hooks,
    }
    for name, registered in hooks.items():
        if registered:
            # weight_norm and spectral_norm compute their weights in a pre-hook.
            one = next(iter(registered.values()))
            called = getattr(one, "__qualname__", type(one).__qualname__)
            return f"it has a {name}hook ({called}), which would no longer be called: remove it first"
    names = set(module._flat_weights_names)
    extra = [name for name in (*module._parameters, *module._buffers, *module._modules) if name not in names]
    if extra:
        return f'it has "{extra[0]}", which no {type(module).__name__} of torch has'
    return None


def _of_weights(module: nn.RNNBase) -> str | None:
    found = set()
    for name in module._flat_weights_names:
        weight: Any = getattr(module, name, None)
        if type(weight) not in (torch.Tensor, nn.Parameter):
            return (
                f"{name} is a {type(weight).__qualname__} and no plain tensor: quantized and other special weights are not read"
            )
        if weight.is_meta:
            return f"{name} has no values (it is on the meta device): load the weights first"
        if weight.is_quantized or weight.layout is not torch.strided:
            return f"{name} is quantized or sparse: convert it to a dense tensor first"
        if weight.dtype not in TYPES:
            advice = "call module.float() first" if weight.dtype is torch.float64 else "float32, float16 and bfloat16 are read"
            return f"{name} is {words(weight.dtype)}, and computation is in float32: {advice}"
        found.add(weight.dtype)
    if len(found) > 1:
        return f"its weights have different types: {', '.join(sorted(map(words, found)))}"
    return None


def _of_mode(module: nn.RNNBase) -> str | None:
    return "it is in training mode: call eval() on it or on the whole model first" if module.training else None


def words(dtype: torch.dtype) -> str:
    """`float32`, not `torch.float32`."""
    return str(dtype).removeprefix("torch.")
