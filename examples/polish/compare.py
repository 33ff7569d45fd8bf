"""The example beside PyTorch and ONNX Runtime.

    python examples/polish/compare.py check COMMAND MODEL PILEUP [DEVICE]
        every score against PyTorch in f32 and in f64: the same symbol at every column, probabilities within 1e-4, and the numbers before
        softmax no farther from f64 than twice PyTorch's in f32 (root mean square; the largest of few columns is chance)
    python examples/polish/compare.py time COMMAND MODEL PILEUP PROCESSOR [ROUNDS]
        the example, PyTorch and ONNX Runtime in turn, each on as many threads as the machine has; prints the rounds as CSV

COMMAND is target/release/examples/polish. MODEL is from fetch.py, PILEUP from pileup.py. Needs torch, onnx, onnxruntime and safetensors.
"""

import csv
import datetime
import io
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file

THREADS = os.cpu_count() or 1


class Network(torch.nn.Module):
    """GRUModel of medaka/architectures/gru.py."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        hidden, features = state["gru.weight_hh_l0"].shape[1], state["gru.weight_ih_l0"].shape[1]
        self.gru = torch.nn.GRU(features, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.linear = torch.nn.Linear(2 * hidden, state["linear.weight"].shape[0])
        self.load_state_dict(state)
        self.eval()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.gru(x)[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.logits(x), dim=-1)


def ours(command: str, model: str, pileup: str, *options: str) -> str:
    return subprocess.run([command, model, pileup, *options], check=True, text=True, stdout=subprocess.PIPE).stdout


@torch.no_grad()
def check(command: str, model: str, pileup: str, device: str = "cpu") -> None:
    network, data = Network(load_file(model)), load_numpy(pileup)
    features, truth = torch.from_numpy(data["features"]), data["truth"]
    theirs = torch.cat([network.logits(rows) for rows in features.split(4)])
    network.double()
    exact = torch.cat([network.logits(rows.double()) for rows in features.split(4)])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "scores.safetensors")
        found = []
        for options in [["--logits"], []]:
            ours(command, model, pileup, "--device", device, "--scores", path, *options)
            found.append(torch.from_numpy(load_numpy(path)["scores"]))
    logits, probabilities = found
    expected = torch.softmax(theirs, dim=-1)
    errors = [float((one - exact).abs().max()) for one in (logits, theirs)]
    means = [float((one - exact).square().mean().sqrt()) for one in (logits, theirs)]
    of_probabilities = float((probabilities - expected).abs().max())
    differ = int((probabilities.argmax(-1) != expected.argmax(-1)).sum())
    right = float((probabilities.argmax(-1).numpy() == truth).mean())
    print(
        f"{device}: {truth.size:,} columns, {differ} with another symbol than PyTorch; a probability differs by at most {of_probabilities:.1e}. "
        f"Before softmax, numbers of up to {float(exact.abs().max()):.0f}: {float((logits - theirs).abs().max()):.1e} from PyTorch; "
        f"from f64 {errors[0]:.1e}, PyTorch {errors[1]:.1e}, root mean square {means[0]:.1e} and {means[1]:.1e}. {right:.3%} of the symbols are the drawn ones"
    )
    if differ or of_probabilities > 1e-4 or means[0] > 2 * means[1]:
        sys.exit("compare.py: the scores differ")


@torch.no_grad()
def measure(command: str, model: str, pileup: str, processor: str, rounds: int) -> None:
    import onnxruntime

    torch.set_num_threads(THREADS)
    network, features = Network(load_file(model)), torch.from_numpy(load_numpy(pileup)["features"])
    count, columns, _ = features.shape
    file = io.BytesIO()
    torch.onnx.export(
        network, (features,), file, dynamo=False, input_names=["x"], output_names=["out"],
        dynamic_axes={"x": {0: "B", 1: "T"}, "out": {0: "B", 1: "T"}},
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    expected = network(features).numpy()
    theirs = session.run(None, {"x": features.numpy()})[0]
    assert np.abs(theirs - expected).max() < 1e-4, "ONNX Runtime differs"
    engines = {
        f"torch {torch.__version__}": lambda: network(features),
        f"onnxruntime {onnxruntime.__version__}": lambda: session.run(None, {"x": features.numpy()}),
    }
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["round", "engine", "threads", "windows", "columns", "seconds", "windows_per_s", "processor", "date"])
    for turn in range(rounds):
        # The first run of each process prepares; the second is timed, as those of the others are not their first.
        text = ours(command, model, pileup, "--device", f"cpu:{THREADS}", "--batch", str(count), "--repeat", "2")
        rows = [("wgru", float(re.findall(r"in ([\d.]+) s", text)[-1]))]
        for engine, run in engines.items():
            begin = time.perf_counter()
            run()
            rows.append((engine, time.perf_counter() - begin))
        for engine, seconds in rows:
            row = [turn, engine, THREADS, count, columns, f"{seconds:.4f}", f"{count / seconds:.3f}", processor]
            writer.writerow([*row, datetime.date.today()])
            sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", *rest] if 3 <= len(rest) <= 4:
            check(*rest)
        case ["time", command, model, pileup, processor, *rest]:
            measure(command, model, pileup, processor, int(rest[0]) if rest else 5)
        case _:
            raise SystemExit(__doc__)
