"""Shared by the tests of `wgru.torch`: seeds, modules and inputs, and the tolerance."""

import copy
import math
import os
import zlib

import torch
from torch import nn

# WGRU_SEED=n draws other modules and inputs.
SEED = int(os.environ.get("WGRU_SEED", "1"))
EPS = 2.0**-24
# The unit roundoff of each type.
ROUNDOFF = {torch.float32: EPS, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
# The name of a kind: torch's class and its options.
KINDS = {
    "gru": (nn.GRU, {}),
    "lstm": (nn.LSTM, {}),
    "lstm-proj": (nn.LSTM, {"proj_size": 3}),
    "rnn-tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn-relu": (nn.RNN, {"nonlinearity": "relu"}),
}


def generator(name):
    """Random numbers that depend on the seed and the test's name alone."""
    return torch.Generator().manual_seed(zlib.crc32(f"{name} {SEED}".encode()))


def integer(draw, low, high):
    """low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=draw))


def module(kind, draw, **options):
    """A module of a kind in eval mode, with weights of torch's own distribution."""
    made, own = KINDS[kind]
    sizes = {"input_size": integer(draw, 1, 12), "hidden_size": integer(draw, 4, 20)}
    built = made(**{**sizes, **own, **options}).eval()
    scale = 1 / math.sqrt(built.hidden_size)
    with torch.no_grad():
        for weight in built.parameters():
            weight.copy_((torch.rand(weight.shape, generator=draw) * 2 - 1) * scale)
    return built


def stand_in(built, device, **options):
    import wgru.torch

    return getattr(wgru.torch, type(built).__name__)(built, device, **options)


def states(built, draw, batch):
    """Initial states: `[L·D, B, P]`, of an LSTM a pair; without the batch if `batch` is None."""
    rows = built.num_layers * (2 if built.bidirectional else 1)
    shape = (rows,) if batch is None else (rows, batch)
    drawn = [
        torch.rand(*shape, size, generator=draw) * 2 - 1 for size in (built.proj_size or built.hidden_size, built.hidden_size)
    ]
    return tuple(drawn) if built.mode == "LSTM" else drawn[0]


def in_type(value, dtype):
    """Tensors of nested tuples, and the data of packed sequences, in another type."""
    if isinstance(value, nn.utils.rnn.PackedSequence) or torch.is_tensor(value):
        return value.to(dtype)
    return None if value is None else tuple(in_type(one, dtype) for one in value)


def expected(built, x, hx):
    """What torch gives in float64."""
    with torch.inference_mode():
        return copy.deepcopy(built).double()(in_type(x, torch.float64), in_type(hx, torch.float64))


def flat(value):
    """The tensors of a result, in order."""
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, nn.utils.rnn.PackedSequence):
        return [value.data]
    return [tensor for one in value for tensor in flat(one)]


def tolerance(built, x, results, weights=0.0, activations=0.0):
    """How far a float32 result may be from the float64 one; the formula of `src/reference/tolerance.rs`.

    √min(T, 64) · Σ_layers (eps · (√(I + P) · S + 16) + (u_w + 2 u_a) · S + 2 u_a) · max(1, m)

    S is the largest sum of magnitudes of a row of products, |w_ih| · max|x| + |w_hh| · max|h| + |b|. u_w and u_a are the
    roundoffs of stored weights and activations. m is the largest magnitude of the results. |h| is at most 1, except with relu,
    where m takes its place, or with a projection, where the largest row of w_hr does; its product of H terms is added.
    """
    tensors = flat(results)
    built = copy.deepcopy(built).requires_grad_(False)
    m = max(1.0, *(float(one.abs().max()) for one in tensors))
    data = x.data if isinstance(x, nn.utils.rnn.PackedSequence) else x
    steps = len(x.batch_sizes) if isinstance(x, nn.utils.rnn.PackedSequence) else x.shape[int(built.batch_first and x.dim() == 3)]
    stored = weights + 2 * activations

    def product(terms, magnitudes):
        return magnitudes * (EPS * math.sqrt(terms) + stored)

    largest_x, total = float(data.abs().max()), 0.0
    sides = ["", "_reverse"] if built.bidirectional else [""]
    for layer in range(built.num_layers):
        largest_h, sums, terms, projected = (m if built.mode == "RNN_RELU" else 1.0), 0.0, 0, 0.0
        if built.proj_size:
            rows = [getattr(built, f"weight_hr_l{layer}{side}").abs().sum(1).max() for side in sides]
            largest_h = max(1.0, float(max(rows)))
        for side in sides:
            w_ih, w_hh = (getattr(built, f"weight_{name}_l{layer}{side}").double() for name in ("ih", "hh"))
            biases = [getattr(built, f"bias_{name}_l{layer}{side}").abs().max() for name in ("ih", "hh")] if built.bias else []
            rows = w_ih.abs().sum(1) * largest_x + w_hh.abs().sum(1) * largest_h
            sums, terms = max(sums, float(rows.max() + sum(biases))), w_ih.shape[1] + w_hh.shape[1]
        of_layer = product(terms, sums) + 16 * EPS
        if built.proj_size:
            projected = product(built.hidden_size, largest_h)
            of_layer = largest_h * of_layer + projected
        total += of_layer + 2 * activations
        largest_x = largest_h
    return math.sqrt(min(steps, 64)) * total * m


def assert_equal(found, wanted, atol, rtol=0.0):
    """Compares results, nested as torch's are, with those of float64."""
    a, b = flat(found), flat(wanted)
    assert len(a) == len(b)
    for index, (one, other) in enumerate(zip(a, b, strict=True)):
        torch.testing.assert_close(
            one.double(), other.double(), atol=atol, rtol=rtol, msg=lambda text, i=index: f"tensor {i}, WGRU_SEED={SEED}: {text}"
        )
