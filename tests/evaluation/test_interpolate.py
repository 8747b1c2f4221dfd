from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.evaluation.interpolate import interpolate
from retail_ray.evaluation.track_boxes import TrackBoxes


def _line(track_id: int, frames: list[int], speed_px: float = 2.0) -> TrackBoxes:
    """A person walking at a constant speed, seen at `frames`."""
    frame = np.array(frames, np.int64)
    left = speed_px * frame
    xyxy_px = np.stack([left, np.full(len(frame), 5.0), left + 10, np.full(len(frame), 45.0)], axis=1)
    return TrackBoxes(frame, np.full(len(frame), track_id), xyxy_px)


def _joined(*parts: TrackBoxes) -> TrackBoxes:
    return TrackBoxes(
        np.concatenate([p.frame for p in parts]),
        np.concatenate([p.track_id for p in parts]),
        np.concatenate([p.xyxy_px for p in parts]),
    )


@given(step=st.integers(1, 7), first=st.integers(1, 5), speed=st.floats(-20, 20))
def test_a_sampled_straight_walk_becomes_the_whole_walk(step: int, first: int, speed: float) -> None:
    whole = _line(3, list(range(first, first + 6 * step + 1)), speed)
    sampled = _line(3, list(range(first, first + 6 * step + 1, step)), speed)
    filled = interpolate(sampled, whole.frame, step)
    assert filled.frame.tolist() == whole.frame.tolist()
    np.testing.assert_allclose(filled.xyxy_px, whole.xyxy_px, atol=1e-9)


def test_a_gap_longer_than_allowed_stays_open() -> None:
    filled = interpolate(_line(1, [1, 4, 8]), np.arange(1, 9), 3)
    assert filled.frame.tolist() == [1, 2, 3, 4, 8]


def test_nothing_is_prolonged_and_ids_are_not_mixed() -> None:
    filled = interpolate(_joined(_line(2, [4, 6]), _line(1, [5, 7], 50.0)), np.arange(1, 11), 10)
    assert list(zip(filled.frame.tolist(), filled.track_id.tolist(), strict=True)) == [
        (4, 2), (5, 1), (5, 2), (6, 1), (6, 2), (7, 1),
    ]  # fmt: skip
    assert filled.xyxy_px[filled.track_id == 1][:, 0].tolist() == [250, 300, 350]


def test_only_wanted_frames_come_out_even_between_samples() -> None:
    filled = interpolate(_line(1, [1, 4, 7]), np.array([6, 2, 2]), 3)
    assert filled.frame.tolist() == [2, 6]
    assert filled.xyxy_px[:, 0].tolist() == [4, 12]


def test_no_tracks_stay_no_tracks() -> None:
    assert len(interpolate(TrackBoxes.empty(), np.arange(5), 3)) == 0


def test_a_gap_below_one_frame_is_refused() -> None:
    with pytest.raises(DataError, match="at least 1, found 0"):
        interpolate(TrackBoxes.empty(), np.arange(5), 0)
