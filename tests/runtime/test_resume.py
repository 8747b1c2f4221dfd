"""A run cut off anywhere ends, started again, with the rows of an undisturbed run, byte by byte."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.sites import ON_FLOOR, commits_of, lab, rows_of, street, write_site

DEADLINE_S = 240


def command(site: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site), "--json", *more]


def run(site: Path, *more: str) -> dict[str, object]:
    done = subprocess.run(command(site, *more), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Poll until true; fails when the process ends or the deadline passes first."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f"ended too early: {process.communicate()[1]}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, str]:
    """Rows of a street and two room cameras of different length, worked in one process without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(town(folder, shared_data), "--in-process")
    return rows_of(folder / "lake")


def town(folder: Path, data: Path) -> Path:
    return write_site(folder, data, [street(data), lab(data, 1), lab(data, 2)], **ON_FLOOR)


def test_rows_of_all_tables_are_there(undisturbed: dict[str, str]) -> None:
    tables = {path.split("/")[0] for path in undisturbed}
    assert {
        "detections",
        "tracklets",
        "identity_events",
        "zone_visits",
        "occupancy",
        "coverage",
        "sites",
        "journeys",
    } <= tables


@pytest.mark.parametrize("commits", [1, 3])
def test_killed_process(tmp_path: Path, shared_data: Path, undisturbed: dict[str, str], commits: int) -> None:
    site = town(tmp_path, shared_data)
    lake = tmp_path / "lake"
    with subprocess.Popen(command(site, "--in-process"), stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: commits_of(lake) >= commits, process)
        process.kill()
    assert 0 < len(rows_of(lake)) < len(undisturbed)
    summary = run(site, "--in-process")
    assert not summary["already_complete"]
    assert rows_of(lake) == undisturbed
    assert run(site, "--in-process")["already_complete"]
    assert rows_of(lake) == undisturbed


def test_resources_change_no_row(tmp_path: Path, shared_data: Path, undisturbed: dict[str, str]) -> None:
    """Threads of decoder and model may change the rows of no table."""
    models = {
        "detector": {"weights": str(shared_data / "weights/yolo11n_int8_openvino_model"), "threads": 1},
        "embedder": {"weights": str(shared_data / "weights/osnet_x0_25_msmt17.onnx"), "threads": 1},
    }
    cameras = [street(shared_data), lab(shared_data, 1), lab(shared_data, 2)]
    runtime = {"epoch_s": 2, "decoder_threads": 2}
    run(write_site(tmp_path, shared_data, cameras, **ON_FLOOR, models=models, runtime=runtime), "--in-process")
    assert rows_of(tmp_path / "lake") == undisturbed


def test_tracklets_that_end_within_the_chunk_of_their_crop(tmp_path: Path, shared_data: Path) -> None:
    """At 2 frames/s a chunk lasts longer than the tracker remembers anybody."""
    site = write_site(tmp_path, shared_data, [street(shared_data, analysis_fps=2)], runtime={"epoch_s": 60})
    summary = run(site, "--in-process")
    assert summary["coverage"]["share"] == 1.0
    assert summary["cameras"][0]["tracklets"] > 5


@pytest.mark.ray
@pytest.mark.long
def test_killed_job(tmp_path: Path, shared_data: Path, undisturbed: dict[str, str]) -> None:
    site = town(tmp_path, shared_data)
    with subprocess.Popen(command(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: commits_of(tmp_path / "lake") >= 1, process)
        process.kill()
    assert len(rows_of(tmp_path / "lake")) < len(undisturbed)
    assert not run(site)["already_complete"]
    assert rows_of(tmp_path / "lake") == undisturbed
