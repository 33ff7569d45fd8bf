"""Threads, processes, Ctrl-C, memory and time."""

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest
import wgru
from common import net, normal, same_bits


def test_threads_share_an_engine(rng, cpu):
    it = net(rng, "gru", (16, 64), layers=2)
    engine = cpu.load(it.model)
    inputs = [normal(rng, 1 + number, 20, 16) for number in range(8)]
    expected = [engine.run(x) for x in inputs]
    wrong = []

    def work(number):
        for _ in range(20):
            if not same_bits(engine.run(inputs[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_others_go_on_during_a_run(rng, reference):
    engine = reference.load(net(rng, "gru", (8, 512)).model)
    x = normal(rng, 4, 20, 8)
    count, stop = 0, threading.Event()

    def work():
        nonlocal count
        while not stop.is_set():
            count += 1

    thread = threading.Thread(target=work)
    thread.start()
    count, began = 0, time.perf_counter()
    engine.run(x)
    counted, seconds = count, time.perf_counter() - began
    stop.set()
    thread.join()
    # A thread that waits for the GIL counts nothing.
    assert counted > 1000, f"{counted} in {seconds:.2f} s"


def test_closing_waits_for_no_run_and_breaks_none(rng):
    it = net(rng, "gru", (8, 512))
    device = wgru.Device.open("reference")
    engine, x = device.load(it.model), normal(rng, 4, 20, 8)
    outputs, begun = [], threading.Event()

    def work():
        begun.set()
        outputs.append(engine.run(x))

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    time.sleep(0.05)
    device.close()
    thread.join()
    with pytest.raises(wgru.LostDevice):
        engine.run(x)
    assert len(outputs) == 1 and same_bits(outputs[0], engine.recipe().open().run(x))


def child(status, body):
    """Runs `body` in a forked child, which ends without what the parent wants done at its end."""
    try:
        body()
        os._exit(status)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked(rng):
    it = net(rng, "gru", (16, 128))
    device = wgru.Device.open("cpu", threads=2)
    engine = device.load(it.model)
    held = {"device": device, "engine": engine, "session": engine.session(), "pool": engine.pool()}
    del device, engine
    x = normal(rng, 8, 50, 16)
    expected = held["engine"].run(x)

    def body():
        for call in (
            lambda: held["engine"].run(x),
            lambda: held["session"].step(x[:1, 0].copy()),
            lambda: held["pool"].open(),
            lambda: held["device"].load(it.model),
            lambda: held["device"].close(),
        ):
            with pytest.raises(wgru.WrongUse, match=f"opened in process {os.getppid()}.*spawn"):
                call()
        assert same_bits(held["engine"].recipe().open().run(x), expected)
        # Dropping what the parent has is no wait for threads that are not here.
        held.clear()
        gc.collect()

    process = os.fork()
    if process == 0:
        child(7, body)
    ended = time.monotonic() + 60
    while (waited := os.waitpid(process, os.WNOHANG))[0] == 0:
        assert time.monotonic() < ended, os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(waited[1]) == 7
    assert same_bits(held["engine"].run(x), expected)


def run_recipe(recipe, x):
    output = recipe.open().run(x)
    return list(output)


def test_spawned(rng, cpu):
    engine = cpu.load(net(rng, "lstm", readout="last").model, weights="bf16")
    x = normal(rng, 2, 7, 5)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert same_bits(pool.apply(run_recipe, (engine.recipe(), x)), engine.run(x))


LONG = """
import signal, sys, time
import numpy as np
import wgru

# A shell makes its background jobs ignore the signal, and their children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
selector, hidden, steps, into = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "out"
rng = np.random.default_rng(7)
shapes = {"weight_ih_l0": (3 * hidden, 4), "weight_hh_l0": (3 * hidden, hidden)}
tensors = {name: rng.uniform(-0.02, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
engine = wgru.Engine(wgru.Model.from_state_dict(tensors), selector)
small = rng.standard_normal((1, 3, 4), dtype=np.float32)
before = engine.run(small).y
x = rng.standard_normal((1, steps, 4), dtype=np.float32)
kept = x.copy()
out = wgru.Output(h_n=np.zeros((1, 1, hidden), np.float32)) if into else None
# A driver that compiles is not interrupted.
engine.prepare(1, steps)
print("running", flush=True)
try:
    engine.run(x, out=out)
    print("ended", flush=True)
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
    assert np.array_equal(x, kept)
    began = time.monotonic()
    assert np.array_equal(engine.run(small).y, before)
    print(time.monotonic() - began, flush=True)
"""


def interrupted(selector, hidden, steps, into):
    """The seconds from Ctrl-C to the exception, and those of a run after it."""
    arguments = [sys.executable, "-c", LONG, selector, str(hidden), str(steps), into]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        time.sleep(0.7)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, said
    caught, again = map(float, said.split())
    return caught - sent, again


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of Windows goes to the whole console")
@pytest.mark.parametrize("into", ["new", "out"])
@pytest.mark.parametrize(
    ("selector", "hidden", "steps"), [("cpu", 2048, 30_000), ("cpu:1", 2048, 30_000), ("reference", 1024, 20_000)]
)
def test_ctrl_c(selector, hidden, steps, into):
    seconds, again = interrupted(selector, hidden, steps, into)
    assert seconds < 1 and again < 5, (seconds, again)


def test_ctrl_c_on_a_gpu(gpu):
    if not gpu.is_software:
        pytest.skip("a real GPU ends this run before the signal comes")
    seconds, again = interrupted("vulkan", 2048, 5_000, "new")
    assert seconds < 1 and again < 20, (seconds, again)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_memory_is_flat(rng, cpu):
    it = net(rng, "lstm", readout="every")
    engine = cpu.load(it.model)
    x, frame = normal(rng, 2, 20, 5), normal(rng, 1, 5)
    session, pool = engine.session(), engine.pool()
    out = wgru.Output(y=np.zeros((2, 20, 12), np.float32))
    bad = x.astype(np.float64)

    def calls(count):
        for _ in range(count):
            engine.run(x)
            engine.run(x, out=out, lengths=[20, 3])
            session.step(frame)
            stream = pool.open()
            pool.push(stream, frame)
            pool.tick()
            pool.close(stream)
            with contextlib.suppress(wgru.WrongUse):
                engine.run(bad)

    calls(500)
    gc.collect()
    before = resident()
    calls(10_000)
    gc.collect()
    grown = resident() - before
    assert grown < 1 << 20, f"{grown} bytes"


def python(code, **environment):
    arguments = [sys.executable, "-c", code]
    done = subprocess.run(arguments, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_fast_and_needs_no_driver():
    code = "import time, numpy; t = time.perf_counter(); import wgru; print(time.perf_counter() - t)"
    fastest = min(float(python(code)) for _ in range(5))
    assert fastest < 0.2, fastest
    code = "import sys, wgru; print({'torch', 'ray'} & sys.modules.keys(), wgru.devices(), wgru.Device.open())"
    nowhere = "/dev/null"
    said = python(code, VK_ICD_FILENAMES=nowhere, VK_DRIVER_FILES=nowhere, __EGL_VENDOR_LIBRARY_FILENAMES=nowhere)
    assert said.startswith("set() ") and "'cpu', 'reference'" in said and said.strip().endswith("cpu"), said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ldd is Linux's")
def test_the_module_links_no_driver():
    import wgru._wgru

    needs = subprocess.run(["ldd", wgru._wgru.__file__], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in needs
    assert not any(word in needs.lower() for word in ("cuda", "vulkan", "libgl", "libegl", "python", "not found")), needs


def test_a_benchmark(cpu):
    records = wgru.bench(cpu, cases="gru-b2-t5-i4-h8", rounds=1)
    assert {record["timed"] for record in records} >= {"sequence", "end-to-end"}
    for record in records:
        assert record["verified"] and record["max_error"] <= record["tolerance"] and record["median_s"] > 0
        assert record["device"] == "cpu" and record["case"] == "gru-b2-t5-i4-h8"
    with pytest.raises(wgru.WrongUse, match="no suite"):
        wgru.bench(cpu, cases="what")
