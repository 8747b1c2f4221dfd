"""Pictures of uniforms that the shop enrolled, embedded by the run's own network and kept in memory alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.uniforms import uniform_log_odds
from retail_ray.config import Site
from retail_ray.core.errors import ConfigError
from retail_ray.core.identity_map import Person
from retail_ray.core.types import Image
from retail_ray.runtime.clients import ModelClients
from retail_ray.video.images import read_rgb
from retail_ray.vision.crops import cut_patches

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LEAST_HW_PX = (64, 32)
_KEY = "identity.staff.uniforms"

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Vectors = NDArray[np.float32]
NO_UNIFORMS: Vectors = np.zeros((0, 0), np.float32)


class UniformBook:
    """Log-odds of being staff by likeness to the enrolled uniforms, taken while the embeddings of a session live.

    uniforms: (U, D) float32, (0, 0) where none is enrolled. What it keeps are numbers, no embeddings.
    """

    def __init__(self, uniforms: Vectors) -> None:
        self._uniforms = uniforms
        self.log_odds: dict[Person, float] = {}

    def judge(self, session_id: str, people: NDArray[np.int64], prototypes: Vectors) -> None:
        """(P,) whose and (P, D) which prototypes a session that ends has."""
        if not len(self._uniforms):
            return
        numbers, row = np.unique(people, return_inverse=True)
        found = uniform_log_odds(prototypes, row.ravel().astype(np.int64), len(numbers), self._uniforms)
        self.log_odds |= {
            (session_id, number): odds for number, odds in zip(numbers.tolist(), found.tolist(), strict=True)
        }


def uniforms_of(site: Site, clients: ModelClients) -> Vectors:
    """What the site has enrolled, as its own embedder describes it; ConfigError where there is no embedder for it."""
    places = site.identity.staff.uniforms
    if not places:
        return NO_UNIFORMS
    patch_hw = clients.patch_hw
    if patch_hw is None:
        raise ConfigError(f"{_KEY}: pictures are compared by models.embedder, which is off; set it, or leave them out")
    return embedded_uniforms(places, patch_hw, lambda patches: clients.embed(patches).result())


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
        return NO_UNIFORMS
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
