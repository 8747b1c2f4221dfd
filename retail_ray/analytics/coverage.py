"""How much of each camera-minute was really analysed (RETAIL: coverage)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.records import CoverageRow
from retail_ray.core.time import US_PER_MINUTE, minute_of


class CoverageMeter:
    """Counts one camera's sampled frames per minute of event time, from `start_us` on.

    A minute that the data covers in part expects its part of the frames. `reason` of a row names what frames were
    dropped for, the commonest first, joined by "+"; "missing" where frames neither came nor were dropped.
    """

    def __init__(self, camera_id: str, expected_frames: Callable[[int, int], int], start_us: int) -> None:
        """expected_frames(from_us, until_us): how many sampled frames the camera owes in this time."""
        self._camera_id = camera_id
        self._expected = expected_frames
        self._next_us = start_us
        self._processed: dict[int, int] = {}
        self._dropped: dict[int, dict[str, int]] = {}

    def processed(self, frame_time_us: NDArray[np.int64]) -> None:
        """(F,) event times of frames that were analysed; those of minutes already reported are ignored."""
        minutes, frames = np.unique(frame_time_us - frame_time_us % US_PER_MINUTE, return_counts=True)
        for minute_us, count in zip(minutes.tolist(), frames.tolist(), strict=True):
            if minute_us + US_PER_MINUTE > self._next_us:
                self._processed[minute_us] = self._processed.get(minute_us, 0) + count

    def dropped(self, time_us: int, frames: int, reason: str) -> None:
        """`frames` sampled frames around `time_us` were not analysed, for a `reason` in one word."""
        minute_us = minute_of(time_us)
        if minute_us + US_PER_MINUTE > self._next_us:
            reasons = self._dropped.setdefault(minute_us, {})
            reasons[reason] = reasons.get(reason, 0) + frames

    def advance(self, until_us: int) -> list[CoverageRow]:
        """Rows of the minutes that ended at or before `until_us`, each once."""
        rows = []
        while minute_of(self._next_us) + US_PER_MINUTE <= until_us:
            rows.append(self._row(minute_of(self._next_us) + US_PER_MINUTE))
        return rows

    def finish(self, until_us: int) -> list[CoverageRow]:
        """The data ends at `until_us`: also the row of the last, partial minute."""
        rows = self.advance(until_us)
        if until_us > self._next_us:
            rows.append(self._row(until_us))
        return rows

    def state(self) -> bytes:
        dropped = sorted((minute_us, sorted(reasons.items())) for minute_us, reasons in self._dropped.items())
        return pack_state((self._camera_id, self._next_us, sorted(self._processed.items()), dropped))

    def restore(self, state: bytes) -> None:
        saved: tuple[Any, ...] = unpack_state(state)
        if saved[0] != self._camera_id:
            raise DataError(f"camera '{self._camera_id}': the saved coverage is of camera '{saved[0]}'")
        self._next_us = saved[1]
        self._processed = dict(saved[2])
        self._dropped = {minute_us: dict(reasons) for minute_us, reasons in saved[3]}

    def _row(self, end_us: int) -> CoverageRow:
        minute_us = minute_of(self._next_us)
        expected = self._expected(self._next_us, end_us)
        processed = self._processed.pop(minute_us, 0)
        reasons = self._dropped.pop(minute_us, {})
        dropped = sum(reasons.values())
        commonest = sorted(reasons, key=lambda reason: (-reasons[reason], reason))
        # A sampled grid that does not start on the minute may lie one frame beside the expected number.
        if not commonest and processed < expected - 1:
            commonest = ["missing"]
        self._next_us = end_us
        return CoverageRow(self._camera_id, minute_us, expected, processed, dropped, "+".join(commonest))
