"""What the derive step reads: one position per identity and half second, crossings and seconds in zones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from retail_ray.core.time import US_PER_S
from retail_ray.lake.floor_paths import DayPaths, read_day_paths
from retail_ray.lake.views import open_lake
from tests.evaluation.stores import IN, OUT, START_US, WALKS, Seen, perfect

DAY = date(2026, 3, 2)


def read(seen: Seen, root: Path, run_id: str = "r1", day: date = DAY) -> DayPaths:
    with open_lake(seen.write(root)) as lake:
        return read_day_paths(lake, "shop", run_id, day)


def test_paths_are_where_people_walked(tmp_path: Path) -> None:
    found = read(perfect(), tmp_path)
    assert found.identities == tuple(("s1", walk.person) for walk in WALKS)
    for number, walk in enumerate(WALKS):
        rows = found.paths.of(number)
        at_s = (found.paths.time_us[rows] - START_US) / US_PER_S
        # Frames of a half second are 2 or 3, at 5 frames/s.
        assert np.abs(found.paths.xy_m[rows, 0] - [walk.x_m(s) for s in at_s]).max() < 0.11
        assert set(found.paths.xy_m[rows, 1].tolist()) == {3.0}
        assert rows.stop - rows.start == 48


def test_a_position_is_the_mean_over_cameras_not_over_frames(tmp_path: Path) -> None:
    """Camera `right` puts everybody 1 m further along y; where both look, its every second frame is lost."""
    seen = perfect()
    right = seen.detections["right"]
    seen.detections["right"] = replace(right, floor_xy_m=right.floor_xy_m + np.array([0.0, 1.0]))
    frame = right.frame_index
    seen.keep("right", (frame % 5 == 0) | (frame % 5 == 3))
    found = read(seen, tmp_path)
    first = found.paths.of(0)
    both = (found.paths.xy_m[first, 0] > 4.2) & (found.paths.xy_m[first, 0] < 7.8)
    assert np.allclose(found.paths.xy_m[first][both, 1], 3.5)


def test_crossings_and_zone_seconds_belong_to_identities(tmp_path: Path) -> None:
    seen = perfect()
    seen.change("line_crossings", 0, turned_back=True)
    found = read(seen, tmp_path)
    assert found.lines == ("door",)
    events = sorted(zip(found.crossings.time_us, found.crossings.identity, found.crossings.inwards, strict=True))
    expected = sorted(
        (walk.at_us(x), number, x == IN)
        for number, walk in enumerate(WALKS)
        for x in (IN, OUT)
        if (number, x) != (0, IN)
    )
    assert events == expected
    # The camera that saw most of each stay saw 10 s of it.
    assert found.zone_s["shelf"].tolist() == [10.0] * 4


def test_a_merged_identity_has_the_paths_of_both(tmp_path: Path) -> None:
    seen = perfect()
    for camera in ("left", "right"):
        seen.identities[camera, 30] = 1
    found = read(seen, tmp_path)
    assert found.identities == (("s1", 1), ("s1", 2), ("s1", 4))
    rows = found.paths.of(0)
    assert rows.stop - rows.start == 96


@pytest.mark.parametrize(("run_id", "day"), [("other", DAY), ("r1", date(2026, 3, 3))])
def test_other_runs_and_days_are_left_out(run_id: str, day: date, tmp_path: Path) -> None:
    found = read(perfect(), tmp_path, run_id, day)
    assert found.identities == ()
    assert len(found.paths) == len(found.crossings) == 0
    assert not found.zone_s


def test_people_without_identity_or_floor_position_are_left_out(tmp_path: Path) -> None:
    seen = perfect()
    for camera in ("left", "right"):
        del seen.identities[camera, 10]
        rows = seen.detections[camera]
        nowhere = np.where((rows.local_id == 20)[:, None], np.nan, rows.floor_xy_m)
        seen.detections[camera] = replace(rows, floor_xy_m=nowhere)
    found = read(seen, tmp_path)
    assert found.identities == (("s1", 2), ("s1", 3), ("s1", 4))
    assert set(found.paths.identity.tolist()) == {1, 2}
    assert set(found.crossings.identity.tolist()) == {0, 1, 2}
