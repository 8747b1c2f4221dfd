"""Weights that were trained on simulated people only are refused wherever a camera may show real ones."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from retail_ray.config import Camera, Site
from retail_ray.config_models import ModelSettings
from retail_ray.core.errors import ConfigError, WeightsError
from retail_ray.core.uris import scheme
from retail_ray.simulation.clip_writer import SIMULATED_COMMENT
from retail_ray.video.tags import comment_of
from retail_ray.vision.weights import (
    KnownWeights,
    default_cache_dir,
    default_models_dir,
    known_weights,
    locate,
    simulated_only,
)

MODEL_ROLES = ("detector", "embedder", "segmenter")


def require_simulated(site: Site) -> None:
    """ConfigError where weights for simulated people meet a site or a camera that is not simulated.

    A clip of the simulator says so in its metadata. A file that cannot be opened is left to the run, which names it.
    """
    for role in MODEL_ROLES:
        settings: ModelSettings | None = getattr(site.models, role)
        known = None if settings is None else _simulated_only(settings.weights)
        if settings is None or known is None:
            continue
        if not site.simulated:
            raise ConfigError(
                f"models.{role}: {settings.weights} knows simulated people only ({known.name}), and this site is not "
                f"marked `simulated: true`; for real cameras set models.{role}.weights to {known.instead}"
            )
        for camera in site.cameras:
            reason = _not_simulated(camera)
            if reason is not None:
                raise ConfigError(
                    f"camera '{camera.id}': {reason}, and models.{role} uses {settings.weights}, which knows simulated "
                    f"people only ({known.name}); for real video set models.{role}.weights to {known.instead}"
                )


def _simulated_only(name_or_path: str) -> KnownWeights | None:
    known = known_weights().get(name_or_path)
    if known is not None and known.simulated_only:
        return known
    try:
        return simulated_only(locate(name_or_path, default_models_dir(), default_cache_dir()))
    except WeightsError:
        return None  # Missing weights are told where they are loaded.


def _not_simulated(camera: Camera) -> str | None:
    kind = scheme(camera.uri)
    if kind != "file":
        return f"{camera.shown_uri} is a network address, not a clip of the simulator"
    path = Path(unquote(urlsplit(camera.uri).path) if "://" in camera.uri else camera.uri)
    if path.is_dir():
        return f"{path} is a folder of images, not a clip of the simulator"
    comment = comment_of(path)
    if comment is None or comment.startswith(SIMULATED_COMMENT):
        return None
    return f"{path} was not made by `retail-ray simulate video`"
