"""`examples/forecast_ray.py` on two actors: an actor that is killed, and the bits of one process."""

import importlib.util
import json
import os
import pathlib
import signal
import sys

import numpy as np
import pytest

# Read when Ray is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray")
pytest.importorskip("pyarrow")

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / "examples/forecast_ray.py"
pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def example():
    """The example as a module, which Ray's workers do not import: its classes are sent to them."""
    spec = importlib.util.spec_from_file_location("__main__.forecast_ray", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ray.cloudpickle.register_pickle_by_value(sys.modules.setdefault(spec.name, module))
    module.start(2)
    yield module
    ray.shutdown()


def dies_once(example, marker):
    """A forecaster whose process kills itself at its third batch, if no other has yet. It leaves its number in a file."""

    class DiesOnce(example.Forecaster):
        calls = 0

        def __call__(self, batch):
            self.calls += 1
            if self.calls == 3:
                try:
                    with open(marker, "x") as file:
                        file.write(str(os.getpid()))
                except FileExistsError:
                    pass
                else:
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(batch)

    return DiesOnce


def test_an_actor_dies(example, tmp_path):
    table = example.scenarios(example.load()[1], 6000)
    example.write(table, tmp_path / "windows", files=4)
    marker = tmp_path / "died"
    example.forecast(tmp_path / "windows", tmp_path / "forecasts", 2, batch_size=256, actor=dies_once(example, str(marker)))
    died = int(marker.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(died, 0)
    # Exits if a window is lost or doubled, or if one bit differs from one process.
    example.check(table, tmp_path / "forecasts")


def test_forecasts_of_the_published_windows(example, tmp_path):
    """The forecasts that models/co2_gru_expected.json has by PyTorch."""
    table = example.scenarios(example.load()[1], 479)
    example.write(table, tmp_path / "windows", files=2)
    example.forecast(tmp_path / "windows", tmp_path / "forecasts", 2, batch_size=64)
    found = example.check(table, tmp_path / "forecasts")
    published = json.loads((example.ROOT / "models/co2_gru_expected.json").read_text())["forecasts"]
    assert published
    for one in published:
        # Row e of the series is the end of window e - 47.
        assert np.abs(found[one["e"] - 47] - one["ppm"]).max() < 1e-3
    assert not (tmp_path / "forecasts.partial").exists()
