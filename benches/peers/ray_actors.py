"""Times `python/examples/forecast_ray.py` on one actor and on several, in turns.

    python benches/peers/ray_actors.py --windows 200000 --actors 1,2 --rounds 3 --out records.csv

`total_s` is the whole job, Parquet to Parquet, with starting the actors. `computing_s` is from the first batch's begin to the
last one's end: the time that more actors can shorten. `busy_s` is the sum of all batches' times, `busiest_s` that of one actor.
Every forecast is compared with one process, bit by bit.
"""

import argparse
import csv
import os
import pathlib
import sys
import tempfile
import time

import run

sys.path.append(str(run.ROOT / "python/examples"))
import forecast_ray  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import ray  # noqa: E402

import wgru  # noqa: E402

FIELDS = ["actors", "windows", "batch", "round", "total_s", "computing_s", "busy_s", "busiest_s", "windows_per_s"]
FIELDS += ["driver", "processor", "processors", "python", "commit", "date"]


class Timed(forecast_ray.Forecaster):
    """A forecaster that adds to each window when its batch began and ended, and in which process."""

    def __call__(self, batch):
        began = time.time()
        found = super().__call__(batch)
        ended = time.time()
        for name, value in [("began", began), ("ended", ended), ("process", os.getpid())]:
            found = found.append_column(name, pa.array([value] * found.num_rows))
        return found


def once(windows, table, actors, batch):
    """A job; its times."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "forecasts"
        began = time.perf_counter()
        forecast_ray.forecast(windows, out, actors, batch, actor=Timed)
        total = time.perf_counter() - began
        forecast_ray.check(table, out)
        names = ["began", "ended", "process"]
        clocks = pq.read_table(out, columns=names).group_by(names).aggregate([])
    starts, ends, processes = (clocks[name].to_numpy() for name in names)
    computing = ends.max() - starts.min()
    busy = [(ends - starts)[processes == one].sum() for one in set(processes)]
    times = {"total_s": total, "computing_s": computing, "busy_s": sum(busy), "busiest_s": max(busy)}
    return times | {"windows_per_s": table.num_rows / computing}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=200_000, help="how many windows [200000]")
    parser.add_argument("--actors", default="1,2", help="numbers of actors [1,2]")
    parser.add_argument("--batch", type=int, default=1024, help="windows of a batch [1024]")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each number of actors [3]")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a new CSV")
    args = parser.parse_args()
    counts = [int(word) for word in args.actors.split(",")]
    facts = {name: value for name, value in run.machine().items() if name in FIELDS}
    facts |= {"driver": f"wgru {wgru.__version__}, ray {ray.__version__}", "windows": args.windows, "batch": args.batch}
    table = forecast_ray.scenarios(forecast_ray.load()[1], args.windows)
    with tempfile.TemporaryDirectory() as folder, args.out.open("x", newline="") as file:
        windows = pathlib.Path(folder) / "windows"
        forecast_ray.write(table, windows)
        records = csv.DictWriter(file, FIELDS, lineterminator="\n")
        records.writeheader()
        forecast_ray.start(max(counts))
        # So that no actor computes while another starts.
        ray.data.DataContext.get_current().wait_for_min_actors_s = 60
        # Ray's workers do not find the example by its name: its classes are sent to them.
        ray.cloudpickle.register_pickle_by_value(forecast_ray)
        try:
            for number in range(args.rounds):
                for actors in counts[:: -1 if number % 2 else 1]:
                    times = once(windows, table, actors, args.batch)
                    records.writerow({"actors": actors, "round": number + 1, **times, **facts})
                    file.flush()
                    print(actors, " ".join(f"{name} {value:.2f}" for name, value in times.items()), flush=True)
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
