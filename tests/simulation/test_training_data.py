"""Rendered training data: labels that fit the pictures, the same from the same seed, resumable."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.seeds import SeedRange
from retail_ray.simulation.training_data import PATCH_HW, DataSettings, grown_patch, render_training_data
from retail_ray.simulation.training_stores import training_moment, training_people, training_store

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

SMALL = DataSettings(
    scenes=1, moments=3, people_per_scene=10, people_at_once=8, width_px=256, height_px=144, stored_width_px=128,
    patch_min_height_px=20, renderer="software",
)  # fmt: skip
SEEDS = SeedRange("training", 1_500_000, 1_500_010)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    render_training_data(folder, SMALL, SEEDS)
    return folder


def rows_of(folder: Path, name: str) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_boxes_lie_around_their_masks_in_the_stored_picture(data: Path) -> None:
    rows = rows_of(data, "pictures")
    assert len(rows) == 4 * (3 + 1)
    people = 0
    for row in rows:
        height, width = cv2.imread(str(data / row["picture"])).shape[:2]
        assert (height, width) == (72, 128)
        for person in row["people"]:
            mask = coco.decode({"size": [height, width], "counts": person["counts"].encode()})
            x1, y1, x2, y2 = person["xyxy"]
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert 0 < person["visible_share"] <= 1
            inside = mask[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)].sum()
            assert inside == mask.sum()
            people += 1
    assert people >= 8


def test_a_picture_of_each_camera_is_empty(data: Path) -> None:
    empty = [row["camera"] for row in rows_of(data, "pictures") if row["picture"].endswith("-003.jpg")]
    assert len(empty) == 4
    assert all(not row["people"] for row in rows_of(data, "pictures") if row["picture"].endswith("-003.jpg"))


def test_patches_have_the_names_of_their_people(data: Path) -> None:
    known = {person["identity"] for row in rows_of(data, "pictures") for person in row["people"]}
    rows = rows_of(data, "patches")
    assert rows
    assert {row["identity"] for row in rows} <= known
    assert all(cv2.imread(str(data / row["patch"])).shape[:2] == PATCH_HW for row in rows)


def test_the_same_seed_gives_the_same_data_and_an_interrupted_run_goes_on(data: Path, tmp_path: Path) -> None:
    render_training_data(tmp_path, SMALL, SEEDS)
    assert contents(tmp_path) == contents(data)
    before = (tmp_path / "scenes/00000.json").stat().st_mtime_ns
    (tmp_path / "pictures.jsonl").unlink()
    render_training_data(tmp_path, SMALL, SEEDS)
    assert contents(tmp_path) == contents(data)
    assert (tmp_path / "scenes/00000.json").stat().st_mtime_ns == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_other_settings_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="other settings"):
        render_training_data(data, replace(SMALL, moments=4), SEEDS)
    with pytest.raises(ConfigError, match="moments is 0"):
        replace(SMALL, moments=0)


def test_nobody_stands_in_a_fixture_or_in_somebody_else() -> None:
    for seed in range(1_500_000, 1_500_020):
        plan, people = training_store(seed), training_people(seed, 20)
        spots = [posed.xy_m for posed in training_moment(plan, people, 20, np.random.default_rng(seed))]
        assert len(spots) >= 5
        for number, (x, y) in enumerate(spots):
            assert all(math.dist((x, y), other) >= 0.42 for other in spots[:number])
            for x0, y0, x1, y1 in (fixture.area_m for fixture in plan.fixtures):
                assert not (x0 < x < x1 and y0 < y < y1)


def test_stores_and_people_differ_from_seed_to_seed() -> None:
    assert training_store(1) == training_store(1)
    assert training_store(1).fixtures != training_store(2).fixtures
    assert training_people(1, 12) == training_people(1, 12)
    assert training_people(1, 12) != training_people(2, 12)
    assert any(person.appearance.twin_of for person in training_people(1, 12))


def test_a_patch_is_the_box_and_a_tenth_around_it_also_at_the_border() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[0:50, 0:20] = 255
    patch = grown_patch(image, np.array([0, 0, 20, 50], np.float32)) > 127
    inside = patch.all(axis=2)
    assert inside[: round(307 * 55 / 60) - 3, : round(154 * 22 / 24) - 3].all()
    assert not inside[round(307 * 55 / 60) + 3 :].any()
    assert not inside[:, round(154 * 22 / 24) + 3 :].any()
