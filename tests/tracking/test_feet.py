from __future__ import annotations

import pickle

import numpy as np
import pytest

from retail_ray.core.errors import DataError
from retail_ray.core.homography import FloorCalibration, from_matrix
from retail_ray.core.types import Masks
from retail_ray.tracking.feet import BOX, ESTIMATED, MASK, Feet, FootFinder, FootMemory
from tests.support.bodies import FRAME_HW, LENS, boxes_of, camera, tracks_of

STEP_US = 100_000


def walk(frames: int) -> np.ndarray:  # type: ignore[type-arg]
    """(frames, 2) metres: along an arc before the camera, 1 m/s at 10 frames a second."""
    angle = np.linspace(-0.5, 0.5, frames)
    return 5.5 * np.column_stack([np.sin(angle), np.cos(angle)])


def seen(finder: FootFinder, rows: np.ndarray, first: int = 0) -> list[Feet]:  # type: ignore[type-arg]
    """One person, a box per frame."""
    times_us = [(first + i) * STEP_US for i in range(len(rows))]
    return finder.find([tracks_of(row[None]) for row in rows], [None] * len(rows), times_us)


def away_m(found: list[Feet], truth: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.linalg.norm(np.concatenate([feet.floor_xy_m for feet in found]) - truth, axis=1)


@pytest.mark.parametrize("height_m", [1.55, 1.7, 1.9])
def test_hidden_feet_are_placed_by_the_height_learnt_before(height_m: float) -> None:
    calibration, way = camera(), walk(60)
    finder = FootFinder(calibration, FRAME_HW, FootMemory())
    open_floor, behind = boxes_of(calibration, way[:40], height_m), boxes_of(calibration, way[40:], height_m, 0.9)
    found = seen(finder, np.concatenate([open_floor, behind]))
    # Where the legs go out of sight the belief needs some frames to turn.
    settled = np.r_[5:40, 48:60]
    assert away_m(found, way)[settled].max() < 0.25
    assert away_m(found, way).max() < 1.0
    assert [int(feet.foot_source[0]) for feet in found] == [BOX] * 40 + [ESTIMATED] * 20
    # Negative control: by the lower edge the person jumps away from the camera.
    plain = np.concatenate(
        [calibration.to_floor((row[None, :2] + row[None, 2:]) / 2 * [1, 0] + [0, row[3]]) for row in behind]
    )
    assert np.linalg.norm(plain - way[40:], axis=1).min() > 1.0


def test_somebody_first_seen_behind_a_counter_is_taken_for_an_average_adult() -> None:
    calibration = camera()
    still = np.tile([[0.5, 5.0]], (200, 1))
    found = seen(FootFinder(calibration, FRAME_HW, FootMemory()), boxes_of(calibration, still, 1.75, 1.0))
    # However long it lasts: one look is not many.
    assert away_m(found, still)[20:].max() < 0.75
    assert (np.diff(away_m(found, still)[20:]) < 1e-3).all()
    assert found[-1].foot_source[0] == ESTIMATED
    error, cov = found[-1].floor_xy_m[0] - still[0], found[-1].floor_cov_m2[0]
    assert error @ np.linalg.solve(cov, error) < 4


def test_a_child_who_walks_about_is_known_for_one() -> None:
    calibration, way = camera(), walk(60)
    found = seen(FootFinder(calibration, FRAME_HW, FootMemory()), boxes_of(calibration, way, 1.2))
    assert away_m(found, way)[-10:].max() < 0.2
    assert found[-1].foot_source[0] == BOX
    # As long as it is not known the covariance owns up to it.
    error, cov = found[0].floor_xy_m[0] - way[0], found[0].floor_cov_m2[0]
    assert error @ np.linalg.solve(cov, error) < 9


def test_boxes_cut_by_the_frame() -> None:
    calibration = camera(pitch=0.35)
    near, far = np.array([[0.3, 2.0]]), np.array([[-0.5, 4.0]])
    below = boxes_of(calibration, near)
    assert below[0, 3] > FRAME_HW[0]
    below[0, 3] = FRAME_HW[0]
    found = FootFinder(calibration, FRAME_HW, FootMemory()).find([tracks_of(below)], [None], [0])[0]
    assert found.foot_source[0] == ESTIMATED
    assert np.linalg.norm(found.floor_xy_m - near) < 0.25
    assert found.foot_px[0, 1] > FRAME_HW[0]
    above = boxes_of(calibration, far)
    above[0, 1] = 0
    found = FootFinder(calibration, FRAME_HW, FootMemory()).find([tracks_of(above)], [None], [0])[0]
    assert found.foot_source[0] == BOX
    assert np.linalg.norm(found.floor_xy_m - far) < 0.15


def test_feet_behind_a_nearer_person_weigh_less() -> None:
    calibration = camera()
    nearer, behind = (
        boxes_of(calibration, np.array([[0.0, 4.0]])),
        boxes_of(calibration, np.array([[0.1, 5.0]]), 1.7, 0.35),
    )
    alone = FootFinder(calibration, FRAME_HW, FootMemory()).find([tracks_of(behind)], [None], [0])[0]
    both = FootFinder(calibration, FRAME_HW, FootMemory()).find(
        [tracks_of(np.concatenate([behind, nearer]))], [None], [0]
    )[0]
    truth = np.array([0.1, 5.0])
    assert np.linalg.norm(both.floor_xy_m[0] - truth) < np.linalg.norm(alone.floor_xy_m[0] - truth)


def test_a_mask_replaces_the_lower_edge() -> None:
    calibration, place = camera(), np.array([[0.5, 5.0], [-1.0, 6.0]])
    whole = boxes_of(calibration, place)
    loose = whole + np.array([0, 0, 0, 25], np.float32)
    feet_px = np.column_stack([(whole[:, 0] + whole[:, 2]) / 2, whole[:, 3]]).astype(np.float32)
    masks = Masks(FRAME_HW, (b"", b""), feet_px, np.array([900, 0], np.float32), np.ones(2, np.float32))
    found = FootFinder(calibration, FRAME_HW, FootMemory()).find([tracks_of(loose)], [masks], [0])[0]
    assert found.foot_source.tolist() == [MASK, BOX]
    assert np.linalg.norm(found.floor_xy_m[0] - place[0]) < 0.1 < np.linalg.norm(found.floor_xy_m[1] - place[1])


@pytest.mark.parametrize("lens", [None, LENS], ids=["pinhole", "lens"])
def test_foot_pixels_are_where_the_floor_points_show(lens: np.ndarray | None) -> None:  # type: ignore[type-arg]
    calibration, way = camera(lens=lens), walk(20)
    for feet in seen(FootFinder(calibration, FRAME_HW, FootMemory()), boxes_of(calibration, way, 1.7, 0.6)):
        assert np.allclose(calibration.to_floor(feet.foot_px), feet.floor_xy_m, atol=1e-2)


@pytest.mark.parametrize("split", [1, 23, 59])
def test_a_stream_cut_in_two_gives_the_same(split: int) -> None:
    calibration, way = camera(lens=LENS), walk(60)
    rows = np.concatenate([boxes_of(calibration, way[:30], 1.8), boxes_of(calibration, way[30:], 1.8, 0.8)])
    undisturbed = seen(FootFinder(calibration, FRAME_HW, FootMemory()), rows)
    book, again = FootMemory(), FootMemory()
    before = seen(FootFinder(calibration, FRAME_HW, book), rows[:split])
    again.restore(pickle.loads(pickle.dumps(book.state())))
    after = seen(FootFinder(calibration, FRAME_HW, again), rows[split:], split)
    for one, other in zip(undisturbed, [*before, *after], strict=True):
        assert one.foot_source.tolist() == other.foot_source.tolist()
        assert np.array_equal(one.foot_px, other.foot_px)


def test_ended_tracklets_are_forgotten_and_foreign_states_refused() -> None:
    calibration, book = camera(), FootMemory()
    seen(FootFinder(calibration, FRAME_HW, book), boxes_of(calibration, walk(5)))
    book.forget([0, 99])
    assert book.state()["statures"]["known"] == {}
    assert np.sum(book.state()["sight"]["seconds"]) > 0
    for part in ("statures", "sight"):
        with pytest.raises(DataError, match="format 7"):
            FootMemory().restore({**book.state(), part: {"format": 7}})


def test_where_adults_stood_a_child_is_believed_sooner() -> None:
    calibration, memory, way = camera(), FootMemory(), walk(60)
    child = boxes_of(calibration, way[30:31], 1.2)

    def first_look(finder: FootFinder, local_id: int, time_us: int) -> float:
        found = finder.find([tracks_of(child, [local_id])], [None], [time_us])[0]
        return float(np.linalg.norm(found.floor_xy_m[0] - way[30]))

    finder = FootFinder(calibration, FRAME_HW, memory)
    for adult in range(8):
        times_us = [(100 * adult + i) * STEP_US for i in range(60)]
        rows = boxes_of(calibration, way, 1.75)
        finder.find([tracks_of(row[None], [100 + adult]) for row in rows], [None] * 60, times_us)
    taught = first_look(finder, 7, 100_000_000)
    # A camera that has not seen anybody takes it for an adult whose legs are hidden.
    assert 2 * taught < first_look(FootFinder(calibration, FRAME_HW, FootMemory()), 7, 0)


@pytest.mark.parametrize(
    "calibration",
    [None, from_matrix(np.array([[0.01, 0, -6.4], [0, 0.01, -3.6], [0, 0, 1.0]]), np.array([640.0, 720.0]))],
    ids=["uncalibrated", "vertical unknown"],
)
def test_without_a_vertical_the_lower_edge_counts(calibration: FloorCalibration | None) -> None:
    row = np.array([[600, 300, 700, 560]], np.float32)
    found = FootFinder(calibration, FRAME_HW, FootMemory()).find([tracks_of(row)], [None], [0])[0]
    assert found.foot_px.tolist() == [[650, 560]]
    assert found.foot_source.tolist() == [BOX]
    assert np.isnan(found.floor_xy_m).all() if calibration is None else np.allclose(found.floor_xy_m, [[0.1, 2.0]])


def test_frames_without_people() -> None:
    finder = FootFinder(camera(), FRAME_HW, FootMemory())
    empty, one = tracks_of(np.zeros((0, 4), np.float32)), tracks_of(boxes_of(camera(), np.array([[0.0, 5.0]])))
    found = finder.find([empty, one, empty], [None] * 3, [0, STEP_US, 2 * STEP_US])
    assert [len(feet.foot_px) for feet in found] == [0, 1, 0]
    assert len(finder.find([empty], [None], [3 * STEP_US])[0].floor_xy_m) == 0
