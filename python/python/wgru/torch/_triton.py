"""Loads Triton, which `torch.compile` needs, before a graphics driver can break it.

Triton's library has LLVM inside, and Mesa's OpenGL drivers load another LLVM for the whole process (`RTLD_GLOBAL`). If Mesa's
is there first, Triton's calls go to it, and `import triton` ends the process with a segmentation fault. The other order is
safe. wgru looks for OpenGL drivers when it lists devices or opens a GPU.
"""

import contextlib
import importlib.util
import sys


def load_first() -> None:
    """Imports Triton, if it is installed and Mesa's LLVM is not loaded yet. It takes a tenth of a second."""
    if sys.platform != "linux" or "triton" in sys.modules or importlib.util.find_spec("triton") is None:
        return
    with open("/proc/self/maps") as maps:
        if any("libLLVM" in line for line in maps):
            return
    # A damaged Triton is of no concern here.
    with contextlib.suppress(Exception):
        importlib.import_module("triton")
