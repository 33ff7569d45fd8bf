"""Forecasts many windows of CO2 at Mauna Loa with Ray: Parquet to Parquet, over actors that each load the model once.

    pip install wgru "ray[data]"
    python forecast_ray.py --windows 100000 --actors 2 --out forecasts --check

The windows are scenarios: each is a window of the series (data/README.md), and all but the first of each are varied by a random
slope, factor and noise, as in training (models/README.md). A row of `OUT/windows` has its id, the last value in ppm and the
input of the model; one of `OUT/forecasts` the id and the next 12 months in ppm. `--check` computes all in this process too, and
compares every bit.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import sys
import time

# Read when Ray is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import wgru
import wgru.ray

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/co2_gru.safetensors"
DATA = ROOT / "data/co2_mauna_loa.csv"


class Forecaster(wgru.ray.Predictor):
    """Forecasts in ppm: `last + scale · out`, in float64."""

    def __init__(self, recipe, scale):
        super().__init__(recipe, input="window", output="out", keep=["id", "last"])
        self.scale = scale

    def __call__(self, batch):
        found = super().__call__(batch)
        forecast = found["last"][:, np.newaxis] + self.scale * found["out"].astype(np.float64)
        # Lists, which every reader of Parquet knows, and no tensors of Ray.
        lists = pa.FixedSizeListArray.from_arrays(pa.array(forecast.reshape(-1)), self.engine.model.readout_outputs)
        return pa.table({"id": found["id"], "forecast": lists})


def load():
    """The model and the task's numbers, which are in the file's metadata: window (steps), horizon, scale (ppm)."""
    model = wgru.Model.from_pytorch(MODEL, readout="readout", readout_at="last")
    with MODEL.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(size))["__metadata__"]
    return model, {name: float(metadata[f"wgru.{name}"]) for name in ("window", "horizon", "scale")}


def scenarios(task, count, seed=1):
    """`count` windows as a table of id, last and window."""
    series = np.loadtxt(DATA, delimiter=",", skiprows=1, usecols=2)
    steps, rng = int(task["window"]), np.random.default_rng(seed)
    ids = np.arange(count)
    every = np.lib.stride_tricks.sliding_window_view(series, steps)
    ends = ids % len(every)
    last = every[ends, -1]
    # In float64, as models/README.md says.
    change = every[ends] - last[:, np.newaxis]
    varied = (ids >= len(every))[:, np.newaxis]
    slope = rng.normal(0, 0.5 / 12, (count, 1)) * np.arange(1 - steps, 1)
    noise = rng.normal(0, 0.1, (count, steps))
    change = np.where(varied, change * rng.normal(1, 0.05, (count, 1)) + slope + noise, change)
    x = (change / task["scale"]).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), steps)
    return pa.table({"id": ids, "last": last, "window": lists})


def write(table, folder, files=16):
    """Writes a table as several files, so that they can be read in parallel."""
    folder.mkdir(parents=True)
    rows = -(-table.num_rows // files)
    for index in range(files):
        pq.write_table(table.slice(index * rows, rows), folder / f"{index:03}.parquet")


def start(actors):
    """Starts Ray on this machine alone: loopback, no dashboard. One core more than actors, for reading and writing."""
    ray.init(
        address="local",
        num_cpus=actors + 1,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=256 << 20,
        log_to_driver=False,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False


def forecast(windows, out, actors, batch_size=1024, actor=Forecaster):
    """Forecasts a folder of Parquet files into another, which appears only when all is there. Ray has to be started."""
    model, task = load()
    # A block goes to one actor, and Ray reads files of less than 128 MiB into one block.
    blocks = ray.data.read_parquet(str(windows)).repartition(target_num_rows_per_block=4 * batch_size)
    predictions = blocks.map_batches(
        actor,
        fn_constructor_kwargs={"recipe": wgru.Recipe(model, "cpu:1"), "scale": task["scale"]},
        compute=ray.data.ActorPoolStrategy(size=actors),
        batch_size=batch_size,
        num_cpus=1,
    )
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    predictions.write_parquet(str(partial))
    partial.rename(out)


def in_one_process(table):
    """The same forecasts by one engine, in ppm."""
    model, task = load()
    engine = wgru.Engine(model, "cpu")
    x = np.stack(table["window"].to_numpy())[:, :, np.newaxis]
    return table["last"].to_numpy()[:, np.newaxis] + task["scale"] * engine.run(x).out.astype(np.float64)


def check(table, folder):
    """Whether each window has exactly one forecast, with the bits of one process. Exits with a reason otherwise."""
    found = pq.read_table(folder).sort_by("id")
    if found["id"].to_pylist() != table["id"].to_pylist():
        sys.exit(f"{folder}: windows are lost or doubled: {found.num_rows} forecasts of {table.num_rows} windows")
    forecasts = np.stack(found["forecast"].to_numpy())
    expected = in_one_process(table)
    if forecasts.tobytes() != expected.tobytes():
        sys.exit(f"{folder}: forecasts differ from those of one process by up to {np.abs(forecasts - expected).max()} ppm")
    return forecasts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=100_000, help="how many windows [100000]")
    parser.add_argument("--actors", type=int, default=2, help="how many actors, with a core each [2]")
    parser.add_argument("--batch", type=int, default=1024, help="windows of a batch [1024]")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("forecasts"), help="a new folder [forecasts]")
    parser.add_argument("--check", action="store_true", help="compare with one process")
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f"--out {args.out}: it exists already")
    if min(args.windows, args.actors, args.batch) < 1:
        sys.exit("--windows, --actors, --batch: at least 1")
    table = scenarios(load()[1], args.windows)
    write(table, args.out / "windows")
    start(args.actors)
    try:
        began = time.perf_counter()
        forecast(args.out / "windows", args.out / "forecasts", args.actors, args.batch)
        took = time.perf_counter() - began
    finally:
        ray.shutdown()
    rate = args.windows / took
    print(f"{args.windows} windows, {args.actors} actors: {took:.1f} s with starting the actors, {rate:.0f} windows a second")
    if args.check:
        check(table, args.out / "forecasts")
        print("each window has one forecast, with the bits of one process")


if __name__ == "__main__":
    main()
