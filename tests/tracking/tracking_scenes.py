"""People walking through a frame, with exact truth: what the tracking tests look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ports import Tracker
from retail_ray.core.types import Detections, Tracks

FRAME_HW = (720, 1280)
PICTURE = np.zeros((*FRAME_HW, 3), np.uint8)


def boxes_to_detections(xyxy_px: NDArray[np.floating], confidence: NDArray[np.floating] | float = 0.9) -> Detections:
    n = len(xyxy_px)
    return Detections(
        np.asarray(xyxy_px, np.float32).reshape(-1, 4),
        np.broadcast_to(np.asarray(confidence, np.float32), (n,)).copy(),
        np.zeros(n, np.int32),
    )


@dataclass(frozen=True)
class Scene:
    """`person[t]` says who stands in each row of `frames[t]`."""

    frames: list[Detections]
    person: list[NDArray[np.int64]]


def walkers(people: int = 5, frames: int = 60, seed: int = 0, miss: float = 0.0, jitter_px: float = 1.0) -> Scene:
    """People on straight lines at 40 to 140 px/s at 10 frames/s, one per lane, so that nobody hides another."""
    rng = np.random.default_rng(seed)
    start_x = rng.uniform(50, 400, people)
    speed = rng.uniform(4, 14, people)
    lane_y = np.linspace(10, FRAME_HW[0] - 130, people)
    found, who = [], []
    for t in range(frames):
        seen = np.flatnonzero(rng.random(people) >= miss)
        corner = np.stack([start_x + speed * t, lane_y], axis=1) + rng.normal(0, jitter_px, (people, 2))
        boxes = np.hstack([corner, corner + np.array([60, 110])])
        found.append(boxes_to_detections(boxes[seen], rng.uniform(0.6, 0.95, people)[seen]))
        who.append(seen)
    return Scene(found, who)


def towncentre_like(shared_data: Path, frames: int, seed: int = 0, miss: float = 0.1) -> list[Detections]:
    """TownCentre's true boxes, shaken, some left out, with confidences on both sides of the thresholds."""
    table = np.loadtxt(shared_data / "clips" / "towncentre" / "gt.txt", delimiter=",")
    rng = np.random.default_rng(seed)
    out = []
    for number in range(1, frames + 1):
        rows = table[table[:, 0] == number]
        rows = rows[rng.random(len(rows)) >= miss]
        boxes = np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) + rng.normal(0, 3, (len(rows), 4))
        out.append(boxes_to_detections(boxes, rng.uniform(0.15, 0.95, len(rows))))
    return out


def run(tracker: Tracker, frames: Sequence[Detections], first: int = 0, interval_us: int = 100_000) -> list[Tracks]:
    """All frames in turn; frame t at t times the interval."""
    return [tracker.update(found, PICTURE, (first + t) * interval_us) for t, found in enumerate(frames)]


def as_rows(tracks: Sequence[Tracks]) -> list[tuple[list[int], list[int], list[list[float]], list[float]]]:
    """Comparable to the last bit."""
    return [
        (t.local_id.tolist(), t.detection_index.tolist(), t.xyxy_px.tolist(), t.confidence.tolist()) for t in tracks
    ]
