"""Stand-ins for trained `torch.nn.GRU`, `LSTM` and `RNN` at inference.

    model.eval()
    report = wgru.torch.replace(model)          # every recurrent module of a model, in place
    gru = wgru.torch.GRU(model.encoder)         # or one module
    with torch.inference_mode():
        y, h_n = gru(x)

A stand-in takes and returns what the module does: padded batches in both layouts, unbatched sequences, `PackedSequence`s,
initial states. It has a copy of the weights in an engine, which a device computes: `auto` is the fastest GPU that is no
software, else the CPU path.

* **Inference only.** Training mode, inputs that need a gradient and `torch.jit.trace` are refused, because the engine is
  unknown to autograd and to the tracer. `torch.compile` works and does not look into the engine.
* **Types.** Computation is in float32. x may be float32, float16 or bfloat16; y and the states have x's type. torch refuses a
  type other than the weights', a stand-in converts. float64 is refused.
* **Copies.** A contiguous float32 tensor on the CPU is read in place, in either layout, and y shares the engine's array. A
  tensor of another type is converted, and one on another torch device is copied to the CPU and back; the first of these is
  warned of.
* **Weights.** `state_dict()` is empty, and loading weights into a stand-in is an error: load them before. `to()`, `half()` and
  the like do not change it.
* **Copying and pickling.** `copy.deepcopy` shares the engine, which never changes. `pickle` and `torch.save` keep a
  `wgru.Recipe`, which has the model and the device's selector; a device is opened where the stand-in is loaded.
"""

from . import _triton
from ._modules import GRU, LSTM, RNN
from ._replace import Left, Report, Swapped, replace

_triton.load_first()

__all__ = ["GRU", "LSTM", "RNN", "Left", "Report", "Swapped", "replace"]
