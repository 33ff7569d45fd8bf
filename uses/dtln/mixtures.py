"""SI-SDR of the command `dtln` on mixtures of speech and noise, and the guide's spectrogram.

    python uses/dtln/mixtures.py rates COMMAND PROCESSOR [FOLDER]
        mixes each WAV file of FOLDER (uses/dtln/speech, which fetch.py fetches) with each noise at each ratio, cleans the mixtures by
        COMMAND (target/release/dtln), and writes the record benches/records/dtln-si-sdr.csv
    python uses/dtln/mixtures.py picture COMMAND [FOLDER]
        draws a mixture before and after, docs/guide/src/charts/denoise-spectrogram.svg
    python uses/dtln/mixtures.py write OUT [SECONDS [FOLDER]]
        writes a mixture for other measurements: all sentences one after the other, again from the first to that length, in pink noise
        at 5 dB

Noises are made here from a seed, so that the mixtures are the same on every machine; each covers the whole sentence, at one ratio of powers.
SI-SDR, of s the clean and y the cleaned samples without their means: 10 log10(|a s|^2 / |a s - y|^2), a = <y, s> / |s|^2.
Needs numpy and the models (fetch.py).
"""

import base64
import datetime
import pathlib
import struct
import subprocess
import sys
import tempfile
import wave
import zlib

import numpy

HERE = pathlib.Path(__file__).parent
BENCHES = HERE.parents[1] / "benches"
SPEECH = HERE / "speech"
RECORD = BENCHES / "records/dtln-si-sdr.csv"
PICTURE = HERE.parents[1] / "docs/guide/src/charts/denoise-spectrogram.svg"
RATE, SEED = 16_000, 20
RATIOS = [-5, 0, 5, 10, 15]


def read(path: pathlib.Path) -> numpy.ndarray:
    """Samples of a WAV file of 16-bit integers, full scale 1."""
    with wave.open(str(path)) as file:
        found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if found != (RATE, 1, 2):
            sys.exit(f"mixtures.py: {path}: expected {RATE} samples a second, one channel, 16 bits; found {found}")
        return numpy.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def write(path: pathlib.Path, samples: numpy.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", None))
        file.writeframes(numpy.clip(numpy.round(samples * 32768), -32768, 32767).astype("<i2").tobytes())


def sentences(folder: pathlib.Path) -> dict[str, numpy.ndarray]:
    found = {path.stem: read(path) for path in sorted(folder.glob("*.wav"))}
    if not found:
        sys.exit(f"mixtures.py: no WAV file in {folder}; `python uses/dtln/fetch.py speech` fetches some")
    return found


def pink(rng: numpy.random.Generator, count: int) -> numpy.ndarray:
    """Noise whose power falls by 3 dB an octave, from 20 Hz on."""
    spectrum = numpy.fft.rfft(rng.standard_normal(count))
    return numpy.fft.irfft(spectrum / numpy.sqrt(numpy.maximum(numpy.arange(len(spectrum)) * RATE / count, 20)), count)


def hum(rng: numpy.random.Generator, count: int) -> numpy.ndarray:
    """A fan: the harmonics of about 100 Hz, as loud as the pink noise around them."""
    t = numpy.arange(count) / RATE
    phase = 2 * numpy.pi * numpy.cumsum(100 + 2 * numpy.sin(2 * numpy.pi * 0.3 * t + rng.uniform(0, 6))) / RATE
    tones = sum(numpy.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 30))
    noise = pink(rng, count)
    return tones / tones.std() + noise / noise.std()


def clicks(rng: numpy.random.Generator, count: int) -> numpy.ndarray:
    """Keys: eight bursts of noise a second, each of about 10 ms, over white noise 20 dB below."""
    noise = rng.standard_normal(count)
    gain = numpy.zeros(count)
    for at in rng.integers(0, count, max(1, count * 8 // RATE)):
        rest = gain[at:]
        rest += numpy.exp(-numpy.arange(len(rest)) / (0.003 * RATE)) * rng.uniform(0.3, 1)
    loud = noise * gain
    return loud / loud.std() + 0.1 * rng.standard_normal(count)


def white(rng: numpy.random.Generator, count: int) -> numpy.ndarray:
    return rng.standard_normal(count)


def voices(rng: numpy.random.Generator, count: int, others: list[numpy.ndarray]) -> numpy.ndarray:
    """Eight voices: the other sentences from random places on, half of them backwards, at other speeds."""
    total = numpy.zeros(count)
    for number in range(8):
        voice = others[number % len(others)][:: 1 if number % 2 else -1]
        places = (rng.integers(len(voice)) + numpy.arange(count) * rng.uniform(0.8, 1.25)) % (len(voice) - 1)
        whole = places.astype(int)
        total += voice[whole] + (places - whole) * (voice[whole + 1] - voice[whole])
    return total


NOISES = {"white": white, "pink": pink, "fan": hum, "keys": clicks, "voices": voices}


def mixture(speech: dict[str, numpy.ndarray], name: str, noise: str, ratio: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The clean samples and the noisy ones, neither beyond full scale."""
    clean = speech[name] - speech[name].mean()
    rng = numpy.random.default_rng([SEED, sorted(speech).index(name), list(NOISES).index(noise)])
    others = [samples for other, samples in speech.items() if other != name] or [clean]
    added = NOISES[noise](rng, len(clean), *[others] * (noise == "voices"))
    added = (added - added.mean()) * numpy.sqrt((clean**2).mean() / added.var() / 10 ** (ratio / 10))
    scale = min(1, 0.95 / numpy.abs(clean + added).max())
    return clean * scale, (clean + added) * scale


def si_sdr(clean: numpy.ndarray, got: numpy.ndarray) -> float:
    clean, got = clean - clean.mean(), got - got.mean()
    target = clean * (got @ clean) / (clean @ clean)
    return 10 * numpy.log10((target @ target) / ((got - target) @ (got - target)))


def cleaned(command: str, noisy: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The samples that the command reads, in 16 bits, and those that it writes, frame by frame."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = pathlib.Path(folder) / "noisy.wav", pathlib.Path(folder) / "clean.wav"
        write(given, noisy)
        subprocess.run([command, given, got, "--stream"], check=True, stdout=subprocess.DEVNULL)
        return read(given), read(got)


def rates(command: str, processor: str, folder: pathlib.Path) -> None:
    speech, date, rows = sentences(folder), datetime.date.today(), []
    for noise in NOISES:
        for ratio in RATIOS:
            gains = []
            for name in speech:
                clean, noisy = mixture(speech, name, noise, ratio)
                given, got = cleaned(command, noisy)
                before, after = si_sdr(clean, given), si_sdr(clean, got)
                gains.append(after - before)
                rows.append(f'{name},{noise},{ratio},{before:.3f},{after:.3f},{SEED},"{processor}",{date}\n')
            print(f"{noise}, {ratio} dB: SI-SDR {numpy.mean(gains):+.2f} dB on average", file=sys.stderr)
    RECORD.write_text("sentence,noise,snr_db,si_sdr_before_db,si_sdr_after_db,seed,processor,date\n" + "".join(rows))


# The colours of the spectrogram, from -90 dB to -20 dB: 16 steps through these (dark blue, red, yellow).
COLOURS = [(4, 6, 32), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)]
QUIET, LOUD = -90, -25


def spectrogram(samples: numpy.ndarray) -> numpy.ndarray:
    """Levels 0 to 15, a row for each 62.5 Hz (the mean power of two bins of 512), a column for each 16 ms."""
    window = numpy.hanning(512)
    blocks = [samples[at : at + 512] * window for at in range(0, len(samples) - 511, 256)]
    power = (numpy.abs(numpy.fft.rfft(blocks)[:, :256]) / window.sum() * 2) ** 2
    level = 10 * numpy.log10(power.reshape(len(blocks), 128, 2).mean(axis=2) + 1e-12)
    return numpy.clip((level - QUIET) / (LOUD - QUIET) * 15.99, 0, 15).astype(numpy.uint8).T


def png(levels: numpy.ndarray) -> bytes:
    """A picture of 16 colours, low frequencies at the bottom."""
    steps = numpy.linspace(0, len(COLOURS) - 1, 16)
    palette = numpy.stack([numpy.interp(steps, range(len(COLOURS)), channel) for channel in zip(*COLOURS)], axis=1)
    height, width = levels.shape
    even = numpy.pad(levels[::-1], ((0, 0), (0, width % 2)))
    rows = (even[:, ::2] << 4 | even[:, 1::2]).tobytes()
    stride = (width + 1) // 2
    lines = b"".join(b"\0" + rows[at * stride : (at + 1) * stride] for at in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0))
    colours = chunk(b"PLTE", palette.round().astype(numpy.uint8).tobytes())
    return b"\x89PNG\r\n\x1a\n" + head + colours + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def picture(command: str, folder: pathlib.Path) -> None:
    sys.path.insert(0, str(BENCHES))
    from charts import WIDTH, Picture

    speech, noise, ratio = sentences(folder), "pink", 5
    name = next(iter(speech))
    clean, noisy = mixture(speech, name, noise, ratio)
    given, got = cleaned(command, noisy)
    seconds, left, height = len(clean) / RATE, 44, 128
    lines = [f"A sentence, {noise} noise {ratio} dB below it, cleaned frame by frame", "Drawn by uses/dtln/mixtures.py"]
    drawn = Picture("Speech in noise, before and after", lines)
    for words, samples in [("noisy", given), ("cleaned", got), ("the speech alone", clean)]:
        drawn.y += 10
        drawn.text(left, drawn.y + 4, f"{words}, SI-SDR {si_sdr(clean, samples):.1f} dB" if samples is not clean else words)
        top = drawn.y = drawn.y + 10
        data = base64.b64encode(png(spectrogram(samples))).decode()
        place = f'x="{left}" y="{top:.0f}" width="{WIDTH - left - 16}" height="{height}"'
        drawn.parts.append(f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>')
        for kilohertz in [0, 4, 8]:
            drawn.text(left - 6, top + height * (1 - kilohertz / 8) + (10 if kilohertz == 8 else 0), f"{kilohertz} kHz", "muted", "end")
        drawn.y += height + 4
    drawn.y += 12
    for second in range(int(seconds) + 1):
        drawn.text(left + (WIDTH - left - 16) * second / seconds, drawn.y, f"{second} s", "muted", "middle")
    PICTURE.write_text(drawn.svg())
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


def long(out: pathlib.Path, seconds: float, folder: pathlib.Path) -> None:
    speech = numpy.concatenate(list(sentences(folder).values()))
    clean = numpy.resize(speech, int(seconds * RATE))
    write(out, mixture({"all": clean}, "all", "pink", 5)[1])


def main() -> None:
    match sys.argv[1:]:
        case ["rates", command, processor, *folder]:
            rates(command, processor, pathlib.Path(*folder or [SPEECH]))
        case ["picture", command, *folder]:
            picture(command, pathlib.Path(*folder or [SPEECH]))
        case ["write", out, *rest]:
            long(pathlib.Path(out), float(rest[0]) if rest else 10, pathlib.Path(*rest[1:] or [SPEECH]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
