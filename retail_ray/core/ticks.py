"""Columns of tracked people in event time: one tick, or ticks that follow each other, worked at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_MINUTE
from retail_ray.core.types import Observations


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


@dataclass(frozen=True, slots=True)
class Ticks:
    """T ticks of equal length without a gap between them. data: rows and frames of all of them."""

    data: Tick
    tick_us: int

    def __len__(self) -> int:
        return (self.data.end_us - self.data.start_us) // self.tick_us

    @property
    def end_us(self) -> NDArray[np.int64]:
        """(T,) the end of each tick."""
        return self.data.start_us + self.tick_us * np.arange(1, len(self) + 1, dtype=np.int64)

    def number(self, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) in which of the ticks each time lies."""
        return (time_us - self.data.start_us) // self.tick_us

    def begins(self, number: NDArray[np.int64]) -> list[int]:
        """T + 1 places at which each tick's own begin in (N,) ascending numbers of ticks, the last one's end behind."""
        begins: list[int] = np.searchsorted(number, np.arange(len(self) + 1)).tolist()
        return begins

    def frame_minutes(self) -> list[list[int]]:
        """Minutes in which each tick has analysed frames, in order."""
        times_us = self.data.frame_time_us
        pairs = np.stack([self.number(times_us), times_us - times_us % US_PER_MINUTE])
        new = np.ones(len(times_us), np.bool_)
        new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
        found: list[list[int]] = [[] for _ in range(len(self))]
        for number, minute_us in pairs[:, new].T.tolist():
            found[number].append(minute_us)
        return found


def to_block(message: Observations, camera: int) -> Tick:
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


def clean(block: Tick, worked_until_us: int) -> tuple[Tick, BufferCounts]:
    """Drop and count what cannot be used; a floor point or covariance that is not finite becomes NaN."""
    untracked = block.local_id < 0
    invalid = ~untracked & ~_finite(block.foot_px)
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
    lost = ~(_finite(block.floor_xy_m) & _finite(block.floor_cov_m2.reshape(-1, 4)))
    off_floor = ~_finite(block.edge_xy_m)
    block = replace(
        block,
        floor_xy_m=np.where(lost[:, None], np.nan, block.floor_xy_m),
        floor_cov_m2=np.where(lost[:, None, None], np.nan, block.floor_cov_m2),
        edge_xy_m=np.where(off_floor[:, None], np.nan, block.edge_xy_m),
        embedding=(block.embedding / norm[:, None]).astype(np.float32),
    )
    counts = BufferCounts(int(late.sum()), 0, int(untracked.sum()), int(invalid.sum() + poor.sum()))
    return select(block, ~(untracked | invalid | late), block.frame_time_us >= worked_until_us), counts


def _finite(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) whether all of (N, D) numbers are; column by column, which is faster than along short rows."""
    return reduce(np.logical_and, np.isfinite(values).T)


def select(block: Tick, rows: NDArray[np.bool_], frames: NDArray[np.bool_]) -> Tick:
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


def concatenate(blocks: list[Tick]) -> Tick:
    if not blocks:
        return NO_TICK
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
        embedding=np.concatenate(described) if described else NO_TICK.embedding,
    )


def canonical(block: Tick) -> tuple[Tick, int]:
    """Rows by (time, camera, local id), each once, and the number of repetitions left out.

    Where two rows differ but claim the same place, their contents decide, never their arrival: one with an
    embedding wins, then the smaller numbers.
    """
    order = np.argsort(block.time_us, kind="stable")
    if not _is_in_order(block, order):
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
    columns: dict[str, Any] = {name: np.take(getattr(block, name), order, axis=0) for name in _ROW_COLUMNS}
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


def distinct(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value of (N,) ascending ones once."""
    new = np.ones(len(ascending), np.bool_)
    new[1:] = ascending[1:] != ascending[:-1]
    return ascending[new]


def _is_in_order(block: Tick, order: NDArray[np.intp]) -> bool:
    """Whether rows in order of time are in order of camera and local id too, as they come where cameras take turns."""
    time_us, camera, local_id = (column[order] for column in (block.time_us, block.camera, block.local_id))
    behind = (camera[1:] < camera[:-1]) | ((camera[1:] == camera[:-1]) & (local_id[1:] < local_id[:-1]))
    return not bool((behind & (time_us[1:] == time_us[:-1])).any())


def _repeats(block: Tick, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    repeated = np.zeros(len(order), np.bool_)
    same = [column[order][1:] == column[order][:-1] for column in (block.time_us, block.camera, block.local_id)]
    repeated[1:] = same[0] & same[1] & same[2]
    return repeated


def cut(data: Tick, start_us: int, end_us: int, rows: slice, frames: slice) -> Tick:
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


NO_TICK = Tick(
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
