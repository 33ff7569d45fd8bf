"""PyTorch's nn.GRU, nn.LSTM and nn.RNN: on the CPU, and on CUDA through cuDNN (`--device cuda`).

`sequence` runs on a time-major tensor, which is fastest on both, and leaves y on the device. `end-to-end` starts from and
returns to `[B, T, ·]` in host memory, its transposes included. A step is a call with T = 1 and the states carried as
tensors, x from and y to host memory. TF32 is off, so that f32 is f32; `proof.py` times both. Reduced precision is timed
on CUDA only.
"""

import os

import common

if __name__ == "__main__":
    call = common.Call.of_command_line()
    # OpenMP reads these once, when torch is imported.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(call.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

import cases  # noqa: E402


def time_case(call, tf32=False):
    """Checks and times a case. With `tf32` products may be in TF32, and the tolerance is that of TF32."""
    if call.reset_before:
        common.skip("torch.nn.GRU resets after the product only")
    if call.device == "cuda" and not torch.cuda.is_available():
        common.skip("torch finds no CUDA device")
    if call.device == "cpu" and call.dtype != "f32":
        common.skip("only f32 is timed on the CPU")
    torch.set_num_threads(call.threads)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    with torch.inference_mode():
        of_case(call, tf32)


def of_case(call, tf32):
    device = torch.device(call.device)
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[call.dtype]
    module = cases.module(vars(call), load_file(call.folder / "model.safetensors")).to(device, dtype)
    if device.type == "cuda":
        module.flatten_parameters()
    x = torch.from_numpy(call.arrays("inputs")["x"])
    about = engine(call, module, tf32)
    if tf32:
        call.tolerance = call.tolerance_tf32

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    def to_host(y):
        return np.ascontiguousarray(y.transpose(0, 1).to("cpu", torch.float32).numpy())

    if call.is_step:
        frames = [frame.contiguous().numpy() for frame in x.unbind(1)]
        states = None

        def step(frame):
            nonlocal states
            y, states = module(torch.from_numpy(frame).to(device, dtype).unsqueeze(0), states)
            return y[0].to("cpu", torch.float32).numpy()

        call.time_steps(about, frames, step)
        return

    staged = x.transpose(0, 1).contiguous().to(device, dtype)

    def sequence():
        y = module(staged)[0]
        wait()
        return y

    def by_events(run):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        module(staged)
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e-3

    error = call.check(to_host(sequence()))
    call.time(about, "sequence", error, sequence)
    if device.type == "cuda":
        call.time(about, "sequence", error, sequence, by_events)

    def end_to_end():
        return to_host(module(x.transpose(0, 1).to(device, dtype))[0])

    error = call.check(end_to_end())
    call.time(about, "end-to-end", error, end_to_end)


def engine(call, module, tf32):
    kind = type(module).__name__
    about = {"engine": "pytorch", "driver": f"torch {torch.__version__}", "strategy": f"nn.{kind}", "threads": call.threads}
    if call.device == "cuda":
        version, kept = torch.backends.cudnn.version(), "on" if tf32 else "off"
        about |= {"device": torch.cuda.get_device_name(), "backend": "cuda", "threads": 0}
        driver = f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {version}, TF32 {kept}"
        return about | {"driver": driver, "engine": "pytorch-tf32" if tf32 else "pytorch"}
    return about | {"device": "cpu", "backend": "cpu"}


if __name__ == "__main__":
    time_case(call)
