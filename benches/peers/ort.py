"""ONNX Runtime's CPU provider on the case's model.onnx.

`sequence` runs with a time-major x and a y that are both bound beforehand, so it copies and allocates neither;
`end-to-end` starts from and returns to `[B, T, ·]` in host memory, its transposes included, since the provider has no
batch-major recurrent nodes. A step is a graph of its own with the states as inputs and outputs, numpy arrays both.
Threads are those of the session, `intra_op_num_threads`; they spin between calls, as they do by default.
"""

import os

import common

call = common.Call.of_command_line()
os.environ["OMP_NUM_THREADS"] = str(call.threads)

import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402


def main():
    if call.dtype != "f32":
        common.skip("the CPU provider's recurrent nodes are f32")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = call.threads, 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    session = ort.InferenceSession(str(call.folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    about = {"engine": "onnxruntime", "device": "cpu", "backend": "cpu", "driver": f"onnxruntime {ort.__version__}"}
    about |= {"strategy": f"{call.cell.upper()} nodes, CPUExecutionProvider", "threads": call.threads}
    x = call.arrays("inputs")["x"]

    if call.is_step:
        names = [one.name for one in session.get_inputs()][1:]
        states = [np.zeros((call.directions, call.batch, call.hidden), np.float32) for _ in names]
        frames = [np.ascontiguousarray(x[:, t]) for t in range(call.frames)]

        def step(frame):
            nonlocal states
            y, *states = session.run(None, {"x": frame[None], **dict(zip(names, states))})
            return y[0]

        call.time_steps(about, frames, step)
        return

    def time_major(array):
        return np.ascontiguousarray(array.transpose(1, 0, 2))

    staged = ort.OrtValue.ortvalue_from_numpy(time_major(x))
    y = ort.OrtValue.ortvalue_from_shape_and_type([call.steps, call.batch, call.directions * call.hidden], np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", staged)
    binding.bind_ortvalue_output("y", y)

    def sequence():
        session.run_with_iobinding(binding)

    sequence()
    error = call.check(time_major(y.numpy()))
    call.time(about, "sequence", error, sequence)

    def end_to_end():
        return time_major(session.run(["y"], {"x": time_major(x)})[0])

    error = call.check(end_to_end())
    call.time(about, "end-to-end", error, end_to_end)


main()
