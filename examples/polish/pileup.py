"""Draws windows of a pileup from a seed: features as medaka counts them, and the true symbols.

    python examples/polish/pileup.py FILE.safetensors [--windows 8] [--columns 10000] [--depth 30] [--seed 1]

A random genome is read `depth` times from either strand, with the errors of RATES. A column is a base of the draft, or a base that reads insert
after one. `features` [N, T, 10]: reads with a, c, g, t of the reverse strand, the same of the forward strand, then those of each
that have no base, divided by the depth of the column. `truth` [N, T]: 0 for none, 1 to 4 for A, C, G, T. No real reads: the drawn errors are
independent, and those of a sequencer are not. Needs NumPy and safetensors.
"""

import argparse

import numpy as np
from safetensors.numpy import save_file

# Shares of bases that are read as another one, left out, or followed by one that is not there; and of columns with a base that the
# draft has not.
RATES = {"replaced": 0.02, "left out": 0.02, "inserted": 0.01, "missing in the draft": 0.02}


def window(rng: np.random.Generator, columns: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [T, 10] and truth [T] of one window."""
    truth = rng.integers(1, 5, columns)
    # Columns after a base where reads insert one; in most of them the genome has none.
    is_minor = rng.random(columns) < 0.1
    is_minor[0] = False
    is_real = rng.random(columns) < RATES["missing in the draft"] / 0.1
    truth[is_minor & ~is_real] = 0
    counts = np.zeros((columns, 10))
    reads = rng.poisson(depth, 2) + 1
    for strand, count in enumerate(reads):
        drawn = rng.random((columns, count))
        symbols = np.repeat(truth[:, None], count, axis=1)
        others = (symbols + rng.integers(1, 4, symbols.shape) - 1) % 4 + 1
        replaced = (drawn < RATES["replaced"]) & (symbols > 0)
        left_out = (drawn > 1 - RATES["left out"]) & (symbols > 0)
        inserted = (drawn < RATES["inserted"] / 0.1) & (symbols == 0)
        symbols = np.where(replaced, others, np.where(left_out, 0, symbols))
        symbols = np.where(inserted, rng.integers(1, 5, symbols.shape), symbols)
        for symbol in range(5):
            place = 8 + strand if symbol == 0 else 4 * strand + symbol - 1
            counts[:, place] = (symbols == symbol).sum(axis=1)
    return counts / reads.sum(), truth


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws windows of a pileup.")
    parser.add_argument("file")
    for name, default in [("windows", 8), ("columns", 10_000), ("depth", 30), ("seed", 1)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    drawn = [window(rng, given.columns, given.depth) for _ in range(given.windows)]
    features = np.stack([features for features, _ in drawn]).astype(np.float32)
    truth = np.stack([truth for _, truth in drawn]).astype(np.uint8)
    save_file({"features": features, "truth": truth}, given.file)
    print(f"{given.file}: {features.shape} features, {(truth == 0).mean():.1%} of the columns without a base")


if __name__ == "__main__":
    main()
