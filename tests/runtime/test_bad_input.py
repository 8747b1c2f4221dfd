"""Broken input through the real command: each is named with what to do, the other cameras go on, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from retail_ray.lake.views import open_lake
from tests.runtime.sites import lab, rows_of, write_site
from tests.video.clips import write_clip, write_silence

START = "2026-03-02T10:00:00+00:00"


def run(site: Path, *more: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The real command; under: a command that runs it."""
    command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site), "--json", "--in-process", *more]
    return subprocess.run([*under, *command], capture_output=True, text=True, timeout=240, check=False)


def camera(name: str, uri: Path) -> dict[str, Any]:
    return {"id": name, "uri": str(uri), "recorded_at": START, "analysis_fps": 5, "image_fps": 5}


def images_of_two_sizes(folder: Path) -> Path:
    folder.mkdir()
    for number in range(12):
        size = (96, 128) if number < 8 else (120, 160)
        cv2.imwrite(str(folder / f"{number:06}.png"), np.full((*size, 3), 90, np.uint8))
    return folder


def broken_cameras(folder: Path) -> dict[str, tuple[Path, str]]:
    """Camera id -> its video and what its error must say."""
    whole = write_clip(folder / "whole.mp4", 40)
    for name, content in {
        "empty.mp4": b"",
        "text.mp4": b"These are no pictures, only words.\n" * 50,
        "cut.mp4": whole.read_bytes()[: whole.stat().st_size // 3],
    }.items():
        (folder / name).write_bytes(content)
    (folder / "no-pictures").mkdir()
    return {
        "missing": (folder / "nowhere.mp4", "nowhere.mp4"),
        "empty": (folder / "empty.mp4", "empty"),
        "text": (folder / "text.mp4", "text.mp4"),
        "cut": (folder / "cut.mp4", "cut.mp4"),
        "sound": (write_silence(folder / "sound.mp4"), "sound.mp4"),
        "folder": (folder / "no-pictures", "no-pictures"),
        "sizes": (images_of_two_sizes(folder / "sizes"), "frame 8 from 128x96 to 160x120"),
    }


def test_every_broken_camera_is_named_and_the_good_one_goes_on(tmp_path: Path, shared_data: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    assert run(write_site(alone, shared_data, [lab(shared_data, 1)])).returncode == 0
    broken = broken_cameras(tmp_path)
    cameras = [camera(name, uri) for name, (uri, _) in broken.items()]
    site = write_site(tmp_path, shared_data, [*cameras, lab(shared_data, 1)])

    done = run(site)

    assert done.returncode == 1, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary["errors"]) == set(broken)
    for name, (_, message) in broken.items():
        assert f"camera '{name}'" in summary["errors"][name]
        assert message in summary["errors"][name]
        assert "Traceback" not in summary["errors"][name]
        assert f"camera '{name}'" in done.stderr
    of_good = {row["camera_id"]: row for row in summary["cameras"]}
    assert of_good["lab-1"]["processed"] == of_good["lab-1"]["expected"] > 0
    # Frames before the change of size are analysed and on the account of coverage.
    assert of_good["sizes"]["processed"] == 8
    for table in ("detections", "tracklets", "coverage"):
        assert rows_of_camera(tmp_path / "lake", table) == rows_of_camera(alone / "lake", table)


def rows_of_camera(lake: Path, table: str) -> list[dict[str, Any]]:
    """What the good camera found, without what names the run."""
    question = f"SELECT * EXCLUDE (run_id, config_version) FROM {table} WHERE camera_id = 'lab-1' ORDER BY ALL"
    with open_lake(lake) as opened:
        return opened.rows(question)


def refused(done: subprocess.CompletedProcess[str], *messages: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for message in messages:
        assert message in done.stderr


def test_a_checkpoint_of_another_network(tmp_path: Path, shared_data: Path) -> None:
    reid = str(shared_data / "weights/osnet_x0_25_msmt17.onnx")
    models = {"detector": {"weights": reid}, "embedder": {"weights": reid}}
    refused(run(write_site(tmp_path, shared_data, [lab(shared_data, 1)], models=models)), reid, "detector")


def test_weights_that_are_nowhere(tmp_path: Path, shared_data: Path) -> None:
    models = {"detector": {"weights": "./yolo99.pt"}}
    refused(run(write_site(tmp_path, shared_data, [lab(shared_data, 1)], models=models)), "yolo99.pt")


def test_an_unknown_tracker(tmp_path: Path, shared_data: Path) -> None:
    site = write_site(tmp_path, shared_data, [lab(shared_data, 1)], tracker={"name": "bitetrack"})
    refused(run(site), "bitetrack", "did you mean 'bytetrack'")


def test_the_same_minutes_are_not_counted_twice(tmp_path: Path, shared_data: Path) -> None:
    """Other settings make another run of the same minutes: refused, until it is told to replace the older one."""
    assert run(write_site(tmp_path, shared_data, [lab(shared_data, 1)])).returncode == 0
    before = rows_of(tmp_path / "lake")
    site = write_site(tmp_path, shared_data, [lab(shared_data, 1, analysis_fps=4)])
    refused(run(site), "camera 'lab-1'", "replace")
    assert rows_of(tmp_path / "lake") == before
    assert run(site, "--replace").returncode == 0
    after = rows_of(tmp_path / "lake")
    assert after
    assert not set(after) & set(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a few files only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_loses_nothing(tmp_path: Path, shared_data: Path, small_disk: Path) -> None:
    cameras = [lab(shared_data, 1), lab(shared_data, 2)]
    assert run(write_site(tmp_path, shared_data, cameras)).returncode == 0
    site, lake = write_site(tmp_path, shared_data, cameras), small_disk / "lake"
    refused(run(site, "--lake", str(lake)), "the disk is full", str(lake))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run(site, "--lake", str(lake)).returncode == 0
    assert rows_of(lake) == rows_of(tmp_path / "lake")


def test_a_lake_that_may_not_be_written(tmp_path: Path, shared_data: Path, small_disk: Path) -> None:
    site = write_site(tmp_path, shared_data, [lab(shared_data, 1)])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(run(site, "--lake", str(small_disk / "lake")), str(small_disk), "the file system is read-only")


def test_a_lake_without_write_permission(tmp_path: Path, shared_data: Path) -> None:
    """Closed before anything is there, then one table: nothing is half written, and with the permission it goes on."""
    site, lake = write_site(tmp_path, shared_data, [lab(shared_data, 1)]), tmp_path / "lake"
    # Root may write anywhere by a capability; without it, and not the owner, it may not.
    root = os.geteuid() == 0
    under = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if root else []
    for closed in (lake, lake / "detections"):
        closed.mkdir()
        closed.chmod(0o555)
        if root:
            os.chown(closed, 65534, 65534)
        refused(run(site, under=under), "no permission", str(closed))
        assert rows_of(lake) == {}
        if root:
            os.chown(closed, 0, 0)
        closed.chmod(0o755)
    assert run(site, under=under).returncode == 0
    assert any(path.startswith("detections/") for path in rows_of(lake))


def test_a_lake_that_is_a_file(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    site = write_site(tmp_path, shared_data, [lab(shared_data, 1)])
    refused(run(site, "--lake", str(tmp_path / "file")), str(tmp_path / "file"))


def test_a_recording_without_its_time(tmp_path: Path, shared_data: Path) -> None:
    undated = {key: value for key, value in lab(shared_data, 1).items() if key != "recorded_at"}
    refused(run(write_site(tmp_path, shared_data, [undated])), "camera 'lab-1'", "recorded_at is missing")


def test_an_address_with_a_password_is_masked(tmp_path: Path, shared_data: Path) -> None:
    site = write_site(tmp_path, shared_data, [{**lab(shared_data, 1), "uri": "rtsp://guard:${PASSWORD}@127.0.0.1:1/x"}])
    command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site), "--in-process"]
    environment = {**os.environ, "PASSWORD": "s3cret"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
    assert done.returncode == 1
    assert "s3cret" not in done.stderr + done.stdout
    assert "camera 'lab-1'" in done.stderr
