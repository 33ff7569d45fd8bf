"""Shared by the Python peers: a case's folder, the check, the clock and the record.

A peer is called as `PEER.py FOLDER --threads N --seconds S [--device SEL]`, prints one JSON line for each figure (the
fields of `cli/src/bench/record.rs`), and ends with status 0, with SKIPPED and a reason on stderr if the engine
cannot run the case, or with another status and a reason if it failed. `rust/peer/src/lib.rs` is the same for
the peers in Rust.
"""

import argparse
import itertools
import json
import math
import pathlib
import sys
import time

SKIPPED = 3
# At least RUNS runs are timed, or FEWEST_RUNS if they take longer than TIME_LIMIT times `--seconds`.
RUNS, TIME_LIMIT, FEWEST_RUNS, MOST_RUNS = 20, 10.0, 5, 200_000


class Skip(SystemExit):
    """The engine cannot run the case. Uncaught, it ends the process with status SKIPPED."""

    def __init__(self, reason):
        super().__init__(SKIPPED)
        self.reason = reason


def skip(reason):
    """Ends the case with the reason on stderr."""
    print(reason, file=sys.stderr)
    raise Skip(reason)


class Wrong(SystemExit):
    """A wrong result. Uncaught, it ends the process with its reason."""


class Call:
    """A peer's arguments and its case. Records go to `out`."""

    def __init__(self, folder, threads=1, seconds=1.0, device="cpu", out=sys.stdout):
        self.folder, self.threads, self.seconds, self.device, self.out = folder, threads, seconds, device, out
        for name, value in json.loads((self.folder / "case.json").read_text()).items():
            setattr(self, name, value)

    @classmethod
    def of_command_line(cls):
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=pathlib.Path)
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--seconds", type=float, default=1.0)
        parser.add_argument("--device", default="cpu")
        return cls(**vars(parser.parse_args()))

    @property
    def is_step(self):
        """Whether one step at a time is timed, with the states carried."""
        return self.steps == 1

    @property
    def directions(self):
        return 2 if self.bidirectional else 1

    def arrays(self, name):
        """The arrays of a file of the case: model, inputs (x [B, frames, I]) or expected (y [B, frames, D·H])."""
        from safetensors.numpy import load_file

        return load_file(self.folder / f"{name}.safetensors")

    def check(self, y):
        """Compares y with PyTorch's float64 result; returns the largest error."""
        import numpy as np

        expected = self.arrays("expected")["y"]
        if y.shape != expected.shape:
            raise Wrong(f"y is {list(y.shape)}, expected {list(expected.shape)}")
        error = float(np.abs(y.astype(np.float64) - expected).max())
        if not error <= self.tolerance:  # a NaN must not pass
            raise Wrong(f"verification failed: y is off by {error:.3e}, allowed {self.tolerance:.3e}")
        return error

    def time(self, engine, timed, error, run, clock=None):
        """Times `run` and prints its record; `error` is its largest error against the reference.

        `clock(run)` runs once and returns seconds by the device's clock; without it the host's clock counts.
        """
        self.print(engine, timed, error, self.samples(run, clock), "device" if clock else "wall")

    def time_steps(self, engine, frames, step):
        """Checks `step` over all `frames`, each `[B, I]`, with the states carried, then times it on the frames in turn."""
        import numpy as np

        error = self.check(np.stack([step(frame) for frame in frames], axis=1))
        turns = itertools.cycle(frames)
        self.time(engine, "step", error, lambda: step(next(turns)))

    def samples(self, run, clock=None):
        def wall(run):
            start = time.perf_counter()
            run()
            return time.perf_counter() - start

        clock = clock or wall
        began, warm_ups = time.perf_counter(), 0
        while warm_ups < 3 or time.perf_counter() - began < 0.3 * self.seconds:
            run()
            warm_ups += 1
        samples, began = [], time.perf_counter()
        while len(samples) < MOST_RUNS:
            elapsed = time.perf_counter() - began
            if len(samples) >= RUNS and elapsed >= self.seconds:
                break
            if len(samples) >= FEWEST_RUNS and elapsed >= TIME_LIMIT * self.seconds:
                break
            samples.append(clock(run))
        return samples

    def print(self, engine, timed, error, samples, timing):
        samples = sorted(samples)
        median = quantile(samples, 0.5)
        record = {
            **engine,
            "timed": timed,
            "case": self.case,
            "dtype": self.dtype,
            "verified": True,
            "max_error": error,
            "tolerance": self.tolerance,
            "median_s": median,
            "p05_s": quantile(samples, 0.05),
            "p95_s": quantile(samples, 0.95),
            "p99_s": quantile(samples, 0.99),
            "spread": half_width(samples) / median,
            "runs": len(samples),
            "timing": timing,
            "gflops": self.flops / median * 1e-9,
            "peak_share": None,
            "peak_gflops": None,
            "peak_gbs": None,
            "bytes": self.bytes,
            "batch": self.batch,
            "steps": self.steps,
            "commit": self.commit,
            "date": self.date,
        }
        print(json.dumps(record), file=self.out, flush=True)


def quantile(ordered, q):
    """The quantile q of the sorted samples, interpolated linearly between neighbours."""
    place = q * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def half_width(ordered):
    """Half the width of the median's 95 % confidence interval, from order statistics."""
    middle, reach = len(ordered) / 2, 0.98 * math.sqrt(len(ordered))
    low = max(math.floor(middle - reach), 0)
    high = min(math.ceil(middle + reach), len(ordered) - 1)
    return (ordered[high] - ordered[low]) / 2
