"""Pictures of uniforms that the shop enrolled, embedded by the run's own network and kept in memory alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError
from retail_ray.core.types import Image
from retail_ray.video.images import read_rgb
from retail_ray.vision.crops import cut_patches

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LEAST_HW_PX = (64, 32)
_KEY = "identity.staff.uniforms"

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def uniform_pictures(places: Sequence[str]) -> list[Path]:
    """The files named and those in the folders named, in order; ConfigError that names what is not there or empty."""
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
            if not inside:
                raise ConfigError(f"{_KEY}: no picture in folder {place}; put {', '.join(SUFFIXES)} files there")
            found += inside
        elif place.is_file():
            found.append(place)
        else:
            raise ConfigError(f"{_KEY}: {place} is not there; name a picture or a folder of pictures")
    return found


def embedded_uniforms(places: Sequence[str], patch_hw: tuple[int, int], embed: Embed) -> NDArray[np.float32]:
    """(U, D) float32, L2-normalised, one for each picture; (0, 0) where none is enrolled.

    embed: takes (U, *patch_hw, 3) uint8 RGB patches, as `ModelClients.embed(patches).result()` and
    `Embedder.embed(patches)` do. ConfigError with the file for what is missing, no picture, or smaller than 32 x 64 px.
    """
    paths = uniform_pictures(places)
    if not paths:
        return np.zeros((0, 0), np.float32)
    return embed(np.concatenate([_patch(path, patch_hw) for path in paths]))


def _patch(path: Path, patch_hw: tuple[int, int]) -> NDArray[np.uint8]:
    picture = _picture(path)
    height, width = picture.shape[:2]
    whole = np.array([[0, 0, width, height]], np.float32)
    return cut_patches(picture, whole, patch_hw)


def _picture(path: Path) -> Image:
    try:
        picture = read_rgb(path)
    except OSError as error:
        raise ConfigError(f"{_KEY}: {path} cannot be read: {error.strerror}") from error
    if picture is None:
        raise ConfigError(f"{_KEY}: {path} is no picture; give a {', '.join(SUFFIXES)} file of one person")
    height, width = picture.shape[:2]
    if height < LEAST_HW_PX[0] or width < LEAST_HW_PX[1]:
        raise ConfigError(
            f"{_KEY}: {path} is {width} x {height} px; a person must be cut out at {LEAST_HW_PX[1]} x {LEAST_HW_PX[0]} "
            "or larger"
        )
    return picture
