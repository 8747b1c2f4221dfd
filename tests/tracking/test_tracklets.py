from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.records import TrackletRow
from retail_ray.core.types import Tracks
from retail_ray.tracking.tracker import create_tracker, longest_absence_s
from retail_ray.tracking.tracklets import TrackletBook
from tests.tracking.tracking_scenes import towncentre_like

INTERVAL_US = 100_000


def _tracks(local_ids: list[int], confidence: float = 0.5) -> Tracks:
    n = len(local_ids)
    boxes = np.tile(np.array([0, 0, 10, 20], np.float32), (n, 1))
    return Tracks(
        boxes, np.full(n, confidence, np.float32), np.array(local_ids, np.int64), np.arange(n, dtype=np.int32)
    )


def _walk(points_m: NDArray[np.float64], interval_us: int = INTERVAL_US) -> TrackletRow:
    book = TrackletBook("door", buffer_s=2.0)
    for t, point in enumerate(points_m):
        book.add(_tracks([1]), point[None].astype(np.float64), t * interval_us)
    (row,) = book.flush()
    return row


def _nowhere(n: int) -> NDArray[np.float64]:
    return np.full((n, 2), np.nan)


def test_a_row_holds_times_frames_confidence_and_crops() -> None:
    book = TrackletBook("door", buffer_s=2.0)
    book.add(_tracks([4], 0.4), _nowhere(1), 1_000_000)
    book.add(_tracks([], 0.0), _nowhere(0), 1_100_000)
    book.add(_tracks([4, 5], 0.8), _nowhere(2), 1_200_000)
    book.note_crop(4, 0.7)
    book.note_crop(4, 0.5)
    first, second = book.flush()
    assert (first.camera_id, first.local_id, first.first_us, first.last_us) == ("door", 4, 1_000_000, 1_200_000)
    assert (first.frames, first.embedded_crops) == (2, 2)
    assert (first.mean_confidence, first.best_crop_quality) == pytest.approx((0.6, 0.7))
    assert math.isnan(first.path_m)
    assert (second.local_id, second.frames, second.embedded_crops, second.best_crop_quality) == (5, 1, 0, 0.0)
    assert book.flush() == []


def test_a_tracklet_ends_once_it_was_away_for_longer_than_the_buffer() -> None:
    book = TrackletBook("door", buffer_s=2.0)
    book.add(_tracks([1, 2]), _nowhere(2), 0)
    assert book.add(_tracks([2]), _nowhere(1), 2_000_000) == []
    (ended,) = book.add(_tracks([2]), _nowhere(1), 2_000_001)
    assert (ended.local_id, ended.last_us) == (1, 0)
    assert [row.local_id for row in book.flush()] == [2]


@settings(max_examples=25, deadline=None)
@given(
    speed_m_s=st.floats(0.5, 2.0), angle=st.floats(0, 6.28), seconds=st.integers(5, 40),
    jitter_m=st.floats(0, 0.15), rate=st.sampled_from([5, 10, 30]), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_straight_walk_has_its_true_length_at_every_rate(
    speed_m_s: float, angle: float, seconds: int, jitter_m: float, rate: int, seed: int
) -> None:
    t = np.arange(seconds * rate + 1) / rate
    way = speed_m_s * t[:, None] * np.array([math.cos(angle), math.sin(angle)])
    noise = np.random.default_rng(seed).normal(0, jitter_m, way.shape)
    row = _walk(way + noise, round(1e6 / rate))
    assert row.path_m == pytest.approx(speed_m_s * seconds, rel=0.1, abs=0.6)


@settings(max_examples=25, deadline=None)
@given(jitter_m=st.floats(0.01, 0.25), seed=st.integers(0, 99))
def test_standing_still_is_no_walk_although_the_box_trembles(jitter_m: float, seed: int) -> None:
    points = 3.0 + np.random.default_rng(seed).normal(0, jitter_m, (600, 2))
    naive_m = float(np.hypot(*np.diff(points, axis=0).T).sum())
    row = _walk(points)
    assert row.path_m <= 0.02 * naive_m + 1.0
    assert naive_m >= 600 * jitter_m


def test_a_walk_back_and_forth_counts_both_ways_and_gaps_in_the_floor_are_bridged() -> None:
    there = np.linspace(0, 6, 51)
    x = np.concatenate([there, there[::-1]])
    points = np.stack([x, np.zeros(len(x))], axis=1)
    points[10:14] = np.nan
    assert _walk(points).path_m == pytest.approx(12, abs=1.5)


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(1, 79))
def test_a_book_goes_on_from_its_state(cut: int) -> None:
    rng = np.random.default_rng(2)
    frames = [sorted(rng.choice(6, rng.integers(0, 5), replace=False).tolist()) for _ in range(80)]
    floors = [rng.normal(0, 2, (len(ids), 2)) for ids in frames]

    def play(book: TrackletBook, begin: int, end: int) -> list[TrackletRow]:
        out: list[TrackletRow] = []
        for t in range(begin, end):
            out += book.add(_tracks(frames[t], 0.3 + t / 200), floors[t], t * INTERVAL_US)
            for local_id in frames[t][:1]:
                book.note_crop(local_id, t / 100)
        return out

    whole = TrackletBook("door", buffer_s=0.4)
    expected = play(whole, 0, 80) + whole.flush()
    first, second = TrackletBook("door", buffer_s=0.4), TrackletBook("door", buffer_s=0.4)
    found = play(first, 0, cut)
    second.restore(pickle.loads(pickle.dumps(first.state())))
    assert found + play(second, cut, 80) + second.flush() == expected
    assert len(expected) > 6


def test_every_tracked_box_of_a_street_is_in_exactly_one_row(shared_data: Path) -> None:
    tracker, book = create_tracker("bytetrack", frame_rate=10, options={}), TrackletBook("street", buffer_s=2.0)
    rows: list[TrackletRow] = []
    seen: dict[int, list[int]] = {}
    for t, found in enumerate(towncentre_like(shared_data, 150)):
        tracks = tracker.update(found, None, t * INTERVAL_US)
        rows += book.add(tracks, _nowhere(len(tracks)), t * INTERVAL_US)
        for local_id in tracks.local_id.tolist():
            seen.setdefault(local_id, []).append(t * INTERVAL_US)
    rows += book.flush()
    assert {row.local_id: (row.first_us, row.last_us, row.frames) for row in rows} == {
        local_id: (times[0], times[-1], len(times)) for local_id, times in seen.items()
    }
    assert len(rows) == len(seen)


def test_what_cannot_be_is_refused() -> None:
    book = TrackletBook("door", buffer_s=2.0)
    book.add(_tracks([1]), _nowhere(1), 5)
    with pytest.raises(DataError, match="camera 'door': frame at 5 us"):
        book.add(_tracks([1]), _nowhere(1), 5)
    with pytest.raises(DataError, match="floor_xy_m"):
        book.add(_tracks([1]), _nowhere(2), 6)
    with pytest.raises(DataError, match="tracklet 9, which is not open"):
        book.note_crop(9, 0.5)
    with pytest.raises(DataError, match="format 0"):
        book.restore({"format": 0})


def test_a_short_buffer_gives_each_tracklet_one_row(shared_data: Path) -> None:
    """BoxMOT takes up a track in the frame after its buffer; everybody is unseen for four frames now and then."""
    tracker = create_tracker("botsort", frame_rate=10, options={"buffer_s": 0.3})
    book = TrackletBook("street", buffer_s=longest_absence_s(0.3, 10))
    rows: list[TrackletRow] = []
    for t, found in enumerate(towncentre_like(shared_data, 120)):
        seen = found[np.arange(len(found)) % 7 != t // 4 % 7]
        tracks = tracker.update(seen, None, t * 100_000)
        rows += book.add(tracks, np.full((len(tracks), 2), np.nan), t * 100_000)
    ids = [row.local_id for row in [*rows, *book.flush()]]
    assert len(ids) == len(set(ids)) > 10
