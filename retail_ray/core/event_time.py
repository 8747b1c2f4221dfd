"""Messages of several cameras merged into ticks of event time, whatever the order they arrive in.

A tick `[start_us, end_us)` begins at a multiple of its length and is worked once every camera's watermark has
passed its end. Rows of a tick come in one canonical order, so that what is computed from them depends on the
video alone and never on scheduling.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.ticks import (
    BufferCounts,
    Tick,
    Ticks,
    canonical,
    clean,
    concatenate,
    cut,
    distinct,
    select,
    to_block,
)
from retail_ray.core.types import Observations

FOREVER_US = 2**63 - 1
_BEFORE_ALL_US = -(2**62)


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera as gallery and site know it; it holds no data before `start_us` (a recording's beginning)."""

    camera_id: str
    calibrated: bool
    start_us: int = 0


class WatermarkBuffer:
    """Holds messages back until every camera has passed their time; gives them out tick by tick."""

    def __init__(self, cameras: Sequence[CameraView], tick_us: int) -> None:
        if tick_us <= 0:
            raise DataError(f"a tick must last at least 1 us, found {tick_us}")
        names = sorted(camera.camera_id for camera in cameras)
        if not names or len(set(names)) != len(names):
            raise DataError(f"cameras must have different names and be at least one, found {names}")
        self.tick_us = tick_us
        self.camera_ids = tuple(names)
        self.worked_until_us = _BEFORE_ALL_US
        self.counts = BufferCounts()
        self._start_us = {camera.camera_id: camera.start_us for camera in cameras}
        self._watermark_us = dict(self._start_us)
        self._last_frame_us: dict[str, int] = {}
        self._dimension: int | None = None
        self._waiting: list[Tick] = []

    @property
    def watermark_us(self) -> int:
        """No camera will tell anything before this time."""
        return min(self._watermark_us.values())

    def submit(self, observations: Observations) -> None:
        """Keep a message and raise its camera's watermark; a lower watermark than before changes nothing."""
        self._check(observations)
        block = to_block(observations, self.camera_ids.index(observations.camera_id))
        block, dropped = clean(block, self.worked_until_us)
        self._count(dropped)
        if len(block) or len(block.frame_time_us):
            self._waiting.append(block)
        camera = observations.camera_id
        self._watermark_us[camera] = max(self._watermark_us[camera], observations.watermark_us)
        if len(observations.frame_time_us):
            newest_us = int(observations.frame_time_us.max())
            self._last_frame_us[camera] = max(self._last_frame_us.get(camera, newest_us), newest_us)

    def end(self, camera_id: str) -> None:
        """This camera tells nothing more: it holds nobody back."""
        if camera_id not in self._watermark_us:
            raise DataError(f"camera '{camera_id}' is not of this site; known: {', '.join(self.camera_ids)}")
        self._watermark_us[camera_id] = FOREVER_US

    def is_over(self, camera_id: str, time_us: int) -> bool:
        """Whether this camera has ended and has no frame at or after `time_us`, which every camera has passed."""
        ended = self._watermark_us[camera_id] >= FOREVER_US
        return ended and self._last_frame_us.get(camera_id, time_us - 1) < time_us

    def ticks(self, until_us: int, wake_us: Callable[[], int | None] = lambda: None) -> Iterator[Tick]:
        """Work every tick that ends at or before min(until_us, watermark_us), oldest first.

        Ticks without data are left out, except the first one that ends at or after `wake_us()`, which is asked
        again before each such tick. Exhaust the iterator: what it did not give out is lost.
        """
        return (block.data for block in self.blocks(until_us, 1, wake_us))

    def blocks(self, until_us: int, longest: int, wake_us: Callable[[], int | None] = lambda: None) -> Iterator[Ticks]:
        """The same ticks, up to `longest` that follow each other without a gap at once."""
        limit_us = self.floor(min(until_us, self.watermark_us))
        if limit_us <= self.worked_until_us:
            return
        data = self._pull(limit_us)
        times_us = (data.time_us, data.frame_time_us)
        busy_us = np.union1d(*(distinct(of_rows - of_rows % self.tick_us) for of_rows in times_us))
        row = frame = 0
        while True:
            start_us = self._next_start(data, row, frame, wake_us)
            if start_us is None or start_us + self.tick_us > limit_us:
                break
            end_us = start_us + self.tick_us * self._run(busy_us, start_us, longest)
            row_end = int(np.searchsorted(data.time_us, end_us))
            frame_end = int(np.searchsorted(data.frame_time_us, end_us))
            self.worked_until_us = end_us
            yield Ticks(cut(data, start_us, end_us, slice(row, row_end), slice(frame, frame_end)), self.tick_us)
            row, frame = row_end, frame_end
        self.worked_until_us = limit_us

    def _run(self, busy_us: NDArray[np.int64], start_us: int, longest: int) -> int:
        """How many ticks with data follow each other from this one on, at most `longest`; 1 where it has none."""
        first = int(np.searchsorted(busy_us, start_us))
        following_us = busy_us[first : first + longest]
        gaps = np.flatnonzero(following_us != start_us + self.tick_us * np.arange(len(following_us)))
        return max(1, int(gaps[0]) if len(gaps) else len(following_us))

    def floor(self, time_us: int) -> int:
        """The last tick boundary at or before `time_us`."""
        return time_us - time_us % self.tick_us

    def ceil(self, time_us: int) -> int:
        """The first tick boundary at or after `time_us`."""
        return time_us + -time_us % self.tick_us

    def state(self) -> tuple[Any, ...]:
        """As of the last worked tick: messages after it, watermarks and ended cameras are not in it."""
        counts = self.counts
        return (
            self.camera_ids,
            self.tick_us,
            self.worked_until_us,
            (counts.late, counts.duplicate, counts.untracked, counts.invalid),
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        camera_ids, tick_us, worked_until_us, counts = state
        if tuple(camera_ids) != self.camera_ids or tick_us != self.tick_us:
            raise DataError(
                f"the saved state is of cameras {list(camera_ids)} with ticks of {tick_us} us, this site has "
                f"{list(self.camera_ids)} and {self.tick_us} us: start without it or with the former site file"
            )
        self.worked_until_us = worked_until_us
        self.counts = BufferCounts(*counts)
        self._watermark_us = {name: max(start, worked_until_us) for name, start in self._start_us.items()}
        self._waiting = []

    def _check(self, message: Observations) -> None:
        place = f"camera '{message.camera_id}'"
        if message.camera_id not in self._watermark_us:
            raise DataError(f"{place} is not of this site; known: {', '.join(self.camera_ids)}")
        if not len(message.embedding_row):
            return
        low, high = int(message.embedding_row.min()), int(message.embedding_row.max())
        if low < 0 or high >= len(message):
            raise DataError(
                f"{place}: embedding_row holds {low if low < 0 else high}, the message has {len(message)} rows"
            )
        dimension = message.embedding.shape[1]
        if self._dimension not in {None, dimension}:
            raise DataError(
                f"{place}: embeddings have {dimension} numbers, those of before {self._dimension}: "
                "all cameras of a site need the same embedder"
            )
        self._dimension = dimension

    def _next_start(self, data: Tick, row: int, frame: int, wake_us: Callable[[], int | None]) -> int | None:
        starts = []
        if row < len(data.time_us):
            starts.append(self.floor(int(data.time_us[row])))
        if frame < len(data.frame_time_us):
            starts.append(self.floor(int(data.frame_time_us[frame])))
        if min(starts, default=FOREVER_US) > self.worked_until_us:
            wake = wake_us()
            starts += [] if wake is None else [max(self.ceil(wake) - self.tick_us, self.worked_until_us)]
        return min(starts, default=None)

    def _pull(self, limit_us: int) -> Tick:
        before, after = [], []
        for block in self._waiting:
            early, late = block.time_us < limit_us, block.frame_time_us < limit_us
            if early.any() or late.any():
                before.append(select(block, early, late))
            if not (early.all() and late.all()):
                after.append(select(block, ~early, ~late))
        self._waiting = after
        merged, duplicates = canonical(concatenate(before))
        self._count(BufferCounts(duplicate=duplicates))
        return merged

    def _count(self, more: BufferCounts) -> None:
        have = self.counts
        self.counts = BufferCounts(
            have.late + more.late,
            have.duplicate + more.duplicate,
            have.untracked + more.untracked,
            have.invalid + more.invalid,
        )


def pack_state(value: Any) -> bytes:
    """Pickle whose bytes depend on the values alone, not on which of them are the same object."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=5)
    pickler.fast = True
    pickler.dump(value)
    return stream.getvalue()


def unpack_state(packed: bytes) -> Any:
    """What `pack_state` packed. Only for the program's own state files: it is a pickle."""
    return pickle.loads(packed)
