"""Soft shadows that people throw on the floor: one wide blob under the body and a small one under each foot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.render.placing import PlacedBody, project
from retail_ray.simulation.render.view import View

Array = NDArray[np.float64]
_RIM = 12


def cast_shadows(
    view: View, image: NDArray[np.uint8], floor_m: NDArray[np.float32], bodies: Sequence[PlacedBody]
) -> None:
    """Darken the floor in `image`; floor_m: (H, W, 2) float32, what each pixel shows of it, else NaN."""
    if not bodies:
        return
    blobs = np.concatenate([_blobs(body) for body in bodies])
    _darken(image, floor_m, blobs.astype(np.float32), _windows(view, blobs))


def _blobs(body: PlacedBody) -> Array:
    """(3, 4) x, y, radius and strength; a lifted foot's shadow is wider and weaker."""
    middle = body.ankles_m[:, :2].mean(axis=0)
    rows = [(float(middle[0]), float(middle[1]), 0.58, 0.24)]
    for x, y, z in body.ankles_m:
        lifted = float(np.clip((z - 0.08) / 0.2, 0, 1))
        rows.append((float(x), float(y), 0.2 + 0.1 * lifted, 0.45 * (1 - 0.8 * lifted)))
    return np.array(rows)


def _windows(view: View, blobs: Array) -> NDArray[np.int64]:
    """(N, 4) pixels x0, y0, x1, y1 within the frame that hold each blob; empty where a blob is not wholly ahead."""
    turn = np.arange(_RIM) * (2 * np.pi / _RIM)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 1.05
    rim = np.zeros((len(blobs), _RIM, 3), np.float32)
    rim[:, :, :2] = blobs[:, None, :2] + around * blobs[:, None, 2:3]
    screen = project(view, rim.reshape(-1, 3)).reshape(len(blobs), _RIM, 3)
    size = np.array([view.width_px, view.height_px])
    low = np.clip(np.floor(screen[:, :, :2].min(axis=1)), 0, size).astype(np.int64)
    high = np.clip(np.ceil(screen[:, :, :2].max(axis=1)) + 1, 0, size).astype(np.int64)
    windows = np.concatenate([low, high], axis=1)
    windows[(screen[:, :, 2] == 0).any(axis=1)] = 0
    return windows


@njit(cache=True, nogil=True)
def _darken(
    image: NDArray[np.uint8], floor_m: NDArray[np.float32], blobs: NDArray[np.float32], windows: NDArray[np.int64]
) -> None:
    for b in range(len(blobs)):
        smaller = np.float32(1.0) / (blobs[b, 2] * blobs[b, 2])
        for row in range(windows[b, 1], windows[b, 3]):
            for column in range(windows[b, 0], windows[b, 2]):
                x, y = floor_m[row, column, 0] - blobs[b, 0], floor_m[row, column, 1] - blobs[b, 1]
                inside = np.float32(1.0) - (x * x + y * y) * smaller
                if inside > 0:
                    keep = np.float32(1.0) - blobs[b, 3] * inside * inside
                    for channel in range(3):
                        image[row, column, channel] = np.uint8(image[row, column, channel] * keep)
