"""All zones of a site in one tick: who is inside which is asked once for all zones of a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.areas import Polygons
from retail_ray.analytics.sights import Sights, pixel_sights
from retail_ray.analytics.zones import Inside, Passing, ZoneSettings, ZoneTracker
from retail_ray.core.event_time import Tick
from retail_ray.core.records import ZoneVisit
from retail_ray.core.time import US_PER_S


@dataclass(frozen=True, slots=True)
class _Plane:
    """Zones drawn on the floor, camera_id None, or in one camera's pixels."""

    camera_id: str | None
    trackers: list[ZoneTracker]
    polygons: Polygons
    passing: Passing

    def who_is_inside(self, sights: Sights) -> list[Inside]:
        """Of each zone."""
        inside = self.polygons.inside(sights.points)
        found: list[dict[int, bool]] = [{} for _ in self.trackers]
        if inside.any():
            some = np.logical_or.reduceat(inside, sights.first, axis=0)
            whole = np.logical_and.reduceat(inside, sights.first, axis=0)
            tracklets, zones = np.nonzero(some)
            columns: tuple[NDArray[np.generic], ...] = (sights.key[tracklets], zones, whole[tracklets, zones])
            for key, zone, all_the_time in zip(*(column.tolist() for column in columns), strict=True):
                found[zone][key] = all_the_time
        return [Inside(inside, zone, whole_of) for zone, whole_of in enumerate(found)]


class Zones:
    """Stays in every zone of a site; `trackers` are sorted by the zones' names."""

    def __init__(self, zones: Sequence[ZoneSettings]) -> None:
        self._planes = [
            _plane(camera_id, [zone for zone in zones if zone.camera_id == camera_id])
            for camera_id in dict.fromkeys(zone.camera_id for zone in zones)
        ]
        trackers = [tracker for plane in self._planes for tracker in plane.trackers]
        self.trackers = sorted(trackers, key=lambda tracker: tracker.settings.zone_id)

    def update(self, tick: Tick, on_floor: Sights, camera_ids: Sequence[str]) -> list[ZoneVisit]:
        """Work one tick; `camera_ids` are the sorted names that `tick.camera` points into. Stays in order of zone."""
        ended: dict[str, list[ZoneVisit]] = {}
        for plane in self._planes:
            camera_id = plane.camera_id
            sights = on_floor if camera_id is None else pixel_sights(tick, camera_ids.index(camera_id))
            for tracker, inside in zip(plane.trackers, plane.who_is_inside(sights), strict=True):
                ended[tracker.settings.zone_id] = tracker.update(sights, inside, camera_ids)
            plane.passing.add(sights)
        return [visit for zone_id in sorted(ended) for visit in ended[zone_id]]

    def wake_us(self) -> int | None:
        """When the next unseen track gives up its stay."""
        wakes = [tracker.wake_us() for tracker in self.trackers]
        return min((wake for wake in wakes if wake is not None), default=None)

    def finish(self) -> list[ZoneVisit]:
        """The data ends: open stays are closed at their last sight, censored."""
        return [visit for tracker in self.trackers for visit in tracker.finish()]


def _plane(camera_id: str | None, zones: Sequence[ZoneSettings]) -> _Plane:
    passing = Passing(round(max(zone.max_gap_s for zone in zones) * US_PER_S))
    polygons = Polygons([np.array(zone.polygon, np.float64) for zone in zones])
    return _Plane(camera_id, [ZoneTracker(zone, passing) for zone in zones], polygons, passing)
