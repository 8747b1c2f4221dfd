"""Matching, links, doors and stays against brute force and hand-computed cases."""

from __future__ import annotations

import warnings
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.box_matching import UNMATCHED, match_boxes, match_in_time
from retail_ray.evaluation.doors import Events, retail_accuracy, worst_hour
from retail_ray.evaluation.dwell import Stay, _goes_on, _joined, matched
from retail_ray.evaluation.links import _pairs, merges_and_splits
from retail_ray.evaluation.measures import flat
from retail_ray.evaluation.track_boxes import TrackBoxes
from retail_ray.evaluation.tracking_metrics import score_clip
from retail_ray.evaluation.tracks import _floor_score, distinct
from retail_ray.lake.scored_rows import NOBODY

# --- time


@settings(max_examples=80, deadline=None)
@given(
    true=st.lists(st.integers(0, 30), max_size=5),
    found=st.lists(st.integers(0, 30), max_size=5),
    tolerance=st.integers(0, 8),
)
def test_as_many_events_are_paired_as_can_be_and_then_as_near(
    true: list[int], found: list[int], tolerance: int
) -> None:
    few, many = sorted((true, found), key=len)
    best = (0, 0)
    for order in permutations(range(len(many)), len(few)):
        apart = [abs(few[i] - many[j]) for i, j in enumerate(order)]
        near = [a for a in apart if a <= tolerance]
        best = max(best, (len(near), -sum(near)))
    rows, columns = match_in_time(np.array(true, np.int64), np.array(found, np.int64), tolerance)
    apart = [abs(true[i] - found[j]) for i, j in zip(rows, columns, strict=True)]
    assert (len(apart), -sum(apart)) == best
    assert all(a <= tolerance for a in apart)


def test_two_seconds_are_within_and_more_is_not() -> None:
    true = np.array([0], np.int64)
    assert len(match_in_time(true, np.array([2 * US_PER_S]), 2 * US_PER_S)[0]) == 1
    assert len(match_in_time(true, np.array([2 * US_PER_S + 1]), 2 * US_PER_S)[0]) == 0


# --- boxes


def test_a_hidden_person_may_be_found_by_its_visible_part_or_whole() -> None:
    visible, whole = np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 40.0]])
    frame = np.zeros(1, np.int64)
    for box in (visible, whole):
        assert match_boxes(frame, (visible, whole), frame, box).tolist() == [0]
    assert match_boxes(frame, (visible,), frame, whole).tolist() == [UNMATCHED]


def test_one_true_box_takes_one_found_box_of_its_own_frame() -> None:
    box = np.array([[0, 0, 10, 10.0]])
    twice = np.repeat(box, 2, axis=0)
    match = match_boxes(np.array([3]), (box,), np.array([3, 3]), twice)
    assert sorted(match.tolist()) == [UNMATCHED, 0]
    assert match_boxes(np.array([3]), (box,), np.array([4, 4]), twice).tolist() == [UNMATCHED] * 2


# --- identities


@st.composite
def clips(draw: st.DrawFn) -> tuple[TrackBoxes, TrackBoxes]:
    """A truth, and a result that misses, moves, mixes up and invents boxes."""

    def side(first_frame: int) -> TrackBoxes:
        rows = draw(st.lists(st.tuples(st.integers(first_frame, 4), st.integers(1, 3), st.integers(0, 30)), min_size=1))
        unique = {(frame, track): float(left) for frame, track, left in rows}
        frame, track = np.array(list(unique), np.int64).T
        left = np.array(list(unique.values()))
        zero = np.zeros_like(left)
        return TrackBoxes(frame, track, np.stack([left, zero, left + 10, zero + 20], axis=1))

    return side(0), side(0)


@settings(max_examples=60, deadline=None)
@given(clip=clips(), shift=st.integers(1, 50))
def test_scores_are_shares_and_names_do_not_matter(clip: tuple[TrackBoxes, TrackBoxes], shift: int) -> None:
    truth, result = clip
    scores = score_clip(truth, result).scores
    for name in ("hota", "det_a", "ass_a", "idf1", "recall", "precision"):
        assert 0 <= getattr(scores, name) <= 1, name
    assert scores.mota <= 1
    renamed = TrackBoxes(result.frame, 1000 - 7 * result.track_id, result.xyxy_px)
    assert score_clip(truth, renamed).scores.as_dict() == scores.as_dict()


@settings(max_examples=60, deadline=None)
@given(clip=clips(), frame=st.integers(0, 4))
def test_a_false_box_never_raises_precision(clip: tuple[TrackBoxes, TrackBoxes], frame: int) -> None:
    truth, result = clip
    with_false = TrackBoxes(
        np.append(result.frame, frame),
        np.append(result.track_id, 99),
        np.vstack([result.xyxy_px, [[900.0, 900.0, 910.0, 920.0]]]),
    )
    before, after = score_clip(truth, result).scores, score_clip(truth, with_false).scores
    assert after.precision <= before.precision
    assert after.det_a <= before.det_a + 1e-12
    assert after.idf1 <= before.idf1 + 1e-12
    assert after.recall == before.recall


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=30))
def test_an_identity_stands_once_in_a_frame_with_its_surest_box(rows: list[tuple[int, int, float]]) -> None:
    frame, identity = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    confidence = np.array([row[2] for row in rows])
    result = distinct(frame, identity, confidence)
    assert len(np.unique(np.stack([frame, result]), axis=1).T) == len(rows)
    for key in {(row[0], row[1]) for row in rows}:
        mine = (frame == key[0]) & (identity == key[1])
        kept = mine & (result == key[1])
        assert kept.sum() == 1
        assert confidence[kept][0] == confidence[mine].max()
    assert (result[result != identity] > identity.max()).all()


tracklets = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=12)


@given(rows=tracklets)
def test_links_as_counted_pair_by_pair(rows: list[tuple[int, int, int]]) -> None:
    """Each row: person, identity, camera."""
    person, identity, camera = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    for within in (False, True):
        pairs = [(a, b) for a, b in combinations(rows, 2) if (a[2] == b[2]) == within]
        linked = [a[0] == b[0] for a, b in pairs if a[1] == b[1]]
        true = [a[1] == b[1] for a, b in pairs if a[0] == b[0]]
        found = flat(_pairs(person, identity, camera, within=within))
        assert found["precision"].value == (np.mean(linked) if linked else None)
        assert found["recall"].value == (np.mean(true) if true else None)


@given(rows=tracklets)
def test_merges_and_splits_are_extra_people_and_extra_identities(rows: list[tuple[int, int, int]]) -> None:
    person, identity, _ = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    found = flat(merges_and_splits(person, identity))
    assert found["false_merges"].value == sum(len(set(person[identity == i])) - 1 for i in set(identity))
    assert found["false_splits"].value == sum(len(set(identity[person == p])) - 1 for p in set(person))


def test_a_metre_on_the_floor_is_a_match_and_more_is_not() -> None:
    who, ticks = np.array([1, 1]), np.array([0, 1])
    place = np.array([[2.0, 3.0], [2.0, 3.0]])
    for off_m, recall in ((0.99, 1.0), (1.01, 0.0)):
        moved = place + np.array([0.0, off_m])
        assert _floor_score((ticks, who, place), (ticks, who, moved)).scores.recall == recall


# --- doors


def _events(true_s: list[float], found_s: list[float], direction: str = "in") -> Events:
    times = [np.array([round(s * US_PER_S) for s in side], np.int64) for side in (true_s, found_s)]
    return Events("door", direction, times[0], times[1], len(match_in_time(*times, 2 * US_PER_S)[0]))


def test_retail_accuracy_lets_a_miss_cancel_a_false_count_and_the_worst_hour_shows_it() -> None:
    """Hour 0: 3 true, 1 counted; hour 1: 1 true, 3 counted. In all 4 and 4."""
    events = [_events([10, 20, 30, 4000], [10, 4000, 4100, 4200])]
    assert retail_accuracy(events).value == 1
    assert events[0].pairs == 2
    assert worst_hour(events, 0).value == -1
    assert worst_hour(events, 0).n == 2


def test_errors_of_directions_add_up() -> None:
    events = [_events([10, 20], [10, 20, 25]), _events([40, 50], [40], "out")]
    assert retail_accuracy(events).value == pytest.approx(1 - 2 / 4)
    assert retail_accuracy([_events([], [5])]).value is None


# --- stays


def _stay(begin_s: float, end_s: float, *, censored: bool = False, person: int = 1, who: int = 1) -> Stay:
    return Stay("shelf", who, person, round(begin_s * US_PER_S), round(end_s * US_PER_S), censored)


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        # Two cameras hand over.
        ([_stay(0, 10), _stay(8, 20)], [(0, 20)]),
        # Left for 1 s and came back.
        ([_stay(0, 10), _stay(11, 20)], [(0, 20)]),
        # Seen leaving for 5 s: two stays.
        ([_stay(0, 10), _stay(15, 20)], [(0, 10), (15, 20)]),
        # Lost for 5 s inside: bridged.
        ([_stay(0, 10, censored=True), _stay(15, 20, censored=True)], [(0, 20)]),
        # Lost for longer than is bridged.
        ([_stay(0, 10, censored=True), _stay(21, 30, censored=True)], [(0, 10), (21, 30)]),
        # One within the other.
        ([_stay(0, 20), _stay(5, 8)], [(0, 20)]),
        # Two people.
        ([_stay(0, 10), _stay(8, 20, who=2)], [(0, 10), (8, 20)]),
    ],
)
def test_parts_of_a_stay_are_joined(parts: list[Stay], joined: list[tuple[float, float]]) -> None:
    found = [(stay.enter_us / US_PER_S, stay.exit_us / US_PER_S) for stay in _joined(parts, _goes_on)]
    assert found == joined


def test_a_joined_stay_is_censored_where_its_last_part_is() -> None:
    assert _joined([_stay(0, 10, censored=True), _stay(8, 20)], _goes_on)[0].censored is False
    assert _joined([_stay(0, 10), _stay(8, 20, censored=True)], _goes_on)[0].censored is True


def test_stays_are_paired_by_person_where_it_is_known() -> None:
    true = [_stay(0, 10), _stay(0, 10, person=2)]
    assert len(matched(true, [_stay(0, 10, person=3)])) == 0
    assert len(matched(true, [_stay(0, 10, person=NOBODY)])) == 1
    assert matched(true, [_stay(0, 4, person=2)]) == [(true[1], _stay(0, 4, person=2))]
    # The longest common time in all, each stay once.
    parts = [_stay(0, 3), _stay(4, 10)]
    assert matched([true[0]], parts) == [(true[0], parts[1])]


def test_floor_figures_agree_with_py_motmetrics() -> None:
    """Six people walk about; the result is shaken, misses some, and changes ids half-way."""
    rng = np.random.default_rng(11)
    ticks, who = np.repeat(np.arange(80), 6), np.tile(np.arange(6), 80)
    place = rng.uniform(0, 8, (6, 2))[who] + np.cumsum(rng.normal(0, 0.1, (80, 6, 2)), axis=0).reshape(-1, 2)
    kept = rng.random(480) > 0.2
    shaken = place + rng.normal(0, 0.4, place.shape)
    identity = np.where((ticks > 40) & (who < 3), who + 10, who)
    ours = _floor_score((ticks, who, place), (ticks[kept], identity[kept], shaken[kept])).scores
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import motmetrics

        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for tick in range(80):
            rows, found = ticks == tick, (ticks == tick) & kept
            apart_m = np.linalg.norm(place[rows][:, None] - shaken[found][None], axis=2)
            apart_m[apart_m > 1] = np.nan
            accumulator.update(who[rows], identity[found], apart_m)
        theirs = motmetrics.metrics.create().compute(accumulator, metrics=["idf1"]).iloc[0]
    assert ours.idf1 == pytest.approx(theirs["idf1"], abs=1e-9)
    assert 0.5 < ours.idf1 < 0.9
