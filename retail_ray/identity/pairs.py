"""The tracklets in memory as arrays, and what the floor has said so far about every pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import Flags, Floats, in_turn, same_place, too_fast
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.transit import Transit, Ways

Rows = NDArray[np.intp]
_FIRST_CAPACITY = 64
# So far above what ticks say that never agree, two tracklets were in one place for a while.
_AGREED_NATS = 0.5


class PairTable:
    """Rows are tracklets in order of their first sight; pairs are dense matrices, for speed and simplicity.

    camera, first_us, last_us: (N,) int64. first, last: (N, 6) places (time_us, x_m, y_m, xx, xy, yy), NaN where
    unknown. floor: (N, N) float32, sum of the ticks' evidence. ticks: (N, N) int32, how many were compared; within one
    camera, how many both were seen in at once. Of doubted cameras the floor says nothing about others.
    """

    def __init__(self, settings: GallerySettings, cameras: int) -> None:
        self._settings = settings
        # What a tick says of two who are nowhere near each other.
        self._apart_nats = float(np.log(max(settings.outlier_share, 1e-6)))
        self._doubted = np.zeros(cameras, np.bool_)
        self._count = 0
        self._allocate(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return self._count

    @property
    def camera(self) -> NDArray[np.int64]:
        return self._camera[: self._count]

    @property
    def first_us(self) -> NDArray[np.int64]:
        return self._spans[: self._count, 0]

    @property
    def last_us(self) -> NDArray[np.int64]:
        return self._spans[: self._count, 1]

    @property
    def first(self) -> Floats:
        return self._places[: self._count, 0]

    @property
    def last(self) -> Floats:
        return self._places[: self._count, 1]

    @property
    def ticks(self) -> NDArray[np.int32]:
        return self._ticks[: self._count, : self._count]

    def doubt(self, cameras: Flags) -> None:
        """(C,) cameras that are doubted from now on. What was said while one was is forgotten when it no longer is."""
        cleared = (self._doubted & ~cameras)[self.camera]
        across = (cleared[:, None] | cleared[None]) & (self.camera[:, None] != self.camera[None])
        self._floor[: self._count, : self._count][across] = 0
        self._ticks[: self._count, : self._count][across] = 0
        self._doubted = cameras.copy()

    def is_doubted(self, rows: Rows) -> Flags:
        """(T,) whether their cameras are doubted."""
        return np.asarray(self._doubted[self._camera[rows]])

    def add(self, camera: int, first_us: int) -> int:
        """A new row at the end; gives its number."""
        if self._count == len(self._camera):
            self._grow()
        row, self._count = self._count, self._count + 1
        self._camera[row] = camera
        self._spans[row] = first_us
        self._places[row] = np.nan
        return row

    def see(self, rows: Rows, spans_us: NDArray[np.int64], places: Floats) -> None:
        """One tick: rows that were seen in it, (T, 2) from when to when, and where (T, 6)."""
        first_us, last_us = spans_us.T
        self._spans[rows, 1] = last_us
        known = np.isfinite(places[:, 1])
        fresh = known & ~np.isfinite(self._places[rows, 0, 0])
        self._places[rows[fresh], 0] = places[fresh]
        self._places[rows[known], 1] = places[known]
        block = np.ix_(rows, rows)
        same_camera = self._camera[rows, None] == self._camera[rows]
        # One tracklet that takes over from another within a tick was not seen beside it.
        at_once = (first_us[:, None] <= last_us[None]) & (first_us[None] <= last_us[:, None])
        compared = np.where(same_camera, at_once, known[:, None] & known[None])
        if not compared.any():
            return
        evidence = same_place(places[:, 1:], places[:, 1:], self._settings)
        # Who has no place beside somebody of the same camera has another one.
        evidence = np.where(known[:, None] & known[None], evidence, self._apart_nats)
        self._floor[block] += np.where(compared, evidence, 0.0).astype(np.float32)
        self._ticks[block] += compared

    def keep(self, rows: Rows) -> None:
        """Only these rows stay, in their order; they are numbered anew."""
        block = np.ix_(rows, rows)
        camera, spans, places = self._camera[rows], self._spans[rows], self._places[rows]
        floor, ticks = self._floor[block], self._ticks[block]
        self._allocate(max(_FIRST_CAPACITY, 2 * len(rows)))
        self._count = count = len(rows)
        self._camera[:count], self._spans[:count], self._places[:count] = camera, spans, places
        self._floor[:count, :count], self._ticks[:count, :count] = floor, ticks

    def floor_evidence(self, rows: Rows) -> Floats:
        """(T, N) nats of all ticks that were compared; 0 where there was none.

        Ticks are alike: a foot that is hidden stays so, and who walks together keeps doing it. So the mean tick counts,
        a little more with their number, and `place_lenience` on top, unless they were never in one place. Two tracklets
        that one camera sees at once and apart are two people; in one place they are a doubled box, or people who hide
        each other.
        """
        count = self.ticks[rows].astype(np.float64)
        mean = np.divide(self._floor[rows, : self._count], count, out=np.zeros_like(count), where=count > 0)
        worth = 1.0 + self._settings.tick_weight * np.log2(np.maximum(count, 1.0))
        agreed = np.clip((mean - self._apart_nats) / _AGREED_NATS, 0.0, 1.0)
        said = mean * worth + self._settings.place_lenience * agreed
        same_camera = self.camera[rows, None] == self.camera[None]
        at_once = np.clip(said - self._settings.concurrent_cost, -self._settings.concurrent_limit, 0.0)
        across = np.clip(said, -self._settings.floor_doubt, self._settings.floor_limit)
        known = self._comparable(rows) & (count > 0)
        return np.asarray(np.round(np.where(known, np.where(same_camera, at_once, across), 0.0), 4), np.float64)

    def ways(self, row: int, others: Rows) -> Ways:
        """Between a row and M others, from the end of the earlier one to the beginning of the later one."""
        later = self.first_us[row] > self.last_us[others]
        left_m = np.where(later[:, None], self.last[others, 1:3], self.last[row, 1:3])
        came_m = np.where(later[:, None], self.first[row, 1:3], self.first[others, 1:3])
        gap_us = np.where(later, self.first_us[row] - self.last_us[others], self.first_us[others] - self.last_us[row])
        return Ways(left_m, came_m, np.maximum(gap_us, 0) / US_PER_S)

    def turns(self, rows: Rows, area_m2: float, transit: Transit) -> tuple[Floats, Floats, Flags]:
        """(T, N) seconds between two sightings, 0 where they were at once; evidence of the way between; too fast."""
        ours_later = self.first_us[rows, None] > self.last_us[None]
        gap_us = np.where(
            ours_later, self.first_us[rows, None] - self.last_us[None], self.first_us[None] - self.last_us[rows, None]
        )
        gap_s = np.maximum(gap_us, 0) / US_PER_S
        first, last = (np.column_stack([p[:, 1:3], 0.5 * (p[:, 3] + p[:, 5])]) for p in (self.first, self.last))
        begin = [np.where(ours_later, first[rows, k, None], first[None, :, k]) for k in range(3)]
        end = [np.where(ours_later, last[None, :, k], last[rows, k, None]) for k in range(3)]
        distance_m = np.hypot(begin[0] - end[0], begin[1] - end[1])
        known = np.isfinite(distance_m) & (gap_s > 0) & self._comparable(rows)
        between = gap_s[known], distance_m[known], (begin[2] + end[2])[known]
        way, fast = np.zeros(known.shape), np.zeros(known.shape, np.bool_)
        left_m, came_m = (np.stack([side[0][known], side[1][known]], axis=1) for side in (end, begin))
        by_distance = in_turn(*between, area_m2, self._settings) - self._settings.absence_cost * np.log1p(between[0])
        way[known] = np.round(transit.evidence(Ways(left_m, came_m, gap_s[known]), by_distance), 4)
        fast[known] = too_fast(*between, self._settings)
        return np.asarray(gap_s, np.float64), way, fast

    def _comparable(self, rows: Rows) -> Flags:
        """(T, N) whether places of both may be compared: of one camera, or of two that are trusted."""
        trusted = ~self._doubted[self.camera]
        both = trusted[rows, None] & trusted[None]
        return np.asarray(both | (self.camera[rows, None] == self.camera[None]))

    def state(self) -> tuple[Any, ...]:
        count = self._count
        columns = (self._camera[:count], self._spans[:count], self._places[:count])
        matrices = (self._floor[:count, :count], self._ticks[:count, :count])
        return count, *(array.tobytes() for array in (self._doubted, *columns, *matrices))

    def restore(self, state: Sequence[Any]) -> None:
        count, doubted, camera, spans, places, floor, ticks = state
        self._doubted = np.frombuffer(doubted, np.bool_)
        self._allocate(max(_FIRST_CAPACITY, 2 * count))
        self._count = count
        self._camera[:count] = np.frombuffer(camera, np.int64)
        self._spans[:count] = np.frombuffer(spans, np.int64).reshape(count, 2)
        self._places[:count] = np.frombuffer(places, np.float64).reshape(count, 2, 6)
        self._floor[:count, :count] = np.frombuffer(floor, np.float32).reshape(count, count)
        self._ticks[:count, :count] = np.frombuffer(ticks, np.int32).reshape(count, count)

    def _allocate(self, capacity: int) -> None:
        self._camera = np.zeros(capacity, np.int64)
        self._spans = np.zeros((capacity, 2), np.int64)
        self._places = np.full((capacity, 2, 6), np.nan)
        self._floor = np.zeros((capacity, capacity), np.float32)
        self._ticks = np.zeros((capacity, capacity), np.int32)

    def _grow(self) -> None:
        state = self.state()
        self.restore(state)
