"""The adding problem (Hochreiter and Schmidhuber, 1997): which two numbers of a long sequence were marked, and what is their sum?

A step has a number of [0, 1) and a mark; one step of each half is marked. Answering 1 always has a mean square error of 1/6 = 0.167,
and a task counts as solved below 0.01. Biases of the gates that keep the state start as Tallec and Ollivier (2018) propose, with
memories of 1 to T steps. With biases of 1, an LSTM had not left the error of 1/6 after 1,400 steps at T 200.
"""

import torch
from torch import nn

from tasks import Task, recurrent

BATCH, MOST_STEPS, EVERY, SOLVED = 32, 1200, 50, 0.01
SEQUENCES = {"all": 8192, "quarter": 2048}
HELD_OUT, VALID = 2000, 500


def sequences(number, steps, seed):
    """x (n, T, 2) and the sums (n, 1)."""
    draws = torch.Generator().manual_seed(seed)
    values, marks, rows = torch.rand(number, steps, generator=draws), torch.zeros(number, steps), torch.arange(number)
    first = torch.randint(steps // 2, (number,), generator=draws)
    second = torch.randint(steps // 2, steps, (number,), generator=draws)
    marks[rows, first] = marks[rows, second] = 1
    return torch.stack([values, marks], -1), (values[rows, first] + values[rows, second]).unsqueeze(-1)


class Sum(nn.Module):
    def __init__(self, cell, hidden, steps):
        super().__init__()

        def memories(units):
            return torch.log(1 + torch.rand(units) * (steps - 2))

        self.layer = recurrent(cell, 2, hidden, keep=memories)
        if cell == "lstm":
            with torch.no_grad():
                self.layer.bias_ih_l0[:hidden] = -self.layer.bias_ih_l0[hidden : 2 * hidden]
        self.readout = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.readout(self.layer(x)[0][:, -1])


@torch.no_grad()
def mse(model, x, sums):
    parts = zip(x.split(500), sums.split(500))
    return sum(((model(some) - its) ** 2).sum().item() for some, its in parts) / len(x)


def train(model, optim, steps, data):
    """Trains until solved, and yields the steps taken and the validation error now and then."""
    x, sums = data
    valid = sequences(VALID, steps, 2000)
    taken, error = 0, 1.0
    while taken < MOST_STEPS and error >= SOLVED:
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.mse_loss(model(x[rows]), sums[rows])
            optim.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optim.step()
            taken += 1
            if taken % EVERY == 0:
                error = mse(model, *valid)
                yield taken, error
                if taken == MOST_STEPS or error < SOLVED:
                    break


class Adding(Task):
    """Steps until solved, at most MOST_STEPS. With `first`, the sequences have that many steps until these are solved; a cell that
    does not solve them is not trained on the longer ones."""

    figure, unit = "mse", ""

    def __init__(self, steps, first=None, has_quarter=False):
        self.steps, self.name, self.has_quarter = steps, f"adding-{steps}", has_quarter
        self.lengths = [first, steps] if first else [steps]

    def make(self, cell, hidden):
        return Sum(cell, hidden, self.steps)

    def train(self, run):
        torch.manual_seed(run.seed)
        model = self.make(run.cell, run.hidden)
        optim = torch.optim.Adam(model.parameters(), 5e-3)
        done, curve, number = [], [], SEQUENCES[run.data]
        for steps in self.lengths:
            done.append(0)
            for taken, error in train(model, optim, steps, sequences(number, steps, 1000 + run.seed)):
                done[-1] = taken
                curve.append(round(error, 5))
                print(f"  T {steps}, {taken} steps, validation {error:.5f}", flush=True)
            if error >= SOLVED:
                break
        is_solved = len(done) == len(self.lengths) and error < SOLVED
        held_out = mse(model, *sequences(HELD_OUT, self.steps, 3000))
        return {"mse": held_out, "steps": sum(done), "steps_by_length": done, "solved": is_solved, "examples": number, "curve": curve}

    def batch(self):
        return sequences(BATCH, self.steps, 1)

    def loss(self, model, batch):
        return nn.functional.mse_loss(model(batch[0]), batch[1])
