"""Times of the study, in short rounds in which all take turns: a training step in PyTorch, and inference by the command."""

import datetime
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch

from tasks import ROOT, count

SECONDS = 0.1
# I and H of the layers that `wgru compare` times.
LAYERS = [(64, 64), (256, 256)]


def trainer(task, cell, match):
    """A function that takes one optimizer step on the same batch again and again."""
    hidden = task.hidden(cell, match)
    torch.manual_seed(1)
    model, batch = task.make(cell, hidden), task.batch()
    optim = torch.optim.Adam(model.parameters(), 1e-4)

    def step():
        optim.zero_grad()
        task.loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optim.step()

    facts = {"task": task.name, "cell": cell, "match": match, "hidden": hidden, "parameters": count(model)}
    return step, facts


def seconds_of(step):
    """The median of the steps that fit SECONDS, at least three, after one that does not count."""
    step()
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), len(times)


def training_steps(args, tasks, cells, file):
    stamp = {"threads": 1, "torch": torch.__version__, "processor": args.processor, "date": str(datetime.date.today())}
    for task in tasks:
        trainers = [trainer(task, cell, match) for cell, match in cells]
        for turn in range(args.rounds):
            for onednn in [True, False]:
                for step, facts in trainers:
                    with torch.backends.mkldnn.flags(enabled=onednn):
                        seconds, runs = seconds_of(step)
                    line = {"timed": "training-step", **facts, "onednn": onednn, "round": turn, "median_s": round(seconds, 7), "runs": runs}
                    file.write(json.dumps(line | stamp) + "\n")
        print(f"{task.name}: {args.rounds} rounds", flush=True)


def inference(args, file):
    """The records of `wgru compare`, on one thread."""
    for turn in range(args.rounds):
        for inputs, hidden in LAYERS:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "records.jsonl"
                sizes = ["--input", str(inputs), "--hidden", str(hidden)]
                command = [str(args.command), "compare", "--device", "cpu:1", "--json", str(path), *sizes]
                subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
                for line in path.read_text().splitlines():
                    record = json.loads(line) | {"layer": hidden, "round": turn, "processor": args.processor}
                    file.write(json.dumps(record) + "\n")
        print(f"wgru compare: round {turn + 1} of {args.rounds}", flush=True)


def measure(path, write):
    """`write` writes the record. It replaces an older one when all is measured, so that no half of one is left."""
    new = path.with_suffix(".new")
    with new.open("w") as file:
        write(file)
    new.replace(path)
