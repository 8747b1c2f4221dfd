"""Zone stays: a tracklet's foot point is inside a polygon, stamped at the first and last crossing of its border.

Debouncing decides whether somebody entered or left, never when (RETAIL: zone_visit).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.areas import Polygons
from retail_ray.analytics.sights import KEY_STEP, Sights, pixel_sights
from retail_ray.analytics.zone_guests import GUEST, NEVER_US, RULES, SEEN, Stay, close_all, work
from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import check_polygon
from retail_ray.core.records import ZoneVisit
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import US_PER_S


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


class Zones:
    """Stays in every zone of a site; a stay comes out when it has ended."""

    def __init__(self, zones: Sequence[ZoneSettings]) -> None:
        self.zone_ids = sorted(zone.zone_id for zone in zones)
        self._planes = [
            _Plane(camera_id, [zone for zone in zones if zone.camera_id == camera_id])
            for camera_id in sorted({zone.camera_id for zone in zones}, key=lambda name: (name is not None, name))
        ]

    def update(
        self, ticks: Ticks, on_floor: Sights, camera_ids: Sequence[str], *, with_levels: bool = False
    ) -> list[ZoneVisit]:
        """Stays that ended, by tick, then zone; `camera_ids` are the sorted names that keys point into. with_levels:
        note for `levels` what holds at the end of each tick."""
        ended: list[tuple[int, ZoneVisit]] = []
        for plane in self._planes:
            of_camera = plane.camera_id is not None
            sights = pixel_sights(ticks, camera_ids.index(plane.camera_id)) if of_camera else on_floor
            ended += plane.update(sights, camera_ids, len(ticks) if with_levels else 0)
        return [visit for _, visit in sorted(ended, key=_order)]

    def wake_us(self) -> int | None:
        """When the next unseen track gives up its stay."""
        wakes = [plane.wake_us() for plane in self._planes]
        return min((wake for wake in wakes if wake is not None), default=None)

    def finish(self, camera_ids: Sequence[str]) -> list[ZoneVisit]:
        """The data ends: open stays are closed at their last sight, censored."""
        ended = [stay for plane in self._planes for stay in plane.finish(camera_ids)]
        return [visit for _, visit in sorted(ended, key=_order)]

    def present(self) -> dict[str, int]:
        """Tracklets with an open stay in each zone; one person in two cameras counts twice."""
        found = {zone_id: n for plane in self._planes for zone_id, n in plane.present().items()}
        return {zone_id: found[zone_id] for zone_id in self.zone_ids}

    def levels(self, tick: int) -> dict[str, tuple[int, int | None]]:
        """Of each zone, at the end of a tick of the last update: open stays, and when the oldest of them began."""
        found = {zone_id: level for plane in self._planes for zone_id, level in plane.levels(tick)}
        return {zone_id: found[zone_id] for zone_id in self.zone_ids}

    def state(self) -> Any:
        return [plane.state() for plane in self._planes]

    def restore(self, state: Any) -> None:
        for plane, saved in zip(self._planes, state, strict=True):
            plane.restore(saved)


class _Plane:
    """Zones drawn on the floor, camera_id None, or in one camera's pixels; what is known of K tracklets by their keys.

    _guests: (K, Z). _seen: (K,) their last sights, for as long as somebody can go on from them.
    """

    def __init__(self, camera_id: str | None, zones: Sequence[ZoneSettings]) -> None:
        self.camera_id = camera_id
        self._zones = sorted(zones, key=lambda zone: zone.zone_id)
        corners = [np.array(zone.polygon, np.float64) for zone in self._zones]
        self._polygons = Polygons(corners)
        self._rules = np.array([_rules(zone) for zone in self._zones], RULES)
        self._edges = np.zeros((len(corners), max(map(len, corners)), 4))
        for edges, own in zip(self._edges, corners, strict=True):
            edges[: len(own)] = np.hstack([own, np.roll(own, -1, axis=0) - own])
        self._key = np.zeros(0, np.int64)
        self._guests = np.zeros((0, len(self._zones)), GUEST)
        self._seen = np.zeros(0, SEEN)
        self._levels = np.zeros((2, 0, len(self._zones)), np.int64)

    def update(self, sights: Sights, camera_ids: Sequence[str], levels: int) -> list[tuple[int, ZoneVisit]]:
        """Stays that ended, each with the number of its tick; levels: of how many ticks to note them."""
        self._make_room(sights.key)
        self._levels = np.empty((2, levels, len(self._zones)), np.int64)
        ended = work(
            sights.first, np.searchsorted(self._key, sights.key), sights.points, sights.time_us,
            self._polygons.inside(sights.points), self._guests, self._seen, self._rules, self._edges, sights.end_us,
            sights.tick_us, self._levels,
        )  # fmt: skip
        found = [(stay[0], self._visit(stay, camera_ids)) for stay in ended]
        longest_us = self._rules["max_gap_us"].max()
        self._keep(self._guests["known"].any(axis=1) | (self._seen["time_us"] >= sights.end_us[-1] - longest_us))
        return found

    def wake_us(self) -> int | None:
        gone_us = self._guests["time_us"] + self._rules["max_gap_us"] + 1
        return int(gone_us[self._has_entered].min()) if self._has_entered.any() else None

    def finish(self, camera_ids: Sequence[str]) -> list[tuple[int, ZoneVisit]]:
        ended = [(0, self._visit(stay, camera_ids)) for stay in close_all(self._guests, self._rules)]
        self._keep(np.zeros(len(self._key), np.bool_))
        return ended

    def present(self) -> dict[str, int]:
        return dict(zip(self._names, self._has_entered.sum(axis=0).tolist(), strict=True))

    def levels(self, tick: int) -> Iterator[tuple[str, tuple[int, int | None]]]:
        for zone_id, present, since_us in zip(self._names, *self._levels[:, tick].tolist(), strict=True):
            yield zone_id, (present, since_us if present else None)

    def state(self) -> Any:
        """As of now, in order of the keys."""
        return self._key.tolist(), self._guests.tolist(), self._seen.tolist()

    def restore(self, state: Any) -> None:
        key, guests, seen = state
        self._key = np.array(key, np.int64)
        self._guests = np.array(guests, GUEST).reshape(len(key), len(self._zones))
        self._seen = np.array(seen, SEEN)

    @property
    def _names(self) -> list[str]:
        return [zone.zone_id for zone in self._zones]

    @property
    def _has_entered(self) -> NDArray[np.bool_]:
        return np.asarray(self._guests["known"] & (self._guests["enter_us"] != NEVER_US))

    def _make_room(self, keys: NDArray[np.int64]) -> None:
        """Nobody is known of those who were not seen before."""
        key = np.union1d(self._key, keys)
        place = np.searchsorted(key, self._key)
        guests, seen = np.zeros((len(key), len(self._zones)), GUEST), np.zeros(len(key), SEEN)
        seen["time_us"] = NEVER_US
        guests[place], seen[place] = self._guests, self._seen
        self._key, self._guests, self._seen = key, guests, seen

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._key, self._guests, self._seen = self._key[kept], self._guests[kept], self._seen[kept]
        self._guests[~self._guests["known"]] = np.zeros((), GUEST)

    def _visit(self, stay: Stay, camera_ids: Sequence[str]) -> ZoneVisit:
        _, zone, place, enter_us, exit_us, observed_us, bridged_us, censored = stay
        camera, local_id = divmod(int(self._key[place]), KEY_STEP)
        spent_s = observed_us / US_PER_S, bridged_us / US_PER_S
        zone_id = self._zones[zone].zone_id
        return ZoneVisit(zone_id, camera_ids[camera], local_id, enter_us, exit_us, *spent_s, bool(censored))


def _rules(zone: ZoneSettings) -> tuple[float | bool, ...]:
    """The fields of RULES."""
    times_us = (zone.enter_after_s, zone.leave_after_s, zone.min_dwell_s, zone.observed_step_s)
    gap_us = round(zone.max_gap_s * US_PER_S)
    return (len(zone.polygon), gap_us, *(time_s * US_PER_S for time_s in times_us), zone.camera_id is None)


def _order(ended: tuple[int, ZoneVisit]) -> tuple[int, str, int, str, int, int]:
    tick, visit = ended
    return tick, visit.zone_id, visit.exit_us, visit.camera_id, visit.local_id, visit.enter_us
