"""Goldens of ONNX Runtime in f32: onnxruntime.onnx and onnxruntime.safetensors.

The file holds one node per case, with the name of the case; its weights are initialisers, X and the other inputs are the
graph's, `{case}/X`. Arrays are those of the operator with layout 0: X [T, B, I], Y [T, D, B, H], states [D, B, H]. The
final state of a sequence of length 0 is ONNX Runtime's, 0.

    pip install onnx onnxruntime numpy safetensors
    python tests/goldens/make_onnx.py
"""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from store import FOLDER, Draw, File

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
INPUTS = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
OPSET = 14


def arrays(name, op, sizes, batch, steps, direction, lengths, peepholes, large_n, small_c):
    draw, (inputs, hidden) = Draw(name), sizes
    dirs, rows = 2 if direction == "bidirectional" else 1, GATES[op] * hidden
    all = {
        "X": draw.values(steps, batch, inputs, scale=2),
        "W": draw.weights(dirs, rows, inputs, fan=hidden),
        "R": draw.weights(dirs, rows, hidden, fan=hidden),
        "B": draw.weights(dirs, 2 * rows, fan=hidden),
        "initial_h": draw.values(dirs, batch, hidden),
    }
    if large_n:
        all["B"][:, -hidden:] = draw.values(dirs, hidden, scale=2)
    if op == "LSTM":
        all["initial_c"] = draw.values(dirs, batch, hidden, scale=0.25 if small_c else 1)
    if peepholes:
        all["P"] = draw.values(dirs, 3 * hidden)
    all = {key: array.astype(np.float32) for key, array in all.items()}
    if lengths:
        all["sequence_lens"] = np.array(lengths, np.int32)
    return all


class Goldens:
    def __init__(self):
        self.file, self.nodes, self.initialisers = File(), [], []
        self.inputs, self.outputs, self.feeds = [], [], {}
        self.given = {}

    def case(self, name, op, sizes, batch, steps, lengths=None, peepholes=False, large_n=False, small_c=False, **attributes):
        direction = attributes.get("direction", "forward")
        all = arrays(name, op, sizes, batch, steps, direction, lengths, peepholes, large_n, small_c)
        ports = [f"{name}/{key}" if key in all else "" for key in INPUTS][: 8 if op == "LSTM" else 6]
        outputs = [f"{name}/{key}" for key in ["Y", "Y_h", "Y_c"][: 3 if op == "LSTM" else 2]]
        self.nodes.append(helper.make_node(op, ports, outputs, name=name, hidden_size=sizes[1], **attributes))
        for key, array in all.items():
            if key in ["W", "R", "B", "P"]:
                self.initialisers.append(numpy_helper.from_array(array, f"{name}/{key}"))
            else:
                kind = TensorProto.INT32 if key == "sequence_lens" else TensorProto.FLOAT
                self.inputs.append(helper.make_tensor_value_info(f"{name}/{key}", kind, array.shape))
                self.feeds[f"{name}/{key}"] = array
                self.given.setdefault(name, {})[key] = array
        self.outputs += [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs]

    def write(self):
        graph = helper.make_graph(self.nodes, "goldens", self.inputs, self.outputs, self.initialisers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        data = model.SerializeToString(deterministic=True)
        (FOLDER / "onnxruntime.onnx").write_bytes(data)
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        names = [output.name for output in self.outputs]
        results = dict(zip(names, session.run(names, self.feeds)))
        for name, given in self.given.items():
            expected = {key.split("/")[1]: array for key, array in results.items() if key.startswith(f"{name}/")}
            self.file.case(name, {}, given, expected)
        print(f"onnxruntime.onnx: {len(data)} bytes")
        self.file.write("onnxruntime.safetensors")


def main():
    goldens, both, ragged = Goldens(), "bidirectional", [5, 1, 3, 2]
    case = goldens.case
    hard = {"activations": ["HardSigmoid", "Tanh"]}
    case("gru_clip", "GRU", (3, 5), 2, 4, clip=0.375, direction=both)
    case("gru_clip_reset_after", "GRU", (3, 5), 2, 4, large_n=True, clip=0.375, linear_before_reset=1)
    case("gru_hard_sigmoid", "GRU", (3, 5), 2, 4, **hard, activation_alpha=[0.2], activation_beta=[0.5])
    case("gru_activations_both_ways", "GRU", (3, 5), 2, 4, direction=both, linear_before_reset=1, large_n=True,
         activations=["HardSigmoid", "Softsign", "Sigmoid", "ScaledTanh"],
         activation_alpha=[0.3, 0.75], activation_beta=[0.4, 0.5])
    case("gru_elu_reverse", "GRU", (2, 4), 3, 4, direction="reverse",
         activations=["Sigmoid", "Elu"], activation_alpha=[0.5])
    case("gru_before_ragged_both_ways", "GRU", (3, 6), 4, 5, ragged, large_n=True, direction=both)
    case("gru_before_reverse", "GRU", (3, 6), 4, 5, ragged, direction="reverse")
    case("gru_after_ragged_both_ways", "GRU", (3, 6), 4, 5, ragged, large_n=True, direction=both,
         linear_before_reset=1)
    case("gru_before_wide", "GRU", (2, 34), 2, 3)
    case("gru_no_step", "GRU", (3, 4), 3, 4, [4, 0, 2], direction=both)
    case("lstm_no_step", "LSTM", (3, 4), 3, 4, [0, 4, 2], direction=both)
    case("lstm_peepholes", "LSTM", (3, 5), 2, 4, peepholes=True)
    case("lstm_peepholes_both_ways", "LSTM", (3, 5), 4, 5, ragged, True, direction=both)
    case("lstm_input_forget", "LSTM", (3, 5), 2, 4, peepholes=True, input_forget=1)
    case("lstm_clip_below_c", "LSTM", (3, 5), 2, 4, peepholes=True, clip=0.375, direction="reverse")
    case("lstm_clip", "LSTM", (3, 5), 2, 4, peepholes=True, small_c=True, clip=0.5, direction=both)
    case("lstm_activations_both_ways", "LSTM", (3, 5), 2, 4, direction=both,
         activations=["HardSigmoid", "ScaledTanh", "Softsign", "Sigmoid", "Elu", "Tanh"],
         activation_alpha=[0.25, 0.875, 0.5], activation_beta=[0.375, 0.75])
    case("rnn_activations_both_ways", "RNN", (3, 5), 4, 5, ragged, direction=both,
         activations=["LeakyRelu", "Softsign"], activation_alpha=[0.25])
    case("rnn_thresholded_affine", "RNN", (3, 5), 4, 5, ragged, direction=both,
         activations=["ThresholdedRelu", "Affine"], activation_alpha=[0.25, 0.5], activation_beta=[0.125])
    case("lstm_softplus_relu", "LSTM", (3, 5), 2, 4, activations=["Sigmoid", "Softplus", "Relu"])
    case("rnn_clip", "RNN", (3, 5), 2, 4, clip=0.375, direction="reverse")
    goldens.write()


if __name__ == "__main__":
    main()
