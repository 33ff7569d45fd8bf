"""The network in PyTorch, for training and to compare with: an encoder GRU over letters, a decoder GRU over phonemes."""

import torch
from torch import nn

START = 0  # Also the end: the first phoneme is fed with it, and it ends a word.


class Speller(nn.Module):
    """Letters to phonemes. The encoder's two final states side by side are the decoder's initial state."""

    def __init__(self, letters, phonemes, embedding=64, encoder=192, dropout=0.0):
        super().__init__()
        self.letters = nn.Embedding(letters, embedding)
        self.encoder = nn.GRU(embedding, encoder, batch_first=True, bidirectional=True)
        self.phonemes = nn.Embedding(phonemes, embedding)
        self.decoder = nn.GRU(embedding, 2 * encoder, batch_first=True)
        self.readout = nn.Linear(2 * encoder, phonemes)
        self.drop = nn.Dropout(dropout)

    def encode(self, letters):
        """The decoder's initial state (1, B, H) of words (B, T) of one length."""
        _, h = self.encoder(self.drop(self.letters(letters)))
        return torch.cat([h[0], h[1]], dim=-1).unsqueeze(0)

    def step(self, before, h):
        """Scores (B, P) of the phonemes that follow `before` (B), and the next state."""
        y, h = self.decoder(self.phonemes(before).unsqueeze(1), h)
        return self.readout(y[:, 0]), h

    def forward(self, letters, before):
        """Scores (B, S, P) with the true phonemes before each step (B, S)."""
        h = self.drop(self.encode(letters))
        y, _ = self.decoder(self.drop(self.phonemes(before)), h)
        return self.readout(self.drop(y))

    @torch.no_grad()
    def greedy(self, letters, steps):
        """Phonemes (B, at most `steps`) of words of one length; those after START do not count."""
        h = self.encode(letters)
        token = torch.full((len(letters),), START)
        ended = torch.zeros(len(letters), dtype=torch.bool)
        out = []
        for _ in range(steps):
            scores, h = self.step(token, h)
            token = scores.argmax(-1)
            ended |= token == START
            out.append(token)
            if ended.all():
                break
        return torch.stack(out, dim=1)


def most_phonemes(letters):
    """After how many phonemes a word of so many letters is cut off. The longest of the dictionary has fewer."""
    return 2 * letters + 8


def until_end(row):
    """The phonemes of a decoded row before START."""
    return row[: row.index(START)] if START in row else row
