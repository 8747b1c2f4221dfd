"""A truth is held against the site before anything runs: other store, other cameras, other recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.belonging import TOLERANCE_US, require_truth_of
from retail_ray.lake.truth import Truth, read_truth
from tests.evaluation.stores import CAMERAS, OF, write_true


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return read_truth(write_true(tmp_path))


def begins(truth: Truth) -> dict[str, int | None]:
    """What the clips of the truth say themselves."""
    frames = truth.tables["frames"]
    return {camera: int(frames["stamp_us"][frames["camera_id"] == camera].min()) for camera in CAMERAS}


def test_its_own_truth_is_taken_also_where_the_seconds_are_rounded(truth: Truth) -> None:
    own = begins(truth)
    require_truth_of(OF.site_id, own, truth)
    require_truth_of(OF.site_id, {name: (at or 0) + TOLERANCE_US for name, at in own.items()}, truth)


def test_the_truth_of_another_site(truth: Truth) -> None:
    with pytest.raises(DataError, match=rf"of site '{OF.site_id}', not of site 'elsewhere'"):
        require_truth_of("elsewhere", begins(truth), truth)


@pytest.mark.parametrize("lone", ["left", "roof"])
def test_cameras_that_only_one_side_has(truth: Truth, lone: str) -> None:
    other = begins(truth)
    where = "the truth" if other.pop(lone, None) is not None else "the site"
    if where == "the site":
        other[lone] = 0
    with pytest.raises(DataError, match=f"camera '{lone}' is only in {where}"):
        require_truth_of(OF.site_id, other, truth)


@pytest.mark.parametrize("late_us", [-US_PER_S, TOLERANCE_US + 1, None])
def test_clips_of_another_recording(truth: Truth, late_us: int | None) -> None:
    own = begins(truth)
    own["left"] = None if late_us is None else (own["left"] or 0) + late_us
    with pytest.raises(DataError, match=r"camera 'left': its first frame is of .* not of one recording"):
        require_truth_of(OF.site_id, own, truth)
