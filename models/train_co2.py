"""Train the CO2 forecaster and write models/co2_gru.safetensors.

Reads data/co2_mauna_loa.csv. The input is the last 48 months relative to the
newest of them, x[j] = (c[e-47+j] - c[e]) / SCALE, and the forecast of month e+h
is c[e] + SCALE * out[h-1] for h = 1..12.

Windows are split by the dates of their targets: all before 1988-01 for training,
all in 1988-01..1991-12 to choose the epoch, all from 1992-01 on held out. The
held-out figures go to models/co2_gru_expected.json.

    pip install torch numpy safetensors
    python models/train_co2.py
"""

import argparse
import copy
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
WINDOW, HORIZON, SEASON, SCALE = 48, 12, 12, 3.0
VALID_FROM, HELD_OUT_FROM = (1988, 1), (1992, 1)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(input_size=1, hidden_size=64, num_layers=2, batch_first=True)
        self.readout = nn.Linear(64, HORIZON)

    def forward(self, x):
        return self.readout(self.gru(x)[0][:, -1])


def load_csv(path):
    """The months as (year, month) and the series in ppm."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return [(int(y), int(m)) for y, m in table[:, :2]], table[:, 2]


def split(months):
    """Row indices e of the newest input month, for train, validation, held out."""
    parts = {"train": [], "valid": [], "test": []}
    for e in range(WINDOW - 1, len(months) - HORIZON):
        first, last = months[e + 1], months[e + HORIZON]
        if last < VALID_FROM:
            parts["train"].append(e)
        elif first >= VALID_FROM and last < HELD_OUT_FROM:
            parts["valid"].append(e)
        elif first >= HELD_OUT_FROM:
            parts["test"].append(e)
    return parts


def windows(c, ends):
    """Inputs (n, 48, 1) and targets (n, 12), both relative to c[e] and scaled."""
    x = np.stack([c[e - WINDOW + 1 : e + 1] - c[e] for e in ends]) / SCALE
    y = np.stack([c[e + 1 : e + 1 + HORIZON] - c[e] for e in ends]) / SCALE
    return (torch.tensor(x, dtype=torch.float32).unsqueeze(-1),
            torch.tensor(y, dtype=torch.float32))


def augment(x, y, noise, trend, stretch):
    """Small noise on the inputs, plus a random slope and factor on the whole window."""
    n = len(x)
    slope = trend * torch.randn(n, 1) / SCALE / 12
    factor = 1 + stretch * torch.randn(n, 1)
    back = torch.arange(1 - WINDOW, 1, dtype=torch.float32)
    ahead = torch.arange(1, HORIZON + 1, dtype=torch.float32)
    x = factor * x.squeeze(-1) + slope * back + noise / SCALE * torch.randn(n, WINDOW)
    return x.unsqueeze(-1), factor * y + slope * ahead


def mae_ppm(model, x, y):
    model.eval()
    with torch.no_grad():
        return SCALE * (model(x) - y).abs().mean().item()


def train(train_set, valid_set, args, make=Forecaster):
    """The model of the epoch with the lowest validation MAE. `make` gives the untrained model."""
    torch.manual_seed(args.seed)
    model = make()
    x, y = train_set
    optim = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    steps = args.epochs * -(-len(x) // args.batch)
    sched = torch.optim.lr_scheduler.OneCycleLR(optim, args.lr, total_steps=steps, pct_start=0.1)
    loss_of = nn.HuberLoss(delta=0.5)
    best, best_epoch, best_state = float("inf"), 0, None
    for epoch in range(1, args.epochs + 1):
        model.train()
        for rows in torch.randperm(len(x)).split(args.batch):
            bx, by = augment(x[rows], y[rows], args.noise, args.trend, args.stretch)
            loss = loss_of(SCALE * model(bx), SCALE * by)
            optim.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optim.step()
            sched.step()
        valid = mae_ppm(model, *valid_set)
        if valid < best:
            best, best_epoch, best_state = valid, epoch, copy.deepcopy(model.state_dict())
        if epoch % 20 == 0:
            print(f"epoch {epoch:4d}  train {mae_ppm(model, x, y):.4f}  valid {valid:.4f} ppm"
                  f"  (best {best:.4f} at {best_epoch})", flush=True)
    model.load_state_dict(best_state)
    model.eval()
    return model, best, best_epoch


def scores(truth, forecast):
    """MAE and RMSE in ppm over all horizons and at h = 1, 6, 12."""
    error = forecast - truth
    out = {}
    for name, part in [("all", error)] + [(f"h{h}", error[:, h - 1]) for h in (1, 6, 12)]:
        out[name] = {"mae": round(float(np.abs(part).mean()), 4),
                     "rmse": round(float(np.sqrt((part ** 2).mean())), 4)}
    return out


def evaluate(model, months, c, ends):
    """The held-out figures, and the first and last forecasts, for the JSON file."""
    ends = np.array(ends)
    step = np.arange(1, HORIZON + 1)
    now = c[ends][:, None]
    truth = c[ends[:, None] + step]
    last_year = c[ends[:, None] + step - SEASON]
    with torch.no_grad():
        out = model(windows(c, ends)[0]).double().numpy()
    gru = now + SCALE * out
    drift = now - c[ends - SEASON][:, None]
    return {
        "unit": "ppm",
        "held_out_from": "%d-%02d" % HELD_OUT_FROM,
        "windows": len(ends),
        "held_out": {
            "gru": scores(truth, gru),
            "persistence": scores(truth, np.broadcast_to(now, truth.shape)),
            "seasonal_naive": scores(truth, last_year),
            "seasonal_naive_drift": scores(truth, last_year + drift),
        },
        "forecasts": [
            {"e": int(ends[i]), "newest_month": "%d-%02d" % months[ends[i]],
             "ppm": [round(float(v), 6) for v in gru[i]]}
            for i in (0, -1)
        ],
    }


def write_weights(path, tensors, metadata):
    """Write safetensors with sorted header keys, so that equal weights give equal bytes."""
    blob = save(tensors, metadata=metadata)
    size = int.from_bytes(blob[:8], "little")
    header = json.dumps(json.loads(blob[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    header = header.encode().ljust(-(-len(header) // 8) * 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + blob[8 + size :])


def main():
    parser = argparse.ArgumentParser(description="Train the CO2 forecaster.")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data/co2_mauna_loa.csv")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models/co2_gru.safetensors")
    parser.add_argument("--expected", type=pathlib.Path,
                        default=ROOT / "models/co2_gru_expected.json")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--noise", type=float, default=0.1, help="ppm, on the inputs")
    parser.add_argument("--trend", type=float, default=0.25, help="ppm per year, random slope")
    parser.add_argument("--stretch", type=float, default=0.1, help="random relative factor")
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    months, c = load_csv(args.data)
    parts = split(months)
    print("windows:", {name: len(ends) for name, ends in parts.items()})
    model, best, epoch = train(windows(c, parts["train"]), windows(c, parts["valid"]), args)
    print(f"kept epoch {epoch}, validation MAE {best:.4f} ppm")

    write_weights(args.out, model.state_dict(), {
        "wgru.task": "forecast",
        "wgru.column": "co2_ppm",
        "wgru.window": str(WINDOW),
        "wgru.horizon": str(HORIZON),
        "wgru.season": str(SEASON),
        "wgru.scale": str(SCALE),
        "wgru.held_out_from": "%d-%02d" % HELD_OUT_FROM,
        "wgru.readout": "readout",
        "wgru.readout_at": "last",
    })
    result = evaluate(model, months, c, parts["test"])
    args.expected.write_text(json.dumps(result, indent=2) + "\n")
    for name, score in result["held_out"].items():
        print(f"{name:22s}", "  ".join(f"{k} {v['mae']:.3f}/{v['rmse']:.3f}"
                                       for k, v in score.items()), "(MAE/RMSE, ppm)")


if __name__ == "__main__":
    main()
