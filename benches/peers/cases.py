"""Writes the folder of a case: one model, one x and the y with which every peer's y is compared.

    python benches/peers/cases.py CASE FOLDER

    model.safetensors     weights by PyTorch's names, U(-1/√H, 1/√H): weight_ih_l0 [G·H, I], weight_hh_l0 [G·H, H], …
    model.onnx            the same, time-major: x [T, B, I] to y [T, B, D·H]; with one step, states in and out
    inputs.safetensors    x [B, frames, I], U(-1, 1); frames is T, or FRAMES if a step is timed
    expected.safetensors  y [B, frames, D·H], by PyTorch in float64
    case.json             sizes, the tolerance, operations and bytes of a run

Cases are named as for `wgru bench --case`: gru-b16-t100-i256-h256 with -l2, -bi, -before, -f16 or -bf16; -t1 is a
session's step. -ragged is refused: each program draws its own lengths, so the work would differ.
"""

import json
import math
import pathlib
import re
import sys
import zlib

# A session's step is checked over so many steps.
FRAMES = 64
GATES = {"gru": 3, "lstm": 4, "rnn": 1}
# Gates of PyTorch's order (r z n; i f g o) in ONNX's (z r h; i o f c).
ONNX_ORDER = {"gru": [1, 0, 2], "lstm": [0, 3, 1, 2], "rnn": [0]}
UNIT_ROUNDOFF = {"f32": 2.0**-24, "tf32": 2.0**-11, "f16": 2.0**-11, "bf16": 2.0**-8}


def parse(name):
    """The sizes of a case by its name. Exits if the name is not a case, or a case that peers cannot run."""
    match = re.fullmatch(
        r"(gru|lstm|rnn)-b(\d+)-t(\d+)-i(\d+)-h(\d+)(?:-l(\d+))?(-bi)?(-before)?(-ragged)?(?:-(f16|bf16))?", name
    )
    if not match or min(int(size) for size in match.groups()[1:5]) < 1:
        sys.exit(f'case "{name}": expected such as gru-b16-t100-i256-h256-l2-bi-f16, sizes 1 or more')
    cell, batch, steps, width, hidden, layers, both, before, ragged, dtype = match.groups()
    if ragged:
        refuse(f'case "{name}": each program draws its own lengths, so the work would differ')
    if before and cell != "gru":
        sys.exit(f'case "{name}": only a GRU resets before the product')
    steps = int(steps)
    if steps == 1 and both:
        refuse(f'case "{name}": a session runs forward layers')
    return {
        "case": name,
        "cell": cell,
        "reset_before": bool(before),
        "batch": int(batch),
        "steps": steps,
        "frames": FRAMES if steps == 1 else steps,
        "input": int(width),
        "hidden": int(hidden),
        "layers": int(layers or 1),
        "bidirectional": bool(both),
        "dtype": dtype or "f32",
    }


def refuse(reason):
    print(reason, file=sys.stderr)
    sys.exit(3)


def directions(case):
    return ["", "_reverse"] if case["bidirectional"] else [""]


def draw(case):
    """Weights and x, the same for every run of a case: f32 values, rounded to its dtype."""
    import numpy as np
    import torch

    rng = np.random.default_rng(zlib.crc32(case["case"].encode()))
    rows, hidden = GATES[case["cell"]] * case["hidden"], case["hidden"]
    storage = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[case["dtype"]]

    def values(shape, scale):
        drawn = torch.from_numpy(rng.uniform(-scale, scale, shape).astype(np.float32))
        return drawn.to(storage).to(torch.float32)

    weights, scale = {}, 1 / math.sqrt(hidden)
    for layer in range(case["layers"]):
        width = case["input"] if layer == 0 else len(directions(case)) * hidden
        for side in directions(case):
            weights[f"weight_ih_l{layer}{side}"] = values((rows, width), scale)
            weights[f"weight_hh_l{layer}{side}"] = values((rows, hidden), scale)
            weights[f"bias_ih_l{layer}{side}"] = values((rows,), scale)
            weights[f"bias_hh_l{layer}{side}"] = values((rows,), scale)
    return weights, values((case["batch"], case["frames"], case["input"]), 1.0)


def module(case, weights, **options):
    """PyTorch's module of a case."""
    import torch

    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}[case["cell"]]
    sizes = {"num_layers": case["layers"], "bidirectional": case["bidirectional"]}
    built = kind(case["input"], case["hidden"], **sizes, **options)
    built.load_state_dict(weights)
    return built.eval().requires_grad_(False)


def expected(case, weights, x):
    """y in float64."""
    import torch

    if not case["reset_before"]:
        with torch.inference_mode():
            return module(case, weights, batch_first=True).double()(x.double())[0]
    # PyTorch's modules reset only after the product; this loop resets before it.
    y = x.double()
    for layer in range(case["layers"]):
        of_sides = []
        for side in directions(case):
            w_ih, w_hh, b_ih, b_hh = (
                weights[f"{kind}_l{layer}{side}"].double() for kind in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
            )
            of_x = y @ w_ih.T + b_ih + b_hh
            (w_r, w_z, w_n), h, states = w_hh.chunk(3), torch.zeros(len(x), case["hidden"], dtype=torch.double), []
            steps = range(y.shape[1])
            for t in reversed(steps) if side else steps:
                r, z, n = of_x[:, t].chunk(3, dim=1)
                r, z = torch.sigmoid(r + h @ w_r.T), torch.sigmoid(z + h @ w_z.T)
                h = (1 - z) * torch.tanh(n + (r * h) @ w_n.T) + z * h
                states.append(h)
            of_sides.append(torch.stack(states[::-1] if side else states, dim=1))
        y = torch.cat(of_sides, dim=2)
    return y


def tolerance(case, weights, x, y, products):
    """The largest error allowed of y, as src/reference/tolerance.rs derives it, for plain cells whose factors of products
    are rounded to the type `products`.

    √min(T, 64) · Σ_layers (eps · (√(I + H) · S + 16) + (u_w + 2 u_a) · S + 2 u_a) · max(1, max|y|),
    S the largest sum of magnitudes of a row, with |h| ≤ 1; u the unit roundoff of 16-bit storage, 0 for f32.
    """
    eps = UNIT_ROUNDOFF["f32"]
    stored = 0.0 if products == "f32" else UNIT_ROUNDOFF[products]
    largest, total = float(x.abs().max()), 0.0
    for layer in range(case["layers"]):
        sums, terms = 0.0, 0
        for side in directions(case):
            w_ih, w_hh = weights[f"weight_ih_l{layer}{side}"], weights[f"weight_hh_l{layer}{side}"]
            biases = [float(weights[f"{kind}_l{layer}{side}"].abs().max()) for kind in ["bias_ih", "bias_hh"]]
            rows = w_ih.abs().double().sum(1) * largest + w_hh.abs().double().sum(1)
            sums, terms = max(sums, float(rows.max()) + sum(biases)), w_ih.shape[1] + w_hh.shape[1]
        total += eps * (math.sqrt(terms) * sums + 16) + 3 * stored * sums + 2 * stored
        largest = 1.0
    return math.sqrt(min(case["frames"], 64)) * total * max(1.0, float(y.abs().max()))


def onnx_model(case, weights):
    """The case as an ONNX model, a node for each layer, all sizes fixed."""
    import numpy as np
    from onnx import TensorProto, checker, helper, numpy_helper

    cell, hidden, count = case["cell"], case["hidden"], len(directions(case))
    batch, steps, is_step = case["batch"], case["steps"], case["steps"] == 1
    nodes, constants = [], [numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")]
    constants.append(numpy_helper.from_array(np.array([0, 0, -1], dtype=np.int64), "rows"))

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def ordered(name):
        of_gates = np.split(weights[name].numpy(), GATES[cell])
        return np.concatenate([of_gates[gate] for gate in ONNX_ORDER[cell]])

    states = ["h", "c"] if cell == "lstm" else ["h"]
    inputs, outputs, read = [value("x", [steps, batch, case["input"]])], [], "x"
    for layer in range(case["layers"]):
        sides = directions(case)
        w = np.stack([ordered(f"weight_ih_l{layer}{side}") for side in sides])
        r = np.stack([ordered(f"weight_hh_l{layer}{side}") for side in sides])
        b = [[ordered(f"bias_ih_l{layer}{side}"), ordered(f"bias_hh_l{layer}{side}")] for side in sides]
        b = np.stack([np.concatenate(pair) for pair in b])
        constants += [numpy_helper.from_array(array, f"{name}{layer}") for name, array in [("w", w), ("r", r), ("b", b)]]
        ins, outs = [read, f"w{layer}", f"r{layer}", f"b{layer}"], [f"Y{layer}"]
        if is_step:
            ins += [""] + [f"{state}{layer}" for state in states]
            outs += [f"{state}{layer}_next" for state in states]
            inputs += [value(name, [count, batch, hidden]) for name in ins[5:]]
            outputs += [value(name, [count, batch, hidden]) for name in outs[1:]]
        options = {"hidden_size": hidden, "direction": "bidirectional" if count == 2 else "forward"}
        if cell == "gru":
            options["linear_before_reset"] = 0 if case["reset_before"] else 1
        nodes.append(helper.make_node(cell.upper(), ins, outs, name=f"layer{layer}", **options))
        # Y is [T, D, B, H].
        read = "y" if layer + 1 == case["layers"] else f"y{layer}"
        if count == 1:
            nodes.append(helper.make_node("Squeeze", [f"Y{layer}", "axis"], [read]))
        else:
            nodes.append(helper.make_node("Transpose", [f"Y{layer}"], [f"side{layer}"], perm=[0, 2, 1, 3]))
            nodes.append(helper.make_node("Reshape", [f"side{layer}", "rows"], [read]))
    outputs.insert(0, value("y", [steps, batch, count * hidden]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(nodes, "case", inputs, outputs, [one for one in constants if one.name in used])
    # The newest opset that all engines here read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model, full_check=True)
    return model


def operations(case):
    """Operations of one run: a product and a sum for each weight; activations are left out."""
    of_run, width = 0.0, case["input"]
    for _ in range(case["layers"]):
        of_run += 2.0 * GATES[case["cell"]] * case["hidden"] * (width + case["hidden"]) * len(directions(case))
        width = len(directions(case)) * case["hidden"]
    return of_run * case["batch"] * case["steps"]


def write(name, folder, commit="", date="", with_onnx=True):
    """Writes the folder of a case."""
    from safetensors.torch import save_file

    case, folder = parse(name), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights, x = draw(case)
    y = expected(case, weights, x)
    size = {"f32": 4, "f16": 2, "bf16": 2}[case["dtype"]]
    rows = case["batch"] * case["steps"]
    values = sum(w.numel() for w in weights.values()) + rows * (case["input"] + y.shape[2])
    values += case["batch"] * case["hidden"] * case["layers"] * len(directions(case)) * (1 + (case["cell"] == "lstm"))
    case |= {"tolerance": tolerance(case, weights, x, y, case["dtype"]), "flops": operations(case), "bytes": size * values}
    case |= {"tolerance_tf32": tolerance(case, weights, x, y, "tf32"), "commit": commit, "date": date}
    save_file(weights, folder / "model.safetensors")
    save_file({"x": x}, folder / "inputs.safetensors")
    save_file({"y": y.contiguous()}, folder / "expected.safetensors")
    if with_onnx:
        import onnx

        onnx.save(onnx_model(case, weights), folder / "model.onnx")
    # Written last: a folder that has it is complete.
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    write(*sys.argv[1:3], *(sys.argv[3:5] or ["", ""]))
