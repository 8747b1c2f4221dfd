"""Messages of cameras, made from plain sightings; pixels are 100 × metres so that both spaces can be tested."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.types import Observations

PX_PER_M = 100.0
S = 1_000_000


@dataclass(frozen=True)
class Sighting:
    time_us: int
    local_id: int
    x_m: float
    y_m: float
    embedding: tuple[float, ...] | None = None


def walk(
    local_id: int,
    path: Callable[[float], tuple[float, float]],
    begin_s: float,
    end_s: float,
    fps: float = 10.0,
    noise_m: float = 0.0,
    rng: np.random.Generator | None = None,
) -> list[Sighting]:
    """Sightings of one tracklet on the frames from begin to end; `path` maps seconds to metres."""
    first, last = int(np.ceil(begin_s * fps - 1e-9)), int(np.floor(end_s * fps + 1e-9))
    times = np.arange(first, last + 1) / fps
    error = np.zeros((len(times), 2)) if rng is None else rng.normal(0, noise_m, (len(times), 2))
    return [
        Sighting(round(t * S), local_id, path(t)[0] + e[0], path(t)[1] + e[1])
        for t, e in zip(times.tolist(), error.tolist(), strict=True)
    ]


def message(
    camera_id: str,
    sightings: Iterable[Sighting],
    watermark_us: int,
    frames_us: Sequence[int] | None = None,
    calibrated: bool = True,
) -> Observations:
    rows = sorted(sightings, key=lambda s: (s.time_us, s.local_id))
    xy = np.array([(s.x_m, s.y_m) for s in rows], np.float64).reshape(-1, 2)
    described = [i for i, s in enumerate(rows) if s.embedding is not None]
    vectors = np.array([rows[i].embedding for i in described], np.float32)
    n = len(rows)
    return Observations(
        camera_id=camera_id,
        watermark_us=watermark_us,
        frame_time_us=np.array(sorted({s.time_us for s in rows}) if frames_us is None else frames_us, np.int64),
        time_us=np.array([s.time_us for s in rows], np.int64),
        local_id=np.array([s.local_id for s in rows], np.int64),
        foot_px=(xy * PX_PER_M).astype(np.float32),
        floor_xy_m=xy if calibrated else np.full_like(xy, np.nan),
        floor_cov_m2=np.tile(np.eye(2) * 0.01, (n, 1, 1)) if calibrated else np.full((n, 2, 2), np.nan),
        confidence=np.full(n, 0.9, np.float32),
        foot_estimated=np.zeros(n, np.bool_),
        embedding=vectors if described else np.zeros((0, 0), np.float32),
        embedding_row=np.array(described, np.int32),
        embedding_quality=np.full(len(described), 0.8, np.float32),
    )


def chunks(
    camera_id: str, sightings: Sequence[Sighting], end_us: int, cuts_us: Iterable[int] = (), calibrated: bool = True
) -> list[Observations]:
    """The camera's messages in order, cut at these times; the last watermark is `end_us`."""
    edges = [-(2**60), *sorted({c for c in cuts_us if c < end_us}), end_us]
    return [
        message(camera_id, [s for s in sightings if low <= s.time_us < high], high, calibrated=calibrated)
        for low, high in itertools.pairwise(edges)
    ]


def unit(vector: NDArray[np.float64] | Sequence[float]) -> tuple[float, ...]:
    array = np.asarray(vector, np.float64)
    return tuple((array / np.linalg.norm(array)).tolist())
