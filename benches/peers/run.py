"""Times wgru and its peers on the same cases, one process each, in turns, and writes one report.

    python3 benches/peers/run.py [--suite quick|default|cpu|real] [--case CASE]… [--only NAME,…] [--threads 1,2] [--out DIR]

It needs Python 3.10 or newer and cargo; it installs the rest into benches/peers/.venv and builds it in benches/peers/rust.
It writes to DIR: rounds.jsonl (every record of every process), records.jsonl (one per figure, from the round with the
middle median), skipped.txt, failures.txt (stderr of failed processes), machine.json and report.html. README.md says
what each peer's time includes.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT, RUST = HERE.parent.parent, HERE / "rust"
NEEDS = ["numpy", "onnx", "onnxruntime", "safetensors", "torch"]
SKIPPED = 3
# The sizes of `wgru bench --suite`, without ragged batches, which peers cannot run, and f16, which few of them support.
SUITES = {
    "quick": ["gru-b1-t50-i64-h64", "gru-b16-t50-i64-h64", "lstm-b16-t50-i64-h64", "gru-b1-t1-i64-h64"],
    "default": [
        "gru-b1-t100-i64-h64",
        "gru-b1-t100-i256-h256",
        "gru-b16-t100-i64-h64",
        "gru-b16-t50-i256-h256",
        "gru-b256-t12-i64-h64",
        "gru-b16-t50-i64-h64-l2",
        "gru-b16-t50-i64-h64-bi",
        "gru-b16-t50-i64-h64-before",
        "lstm-b16-t50-i64-h64",
        "rnn-b16-t50-i64-h64",
        "gru-b1-t1-i64-h64",
        "gru-b64-t1-i64-h64",
        "gru-b1-t1-i256-h256",
    ],
    # From one stream of a few units to sizes bound by arithmetic, and steps.
    "cpu": [
        "gru-b1-t100-i64-h64",
        "gru-b1-t1000-i256-h256",
        "gru-b16-t100-i256-h256",
        "gru-b64-t100-i256-h256",
        "gru-b64-t50-i512-h512",
        "gru-b256-t100-i128-h128",
        "gru-b1-t375-i1024-h1024",
        "gru-b32-t187-i1536-h1536",
        "gru-b1-t1-i64-h64",
        "gru-b1-t1-i256-h256",
        "gru-b1-t1-i1024-h1024",
    ],
    # The sizes of recurrent layers of published models: GTCRN, RNNoise, keyword spotting, traffic flow, grapheme to
    # phoneme, RTNeural's; Silero, a Thai segmenter, actuators, an amplifier.
    "real": [
        "gru-b1-t1500-i8-h16",
        "gru-b33-t1500-i8-h8",
        "gru-b512-t33-i8-h4-bi",
        "gru-b1-t1100-i24-h24-before",
        "gru-b32-t25-i10-h154-before",
        "gru-b512-t12-i1-h64-before",
        "gru-b512-t12-i64-h64-before",
        "gru-b256-t16-i256-h256",
        "gru-b1-t100-i8-h8",
        "lstm-b1-t1875-i128-h128",
        "lstm-b32-t49-i10-h118",
        "lstm-b8-t300-i40-h27-bi",
        "lstm-b512-t12-i1-h64",
        "lstm-b384-t200-i2-h8",
        "lstm-b384-t200-i8-h8",
        "lstm-b1-t100-i8-h8",
        "lstm-b1-t96000-i1-h3",
    ],
}
# The name for --only; the engine in its records; whether it is timed for each number of threads.
PEERS = {
    "wgru": False,
    "pytorch": True,
    "pytorch-cuda": False,
    "onnxruntime": True,
    "candle": True,
    "tract": True,
    "burn-flex": True,
    "burn-wgpu": False,
}


class Unavailable(Exception):
    """The reason why a peer cannot run at all."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", choices=SUITES, help="a list of cases [quick, if no --case is given]")
    parser.add_argument("--case", action="append", default=[], help="a case by its name; may be repeated")
    parser.add_argument("--only", help=f"of {', '.join(PEERS)} [all]")
    parser.add_argument("--threads", default="1", help="threads of the CPU engines, such as 1,2 [1]")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each engine and case [3]")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds timed in each process, at least 20 runs [1]")
    parser.add_argument("--device", action="append", default=[], help="wgru's devices; may be repeated [auto and cpu]")
    parser.add_argument("--wgru", type=pathlib.Path, help="a built wgru; without it, one is built from this repository")
    parser.add_argument("--no-build", action="store_true", help="use the last build of the peers in Rust")
    parser.add_argument("--venv", type=pathlib.Path, help="a Python environment with the needed packages, instead of .venv")
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a process is ended [600]")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "out")
    args = parser.parse_args()
    args.cases = args.case + SUITES.get(args.suite or ("" if args.case else "quick"), [])
    args.threads = [int(word) for word in args.threads.split(",")]
    args.only = args.only.split(",") if args.only else list(PEERS)
    unknown = [name for name in args.only if name not in PEERS]
    if unknown:
        parser.error(f"--only {unknown[0]}: not one of {', '.join(PEERS)}")
    return args


def say(words):
    print(words, file=sys.stderr, flush=True)


def command(words, **options):
    """Runs a command to its end, with its output on stderr. A failure raises Unavailable."""
    say("  $ " + " ".join(str(word) for word in words))
    try:
        done = subprocess.run([str(word) for word in words], stdout=sys.stderr, **options)
    except OSError as reason:
        raise Unavailable(f"{words[0]}: {reason.strerror}") from reason
    except subprocess.TimeoutExpired as reason:
        raise Unavailable(f"{words[0]}: ended after {reason.timeout:.0f} s") from reason
    if done.returncode:
        raise Unavailable(f"`{pathlib.Path(str(words[0])).name} {' '.join(map(str, words[1:4]))} …` failed")


def python(args):
    """The environment's Python, after installing what is missing."""
    folder = args.venv or HERE / ".venv"
    binary = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not binary.exists():
        command([sys.executable, "-m", "venv", folder])
    missing = [need for need in NEEDS if subprocess.run([binary, "-c", f"import {need}"], capture_output=True).returncode]
    if missing:
        command([binary, "-m", "pip", "install", "--quiet", *missing])
    return binary


def build_rust(args, name):
    """A peer in Rust; returns its program."""
    suffix = ".exe" if os.name == "nt" else ""
    kept = RUST / "target/peers" / f"{name}{suffix}"
    if args.no_build:
        if not kept.exists():
            raise Unavailable(f"{kept.name} is not built, and --no-build was given")
        return kept
    package, _, feature = name.partition("-")
    # Each backend is built by itself, so that one can be timed if the other does not build.
    features = ["--no-default-features", "--features", feature] if feature else []
    command(["cargo", "build", "--release", "--locked", "--package", f"peer-{package}", *features], cwd=RUST)
    kept.parent.mkdir(exist_ok=True)
    shutil.copy2(RUST / "target/release" / f"peer-{package}{suffix}", kept)
    return kept


def build_wgru(args):
    """The project's command; returns its program."""
    if args.wgru is None:
        command(["cargo", "build", "--release"], cwd=ROOT)
        args.wgru = ROOT / "target/release" / ("wgru.exe" if os.name == "nt" else "wgru")
    if subprocess.run([args.wgru, "bench", "--help"], capture_output=True).returncode:
        program, args.wgru = args.wgru, None
        raise Unavailable(f"{program.name} has no `bench`")
    return args.wgru


def calls(args, interpreter, skipped):
    """The processes of each case: a name, and a function from the case's folder and a file to the command line."""
    found = []
    for name in args.only:
        try:
            found += of_peer(args, name, interpreter)
        except Unavailable as reason:
            skipped.append((name, "all cases", str(reason)))
    return found


def of_peer(args, name, interpreter):
    seconds = ["--seconds", args.seconds]
    if name == "wgru":
        program = build_wgru(args)

        def of_device(device, threads):
            # wgru draws its own weights and inputs, of the same sizes, and its own time limits apply.
            words = [program, "bench", "--device", device, *(["--threads", threads] if device == "cpu" else [])]
            return lambda case, _, file: [*words, "--case", case, "--json", file]

        pairs = [(one, n) for one in args.device or ["auto", "cpu"] for n in (args.threads if one == "cpu" else [1])]
        return [(f"wgru {one} x{n}" if one == "cpu" else f"wgru {one}", None, of_device(one, n)) for one, n in pairs]

    device = []
    if name.startswith("pytorch"):
        program = [interpreter, HERE / "pytorch.py"]
        device = ["--device", name.partition("-")[2] or "cpu"]
    elif name == "onnxruntime":
        program = [interpreter, HERE / "ort.py"]
    else:
        program = [build_rust(args, name)]
        device = ["--device", name.partition("-")[2]] if "-" in name else []

    def with_threads(threads):
        return lambda _, folder, __: [*program, folder, "--threads", threads, *seconds, *device]

    counts = args.threads if PEERS[name] else [1]
    return [(f"{name} x{count}" if PEERS[name] else name, count, with_threads(count)) for count in counts]


def write_cases(args, interpreter, facts, skipped):
    """The folder of each case that peers can run."""
    folders = {}
    for case in args.cases:
        folder = args.out / "cases" / case
        words = [interpreter, HERE / "cases.py", case, folder, facts["commit"], facts["date"]]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
        if done.returncode == SKIPPED:
            skipped.append(("peers", case, done.stderr.strip()))
        elif done.returncode:
            sys.exit(done.stderr.strip())
        folders[case] = folder if done.returncode == 0 else None
    return folders


def once(args, call, case, folder, skipped):
    """Runs one process; returns the records that it printed."""
    name, threads, words = call
    file = args.out / "one.jsonl"
    file.unlink(missing_ok=True)
    environment = dict(os.environ)
    if threads:
        environment |= {key: str(threads) for key in ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"]}
    try:
        words = [str(word) for word in words(case, folder, file)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        skipped.append((name, case, f"ended after {args.timeout:.0f} s"))
        return []
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        with (args.out / "failures.txt").open("a") as file:
            file.write(f"{name}  {case}  status {done.returncode}\n{done.stderr}\n")
        # wgru's status 2 means that it cannot run the case, 1 a wrong result.
        is_skip = done.returncode == (2 if name.startswith("wgru") else SKIPPED)
        skipped.append((name, case, reason if is_skip else f"FAILED, status {done.returncode}: {reason}"))
        return []
    lines = file.read_text() if file.exists() else done.stdout
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def key(record):
    names = ["case", "timed", "timing", "engine", "device", "backend", "driver", "threads"]
    return tuple(record[name] for name in names)


def merge(rounds):
    """One of the records of several processes: that with the middle median (the lower of two). Its spread is widened to half
    the range of the medians if that is more."""
    ordered = sorted(rounds, key=lambda record: record["median_s"])
    middle = dict(ordered[(len(ordered) - 1) // 2])
    apart = (ordered[-1]["median_s"] - ordered[0]["median_s"]) / 2 / middle["median_s"]
    middle["spread"] = max(middle["spread"], apart)
    return middle


def machine():
    """The machine and the versions, on which the figures depend."""

    def output(*words):
        try:
            return subprocess.run(words, capture_output=True, text=True, cwd=ROOT).stdout.strip()
        except OSError:
            return ""

    model = platform.processor()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    changed = "+changes" if output("git", "status", "--porcelain", "--untracked-files=no") else ""
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "system": platform.platform(terse=True),
        "gpus": output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "python": platform.python_version(),
        "rustc": output("rustc", "--version"),
        "commit": output("git", "rev-parse", "--short=12", "HEAD") + changed,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }


def load():
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def table(records):
    """Prints every figure by case, with its ratio to the median of wgru's first device by the same clock."""
    lines = [["case", "timed", "clock", "engine", "device", "threads", "median", "spread", "of wgru's"]]
    for record in records:
        same = [one for one in records if key(one)[:3] == key(record)[:3] and one["engine"] == "wgru"]
        share = f"{record['median_s'] / same[0]['median_s']:.2f}" if same else "-"
        backend = record["backend"] if record["engine"] == "burn" else ""
        lines.append(
            [record["case"], record["timed"], record["timing"], f"{record['engine']} {backend}".strip()]
            + [record["device"][:24], str(record["threads"] or "-"), f"{record['median_s'] * 1e6:.1f} µs"]
            + [f"{record['spread'] * 100:.1f} %", share]
        )
    widths = [max(map(len, column)) for column in zip(*lines)]
    right = {5, 6, 7, 8}
    for line in lines:
        cells = [w.rjust(n) if at in right else w.ljust(n) for at, (w, n) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def report(args, file):
    """Lets `wgru bench` make the report. Returns the reason if it cannot, or None."""
    if args.wgru is None:
        return "no wgru is built that could make it; pass one by --wgru"
    try:
        command([args.wgru, "bench", "--from", file, "--html", args.out / "report.html"], timeout=120)
    except Unavailable as reason:
        return str(reason)
    return None


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "failures.txt").unlink(missing_ok=True)
    how = {name: getattr(args, name) for name in ["only", "threads", "rounds", "seconds"]}
    facts = machine() | how | {"load_before": load()}
    skipped, every, grouped = [], [], collections.defaultdict(list)
    try:
        interpreter = python(args)
    except Unavailable as reason:
        sys.exit(f"the cases need Python packages: {reason}")
    folders = write_cases(args, interpreter, facts, skipped)
    found = calls(args, interpreter, skipped)
    with (args.out / "rounds.jsonl").open("w") as rounds:
        for case, folder in folders.items():
            left_out = set()
            for number in range(args.rounds):
                # Another peer begins each round, and every second round runs in reverse order, so that no peer always follows the same one.
                turn = found[number % len(found) :] + found[: number % len(found)] if found else []
                for call in turn[:: -1 if number % 2 else 1]:
                    is_peer = not call[0].startswith("wgru")
                    if call[0] in left_out or (is_peer and folder is None):
                        continue
                    say(f"{case}  round {number + 1}  {call[0]}")
                    before = len(skipped)
                    for record in once(args, call, case, folder, skipped):
                        rounds.write(json.dumps(record) + "\n")
                        rounds.flush()
                        every.append(record)
                        grouped[key(record)].append(record)
                    if len(skipped) > before:
                        left_out.add(call[0])
    (args.out / "one.jsonl").unlink(missing_ok=True)
    (args.out / "machine.json").write_text(json.dumps(facts | {"load_after": load()}, indent=1) + "\n")
    records = [merge(group) for group in grouped.values()]
    order = {case: place for place, case in enumerate(args.cases)}
    records.sort(key=lambda one: (order[one["case"]], one["timed"] != "sequence", one["timed"], one["timing"], one["median_s"]))
    file = args.out / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    table(records)
    if records and (reason := report(args, file)):
        skipped.append(("report", "all cases", reason))
    lines = [f"SKIPPED  {name}  {case}  {reason}" for name, case, reason in skipped]
    (args.out / "skipped.txt").write_text("".join(line + "\n" for line in lines))
    print("\n".join(["", *lines, f"{len(records)} records in {file}"]))
    # A peer that failed is an error; a skipped one is not.
    sys.exit(1 if any("FAILED" in reason for *_, reason in skipped) else 0)


if __name__ == "__main__":
    main()
