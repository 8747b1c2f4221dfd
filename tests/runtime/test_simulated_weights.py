"""Weights that know simulated people only, through the real command: refused for real video, whatever their name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from retail_ray.config import Site
from retail_ray.core.errors import ConfigError
from retail_ray.runtime.simulated_weights import require_simulated
from retail_ray.simulation.clip_writer import ClipWriter
from retail_ray.vision.weights import known_weights, locate
from tests.runtime.sites import lab, write_site
from tests.video.clips import write_clip

DEMO = {"detector": "demo_detector.pt", "embedder": "demo_embedder.pt", "segmenter": "demo_segmenter.pth"}
REAL = {"detector": "yolo11n.pt", "embedder": "osnet_x0_25_msmt17.pt", "segmenter": "sam_vit_b_01ec64.pth"}


def run(site: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site), "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def simulated_clip(path: Path) -> Path:
    with ClipWriter(path, (96, 160), 5, 26, "test") as clip:
        for number in range(10):
            clip.write(np.full((96, 160, 3), 90, np.uint8), number * 200_000)
    return path


def camera(uri: Path, name: str = "till") -> dict[str, Any]:
    return {"id": name, "uri": str(uri), "recorded_at": "2026-03-02T10:00:00+00:00", "analysis_fps": 5}


def site_of(cameras: list[dict[str, Any]], models: dict[str, Any], *, simulated: bool = True) -> Site:
    content = {"site": "shop", "timezone": "UTC", "cameras": cameras, "models": models, "simulated": simulated}
    return Site.model_validate(content)


@pytest.mark.parametrize("role", list(DEMO))
def test_a_real_clip_is_refused_before_anything_is_analysed(tmp_path: Path, shared_data: Path, role: str) -> None:
    """A copy under a real name in a site that claims to be simulated."""
    renamed = tmp_path / REAL[role]
    shutil.copy(locate(DEMO[role], None, tmp_path), renamed)
    models = {"embedder": None, role: {"weights": str(renamed)}}
    site = write_site(tmp_path, shared_data, [lab(shared_data, 1)], models=models, simulated=True)

    done = run(site, "--in-process")

    assert done.returncode == 2, done.stderr
    assert "camera 'lab-1'" in done.stderr
    assert f"models.{role}" in done.stderr
    assert str(renamed) in done.stderr
    assert REAL[role] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.ray
def test_a_real_clip_is_refused_through_ray(tmp_path: Path, shared_data: Path) -> None:
    models = {"detector": {"weights": DEMO["detector"]}, "embedder": None}
    done = run(write_site(tmp_path, shared_data, [lab(shared_data, 1)], models=models, simulated=True))
    assert done.returncode == 2, done.stderr
    assert "camera 'lab-1'" in done.stderr
    assert "yolo11n.pt" in done.stderr


def test_a_site_that_is_not_marked_is_refused(tmp_path: Path) -> None:
    """Also with a simulated clip: the mark is the user's own word."""
    clip = simulated_clip(tmp_path / "clip.mp4")
    models = {"detector": {"weights": DEMO["detector"]}, "embedder": None}
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"site": "shop", "timezone": "UTC", "cameras": [camera(clip)], "models": models}))
    done = run(path, "--in-process")
    assert done.returncode == 2, done.stderr
    assert "`simulated: true`" in done.stderr
    assert "yolo11n.pt" in done.stderr


def test_simulated_clips_run(tmp_path: Path) -> None:
    clip = simulated_clip(tmp_path / "clip.mp4")
    models = {"detector": {"weights": DEMO["detector"], "long_side_px": 160}, "embedder": {"weights": DEMO["embedder"]}}
    content = {"site": "shop", "simulated": True, "timezone": "UTC", "cameras": [camera(clip)], "models": models}
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(content))
    done = run(path, "--in-process")
    assert done.returncode == 0, done.stderr


def test_one_real_camera_among_simulated_ones_is_named(tmp_path: Path) -> None:
    cameras = [camera(simulated_clip(tmp_path / "a.mp4"), "a"), camera(write_clip(tmp_path / "b.mp4", 5), "b")]
    models = {"detector": {"weights": REAL["detector"]}, "embedder": {"weights": DEMO["embedder"]}}
    with pytest.raises(ConfigError, match=r"camera 'b': .*b\.mp4 was not made by .*osnet_x0_25_msmt17\.pt"):
        require_simulated(site_of(cameras, models))
    require_simulated(site_of(cameras[:1], models))


@pytest.mark.parametrize("uri", ["rtsp://127.0.0.1/live", "images"])
def test_what_has_no_metadata_is_refused(tmp_path: Path, uri: str) -> None:
    (tmp_path / "images").mkdir()
    address = uri if "://" in uri else str(tmp_path / uri)
    models = {"detector": {"weights": DEMO["detector"]}, "embedder": None}
    with pytest.raises(ConfigError, match="not a clip of the simulator"):
        require_simulated(site_of([camera(Path()) | {"uri": address}], models))


def test_broken_and_missing_clips_are_left_to_the_run(tmp_path: Path) -> None:
    (tmp_path / "words.mp4").write_text("only words")
    cameras = [camera(tmp_path / "words.mp4", "a"), camera(tmp_path / "nowhere.mp4", "b")]
    require_simulated(site_of(cameras, {"detector": {"weights": DEMO["detector"]}, "embedder": None}))


def test_real_weights_run_anywhere(tmp_path: Path) -> None:
    other = tmp_path / "demo_detector.pt"
    other.write_bytes(b"other weights under that name")
    models = {"detector": {"weights": str(other)}, "embedder": None}
    for simulated in (False, True):
        require_simulated(site_of([camera(write_clip(tmp_path / "b.mp4", 5))], models, simulated=simulated))


def test_every_demo_weight_names_the_real_one() -> None:
    for role, name in DEMO.items():
        known = known_weights()[name]
        assert (known.task, known.simulated_only, known.instead, known.url) == (role, True, REAL[role], None)
        assert known_weights()[REAL[role]].task == role
