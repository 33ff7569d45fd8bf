"""What the scripts of this folder share: numbers drawn by a case's name, and the file they are kept in.

A file is one safetensors for many cases: tensor `{case}.{name}`, and the metadata `cases`, a JSON object with
one entry per case that says what the arrays do not. Weights and inputs are multiples of a power of two of seven
bits, so that f16 and bf16 hold them exactly and they are kept as f16; what a framework computed is kept in the
type that it computed in.
"""

import json
import math
import pathlib
import zlib

import numpy as np
from safetensors.numpy import save

FOLDER = pathlib.Path(__file__).resolve().parent


class Draw:
    """Numbers of one case, the same whenever and beside whichever other cases it is made."""

    def __init__(self, name):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def values(self, *shape, scale=1.0):
        """Multiples of scale/64 in -scale ... scale, scale rounded to a power of two."""
        step = 2.0 ** round(math.log2(scale)) / 64
        return self.rng.integers(-64, 65, size=shape) * step

    def weights(self, *shape, fan):
        """Of the size that a layer of `fan` units needs."""
        return self.values(*shape, scale=1.5 / math.sqrt(fan))

    def uneven(self, *shape, scale=1.0):
        """Multiples of nothing: what 16 bits must round."""
        return self.rng.uniform(-scale, scale, size=shape).astype(np.float32).astype(np.float64)


def exact(array):
    """As f16, which must hold it exactly."""
    array = np.asarray(array)
    small = array.astype(np.float16)
    assert (small.astype(np.float64) == array.astype(np.float64)).all(), "not exact in f16"
    return small


class File:
    def __init__(self):
        self.tensors, self.cases = {}, {}

    def case(self, name, about, given, expected):
        """`about`: a dict. `given`: weights and inputs, lengths as integers. `expected`: as it was computed."""
        assert name not in self.cases, name
        self.cases[name] = about
        for key, array in given.items():
            if array is not None:
                array = np.asarray(array)
                integers = np.issubdtype(array.dtype, np.integer)
                array = array.astype(np.int32) if integers else kept(about, array)
                self.tensors[f"{name}.{key}"] = np.ascontiguousarray(array)
        for key, array in expected.items():
            assert np.isfinite(array).all(), f"{name}.{key}"
            self.tensors[f"{name}.{key}"] = np.ascontiguousarray(array)

    def write(self, name):
        data = save(self.tensors, {"cases": json.dumps(self.cases, sort_keys=True)})
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(self.cases)} cases, {len(data)} bytes")


def kept(about, array):
    return array.astype(np.float32) if about.get("uneven") else exact(array)
