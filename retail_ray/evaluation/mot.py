"""MOTChallenge text: `frame,id,left,top,width,height,confidence,class,visibility`, frames and ids from 1.

In ground truth the confidence is a flag (0: do not score this row); in detection files the id is -1.
Source: Milan et al., "MOT16: A Benchmark for Multi-Object Tracking", arXiv:1603.00831, table 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.evaluation.track_boxes import TrackBoxes

UNIDENTIFIED = -1
PEDESTRIAN = 1
_NAMES = ("frame", "id", "left", "top", "width", "height", "confidence", "class", "visibility")
_DEFAULTS = (math.nan,) * 6 + (1.0, float(PEDESTRIAN), 1.0)
_FEWEST_FIELDS = 6


@dataclass(frozen=True, slots=True)
class MotRows:
    """Rows of one MOTChallenge file in file order; left-out columns hold 1.

    boxes.track_id is -1 in `detections` files, where many rows of a frame share it.
    frame, track_id, class_id: (N,) int64. xyxy_px: (N, 4) float64. confidence, visibility: (N,) float64.
    """

    frame: NDArray[np.int64]
    track_id: NDArray[np.int64]
    xyxy_px: NDArray[np.float64]
    confidence: NDArray[np.float64]
    class_id: NDArray[np.int64]
    visibility: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def scored(self) -> TrackBoxes:
        """Ground truth that counts: pedestrians whose flag is set."""
        return self.tracks((self.confidence != 0) & (self.class_id == PEDESTRIAN))

    def tracks(self, keep: NDArray[np.bool_] | None = None) -> TrackBoxes:
        """The rows (or those in `keep`, an (N,) mask) as tracked boxes."""
        mask = np.ones(len(self), np.bool_) if keep is None else keep
        return TrackBoxes(self.frame[mask], self.track_id[mask], self.xyxy_px[mask])


def read_mot(path: Path) -> MotRows:
    """Read a ground truth, result or detection file.

    Raises DataError naming file, line and value when a row is malformed or an id stands twice in one frame.
    """
    rows: list[tuple[float, ...]] = []
    seen: dict[tuple[int, int], int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        place = f"{path} line {number}"
        values = _parse(line, place)
        key = int(values[0]), int(values[1])
        if key[1] != UNIDENTIFIED and key in seen:
            raise DataError(f"{place}: id {key[1]} already stands in frame {key[0]}, at line {seen[key]}")
        seen[key] = number
        rows.append(values)
    table = np.array(rows, np.float64).reshape(-1, len(_NAMES))
    corner = table[:, 2:4]
    return MotRows(
        frame=table[:, 0].astype(np.int64),
        track_id=table[:, 1].astype(np.int64),
        xyxy_px=np.hstack([corner, corner + table[:, 4:6]]),
        confidence=table[:, 6],
        class_id=table[:, 7].astype(np.int64),
        visibility=table[:, 8],
    )


def write_mot(path: Path, boxes: TrackBoxes, confidence: NDArray[np.floating] | None = None) -> None:
    """Write a result file, ordered by frame and id, to a thousandth of a pixel.

    Raises DataError when a frame number or id is below 1.
    """
    for name, values in (("frame", boxes.frame), ("id", boxes.track_id)):
        if len(values) and values.min() < 1:
            raise DataError(f"{path}: MOTChallenge counts every {name} from 1, found {values.min()}")
    scores = np.ones(len(boxes)) if confidence is None else confidence
    sides = boxes.xyxy_px[:, 2:] - boxes.xyxy_px[:, :2]
    lines = []
    for i in np.lexsort((boxes.track_id, boxes.frame)):
        numbers = (*boxes.xyxy_px[i, :2], *sides[i], scores[i])
        lines.append(f"{boxes.frame[i]},{boxes.track_id[i]},{','.join(f'{v:.3f}' for v in numbers)},-1,-1,-1\n")
    path.write_text("".join(lines), encoding="ascii")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not MOTChallenge text, byte {error.start} is not ASCII") from error


def _parse(line: str, place: str) -> tuple[float, ...]:
    fields = line.strip().rstrip(",").split(",")
    if len(fields) < _FEWEST_FIELDS:
        raise DataError(f"{place}: expected at least {_FEWEST_FIELDS} fields, found {len(fields)}: {line.strip()!r}")
    given = tuple(_number(name, text, place) for name, text in zip(_NAMES, fields, strict=False))
    values = given + _DEFAULTS[len(given) :]
    for name, value in zip(_NAMES[:2], values[:2], strict=True):
        if value != int(value):
            raise DataError(f"{place}: {name} must be a whole number, found {value}")
    if values[0] < 1:
        raise DataError(f"{place}: frames count from 1, found {values[0]:g}")
    if values[1] < 1 and values[1] != UNIDENTIFIED:
        raise DataError(f"{place}: ids count from 1 (-1 in detection files), found {values[1]:g}")
    if values[4] <= 0 or values[5] <= 0:
        raise DataError(f"{place}: width and height must be positive, found {values[4]:g} x {values[5]:g}")
    return values


def _number(name: str, text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{place}: {name} must be a number, found {text.strip()!r}") from error
    if not math.isfinite(value):
        raise DataError(f"{place}: {name} must be finite, found {text.strip()!r}")
    return value
