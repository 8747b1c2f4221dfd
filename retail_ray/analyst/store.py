"""The store that a lake is about: its clock and its geometry, as the lake itself has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.time import BusinessDay
from retail_ray.lake.views import Lake

Corners = NDArray[np.float64]
_NEWEST: Final = "SELECT * FROM sites WHERE site_id = $site ORDER BY time DESC, run_id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Camera:
    """recorded_at: begin of its recording, None for a live camera."""

    id: str
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Zone:
    """corners_m: (N, 2) on the floor; None for a zone that is drawn on a camera's picture."""

    id: str
    name: str
    corners_m: Corners | None


@dataclass(frozen=True, slots=True)
class Lane:
    """way_m: (N, 2) from tail to head; service_m: (N, 2) corners of the service area."""

    id: str
    way_m: Corners
    service_m: Corners


@dataclass(frozen=True, slots=True)
class CountingLine:
    """ends: (2, 2), inside: (2,), in metres of the floor where on_floor, else in native pixels of its camera."""

    id: str
    camera_id: str
    on_floor: bool
    ends: Corners
    inside: Corners


@dataclass(frozen=True, slots=True)
class Store:
    """Geometry of the newest version of the site's settings; older days may have been measured with another."""

    site_id: str
    name: str
    day: BusinessDay
    cameras: tuple[Camera, ...]
    zones: tuple[Zone, ...]
    lanes: tuple[Lane, ...]
    lines: tuple[CountingLine, ...]

    @property
    def timezone(self) -> str:
        return self.day.timezone

    @property
    def camera_ids(self) -> tuple[str, ...]:
        return tuple(camera.id for camera in self.cameras)

    def zone_name(self, zone_id: str) -> str:
        return next((zone.name for zone in self.zones if zone.id == zone_id), zone_id)


def read_store(lake: Lake, site_id: str | None = None) -> Store:
    """The lake's only store, or the named one. LakeError where nothing is committed, QueryError for a wrong name."""
    known = [row["site_id"] for row in lake.rows("SELECT DISTINCT site_id FROM sites ORDER BY site_id")]
    if not known:
        raise LakeError(f"{lake.root}: no run has committed anything yet; wait for its first epoch")
    if site_id is None and len(known) > 1:
        raise QueryError(f"{lake.root}: the lake holds {len(known)} stores; name one: site={' or '.join(known)}")
    row = lake.rows(_NEWEST, {"site": require_known("store", site_id or known[0], known)})[0]
    settings = json.loads(row["settings_json"])
    return Store(
        site_id=row["site_id"],
        name=row["name"] or row["site_id"],
        day=BusinessDay(row["timezone"], time.fromisoformat(row["day_start"])),
        cameras=tuple(_camera(entry) for entry in settings.get("cameras", ())),
        zones=tuple(_zone(entry) for entry in settings.get("zones", ())),
        lanes=tuple(_lane(entry) for entry in settings.get("queues", ())),
        lines=tuple(_line(entry) for entry in settings.get("lines", ())),
    )


def newest_settings(lake: Lake, site_id: str) -> dict[str, Any]:
    """As `sites` has them, of the version that was used last."""
    settings: dict[str, Any] = json.loads(lake.rows(_NEWEST, {"site": site_id})[0]["settings_json"])
    return settings


def require_known(kind: str, name: str, known: Sequence[str]) -> str:
    """`name`, or QueryError that lists what there is."""
    if name not in known:
        there = ", ".join(known) or "none at all"
        raise QueryError(f"there is no {kind} {name!r} here; known: {there}")
    return name


def _camera(entry: dict[str, Any]) -> Camera:
    began = entry.get("recorded_at")
    return Camera(entry["id"], None if began is None else datetime.fromisoformat(began))


def _zone(entry: dict[str, Any]) -> Zone:
    corners = entry.get("m")
    return Zone(entry["id"], entry.get("name") or entry["id"], None if corners is None else _points(corners))


def _lane(entry: dict[str, Any]) -> Lane:
    return Lane(entry["id"], _points(entry["lane_m"]), _points(entry["service_m"]))


def _line(entry: dict[str, Any]) -> CountingLine:
    on_floor = entry.get("m") is not None
    ends, inside = ("m", "inside_m") if on_floor else ("px", "inside_px")
    return CountingLine(entry["id"], entry["camera"], on_floor, _points(entry[ends]), _points(entry[inside]))


def _points(values: Any) -> Corners:
    return np.asarray(values, np.float64)
