"""Models and tolerances of the tests."""

from dataclasses import dataclass

import numpy as np
import wgru

GATES = {"gru": 3, "lstm": 4, "rnn": 1, "rnn-relu": 1}
# Half of the distance between two numbers near 1.
ROUNDING = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}


@dataclass
class Net:
    """A model, and what its tolerance is derived from."""

    model: wgru.Model
    tensors: dict[str, np.ndarray]
    layers: int

    def tolerance(self, x, steps, *, weights="f32", activations="f32"):
        """The error that roundings may add up to.

        The largest sum of magnitudes that a unit adds up, times the rounding of what it is made of. Errors of up to 64 steps add
        up like random ones; after that the states have forgotten them. Sums are of float32.
        """
        most = max(1.0, float(np.abs(x).max()))
        sums = 0.0
        for tensor in self.tensors.values():
            if tensor.ndim == 2:
                sums = max(sums, float(np.abs(tensor).sum(axis=1).max()) * most)
        rounding = ROUNDING["f32"] * np.sqrt(sum(t.shape[1] for t in self.tensors.values() if t.ndim == 2))
        rounding += sum(ROUNDING[storage] for storage in (weights, activations) if storage != "f32")
        return float(2 * rounding * max(1.0, sums) * np.sqrt(min(steps, 64)) * self.layers)


def tensors_of(rng, cell, sizes, *, layers=1, dirs=1, proj=0, bias=True):
    """Tensors with PyTorch's names, of PyTorch's range."""
    features, hidden = sizes
    gates, out = GATES[cell], proj or hidden
    bound = 1 / np.sqrt(hidden)
    tensors = {}
    for layer in range(layers):
        for end in ["", "_reverse"][:dirs]:
            width = features if layer == 0 else out * dirs
            shapes = {"weight_ih": (gates * hidden, width), "weight_hh": (gates * hidden, out)}
            if bias:
                shapes |= {"bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)}
            if proj:
                shapes["weight_hr"] = (proj, hidden)
            for name, shape in shapes.items():
                tensors[f"rnn.{name}_l{layer}{end}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return tensors


def net(rng, cell="gru", sizes=(5, 12), *, layers=1, dirs=1, proj=0, bias=True, readout=None, outputs=3, **options):
    """A model of random weights."""
    tensors = tensors_of(rng, cell, sizes, layers=layers, dirs=dirs, proj=proj, bias=bias)
    if readout:
        width = (proj or sizes[1]) * dirs
        tensors["head.weight"] = rng.uniform(-0.3, 0.3, (outputs, width)).astype(np.float32)
        tensors["head.bias"] = rng.uniform(-0.3, 0.3, outputs).astype(np.float32)
        options |= {"readout": "head", "readout_at": readout}
    model = wgru.Model.from_state_dict(tensors, cell=cell, **options)
    return Net(model, tensors, layers)


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def states(rng, model, batch):
    """h0 and, where the model has one, c0."""
    given = {"h0": np.tanh(normal(rng, model.num_states, batch, model.state_size))}
    if model.has_c:
        given["c0"] = np.tanh(normal(rng, model.num_states, batch, model.hidden))
    return given


def same_bits(a, b):
    """Whether all arrays of two outputs have the same bits."""
    pairs = list(zip(a, b, strict=True))
    return all((x is None) == (y is None) and (x is None or x.tobytes() == y.tobytes()) for x, y in pairs)


def assert_close(output, expected, tolerance):
    for name, got, want in zip(("y", "h_n", "c_n", "out"), output, expected, strict=True):
        assert (got is None) == (want is None), name
        if want is not None:
            assert got.shape == want.shape, name
            error = float(np.abs(got - want).max())
            assert error <= tolerance, f"{name}: error {error:.3g}, tolerance {tolerance:.3g}"
