"""A simulated store on disk: the truth fits the clips frame by frame and pixel by pixel."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from retail_ray.config_file import load_site
from retail_ray.core.errors import ConfigError
from retail_ray.lake.truth import Truth, read_truth
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video import SimulatedVideo, simulate_video
from retail_ray.simulation.video_settings import VideoSettings
from retail_ray.video.sources import open_source

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

SCENARIO = ScenarioSettings(duration_s=4.0, warm_up_s=60.0)


def make(out: Path, seed: int = 3, processes: int = 0) -> SimulatedVideo:
    settings = VideoSettings(320, 180, 5, 1.5, 1.0, "software", processes=processes)
    return simulate_video(ready_layouts()["convenience"], SCENARIO, settings, seed, out)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedVideo:
    return make(tmp_path_factory.mktemp("sim") / "store")


@pytest.fixture(scope="module")
def truth(made: SimulatedVideo) -> Truth:
    return read_truth(made.truth_dir)


def test_every_frame_of_every_clip_is_in_the_truth_at_its_time(made: SimulatedVideo, truth: Truth) -> None:
    frames = truth.tables["frames"]
    for camera in load_site(made.site_path).cameras:
        source = open_source(camera.id, camera.uri, camera.recorded_at_us, 60.0, decoder_threads=1)
        seen = [(frame.index, frame.time_us) for frame in source.frames()]
        source.close()
        mine = (frames["camera_id"] == camera.id) & (frames["frame_index"] >= 0)
        assert [index for index, _ in seen] == frames["frame_index"][mine].tolist()
        assert [time_us for _, time_us in seen] == pytest.approx(frames["stamp_us"][mine].tolist(), abs=50)


def test_clocks_are_wrong_by_a_constant_each(truth: Truth) -> None:
    frames = truth.tables["frames"]
    error_us = frames["stamp_us"] - frames["time_us"]
    of_camera = {camera: set(error_us[frames["camera_id"] == camera].tolist()) for camera in set(frames["camera_id"])}
    assert all(len(errors) == 1 for errors in of_camera.values())
    assert len({next(iter(errors)) for errors in of_camera.values()}) > 1
    assert 0 < np.abs(error_us).max() <= 200_000


def test_boxes_lie_in_the_frame_and_within_the_whole_body(truth: Truth) -> None:
    boxes = truth.tables["boxes"]
    assert len(boxes["person_id"]) > 20
    assert (boxes["x1_px"] >= 0).all()
    assert (boxes["x2_px"] <= 320).all()
    assert (boxes["y1_px"] >= 0).all()
    assert (boxes["y2_px"] <= 180).all()
    for low, high in (("x1", "x2"), ("y1", "y2")):
        assert (boxes[f"{low}_px"] < boxes[f"{high}_px"]).all()
        assert (boxes[f"full_{low}_px"] <= boxes[f"{low}_px"] + 3).all()
        assert (boxes[f"full_{high}_px"] >= boxes[f"{high}_px"] - 3).all()
    assert ((boxes["visible_share"] > 0) & (boxes["visible_share"] <= 1)).all()
    assert (boxes["visible_share"] < 0.7).any()
    assert (boxes["visible_share"] > 0.95).any()


def test_masks_and_boxes_say_the_same(truth: Truth) -> None:
    boxes, masks = truth.tables["boxes"], truth.tables["masks"]
    key = {
        (camera, int(frame), int(person)): row
        for row, (camera, frame, person) in enumerate(
            zip(boxes["camera_id"], boxes["frame_index"], boxes["person_id"], strict=True)
        )
    }
    assert len(masks["person_id"]) > 5
    for row in range(len(masks["person_id"])):
        size = [int(masks["height_px"][row]), int(masks["width_px"][row])]
        visible = coco.decode({"size": size, "counts": masks["visible_counts"][row]})
        full = coco.decode({"size": size, "counts": masks["full_counts"][row]})
        at = key[masks["camera_id"][row], int(masks["frame_index"][row]), int(masks["person_id"][row])]
        rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
        box = [boxes[f"{name}_px"][at] for name in ("x1", "y1", "x2", "y2")]
        assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert full.sum() >= visible.sum() * 0.8
        if boxes["visible_share"][at] > 0.99:
            assert (visible & full).sum() > 0.8 * visible.sum()


def test_calibration_leads_from_feet_to_the_true_place(made: SimulatedVideo, truth: Truth) -> None:
    """The lowest point of who is seen whole lies near the true floor position; half a metre is half a stride."""
    boxes = truth.tables["boxes"]
    distances = []
    for camera in load_site(made.site_path).cameras:
        assert camera.floor is not None
        mine = (boxes["camera_id"] == camera.id) & (boxes["visible_share"] > 0.97)
        feet = np.column_stack([(boxes["x1_px"][mine] + boxes["x2_px"][mine]) / 2, boxes["y2_px"][mine]])
        floor = camera.floor.calibration((180, 320)).to_floor(feet)
        distances.extend(np.hypot(*(floor - np.column_stack([boxes["x_m"][mine], boxes["y_m"][mine]])).T))
    assert len(distances) > 10
    assert np.median(distances) < 0.35


def test_who_is_in_the_store_is_in_the_truth(made: SimulatedVideo, truth: Truth) -> None:
    people, boxes = truth.tables["people"], truth.tables["boxes"]
    assert len(people["person_id"]) == made.people
    assert set(boxes["person_id"]) <= set(people["person_id"])
    positions = truth.tables["positions"]
    at = {(int(t), int(p)): (x, y) for t, p, x, y in zip(
        positions["time_us"], positions["person_id"], positions["x_m"], positions["y_m"], strict=True)}  # fmt: skip
    on_tick = [
        (at[int(t), int(p)], (x, y))
        for t, p, x, y in zip(boxes["time_us"], boxes["person_id"], boxes["x_m"], boxes["y_m"], strict=True)
        if (int(t), int(p)) in at
    ]
    assert len(on_tick) > 5
    for there, here in on_tick:
        assert there == pytest.approx(here, abs=1e-3)


def test_mot_text_has_the_same_boxes(made: SimulatedVideo, truth: Truth) -> None:
    boxes = truth.tables["boxes"]
    for camera in load_site(made.site_path).cameras:
        lines = (made.site_path.parent / "mot" / camera.id / "gt.txt").read_text().splitlines()
        first = np.array([[float(value) for value in line.split(",")] for line in lines])
        mine = boxes["camera_id"] == camera.id
        assert first[:, 0].tolist() == (boxes["frame_index"][mine] + 1).tolist()
        assert first[:, 2:4] == pytest.approx(np.column_stack([boxes["x1_px"][mine], boxes["y1_px"][mine]]))
        assert (first[:, 2] + first[:, 4]).tolist() == boxes["x2_px"][mine].tolist()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_however_many_processes(made: SimulatedVideo, tmp_path: Path) -> None:
    again = make(tmp_path / "store", processes=1)
    assert digests(again.site_path.parent) == digests(made.site_path.parent)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="not empty"):
        make(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"
