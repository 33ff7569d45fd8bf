"""Times `wgru.torch`, the stand-ins of the Python package, beside the torch modules that they stand in for, on the CPU.

    python benches/peers/torch_wheel.py --suite cpu --threads 1,2 --out records.csv

It needs a Python with wgru, torch and NumPy, and runs all in one process. Both get the same weights and the same time-major x
as a tensor, and give y and the states as tensors, under `torch.inference_mode`. Both are first compared with torch in float64,
within the tolerance of `cases.py`. A case of one step (-t1) is checked over 64 steps and timed with the states carried. In each
round the two take turns: a warm-up, then runs for `--seconds`, at least two. Every second round starts with the other. Between
them is a pause of 20 ms, so that the threads of one do not spin while the other runs.
"""

import argparse
import contextlib
import csv
import io
import itertools
import math
import pathlib
import sys
import time

import cases
import common
import numpy as np
import run
import torch

import wgru
import wgru.torch

PAUSE = 0.02
FIELDS = ["case", "timed", "threads", "engine", "driver", "median_s", "p05_s", "p95_s", "spread", "runs", "rounds"]
FIELDS += ["max_error", "tolerance", "processor", "python", "commit", "date"]


def subjects(case, weights, x, device):
    """By engine: a function that gives y `[B, frames, D·H]` for the check, and one that runs once."""
    module = cases.module(case, weights)
    stand_in = getattr(wgru.torch, type(module).__name__)(module, device)
    return {name: subject(case, one, x) for name, one in [("torch", module), ("wgru", stand_in)]}


def subject(case, module, x):
    if case["steps"] > 1:
        staged = x.transpose(0, 1).contiguous()
        return lambda: module(staged)[0].transpose(0, 1), lambda: module(staged)
    frames = [frame.contiguous().unsqueeze(0) for frame in x.unbind(1)]
    turns, states = itertools.cycle(frames), None

    def step():
        nonlocal states
        _, states = module(next(turns), states)

    def all_frames():
        carried, ys = None, []
        for frame in frames:
            y, carried = module(frame, carried)
            ys.append(y[0])
        return torch.stack(ys, dim=1)

    return all_frames, step


def samples(run_once, seconds):
    """Seconds of each run, after a warm-up."""
    began = time.perf_counter()
    run_once()
    while time.perf_counter() - began < seconds / 4:
        run_once()
    found, began = [], time.perf_counter()
    while len(found) < 2 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run_once()
        found.append(time.perf_counter() - start)
    return found


def time_case(name, device, rounds, seconds):
    """A record for each engine."""
    case = cases.parse(name)
    weights, x = cases.draw(case)
    expected = cases.expected(case, weights, x)
    tolerance = cases.tolerance(case, weights, x, expected, "f32")
    made = subjects(case, weights, x, device)
    records = {}
    for engine, (check, _) in made.items():
        error = float((check().double() - expected).abs().max())
        if not error <= tolerance:
            sys.exit(f"{name}: {engine} is off by {error:.3e}, allowed {tolerance:.3e}")
        timed = "step" if case["steps"] == 1 else "sequence"
        records[engine] = {"case": name, "timed": timed, "engine": engine, "rounds": rounds}
        records[engine] |= {"max_error": error, "tolerance": tolerance}
    times = {engine: [] for engine in made}
    for number in range(rounds):
        for engine in list(made)[:: -1 if number % 2 else 1]:
            time.sleep(PAUSE)
            times[engine].append(samples(made[engine][1], seconds))
    for engine, of_rounds in times.items():
        ordered = sorted(itertools.chain(*of_rounds))
        median = common.quantile(ordered, 0.5)
        of_each = [common.quantile(sorted(one), 0.5) for one in of_rounds]
        spread = max(common.half_width(ordered), (max(of_each) - min(of_each)) / 2) / median
        records[engine] |= {"median_s": median, "spread": spread, "runs": len(ordered)}
        records[engine] |= {"p05_s": common.quantile(ordered, 0.05), "p95_s": common.quantile(ordered, 0.95)}
    return records


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", choices=run.SUITES, help="a list of cases of run.py")
    parser.add_argument("--case", action="append", default=[], help="a case by its name; may be repeated")
    parser.add_argument("--threads", default="1", help="such as 1,2 [1]")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine [5]")
    parser.add_argument("--seconds", type=float, default=0.15, help="of each turn [0.15]")
    parser.add_argument("--out", type=pathlib.Path, help="a CSV, to which records are added")
    args = parser.parse_args()
    # torch.nn.GRU resets after the product only.
    names = [name for name in args.case + run.SUITES.get(args.suite, []) if "-before" not in name]
    if not names:
        parser.error("--case or --suite is needed")
    facts = {name: value for name, value in run.machine().items() if name in FIELDS}
    versions = {"torch": torch.__version__, "wgru": wgru.__version__}
    drivers = {name: f"{name} {version}, numpy {np.__version__}" for name, version in versions.items()}
    ratios = []
    with args.out.open("a", newline="") if args.out else contextlib.closing(io.StringIO()) as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if file.tell() == 0:
            table.writeheader()
        for threads in map(int, args.threads.split(",")):
            torch.set_num_threads(threads)
            with wgru.Device.open("cpu", threads=threads) as device, torch.inference_mode():
                for name in names:
                    records = time_case(name, device, args.rounds, args.seconds)
                    for engine, record in records.items():
                        table.writerow({**record, **facts, "threads": threads, "driver": drivers[engine]})
                    file.flush()
                    pair = [records[engine]["median_s"] for engine in ("torch", "wgru")]
                    ratios.append((name, pair[0] / pair[1]))
                    times = "  ".join(f"{engine} {median * 1e6:10.1f} µs" for engine, median in zip(records, pair))
                    print(f"{name:32} x{threads}  {times}  {ratios[-1][1]:6.2f}", flush=True)
    for words, chosen in [("all", ratios), ("B = 1", [one for one in ratios if "-b1-" in one[0]])]:
        if chosen:
            mean = math.exp(sum(math.log(ratio) for _, ratio in chosen) / len(chosen))
            lowest = min(chosen, key=lambda one: one[1])
            print(f"{words}: {len(chosen)} figures, geometric mean {mean:.2f}, least {lowest[1]:.2f} ({lowest[0]})")


if __name__ == "__main__":
    main()
