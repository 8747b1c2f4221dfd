"""Scores against hand-computed cases, py-motmetrics on real ground truth, and results that must score badly."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.evaluation.mot import read_mot, write_mot
from retail_ray.evaluation.track_boxes import TrackBoxes
from retail_ray.evaluation.tracking_metrics import pool, score_clip, without_distractors

Row = tuple[int, int, float]


def _boxes(*rows: Row) -> TrackBoxes:
    """(frame, id, left) of 10 x 20 boxes."""
    table = np.array(rows, np.float64).reshape(-1, 3)
    zeros = np.zeros(len(table))
    xyxy_px = np.stack([table[:, 2], zeros, table[:, 2] + 10, zeros + 20], axis=1)
    return TrackBoxes(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), xyxy_px)


TWO_PEOPLE = _boxes(*[(t, person, 100.0 * person) for t in (1, 2, 3, 4) for person in (1, 2)])


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> TrackBoxes:
    return read_mot(shared_data / "clips" / "towncentre" / "gt.txt").scored()


@pytest.fixture(scope="module")
def worsened(truth: TrackBoxes) -> TrackBoxes:
    """TownCentre with misses, false boxes, shaken boxes and a change of every id half-way."""
    rng = np.random.default_rng(5)
    keep = np.flatnonzero(rng.random(len(truth)) > 0.15)
    part = truth[keep]
    sides = np.tile(part.xyxy_px[:, 2:] - part.xyxy_px[:, :2], 2)
    shaken = part.xyxy_px + rng.normal(0, 0.08, part.xyxy_px.shape) * sides
    ids = part.track_id + np.where(part.frame > 150, 100, 0)
    false_frames = rng.choice(np.unique(truth.frame), 200)
    corner = rng.uniform(0, 900, (200, 2))
    false_boxes = np.hstack([corner, corner + np.array([40, 100])])
    return TrackBoxes(
        np.concatenate([part.frame, false_frames]),
        np.concatenate([ids, 1000 + np.arange(200)]),
        np.concatenate([shaken, false_boxes]),
    )


def test_a_perfect_result_scores_one() -> None:
    scores = score_clip(TWO_PEOPLE, TWO_PEOPLE).scores
    assert (scores.hota, scores.det_a, scores.ass_a, scores.idf1, scores.mota) == (1, 1, 1, 1, 1)
    assert (scores.id_switches, scores.misses, scores.false_positives, scores.truth_boxes) == (0, 0, 0, 8)


def test_one_miss_one_false_box_and_one_switch_by_hand() -> None:
    result = _boxes(
        (1, 7, 100), (2, 7, 100), (3, 7, 100), (4, 7, 100),  # person 1 all along
        (1, 8, 200), (2, 9, 200), (3, 9, 200),  # person 2 changes id once and is missed in frame 4
        (4, 9, 900),  # nobody is there
    )  # fmt: skip
    scores = score_clip(TWO_PEOPLE, result).scores
    assert (scores.id_switches, scores.misses, scores.false_positives) == (1, 1, 1)
    assert scores.mota == pytest.approx(1 - (1 + 1 + 1) / 8)
    # Best one-to-one assignment of ids: 1-7 (4 boxes) and 2-9 (2): IDTP 6, IDFN 2, IDFP 2.
    assert scores.idf1 == pytest.approx(6 / 8)
    # Boxes fit exactly, so every threshold is alike: 7 matches of 9 boxes in truth or result.
    assert scores.det_a == pytest.approx(7 / 9)
    # Per match, shared over all boxes of both ids: four of 4/4, one of 1/4, two of 2/5.
    ass_a = (4 * 1 + 1 * (1 / 4) + 2 * (2 / 5)) / 7
    assert scores.ass_a == pytest.approx(ass_a)
    assert scores.hota == pytest.approx((7 / 9 * ass_a) ** 0.5)


def test_a_box_counts_from_half_overlap_on() -> None:
    truth = _boxes((1, 1, 0.0))
    on_it, off_it = _boxes((1, 1, 10 / 3 - 0.01)), _boxes((1, 1, 10 / 3 + 0.01))
    assert score_clip(truth, on_it).scores.mota == 1
    assert score_clip(truth, off_it).scores.mota == -1


def test_frames_restrict_both_truth_and_result() -> None:
    late = TWO_PEOPLE.at(np.array([3, 4]))
    assert score_clip(TWO_PEOPLE, late).scores.misses == 4
    assert score_clip(TWO_PEOPLE, late, np.array([3, 4])).scores.hota == 1
    assert score_clip(late, TWO_PEOPLE).scores.false_positives == 4


def test_no_result_scores_zero_and_no_truth_is_refused() -> None:
    scores = score_clip(TWO_PEOPLE, TrackBoxes.empty()).scores
    assert (scores.hota, scores.idf1, scores.mota, scores.misses) == (0, 0, 0, 8)
    with pytest.raises(DataError, match="no box on the frames"):
        score_clip(TrackBoxes.empty(), TWO_PEOPLE)


def test_pooling_is_scoring_both_clips_as_one() -> None:
    half_missed = TWO_PEOPLE[TWO_PEOPLE.track_id == 1]
    other = _boxes((1, 1, 0.0), (2, 1, 0.0))
    switched = _boxes((1, 1, 0.0), (2, 2, 0.0))
    pooled = pool([score_clip(TWO_PEOPLE, half_missed), score_clip(other, switched)])
    shift = 50  # ids and frames of the second clip moved out of the way
    both_truth = _joined(TWO_PEOPLE, _shifted(other, shift))
    both_result = _joined(half_missed, _shifted(switched, shift))
    assert pooled.as_dict() == score_clip(both_truth, both_result).scores.as_dict()
    with pytest.raises(DataError, match="no clip"):
        pool([])


def _shifted(boxes: TrackBoxes, by: int) -> TrackBoxes:
    return TrackBoxes(boxes.frame + by, boxes.track_id + by, boxes.xyxy_px)


def _joined(*parts: TrackBoxes) -> TrackBoxes:
    return TrackBoxes(
        np.concatenate([p.frame for p in parts]),
        np.concatenate([p.track_id for p in parts]),
        np.concatenate([p.xyxy_px for p in parts]),
    )


def test_a_box_on_a_distractor_is_taken_out_and_one_on_a_person_is_not() -> None:
    truth, statue = _boxes((1, 1, 0.0)), _boxes((1, 2, 100.0))
    result = _boxes((1, 5, 1.0), (1, 6, 101.0), (1, 7, 300.0))
    assert without_distractors(result, truth, statue).track_id.tolist() == [5, 7]


def test_figures_agree_with_py_motmetrics_on_towncentre(truth: TrackBoxes, worsened: TrackBoxes) -> None:
    theirs = _motmetrics(truth, worsened)
    ours = score_clip(truth, worsened).scores
    assert ours.misses == theirs["num_misses"]
    assert ours.false_positives == theirs["num_false_positives"]
    assert ours.id_switches == theirs["num_switches"]
    assert ours.id_switches > 5
    assert ours.mota == pytest.approx(theirs["mota"], abs=1e-9)
    assert ours.idf1 == pytest.approx(theirs["idf1"], abs=1e-9)


def _motmetrics(truth: TrackBoxes, result: TrackBoxes) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import motmetrics

        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for frame in np.unique(np.concatenate([truth.frame, result.frame])):
            a, b = truth.at(np.array([frame])), result.at(np.array([frame]))
            distance = 1 - _plain_iou(a.xyxy_px, b.xyxy_px)
            distance[distance > 0.5] = np.nan
            accumulator.update(a.track_id, b.track_id, distance)
        names = ["mota", "idf1", "num_switches", "num_misses", "num_false_positives"]
        table = motmetrics.metrics.create().compute(accumulator, metrics=names)
    return {name: float(table[name].iloc[0]) for name in names}


def _plain_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box by box, as a check on the vectorised one."""
    out = np.zeros((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            shared = max(0, min(p[2], q[2]) - max(p[0], q[0])) * max(0, min(p[3], q[3]) - max(p[1], q[1]))
            both = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1])
            out[i, j] = shared / (both - shared)
    return out


def test_figures_agree_with_the_evaluators_own_reading_of_mot_files(
    tmp_path: Path, shared_data: Path, truth: TrackBoxes, worsened: TrackBoxes
) -> None:
    from trackers.eval import evaluate_mot_sequence

    gt_path = shared_data / "clips" / "towncentre" / "gt.txt"
    write_mot(tmp_path / "result.txt", worsened)
    theirs = evaluate_mot_sequence(gt_path, tmp_path / "result.txt", metrics=["HOTA", "CLEAR", "Identity"])
    ours = score_clip(truth, worsened).scores
    assert ours.hota == pytest.approx(theirs.HOTA.HOTA, abs=1e-4)
    assert ours.ass_a == pytest.approx(theirs.HOTA.AssA, abs=1e-4)
    assert ours.mota == pytest.approx(theirs.CLEAR.MOTA, abs=1e-3)
    assert ours.idf1 == pytest.approx(theirs.Identity.IDF1, abs=1e-3)


def test_wrong_identities_score_badly_though_every_box_is_right(truth: TrackBoxes) -> None:
    rng = np.random.default_rng(0)
    shuffled = truth.track_id.copy()
    for frame in np.unique(truth.frame):
        rows = truth.frame == frame
        shuffled[rows] = rng.permutation(shuffled[rows])
    fresh = np.arange(1, len(truth) + 1)
    for name, ids, ass_a_limit, idf1_limit in (("shuffled", shuffled, 0.15, 0.3), ("each new", fresh, 0.02, 0.02)):
        scores = score_clip(truth, TrackBoxes(truth.frame, ids, truth.xyxy_px)).scores
        assert scores.det_a > 0.99, name
        assert scores.ass_a < ass_a_limit, name
        assert scores.idf1 < idf1_limit, name
        assert scores.id_switches > 2000, name


def test_everyone_the_same_person_scores_badly(truth: TrackBoxes) -> None:
    """One id can stand once per frame, so of each frame one box is left."""
    first = np.unique(truth.frame, return_index=True)[1]
    one = TrackBoxes(truth.frame[first], np.ones(len(first), np.int64), truth.xyxy_px[first])
    scores = score_clip(truth, one).scores
    assert scores.hota < 0.35
    assert scores.idf1 < 0.25
    assert scores.mota < 0.15


def test_boxes_of_the_wrong_place_score_zero(truth: TrackBoxes) -> None:
    moved = TrackBoxes(truth.frame, truth.track_id, truth.xyxy_px + 5000)
    scores = score_clip(truth, moved).scores
    assert (scores.hota, scores.idf1, scores.mota) == (0, 0, -1)
