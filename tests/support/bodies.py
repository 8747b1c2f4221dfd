"""Upright people of exact geometry before a camera of known pose, and their boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.body import CROWN_M, TOE_M
from retail_ray.core.homography import FloorCalibration, from_camera
from retail_ray.core.types import Tracks

FRAME_HW = (720, 1280)
K = np.array([[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]])
LENS = np.array([-0.13, 0.03, 0.0, 0.0, 0.0])


def camera(height_m: float = 2.8, pitch: float = 0.5, lens: NDArray[np.float64] | None = None) -> FloorCalibration:
    """A camera above the origin that looks along +y and down by `pitch` radians."""
    c, s = np.cos(pitch), np.sin(pitch)
    rotation = np.array([[1.0, 0, 0], [0, -s, -c], [0, c, -s]])
    return from_camera(K, rotation, -rotation @ np.array([0, 0, height_m]), np.zeros(5) if lens is None else lens)


def project(view: FloorCalibration, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) native pixels of (N, 3) points over the floor."""
    assert view.pose is not None
    seen = points_m @ view.pose.rotation.T + view.pose.translation_m
    ideal = (seen[:, :2] / seen[:, 2:]) @ view.pose.matrix[:2, :2].T + view.pose.matrix[:2, 2]
    return ideal if view.lens is None else view.lens.distort(ideal)


def ends(view: FloorCalibration, xy_m: NDArray[np.float64], height_m: float) -> tuple[NDArray[np.float64], ...]:
    """Pixels of the nearest toe and of the crown's far edge of people at (N, 2)."""
    outward = xy_m / np.linalg.norm(xy_m, axis=1, keepdims=True)
    foot = np.column_stack([xy_m - TOE_M * outward, np.zeros(len(xy_m))])
    head = np.column_stack([xy_m + CROWN_M * outward, np.full(len(xy_m), height_m)])
    return project(view, foot), project(view, head)


def boxes_of(
    view: FloorCalibration, xy_m: NDArray[np.float64], height_m: float = 1.7, hidden_below_m: float = 0.0
) -> NDArray[np.float32]:
    """(N, 4) boxes of people of `height_m`, seen only above `hidden_below_m` by the body's axis."""
    foot, head = ends(view, xy_m, height_m)
    low = foot if hidden_below_m == 0 else project(view, np.column_stack([xy_m, np.full(len(xy_m), hidden_below_m)]))
    middle, half = (low[:, 0] + head[:, 0]) / 2, (foot[:, 1] - head[:, 1]) / 6
    return np.column_stack([middle - half, head[:, 1], middle + half, low[:, 1]]).astype(np.float32)


def tracks_of(xyxy_px: NDArray[np.float32], local_ids: list[int] | None = None) -> Tracks:
    n = len(xyxy_px)
    ids = np.array(list(range(n)) if local_ids is None else local_ids, np.int64)
    return Tracks(xyxy_px, np.full(n, 0.9, np.float32), ids, np.arange(n, dtype=np.int32))
