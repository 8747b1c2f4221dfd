"""One camera of a simulated store: draws, degrades and encodes its frames, and notes the truth of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.simulation.clip_writer import ClipWriter
from retail_ray.simulation.crowd import Crowd
from retail_ray.simulation.degrade import CameraFaults, Degrader, with_motion_blur
from retail_ray.simulation.render.people import people_at
from retail_ray.simulation.render.renderer import Picture, Prefer, WholeBody, make_renderer
from retail_ray.simulation.store import StoreCamera, StorePlan

# A body drawn alone may differ from the picture by a pixel at its edge.
_MARGIN_PX = 2


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """All that a worker process needs to make one camera's clip; times in us, `start_us` is the true beginning."""

    plan: StorePlan
    camera: StoreCamera
    crowd: Crowd
    faults: CameraFaults
    seed: int
    size_hw: tuple[int, int]
    fps: float
    start_us: int
    mask_every_s: float
    renderer: Prefer
    path: Path
    about: str


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """Columns of the truth tables frames, boxes and masks of one camera, and the renderer that drew it."""

    camera_id: str
    frames: dict[str, list[Any]]
    boxes: dict[str, list[Any]]
    masks: dict[str, list[Any]]
    renderer: str


def make_clip(order: ClipOrder) -> ClipTruth:
    """Write the clip to `order.path`; the same order gives the same bytes with the same renderer."""
    height, width = order.size_hw
    renderer = make_renderer(order.plan, width, height, order.crowd.people, prefer=order.renderer)
    degrader = Degrader(order.faults, order.size_hw, order.seed)
    notes = _Notes(order)
    blur = _MotionBlur(order.faults.shutter_s)
    with ClipWriter(order.path, order.size_hw, order.fps, order.faults.crf, order.about) as clip:
        for at_us, kept in frame_times(order.crowd.duration_s, order.fps, order.faults, order.seed):
            if not kept:
                notes.dropped(at_us)
                continue
            people = people_at(order.crowd, at_us / US_PER_S)
            picture = renderer.draw(order.camera, people)
            shown = set(picture.people())
            people = [posed for posed in people if posed.person.person_id in shown]
            bodies = [body for body in renderer.whole_bodies(order.camera, people) if body is not None]
            image = blur.apply(picture, bodies, at_us)
            clip.write(degrader.apply(image, at_us / US_PER_S), at_us)
            notes.frame(at_us, picture, bodies, {posed.person.person_id: posed.xy_m for posed in people})
    return notes.truth(renderer.name)


def frame_times(duration_s: float, fps: float, faults: CameraFaults, seed: int) -> Iterator[tuple[int, bool]]:
    """(us after the beginning, kept) of every frame; the first is always kept, times rise strictly."""
    rng = np.random.default_rng([seed, 1])
    step_us = US_PER_S / fps
    for index in range(int(duration_s * fps)):
        late = rng.uniform(-0.5, 0.5) * faults.frame_time_jitter_share
        dropped = rng.random() < faults.dropped_share
        yield (0 if index == 0 else round((index + late) * step_us)), index == 0 or not dropped


class _MotionBlur:
    """Keeps where everybody was in the frame before."""

    def __init__(self, shutter_s: float) -> None:
        self._shutter_s = shutter_s
        self._before: dict[int, NDArray[np.float64]] = {}
        self._before_us = 0

    def apply(self, picture: Picture, bodies: list[WholeBody], at_us: int) -> NDArray[np.uint8]:
        now = {body.person_id: (body.box_px[:2] + body.box_px[2:]).astype(np.float64) / 2 for body in bodies}
        share = self._shutter_s * US_PER_S / max(1, at_us - self._before_us)
        moved = {
            person_id: tuple(((centre - self._before[person_id]) * share).tolist())
            for person_id, centre in now.items()
            if person_id in self._before
        }
        self._before, self._before_us = now, at_us
        return with_motion_blur(picture.image, picture.ids, moved)


class _Notes:
    """Collects the truth of one clip."""

    def __init__(self, order: ClipOrder) -> None:
        self._order = order
        self._frames: dict[str, list[Any]] = defaultdict(list)
        self._boxes: dict[str, list[Any]] = defaultdict(list)
        self._masks: dict[str, list[Any]] = defaultdict(list)
        self._written = 0
        self._next_mask_us = 0

    def dropped(self, at_us: int) -> None:
        self._frame_row(-1, at_us)

    def frame(
        self, at_us: int, picture: Picture, bodies: list[WholeBody], floor_m: dict[int, tuple[float, float]]
    ) -> None:
        self._frame_row(self._written, at_us)
        keyed = self._order.mask_every_s > 0 and at_us >= self._next_mask_us
        if keyed:
            self._next_mask_us += round(self._order.mask_every_s * US_PER_S)
        for body in bodies:
            corner_px, visible = _visible(picture, body)
            if visible.any():
                self._box_row(at_us, body, corner_px, visible, floor_m[body.person_id])
                if keyed:
                    self._mask_row(picture, body)
        self._written += 1

    def truth(self, renderer: str) -> ClipTruth:
        return ClipTruth(self._order.camera.id, dict(self._frames), dict(self._boxes), dict(self._masks), renderer)

    def _stamp(self, at_us: int) -> dict[str, int]:
        true_us = self._order.start_us + at_us
        return {"time_us": true_us, "stamp_us": true_us + self._order.faults.clock_error_us}

    def _frame_row(self, index: int, at_us: int) -> None:
        _add(self._frames, {"camera_id": self._order.camera.id, "frame_index": index} | self._stamp(at_us))

    def _box_row(
        self,
        at_us: int,
        body: WholeBody,
        corner_px: tuple[int, int],
        visible: NDArray[np.bool_],
        xy_m: tuple[float, float],
    ) -> None:
        columns = np.flatnonzero(visible.any(axis=0)) + corner_px[0]
        rows = np.flatnonzero(visible.any(axis=1)) + corner_px[1]
        row: dict[str, Any] = {"camera_id": self._order.camera.id, "frame_index": self._written} | self._stamp(at_us)
        row |= {"person_id": body.person_id}
        row |= {"x1_px": columns[0], "y1_px": rows[0], "x2_px": columns[-1] + 1, "y2_px": rows[-1] + 1}
        row |= {f"full_{name}_px": value for name, value in zip(("x1", "y1", "x2", "y2"), body.box_px, strict=True)}
        row |= {"visible_share": min(1.0, int(visible.sum()) / max(1.0, body.pixels))}
        _add(self._boxes, row | {"x_m": xy_m[0], "y_m": xy_m[1]})

    def _mask_row(self, picture: Picture, body: WholeBody) -> None:
        visible = picture.ids == body.person_id
        height, width = self._order.size_hw
        row = {"camera_id": self._order.camera.id, "frame_index": self._written, "person_id": body.person_id}
        row |= {"height_px": height, "width_px": width}
        _add(
            self._masks,
            row | {"visible_counts": run_lengths(visible), "full_counts": run_lengths(body.mask((height, width)))},
        )


def _visible(picture: Picture, body: WholeBody) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """Column and row of a window, and which of its pixels show this person."""
    column, row = (max(0, corner - _MARGIN_PX) for corner in body.corner_px)
    bottom, right = np.add(body.part.shape, (body.corner_px[1], body.corner_px[0])) + _MARGIN_PX
    return (column, row), picture.ids[row:bottom, column:right] == body.person_id


def run_lengths(mask: NDArray[np.bool_]) -> bytes:
    """COCO run-length counts of a (H, W) mask."""
    from pycocotools import mask as coco

    counts: bytes = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return counts


def _add(columns: dict[str, list[Any]], row: dict[str, Any]) -> None:
    for name, value in row.items():
        columns[name].append(value)
