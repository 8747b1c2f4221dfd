"""Zone stays: a tracklet's foot point is inside a polygon, stamped at the first and last crossing of its border.

Debouncing decides whether somebody entered or left, never when (RETAIL: zone_visit).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.sights import KEY_STEP, Sights
from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import check_polygon
from retail_ray.core.records import ZoneVisit
from retail_ray.core.time import US_PER_S

_MAX_SPEED_M_S = 3.0
_JUMP_SLACK_M = 1.0


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """One zone: a polygon in floor metres (camera_id None, all calibrated cameras) or in one camera's pixels.

    Inside for `enter_after_s` is an entry, outside for `leave_after_s` an exit. Stays shorter than `min_dwell_s`
    are left out. A track unseen for at most `max_gap_s` is bridged; a step longer than `observed_step_s` counts
    as bridged time instead of observed time.
    """

    zone_id: str
    polygon: tuple[tuple[float, float], ...]
    camera_id: str | None = None
    enter_after_s: float = 0.5
    leave_after_s: float = 1.5
    min_dwell_s: float = 5.0
    max_gap_s: float = 10.0
    observed_step_s: float = 1.0

    def __post_init__(self) -> None:
        check_polygon(np.array(self.polygon, np.float64), f"zone '{self.zone_id}'")
        times = (self.enter_after_s, self.leave_after_s, self.min_dwell_s, self.max_gap_s, self.observed_step_s)
        if min(times) < 0:
            raise GeometryError(f"zone '{self.zone_id}': its times must not be negative, found {times}")


@dataclass(slots=True)
class _Guest:
    """One tracklet and this zone.

    time_us, x, y, inside: its last observation. border_us: the last crossing of the border, in the direction of
    `inside`, or the first observation. enter_us: start of the open stay, None where there is none.
    observed_us, bridged_us: time inside since border_us (not yet entered) or since the stay's start.
    outside_us, outside_bridged_us: of an excursion from an open stay, which joins the stay if the guest comes back.
    """

    time_us: int
    x: float
    y: float
    inside: bool
    border_us: int
    starts_inside: bool
    enter_us: int | None = None
    observed_us: int = 0
    bridged_us: int = 0
    outside_us: int = 0
    outside_bridged_us: int = 0


class Inside(NamedTuple):
    """Who is in one zone in a tick. sights: (N, Z), of which column `zone` says it of each sight. whole: tracklets that
    are inside -> whether they are all the time.
    """

    sights: NDArray[np.bool_]
    zone: int
    whole: dict[int, bool]


@dataclass(slots=True)
class Passing:
    """Last sights of everybody in one plane, for as long as somebody can go on from them."""

    max_gap_us: int
    ticks: deque[Sights] = field(default_factory=deque)

    def add(self, sights: Sights) -> None:
        self.ticks.append(sights)
        while self.ticks[0].end_us < sights.end_us - self.max_gap_us:
            self.ticks.popleft()

    def last(self, key: int) -> _Guest | None:
        """Somebody who was outside and had no open stay, when last seen."""
        return next((_passer(sights, key) for sights in reversed(self.ticks) if key in sights.spans), None)

    def everybody(self) -> dict[int, _Guest]:
        return {key: _passer(sights, key) for sights in self.ticks for key in sights.spans}


@dataclass(slots=True)
class ZoneTracker:
    """Stays of the tracklets of every camera that sees one zone; a stay comes out when it has ended.

    passing: what the zones of one plane share; whoever drives them adds each tick when all have worked it.
    """

    settings: ZoneSettings
    passing: Passing
    _guests: dict[int, _Guest] = field(default_factory=dict)
    _camera_ids: tuple[str, ...] = ()
    _edges: list[tuple[float, float, float, float]] = field(init=False)
    _max_gap_us: int = field(init=False)
    _step_us: int = field(init=False)

    def __post_init__(self) -> None:
        corners = np.array(self.settings.polygon, np.float64)
        edges = np.hstack([corners, np.concatenate((corners[1:], corners[:1])) - corners])
        self._edges = [(x, y, edge_x, edge_y) for x, y, edge_x, edge_y in edges.tolist()]
        self._max_gap_us = round(self.settings.max_gap_s * US_PER_S)
        self._step_us = min(self._max_gap_us, int(self.settings.observed_step_s * US_PER_S))

    def update(self, sights: Sights, inside: Inside, camera_ids: Sequence[str]) -> list[ZoneVisit]:
        """Work a tick's sights in the zone's plane; `camera_ids` are the sorted names that keys point into.

        Only guests who are inside, or have an open stay, are worked one by one; of all others the last sights do.
        """
        self._name_cameras(camera_ids)
        if not self._guests and not inside.whole:
            return []
        worked = [key for key in self._guests if key in sights.spans and key not in inside.whole]
        worked += inside.whole
        ended: list[ZoneVisit] = []
        for key in worked:
            self._work(key, sights, inside, ended)
        self._work_unseen(sights.end_us, ended)
        self._let_pass(worked)
        return sorted(ended, key=_order)

    def wake_us(self) -> int | None:
        """When the next unseen track gives up its stay."""
        last_us = min((guest.time_us for guest in self._guests.values() if guest.enter_us is not None), default=None)
        return None if last_us is None else last_us + self._max_gap_us + 1

    def finish(self) -> list[ZoneVisit]:
        """The data ends: open stays are closed at their last sight, censored."""
        ended: list[ZoneVisit] = []
        for key, guest in self._guests.items():
            self._close(key, guest, ended)
        self._guests = {}
        self.passing.ticks.clear()
        return sorted(ended, key=_order)

    def present(self) -> int:
        """Tracklets with an open stay; one person in two cameras counts twice."""
        return sum(guest.enter_us is not None for guest in self._guests.values())

    def open_since_us(self) -> int | None:
        """When the oldest open stay began; None where there is none."""
        return min((guest.enter_us for guest in self._guests.values() if guest.enter_us is not None), default=None)

    def state(self) -> Any:
        names = _Guest.__slots__
        guests = self.passing.everybody() | self._guests
        return [(self._name(key), *(getattr(guest, name) for name in names)) for key, guest in sorted(guests.items())]

    def restore(self, state: Any) -> None:
        self._camera_ids = tuple(sorted({camera_id for (camera_id, _), *_ in state}))
        self._guests = {
            self._camera_ids.index(camera_id) * KEY_STEP + local_id: _Guest(*values)
            for (camera_id, local_id), *values in state
        }
        self.passing.ticks.clear()

    def _name_cameras(self, camera_ids: Sequence[str]) -> None:
        """Keys hold the place of a camera's name; after `restore` that of fewer names."""
        if self._camera_ids == tuple(camera_ids):
            return
        named = {self._name(key): guest for key, guest in self._guests.items()}
        self._camera_ids = tuple(camera_ids)
        self._guests = {self._camera_ids.index(name) * KEY_STEP + i: guest for (name, i), guest in named.items()}

    def _name(self, key: int) -> tuple[str, int]:
        return self._camera_ids[key // KEY_STEP], key % KEY_STEP

    def _work(self, key: int, sights: Sights, inside: Inside, ended: list[ZoneVisit]) -> None:
        """All sights of one tracklet in a tick."""
        first, stop = sights.spans[key]
        last_us, whole = sights.times_us[stop - 1], inside.whole.get(key)
        guest = self._guests.get(key) or self.passing.last(key)
        if whole and guest is not None and guest.inside and last_us - guest.time_us <= self._step_us:
            guest.observed_us += last_us - guest.time_us
            guest.time_us, (guest.x, guest.y) = last_us, sights.places[stop - 1]
            if guest.enter_us is None:
                self._debounce(key, guest, ended)
            return
        rows = sights.times_us[first:stop], sights.places[first:stop], inside.sights[first:stop, inside.zone].tolist()
        for time_us, (x, y), is_in in zip(*rows, strict=True):
            if guest is not None and not self._follows(guest, time_us, x, y):
                self._close(key, guest, ended)
                guest = None
            if guest is None:
                guest = _Guest(time_us, x, y, is_in, time_us, is_in)
            else:
                self._step(key, guest, (time_us, x, y, is_in), ended)
        assert guest is not None
        self._guests[key] = guest

    def _let_pass(self, keys: Iterable[int]) -> None:
        """Keep nothing of those worked in this tick who are outside for good: their last sight does."""
        for key in keys:
            guest = self._guests.get(key)
            if guest is not None and not guest.inside and guest.enter_us is None:
                del self._guests[key]

    def _follows(self, guest: _Guest, time_us: int, x: float, y: float) -> bool:
        """Whether one person can have gone from the last sight to this one."""
        step_us = time_us - guest.time_us
        if step_us > self._max_gap_us:
            return False
        if self.settings.camera_id is not None or step_us <= self.settings.observed_step_s * US_PER_S:
            return True
        way_m = math.hypot(x - guest.x, y - guest.y)
        return way_m <= _MAX_SPEED_M_S * step_us / US_PER_S + _JUMP_SLACK_M

    def _step(self, key: int, guest: _Guest, seen: tuple[int, float, float, bool], ended: list[ZoneVisit]) -> None:
        time_us, x, y, inside = seen
        step_us = time_us - guest.time_us
        bridged = step_us > self.settings.observed_step_s * US_PER_S
        if inside == guest.inside:
            self._spend(guest, step_us, bridged=bridged)
        else:
            before_us = round(step_us * self._border_share((guest.x, guest.y), (x, y)))
            self._spend(guest, before_us, bridged=bridged)
            self._cross(guest, guest.time_us + before_us, inside=inside)
            self._spend(guest, step_us - before_us, bridged=bridged)
        guest.time_us, guest.x, guest.y = time_us, x, y
        self._debounce(key, guest, ended)

    def _spend(self, guest: _Guest, span_us: int, *, bridged: bool) -> None:
        if guest.inside:
            guest.bridged_us += span_us if bridged else 0
            guest.observed_us += 0 if bridged else span_us
        elif guest.enter_us is not None:
            guest.outside_bridged_us += span_us if bridged else 0
            guest.outside_us += 0 if bridged else span_us

    def _cross(self, guest: _Guest, border_us: int, *, inside: bool) -> None:
        guest.inside, guest.border_us = inside, border_us
        if guest.enter_us is None:
            guest.observed_us = guest.bridged_us = 0
            guest.starts_inside = False
        elif inside:
            # Back before it counted as an exit: the excursion belongs to the stay.
            guest.observed_us += guest.outside_us
            guest.bridged_us += guest.outside_bridged_us
        guest.outside_us = guest.outside_bridged_us = 0

    def _debounce(self, key: int, guest: _Guest, ended: list[ZoneVisit]) -> None:
        lasted_us = guest.time_us - guest.border_us
        if guest.enter_us is None:
            if guest.inside and lasted_us >= self.settings.enter_after_s * US_PER_S:
                guest.enter_us = guest.border_us
        elif not guest.inside and lasted_us >= self.settings.leave_after_s * US_PER_S:
            self._close(key, guest, ended)

    def _close(self, key: int, guest: _Guest, ended: list[ZoneVisit]) -> None:
        """End the stay at the border if the guest was last seen outside, else where it was last seen."""
        if guest.enter_us is not None:
            exit_us = guest.time_us if guest.inside else guest.border_us
            if exit_us - guest.enter_us >= self.settings.min_dwell_s * US_PER_S:
                observed_s, bridged_s = guest.observed_us / US_PER_S, guest.bridged_us / US_PER_S
                censored = guest.starts_inside or guest.inside
                ended.append(
                    ZoneVisit(
                        self.settings.zone_id,
                        *self._name(key),
                        guest.enter_us,
                        exit_us,
                        observed_s,
                        bridged_s,
                        censored,
                    )
                )
        guest.enter_us = None
        guest.observed_us = guest.bridged_us = guest.outside_us = guest.outside_bridged_us = 0

    def _work_unseen(self, now_us: int, ended: list[ZoneVisit]) -> None:
        for key, guest in list(self._guests.items()):
            if now_us - guest.time_us > self._max_gap_us:
                self._close(key, guest, ended)
                del self._guests[key]

    def _border_share(self, start: tuple[float, float], end: tuple[float, float]) -> float:
        """Share of the way from `start` to `end` at which it meets the polygon's border; half where it only grazes."""
        way_x, way_y = end[0] - start[0], end[1] - start[1]
        found = []
        for x, y, edge_x, edge_y in self._edges:
            parallel = way_x * edge_y - way_y * edge_x
            if parallel == 0:
                continue
            offset_x, offset_y = x - start[0], y - start[1]
            share = (offset_x * edge_y - offset_y * edge_x) / parallel
            on_edge = (offset_x * way_y - offset_y * way_x) / parallel
            if 0 <= share <= 1 and -1e-9 <= on_edge <= 1 + 1e-9:
                found.append(share)
        found.sort()
        return (found[(len(found) - 1) // 2] + found[len(found) // 2]) / 2 if found else 0.5


def _passer(sights: Sights, key: int) -> _Guest:
    """Whoever was last seen so, outside and without an open stay."""
    row = sights.spans[key][1] - 1
    time_us, (x, y) = sights.times_us[row], sights.places[row]
    return _Guest(time_us, x, y, inside=False, border_us=time_us, starts_inside=False)


def _order(visit: ZoneVisit) -> tuple[int, str, int, int]:
    return visit.exit_us, visit.camera_id, visit.local_id, visit.enter_us
