"""Stores whose cameras leave blind ways between them, twenty minutes each, without video: tracklets, looks, the truth.

Development seeds only. Looks are drawn so that means of two tracklets are as alike as the gallery's shipped values say:
cosine 0.76 ± 0.10 of one person, 0.55 ± 0.075 of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.event_time import CameraView
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations
from retail_ray.identity.entrances import Entrance
from retail_ray.simulation.crowd import Crowd
from retail_ray.simulation.event_settings import EventSettings
from retail_ray.simulation.event_sightings import sightings_of, track
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.seeds import DEVELOPMENT
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.store import StoreCamera, StorePlan

HOURS = 1 / 3
FPS = 5
ARRIVALS_PER_HOUR = 90.0
STORES = (
    ("two-rooms", ("door", "room-back")),
    ("two-rooms", ("till", "room-front")),
    ("random", None),
    ("random", None),
    ("two-rooms", ("door", "till", "room-back", "room-front")),
    ("random", None),
)
"""Layouts, and which of their cameras look; None: the two that share least of the floor."""
_FIRST_SEED = 200_000
_CHUNK_S = 2.0
_PLACE_SIGMA_M = 0.2
_DIMENSION, _FALL_OFF = 256, 1.04
_SHARED, _PERSON, _TRACKLET, _VIEW = 0.56, 0.21, (0.08, 0.38), 0.15

_BY_ROW = (
    *("time_us", "local_id", "foot_px", "floor_xy_m", "floor_cov_m2", "confidence", "foot_estimated"),
    *("edge_px", "edge_xy_m"),
)
_OF_TRACKLET = ("local_id", "person", "tick")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Key = tuple[str, int]


@dataclass(frozen=True)
class Store:
    """messages: of all cameras, in order of their watermarks. person: of each tracklet. seen_us, seen, seen_m: where
    each tracklet's boxes were found (N,), row of `keys`, (N, 2); true_m: where its person was."""

    name: str
    cameras: tuple[CameraView, ...]
    entrances: tuple[Entrance, ...]
    messages: tuple[Observations, ...]
    keys: tuple[Key, ...]
    person: Ints
    seen_us: Ints
    seen: Ints
    seen_m: Floats
    true_m: Floats

    @property
    def end_us(self) -> int:
        return max(message.watermark_us for message in self.messages)


@dataclass(frozen=True)
class _Rows:
    """What one camera found, in order of time and local id; parallel arrays. true_m: where the person was."""

    tick: Ints
    local_id: Ints
    person: Ints
    floor_m: Floats
    foot_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    true_m: Floats


def stores(hours: float = HOURS) -> Iterator[Store]:
    for number, (layout, cameras) in enumerate(STORES):
        yield store(layout, cameras, DEVELOPMENT.seed(_FIRST_SEED + number), hours)


def store(layout: str, cameras: Sequence[str] | None, seed: int, hours: float = HOURS) -> Store:
    plan = plan_by_name(f"random:{seed}" if layout == "random" else layout)
    settings = ScenarioSettings(
        duration_s=hours * 3600, tick_s=1 / FPS, warm_up_s=600.0, arrivals_per_hour=ARRIVALS_PER_HOUR
    )
    scenario = simulate(plan, settings, seed)
    rows = {
        camera.id: _rows(plan, camera, scenario.crowd, hours, np.random.default_rng([seed, number]))
        for number, camera in enumerate(plan.cameras)
        if cameras is None or camera.id in cameras
    }
    rows = _apart(rows) if cameras is None else rows
    people = 1 + max(person.person_id for person in scenario.crowd.people)
    rng = np.random.default_rng([seed, 1000])
    centroid, spread = _people(people, rng)
    whole = {name: _message(name, one, centroid, spread, rng) for name, one in rows.items()}
    end_us = round(hours * 3600 * US_PER_S)
    messages = sorted(
        (part for one in whole.values() for part in _cut(one, end_us)),
        key=lambda part: (part.watermark_us, part.camera_id),
    )
    tracked = _tracklets(rows)
    return Store(
        f"{layout}-{seed}, {' and '.join(rows)}",
        tuple(CameraView(name, calibrated=True) for name in rows),
        tuple(Entrance(door.start_m, door.end_m, door.inside_m) for door in plan.doors),
        tuple(messages),
        **tracked,
    )


def _rows(plan: StorePlan, camera: StoreCamera, crowd: Crowd, hours: float, rng: np.random.Generator) -> _Rows:
    sight = EventSettings(0, hours, fps=FPS)
    seen = sightings_of(plan, camera, crowd, np.ones(crowd.ticks, np.bool_), settings=sight, rng=rng)
    local_id, _ = track(seen, sight, rng)
    order = np.lexsort((local_id, seen.tick))
    order = order[(local_id[order] > 0) & np.isfinite(seen.floor_xy_m[order, 0])]
    tick, person = seen.tick[order].astype(np.int64), seen.person_id[order].astype(np.int64)
    size = int(crowd.person_id.max(initial=0)) + 1
    # A crowd is ordered by tick and person.
    of = np.searchsorted(crowd.tick.astype(np.int64) * size + crowd.person_id, tick * size + person)
    columns = (seen.floor_xy_m[order], seen.foot_px[order], seen.confidence[order], crowd.xy_m[of].astype(np.float64))
    return _Rows(tick, local_id[order], person, *columns)


def _apart(rows: Mapping[str, _Rows]) -> dict[str, _Rows]:
    """The two cameras that saw people in the fewest common square metres, of those they saw people in."""
    cells = {name: set(map(tuple, np.floor(one.floor_m).astype(np.int64).tolist())) for name, one in rows.items()}

    def common(pair: tuple[str, str]) -> float:
        one, other = (cells[name] for name in pair)
        return len(one & other) / max(1, min(len(one), len(other)))

    return {name: rows[name] for name in min(combinations(sorted(rows), 2), key=common)}


def _people(people: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(P, D) directions in which people differ, and (D,) the deviations of that space: about 30 that count."""
    variance = np.arange(1, _DIMENSION + 1) ** -_FALL_OFF
    spread = np.sqrt(variance / variance.sum())
    return rng.standard_normal((people, _DIMENSION)) * spread, spread


def _message(name: str, rows: _Rows, centroid: Floats, spread: Floats, rng: np.random.Generator) -> Observations:
    """Everything the camera tells, with an embedding of each tracklet about once a second."""
    n = len(rows.tick)
    described = np.flatnonzero(rng.random(n) < 1.0 / FPS)
    own = rng.standard_normal((int(rows.local_id.max(initial=0)) + 1, len(spread))) * spread
    own *= np.sqrt(rng.uniform(*_TRACKLET, (len(own), 1)))
    views = np.sqrt(_PERSON) * centroid[rows.person[described]] + own[rows.local_id[described]]
    views += np.sqrt(_VIEW) * rng.standard_normal((len(described), len(spread))) * spread
    views = np.concatenate([np.full((len(views), 1), np.sqrt(_SHARED)), views], axis=1)
    embedding = (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)
    ticks = int(rows.tick.max(initial=0)) + 1
    return Observations(
        camera_id=name,
        watermark_us=ticks * US_PER_S // FPS,
        frame_time_us=np.arange(ticks, dtype=np.int64) * US_PER_S // FPS,
        time_us=rows.tick * US_PER_S // FPS,
        local_id=rows.local_id,
        foot_px=rows.foot_px,
        floor_xy_m=rows.floor_m,
        floor_cov_m2=np.tile(np.eye(2) * _PLACE_SIGMA_M**2, (n, 1, 1)),
        confidence=rows.confidence,
        foot_estimated=np.zeros(n, np.bool_),
        embedding=embedding,
        embedding_row=described.astype(np.int32),
        embedding_quality=np.full(len(described), 0.8, np.float32),
    )


def _cut(whole: Observations, end_us: int) -> Iterator[Observations]:
    step_us = round(_CHUNK_S * US_PER_S)
    for low_us in range(0, end_us, step_us):
        first, last = np.searchsorted(whole.time_us, [low_us, low_us + step_us])
        rows = slice(int(first), int(last))
        kept = (whole.embedding_row >= first) & (whole.embedding_row < last)
        frames = (whole.frame_time_us >= low_us) & (whole.frame_time_us < low_us + step_us)
        yield replace(
            whole,
            watermark_us=low_us + step_us,
            frame_time_us=whole.frame_time_us[frames],
            embedding=whole.embedding[kept],
            embedding_row=(whole.embedding_row[kept] - first).astype(np.int32),
            embedding_quality=whole.embedding_quality[kept],
            **{name: getattr(whole, name)[rows] for name in _BY_ROW},
        )


def _tracklets(rows: Mapping[str, _Rows]) -> dict[str, Any]:
    """The last fields of `Store`."""
    camera = np.repeat(np.arange(len(rows)), [len(one.tick) for one in rows.values()])
    local_id, person, tick = (np.concatenate([getattr(one, k) for one in rows.values()]) for k in _OF_TRACKLET)
    numbers, first, seen = np.unique(
        np.stack([camera, local_id], axis=1), axis=0, return_index=True, return_inverse=True
    )
    names = tuple(rows)
    return {
        "keys": tuple((names[number], local) for number, local in numbers.tolist()),
        "person": person[first],
        "seen_us": tick * US_PER_S // FPS,
        "seen": seen.ravel().astype(np.int64),
        "seen_m": np.concatenate([one.floor_m for one in rows.values()]),
        "true_m": np.concatenate([one.true_m for one in rows.values()]),
    }
