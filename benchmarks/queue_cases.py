"""Simulated stores as floor points of their cameras, without video: exact, or as trackers would give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.queue_lanes import LaneSettings
from retail_ray.core.homography import from_camera
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations
from retail_ray.simulation.happenings import Columns, happenings
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.seeds import DEVELOPMENT
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.site_file import cashier_place
from retail_ray.simulation.store import StoreCamera

SIZE_HW = (1080, 1920)
FARTHEST_M = 14.0
START_US = 1_772_445_600 * US_PER_S  # 2026-03-02 10:00 UTC
MESSAGE_S = 20.0
_STORES = (
    "convenience",
    "corner-shop",
    "supermarket",
    "boutique",
    "two-rooms",
    "convenience",
    "supermarket",
    "corner-shop",
)


@dataclass(frozen=True, slots=True)
class Sights:
    """What one camera knows, ordered by time. time_us, local_id: (N,) int64. xy_m: (N, 2) float64."""

    camera_id: str
    time_us: NDArray[np.int64]
    local_id: NDArray[np.int64]
    xy_m: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """A store of one seed: lanes, sights of every camera, truth tables, and true positions."""

    name: str
    seed: int
    lanes: tuple[LaneSettings, ...]
    sights: tuple[Sights, ...]
    truth: dict[str, Columns]
    end_us: int


def cases(count: int, minutes: float, fps: float = 5.0) -> Iterator[Case]:
    """Busy stores of different layouts, on seeds that no setting was chosen on."""
    for number in range(count):
        yield case(_STORES[number % len(_STORES)], DEVELOPMENT.seed(4_200 + number), minutes, fps)


def case(layout: str, seed: int, minutes: float, fps: float = 5.0) -> Case:
    """Queues form and some people lose patience: arrivals fit the number of checkouts."""
    plan = ready_layouts()[layout]
    settings = ScenarioSettings(
        duration_s=60.0 * minutes,
        arrivals_per_hour=130.0 * len(plan.checkouts),
        service_s=22.0,
        patience_s=90.0,
        buyer_share=0.85,
        stops_mean=2.0,
        initial_shoppers=6 * len(plan.checkouts),
    )
    scenario = simulate(plan, settings, seed)
    truth = happenings(scenario, START_US, positions_every=round(1.0 / (fps * settings.tick_s)))
    lanes = tuple(LaneSettings(c.id, c.lane_m, c.service_m, cashier_place(c)) for c in plan.checkouts)
    sights = tuple(_sights(camera, truth["positions"]) for camera in plan.cameras)
    end_us = START_US + round(settings.duration_s * US_PER_S)
    return Case(f"{layout}-{seed}", seed, lanes, sights, truth, end_us)


def as_tracked(case: Case, rng: np.random.Generator) -> Case:
    """Each camera off by 0.15 m, 0.1 m of noise, tracklets of 20 s on average with holes of up to 5 s between."""
    return replace(case, sights=tuple(_worse(sights, rng) for sights in case.sights))


def moved(case: Case, _rng: np.random.Generator) -> Case:
    """The lanes drawn 3 m beside where they are: a control that must fail."""
    return replace(case, lanes=tuple(_shifted(lane, 3.0) for lane in case.lanes))


CONDITIONS: dict[str, Callable[[Case, np.random.Generator], Case]] = {
    "true positions": lambda case, _rng: case,
    "noisy and broken": as_tracked,
    "lanes moved by 3 m": moved,
}


def messages(case: Case) -> Iterator[Observations]:
    """All cameras' messages, 20 s of event time in each, in turn."""
    for from_us in range(START_US, case.end_us, round(MESSAGE_S * US_PER_S)):
        until_us = from_us + round(MESSAGE_S * US_PER_S)
        for sights in case.sights:
            low, high = np.searchsorted(sights.time_us, [from_us, until_us])
            yield _message(sights, slice(low, high), until_us)


def _message(sights: Sights, rows: slice, watermark_us: int) -> Observations:
    xy_m, time_us = sights.xy_m[rows], sights.time_us[rows]
    n = len(xy_m)
    return Observations(
        camera_id=sights.camera_id,
        watermark_us=watermark_us,
        frame_time_us=np.unique(time_us),
        time_us=time_us,
        local_id=sights.local_id[rows],
        foot_px=np.zeros((n, 2), np.float32),
        floor_xy_m=xy_m,
        floor_cov_m2=np.tile(np.eye(2) * 0.01, (n, 1, 1)),
        confidence=np.full(n, 0.9, np.float32),
        foot_estimated=np.zeros(n, np.bool_),
        embedding=np.zeros((0, 0), np.float32),
        embedding_row=np.zeros(0, np.int32),
        embedding_quality=np.zeros(0, np.float32),
    )


def _sights(camera: StoreCamera, positions: Columns) -> Sights:
    """Everybody whose feet are in the picture; nobody hides anybody. A tracklet is a person."""
    xy_m = np.stack([positions["x_m"], positions["y_m"]], axis=1).astype(np.float64)
    rotation, translation_m = camera.rotation(), camera.translation_m()
    depth_m = (np.column_stack([xy_m, np.zeros(len(xy_m))]) @ rotation.T + translation_m)[:, 2]
    matrix = camera.matrix(SIZE_HW[1], SIZE_HW[0])
    pixels = from_camera(matrix, rotation, translation_m, np.array(camera.distortion)).to_pixels(xy_m)
    inside = ((pixels >= 0) & (pixels < np.array(SIZE_HW[::-1]))).all(axis=1)
    seen = inside & (depth_m > 0.5) & (depth_m < FARTHEST_M)
    return Sights(
        camera.id,
        positions["time_us"][seen].astype(np.int64),
        positions["person_id"][seen].astype(np.int64),
        xy_m[seen],
    )


def _worse(sights: Sights, rng: np.random.Generator) -> Sights:
    off_m = rng.normal(0.0, 0.15 / np.sqrt(2), 2)
    xy_m = sights.xy_m + off_m + rng.normal(0.0, 0.1, sights.xy_m.shape)
    local_id, kept = sights.local_id.copy(), np.ones(len(xy_m), np.bool_)
    number = 10_000
    for person in np.unique(sights.local_id).tolist():
        rows = np.flatnonzero(sights.local_id == person)
        at_us, last_us = int(sights.time_us[rows[0]]), int(sights.time_us[rows[-1]])
        while at_us <= last_us:
            until_us = at_us + round(rng.exponential(20.0) * US_PER_S)
            hole_us = until_us + round(rng.uniform(0.2, 5.0) * US_PER_S)
            times_us = sights.time_us[rows]
            local_id[rows[(times_us >= at_us) & (times_us < until_us)]] = number
            kept[rows[(times_us >= until_us) & (times_us < hole_us)]] = False
            number, at_us = number + 1, hole_us
    return Sights(sights.camera_id, sights.time_us[kept], local_id[kept], xy_m[kept])


def _shifted(lane: LaneSettings, by_m: float) -> LaneSettings:
    def shift(corners: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        return tuple((x + by_m, y + by_m) for x, y in corners)

    return replace(lane, lane_m=shift(lane.lane_m), service_m=shift(lane.service_m), cashier_m=None)
