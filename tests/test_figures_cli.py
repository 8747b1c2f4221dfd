"""`retail-ray figures`: from a recording to the site file to a run that follows people only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from benchmarks.true_parts import Wrapped
from retail_ray.cli import main
from retail_ray.config_file import load_site
from retail_ray.core.boxes import iou
from retail_ray.core.errors import ConfigError
from retail_ray.core.types import Detections
from retail_ray.lake.views import open_lake
from retail_ray.runtime.clients import Deferred, Pending
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from tests.runtime.sites import lab, write_site
from tests.support.small_lake import full_tables, write_lake

# Of the model's input, where nobody passes in the clip.
POSTER_PX = np.array([[20.0, 20.0, 60.0, 110.0]], np.float32)


class WithPoster(Wrapped):
    """Also sees a person on a poster, in every frame."""

    def detect(self, images: np.ndarray) -> Pending[list[Detections]]:  # type: ignore[type-arg]
        people = self._own.detect(images).result()
        return Deferred(lambda: [_and_poster(one) for one in people])


def _and_poster(found: Detections) -> Detections:
    return Detections(
        np.concatenate([POSTER_PX, found.xyxy_px]),
        np.append(np.float32(0.8), found.confidence),
        np.append(np.int32(0), found.class_id),
    )


def followed(lake: Path) -> tuple[int, int]:
    """Boxes on the poster, and how many of them belong to a tracklet; every box else has one or none as before."""
    with open_lake(lake) as opened:
        rows = opened.rows("SELECT x1_px, y1_px, x2_px, y2_px, local_id FROM detections")
    boxes = np.array([[row[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")] for row in rows], np.float32)
    smallest = boxes[np.argmin(boxes[:, 0] + boxes[:, 1])]
    poster = iou(boxes, smallest[None])[:, 0] > 0.9
    return int(poster.sum()), sum(row["local_id"] is not None for row, on in zip(rows, poster, strict=True) if on)


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["figures", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_poster_is_found_in_the_lake_and_no_longer_followed(tmp_path: Path, shared_data: Path) -> None:
    path = write_site(tmp_path, shared_data, [lab(shared_data, 1)])
    site, before, after = load_site(path), tmp_path / "before", tmp_path / "after"
    experiment = Experiment(lambda _camera_id, own: WithPoster(own))
    run_in_process(site.model_copy(update={"lake": str(before)}), JobOptions(), experiment)
    seen, tracked = followed(before)
    assert tracked >= seen - 2 > 10

    code, section, said = invoke("--site", str(path), "--lake", str(before), "--empty", "--camera", "lab-1")
    assert code == 0
    assert "still figures in 1 cameras" in said
    content = yaml.safe_load(path.read_text())
    content["cameras"][0]["still_figures"] = yaml.safe_load(section)["cameras"][0]["still_figures"]
    path.write_text(yaml.safe_dump(content))
    run_in_process(load_site(path).model_copy(update={"lake": str(after)}), JobOptions(), experiment)
    assert followed(after) == (seen, 0)

    code, boxes, _ = invoke("--site", str(path), "--lake", str(before), "--json")
    assert (code, json.loads(boxes)) == (0, {"lab-1": []})  # nothing stays for ten minutes in three seconds
    code, _, said = invoke("--site", str(path), "--lake", str(before), "--from", "2031-01-01T00:00+01:00")
    assert code == 2
    assert "no analysed frame in the interval" in said


def test_a_quiet_night_has_no_figures_and_a_night_without_recording_says_so(tmp_path: Path) -> None:
    lake = write_lake(tmp_path / "lake", full_tables())
    cameras = [{"id": name, "uri": "rtsp://h/1"} for name in ("door", "hall", "yard")]
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"site": "shop", "timezone": "Europe/Rome", "cameras": cameras}))
    where = ("--site", str(path), "--lake", str(lake), "--empty", "--json")
    code, boxes, _ = invoke(*where, "--from", "2026-03-02T10:00:30+01:00")
    assert (code, json.loads(boxes)) == (0, {"door": [], "hall": []})
    code, _, said = invoke(*where, "--from", "2026-03-02T10:01+01:00")
    assert code == 2
    assert "no analysed frame in the interval" in said


def test_a_site_that_learns_no_figures_is_asked_for_an_empty_time(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    site = {"site": "shop", "timezone": "UTC", "cameras": [{"id": "door", "uri": "rtsp://h/1"}]}
    path.write_text(yaml.safe_dump(site | {"tracker": {"still_figure_s": 0}}))
    code, _, said = invoke("--site", str(path), "--lake", str(tmp_path))
    assert code == 2
    assert "still_figure_s is 0" in said


def test_bad_input_is_named(tmp_path: Path) -> None:
    camera = {"id": "door", "uri": "rtsp://h/1"}
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"site": "shop", "timezone": "UTC", "cameras": [camera]}))
    code, _, said = invoke("--site", str(path), "--lake", str(tmp_path / "nowhere"))
    assert code == 2
    assert "nowhere" in said
    code, _, said = invoke("--site", str(path), "--camera", "till")
    assert code == 2
    assert "camera 'till' is not in the site file; cameras are door" in said
    path.write_text(
        yaml.safe_dump({"site": "shop", "timezone": "UTC", "cameras": [camera | {"still_figures": [[5, 5, 1, 9]]}]})
    )
    with pytest.raises(ConfigError, match=r"still_figures.*x1 < x2"):
        load_site(path)
