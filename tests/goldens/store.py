"""Shared by the scripts of this folder: random numbers seeded by a case's name, and the file that stores them.

A file is one safetensors for many cases: tensor `{case}.{name}`, and the metadata `cases`, a JSON object with
one entry per case with the properties that the arrays do not show. Weights and inputs are seven-bit multiples of a
power of two, so f16 and bf16 represent them exactly and they are stored as f16. Results are stored in the type that
the framework computed in.
"""

import json
import math
import pathlib
import zlib

import numpy as np
from safetensors.numpy import save

FOLDER = pathlib.Path(__file__).resolve().parent


class Draw:
    """Numbers of one case, which do not depend on other cases."""

    def __init__(self, name):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def values(self, *shape, scale=1.0):
        """Multiples of scale/64 in -scale ... scale, scale rounded to a power of two."""
        step = 2.0 ** round(math.log2(scale)) / 64
        return self.rng.integers(-64, 65, size=shape) * step

    def weights(self, *shape, fan):
        """Scaled for a layer of `fan` units."""
        return self.values(*shape, scale=1.5 / math.sqrt(fan))

    def uneven(self, *shape, scale=1.0):
        """Arbitrary numbers, which 16 bits must round."""
        return self.rng.uniform(-scale, scale, size=shape).astype(np.float32).astype(np.float64)


def exact(array):
    """As f16, which must represent it exactly."""
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
