"""Fixtures: fresh seeds, which a failing test prints, and devices."""

import os

import numpy as np
import pytest
import wgru


@pytest.fixture
def rng():
    """Random numbers of a new seed; `WGRU_SEED` sets one."""
    seed = int(os.environ.get("WGRU_SEED", int.from_bytes(os.urandom(4), "little")))
    # Pytest shows it where the test fails.
    print(f"WGRU_SEED={seed}")
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def cpu():
    return wgru.Device.open("cpu")


@pytest.fixture(scope="session")
def reference():
    return wgru.Device.open("reference")


@pytest.fixture(scope="session")
def gpu():
    """A GPU by Vulkan, real or software."""
    found = [name for name in wgru.devices() if name.startswith("vulkan")]
    if not found:
        pytest.skip(f"no adapter of Vulkan is here; there are {wgru.devices()}")
    return wgru.Device.open("vulkan")
