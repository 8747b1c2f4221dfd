"""Counting lines: a tracklet's lower end completes a crossing from one side to the other (RETAIL: line_in, line_out).

A line belongs to one camera and counts that camera's tracklets, never identities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import along, signed_distance
from retail_ray.core.records import LineCrossing
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import US_PER_S

_DEFAULT_BAND = {"px": 10.0, "floor": 0.3}
_EXTENT_TOLERANCE = 0.02
_UNSEEN_FINAL_US = 3 * US_PER_S
_FORGET_US = 60 * US_PER_S
# Somebody whose tracklet ended is who turns up near by in the same camera so soon, as far as people get.
_SAME_WITHIN_US = 3 * US_PER_S // 2
_REACH_M, _REACH_M_S = 0.8, 2.0
_UNIT_PER_M = {"px": 10.0 / 0.3, "floor": 1.0}
_INSIDE, _UNKNOWN, _OUTSIDE = 1, 0, -1


@dataclass(frozen=True, slots=True)
class LineSettings:
    """One counting line, drawn in a camera's native pixels or in floor metres.

    inside_point: any point on the inner side. dead_band: distance that must be passed on both sides (None: 10 px or
    0.3 m). min_frames: frames needed on each side, one of them beyond the band. min_inside_s: a tracklet that comes
    back over the line sooner has turned back, and neither crossing counts.
    """

    line_id: str
    camera_id: str
    start: tuple[float, float]
    end: tuple[float, float]
    inside_point: tuple[float, float]
    space: Literal["px", "floor"] = "px"
    dead_band: float | None = None
    min_frames: int = 3
    min_inside_s: float = 2.0

    def __post_init__(self) -> None:
        points = np.array([self.start, self.end, self.inside_point], np.float64)
        if not np.isfinite(points).all():
            raise GeometryError(f"line '{self.line_id}': its points must be finite numbers")
        if np.hypot(*(points[1] - points[0])) < 1e-9:
            raise GeometryError(f"line '{self.line_id}': start and end are the same point {self.start}")
        if abs(float(signed_distance(points[0], points[1], points[2:])[0])) < 1e-9:
            raise GeometryError(f"line '{self.line_id}': inside_point {self.inside_point} lies on the line itself")
        if self.band < 0 or self.min_frames < 1 or self.min_inside_s < 0:
            raise GeometryError(
                f"line '{self.line_id}': dead_band and min_inside_s must not be negative and min_frames at least 1, "
                f"found {self.dead_band}, {self.min_inside_s}, {self.min_frames}"
            )

    @property
    def band(self) -> float:
        return _DEFAULT_BAND[self.space] if self.dead_band is None else self.dead_band


@dataclass(slots=True)
class _Walker:
    """One tracklet and this line. side: the last one with enough frames. candidate, frames: the one in the making;
    beyond: whether the band was left on it.

    zero_us, zero_along: the last time and place its path met the line. pending: a crossing that may yet be undone,
    as (time_us, direction of the new side, tracklet that was seen to cross).
    """

    time_us: int
    distance: float
    along: float
    side: int = _UNKNOWN
    candidate: int = _UNKNOWN
    frames: int = 0
    beyond: bool = False
    zero_us: int = 0
    zero_along: float = 0.0
    pending: tuple[int, int, int] | None = None


@dataclass(slots=True)
class LineCounter:
    """Counts one line. A crossing comes out when it is final: `min_inside_s` later, or when the track is lost.

    A turn-back (there and back across the line within `min_inside_s`, in either direction) comes out as two
    crossings marked `turned_back`, which do not count.
    """

    settings: LineSettings
    _walkers: dict[int, _Walker] = field(default_factory=dict)

    def update(self, ticks: Ticks, camera: int) -> list[list[LineCrossing]]:
        """What became final in each tick; `camera` is the place of the line's own among the names."""
        seen = self._seen(ticks, camera)
        found: list[list[LineCrossing]] = []
        for rows, end_us in zip(seen, ticks.end_us.tolist(), strict=True):
            final: list[LineCrossing] = []
            for local_id, time_us, distance, position in rows:
                self._work(local_id, (time_us, distance, position), final)
            if self._walkers:
                self._work_unseen(end_us, final)
            found.append(sorted(final, key=_order))
        return found

    def wake_us(self) -> int | None:
        """When the next lost track makes a crossing final."""
        waiting = (walker.time_us for walker in self._walkers.values() if walker.pending)
        last_us = min(waiting, default=None)
        return None if last_us is None else last_us + _UNSEEN_FINAL_US

    def finish(self) -> list[LineCrossing]:
        """The data ends: what waits is final."""
        final: list[LineCrossing] = []
        for walker in self._walkers.values():
            self._settle(walker, final)
        return sorted(final, key=_order)

    def state(self) -> Any:
        names = _Walker.__slots__
        return [(local_id, *(getattr(walker, name) for name in names)) for local_id, walker in self._walkers.items()]

    def restore(self, state: Any) -> None:
        self._walkers = {local_id: _Walker(*values) for local_id, *values in state}

    def _seen(self, ticks: Ticks, camera: int) -> list[list[tuple[int, int, float, float]]]:
        """The camera's known places in each tick: (local id, time_us, distance, position along the line)."""
        data = ticks.data
        points = data.edge_px if self.settings.space == "px" else data.edge_xy_m
        rows = np.flatnonzero((data.camera == camera) & np.isfinite(points[:, 0]))
        distances, positions = self._measure(points[rows].astype(np.float64))
        columns = data.local_id[rows].tolist(), data.time_us[rows].tolist(), distances.tolist(), positions.tolist()
        places = list(zip(*columns, strict=True))
        begins = ticks.begins(ticks.number(data.time_us[rows]))
        return [places[first:stop] for first, stop in pairwise(begins)]

    def _work(self, local_id: int, seen: tuple[int, float, float], final: list[LineCrossing]) -> None:
        walker = self._walkers.get(local_id)
        if walker is None:
            walker = self._walkers[local_id] = self._gone_on(*seen) or _Walker(*seen)
        self._step(local_id, walker, seen, final)

    def _gone_on(self, time_us: int, distance: float, position: float) -> _Walker | None:
        """The walker whose tracklet ended just now and here, and goes on as a new one; of several the nearest.

        A crossing in the gap is stamped with the time at which the new tracklet is first seen.
        """
        unit = _UNIT_PER_M[self.settings.space]
        length = float(np.hypot(*np.subtract(self.settings.end, self.settings.start)))
        near: list[tuple[float, int]] = []
        for local_id, walker in self._walkers.items():
            gap_us = time_us - walker.time_us
            way = float(np.hypot(distance - walker.distance, (position - walker.along) * length))
            if 0 < gap_us <= _SAME_WITHIN_US and way <= unit * (_REACH_M + _REACH_M_S * gap_us / US_PER_S):
                near.append((way, local_id))
        if not near:
            return None
        walker = self._walkers.pop(min(near)[1])
        walker.time_us = time_us
        return walker

    def _measure(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) distances, positive inside, and (N,) positions along the line from 0 to 1."""
        s = self.settings
        start, end, inside = np.array(s.start), np.array(s.end), np.array([s.inside_point])
        sign = np.sign(signed_distance(start, end, inside)[0])
        return signed_distance(start, end, points) * sign, along(start, end, points)

    def _step(self, local_id: int, walker: _Walker, seen: tuple[int, float, float], final: list[LineCrossing]) -> None:
        time_us, distance, position = seen
        if (distance >= 0) != (walker.distance >= 0):
            share = walker.distance / (walker.distance - distance)
            walker.zero_us = walker.time_us + round((time_us - walker.time_us) * share)
            walker.zero_along = walker.along + (position - walker.along) * share
        walker.time_us, walker.distance, walker.along = time_us, distance, position
        now_on = _INSIDE if distance >= 0 else _OUTSIDE
        if now_on != walker.candidate:
            walker.candidate, walker.frames, walker.beyond = now_on, 0, False
        walker.frames += 1
        walker.beyond = walker.beyond or abs(distance) > self.settings.band
        if walker.side != now_on and walker.beyond and walker.frames >= self.settings.min_frames:
            self._change_side(local_id, walker, now_on, final)
        self._settle_if_final(walker, final)

    def _change_side(self, local_id: int, walker: _Walker, side: int, final: list[LineCrossing]) -> None:
        came_from, walker.side = walker.side, side
        within = -_EXTENT_TOLERANCE <= walker.zero_along <= 1 + _EXTENT_TOLERANCE
        if came_from == _UNKNOWN or not within:
            return
        pending = walker.pending
        # Another tracklet that is here so soon is rather somebody who comes while the first one goes.
        if pending is not None and pending[2] != local_id:
            self._settle(walker, final)
            pending = None
        if pending is None:
            walker.pending = (walker.zero_us, side, local_id)
        elif walker.zero_us - pending[0] < self.settings.min_inside_s * US_PER_S:
            walker.pending = None
            final.append(self._crossing(*pending, turned_back=True))
            final.append(self._crossing(walker.zero_us, side, local_id, turned_back=True))
        else:
            self._settle(walker, final)
            walker.pending = (walker.zero_us, side, local_id)

    def _settle_if_final(self, walker: _Walker, final: list[LineCrossing]) -> None:
        """A later turn-back would meet the line after now, so once that is too late the crossing stands."""
        if walker.pending is None:
            return
        crossed_us, side, _ = walker.pending
        still_there = (walker.distance >= 0) == (side == _INSIDE)
        if still_there and walker.time_us - crossed_us >= self.settings.min_inside_s * US_PER_S:
            self._settle(walker, final)

    def _settle(self, walker: _Walker, final: list[LineCrossing]) -> None:
        if walker.pending is not None:
            final.append(self._crossing(*walker.pending, turned_back=False))
            walker.pending = None

    def _work_unseen(self, now_us: int, final: list[LineCrossing]) -> None:
        for local_id, walker in list(self._walkers.items()):
            unseen_us = now_us - walker.time_us
            if unseen_us >= _UNSEEN_FINAL_US:
                self._settle(walker, final)
            if unseen_us >= _FORGET_US:
                del self._walkers[local_id]

    def _crossing(self, time_us: int, side: int, local_id: int, *, turned_back: bool) -> LineCrossing:
        s = self.settings
        direction: Literal["in", "out"] = "in" if side == _INSIDE else "out"
        return LineCrossing(s.line_id, s.camera_id, local_id, time_us, direction, turned_back)


def _order(crossing: LineCrossing) -> tuple[int, int, str]:
    return crossing.time_us, crossing.local_id, crossing.direction
