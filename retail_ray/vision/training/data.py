"""Reads a folder of training data: pictures with people's boxes and masks, and patches of people by identity.

`pictures.jsonl` has one picture a line: {"picture", "scene", "camera", "people": [{"identity", "xyxy", "visible_share",
"counts"}]}, boxes and COCO run lengths being of the visible part in pixels of the picture. `patches.jsonl` has one
patch a line: {"patch", "identity", "camera"}; a patch holds the box grown by a tenth of its sides on every side.
Paths are relative to the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.types import Image

PICTURES = "pictures.jsonl"
PATCHES = "patches.jsonl"
PATCH_MARGIN = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture.

    xyxy_px: (N, 4) float32 visible boxes. visible_share: (N,) float32. counts: N COCO run lengths.
    """

    path: Path
    xyxy_px: NDArray[np.float32]
    visible_share: NDArray[np.float32]
    counts: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.xyxy_px)
        require(f"{self.path}: xyxy", self.xyxy_px, (n, 4), np.float32)
        require(f"{self.path}: visible_share", self.visible_share, (n,), np.float32)
        if len(self.counts) != n:
            raise DataError(f"{self.path}: {n} boxes and {len(self.counts)} masks")

    def __len__(self) -> int:
        return len(self.xyxy_px)

    def people(self, min_visible_share: float, min_height_px: float) -> NDArray[np.bool_]:
        """(N,) who is seen well enough to be asked for."""
        tall = self.xyxy_px[:, 3] - self.xyxy_px[:, 1] >= min_height_px
        return np.asarray(tall & (self.visible_share >= min_visible_share))

    def masks(self, rows: NDArray[np.intp], picture_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """(len(rows), *picture_hw) uint8, 1 where the person is seen."""
        from pycocotools import mask as coco

        return np.stack([coco.decode({"size": list(picture_hw), "counts": self.counts[row].encode()}) for row in rows])


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches of people. identity, camera: (N,) int64."""

    paths: tuple[Path, ...]
    identity: NDArray[np.int64]
    camera: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)


def read_pictures(folder: Path) -> list[Picture]:
    """Raises DataError that names file and line."""
    return _read_lines(folder / PICTURES, lambda row: _picture(folder, row))


def read_patches(folder: Path) -> Patches:
    """Raises DataError that names file and line."""
    rows = _read_lines(
        folder / PATCHES, lambda row: (folder / str(row["patch"]), int(row["identity"]), int(row["camera"]))
    )
    paths, identity, camera = zip(*rows, strict=True)
    return Patches(tuple(paths), np.array(identity, np.int64), np.array(camera, np.int64))


def read_image(path: Path) -> Image:
    """(H, W, 3) uint8 RGB."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: missing, or no picture; render the training data again")
    return np.asarray(image[..., ::-1], np.uint8)


def _picture(folder: Path, row: dict[str, Any]) -> Picture:
    people = row["people"]
    return Picture(
        folder / str(row["picture"]),
        np.array([person["xyxy"] for person in people], np.float32).reshape(-1, 4),
        np.array([person["visible_share"] for person in people], np.float32),
        tuple(str(person["counts"]) for person in people),
    )


def _read_lines(path: Path, read: Callable[[dict[str, Any]], T]) -> list[T]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: no training data here ({error.strerror}); render it first") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(read(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: damaged ({error}); render the training data again") from error
    if not rows:
        raise DataError(f"{path}: holds nothing to learn from; render the training data again")
    return rows
