"""Where the real clips are; fences that keep unit tests away from Ray and the network."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("RETAIL_RAY_SHARED", ROOT.parent / "shared"))

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "False")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="retail-ray-ultralytics-"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and weights; tests that need it skip with this reason elsewhere."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"real clips are not on this machine: no folder {data} (set RETAIL_RAY_SHARED)")
    return data


@pytest.fixture(scope="session")
def simulated_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lake` and `truth` of a small supermarket's hour, made as a user makes it."""
    from click.testing import CliRunner

    from retail_ray.simulate_cli import simulate

    folder = tmp_path_factory.mktemp("simulated") / "shop"
    words = "events --layout supermarket --cameras 4 --hours 1 --visitors 900 --start 2026-03-02T10:30 --out"
    made = CliRunner().invoke(simulate, [*words.split(), str(folder)], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(autouse=True)
def _no_ray_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("ray"):
        return

    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("ray.init in a unit test: mark the test with @pytest.mark.ray or drive the plain class")

    ray = __import__("sys").modules.get("ray")
    if ray is not None:
        monkeypatch.setattr(ray, "init", refuse)
