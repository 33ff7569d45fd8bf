"""DTLN in ONNX Runtime: the expected samples of the tests, and its time beside that of the command `dtln`.

    python uses/dtln/compare.py expect
        writes models/noisy.wav and models/expected.wav, which tests/published.rs reads
    python uses/dtln/compare.py time COMMAND PROCESSOR [ROUNDS]
        runs COMMAND (target/release/dtln) and ONNX Runtime in turn, checks that their samples agree, and writes the record
        benches/records/dtln-alternating.csv
    python uses/dtln/compare.py callers COMMAND PROCESSOR CALLERSxTHREADS...
        runs COMMAND with each number of callers and threads (1000x2) and ONNX Runtime's one stream in turn, three rounds, and
        writes the record benches/records/dtln-callers.csv

Needs numpy and onnxruntime, and the models (fetch.py).
"""

import csv
import datetime
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy
import onnxruntime

MODELS = pathlib.Path(__file__).parent / "models"
RECORDS = pathlib.Path(__file__).parents[2] / "benches/records"
RATE, BLOCK, HOP = 16_000, 512, 128
SECONDS = 10
TOLERANCE = 1e-4


def noisy() -> numpy.ndarray:
    """A voice of harmonics with moving formants and pauses between syllables, in noise 5 dB below it."""
    rng = numpy.random.default_rng(1)
    t = numpy.arange(SECONDS * RATE) / RATE
    pitch = 120 + 30 * numpy.sin(2 * numpy.pi * 0.7 * t) + 8 * numpy.sin(2 * numpy.pi * 5 * t)
    phase = 2 * numpy.pi * numpy.cumsum(pitch) / RATE
    voice = numpy.zeros_like(t)
    formants = [(500 + 250 * numpy.sin(2 * numpy.pi * 1.3 * t), 90), (1500 + 600 * numpy.sin(2 * numpy.pi * 0.9 * t), 140), (2600, 200)]
    for harmonic in range(1, 40):
        frequency = harmonic * pitch
        gain = sum(numpy.exp(-(((frequency - centre) / width) ** 2) / 2) for centre, width in formants) + 0.02
        voice += gain / harmonic**0.5 * numpy.sin(harmonic * phase) * (frequency < 7600)
    syllables = numpy.clip(numpy.sin(2 * numpy.pi * 3.1 * t) + 0.4 * numpy.sin(2 * numpy.pi * 0.4 * t), 0, None)
    voice *= syllables / numpy.abs(voice * syllables).max() * 0.5
    noise = rng.standard_normal(len(t)) * (1 + 0.5 * numpy.sin(2 * numpy.pi * 0.2 * t))
    noise *= numpy.sqrt((voice**2).mean() / (noise**2).mean()) * 10 ** (-5 / 20)
    return (voice + noise).astype(numpy.float32)


class Reference:
    """The network hop by hop, as the authors' real-time script computes it; the states go back in."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.cores = [
            onnxruntime.InferenceSession(str(MODELS / f"model_{core}.onnx"), options, providers=["CPUExecutionProvider"])
            for core in (1, 2)
        ]
        self.names = [[value.name for value in core.get_inputs()] for core in self.cores]

    def run(self, samples: numpy.ndarray) -> tuple[numpy.ndarray, float]:
        """The samples out, delayed by 384, and the seconds inside ONNX Runtime."""
        states = [numpy.zeros((1, 2, 128, 2), numpy.float32) for _ in self.cores]
        block, sums, out, inside = numpy.zeros(BLOCK, numpy.float32), numpy.zeros(BLOCK, numpy.float32), [], 0.0

        def core(index: int, x: numpy.ndarray) -> numpy.ndarray:
            nonlocal inside
            feeds = dict(zip(self.names[index], (x.astype(numpy.float32).reshape(1, 1, -1), states[index])))
            start = time.perf_counter()
            y, states[index] = self.cores[index].run(None, feeds)
            inside += time.perf_counter() - start
            return y.reshape(-1)

        for hop in samples[: len(samples) // HOP * HOP].reshape(-1, HOP):
            block = numpy.concatenate([block[HOP:], hop])
            spectrum = numpy.fft.rfft(block)
            masked = numpy.fft.irfft(core(0, numpy.abs(spectrum)) * spectrum)
            sums = numpy.concatenate([sums[HOP:], numpy.zeros(HOP, numpy.float32)]) + core(1, masked)
            out.append(sums[:HOP])
        return numpy.concatenate(out).astype(numpy.float32), inside


def write(path: pathlib.Path, samples: numpy.ndarray) -> None:
    """A WAV file of 32-bit floats."""
    data = samples.astype("<f4").tobytes()
    layout = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    chunks = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)


def read(path: pathlib.Path) -> numpy.ndarray:
    data = path.read_bytes()
    return numpy.frombuffer(data[data.index(b"data") + 8 :], "<f4")


def main() -> None:
    match sys.argv[1:]:
        case ["expect"]:
            samples = noisy()
            write(MODELS / "noisy.wav", samples)
            write(MODELS / "expected.wav", Reference().run(samples)[0])
        case ["time", command, processor, *rounds]:
            compare(command, processor, int(rounds[0]) if rounds else 9)
        case ["callers", command, processor, *loads] if loads:
            callers(command, processor, [load.split("x") for load in loads])
        case _:
            sys.exit(__doc__)


def clean(command: str, samples: numpy.ndarray, *options: str) -> tuple[numpy.ndarray, str]:
    """The command's samples, which are not delayed, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = pathlib.Path(folder) / "noisy.wav", pathlib.Path(folder) / "clean.wav"
        write(given, samples)
        report = subprocess.run([command, given, got, *options], check=True, capture_output=True, text=True).stdout
        return read(got), report


def check(ours: numpy.ndarray, expected: numpy.ndarray) -> float:
    off = numpy.abs(ours[: len(expected) - 384] - expected[384:]).max()
    if not off <= TOLERANCE:
        sys.exit(f"compare.py: samples differ by {off}, {TOLERANCE} is allowed")
    return off


def record(name: str, rows: list[dict], processor: str) -> None:
    with (RECORDS / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "processor", "date"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "processor": processor, "date": datetime.date.today()} for row in rows)


def of_engine(engine: str, seconds: float) -> dict:
    hop = seconds / (SECONDS * RATE / HOP)
    return {"engine": engine, "seconds": f"{seconds:.4f}", "real_time_factor": f"{seconds / SECONDS:.5f}", "hop_us": f"{hop * 1e6:.2f}"}


def compare(command: str, processor: str, rounds: int) -> None:
    samples = noisy()
    reference, rows = Reference(), []
    expected, _ = reference.run(samples)
    for number in range(rounds):
        ours, report = clean(command, samples, "--stream")
        off = check(ours, expected)
        theirs = reference.run(samples)[1]
        more = {"threads": 1, "sound_seconds": SECONDS}
        timed = "whole hops of 128 samples"
        rows.append({"round": number, **of_engine("dtln", float(re.search(r"in ([0-9.]+) s", report)[1])), "timed": timed, **more})
        timed = "calls of both sessions from Python, without transforms"
        rows.append({"round": number, **of_engine(f"onnxruntime {onnxruntime.__version__}", theirs), "timed": timed, **more})
    record("dtln-alternating.csv", rows, processor)
    medians = [statistics.median(float(row["hop_us"]) for row in rows[engine::2]) for engine in (0, 1)]
    print(f"a hop: {medians[0]:.1f} µs, ONNX Runtime {medians[1]:.1f} µs, {medians[1] / medians[0]:.2f} times; samples within {off:.1e}")


NUMBER = "([0-9.]+)"
REPORT = {
    "callers": f"{NUMBER} callers",
    "threads": f"{NUMBER} threads",
    "ticks": f"{NUMBER} ticks of 8 ms",
    "real_time_factor": f"factor {NUMBER}",
    "hop_us": f"{NUMBER} µs",
    "lstm_percent": f"LSTMs {NUMBER} %",
    "median_ms": f"median {NUMBER} ms",
    "p99_ms": f"99 % {NUMBER} ms",
    "p999_ms": f"99.9 % {NUMBER} ms",
    "worst_ms": f"worst {NUMBER} ms",
    "missed": f"deadlines: {NUMBER} of",
    "of": f"of {NUMBER} ticks",
}


def callers(command: str, processor: str, loads: list[list[str]]) -> None:
    samples = noisy()
    reference, rows = Reference(), []
    expected, _ = reference.run(samples)
    for number in range(3):
        for count, threads in loads:
            ours, report = clean(command, samples, "--streams", count, "--threads", threads)
            check(ours, expected)
            found = {name: re.search(pattern, report)[1] for name, pattern in REPORT.items()}
            rows.append({"round": number, "engine": "dtln", **found})
            print(f"round {number}, {count} callers, {threads} threads: {report.splitlines()[-1]}", file=sys.stderr)
        theirs = of_engine(f"onnxruntime {onnxruntime.__version__}", reference.run(samples)[1])
        empty = dict.fromkeys(REPORT, "")
        del theirs["seconds"]
        rows.append({"round": number, **empty, **theirs, "callers": 1, "threads": 1})
    record("dtln-callers.csv", rows, processor)


if __name__ == "__main__":
    main()
