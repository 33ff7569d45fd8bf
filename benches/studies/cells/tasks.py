"""The three tasks of the study, each with any of the three cells. `run.py` trains them.

A task's `train(run)` gives its held-out figures and the number of optimizer steps; lower is better for every figure.
Whatever is not the cell is that of the task's own script: models/train_co2.py, uses/g2p/train.py.
"""

import argparse
import functools
import pathlib
import sys
import zlib

import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "models"), str(ROOT / "uses/g2p")]

import dictionary  # noqa: E402
import model as g2p_model  # noqa: E402
import train as g2p  # noqa: E402
import train_co2 as co2  # noqa: E402

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


def keep_at_start(module, keep):
    """Sets the bias of the gate that keeps the state, an LSTM's f and a GRU's z. A plain RNN has none."""
    if not isinstance(module, nn.RNN):
        units = module.hidden_size
        with torch.no_grad():
            for name, bias in module.named_parameters():
                if name.startswith("bias_"):
                    bias[units : 2 * units] = keep(units) if name.startswith("bias_ih") else 0
    return module


def recurrent(cell, *sizes, keep=torch.ones, **options):
    """A batch-first stack of layers."""
    return keep_at_start(CELLS[cell](*sizes, batch_first=True, **options), keep)


def count(model):
    return sum(p.numel() for p in model.parameters())


def nearest_hidden(make, wanted):
    """The H at which the model `make(H)` has the number of parameters that is nearest to `wanted`."""
    least, most = 1, 4096
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if count(make(middle)) < wanted else (least, middle)
    return min((hidden for hidden in (least - 1, least) if hidden), key=lambda hidden: abs(count(make(hidden)) - wanted))


class Task:
    """A model of the base H and of each cell at an equal number of parameters of the whole model."""

    base = 64
    has_quarter = True

    def hidden(self, cell, match):
        if match == "H" or cell == "gru":
            return self.base
        return nearest_hidden(functools.partial(self.make, cell), count(self.make("gru", self.base)))


class Co2(Task):
    """Twelve months of CO2 from 48: a stack of two layers. A quarter is the latest quarter of the training windows."""

    name, figure, unit = "co2", "mae_ppm", "ppm"
    epochs = 60

    def make(self, cell, hidden):
        model = co2.Forecaster()
        model.gru = recurrent(cell, 1, hidden, 2)
        model.readout = nn.Linear(hidden, co2.HORIZON)
        return model

    @functools.cached_property
    def data(self):
        months, series = co2.load_csv(ROOT / "data/co2_mauna_loa.csv")
        return months, series, co2.split(months)

    def train(self, run):
        months, series, parts = self.data
        ends = parts["train"]
        steps = self.epochs * -(-len(ends) // 32)
        if run.data == "quarter":
            ends = ends[-(len(ends) // 4) :]
        epochs = round(steps / -(-len(ends) // 32))
        args = argparse.Namespace(seed=run.seed, epochs=epochs, batch=32, lr=2e-3, weight_decay=1e-2, noise=0.1, trend=0.25, stretch=0.1)
        train_set, valid_set = (co2.windows(series, some) for some in (ends, parts["valid"]))
        model, best, epoch = co2.train(train_set, valid_set, args, lambda: self.make(run.cell, run.hidden))
        scores = co2.evaluate(model, months, series, parts["test"])["held_out"]["gru"]
        return {
            "mae_ppm": scores["all"]["mae"],
            "rmse_ppm": scores["all"]["rmse"],
            "valid_mae_ppm": best,
            "kept_epoch": epoch,
            "steps": epochs * -(-len(ends) // 32),
            "examples": len(ends),
        }

    def batch(self):
        _, series, parts = self.data
        return co2.windows(series, parts["train"][:32])

    def loss(self, model, batch):
        return nn.functional.huber_loss(model(batch[0]), batch[1])


class AnyCell(g2p_model.Speller):
    """The network of uses/g2p with any cell. All states of the encoder are the decoder's first ones."""

    def __init__(self, cell, letters, phonemes, encoder, dropout):
        super().__init__(letters, phonemes, encoder=encoder, dropout=dropout)
        embedding = self.letters.embedding_dim
        self.encoder = recurrent(cell, embedding, encoder, bidirectional=True)
        self.decoder = recurrent(cell, embedding, 2 * encoder)

    def encode(self, letters):
        _, states = self.encoder(self.drop(self.letters(letters)))
        if isinstance(states, torch.Tensor):
            return torch.cat([states[0], states[1]], dim=-1).unsqueeze(0)
        return tuple(torch.cat([one[0], one[1]], dim=-1).unsqueeze(0) for one in states)

    def forward(self, letters, before):
        states = self.encode(letters)
        states = self.drop(states) if isinstance(states, torch.Tensor) else tuple(map(self.drop, states))
        y, _ = self.decoder(self.drop(self.phonemes(before)), states)
        return self.readout(self.drop(y))


class G2p(Task):
    """Words to phonemes. All of the data is here one training word in eight, by a hash; a quarter is one in 32."""

    name, figure, unit = "g2p", "per", "%"
    base = 128
    batch_size = 64
    epochs = {"all": 2, "quarter": 8}

    def make(self, cell, hidden):
        return AnyCell(cell, len(dictionary.LETTERS), len(self.phonemes), max(1, hidden // 2), 0.15)

    def hidden(self, cell, match):
        """An even number: the encoder has half of it in each direction."""
        hidden = super().hidden(cell, match)
        return hidden // 2 * 2

    @functools.cached_property
    def words(self):
        return dictionary.read(dictionary.default_path())

    @functools.cached_property
    def phonemes(self):
        return ["<end>"] + sorted({p for listed in self.words.values() for pronunciation in listed for p in pronunciation})

    @functools.cached_property
    def parts(self):
        def hashed(word):
            return zlib.crc32(b"sample " + word.encode()) % 32

        test = [word for word in self.words if dictionary.part(word) == "test"]
        valid = [word for word in self.words if dictionary.part(word) == "valid"][:200]
        phoneme_of = {p: k for k, p in enumerate(self.phonemes)}
        some = {data: {word: listed for word, listed in self.words.items() if hashed(word) < most} for data, most in [("all", 4), ("quarter", 1)]}
        return {data: g2p.examples(words, phoneme_of, "train") for data, words in some.items()}, valid, test

    def train(self, run):
        groups, valid, test = self.parts
        groups = groups[run.data]
        torch.manual_seed(run.seed)
        model = self.make(run.cell, run.hidden)
        checkpoint = run.folder / f"{run.key()}.checkpoint"
        args = argparse.Namespace(seed=run.seed, epochs=self.epochs[run.data], batch=self.batch_size, lr=2e-3, smoothing=0.05, checkpoint=checkpoint)
        g2p.train(model, groups, valid, self.words, self.phonemes, args)
        state = torch.load(checkpoint)["optim"]["state"]
        per, wer = dictionary.rates(self.words, g2p.speak(model, test, self.phonemes))
        checkpoint.unlink()
        return {"wer": wer, "per": per, "steps": int(state[0]["step"]), "examples": sum(map(len, groups.values()))}

    def batch(self):
        groups, _, _ = self.parts
        return g2p.tensors(sorted(groups["all"][8], key=lambda e: len(e[1]))[: self.batch_size])

    def loss(self, model, batch):
        letters, before, after = batch
        return nn.functional.cross_entropy(model(letters, before).flatten(0, 1), after.flatten(), ignore_index=-100)
