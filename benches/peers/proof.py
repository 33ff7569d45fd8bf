"""Checks wgru on one GPU, then compares it with PyTorch, which uses cuDNN. It takes at most 8 minutes.

    python3 benches/peers/proof.py --wgru target/release/wgru --device vulkan --out figures

It builds and downloads nothing: it needs a built wgru, and a Python with torch, NumPy and safetensors. Correctness comes
first. With `--before`, an earlier build of wgru runs the probes too, in turn. It writes to OUT, line by line while it runs:

    machine.json    the device as both describe it, its cooperative matrices, versions
    exchange.txt    how many workgroups exchange values in wgru's self-test, or why none do
    conventions.csv cells, conventions, strategies and storage, each verified against the reference on this device
    probes.csv      the times of a step, a weight in a register, a weight in the cache and an exchange between workgroups;
                    `kernels` says what ran, `build` which of the two builds
    speeds.txt      the planner's numbers, as `wgru tune` fits them, with its measurements in tune.csv; last, if there is time
    records.jsonl   every figure, with the fields of cli/src/bench/record.rs
    table.csv       each case with both times, and whether the target (`aim`) is met
    log.txt         what failed, and what there was no time for

Cases in f16 are run a second time with a non-deterministic reduction and cooperative matrices, and the better time counts.
Each case is checked by both against float64 before it is timed. PyTorch runs before and after wgru, and its better time
counts. Without a CUDA device torch runs on the CPU: that tests the script and says nothing about a GPU.
"""

import argparse
import csv
import datetime
import io
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import cases
import common
import pytorch
import torch

# Sizes as (B, T, H), I = H, then those whose sizes are their own.
SQUARE = [
    *[(1, 1000, 256), (16, 100, 256), (64, 100, 256), (64, 50, 512), (256, 100, 128)],
    *[(1, 375, 1024), (1024, 100, 256)],
    *[(batch, 100, hidden) for hidden in [512, 1024, 1536, 2048, 2560, 2816] for batch in [1, 2, 4]],
    (32, 187, 1536),
]
CASES = [
    *[f"gru-b{batch}-t{steps}-i{hidden}-h{hidden}" for batch, steps, hidden in SQUARE],
    # A session's step.
    *[f"gru-b{batch}-t1-i256-h256" for batch in [1, 64, 1024]],
    # Depth and directions.
    *[f"gru-b{batch}-t100-i256-h256-{more}" for batch in [1, 16] for more in ["bi", "l2", "l4"]],
    # Layers of published models.
    *["gru-b33-t1500-i8-h8", "gru-b512-t33-i8-h4-bi", "gru-b1-t1100-i256-h256", "gru-b1-t1100-i114-h96"],
    *["gru-b32-t49-i10-h154", "gru-b32-t49-i10-h400", "gru-b512-t12-i1-h64", "gru-b12-t49-i128-h128-bi"],
    *["lstm-b1-t1875-i128-h128", "lstm-b1-t1250-i257-h128", "lstm-b64-t192-i25-h40", "lstm-b384-t200-i2-h8"],
    "lstm-b1-t20000-i1-h3",
    # Half precision.
    *[f"gru-b{batch}-t{steps}-i{hidden}-h{hidden}-f16" for batch, steps, hidden in SQUARE[:7]],
]
# Cells and conventions, with sizes that do not fill tiles, by each strategy. `wgru bench` verifies a case before it times it.
CONVENTIONS = [
    f"{cell}-b5-t9-i7-h{[33, 96][number % 2]}{more}"
    for number, (cell, more) in enumerate([
        ("gru", ""), ("gru", "-before"), ("lstm", ""), ("rnn", ""), ("gru", "-before"), ("gru", "-bi-ragged"),
        ("gru", "-bi-before-ragged"), ("lstm", "-l2-bi-ragged"), ("rnn", "-l3"), ("gru", "-l2-f16"), ("lstm", "-bf16"),
        ("gru", "-before-wf16"), ("rnn", "-bi-wbf16"), ("lstm", ""),
    ])
]
# What is measured, the case, the strategy, the count by which the time of one run is divided, and the unit.
TILE = 4
PROBES = [
    ("a dependent dispatch", "gru-b1-t10000-i1-h1", "step", 10_000, "s"),
    *[
        (f"a step, {3 * hidden} weights a thread in registers", f"gru-b1-t2000-i1-h{hidden}", "persistent", 2000, "s")
        for hidden in [21, 32, 43, 64]
    ],
    *[
        (f"a step with an exchange, H {hidden}", f"gru-b1-t2000-i1-h{hidden}", "multi_workgroup", 2000, "s")
        for hidden in [128, 256, 512, 1024]
    ],
    ("a step with an exchange, 16 tiles at once", "gru-b16-t1000-i1-h256", "multi_workgroup", 1000, "s"),
    *[
        ("weights read by all workgroups", f"gru-b{batch}-t100-i1-h{hidden}", "streamed",
         math.ceil(batch / TILE) * 100 * 3 * hidden * hidden * 4, "bytes")
        for batch, hidden in [(528, 128), (528, 256)]
    ],
]

# The words by which a record's field `strategy` shows the kernel. The second is that of builds before 2026-11-29, which
# also take it for `--strategy`.
IS_OF = {
    "step": ["step_", "step_"], "persistent": ["persistent_", "resident_"], "streamed": ["streamed", "streamed"],
    "multi_workgroup": ["multi_workgroup_", "grouped_"],
}
OLD_NAMES = {"persistent": "resident", "multi_workgroup": "grouped"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wgru", type=pathlib.Path, required=True, help="a built wgru")
    parser.add_argument("--before", type=pathlib.Path, help="an earlier build of wgru, which runs the probes too")
    parser.add_argument("--device", default="vulkan", help="wgru's device [vulkan]")
    parser.add_argument("--case", action="append", default=[], help="a case by its name, instead of all; may be repeated")
    parser.add_argument("--minutes", type=float, default=8.0, help="everything ends after so many minutes [8]")
    parser.add_argument("--seconds", type=float, default=0.2, help="seconds PyTorch is timed at a time [0.2]")
    parser.add_argument("--no-tune", action="store_true", help="leave out `wgru tune` and the probes")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    return parser.parse_args()


class Comparison:
    def __init__(self, args):
        self.args, self.began = args, time.monotonic()
        self.torch_device = "cuda" if torch.cuda.is_available() else "cpu"
        args.out.mkdir(parents=True, exist_ok=True)
        self.exchanges, self.kept = False, tempfile.TemporaryDirectory()
        self.records = (args.out / "records.jsonl").open("w")
        self.log = (args.out / "log.txt").open("w")

    def say(self, words):
        for to in [self.log, sys.stderr]:
            print(f"{time.monotonic() - self.began:6.1f} s  {words}", file=to, flush=True)

    def is_late(self):
        """Whether a case that takes 20 seconds would not end in time."""
        return time.monotonic() - self.began > 60 * self.args.minutes - 20

    def keep(self, lines):
        """Writes the records in these lines of JSON to the file; returns them."""
        found = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
        self.records.writelines(json.dumps(one) + "\n" for one in found)
        self.records.flush()
        return found

    def wgru(self, *words, limit=math.inf, build=None):
        """Runs wgru's command for at most `limit` seconds. Returns its output, or None after a line in the log."""
        words = [str(word) for word in [build or self.args.wgru, *words]]
        left = 60 * self.args.minutes - (time.monotonic() - self.began)
        if left < 1:
            self.say(f"NO TIME  {' '.join(words[1:])}")
            return None
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=min(left, limit))
        except subprocess.TimeoutExpired:
            self.say(f"STOPPED  {' '.join(words[1:])}")
            return None
        if done.returncode:
            self.say(f"FAILED  {' '.join(words[1:])}: status {done.returncode}: {done.stderr.strip()[-400:]}")
            return None
        return done.stdout

    def bench(self, case, *more, limit=math.inf, build=None):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "one.jsonl"
            # Compiled kernels are kept, because every process runs the self-test again.
            kept = ["--exchange", "--pipeline-cache", self.kept.name]
            self.wgru("bench", "--quick", "--device", self.args.device, "--case", case, "--json", file, *kept, *more, limit=limit, build=build)
            return self.keep(file.read_text() if file.exists() else "")

    def pytorch(self, folder, tf32=False):
        to = io.StringIO()
        threads = os.cpu_count() if self.torch_device == "cuda" else 1
        call = common.Call(folder, threads, self.args.seconds, self.torch_device, to)
        try:
            pytorch.time_case(call, tf32)
        except common.Skip as skipped:
            self.say(f"SKIPPED  pytorch  {call.case}  {skipped.reason}")
        except (common.Wrong, Exception) as reason:  # a case that breaks is one case less
            self.say(f"FAILED  pytorch  {call.case}  {reason!r}")
        return self.keep(to.getvalue())

    def machine(self):
        devices = self.wgru("devices", "--json") or "[]"
        about = {"wgru": json.loads(devices), "torch": torch.__version__, "torch_device": self.torch_device}
        if self.torch_device == "cuda":
            about |= {"gpu": torch.cuda.get_device_name(), "cudnn": torch.backends.cudnn.version()}
        about["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
        (self.args.out / "machine.json").write_text(json.dumps(about, indent=1) + "\n")

    def exchange(self):
        words = ["explain", "gru-b1-t1000-i256-h256", "--exchange", "--device", self.args.device]
        done = subprocess.run([str(self.args.wgru), *words], capture_output=True, text=True, timeout=120)
        (self.args.out / "exchange.txt").write_text(done.stderr + done.stdout)
        # The words of `SelfTest` in src/engine/self_test.rs.
        self.exchanges = re.search(r"[1-9]\d* workgroups exchange values", done.stderr) is not None
        self.say((done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[0])

    def conventions(self):
        """Verifies each case of CONVENTIONS by each strategy. A strategy that a device cannot run falls back to another."""
        with (self.args.out / "conventions.csv").open("w") as file:
            table = csv.writer(file)
            table.writerow(["strategy", "case", "kernels", "max_error", "tolerance"])
            for strategy in IS_OF:
                cases = [word for case in CONVENTIONS for word in ["--case", case]]
                began = time.monotonic()
                records = self.bench(CONVENTIONS[0], *cases[2:], "--strategy", strategy, limit=15 * self.args.minutes)
                passed = {one["case"]: one for one in records if one["timed"] == "sequence" and one["verified"]}
                for case, one in passed.items():
                    table.writerow([strategy, case, one["strategy"], one["max_error"], one["tolerance"]])
                file.flush()
                missing = [case for case in CONVENTIONS if case not in passed]
                words = f"NOT VERIFIED: {', '.join(missing)}" if missing else "all verified"
                self.say(f"conventions by {strategy}: {len(passed)} of {len(CONVENTIONS)} cases in {time.monotonic() - began:.0f} s, {words}")

    def probes(self):
        builds = {"now": (self.args.wgru, 0)}
        if self.args.before:
            help_text = self.wgru("bench", "--help", build=self.args.before) or ""
            builds = {"before": (self.args.before, int("multi_workgroup" not in help_text)), **builds}
        with (self.args.out / "probes.csv").open("w") as file:
            table = csv.writer(file)
            table.writerow(["what", "case", "build", "kernels", "clock", "run_s", "value", "unit"])
            for what, case, strategy, count, unit in PROBES:
                # The rest of the time is for the table.
                if time.monotonic() - self.began > 30 * self.args.minutes:
                    self.say(f"NO TIME  {what}")
                    continue
                if strategy == "multi_workgroup" and not self.exchanges:
                    self.say(f"LEFT OUT  {what}: exchanges between workgroups are off on this device")
                    continue
                for name, (build, old) in builds.items():
                    word = OLD_NAMES.get(strategy, strategy) if old else strategy
                    for one in self.bench(case, "--strategy", word, limit=6 * self.args.minutes, build=build):
                        # If a strategy is not available the planner takes another, whose time is not wanted here.
                        if one["timed"] == "sequence" and IS_OF[strategy][old] in one["strategy"]:
                            of_run = one["median_s"]
                            value = of_run / count if unit == "s" else count / of_run
                            clock, per = one["timing"], "s" if unit == "s" else "B/s"
                            table.writerow([what, case, name, one["strategy"], clock, of_run, value, per])
                            file.flush()
                            self.say(f"{what}, {name}: {value:.3g} {per} ({clock})")

    def tune(self):
        out = self.args.out
        words = self.wgru("tune", "--exchange", "--matrices", "--device", self.args.device, "--output", out / "speeds.txt", "--csv", out / "tune.csv")
        self.say((words or "no table of speeds").strip().splitlines()[-1])

    def case(self, name, table):
        of_half = name.endswith("-f16")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            cases.write(name, folder, with_onnx=False)
            peer = self.pytorch(folder)
            own = self.bench(name)
            # PyTorch's f16 uses cooperative matrices too. On a device without them only the reduction order differs.
            matrices = self.bench(name, "--any-reduction-order", "--matrices") if of_half else []
            peer += self.pytorch(folder)
            if self.torch_device == "cuda" and not of_half:
                peer += self.pytorch(folder, tf32=True)
        sizes = cases.parse(name)
        timed = "step" if sizes["steps"] == 1 else "sequence"
        for clock in ["wall", "device"]:
            of = lambda records, engine: min(
                (one["median_s"] for one in records if (one["engine"], one["timed"], one["timing"]) == (engine, timed, clock)),
                default=None,
            )
            ours, theirs, tf32 = of(own + matrices, "wgru"), of(peer, "pytorch"), of(peer, "pytorch-tf32")
            if ours is None:
                continue
            is_ours = lambda one: (one["timed"], one["timing"], one["median_s"]) == (timed, clock, ours)
            record = next(one for one in own + matrices if is_ours(one))
            ratio = theirs / ours if theirs else None
            aim = aim_of(sizes)
            row = {
                "case": name, "timed": timed, "clock": clock, "wgru_s": ours, "any_reduction_order_s": of(matrices, "wgru"), "a_step_s": ours / sizes["steps"],
                "gflops": record["gflops"], "of_best_matmul": record["peak_share"], "pytorch_s": theirs, "pytorch_tf32_s": tf32,
                "times_faster": ratio, "aim": aim, "met": None if ratio is None else ratio >= aim, "kernels": record["strategy"],
            }
            table.writerow(row)
            words = "no time of PyTorch" if ratio is None else f"{ratio:.2f} times as fast as PyTorch, aim {aim}"
            self.say(f"{name}  {timed} by {clock}: {ours * 1e6:.1f} µs, {words}")

    def run(self):
        self.machine()
        self.exchange()
        self.conventions()
        if not self.args.no_tune:
            self.probes()
        names = ["case", "timed", "clock", "wgru_s", "any_reduction_order_s", "a_step_s", "gflops", "of_best_matmul", "pytorch_s", "pytorch_tf32_s",
                 "times_faster", "aim", "met", "kernels"]
        with (self.args.out / "table.csv").open("w") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            for name in self.args.case or CASES:
                if self.is_late():
                    self.say(f"NO TIME  {name}")
                    continue
                try:
                    self.case(name, table)
                except (SystemExit, Exception) as reason:  # a case that breaks is one case less
                    self.say(f"LEFT OUT  {name}  {reason!r}")
                file.flush()
        if not self.args.no_tune:
            self.tune()


def aim_of(sizes):
    """The target: how many times as fast as PyTorch on the same device a case should be."""
    if sizes["hidden"] <= 1536 and sizes["batch"] <= 16:
        return 3.0 if sizes["batch"] == 1 else 1.0
    return 0.8


if __name__ == "__main__":
    Comparison(arguments()).run()
