from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.tracking.crops import (
    CropCandidates,
    CropPolicy,
    CropSelector,
    Embedded,
    choose,
    crop_quality,
    sharpness_of,
)

FRAME_HW = (720, 1280)
GOOD = (400.0, 200.0, 480.0, 420.0)


def _quality(box: tuple[float, ...], confidence: float = 0.9, *others: tuple[float, ...]) -> float:
    boxes = np.array([box, *others], np.float32)
    return float(crop_quality(boxes, np.full(len(boxes), confidence, np.float32), FRAME_HW)[0])


def test_a_large_whole_person_is_a_perfect_crop() -> None:
    assert _quality(GOOD) == 1.0


@pytest.mark.parametrize(
    ("flaw", "quality"),
    [
        ("small", _quality((400, 200, 425, 270))),
        ("unsure", _quality(GOOD, 0.25)),
        ("feet outside", _quality((400, 510, 480, 720))),
        ("half outside on the left", _quality((0, 200, 80, 420))),
        ("lying", _quality((400, 200, 600, 380))),
        ("a pole", _quality((400, 200, 445, 420))),
        ("half hidden", _quality(GOOD, 0.9, (440.0, 200.0, 520.0, 430.0))),
    ],
)
def test_each_flaw_alone_lowers_the_quality_clearly(flaw: str, quality: float) -> None:
    assert quality < 0.75, flaw


@pytest.mark.parametrize(
    "box", [(400, 200, 412, 230), (400, 200, 800, 300), (400, 200, 400, 420), (480, 420, 400, 200)]
)
def test_a_useless_crop_is_worth_nothing(box: tuple[float, ...]) -> None:
    assert _quality(box) == 0.0


def test_the_nearer_person_is_not_punished_for_hiding_the_other() -> None:
    nearer = (440.0, 200.0, 520.0, 430.0)
    assert _quality(nearer, 0.9, GOOD) == 1.0


@given(
    boxes=st.lists(st.tuples(*[st.floats(-300, 2000, width=32)] * 4), max_size=8),
    confidence=st.floats(0, 1, width=32),
)
def test_quality_stays_in_range_for_any_boxes(boxes: list[tuple[float, ...]], confidence: float) -> None:
    xyxy_px = np.array(boxes, np.float32).reshape(-1, 4)
    quality = crop_quality(xyxy_px, np.full(len(boxes), confidence, np.float32), FRAME_HW)
    assert quality.shape == (len(boxes),)
    assert quality.dtype == np.float32
    assert ((quality >= 0) & (quality <= 1)).all()


def test_blur_lowers_the_sharpness_of_a_real_person(shared_data: Path) -> None:
    import cv2

    sequence = shared_data / "clips" / "mot17_mini" / "MOT17-11-FRCNN"
    left, top, width, height = np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",")[0, 2:6].astype(int)
    image = cv2.cvtColor(cv2.imread(str(sequence / "img1" / "000001.jpg")), cv2.COLOR_BGR2RGB)
    patch = image[top : top + height, left : left + width]
    steps = [sharpness_of(patch)] + [sharpness_of(cv2.GaussianBlur(patch, (0, 0), s)) for s in (1, 2, 4)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 3 * steps[2]


def test_sharpness_has_its_limits() -> None:
    assert sharpness_of(np.full((50, 20, 3), 90, np.uint8)) == 0.0
    assert sharpness_of(np.zeros((2, 50, 3), np.uint8)) == 0.0
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    assert 0.95 < sharpness_of(noise) < 1
    # One bright pixel of 255 in the inner 3 x 3 of a black 5 x 5: Laplacian -1020 once, 255 four times.
    spot = np.zeros((5, 5, 3), np.uint8)
    spot[2, 2] = 255
    values = np.array([-1020, 255, 255, 255, 255, 0, 0, 0, 0], float)
    assert sharpness_of(spot) == pytest.approx(values.var() / (values.var() + 100))


def test_sharpness_scales_the_quality() -> None:
    boxes, confidence = np.array([GOOD], np.float32), np.array([0.9], np.float32)
    assert crop_quality(boxes, confidence, FRAME_HW, np.array([0.25], np.float32))[0] == pytest.approx(0.25)
    with pytest.raises(DataError, match="sharpness"):
        crop_quality(boxes, confidence, FRAME_HW, np.array([0.2, 0.3], np.float32))


def _candidates(*rows: tuple[float, int, float]) -> CropCandidates:
    """(seconds, local id, quality)"""
    table = np.array(rows, np.float64).reshape(-1, 3)
    return CropCandidates(
        np.round(table[:, 0] * 1e6).astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype(np.float32)
    )


def _picked(selector: CropSelector, *rows: tuple[float, int, float]) -> list[tuple[float, int, float]]:
    return [rows[row] for row in selector.select(_candidates(*rows))]


def test_the_best_crop_of_a_new_tracklet_goes_first_and_bad_ones_wait() -> None:
    selector = CropSelector()
    assert _picked(selector, (0, 1, 0.01), (0.1, 1, 0.03)) == []
    assert _picked(selector, (0.8, 1, 0.35), (0.9, 1, 0.5), (1.0, 1, 0.4)) == [(0.9, 1, 0.5)]


def test_later_crops_only_when_better_or_after_a_while() -> None:
    selector = CropSelector()
    assert _picked(selector, (0, 1, 0.5)) == [(0, 1, 0.5)]
    assert _picked(selector, (0.5, 1, 0.6)) == []
    assert _picked(selector, (0.7, 1, 0.66)) == [(0.7, 1, 0.66)]
    assert _picked(selector, (2.6, 1, 0.4)) == []  # after two crops it waits 2 s
    assert _picked(selector, (2.8, 1, 0.4)) == [(2.8, 1, 0.4)]
    assert _picked(selector, (6.7, 1, 0.7)) == []  # and then 4 s
    assert _picked(selector, (6.9, 1, 0.03)) == []  # never a bad one
    assert _picked(selector, (6.9, 1, 0.3)) == [(6.9, 1, 0.3)]


def test_a_tracklet_never_gets_more_than_its_share() -> None:
    policy = CropPolicy(per_tracklet=3, interval_s=0.01)
    selector, picks = CropSelector(policy), 0
    for t in range(200):
        picks += len(_picked(selector, (t, 1, 0.9), (t + 0.5, 1, 0.9)))
    assert picks == 3


def test_a_long_chunk_gives_a_few_crops_apart_in_time() -> None:
    rows = [(t / 10, 1, 0.5 + t / 1000) for t in range(100)]
    picked = _picked(CropSelector(CropPolicy(per_tracklet_chunk=2)), *rows)
    assert len(picked) <= 2
    assert picked[-1] == (9.9, 1, pytest.approx(0.599))


def test_a_short_budget_serves_unknown_people_first_then_the_least_known() -> None:
    policy = CropPolicy(per_chunk=2)
    history = {1: Embedded(3, 0.5, 0), 2: Embedded(1, 0.5, 0)}
    candidates = _candidates((60, 1, 1.0), (60, 2, 0.9), (60, 3, 0.4), (60, 4, 0.6))
    rows, after = choose(history, candidates, policy)
    assert candidates.local_id[rows].tolist() == [3, 4]
    assert (after[1], after[2], after[3].crops, after[4].crops) == (history[1], history[2], 1, 1)
    rows, after = choose(after, candidates, policy)
    assert candidates.local_id[rows].tolist() == [1, 2]
    assert after[1].crops == 4


_chunk = st.lists(
    st.tuples(st.integers(0, 7), st.integers(1, 5), st.floats(0, 1, width=32)), max_size=30,
    unique_by=lambda row: row[:2],
)  # fmt: skip


@settings(deadline=None)
@given(chunks=st.lists(_chunk, max_size=12), per_chunk=st.integers(1, 6), cut=st.integers(0, 12))
def test_limits_hold_and_a_restored_selector_decides_alike(
    chunks: list[list[tuple[int, int, float]]], per_chunk: int, cut: int
) -> None:
    policy = CropPolicy(per_chunk=per_chunk, per_tracklet=4)
    whole, part = CropSelector(policy), CropSelector(policy)
    totals: dict[int, int] = {}
    for number, chunk in enumerate(chunks):
        candidates = _candidates(*[(number + frame / 8, local_id, q) for frame, local_id, q in chunk])
        rows = whole.select(candidates)
        if number == cut:
            state = pickle.loads(pickle.dumps(part.state()))
            part = CropSelector(policy)
            part.restore(state)
        assert part.select(candidates).tolist() == rows.tolist()
        _check_limits(candidates, rows, policy, totals)


def _check_limits(
    candidates: CropCandidates, rows: NDArray[np.intp], policy: CropPolicy, totals: dict[int, int]
) -> None:
    assert len(rows) <= policy.per_chunk
    assert (candidates.quality[rows] >= np.float32(policy.acceptable)).all()
    order = list(zip(candidates.time_us[rows], candidates.local_id[rows], strict=True))
    assert order == sorted(order)
    ids, counts = np.unique(candidates.local_id[rows], return_counts=True)
    assert (counts <= policy.per_tracklet_chunk).all()
    for local_id, count in zip(ids.tolist(), counts.tolist(), strict=True):
        totals[local_id] = totals.get(local_id, 0) + count
        assert totals[local_id] <= policy.per_tracklet
    acceptable = set(candidates.local_id[candidates.quality >= np.float32(policy.acceptable)].tolist())
    unknown = {local_id for local_id in acceptable if local_id not in totals}
    assert not unknown or len(rows) == policy.per_chunk, "an unknown person waits although the budget has room"


def test_choosing_changes_nothing_it_was_given_and_does_not_depend_on_row_order() -> None:
    history = {1: Embedded(1, 0.4, 0)}
    rows = [(5.0, 1, 0.5), (5.1, 2, 0.6), (5.2, 1, 0.7), (5.3, 3, 0.9)]
    chosen, _ = choose(history, _candidates(*rows), CropPolicy())
    assert history == {1: Embedded(1, 0.4, 0)}
    backwards = rows[::-1]
    again, _ = choose(history, _candidates(*backwards), CropPolicy())
    assert [backwards[row] for row in again] == [rows[row] for row in chosen]


def test_forgetting_an_ended_tracklet_shrinks_the_state() -> None:
    selector = CropSelector()
    _picked(selector, (0, 1, 0.5), (0, 2, 0.5))
    selector.forget([1, 77])
    assert list(selector.state()["history"]) == [2]
    with pytest.raises(DataError, match="format None"):
        selector.restore({})


@pytest.mark.parametrize(
    "change", [{"acceptable": 1.5}, {"better_by": 0}, {"interval_s": 0}, {"per_tracklet": 0}, {"per_chunk": 0}]
)
def test_an_impossible_policy_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(DataError, match="CropPolicy"):
        replace(CropPolicy(), **change)
