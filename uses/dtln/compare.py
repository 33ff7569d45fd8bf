"""DTLN in ONNX Runtime: the expected samples of the tests, and its time beside that of the command `dtln`.

    python uses/dtln/compare.py expect
        writes models/noisy.wav and models/expected.wav, which tests/published.rs reads
    python uses/dtln/compare.py time COMMAND [ROUNDS]
        runs COMMAND (target/release/dtln) and ONNX Runtime in turn, checks that their samples agree, and prints the rounds as CSV

Needs numpy and onnxruntime, and the models (fetch.py).
"""

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
        case ["time", command, *rounds]:
            compare(command, int(rounds[0]) if rounds else 9)
        case _:
            sys.exit(__doc__)


def compare(command: str, rounds: int) -> None:
    samples = noisy()
    reference, seconds = Reference(), {"dtln": [], "onnxruntime": []}
    expected, _ = reference.run(samples)
    with tempfile.TemporaryDirectory() as folder:
        given, got = pathlib.Path(folder) / "noisy.wav", pathlib.Path(folder) / "clean.wav"
        write(given, samples)
        print("round,engine,seconds,real_time_factor")
        for number in range(rounds):
            line = subprocess.run([command, given, got, "--stream"], check=True, capture_output=True, text=True).stdout
            seconds["dtln"].append(float(re.search(r"in ([0-9.]+) s", line)[1]))
            # The command's output is not delayed.
            ours = read(got)
            off = numpy.abs(ours[: len(expected) - 384] - expected[384:]).max()
            if not off <= TOLERANCE:
                sys.exit(f"compare.py: samples differ by {off}, {TOLERANCE} is allowed")
            seconds["onnxruntime"].append(reference.run(samples)[1])
            for engine, all_rounds in seconds.items():
                print(f"{number},{engine},{all_rounds[-1]:.4f},{all_rounds[-1] / SECONDS:.5f}")
    medians = {engine: statistics.median(all_rounds) for engine, all_rounds in seconds.items()}
    ratio = medians["onnxruntime"] / medians["dtln"]
    print(f"medians {medians}, {ratio:.2f} times as fast, samples within {off:.1e}, onnxruntime {onnxruntime.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
