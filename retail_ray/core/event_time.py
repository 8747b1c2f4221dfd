"""Messages of several cameras merged into ticks of event time, whatever the order they arrive in.

A tick `[start_us, end_us)` begins at a multiple of its length and is worked once every camera's watermark has
passed its end. Rows of a tick come in one canonical order, so that what is computed from them depends on the
video alone and never on scheduling.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.types import Observations

FOREVER_US = 2**63 - 1
_BEFORE_ALL_US = -(2**62)


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera as gallery and site know it; it holds no data before `start_us` (a recording's beginning)."""

    camera_id: str
    calibrated: bool
    start_us: int = 0


@dataclass(frozen=True, slots=True)
class BufferCounts:
    """Rows that were dropped: before a worked tick, told twice, without a tracker id, or without a finite position.

    `invalid` also counts embeddings of length zero or with a quality that is no number.
    """

    late: int = 0
    duplicate: int = 0
    untracked: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """What all cameras saw in `[start_us, end_us)`, rows ordered by (time_us, camera, local_id), none twice.

    camera: (N,) int32, place of the camera's name among the sorted names. The other columns are those of
    Observations; floor points and covariances are finite or NaN. embedding (M, D) float32 is L2-normalised and
    ordered by embedding_row. frame_time_us, frame_camera: (F,) every analysed frame, ordered by (time, camera).
    """

    start_us: int
    end_us: int
    camera: NDArray[np.int32]
    time_us: NDArray[np.int64]
    local_id: NDArray[np.int64]
    foot_px: NDArray[np.float32]
    floor_xy_m: NDArray[np.float64]
    floor_cov_m2: NDArray[np.float64]
    confidence: NDArray[np.float32]
    foot_estimated: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    embedding_row: NDArray[np.int64]
    embedding_quality: NDArray[np.float32]
    frame_time_us: NDArray[np.int64]
    frame_camera: NDArray[np.int32]
    edge_px: NDArray[np.float32]
    edge_xy_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time_us)


_ROW_COLUMNS = (
    "camera",
    "time_us",
    "local_id",
    "foot_px",
    "floor_xy_m",
    "floor_cov_m2",
    "confidence",
    "foot_estimated",
    "edge_px",
    "edge_xy_m",
)


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
        block = _to_block(observations, self.camera_ids.index(observations.camera_id))
        block, dropped = _clean(block, self.worked_until_us)
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
        limit_us = self.floor(min(until_us, self.watermark_us))
        if limit_us <= self.worked_until_us:
            return
        data = self._pull(limit_us)
        row = frame = 0
        while True:
            start_us = self._next_start(data, row, frame, wake_us)
            if start_us is None or start_us + self.tick_us > limit_us:
                break
            end_us = start_us + self.tick_us
            row_end = int(np.searchsorted(data.time_us, end_us))
            frame_end = int(np.searchsorted(data.frame_time_us, end_us))
            self.worked_until_us = end_us
            yield _cut(data, start_us, end_us, slice(row, row_end), slice(frame, frame_end))
            row, frame = row_end, frame_end
        self.worked_until_us = limit_us

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
                before.append(_select(block, early, late))
            if not (early.all() and late.all()):
                after.append(_select(block, ~early, ~late))
        self._waiting = after
        merged, duplicates = _canonical(_concatenate(before))
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


def _to_block(message: Observations, camera: int) -> Tick:
    return Tick(
        start_us=0,
        end_us=0,
        camera=np.full(len(message), camera, np.int32),
        time_us=message.time_us,
        local_id=message.local_id,
        foot_px=message.foot_px,
        floor_xy_m=message.floor_xy_m,
        floor_cov_m2=message.floor_cov_m2,
        confidence=message.confidence,
        foot_estimated=message.foot_estimated,
        embedding=message.embedding,
        embedding_row=message.embedding_row.astype(np.int64),
        embedding_quality=message.embedding_quality,
        frame_time_us=message.frame_time_us,
        frame_camera=np.full(len(message.frame_time_us), camera, np.int32),
        edge_px=message.edge_px,
        edge_xy_m=message.edge_xy_m,
    )


def _clean(block: Tick, worked_until_us: int) -> tuple[Tick, BufferCounts]:
    """Drop and count what cannot be used; a floor point or covariance that is not finite becomes NaN."""
    untracked = block.local_id < 0
    invalid = ~untracked & ~np.isfinite(block.foot_px).all(axis=1)
    late = ~untracked & ~invalid & (block.time_us < worked_until_us)
    norm = np.asarray(np.linalg.norm(block.embedding, axis=1))
    poor = np.asarray(~((norm > 0) & np.isfinite(block.embedding_quality)))
    if poor.any():
        block = replace(
            block,
            embedding=block.embedding[~poor],
            embedding_row=block.embedding_row[~poor],
            embedding_quality=block.embedding_quality[~poor],
        )
        norm = norm[~poor]
    lost = ~np.asarray(np.isfinite(block.floor_xy_m).all(axis=1) & np.isfinite(block.floor_cov_m2).all(axis=(1, 2)))
    off_floor = ~np.asarray(np.isfinite(block.edge_xy_m).all(axis=1))
    block = replace(
        block,
        floor_xy_m=np.where(lost[:, None], np.nan, block.floor_xy_m),
        floor_cov_m2=np.where(lost[:, None, None], np.nan, block.floor_cov_m2),
        edge_xy_m=np.where(off_floor[:, None], np.nan, block.edge_xy_m),
        embedding=(block.embedding / norm[:, None]).astype(np.float32),
    )
    counts = BufferCounts(int(late.sum()), 0, int(untracked.sum()), int(invalid.sum() + poor.sum()))
    return _select(block, ~(untracked | invalid | late), block.frame_time_us >= worked_until_us), counts


def _select(block: Tick, rows: NDArray[np.bool_], frames: NDArray[np.bool_]) -> Tick:
    if rows.all() and frames.all():
        return block
    columns: dict[str, Any] = {name: getattr(block, name)[rows] for name in _ROW_COLUMNS}
    kept = rows[block.embedding_row]
    place = np.cumsum(rows) - 1
    return replace(
        block,
        **columns,
        embedding=block.embedding[kept],
        embedding_row=place[block.embedding_row[kept]].astype(np.int64),
        embedding_quality=block.embedding_quality[kept],
        frame_time_us=block.frame_time_us[frames],
        frame_camera=block.frame_camera[frames],
    )


def _concatenate(blocks: list[Tick]) -> Tick:
    if not blocks:
        return _EMPTY
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in (*_ROW_COLUMNS, "embedding_quality", "frame_time_us", "frame_camera")
    }
    offsets = np.cumsum([0, *(len(block) for block in blocks[:-1])])
    rows = [block.embedding_row + offset for block, offset in zip(blocks, offsets, strict=True)]
    described = [block.embedding for block in blocks if len(block.embedding)]
    return replace(
        blocks[0],
        **columns,
        embedding_row=np.concatenate(rows),
        embedding=np.concatenate(described) if described else _EMPTY.embedding,
    )


def _canonical(block: Tick) -> tuple[Tick, int]:
    """Rows by (time, camera, local id), each once, and the number of repetitions left out.

    Where two rows differ but claim the same place, their contents decide, never their arrival: one with an
    embedding wins, then the smaller numbers.
    """
    order = np.lexsort((block.local_id, block.camera, block.time_us))
    if (_repeats(block, order)).any():
        quality = np.full(len(block), -1.0, np.float32)
        np.maximum.at(quality, block.embedding_row, block.embedding_quality)
        foot, floor = block.foot_px, block.floor_xy_m
        contents = (floor[:, 1], floor[:, 0], block.confidence, foot[:, 1], foot[:, 0], -quality)
        order = np.lexsort((*contents, block.local_id, block.camera, block.time_us))
    repeated = _repeats(block, order)
    order = order[~repeated]
    place = np.full(len(block), -1, np.int64)
    place[order] = np.arange(len(order))
    row = place[block.embedding_row]
    by_row = np.lexsort((block.embedding_quality, row))
    by_row = by_row[row[by_row] >= 0]
    by_time = np.lexsort((block.frame_camera, block.frame_time_us))
    frame_time, frame_camera = block.frame_time_us[by_time], block.frame_camera[by_time]
    first = np.ones(len(by_time), np.bool_)
    first[1:] = (np.diff(frame_time) != 0) | (np.diff(frame_camera) != 0)
    columns: dict[str, Any] = {name: getattr(block, name)[order] for name in _ROW_COLUMNS}
    ordered = replace(
        block,
        **columns,
        embedding=block.embedding[by_row],
        embedding_row=row[by_row],
        embedding_quality=block.embedding_quality[by_row],
        frame_time_us=frame_time[first],
        frame_camera=frame_camera[first],
    )
    return ordered, int(repeated.sum())


def _repeats(block: Tick, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    repeated = np.zeros(len(order), np.bool_)
    same = [column[order][1:] == column[order][:-1] for column in (block.time_us, block.camera, block.local_id)]
    repeated[1:] = same[0] & same[1] & same[2]
    return repeated


def _cut(data: Tick, start_us: int, end_us: int, rows: slice, frames: slice) -> Tick:
    low, high = np.searchsorted(data.embedding_row, [rows.start, rows.stop])
    columns: dict[str, Any] = {name: getattr(data, name)[rows] for name in _ROW_COLUMNS}
    return replace(
        data,
        start_us=start_us,
        end_us=end_us,
        **columns,
        embedding=data.embedding[low:high],
        embedding_row=data.embedding_row[low:high] - rows.start,
        embedding_quality=data.embedding_quality[low:high],
        frame_time_us=data.frame_time_us[frames],
        frame_camera=data.frame_camera[frames],
    )


_EMPTY = Tick(
    start_us=0,
    end_us=0,
    camera=np.zeros(0, np.int32),
    time_us=np.zeros(0, np.int64),
    local_id=np.zeros(0, np.int64),
    foot_px=np.zeros((0, 2), np.float32),
    floor_xy_m=np.zeros((0, 2), np.float64),
    floor_cov_m2=np.zeros((0, 2, 2), np.float64),
    confidence=np.zeros(0, np.float32),
    foot_estimated=np.zeros(0, np.bool_),
    embedding=np.zeros((0, 0), np.float32),
    embedding_row=np.zeros(0, np.int64),
    embedding_quality=np.zeros(0, np.float32),
    frame_time_us=np.zeros(0, np.int64),
    frame_camera=np.zeros(0, np.int32),
    edge_px=np.zeros((0, 2), np.float32),
    edge_xy_m=np.zeros((0, 2)),
)
