"""Goldens of the equations alone, in float64, for options that none of these frameworks supports: equations.safetensors.

    state clip       c' clamped before h' is computed from it (cell_clip of TensorFlow's LSTMCell), h' of other cells
    peepholes with a projection and a state clip      TensorFlow's LSTMCell
    one bias         a GRU with reset after with only b_ih, and with only b_hh
    f = 1 - i        in a stack, both directions
    h' = (1 - z) h + z n      with clip, hard sigmoid and lengths, in a stack, both directions

Tensors `{layer}.{direction}.{name}` in the crate's own layout, w_ih [G*H, I] and so on, gates r z n and i f g o;
x and y [B, T, .], h0, c0, h_n and c_n [L*D, B, .]. Every cell is computed from its definition, one sequence at a time.

    pip install numpy safetensors
    python tests/goldens/make_equations.py
"""

import numpy as np

from store import Draw, File

GATES = {"gru": 3, "lstm": 4, "rnn": 1}
NAMES = ["w_ih", "w_hh", "b_ih", "b_hh", "peepholes", "w_hr"]


def clamp(array, bound):
    return array if bound is None else np.clip(array, -bound, bound)


def sigmoid(a, hard):
    return np.clip(hard[0] * a + hard[1], 0, 1) if hard else 1 / (1 + np.exp(-a))


def step(about, w, x, h, c):
    """h' and c' of one sequence."""
    act = lambda a: sigmoid(clamp(a, about.get("clip")), about.get("hard_sigmoid"))
    tanh = lambda a: np.tanh(clamp(a, about.get("clip")))
    from_x = w["w_ih"] @ x + w.get("b_ih", 0)
    from_h = w["w_hh"] @ h + w.get("b_hh", 0)
    H = len(from_x) // GATES[about["kind"]]
    gate = lambda k: from_x[k * H :][:H] + from_h[k * H :][:H]
    if about["kind"] == "rnn":
        return clamp(tanh(gate(0)), about.get("state_clip")), c
    if about["kind"] == "gru":
        r, z = act(gate(0)), act(gate(1))
        if about["reset"] == "after":
            n = tanh(from_x[2 * H :] + r * from_h[2 * H :])
        else:
            b = w["b_hh"][2 * H :] if "b_hh" in w else 0
            n = tanh(from_x[2 * H :] + w["w_hh"][2 * H :] @ (r * h) + b)
        new = z * h + (1 - z) * n if about["update"] == "keeps" else (1 - z) * h + z * n
        return clamp(new, about.get("state_clip")), c
    p_i, p_f, p_o = np.split(w["peepholes"], 3) if "peepholes" in w else (0, 0, 0)
    i = act(gate(0) + p_i * c)
    f = 1 - i if about.get("coupled") else act(gate(1) + p_f * c)
    c = clamp(f * c + i * tanh(gate(2)), about.get("state_clip"))
    h = act(gate(3) + p_o * c) * tanh(c)
    return (w["w_hr"] @ h if "w_hr" in w else h), c


def run(about, stack, x, h0, c0, lengths):
    """y, h_n and c_n; a reverse direction begins at a sequence's own last step, padding is 0."""
    h_n, c_n = h0.copy(), None if c0 is None else c0.copy()
    index = 0
    for layer in stack:
        outputs = []
        for reverse, w in zip([False, True] if len(layer) == 2 else [about["reverse"]], layer):
            y = np.zeros((*x.shape[:2], h0.shape[2]))
            for b, length in enumerate(lengths):
                h, c = h_n[index, b], None if c_n is None else c_n[index, b]
                for t in reversed(range(length)) if reverse else range(length):
                    h, c = step(about, w, x[b, t], h, c)
                    y[b, t] = h
                h_n[index, b] = h
                if c is not None:
                    c_n[index, b] = c
            outputs.append(y)
            index += 1
        x = np.concatenate(outputs, axis=2)
    return {"y": x, "h_n": h_n} | ({} if c_n is None else {"c_n": c_n})


def case(file, name, kind, sizes, batch, steps, lengths=None, both=False, state=None, have=NAMES[2:4], **about):
    draw, (inputs, hidden, count), dirs = Draw(name), sizes, 2 if both else 1
    about = {"kind": kind, "hidden": hidden, "layers": count, "both": both, "reverse": False} | about
    rows, state = GATES[kind] * hidden, state or hidden
    stack = []
    for index in range(count):
        width = inputs if index == 0 else dirs * state
        shapes = dict(zip(NAMES, [(rows, width), (rows, state), (rows,), (rows,), (3 * hidden,), (state, hidden)]))
        names = [name for name in NAMES if name in ["w_ih", "w_hh", *have]]
        fan = lambda name: 2 if name == "peepholes" else hidden
        stack.append([{key: draw.weights(*shapes[key], fan=fan(key)) for key in names} for _ in range(dirs)])
    x = draw.values(batch, steps, inputs, scale=2)
    h0 = draw.values(count * dirs, batch, state)
    c0 = draw.values(count * dirs, batch, hidden) if kind == "lstm" else None
    sets = [(l, d, w) for l, layer in enumerate(stack) for d, w in enumerate(layer)]
    given = {f"{l}.{d}.{key}": array for l, d, w in sets for key, array in w.items()}
    given |= {"x": x, "h0": h0, "c0": c0} | ({} if lengths is None else {"lengths": lengths})
    file.case(name, about, given, run(about, stack, x, h0, c0, lengths or [steps] * batch))


def main():
    file, ragged = File(), [5, 0, 2, 3]
    after, takes = {"reset": "after", "update": "keeps"}, {"reset": "before", "update": "takes"}
    case(file, "lstm_state_clip", "lstm", (3, 5, 1), 4, 5, ragged, True, state_clip=0.375)
    case(file, "lstm_peepholes_projection_state_clip", "lstm", (3, 6, 2), 4, 5, ragged, True, 4, NAMES[2:],
         state_clip=0.375)
    case(file, "gru_state_clip", "gru", (3, 5, 1), 2, 4, state_clip=0.375, reverse=True, **after)
    case(file, "rnn_state_clip", "rnn", (3, 5, 1), 2, 4, state_clip=0.375)
    case(file, "gru_only_b_ih", "gru", (3, 5, 1), 2, 4, have=["b_ih"], **after)
    case(file, "gru_only_b_hh", "gru", (3, 5, 1), 2, 4, have=["b_hh"], **after)
    case(file, "lstm_coupled_both_ways", "lstm", (3, 5, 2), 4, 5, ragged, True, coupled=True)
    case(file, "gru_takes_both_ways", "gru", (3, 5, 2), 4, 5, ragged, True, clip=0.75, hard_sigmoid=[0.375, 0.5],
         **takes)
    file.write("equations.safetensors")


if __name__ == "__main__":
    main()
