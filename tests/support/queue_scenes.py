"""A straight lane and people who go through it, with exact times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import time

import numpy as np

from retail_ray.analytics.floor_operators import FloorSettings
from retail_ray.analytics.heat import HeatSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.queue_lanes import LaneSettings
from retail_ray.analytics.site import SiteOperators, SiteRows
from retail_ray.core.event_time import FOREVER_US, CameraView
from retail_ray.core.time import BusinessDay
from tests.support.scenes import S, Sighting, chunks, walk

DAY = OccupancySettings(BusinessDay("UTC", time(0)))
Path = Callable[[float], tuple[float, float]]


def lane(lane_id: str = "lane-1", x_m: float = 0.0) -> LaneSettings:
    """Tail at y = 0, head at y = 4, served about y = 5, cashier at the right of it."""
    return LaneSettings(
        lane_id,
        ((x_m, 0.0), (x_m, 4.0)),
        ((x_m - 0.6, 4.4), (x_m + 0.6, 4.4), (x_m + 0.6, 5.6), (x_m - 0.6, 5.6)),
        ((x_m + 1.0, 4.4), (x_m + 2.2, 4.4), (x_m + 2.2, 5.6), (x_m + 1.0, 5.6)),
    )


def through(*stops: tuple[float, float, float]) -> Path:
    """A way by stops (second, x, y), straight and even between them."""
    times, xs, ys = zip(*stops, strict=True)
    return lambda t: (float(np.interp(t, times, xs)), float(np.interp(t, times, ys)))


def stands(x_m: float, y_m: float) -> Path:
    return lambda _t: (x_m, y_m)


@dataclass(frozen=True)
class Scene:
    """Sightings by camera."""

    seen: dict[str, list[Sighting]]
    end_s: float

    def rows(self, lanes: Sequence[LaneSettings] = (), cell_m: float | None = None) -> SiteRows:
        operators = site(lanes, cell_m, tuple(self.seen))
        rows = SiteRows()
        for camera_id, seen in self.seen.items():
            operators.submit(chunks(camera_id, seen, round(self.end_s * S))[0])
        rows.extend(operators.advance(FOREVER_US))
        rows.extend(operators.finish(round(self.end_s * S)))
        return rows


def site(
    lanes: Sequence[LaneSettings],
    cell_m: float | None = None,
    cameras: Sequence[str] = ("a",),
    ticks_at_once: int = 512,
) -> SiteOperators:
    heat = None if cell_m is None else HeatSettings("UTC", cell_m)
    views = [CameraView(camera_id, calibrated=True) for camera_id in cameras]
    return SiteOperators([], [], DAY, views, floor=FloorSettings(tuple(lanes), heat), ticks_at_once=ticks_at_once)


def track(local_id: int, path: Path, begin_s: float, end_s: float, fps: float = 5.0) -> list[Sighting]:
    return walk(local_id, path, begin_s, end_s, fps)
