from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.analytics.coverage import CoverageMeter
from retail_ray.core.errors import DataError
from retail_ray.core.records import CoverageRow

S = 1_000_000
MINUTE = 60 * S


def frames(begin_s: float, end_s: float, fps: float = 5.0) -> np.ndarray:
    return (np.arange(round(begin_s * fps), round(end_s * fps)) * (S / fps)).astype(np.int64)


def owed(from_us: int, until_us: int) -> int:
    """A steady camera at 5 frames/s."""
    return round((until_us - from_us) * 5 / S)


def test_whole_minutes_and_the_parts_at_both_ends() -> None:
    meter = CoverageMeter("cam", owed, 30 * S)
    meter.processed(frames(30, 150))
    assert meter.advance(59 * S) == []
    assert meter.advance(125 * S) == [
        CoverageRow("cam", 0, 150, 150, 0, ""),
        CoverageRow("cam", MINUTE, 300, 300, 0, ""),
    ]
    assert meter.finish(150 * S) == [CoverageRow("cam", 2 * MINUTE, 150, 150, 0, "")]
    assert meter.finish(150 * S) == []


def test_dropped_frames_are_told_with_their_reasons_the_commonest_first() -> None:
    meter = CoverageMeter("cam", owed, 0)
    meter.processed(frames(0, 40))
    meter.dropped(41 * S, 10, "decode")
    meter.dropped(45 * S, 50, "backlog")
    meter.dropped(50 * S, 40, "backlog")
    meter.dropped(61 * S, 300, "offline")
    assert meter.advance(2 * MINUTE) == [
        CoverageRow("cam", 0, 300, 200, 100, "backlog+decode"),
        CoverageRow("cam", MINUTE, 300, 0, 300, "offline"),
    ]


def test_frames_of_a_reported_minute_change_nothing_and_are_not_kept() -> None:
    meter = CoverageMeter("cam", owed, 0)
    meter.processed(frames(0, 60))
    meter.advance(MINUTE)
    state = meter.state()
    meter.processed(frames(0, 60))
    meter.dropped(59 * S, 5, "backlog")
    assert meter.state() == state


def test_a_minute_in_which_nothing_came_is_missing_not_left_out() -> None:
    meter = CoverageMeter("cam", owed, 0)
    meter.processed(np.concatenate([frames(0, 60), frames(120, 180)]))
    assert [(row.processed_frames, row.reason) for row in meter.advance(3 * MINUTE)] == [
        (300, ""),
        (0, "missing"),
        (300, ""),
    ]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 30))
def test_stop_anywhere_and_go_on_changes_nothing(stop_s: int, begin_s: int, chunk: int) -> None:
    times = frames(begin_s, 240)
    whole, first, second = (CoverageMeter("cam", owed, begin_s * S) for _ in range(3))
    whole.processed(times)
    whole.dropped(200 * S, 7, "backlog")
    expected = whole.finish(240 * S)
    rows: list[CoverageRow] = []
    before, after = times[times < stop_s * S], times[times >= stop_s * S]
    for part in np.array_split(before, chunk):
        first.processed(part)
    rows += first.advance(stop_s * S)
    second.restore(first.state())
    for part in np.array_split(after, chunk):
        second.processed(part)
    second.dropped(200 * S, 7, "backlog")
    assert rows + second.finish(240 * S) == expected
    assert sum(row.processed_frames for row in expected) == len(times)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="camera 'cam': the saved coverage is of camera 'other'"):
        CoverageMeter("cam", owed, 0).restore(CoverageMeter("other", owed, 0).state())
