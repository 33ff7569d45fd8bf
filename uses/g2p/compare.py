"""The model beside a baseline and beside PyTorch, and the expected phonemes of the tests.

    python uses/g2p/compare.py expect
        writes tests/expected/words.txt by PyTorch, for tests/speak.rs and tests/on_device.rs
    python uses/g2p/compare.py rates COMMAND
        writes benches/records/g2p-error-rates.csv: the baseline, and COMMAND (target/release/wgru) with beams of 1 and 5
    python uses/g2p/compare.py time COMMAND PROCESSOR [ROUNDS]
        runs COMMAND and PyTorch in turn on the held-out words, one thread each, checks that their phonemes agree, and prints the rounds as CSV

Needs torch, safetensors and the dictionary (dictionary.py).
"""

import csv
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import torch
from safetensors import safe_open

import dictionary
from baseline import Baseline
from model import START, Speller, most_phonemes, until_end

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "uses/g2p/g2p.safetensors"
DICTIONARY = pathlib.Path(__file__).parent / "cmudict.dict"
EXPECTED = pathlib.Path(__file__).parent / "tests/expected/words.txt"
RATES = ROOT / "benches/records/g2p-error-rates.csv"
SEARCHES = {"wgru greedy": 1, "wgru beam of 5": 5}


def load():
    """The committed model in PyTorch, and its phonemes."""
    with safe_open(MODEL, "pt") as file:
        state = {name: file.get_tensor(name).float() for name in file.keys()}
        phonemes = file.metadata()["wgru.phonemes"].split()
    letters, embedding = state["letters.weight"].shape
    encoder = state["encoder.weight_hh_l0"].shape[1]
    model = Speller(letters, len(phonemes), embedding, encoder)
    model.load_state_dict(state)
    return model.eval(), phonemes


def spell(word):
    return [dictionary.LETTERS.index(letter) for letter in word]


def held_out():
    words = dictionary.read(DICTIONARY)
    return words, sorted(word for word in words if dictionary.part(word) == "test")


@torch.no_grad()
def expect():
    """Every 130th held-out word, by teacher forcing of what greedy decoding gives."""
    model, phonemes = load()
    lines = []
    for word in held_out()[1][::130]:
        letters = torch.tensor([spell(word)])
        spoken = until_end(model.greedy(letters, most_phonemes(len(word)))[0].tolist())
        scores = model(letters, torch.tensor([[START, *spoken]])).log_softmax(-1)[0]
        log_probability = sum(scores[at, k].item() for at, k in enumerate([*spoken, START]))
        lines.append(f"{word} {log_probability:.5f} {' '.join(phonemes[k] for k in spoken)}\n")
    EXPECTED.write_text("".join(lines))


def run(command, *options):
    """The JSON of `wgru g2p`, on one thread."""
    result = subprocess.run([command, "g2p", "--device", "cpu:1", "--json", *options], check=True, stdout=subprocess.PIPE)
    return json.loads(result.stdout)


def rates(command):
    words, test = held_out()
    baseline = Baseline({word: listed for word, listed in words.items() if dictionary.part(word) == "train"})
    spoken = {word: baseline.speak(word) for word in test}
    rows = [("baseline", "all", len(test), *dictionary.rates(words, spoken))]
    for letters in sorted({len(word) for word in test}):
        some = {word: spoken[word] for word in test if len(word) == letters}
        rows.append(("baseline", letters, len(some), *dictionary.rates(words, some)))
    for system, beam in SEARCHES.items():
        found = run(command, "--evaluate", DICTIONARY, "--beam", str(beam))
        assert found["words"] == len(test), "the command and the script hold other words out"
        rows.append((system, "all", found["words"], found["per"], found["wer"]))
        rows += [(system, row["letters"], row["words"], row["per"], row["wer"]) for row in found["by_letters"]]
    with RATES.open("w", newline="") as file:
        file.write("system,letters,words,per,wer\n")
        file.writelines(f"{system},{letters},{count},{per:.3f},{wer:.3f}\n" for system, letters, count, per, wer in rows)


def speak(model, words):
    """Greedy phonemes, in batches of at most 256 words of one length."""
    groups = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    spoken = {}
    for length, group in groups.items():
        for at in range(0, len(group), 256):
            some = group[at : at + 256]
            letters = torch.tensor([spell(word) for word in some])
            spoken.update(zip(some, model.greedy(letters, most_phonemes(length)).tolist()))
    return spoken


def measure(command, processor, rounds):
    torch.set_num_threads(1)
    model, phonemes = load()
    _, test = held_out()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{word}\n" for word in test))
        file.flush()
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["round", "engine", "threads", "words", "seconds", "words_per_s", "processor", "date"])
        for turn in range(rounds):
            ours = run(command, "--file", file.name)
            speak(model, test[:512])
            begin = time.perf_counter()
            theirs = speak(model, test)
            took = time.perf_counter() - begin
            differ = sum(
                one["phonemes"] != [phonemes[k] for k in until_end(theirs[one["word"]])] for one in ours["pronunciations"]
            )
            assert differ <= len(test) // 1000, f"{differ} words differ"
            for engine, seconds in [("wgru", ours["seconds"]), (f"torch {torch.__version__}", took)]:
                row = [turn, engine, 1, len(test), f"{seconds:.4f}", f"{len(test) / seconds:.0f}"]
                writer.writerow([*row, processor, datetime.date.today()])
            print(f"round {turn}: {differ} of {len(test)} words differ", file=sys.stderr)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["expect"]:
            expect()
        case ["rates", command]:
            rates(command)
        case ["time", command, processor, *rest]:
            measure(command, processor, int(rest[0]) if rest else 5)
        case _:
            raise SystemExit(__doc__)
