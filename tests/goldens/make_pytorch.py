"""Goldens of PyTorch in float64: pytorch.safetensors.

Weights under the state dict's names, x and y in the module's layout ([T, B, I] unless batch_first), h0, c0, h_n
and c_n [L*D, B, .]. Ragged batches go through pack_padded_sequence and are padded with 0.

Cases that are `uneven` hold f32 weights and x that must be rounded to 16 bits. torch's results for them define f16
and bf16 in this crate: matrices and x rounded by torch, everything else in float64, y of every layer rounded by
torch; states are not rounded. (PyTorch's own half layers keep the state in half too.)

    pip install torch numpy safetensors
    python tests/goldens/make_pytorch.py
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from store import Draw, File

torch.set_default_dtype(torch.float64)
HALVES = {"f16": torch.float16, "bf16": torch.bfloat16}
MODULES = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


def build(draw, kind, sizes, options, values=None):
    """A module with random parameters."""
    net = MODULES[kind](*sizes, **options)
    values = values or (lambda *shape: draw.weights(*shape, fan=net.hidden_size))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.from_numpy(values(*parameter.shape)))
    return net


def inputs(draw, net, batch, steps, values):
    dirs = 2 if net.bidirectional else 1
    state = getattr(net, "proj_size", 0) or net.hidden_size
    first = (batch, steps) if net.batch_first else (steps, batch)
    arrays = [values(*first, net.input_size), values(net.num_layers * dirs, batch, state)]
    if isinstance(net, nn.LSTM):
        arrays.append(values(net.num_layers * dirs, batch, net.hidden_size))
    return [torch.from_numpy(array) for array in arrays]


def run(net, x, states, lengths=None):
    """y, h_n and an LSTM's c_n."""
    states = tuple(states) if isinstance(net, nn.LSTM) else states[0]
    total = x.shape[1 if net.batch_first else 0]
    packed = x
    if lengths:
        packed = pack_padded_sequence(x, lengths, net.batch_first, enforce_sorted=False)
    with torch.no_grad():
        y, last = net(packed, states)
    if lengths:
        y, _ = pad_packed_sequence(y, net.batch_first, total_length=total)
    last = last if isinstance(last, tuple) else (last,)
    return dict(zip(["y", "h_n", "c_n"], [array.numpy() for array in (y, *last)]))


def given(net, x, states, lengths=None):
    arrays = {name: parameter.detach().numpy() for name, parameter in net.state_dict().items()}
    arrays |= dict(zip(["x", "h0", "c0"], [array.numpy() for array in (x, *states)]))
    return arrays | ({"lengths": lengths} if lengths else {})


def case(file, name, kind, sizes, batch, steps, lengths=None, change=None, **options):
    draw = Draw(name)
    net = build(draw, kind, sizes, options)
    if change:
        with torch.no_grad():
            change(net, draw)
    x, *states = inputs(draw, net, batch, steps, draw.values)
    about = {"batch_first": net.batch_first, "kind": kind}
    if options.get("nonlinearity"):
        about["nonlinearity"] = options["nonlinearity"]
    file.case(name, about, given(net, x, states, lengths), run(net, x, states, lengths))


def large_recurrent_n(net, draw):
    """b_hh of n, which only the reset gate multiplies, as large as the rest of its pre-activation."""
    for name, parameter in net.named_parameters():
        if name.startswith("bias_hh"):
            rows = parameter.shape[0] // 3
            parameter[2 * rows :] = torch.from_numpy(draw.values(rows, scale=2.0))


def layer(net, index, rounded):
    """Layer `index` of a stack as a module of its own, its matrices rounded."""
    dirs = 2 if net.bidirectional else 1
    state = getattr(net, "proj_size", 0) or net.hidden_size
    width = net.input_size if index == 0 else dirs * state
    options = {"proj_size": net.proj_size} if getattr(net, "proj_size", 0) else {}
    one = type(net)(width, net.hidden_size, bidirectional=dirs == 2, batch_first=True, **options)
    with torch.no_grad():
        for name, parameter in one.named_parameters():
            own = getattr(net, name.replace("_l0", f"_l{index}"))
            parameter.copy_(rounded(own) if name.startswith("weight") else own)
    return one


def half(file, name, kind, sizes, batch, steps, **options):
    draw = Draw(name)
    scale = 2.0 / sizes[1] ** 0.5
    net = build(draw, kind, sizes, options | {"batch_first": True}, lambda *shape: draw.uneven(*shape, scale=scale))
    x, *states = inputs(draw, net, batch, steps, draw.uneven)
    dirs = 2 if net.bidirectional else 1
    expected = {}
    for key, dtype in HALVES.items():
        rounded = lambda array: array.detach().to(dtype).double()
        y, last = rounded(x), []
        for index in range(net.num_layers):
            own = [array[index * dirs : (index + 1) * dirs] for array in states]
            out = run(layer(net, index, rounded), y, own)
            y = rounded(torch.from_numpy(out.pop("y")))
            last.append(out)
        expected[f"{key}.y"] = y.numpy()
        for array in last[0]:
            expected[f"{key}.{array}"] = torch.cat([torch.from_numpy(out[array]) for out in last]).numpy()
    about = {"batch_first": True, "kind": kind, "uneven": True, "halves": list(HALVES)}
    file.case(name, about, given(net, x, states), expected)


def main():
    file = File()
    ragged, both = [6, 1, 4, 3], {"bidirectional": True}
    case(file, "gru_wide", "gru", (5, 66, 1), 2, 4, batch_first=True)
    case(file, "gru_no_bias", "gru", (3, 9, 1), 2, 4, bias=False)
    case(file, "gru_large_recurrent_n", "gru", (3, 8, 1), 2, 5, change=large_recurrent_n, batch_first=True)
    case(file, "gru_ragged_both_ways", "gru", (3, 6, 2), 4, 6, ragged, large_recurrent_n, **both)
    case(file, "gru_both_ways", "gru", (4, 9, 1), 2, 3, [2, 3], batch_first=True, **both)
    case(file, "lstm_wide", "lstm", (3, 36, 1), 2, 5, batch_first=True)
    case(file, "lstm_ragged_both_ways", "lstm", (3, 5, 2), 4, 6, ragged, batch_first=True, **both)
    case(file, "lstm_projection", "lstm", (4, 7, 1), 3, 5, proj_size=3)
    case(file, "lstm_projection_both_ways", "lstm", (4, 7, 2), 4, 6, ragged, batch_first=True, proj_size=3, **both)
    case(file, "lstm_projection_wide", "lstm", (2, 35, 1), 2, 2, batch_first=True, proj_size=33)
    case(file, "rnn_ragged_both_ways", "rnn", (3, 6, 2), 4, 6, ragged, **both)
    case(file, "rnn_relu", "rnn", (3, 35, 1), 2, 4, batch_first=True, nonlinearity="relu")
    half(file, "gru_half", "gru", (3, 33, 1), 2, 4)
    half(file, "gru_half_both_ways", "gru", (3, 6, 2), 2, 5, **both)
    half(file, "lstm_half", "lstm", (3, 17, 1), 2, 4)
    half(file, "lstm_half_projection", "lstm", (3, 9, 2), 3, 5, proj_size=5)
    half(file, "rnn_half", "rnn", (3, 10, 1), 3, 5)
    file.write("pytorch.safetensors")


if __name__ == "__main__":
    main()
