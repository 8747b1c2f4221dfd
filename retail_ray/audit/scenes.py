"""Clips for counting: silhouettes from stored boxes on an empty picture, with the counting line and its inside.

Nothing of the video is shown: the lake holds none. What the detector missed is missing here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retail_ray.analyst.opened import StoreLake
from retail_ray.analyst.store import CountingLine
from retail_ray.audit.sample import Clip
from retail_ray.core.errors import GeometryError, QueryError
from retail_ray.core.homography import FloorCalibration, from_points
from retail_ray.core.time import US_PER_S

LEAD_S: Final = 2.0
"""Shown before and after the counted seconds, so that a crossing is seen as a whole; greyed."""

FPS: Final = 5
WIDTH_PX: Final = 480

Points = NDArray[np.float64]
Boxes = NDArray[np.float32]

_BACKGROUND, _OUTSIDE, _FAINT = (238, 238, 238), (205, 205, 205), (150, 150, 150)
_LINE, _INK, _PERSON = (213, 94, 0), (50, 50, 50), (0, 114, 178)


@dataclass(frozen=True, slots=True)
class LineView:
    """A counting line in its camera's picture. ends: (2, 2), inside: (2,) native pixels. hw_px: size of the picture as
    far as anything reached."""

    ends: Points
    inside: Points
    hw_px: tuple[float, float]

    @property
    def scale(self) -> float:
        return WIDTH_PX / self.hw_px[1]

    @property
    def size(self) -> tuple[int, int]:
        return WIDTH_PX, max(1, round(self.hw_px[0] * self.scale))


def line_view(lake: StoreLake, line: CountingLine) -> LineView:
    """A line on the floor is carried into the picture by the stored foot points. QueryError where these are too few."""
    reach = lake.sql(
        "SELECT max(x2_px) AS x, max(y2_px) AS y FROM detections WHERE site_id = $site AND camera_id = $camera",
        site=lake.store.site_id,
        camera=line.camera_id,
    ).table.to_pylist()[0]
    points = np.vstack([line.ends, line.inside[None, :]])
    if line.on_floor:
        points = _calibration(lake, line).to_pixels(points)
    height, width = (max(float(reach[axis] or 0), points[:, side].max() + 1) for axis, side in (("y", 1), ("x", 0)))
    return LineView(points[:2], points[2], (height, width))


def _calibration(lake: StoreLake, line: CountingLine) -> FloorCalibration:
    table = lake.sql(
        """SELECT foot_x_px, foot_y_px, floor_x_m, floor_y_m FROM detections
        WHERE site_id = $site AND camera_id = $camera AND floor_x_m IS NOT NULL
        ORDER BY hash(frame_index, foot_x_px) LIMIT 400""",
        site=lake.store.site_id,
        camera=line.camera_id,
    ).table
    columns = [np.asarray(table[name].to_numpy(), np.float64) for name in table.column_names]
    try:
        return from_points(np.stack(columns[:2], axis=1), np.stack(columns[2:], axis=1))
    except GeometryError as error:
        raise QueryError(
            f"line '{line.id}': camera '{line.camera_id}' has too few floor points to show it ({error})"
        ) from error


def stored_boxes(lake: StoreLake, clip: Clip, clip_s: float) -> list[Boxes]:
    """For each picture of the clip the (N, 4) boxes of the nearest analysed frame."""
    lead_us, step_us = round(LEAD_S * US_PER_S), US_PER_S // FPS
    first_us, pictures = clip.start_us - lead_us, round((clip_s + 2 * LEAD_S) * FPS)
    table = lake.sql(
        """SELECT epoch_us(time) AS time_us, x1_px, y1_px, x2_px, y2_px FROM detections
        WHERE site_id = $site AND camera_id = $camera AND local_id IS NOT NULL
          AND date BETWEEN $day - 1 AND $day + 1
          AND time >= make_timestamptz($first_us::BIGINT) AND time < make_timestamptz($end_us::BIGINT)""",
        site=lake.store.site_id,
        camera=clip.camera_id,
        day=lake.store.day.date_of(clip.start_us),
        first_us=first_us,
        end_us=first_us + pictures * step_us,
    ).table
    time_us = np.asarray(table["time_us"].to_numpy(), np.int64)
    names = ("x1_px", "y1_px", "x2_px", "y2_px")
    boxes = np.stack([np.asarray(table[name].to_numpy(), np.float32) for name in names], axis=1)
    place = (time_us - first_us) // step_us
    # A camera may be analysed faster than pictures are drawn: one frame of each.
    first_of = {at: time_us[place == at].min() for at in np.unique(place).tolist()}
    return [boxes[time_us == first_of.get(at, -1)] for at in range(pictures)]


def draw(view: LineView, boxes: list[Boxes], clip_s: float, words: str) -> Iterator[Image.Image]:
    """The pictures of a clip of stored boxes."""
    for number, people in enumerate(boxes):
        picture = Image.new("RGB", view.size, _BACKGROUND)
        pen = ImageDraw.Draw(picture)
        for box in sorted((people * view.scale).tolist(), key=lambda box: box[3]):
            _silhouette(pen, box)
        mark(picture, view, number / FPS, clip_s, words)
        yield picture


def mark(picture: Image.Image, view: LineView, shown_s: float, clip_s: float, words: str) -> None:
    """Line, side and clock on a picture; a grey frame while nothing is to be counted."""
    pen = ImageDraw.Draw(picture)
    counting = LEAD_S <= shown_s < LEAD_S + clip_s
    start, end = (view.ends * view.scale).tolist()
    pen.line([*start, *end], fill=_LINE, width=4)
    middle = view.ends.mean(axis=0) * view.scale
    towards = view.inside * view.scale - middle
    tip = middle + towards / max(float(np.hypot(*towards)), 1e-6) * 40
    pen.line([*middle.tolist(), *tip.tolist()], fill=_LINE, width=2)
    pen.text((tip[0], tip[1]), "IN", fill=_LINE, anchor="mm", stroke_width=2, stroke_fill=_BACKGROUND)
    width, height = picture.size
    pen.rectangle([0, 0, width - 1, height - 1], outline=(0, 158, 115) if counting else _OUTSIDE, width=6)
    state = f"{shown_s - LEAD_S:4.1f} s" if counting else "do not count"
    pen.text((12, 10), f"{words}   {state}", fill=_INK if counting else _FAINT)


def _silhouette(pen: ImageDraw.ImageDraw, box: list[float]) -> None:
    """A head and a body that fill the box."""
    x1, y1, x2, y2 = box
    head = min((y2 - y1) * 0.16, (x2 - x1) * 0.6)
    middle = (x1 + x2) / 2
    pen.ellipse([middle - head / 2, y1, middle + head / 2, y1 + head], fill=_PERSON, outline=_BACKGROUND)
    body = [x1 + (x2 - x1) * 0.12, y1 + head * 0.9, x2 - (x2 - x1) * 0.12, y2]
    pen.rounded_rectangle(body, radius=(x2 - x1) * 0.25, fill=_PERSON, outline=_BACKGROUND)


def save(pictures: Sequence[Image.Image], path: Path) -> None:
    """An animated GIF that plays again and again."""
    first, *others = [picture.quantize(32, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for picture in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others, duration=1000 // FPS, loop=0, optimize=False)
