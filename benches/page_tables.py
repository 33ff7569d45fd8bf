"""The tables of `pages/`, made from `records/`. Each function yields the rows of one table, the head first; `charts.py` writes them."""

import csv
import functools
import json
import math
import pathlib
import statistics

RECORDS = pathlib.Path(__file__).parent / "records"
PEERS = {"onnxruntime": "ONNX Runtime", "pytorch": "PyTorch", "tract": "tract", "candle": "Candle", "burn": "Burn"}
NONE = "–"
# The layers of published models among the cases of `peers-cpu-tiles-rounds.jsonl`.
PUBLISHED = """lstm-b1-t100-i8-h8 lstm-b1-t1875-i128-h128 lstm-b1-t96000-i1-h3 lstm-b384-t200-i2-h8 lstm-b384-t200-i8-h8
    lstm-b512-t12-i1-h64 lstm-b8-t300-i40-h27-bi gru-b1-t100-i8-h8 gru-b1-t1100-i24-h24-before gru-b1-t1500-i8-h16
    gru-b256-t16-i256-h256 gru-b32-t25-i10-h154-before gru-b33-t1500-i8-h8 gru-b512-t12-i1-h64-before
    gru-b512-t12-i64-h64-before gru-b512-t33-i8-h4-bi""".split()
CELLS = ["lstm", "gru", "rnn"]


@functools.cache
def read(name):
    """The lines of a record, as dictionaries; numbers of CSV stay text."""
    path = RECORDS / name
    with path.open(encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def grouped(rows, *fields):
    """The rows by the values of these fields, in order of first appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[field] for field in fields), []).append(row)
    return groups


def median(rows, field="median_s"):
    return statistics.median(float(row[field]) for row in rows)


def mean(ratios):
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def digits(value, count=3):
    """A number with so many significant digits, without zeros at its end."""
    text = f"{value:.{count}g}"
    text = f"{float(text):.0f}" if "e" in text else text
    return text


def time(seconds):
    for unit, scale in [("s", 1), ("ms", 1e-3), ("µs", 1e-6)]:
        if float(digits(seconds / scale)) >= 1 or unit == "µs":
            return f"{digits(seconds / scale)} {unit}"
    raise AssertionError


def runs(record):
    """The rounds of a record by (case, engine, instruction set, threads): times of sequences, or of steps for a case of one step."""
    rows = [row for row in read(record) if row["timing"] == "wall"]
    rows = [row for row in rows if row["timed"] == ("step" if row["steps"] == 1 else "sequence")]
    groups = {}
    for row in rows:
        its_set = row["driver"] if row["engine"] == "wgru" else None
        groups.setdefault((row["case"], row["engine"], its_set, row["threads"]), []).append(row)
    return groups


def in_order(record):
    """The cases of a record, in order of first appearance."""
    return list(dict.fromkeys(row["case"] for row in read(record)))


def share(rows):
    return f"{median(rows, 'peak_share') * 100:.0f} %"


def less(rows):
    """The lesser of two rounds, or the median of three, as in the tables of earlier commits."""
    return statistics.median_low(row["median_s"] for row in rows)


def ratios(groups, case, peer, threads, middle=median):
    """A peer's time divided by wgru's on AVX-512, or None if it was not run."""
    rows = groups.get((case, peer, None, threads))
    return middle(rows) / middle(groups[case, "wgru", "avx512", threads]) if rows else None


def ratio(value):
    return NONE if value is None else f"{value:.2f}"


def beside_peers(published):
    """wgru on AVX2 and AVX-512, and other engines."""
    record = "peers-cpu-tiles-rounds.jsonl"
    groups = runs(record)
    cases = PUBLISHED if published else sorted(set(in_order(record)) - set(PUBLISHED), key=lambda case: OTHERS.index(case))
    names = list(PEERS.values())
    yield ["case", "AVX2", "share of peak", "AVX-512", *names, "AVX2, 2 threads", "AVX-512", *names]
    for case in cases:
        line = [case]
        for threads in [1, 2]:
            avx2 = groups[case, "wgru", "avx2", threads]
            line += [time(median(avx2))] + ([share(avx2)] if threads == 1 else [])
            line += [time(median(groups[case, "wgru", "avx512", threads]))]
            line += [ratio(ratios(groups, case, peer, threads)) for peer in PEERS]
        yield line


OTHERS = """lstm-b64-t100-i96-h96 lstm-b64-t21-i61-h192-bi lstm-b64-t50-i384-h384 lstm-b32-t49-i10-h118 lstm-b8-t100-i128-h128
    lstm-b1-t1000-i128-h128 lstm-b256-t33-i256-h128-bi gru-b1-t100-i64-h64 gru-b1-t1000-i256-h256 gru-b16-t100-i256-h256
    gru-b64-t50-i512-h512 gru-b256-t100-i128-h128 gru-b1-t1-i64-h64 gru-b1-t1-i256-h256 gru-b1-t375-i1024-h1024
    rnn-b16-t100-i256-h256 rnn-b1-t100-i64-h64 rnn-b256-t100-i128-h128 rnn-b32-t49-i10-h118 rnn-b64-t50-i512-h512""".split()


def means():
    """Geometric means of the 36 cases by cell."""
    groups = runs("peers-cpu-tiles-rounds.jsonl")
    yield ["cell", "engine", "cases", "1 thread", "2 threads", "cases behind"]
    for cell in CELLS:
        cases = [case for case in OTHERS + PUBLISHED if case.startswith(cell)]
        for peer, name in PEERS.items():
            by_threads = [[ratios(groups, case, peer, threads) for case in cases] for threads in [1, 2]]
            one, two = ([value for value in values if value is not None] for values in by_threads)
            if one:
                behind = sum(value < 1 for value in one + two)
                yield [cell.upper(), name, str(len(one)), f"{mean(one):.2f}", f"{mean(two):.2f}", str(behind)]


def earlier(record, cases, names, again=None):
    """wgru and other engines, at earlier commits; cases of a second record replace those of the first."""
    groups = runs(record)
    if again:
        groups |= runs(again)
    peers = {engine: PEERS[engine] for engine in names}
    yield ["case", "wgru", "share of peak", *peers.values(), "wgru, 2 threads", *peers.values()]
    for case in cases:
        line = [case]
        for threads in [1, 2]:
            rows = groups[case, "wgru", "avx512", threads]
            line += [time(less(rows))] + ([share(rows[-1:])] if threads == 1 else [])
            line += [ratio(ratios(groups, case, peer, threads, less)) for peer in peers]
        yield line


def times_and_ratios():
    """The first of these records, with the times of the other engines."""
    groups = runs("peers-cpu-rounds.jsonl")
    peers = {engine: PEERS[engine] for engine in ["onnxruntime", "pytorch"]}
    yield ["case", "wgru", "share of peak", *peers.values(), "wgru, 2 threads", *peers.values()]
    for case in FIRST:
        line = [case]
        for threads in [1, 2]:
            rows = groups[case, "wgru", "avx512", threads]
            line += [time(median(rows))] + ([share(rows[-1:])] if threads == 1 else [])
            for peer in peers:
                theirs = groups.get((case, peer, None, threads))
                line.append(f"{time(median(theirs))} ({ratio(ratios(groups, case, peer, threads))})" if theirs else NONE)
        yield line


FIRST = """gru-b1-t100-i64-h64 gru-b1-t1000-i256-h256 gru-b16-t100-i256-h256 gru-b64-t100-i256-h256 gru-b64-t50-i512-h512
    gru-b256-t100-i128-h128 gru-b32-t187-i1536-h1536 gru-b1-t1-i64-h64 gru-b1-t1-i256-h256 gru-b1-t1-i1024-h1024
    gru-b1-t375-i1024-h1024""".split()


def before_and_after():
    groups = grouped(read("cpu-tiles-alternating.csv"), "case", "set", "program")
    yield ["case", "AVX2", "AVX-512"]
    for case in dict.fromkeys(key[0] for key in groups):
        sets = ["avx2", "avx512"]
        yield [case] + [f"{median(groups[case, one, 'before']) / median(groups[case, one, 'after']):.2f}" for one in sets]


def steps_before_and_after():
    groups = grouped(read("cpu-steps.csv"), "build", "set", "cell")

    def us(build, its_set, cell):
        return f"{median(groups[build, its_set, cell], 'ns') / 1000:.2f}"

    yield ["", "AVX2, before", "after", "AVX-512, before", "after"]
    for cell in ["gru", "lstm"]:
        yield [cell.upper()] + [us(build, one, cell) for one in ["avx2", "avx512"] for build in ["before", "after"]]


def half_on_avx2():
    groups = grouped(read("cpu-half-avx2.csv"), "case", "storage")
    cases = dict.fromkeys(key[0] for key in groups)
    yield ["rows", "weights in f16", "weights in bf16", "weights, x and y in f16", "weights, x and y in bf16"]
    for rows in [1, 4, 16]:
        line = [str(rows)]
        for storage in ["wf16", "wbf16", "f16", "bf16"]:
            parts = [median(groups[case, storage]) / median(groups[case, "f32"]) for case in cases if f"-b{rows}-" in case]
            line.append(f"{min(parts):.2f} to {max(parts):.2f}")
        yield line


def calibration():
    """How far predicted times are off, on processors for which the numbers were not fitted."""
    rows = read("cpu-calibration.csv")
    processors = {
        "AMD EPYC, Zen 4": lambda record: "zen" in record or "real" in record,
        "Intel": lambda record: record in ["peers-cpu-rounds", "cpu-rounds"],
        "AMD EPYC, Zen 5 (fitted), AVX2 and AVX-512": lambda record: "tiles" in record,
    }

    def off(rows, field):
        factors = [abs(math.log(float(row[field]) / float(row["measured_us"]))) for row in rows]
        return f"{math.exp(statistics.median(factors)):.2f}, {math.exp(max(factors)):.2f}"

    yield ["processor", "runs", "median factor off, worst", "calibrated"]
    for name, of in processors.items():
        its = [row for row in rows if of(row["record"])]
        yield [name, str(len(its)), off(its, "table_us"), off(its, "calibrated_us")]


def strategy(candidate):
    if candidate.startswith("step_"):
        return "step"
    return "streamed" if "streamed" in candidate else "persistent"


def best_by_strategy(record):
    """For each case the least time of each strategy, in seconds, and its rows."""
    for (case,), rows in grouped(read(record), "case").items():
        least = {}
        for row in rows:
            if "held" not in row["candidate"]:
                kind, seconds = strategy(row["candidate"]), float(row["measured_s"])
                least[kind] = min(least.get(kind, math.inf), seconds)
        yield case, least, rows


def strategies(record):
    yield ["case", "step", "persistent", "streamed", "fastest candidate", "the model's choice, times the fastest"]
    for case, least, rows in best_by_strategy(record):
        best = min(rows, key=lambda row: float(row["measured_s"]))
        chosen = next(row for row in rows if row["chosen"] == "true")
        times = [time(least[kind]) if kind in least else NONE for kind in ["step", "persistent", "streamed"]]
        yield [case, *times, best["candidate"], f"{float(chosen['measured_s']) / float(best['measured_s']):.2f}"]


def choice_quotients(record):
    """Of each case: the time of the candidate with the least predicted time, times the fastest. Both are the least of the rounds."""
    for (case,), rows in grouped(read(record), "case").items():
        least, predicted = {}, {}
        for row in rows:
            name = row["candidate"]
            least[name] = min(least.get(name, math.inf), float(row["measured_s"]))
            predicted[name] = float(row["before_s"])
        yield case, least[min(predicted, key=predicted.get)] / min(least.values())


def choices():
    """How good the choices of the cost model's own numbers are on two kinds of llvmpipe's code."""
    yield ["code", "cases", "candidates", "geometric mean", "95th percentile", "worst", "within 10 %"]
    for code, name in [("AVX2", "avx2"), ("AVX-512VL", "avx512")]:
        record = f"choices-llvmpipe-{name}.csv"
        quotients = dict(choice_quotients(record))
        ordered = sorted(quotients.values())
        worst = max(quotients, key=quotients.get)
        high = ordered[math.ceil(0.95 * len(ordered)) - 1]
        candidates = len(grouped(read(record), "case", "candidate"))
        within = sum(value <= 1.1 for value in ordered)
        yield [code, str(len(ordered)), str(candidates), f"{mean(ordered):.3f}", f"{high:.2f}", f"{ordered[-1]:.2f} ({worst})", str(within)]


def part_held(record):
    """Least of the rounds, and the speed-up of partially register-resident weights: median, least and largest of the rounds."""
    yield ["case", "step", "streamed", "partial", "fastest partial candidate", "times faster"]
    for (case,), rows in grouped(read(record), "case").items():
        if all(row["strategy"] != "part" for row in rows):
            continue
        least = {}
        for row in rows:
            least[row["strategy"]] = min(least.get(row["strategy"], math.inf), float(row["measured_s"]))
        best = min((row for row in rows if row["strategy"] == "part"), key=lambda row: float(row["measured_s"]))
        gains = []
        for in_round in grouped(rows, "round").values():
            part = min(float(row["measured_s"]) for row in in_round if row["strategy"] == "part")
            gains.append(min(float(row["measured_s"]) for row in in_round if row["strategy"] != "part") / part)
        times = [time(least[kind]) if kind in least else NONE for kind in ["step", "streamed", "part"]]
        yield [case, *times, best["candidate"], f"{statistics.median(gains):.2f} ({min(gains):.2f}, {max(gains):.2f})"]


def pipelining():
    groups = grouped(read("pipelining-llvmpipe.csv"), "case", "pipelining_steps")
    chunks = ["0", "64", "126", "250"]
    yield ["case", "not pipelined", *[f"chunks of {chunk}" for chunk in chunks[1:]], "times faster"]
    for case in dict.fromkeys(key[0] for key in groups):
        least = [min(float(row["median_s"]) for row in groups[case, chunk]) for chunk in chunks]
        yield [case, *map(time, least), f"{least[0] / min(least[1:]):.2f}"]


def in_ms(seconds):
    return f"{seconds * 1e3:.0f} ms" if 0.1 <= seconds < 1.5 else time(seconds)


def beside_burn(record):
    groups = runs(record)
    yield ["case", "wgru", "Burn", "times faster"]
    for case in in_order(record):
        ours = median(next(rows for key, rows in groups.items() if key[:2] == (case, "wgru")))
        theirs = next((median(rows) for key, rows in groups.items() if key[:2] == (case, "burn")), None)
        compared = [in_ms(theirs), digits(theirs / ours)] if theirs else ["not ended after 400 s", NONE]
        yield [case, in_ms(ours), *compared]


def on_the_wall(record):
    return [row for row in read(record) if row["timed"] == "sequence" and row["timing"] == "wall"]


def scaling():
    by_size = {}
    for row in on_the_wall("scaling-llvmpipe.csv"):
        if "ragged" not in row["case"]:
            by_size[row["case"]] = float(row["median_s"])
    yield ["case", "sequence"]
    for case, seconds in by_size.items():
        yield [case, time(seconds)]


def half_on_llvmpipe():
    groups = {}
    for row in on_the_wall("half-llvmpipe.csv"):
        case = row["case"].removesuffix("-f16").removesuffix("-bf16")
        groups.setdefault(case, {})[row["dtype"]] = row
    yield ["case", "model", "f32", "f16", "bf16", "error, f32", "f16", "bf16"]
    for case, by_type in groups.items():
        rows = [by_type[one] for one in ["f32", "f16", "bf16"]]
        packed = [" ᵖ" if "packed" in row["strategy"] else "" for row in rows]
        times = [time(float(row["median_s"])) + mark for row, mark in zip(rows, packed)]
        yield [case, MODELS[case], *times, *[f"{float(row['max_error']):.1e}" for row in rows]]


def in_browser():
    """The npm package beside onnxruntime-web: milliseconds of both, and how many times as fast the package is."""
    yield ["case", "backend", "wgru", "onnxruntime-web", "times as fast"]
    names = {"webgpu": "WebGPU (SwiftShader)"}
    for row in read("web-onnxruntime.csv"):
        backend = row["backend"].replace("webassembly", "WebAssembly")
        times = [time(float(row[field]) / 1000) for field in ["wgru", "onnxruntime"]]
        yield [row["case"], names.get(backend, backend), *times, f"{float(row['ratio']):.2f}"]


MODELS = {
    "gru-b33-t1500-i8-h8": "GTCRN", "gru-b512-t33-i8-h4-bi": "GTCRN", "gru-b1-t1100-i256-h256": "DeepFilterNet",
    "gru-b1-t1100-i114-h96": "RNNoise", "gru-b32-t49-i10-h154": "keyword spotting", "gru-b32-t49-i10-h400": "keyword spotting",
    "gru-b512-t12-i1-h64": "traffic flow", "gru-b12-t49-i128-h128-bi": "word segmenter", "lstm-b1-t1875-i128-h128": "Silero",
    "lstm-b1-t1250-i257-h128": "DTLN", "lstm-b64-t192-i25-h40": "DeepAR", "lstm-b384-t200-i2-h8": "actuators",
    "lstm-b1-t96000-i1-h3": "amplifier",
}  # fmt: skip


def matrices():
    groups = {}
    for row in on_the_wall("matrices-llvmpipe.csv"):
        groups.setdefault(row["case"].removesuffix("-f16"), {}).setdefault("matrices of" in row["strategy"], []).append(row)
    yield ["case", "without", "with", "times", "error without", "with"]
    for case, (without, with_) in ((case, (by[False], by[True])) for case, by in groups.items() if len(by) == 2):
        errors = [f"{max(float(row['max_error']) for row in rows):.1e}" for rows in [without, with_]]
        yield [case, time(median(without)), time(median(with_)), f"{median(with_) / median(without):.1f}", *errors]


def ticks():
    yield ["device", "timed", "case", "median", "least", "largest"]
    for row in read("pool-ticks.csv"):
        device = row["device"].split(" (")[0]
        yield [device, row["timed"], row["case"], *[time(float(row[field]) * 1e-9) for field in ["median_ns", "low_ns", "high_ns"]]]


def device_of(row):
    return f"CPU, {row['threads']} thread{'s' * (row['threads'] > 1)}" if row["backend"] == "cpu" else f"llvmpipe, {row['backend']}"


def loads():
    yield ["device", "case", "p50", "p95", "p99", "p99.9", "missed", "most that keep the rate"]
    for row in read("streams-loads.jsonl"):
        if row["overloaded"]:
            yield [device_of(row), row["case"], f"overloaded after {row['seconds']:.1f} s", "", "", "", "", str(row["most_streams"])]
        else:
            latencies = [time(row[field]) for field in ["median_s", "p95_s", "p99_s", "p999_s"]]
            yield [device_of(row), row["case"], *latencies, f"{row['missed'] / row['frames'] * 100:.2f} %", str(row["most_streams"])]


def accuracy():
    groups = grouped(read("int8-accuracy.csv"), "storage")
    yield ["what is rounded", "layers", "median of the layers", "worst layer", "largest error of any y"]
    for (storage,), rows in groups.items():
        relative = [float(row["relative"]) for row in rows]
        largest = max(float(row["max_error"]) for row in rows)
        yield [storage, str(len(rows)), f"{statistics.median(relative):.1e}", f"{max(relative):.1e}", f"{largest:.2g}"]


def tasks():
    rows = read("int8-tasks.csv")
    storages = list(dict.fromkeys(row["storage"] for row in rows))
    yield ["layer", "figure", *storages]
    for (case, figure), of in grouped(rows, "case", "figure").items():
        values = {row["storage"]: row["value"] for row in of}
        yield [case, figure, *[values.get(storage, NONE) for storage in storages]]


def eight_bits():
    rows = read("int8-speed.csv")
    storages = [one for one in dict.fromkeys(row["storage"] for row in rows) if one != "f32"]
    yield ["device", "B", "H", "f32", *storages]
    for (device, batch, hidden), of in grouped(rows, "device", "batch", "hidden").items():
        busy = {row["storage"]: float(row["busy_us"]) for row in of}
        less_than_f32 = [f"{busy['f32'] / busy[storage]:.1f}" if storage in busy else NONE for storage in storages]
        yield [device.split(" (")[0], batch, hidden, time(busy["f32"] * 1e-6), *less_than_f32]


CHIPS = {
    "navi21": "AMD RDNA 2", "navi31": "AMD RDNA 3", "gfx1201": "AMD RDNA 4", "vega10": "AMD Vega", "sm_80": "NVIDIA Ampere, A100",
    "sm_86": "NVIDIA Ampere", "sm_89": "NVIDIA Ada", "sm_90": "NVIDIA Hopper", "sm_120": "NVIDIA Blackwell",
}  # fmt: skip


def compiled():
    """What real compilers made of the kernels: a line for each chip and kind of kernel."""
    yield ["chip", "architecture", "kernel", "variants", "most registers", "with spills", "with scratch", "least occupancy", "largest step loop"]
    for chip, name in CHIPS.items():
        kernels = {}
        for row in read(f"isa-{chip}.csv"):
            kernels.setdefault(row["kernel"].split(" ")[0], []).append(row)
        for kernel, rows in sorted(kernels.items()):
            columns = {field: [int(row[field]) for row in rows] for field in ["registers", "spills", "scratch", "occupancy", "loop_bytes"]}
            counts = [str(sum(value > 0 for value in columns[field])) for field in ["spills", "scratch"]]
            most = [str(max(columns["registers"])), *counts, str(min(columns["occupancy"])), f"{max(columns['loop_bytes'])} B"]
            yield [chip, name, f"`{kernel}`", str(len(rows)), *most]


def compiler_of(chip):
    with (RECORDS / f"isa-{chip}.csv").open(encoding="utf-8") as file:
        return file.readline().removeprefix("# compiler:").strip()


def compiled_chips():
    yield ["chip", "architecture", "compiler", "kernels", "with spills", "with scratch memory", "record"]
    for chip, name in CHIPS.items():
        rows = read(f"isa-{chip}.csv")
        counts = [str(sum(int(row[field]) > 0 for row in rows)) for field in ["spills", "scratch"]]
        yield [chip, name, compiler_of(chip), str(len(rows)), *counts, f"`isa-{chip}.csv`"]


def predicted(exchange):
    """Microseconds of a step and the strategy, chip by chip; with exchange, only where that changes the plan."""
    rows = read("predicted-gpus.csv")
    chips = list(dict.fromkeys(row["chip"] for row in rows if exchange == "false" or row["exchange"] == "true"))
    yield ["cell", "(B, T, H)", "weights", *chips]
    for (cell, b, t, h, weights), own in grouped(rows, "cell", "b", "t", "h", "weights").items():
        of = {(row["chip"], row["exchange"]): row for row in own}
        cells = [of[chip, exchange] for chip in chips]
        is_new = [of[chip, "false"]["kernel"] != of[chip, exchange]["kernel"] for chip in chips]
        if exchange == "false" or any(is_new):
            keep = [exchange == "false" or new for new in is_new]
            texts = [kind_and_time(row) if kept else NONE for row, kept in zip(cells, keep, strict=True)]
            yield [cell.upper(), f"({b}, {t}, {h})", weights, *texts]


def kind_and_time(row):
    kind = row["kernel"].split("_" + row["cell"])[0].replace("_", "-")
    kind = "streamed" if "streamed" in row["kernel"] else kind
    return f"{digits(float(row['step_us']))}, {kind}"


def bounds():
    """What bounds the recurrent kernel of each case in f32, and how many of its workgroups a core holds."""
    rows = [row for row in read("predicted-gpus.csv") if (row["exchange"], row["weights"], row["cell"]) == ("false", "f32", "gru")]
    chips = list(dict.fromkeys(row["chip"] for row in rows))
    yield ["(B, T, H)", *chips]
    for (b, t, h), own in grouped(rows, "b", "t", "h").items():
        yield [f"({b}, {t}, {h})", *(f"{row['bound']}; {row['of_core']}, by {row['limit']}" for row in own)]


def earlier_published():
    cases = in_order("peers-cpu-real-rounds.jsonl")
    cases.sort(key=lambda case: case.startswith("lstm"))
    return earlier("peers-cpu-real-rounds.jsonl", cases, FIVE, "peers-cpu-real-again-rounds.jsonl")


FIVE = ["onnxruntime", "pytorch", "candle", "tract", "burn"]


TABLES = {
    "beside-peers": lambda: beside_peers(False),
    "beside-peers-published": lambda: beside_peers(True),
    "means": means,
    "browser": in_browser,
    "before-and-after": before_and_after,
    "steps-before-and-after": steps_before_and_after,
    "half-on-avx2": half_on_avx2,
    "calibration": calibration,
    "earlier-intel": times_and_ratios,
    "earlier-zen": lambda: earlier("peers-cpu-zen-rounds.jsonl", FIRST, FIVE),
    "earlier-published": earlier_published,
    "strategies-llvmpipe": lambda: strategies("tune-llvmpipe.csv"),
    "strategies-swiftshader": lambda: strategies("tune-swiftshader.csv"),
    "choices-llvmpipe": choices,
    "partial-llvmpipe": lambda: part_held("part-llvmpipe.csv"),
    "partial-swiftshader": lambda: part_held("part-swiftshader.csv"),
    "pipelining": pipelining,
    "burn-llvmpipe": lambda: beside_burn("peers-llvmpipe-burn-rounds.jsonl"),
    "burn-swiftshader": lambda: beside_burn("peers-swiftshader-burn-rounds.jsonl"),
    "burn-gl": lambda: beside_burn("peers-gl-burn-rounds.jsonl"),
    "scaling": scaling,
    "half-on-llvmpipe": half_on_llvmpipe,
    "matrices": matrices,
    "ticks": ticks,
    "loads": loads,
    "int8-accuracy": accuracy,
    "int8-tasks": tasks,
    "int8-speed": eight_bits,
    "compiled-chips": compiled_chips,
    "compiled": compiled,
    "predicted": lambda: predicted("false"),
    "predicted-exchange": lambda: predicted("true"),
    "predicted-bounds": bounds,
}  # fmt: skip
