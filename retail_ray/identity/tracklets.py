"""What the gallery remembers of one camera's track beside the pairs: whose it is, and how it looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ticks import Tick
from retail_ray.identity.settings import GallerySettings

Key = tuple[int, int]
"""(camera number, local id) of a tracklet."""
Place = tuple[float, float, float, float, float, float]
"""(time_us, x_m, y_m, xx, xy, yy): mean position within a tick and its covariance in m²; NaN where unknown."""

_LEAST_QUALITY = 1e-3


@dataclass(slots=True)
class Tracklet:
    """One tracklet of camera number `camera`.

    appearance: (D,) float64, sum of quality × embedding, None before the first. person: whom it is linked to, None
    while it waits. prototype_ids: those of its looks that are in the index.
    """

    camera: int
    local_id: int
    first_us: int
    last_us: int
    waiting_since_us: int
    ready_since_us: int | None = None
    appearance: NDArray[np.float64] | None = None
    prototypes: list[NDArray[np.float32]] = field(default_factory=list)
    prototype_ids: list[int] = field(default_factory=list)
    person: int | None = None

    @property
    def key(self) -> Key:
        return self.camera, self.local_id

    def describe(
        self, embedding: NDArray[np.float32], quality: float, settings: GallerySettings
    ) -> NDArray[np.float32] | None:
        """Add one embedding to the mean; gives it back if it is unlike the prototypes so far and was kept."""
        weighted = embedding.astype(np.float64) * max(quality, _LEAST_QUALITY)
        self.appearance = weighted if self.appearance is None else self.appearance + weighted
        if len(self.prototypes) >= settings.prototypes:
            return None
        if self.prototypes and float(np.max(np.stack(self.prototypes) @ embedding)) >= settings.prototype_similarity:
            return None
        kept = embedding.copy()
        self.prototypes.append(kept)
        return kept

    def mean(self) -> NDArray[np.float32] | None:
        """(D,) normalised mean appearance; None without embeddings, or where they cancel out."""
        if self.appearance is None:
            return None
        norm = float(np.linalg.norm(self.appearance))
        return (self.appearance / norm).astype(np.float32) if norm > 1e-9 else None

    def forget_looks(self, now_us: int) -> None:
        """Embeddings expire with the session; the tracklet waits to be recognised anew."""
        self.appearance, self.prototypes, self.prototype_ids = None, [], []
        self.person, self.waiting_since_us, self.ready_since_us = None, now_us, None


def sightings(tick: Tick) -> Iterable[tuple[int, int, int, int, Place]]:
    """(camera, local_id, first_us, last_us, place) of each tracklet in a tick, ordered by camera and local id."""
    order = np.lexsort((tick.time_us, tick.local_id, tick.camera))
    if not len(order):
        return []
    camera, local_id, time_us = tick.camera[order], tick.local_id[order], tick.time_us[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(camera) != 0) | (np.diff(local_id) != 0)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order)) - 1
    places = _places(tick, order, starts)
    return zip(
        camera[starts].tolist(),
        local_id[starts].tolist(),
        time_us[starts].tolist(),
        time_us[ends].tolist(),
        map(tuple, places.tolist()),
        strict=True,
    )


def _places(tick: Tick, order: NDArray[np.intp], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """(G, 6) places of the groups that begin at `starts`: means weighted with the inverse variance.

    The errors of neighbouring frames are alike (same posture, same occluder), so the covariance is a mean too.
    """
    xy, cov = tick.floor_xy_m[order], tick.floor_cov_m2[order]
    variance = np.maximum(cov[:, 0, 0] + cov[:, 1, 1], 1e-6)
    known = np.isfinite(xy[:, 0]) & np.isfinite(variance)
    weight = np.where(known, 1.0 / np.where(known, variance, 1.0), 0.0)
    since_start = (tick.time_us[order] - tick.start_us).astype(np.float64)
    columns = np.column_stack([since_start, xy, cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]])
    columns = np.where(known[:, None], columns, 0.0) * weight[:, None]
    total = np.add.reduceat(weight, starts)
    sums = np.add.reduceat(columns, starts, axis=0)
    places = np.where(total[:, None] > 0, sums / np.where(total > 0, total, 1.0)[:, None], np.nan)
    places[:, 0] += tick.start_us
    return places
