"""What never moves is nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retail_ray.core.boxes import iou
from retail_ray.core.errors import TrackerError
from retail_ray.core.types import Detections
from retail_ray.tracking.still_figures import FITS, PeopleTracker, StillFigures
from retail_ray.tracking.tracker import create_tracker

MANNEQUIN = np.array([100, 50, 140, 170], np.float32)
NOTHING = np.zeros((0, 4), np.float32)
FRAME_US = 100_000
Boxes = NDArray[np.float32]


def _detections(*boxes: Boxes) -> Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full(len(xyxy), 0.8, np.float32), np.zeros(len(xyxy), np.int32))


def _moved(box: Boxes, by_px: float) -> Boxes:
    return (box + np.array([by_px, 0, by_px, 0])).astype(np.float32)


def _noisy(box: Boxes, rng: np.random.Generator, noise_px: float = 0.8) -> Boxes:
    return (box + rng.normal(0, noise_px, 4)).astype(np.float32)


def _tracker(known: Boxes = NOTHING, after_s: float = 0.0) -> PeopleTracker:
    return PeopleTracker(create_tracker("bytetrack", frame_rate=10.0, options={}), StillFigures(known, after_s))


def test_a_known_figure_has_no_tracklet_and_rows_still_name_the_detections_of_the_frame() -> None:
    tracker, followed = _tracker(MANNEQUIN[None]), []
    for frame in range(20):
        walker = _moved(np.array([300, 60, 345, 190], np.float32), 4.0 * frame)
        found = _detections(MANNEQUIN, walker)
        tracks = tracker.update(found, None, frame * FRAME_US)
        assert (tracks.detection_index == 1).all()
        np.testing.assert_array_equal(tracks.xyxy_px, found.xyxy_px[tracks.detection_index])
        followed += tracks.local_id.tolist()
    assert set(followed) == {1}
    assert len(followed) >= 18


def test_somebody_who_walks_past_a_figure_is_followed_but_where_they_hide_it() -> None:
    tracker, lost = _tracker(MANNEQUIN[None]), []
    for frame in range(40):
        walker = _moved(MANNEQUIN, 5.0 * (frame - 20))
        ids = tracker.update(_detections(walker), None, frame * FRAME_US).local_id.tolist()
        if frame >= 2 and not ids:
            lost.append(frame)
    assert lost
    for frame in lost:
        assert iou(MANNEQUIN[None], _moved(MANNEQUIN, 5.0 * (frame - 20))[None])[0, 0] >= FITS


def test_a_box_that_stays_for_minutes_is_learnt_and_one_that_sways_is_not() -> None:
    rng, figures = np.random.default_rng(1), StillFigures(NOTHING, after_s=60.0)
    swaying = np.array([300, 60, 345, 190], np.float32)
    for frame in range(1200):
        sway = _moved(swaying, 9.0 * np.sin(frame / 40))
        among = figures.among(np.stack([_noisy(MANNEQUIN, rng), sway]), frame * FRAME_US)
        assert not among[1]
        if frame < 590:
            assert not among[0]
        if frame > 610:
            assert among[0]
    (box,) = figures.boxes
    np.testing.assert_allclose(box, MANNEQUIN, atol=1.0)


def test_people_before_it_delay_nothing_and_a_person_who_leaves_is_not_learnt() -> None:
    figures = StillFigures(NOTHING, after_s=60.0)
    guard = np.array([300, 60, 345, 190], np.float32)
    for frame in range(900):
        here = [] if frame % 7 == 0 else [MANNEQUIN]  # hidden in every seventh frame
        here += [guard] if frame < 500 else []
        figures.among(np.array(here, np.float32).reshape(-1, 4), frame * FRAME_US)
    np.testing.assert_array_equal(figures.boxes, MANNEQUIN[None])


def test_a_figure_that_was_taken_away_is_forgotten_and_a_known_one_never() -> None:
    figures = StillFigures(_moved(MANNEQUIN, 200)[None], after_s=2.0)
    for frame in range(30):
        figures.among(MANNEQUIN[None], frame * FRAME_US)
    assert len(figures.boxes) == 2
    figures.among(NOTHING, 3601 * 1_000_000 + 30 * FRAME_US)
    np.testing.assert_array_equal(figures.boxes, _moved(MANNEQUIN, 200)[None])


def test_zero_seconds_learn_nothing() -> None:
    figures = StillFigures(NOTHING, after_s=0.0)
    for frame in range(2000):
        assert not figures.among(MANNEQUIN[None], frame * FRAME_US).any()


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(1, 95), seed=st.integers(0, 99))
def test_going_on_from_a_state_changes_nothing(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [
        _detections(*[_noisy(MANNEQUIN, rng)][: int(rng.random() < 0.9)], _moved(MANNEQUIN, 100 + 2 * frame))
        for frame in range(120)
    ]
    whole, part = _tracker(after_s=6.0), _tracker(after_s=6.0)
    followed = []
    for frame, found in enumerate(frames):
        if frame == cut:
            state, part = part.state(), _tracker(after_s=6.0)
            part.restore(state)
        mine, theirs = (tracker.update(found, None, frame * FRAME_US) for tracker in (whole, part))
        np.testing.assert_array_equal(mine.local_id, theirs.local_id)
        np.testing.assert_array_equal(mine.detection_index, theirs.detection_index)
        followed.append(len(mine))
    assert max(followed[:60]) == 2
    assert max(followed[-20:]) == 1


def test_a_state_without_figures_is_refused_by_name() -> None:
    bare = create_tracker("bytetrack", frame_rate=10.0, options={}).state()
    with pytest.raises(TrackerError, match="no still figures"):
        _tracker().restore(bare)
