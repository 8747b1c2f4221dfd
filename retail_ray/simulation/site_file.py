"""The site.yaml of a simulated store: exact calibration, the door's line, zones, lanes, and the demo models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from retail_ray.core.errors import ConfigError, GeometryError
from retail_ray.core.homography import from_camera
from retail_ray.simulation.store import Checkout, Door, Point, StoreCamera, StorePlan

_CASHIER_SIDE_M = 1.2

DEMO_MODELS: dict[str, Any] = {
    "detector": {"weights": "demo_detector.pt", "long_side_px": 448, "iou": 0.5},
    "embedder": {"weights": "demo_embedder.pt"},
    "segmenter": {"weights": "demo_segmenter.pth", "every_s": 2.0},
}


def site_document(
    plan: StorePlan,
    site_id: str,
    size_hw: tuple[int, int],
    recordings: Mapping[str, tuple[str, datetime]],
    *,
    timezone: str = "Europe/Rome",
    analysis_fps: float = 10.0,
    models: Mapping[str, Any] = DEMO_MODELS,
    segmented: Collection[str] = (),
) -> dict[str, Any]:
    """The document as plain values; `recordings` gives each camera's address and (stamped) beginning.

    segmented: cameras that use the segmenter. GeometryError where no camera sees a door, ConfigError for unknown ones.
    """
    unknown = sorted(set(segmented) - {camera.id for camera in plan.cameras})
    if unknown:
        raise ConfigError(f"segmentation: store '{plan.name}' has no camera '{unknown[0]}'")
    return {
        "site": site_id,
        "simulated": True,
        "timezone": timezone,
        "day_start": "04:00",
        "lake": "lake",
        "cameras": [
            {
                "id": camera.id,
                "uri": recordings[camera.id][0],
                "recorded_at": recordings[camera.id][1].isoformat(),
                "analysis_fps": analysis_fps,
                "floor": {"camera": calibration(camera, size_hw)},
                "segmentation": camera.id in segmented,
            }
            for camera in plan.cameras
        ],
        "lines": [
            {
                "id": door.id,
                "camera": door_camera(plan, door, size_hw),
                "m": _points(door.start_m, door.end_m),
                "inside_m": _points(door.inside_m)[0],
            }
            for door in plan.doors
        ],
        "zones": [
            {"id": zone.id, "name": zone.name, "m": _points(*zone.corners_m)}
            | ({"kind": "staff"} if zone.kind == "staff" else {})
            for zone in plan.zones
        ],
        "queues": [
            {
                "id": lane.id,
                "lane_m": _points(*lane.lane_m),
                "service_m": _points(*lane.service_m),
                "cashier_m": _points(*cashier_place(lane)),
            }
            for lane in plan.checkouts
        ],
        "models": {role: settings if role != "segmenter" or segmented else None for role, settings in models.items()},
    }


def write_site(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False, default_flow_style=None), encoding="utf-8")


def cashier_place(checkout: Checkout) -> tuple[Point, ...]:
    """Corners of the square behind the counter about the place where the cashier stands."""
    x, y = checkout.cashier_at_m
    half = _CASHIER_SIDE_M / 2
    return ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))


def calibration(camera: StoreCamera, size_hw: tuple[int, int]) -> dict[str, Any]:
    """The `floor.camera` section for pictures of this size."""
    matrix = camera.matrix(size_hw[1], size_hw[0])
    return {
        "focal_px": [float(matrix[0, 0]), float(matrix[1, 1])],
        "principal_px": [float(matrix[0, 2]), float(matrix[1, 2])],
        "distortion": [float(k) for k in camera.distortion],
        "rotation_wxyz": [float(q) for q in _quaternion(camera.rotation())],
        "translation_m": [float(t) for t in camera.translation_m()],
    }


def door_camera(plan: StorePlan, door: Door, size_hw: tuple[int, int]) -> str:
    """The camera that shows the whole door line largest, with a metre before and behind it."""
    ends, inside = np.array([door.start_m, door.end_m], np.float64), np.array(door.inside_m, np.float64)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    across = np.array([-along[1], along[0]])
    across *= np.sign((inside - ends[0]) @ across)
    spots = np.concatenate([ends, ends + across, ends - across])
    best = {camera.id: _width_px(camera, spots, size_hw) for camera in plan.cameras}
    chosen = max(best, key=lambda camera_id: best[camera_id])
    if best[chosen] <= 0:
        raise GeometryError(f"store '{plan.name}': no camera sees the whole door '{door.id}'")
    return chosen


def _width_px(camera: StoreCamera, spots_m: np.ndarray[Any, Any], size_hw: tuple[int, int]) -> float:
    """How wide the first two spots lie apart in the picture; 0 where any spot is out of sight."""
    depth = (np.column_stack([spots_m, np.zeros(len(spots_m))]) @ camera.rotation().T + camera.translation_m())[:, 2]
    if (depth < 0.3).any():
        return 0.0
    floor = from_camera(
        camera.matrix(size_hw[1], size_hw[0]), camera.rotation(), camera.translation_m(), np.array(camera.distortion)
    )
    seen = floor.to_pixels(spots_m)
    if (seen < 0).any() or (seen[:, 0] >= size_hw[1]).any() or (seen[:, 1] >= size_hw[0]).any():
        return 0.0
    return float(np.linalg.norm(seen[1] - seen[0]))


def _points(*points: tuple[float, float]) -> list[list[float]]:
    return [[round(float(x), 4), round(float(y), 4)] for x, y in points]


def _quaternion(rotation: np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    """(w, x, y, z) of a rotation matrix (Shepperd's method)."""
    r = rotation
    squares = np.array(
        [1 + r[0, 0] + r[1, 1] + r[2, 2], 1 + r[0, 0] - r[1, 1] - r[2, 2],
         1 - r[0, 0] + r[1, 1] - r[2, 2], 1 - r[0, 0] - r[1, 1] + r[2, 2]]
    )  # fmt: skip
    k = int(np.argmax(squares))
    s = 2 * float(np.sqrt(squares[k]))
    sums = {
        0: (s / 4, (r[2, 1] - r[1, 2]) / s, (r[0, 2] - r[2, 0]) / s, (r[1, 0] - r[0, 1]) / s),
        1: ((r[2, 1] - r[1, 2]) / s, s / 4, (r[0, 1] + r[1, 0]) / s, (r[0, 2] + r[2, 0]) / s),
        2: ((r[0, 2] - r[2, 0]) / s, (r[0, 1] + r[1, 0]) / s, s / 4, (r[1, 2] + r[2, 1]) / s),
        3: ((r[1, 0] - r[0, 1]) / s, (r[0, 2] + r[2, 0]) / s, (r[1, 2] + r[2, 1]) / s, s / 4),
    }
    w, x, y, z = sums[k]
    return float(w), float(x), float(y), float(z)
