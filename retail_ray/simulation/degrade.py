"""What a real camera does to a clean picture: colour cast, exposure, gamma, blur, noise, flicker, motion blur.

Touches colour only; id maps stay exact. H.264 compression follows in `clip_writer.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_NOISE_PLANES = 4


@dataclass(frozen=True, slots=True)
class CameraFaults:
    """How one camera differs from an ideal one; drawn once per camera."""

    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    gamma: float = 1.0
    blur_px: float = 0.6
    noise: float = 4.0
    flicker_share: float = 0.0
    flicker_hz: float = 0.0
    shutter_s: float = 0.0
    crf: int = 26
    clock_error_us: int = 0
    dropped_share: float = 0.0
    frame_time_jitter_share: float = 0.0


def draw_faults(rng: np.random.Generator, severity: float = 1.0) -> CameraFaults:
    """One camera's faults; severity 0 is an ideal camera, 1 the usual shop, 2 a bad one."""
    warm, green = rng.normal(0, 0.06 * severity), rng.normal(0, 0.025 * severity)
    flickers = rng.random() < 0.4
    varies = rng.random() < 0.3
    return CameraFaults(
        white_balance=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        exposure=float(np.exp(rng.normal(0, 0.12 * severity))),
        gamma=float(np.exp(rng.normal(0, 0.10 * severity))),
        blur_px=float(severity * rng.uniform(0.4, 0.8)),
        noise=float(severity * rng.uniform(2.5, 5.5)),
        flicker_share=float(severity * rng.uniform(0.01, 0.03)) if flickers else 0.0,
        flicker_hz=float(rng.uniform(0.5, 4.0)),
        shutter_s=float(min(severity, 1.5) * rng.uniform(1 / 100, 1 / 30)),
        crf=round(23 + 4 * severity + float(rng.integers(0, 3))),
        clock_error_us=round(rng.uniform(-200_000, 200_000) * min(severity, 1.0)),
        dropped_share=float(severity * rng.uniform(0, 0.02)),
        frame_time_jitter_share=float(min(severity, 1.0) * rng.uniform(0.05, 0.25)) if varies else 0.0,
    )


class Degrader:
    """Applies one camera's faults frame by frame; the same seed gives the same pictures."""

    def __init__(self, faults: CameraFaults, size_hw: tuple[int, int], seed: int) -> None:
        self.faults = faults
        self._rng = np.random.default_rng(seed)
        height, width = size_hw
        # Few planes, moved about at random, look like fresh noise and cost a tenth of it.
        shape = (_NOISE_PLANES, height, width, 3)
        self._noise = np.round(self._rng.normal(0, faults.noise, shape)).astype(np.int16) if faults.noise else None
        self._phase = float(self._rng.uniform(0, 2 * np.pi))

    def apply(self, image: Image, time_s: float) -> Image:
        """RGB uint8 (H, W, 3), clean -> the same as this camera delivers it."""
        faults = self.faults
        if faults.blur_px > 0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), faults.blur_px), np.uint8)
        toned = np.asarray(cv2.LUT(image, self._tone(time_s)), np.uint8)
        return toned if self._noise is None else self._with_noise(toned)

    def _tone(self, time_s: float) -> NDArray[np.uint8]:
        faults = self.faults
        flicker = 1 + faults.flicker_share * np.sin(2 * np.pi * faults.flicker_hz * time_s + self._phase)
        level = np.arange(256)[:, None] / 255 * (np.array(faults.white_balance) * faults.exposure * flicker)
        table = 255 * np.clip(level, 0, 1) ** faults.gamma
        return np.asarray(np.round(table), np.uint8).reshape((1, 256, 3))

    def _with_noise(self, image: Image) -> Image:
        assert self._noise is not None
        plane = self._noise[self._rng.integers(_NOISE_PLANES)]
        down = int(self._rng.integers(image.shape[0]))
        moved = np.concatenate([plane[down:], plane[:down]])
        if self._rng.random() < 0.5:
            moved = moved[:, ::-1]
        return np.asarray(cv2.add(image, moved, dtype=cv2.CV_8U), np.uint8)


def with_motion_blur(image: Image, ids: NDArray[np.uint16], moved_px: dict[int, tuple[float, float]]) -> Image:
    """Smear every person of the id map along `moved_px` (id -> x, y pixels moved while the shutter was open)."""
    blurred = image
    for person_id, (dx, dy) in moved_px.items():
        if np.hypot(dx, dy) < 1.5:
            continue
        mask = (ids == person_id).astype(np.uint8)
        if not mask.any():
            continue
        blurred = blurred.copy() if blurred is image else blurred
        _smear(blurred, image, mask, dx, dy)
    return blurred


def _smear(target: Image, image: Image, mask: NDArray[np.uint8], dx: float, dy: float) -> None:
    kernel = _line_kernel(dx, dy)
    margin = kernel.shape[0] // 2 + 1
    x, y, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, y - margin), y + height + margin)
    columns = slice(max(0, x - margin), x + width + margin)
    inside = mask[rows, columns, None].astype(np.float32)
    seen = target[rows, columns].astype(np.float32)
    share = _filtered(inside, kernel)
    # What the person hides is taken from beside it: where it matters, the smear reaches beyond the person's edge.
    behind = _filtered(seen * (1 - inside), kernel) / np.maximum(1 - share, 1e-3)
    mixed = _filtered(image[rows, columns] * inside, kernel) + (1 - share) * np.where(inside > 0, behind, seen)
    target[rows, columns] = np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def _filtered(picture: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.filter2D(picture, -1, kernel), np.float32).reshape(picture.shape)


def _line_kernel(dx: float, dy: float) -> NDArray[np.float32]:
    half = int(np.ceil(np.hypot(dx, dy) / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * half + 1):
        kernel[half + round(share * dy), half + round(share * dx)] += 1
    total = kernel.sum()
    return np.asarray(kernel / total, np.float32)
