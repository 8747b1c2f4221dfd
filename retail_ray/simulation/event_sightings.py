"""Detections and tracklets of one camera: who is in view, whom the detector finds, and how the tracker strings it up.

All randomness comes from the generator that is given; times are ticks of the analysed frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.core.homography import FloorCalibration, from_camera
from retail_ray.core.records import FOOT_SOURCES
from retail_ray.core.types import UNTRACKED
from retail_ray.simulation.crowd import Crowd
from retail_ray.simulation.event_settings import EventSettings, SightSettings
from retail_ray.simulation.event_view import COLUMNS, LEVELS, Eye, Views, eye_of, look
from retail_ray.simulation.store import StoreCamera, StorePlan

NOBODY: Final = -1
_BOX, _ESTIMATED = FOOT_SOURCES.index("box"), FOOT_SOURCES.index("estimated")
_SLICE_TICKS: Final = 9000
_SAMPLES: Final = LEVELS * COLUMNS
_BOX_STEPS_PER_PX: Final = 8
_FLOOR_STEPS_PER_M: Final = 1024
_CONFIDENCE_STEPS: Final = 256
_WEAKEST: Final = 0.26


@dataclass(frozen=True, slots=True)
class Sightings:
    """Boxes of one camera, as parallel arrays in order of time; fields as in DetectionRows.

    tick: (N,) int32. person_id: (N,) int32, NOBODY for a box on a thing.
    """

    tick: NDArray[np.int32]
    person_id: NDArray[np.int32]
    xyxy_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    foot_px: NDArray[np.float32]
    foot_source: NDArray[np.int8]
    floor_xy_m: NDArray[np.float64]
    visible_share: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tick)

    def __getitem__(self, index: Any) -> Sightings:
        return Sightings(*(getattr(self, name)[index] for name in Sightings.__slots__))


@dataclass(frozen=True, slots=True)
class CameraTracklets:
    """Tracklets of one camera, ordered by local_id, which counts from 1; parallel arrays of length T."""

    person_id: NDArray[np.int32]
    first_tick: NDArray[np.int32]
    last_tick: NDArray[np.int32]
    frames: NDArray[np.int64]
    mean_confidence: NDArray[np.float64]
    path_m: NDArray[np.float64]
    best_quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.person_id)


def analysed_ticks(
    ticks: int, settings: EventSettings, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(ticks,) whether a frame was analysed, and whether it came but was dropped; neither: the camera was silent."""
    sight = settings.sight
    dropped = rng.random(ticks) < sight.dropped_share
    came = np.ones(ticks, np.bool_)
    hours = ticks / settings.fps / 3600
    for start in rng.integers(0, ticks, rng.poisson(sight.outages_per_day * hours / 24)):
        came[start : start + int(rng.uniform(0.1, 1) * sight.outage_s * settings.fps)] = False
    return came & ~dropped, came & dropped


def sightings_of(
    plan: StorePlan,
    camera: StoreCamera,
    crowd: Crowd,
    analysed: NDArray[np.bool_],
    *,
    settings: EventSettings,
    rng: np.random.Generator,
) -> Sightings:
    """Everything the camera's detector reports in its analysed frames. analysed: (ticks,) bool."""
    eye, calibration = eye_of(plan, camera, settings.frame_hw_px), calibration_of(camera, settings.frame_hw_px)
    heights = np.zeros(1 + max((person.person_id for person in crowd.people), default=0), np.float32)
    for person in crowd.people:
        heights[person.person_id] = person.appearance.height_m
    limits = np.searchsorted(crowd.tick, [*range(0, crowd.ticks, _SLICE_TICKS), crowd.ticks])
    parts = [_clutter(crowd.ticks, settings, eye, rng)]
    for start, stop in pairwise(limits.tolist()):
        rows = slice(start, stop)
        views = look(eye, crowd.tick[rows], crowd.xy_m[rows], heights[crowd.person_id[rows]], start)
        parts.append(_detect(views, crowd, settings, eye, rng))
    joined = _joined(parts)
    seen = joined[analysed[joined.tick]]
    ordered = seen[np.lexsort((seen.person_id, seen.tick))]
    floor_xy_m = on_floor(ordered.foot_px, calibration)
    return Sightings(**{name: getattr(ordered, name) for name in Sightings.__slots__} | {"floor_xy_m": floor_xy_m})


def calibration_of(camera: StoreCamera, frame_hw_px: tuple[int, int]) -> FloorCalibration:
    """The map from pixels to the floor that a site's configuration would hold for this camera."""
    height, width = frame_hw_px
    return from_camera(
        camera.matrix(width, height), camera.rotation(), camera.translation_m(), np.array(camera.distortion)
    )


def on_floor(foot_px: NDArray[np.float32], calibration: FloorCalibration) -> NDArray[np.float64]:
    """(N, 2) metres as `calibration.to_floor`, to the millimetre and faster."""
    lens = calibration.lens
    numbers = np.zeros(9) if lens is None else np.array([*lens.matrix[[0, 1, 0, 1], [0, 1, 2, 2]], *lens.distortion])
    return np.asarray(_on_floor(foot_px, numbers, calibration.pixel_to_floor, calibration.side))


def track(
    sightings: Sightings, settings: EventSettings, rng: np.random.Generator
) -> tuple[NDArray[np.int64], CameraTracklets]:
    """(N,) local_id of each sighting, UNTRACKED where none, and the tracklets."""
    sight, seconds = settings.sight, 1 / settings.fps
    cut = rng.random(len(sightings)) < sight.breaks_per_hour * seconds / 3600
    people = int(sightings.person_id.max(initial=0)) + 1
    raw = _string_up(sightings.tick, sightings.person_id, cut, round(sight.max_gap_s * settings.fps), people)
    frames = np.bincount(raw, minlength=1)
    frames[0] = 0
    number = np.cumsum(frames >= sight.min_frames) * (frames >= sight.min_frames)
    local_id = np.asarray(number[raw], np.int64)
    return np.where(local_id == 0, UNTRACKED, local_id), _tracklets(sightings, local_id, settings.fps)


def _detect(views: Views, crowd: Crowd, settings: EventSettings, eye: Eye, rng: np.random.Generator) -> Sightings:
    full = views.full_xyxy_px
    height_px = full[:, 3] - full[:, 1]
    share = np.asarray(views.seen / np.float32(_SAMPLES), np.float32)
    found = rng.random(len(views.row), np.float32) < recall(height_px, share, settings.sight)
    row, full, height_px, share = views.row[found], full[found], height_px[found], share[found]
    lowest, highest = views.lowest[found], views.highest[found]
    noise = rng.standard_normal((len(row), 4), np.float32) * (height_px * settings.sight.box_sigma_share)[:, None]
    box = full + noise
    box[:, 3] -= lowest / np.float32(LEVELS) * height_px
    box[:, 1] += (LEVELS - 1 - highest) / np.float32(LEVELS) * height_px
    frame_height, frame_width = eye.frame_hw_px
    limits = np.array([frame_width, frame_height, frame_width, frame_height], np.float32)
    box = np.round(np.clip(box, 0, limits) * _BOX_STEPS_PER_PX) / np.float32(_BOX_STEPS_PER_PX)
    foot = np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]], axis=1)
    unseen = (lowest > 0) | (box[:, 3] >= frame_height - 2)
    foot[unseen] = _guessed_feet(full[unseen], height_px[unseen], rng)
    strength = 0.35 + 0.6 * share * np.minimum(height_px / 120, 1) + rng.normal(0, 0.04, len(row))
    return Sightings(
        crowd.tick[row],
        crowd.person_id[row],
        box,
        _stepped(strength),
        foot.astype(np.float32),
        np.where(unseen, _ESTIMATED, _BOX).astype(np.int8),
        np.zeros((len(row), 2)),
        share,
    )


def recall(height_px: NDArray[np.float32], share: NDArray[np.float32], sight: SightSettings) -> NDArray[np.float32]:
    """(N,) probability that the detector finds a person of this height and visible share."""
    tall = np.clip(height_px / sight.full_height_px, 0, 1) ** 2
    clear = np.clip((share - 0.1) / (sight.full_share - 0.1), 0, 1)
    return np.asarray(sight.best_recall * tall * clear, np.float32)


def _guessed_feet(
    full: NDArray[np.float32], height_px: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Where the feet would be, guessed from the visible part."""
    middle = np.stack([(full[:, 0] + full[:, 2]) / 2, full[:, 3]], axis=1)
    guess = middle + rng.standard_normal((len(full), 2), np.float32) * (height_px * np.float32(0.03))[:, None]
    return np.asarray(np.round(guess * _BOX_STEPS_PER_PX) / _BOX_STEPS_PER_PX, np.float32)


def _stepped(strength: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.round(np.clip(strength, _WEAKEST, 0.98) * _CONFIDENCE_STEPS) / _CONFIDENCE_STEPS).astype(np.float32)


def _clutter(ticks: int, settings: EventSettings, eye: Eye, rng: np.random.Generator) -> Sightings:
    """Boxes on posters, mannequins and coats: weak, rare, and no tracklet's."""
    n = int(rng.poisson(settings.sight.clutter_per_hour * ticks / settings.fps / 3600))
    frame_height, frame_width = eye.frame_hw_px
    bottom, middle = rng.uniform(0.55, 0.95, n) * frame_height, rng.uniform(0.1, 0.9, n) * frame_width
    height = rng.uniform(60, 200, n)
    box = np.stack([middle - height / 5, np.maximum(bottom - height, 0), middle + height / 5, bottom], axis=1)
    box = (np.round(box * _BOX_STEPS_PER_PX) / _BOX_STEPS_PER_PX).astype(np.float32)
    return Sightings(
        rng.integers(0, ticks, n).astype(np.int32),
        np.full(n, NOBODY, np.int32),
        box,
        _stepped(rng.uniform(_WEAKEST, 0.45, n)),
        np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]], axis=1),
        np.full(n, _BOX, np.int8),
        np.zeros((n, 2)),
        np.ones(n, np.float32),
    )


def _joined(parts: list[Sightings]) -> Sightings:
    return Sightings(*(np.concatenate([getattr(part, name) for part in parts]) for name in Sightings.__slots__))


@njit(cache=True, nogil=True)
def _string_up(tick: Any, person: Any, cut: Any, max_gap: int, people: int) -> NDArray[np.int64]:
    """Number of each sighting's track in order of beginning, from 1; 0 for nobody."""
    last = np.full(people, -1 << 30, np.int64)
    number = np.zeros(people, np.int64)
    track_of = np.zeros(len(tick), np.int64)
    count = 0
    for i in range(len(tick)):
        p = person[i]
        if p < 0:
            continue
        if tick[i] - last[p] > max_gap or cut[i]:
            count += 1
            number[p] = count
        last[p] = tick[i]
        track_of[i] = number[p]
    return track_of


@njit(cache=True, nogil=True)
def _on_floor(foot_px: Any, lens: Any, to_floor: Any, side: float) -> NDArray[np.float64]:
    floor = np.empty((len(foot_px), 2))
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    for i in range(len(foot_px)):
        u, v = float(foot_px[i, 0]), float(foot_px[i, 1])
        if fx > 0:
            a = seen_a = (u - cx) / fx
            b = seen_b = (v - cy) / fy
            for _ in range(20):
                r2 = a * a + b * b
                radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
                before, before_b = a, b
                a = (seen_a - (2 * p1 * a * b + p2 * (r2 + 2 * a * a))) / radial
                b = (seen_b - (p1 * (r2 + 2 * b * b) + 2 * p2 * before * b)) / radial
                if abs(a - before) + abs(b - before_b) < 1e-9:
                    break
            u, v = a * fx + cx, b * fy + cy
        weight = to_floor[2, 0] * u + to_floor[2, 1] * v + to_floor[2, 2]
        for axis in range(2):
            metres = (to_floor[axis, 0] * u + to_floor[axis, 1] * v + to_floor[axis, 2]) / weight
            floor[i, axis] = np.round(metres * _FLOOR_STEPS_PER_M) / _FLOOR_STEPS_PER_M
        if weight * side <= 1e-9:
            floor[i, 0] = floor[i, 1] = np.nan
    return floor


def _tracklets(sightings: Sightings, local_id: NDArray[np.int64], fps: int) -> CameraTracklets:
    count = int(local_id.max(initial=0))
    tracked = np.flatnonzero(local_id > 0)
    place = local_id[tracked] - 1
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first[place[::-1]] = tracked[::-1]
    last[place] = tracked
    frames = np.bincount(place, minlength=count)
    confidence = np.bincount(place, sightings.confidence[tracked].astype(np.float64), count) / np.maximum(frames, 1)
    best = np.zeros(count)
    np.maximum.at(best, place, sightings.confidence[tracked].astype(np.float64) * sightings.visible_share[tracked])
    return CameraTracklets(
        sightings.person_id[first],
        sightings.tick[first],
        sightings.tick[last],
        frames,
        confidence,
        _paths_m(place, sightings.tick[tracked], sightings.floor_xy_m[tracked], count, fps),
        best,
    )


@njit(cache=True, nogil=True)
def _paths_m(place: Any, tick: Any, floor: Any, count: int, min_ticks: int) -> NDArray[np.float64]:
    """Way on the floor in steps of at least a second, so that noise does not add up."""
    path = np.zeros(count)
    last_tick = np.full(count, -1, np.int64)
    at = np.zeros((count, 2))
    for i in range(len(place)):
        p = place[i]
        if last_tick[p] >= 0 and tick[i] - last_tick[p] < min_ticks:
            continue
        if last_tick[p] >= 0:
            path[p] += np.hypot(floor[i, 0] - at[p, 0], floor[i, 1] - at[p, 1])
        last_tick[p] = tick[i]
        at[p, 0], at[p, 1] = floor[i, 0], floor[i, 1]
    return path
