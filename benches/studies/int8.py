"""The errors of real layers with 8-bit weights, compared with 16 bits.

    python benches/studies/int8.py [--cases ../shared/cases] [--models ../shared/models] [--out benches/records]

It needs NumPy, ONNX and safetensors; the environment of benches/peers has them. The cases (a GRU or LSTM of a published
model each, with its weights and inputs) and the models are beside the repository; their READMEs describe them.

Everything is computed in f64. A storage rounds factors of the products `w_ih x` and `w_hh h` (of a GRU that resets before,
`w_hn (r ⊙ h)`) and nothing else: sums, biases, gates and the states that are carried are not rounded. So a figure is the error of
the storage, without that of an engine. Weights of 8 bits have a scale for each row of the matrix: its largest
magnitude / 127. x and h of 8 bits have one for each row of the batch and step. Sums of products of 8 bits are
whole numbers, below 2³¹ up to K = 133,000, and exact here.

Two files are written. int8-accuracy.csv has the error of y against f64 for each case and storage: the largest, the root
mean square, that over y's own, and that of each quarter of the steps where there are a hundred or more (`rms_1` to `rms_4`).
int8-tasks.csv has the effect on the output of the whole model, whose rest is in f64, for cases whose model is available.
"""

import argparse
import csv
import json
import math
import pathlib

import numpy as np
import onnx
from safetensors.numpy import load_file

# The largest error allowed of a run in f64 against y of ONNX Runtime in f32. The largest seen is 1.2e-5.
AGREES = 3e-5
# From so many steps on the error is recorded by quarters.
LONG = 100


def same(values):
    return values


def f16(values):
    return values.astype(np.float16).astype(np.float64)


def bf16(values):
    bits = values.astype(np.float32).view(np.uint32)
    bits = bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def int8(values):
    """A scale for each row, the last axis."""
    scale = np.abs(values).max(-1, keepdims=True) / 127
    return np.round(values / np.where(scale > 0, scale, 1)) * scale


def int8_of_one(values):
    """One scale for all, 1 / 127; values beyond 1 are clipped. h of a cell whose candidate is a tanh never exceeds 1."""
    return np.round(np.clip(values, -1, 1) * 127) / 127


# How w_ih, x, w_hh and h are rounded.
STORAGES = {
    "f64": (same, same, same, same),
    "f16": (f16, same, f16, same),
    "bf16": (bf16, same, bf16, same),
    "f16, x and h too": (f16, f16, f16, f16),
    "bf16, x and h too": (bf16, bf16, bf16, bf16),
    "bf16, w_hh and h only": (same, same, bf16, bf16),
    "int8": (int8, same, int8, same),
    "int8, x and h too": (int8, int8, int8, int8),
    "int8, w_hh and h only": (same, same, int8, int8),
    "int8, w_hh and h only, h by 1/127": (same, same, int8, int8_of_one),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(options):
    alpha, beta = options.get("activation_alpha", [0.2])[0], options.get("activation_beta", [0.5])[0]
    return lambda x: np.clip(alpha * x + beta, 0, 1)


FUNCTIONS = {"Sigmoid": sigmoid, "Tanh": np.tanh, "Relu": lambda x: np.maximum(x, 0)}


class Layer:
    """One direction of a layer, in ONNX's order of gates: z r h, i o f c."""

    def __init__(self, cell, w_ih, w_hh, b_ih, b_hh, functions=None, reset_after=True):
        self.cell, self.reset_after = cell, reset_after
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = (np.asarray(a, np.float64) for a in (w_ih, w_hh, b_ih, b_hh))
        self.functions = functions or [sigmoid, np.tanh, np.tanh]
        self.hidden = self.w_hh.shape[1]

    @classmethod
    def pytorch_gru(cls, *weights):
        """From r z n."""
        return cls("GRU", *(np.concatenate([np.split(a, 3)[gate] for gate in (1, 0, 2)]) for a in weights))

    def run(self, storage, x, h=None, c=None, lengths=None):
        """y of x [T, B, I]: [T, B, H], 0 past a row's length; then the last h and c."""
        of_w_ih, of_x, of_w_hh, of_h = STORAGES[storage]
        steps, batch, _ = x.shape
        h = np.zeros((batch, self.hidden)) if h is None else h.astype(np.float64)
        c = np.zeros((batch, self.hidden)) if c is None else c.astype(np.float64)
        xw = of_x(x.astype(np.float64)) @ of_w_ih(self.w_ih).T + self.b_ih
        w_hh, y = of_w_hh(self.w_hh).T, np.zeros((steps, batch, self.hidden))
        step = self.gru if self.cell == "GRU" else self.lstm
        for t in range(steps):
            new_h, new_c = step(xw[t], w_hh, of_h, h, c)
            if lengths is None:
                h, c = new_h, new_c
                y[t] = h
            else:
                runs = (t < lengths)[:, None]
                h, c = np.where(runs, new_h, h), np.where(runs, new_c, c)
                y[t] = np.where(runs, h, 0)
        return y, h, c

    def gru(self, xw, w_hh, of_h, h, c):
        gate, candidate = self.functions[:2]
        n = self.hidden
        if self.reset_after:
            of_state = of_h(h) @ w_hh + self.b_hh
            zr = gate(xw[:, : 2 * n] + of_state[:, : 2 * n])
            new = candidate(xw[:, 2 * n :] + zr[:, n:] * of_state[:, 2 * n :])
        else:
            zr = gate(xw[:, : 2 * n] + of_h(h) @ w_hh[:, : 2 * n] + self.b_hh[: 2 * n])
            new = candidate(xw[:, 2 * n :] + of_h(zr[:, n:] * h) @ w_hh[:, 2 * n :] + self.b_hh[2 * n :])
        z = zr[:, :n]
        return (1 - z) * new + z * h, c

    def lstm(self, xw, w_hh, of_h, h, c):
        gate, candidate, output = self.functions
        n = self.hidden
        sums = xw + of_h(h) @ w_hh + self.b_hh
        iof = gate(sums[:, : 3 * n])
        c = iof[:, 2 * n :] * c + iof[:, :n] * candidate(sums[:, 3 * n :])
        return iof[:, n : 2 * n] * output(c), c


class Case:
    """A folder of the cases: one node of an ONNX file, and its inputs."""

    def __init__(self, folder):
        self.folder, self.name = folder, folder.name
        self.io = load_file(folder / "io.safetensors")
        self.notes = json.loads((folder / "case.json").read_text())
        graph = onnx.load(folder / "model.onnx").graph
        node = graph.node[0]
        self.cell = node.op_type
        values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
        w_ih, w_hh, bias = (values[name] for name in node.input[1:4])
        options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        known = {"direction", "hidden_size", "linear_before_reset", "activations", "activation_alpha", "activation_beta"}
        if not set(options) <= known:
            raise SystemExit(f"{self.name}: {set(options) - known} is not supported")
        direction = options.get("direction", b"forward").decode()
        self.reversed = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        count = 2 if self.cell == "GRU" else 3
        names = [one.decode() for one in options.get("activations", [])] or ["Sigmoid", "Tanh", "Tanh"][:count] * 2
        functions, reset_after = {**FUNCTIONS, "HardSigmoid": hard_sigmoid(options)}, options.get("linear_before_reset", 0)
        self.layers = []
        for d in range(len(self.reversed)):
            of_layer = [functions[name] for name in names[d * count :][:count]]
            self.layers.append(Layer(self.cell, w_ih[d], w_hh[d], *np.split(bias[d], 2), of_layer, bool(reset_after)))
        self.x, self.lengths = self.io["X"], self.io.get("sequence_lens")
        if self.lengths is not None and any(self.reversed):
            raise SystemExit(f"{self.name}: lengths of a reverse layer are not supported")
        self.steps, self.batch, self.input = self.x.shape
        # If h of a GRU or LSTM can exceed 1, the scale 1/127 cannot be used.
        self.is_bounded = "Relu" not in names

    def run(self, storage, x=None):
        """y in ONNX's layout, [T, D, B, H], and the last h of the first direction."""
        x = self.x if x is None else x
        all_y, last = [], None
        for d, (layer, is_reverse) in enumerate(zip(self.layers, self.reversed)):
            h, c = (self.io[name][d] if name in self.io else None for name in ("initial_h", "initial_c"))
            y, h, _ = layer.run(storage, x[::-1] if is_reverse else x, h, c, self.lengths)
            all_y.append(y[::-1] if is_reverse else y)
            last = h if last is None else last
        return np.stack(all_y, axis=1), last

    def is_step(self):
        """The mask of valid steps of y, [T, B]."""
        lengths = np.full(self.batch, self.steps) if self.lengths is None else self.lengths
        return np.arange(self.steps)[:, None] < lengths


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def accuracy(case):
    """The records of a case, and y and the last h of each storage."""
    results = {name: case.run(name) for name in STORAGES if case.is_bounded or not name.endswith("1/127")}
    exact = results["f64"][0]
    off = float(np.abs(exact - case.io["Y"]).max())
    if not off <= AGREES:
        raise SystemExit(f"{case.name}: f64 differs by {off:.2e} from the case's expected y")
    places = case.is_step()
    records = []
    for name, (y, _) in results.items():
        error = (y if name != "f64" else case.io["Y"].astype(np.float64)) - exact
        of_steps = error.transpose(0, 2, 1, 3)[places]
        of_y = rms(exact.transpose(0, 2, 1, 3)[places])
        record = {
            "case": case.name,
            "cell": case.cell,
            "directions": len(case.layers),
            "steps": case.steps,
            "batch": case.batch,
            "input": case.input,
            "hidden": case.layers[0].hidden,
            "storage": name if name != "f64" else "f32, ONNX Runtime",
            "max_error": float(np.abs(of_steps).max()),
            "rms_error": rms(of_steps),
            "rms_y": of_y,
            "relative": rms(of_steps) / of_y,
        }
        if case.steps >= LONG:
            record |= {f"rms_{i + 1}": rms(part) for i, part in enumerate(np.array_split(error, 4))}
        records.append(record)
    return records, results


def silero(case, results, models):
    """The probability of speech, frame by frame."""
    graph = onnx.load(models / "silero-vad/silero_vad_openvino_16k.onnx").graph
    values = {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    w, b = (
        onnx.numpy_helper.to_array(next(v for k, v in values.items() if k.endswith(f"decoder.decoder.2.{part}")))
        for part in ("weight", "bias")
    )
    p = {name: sigmoid(np.maximum(y[:, 0, 0], 0) @ w.reshape(-1) + b) for name, (y, _) in results.items()}
    exact = p["f64"]
    for name, one in p.items():
        yield name, "probability of speech, largest error", np.abs(one - exact).max()
        yield name, f"frames decided otherwise at 0.5, of {len(exact)}", int(((one >= 0.5) != (exact >= 0.5)).sum())


def amplifier(case, results, models):
    """The sound of a modelled guitar amplifier."""
    w, b = np.array(case.notes["head_weight"]), case.notes["head_bias"]
    sound = {name: y[:, 0, 0] @ w + b for name, (y, _) in results.items()}
    exact = sound["f64"]
    loud = np.square(exact - exact.mean()).sum()
    for name, one in sound.items():
        noise = np.square(one - exact).sum()
        yield name, "signal to error, dB", 10 * math.log10(loud / noise) if noise else math.inf


def actuator(case, results, models):
    """Torques of both layers and the readout; `case` is the second layer, whose x becomes the first one's y."""
    first = Case(case.folder.with_name("anydrive_lstm_l0"))
    values = load_file(models / "anydrive_lstm/anydrive_v3_lstm.safetensors")
    torques = {}
    for name in results:
        y, _ = case.run(name, first.run(name)[0][:, 0])
        torques[name] = (y[:, 0] @ values["linear.weight"][0] + values["linear.bias"]) * values["out_scale"]
    exact = torques["f64"]
    for name, one in torques.items():
        yield name, "torque of two layers, rms error / rms", rms(one - exact) / rms(exact)
        yield name, "torque of two layers, largest error / largest", np.abs(one - exact).max() / np.abs(exact).max()


def phonemes(case, results, models):
    """Words that the decoder writes, from the encoder's last state; both in the storage."""
    golden = json.loads((models / "g2p_en_greedy.json").read_text())
    values = load_file(models / "g2p_en/checkpoint20.safetensors")
    decoder = Layer.pytorch_gru(*(values[f"dec_{part}"] for part in ("w_ih", "w_hh", "b_ih", "b_hh")))

    def written(storage, h):
        said, ended, ids = [[] for _ in h], np.zeros(len(h), bool), np.full(len(h), golden["bos"])
        for _ in range(golden["max_steps"]):
            y, h, _ = decoder.run(storage, values["dec_emb"][ids][None], h)
            ids = (y[0] @ values["fc_w"].T + values["fc_b"]).argmax(-1)
            ended |= ids == golden["eos"]
            for word in np.flatnonzero(~ended):
                said[word].append(int(ids[word]))
        return said

    words = {name: written(name, h) for name, (_, h) in results.items()}
    if words["f64"] != golden["phoneme_ids"]:
        raise SystemExit("g2p_en: f64 does not write what the model's own code does")
    for name, one in words.items():
        yield name, f"words written otherwise, of {len(one)}", sum(a != b for a, b in zip(one, words["f64"]))


TASKS = {
    "silero_vad__lstm": silero,
    "nam_lstm_long": amplifier,
    "anydrive_lstm_l1": actuator,
    "g2p_en_encoder_varlen": phonemes,
}


def write(path, records):
    fields = list(dict.fromkeys(field for record in records for field in record))
    with open(path, "w", newline="") as file:
        rows = csv.DictWriter(file, fields, lineterminator="\n")
        rows.writeheader()
        for record in records:
            rows.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in record.items()})


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=pathlib.Path, default=here / "../shared/cases")
    parser.add_argument("--models", type=pathlib.Path, default=here / "../shared/models")
    parser.add_argument("--out", type=pathlib.Path, default=here / "benches/records")
    options = parser.parse_args()
    records, tasks = [], []
    for folder in sorted(one.parent for one in options.cases.glob("*/model.onnx")):
        case = Case(folder)
        of_case, results = accuracy(case)
        records += of_case
        for record in of_case:
            print(f"{case.name:28} {record['storage']:34} max {record['max_error']:.2e}  rms/rms {record['relative']:.2e}")
        for storage, figure, value in TASKS[case.name](case, results, options.models) if case.name in TASKS else []:
            tasks.append({"case": case.name, "storage": storage, "figure": figure, "value": value})
            print(f"{case.name:28} {storage:34} {figure}: {value:.4g}")
    write(options.out / "int8-accuracy.csv", records)
    write(options.out / "int8-tasks.csv", tasks)


if __name__ == "__main__":
    main()
