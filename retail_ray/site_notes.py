"""What a valid site goes without, or does not have yet: told, and no reason to refuse it."""

from __future__ import annotations

from pathlib import Path

from retail_ray.config import Site
from retail_ray.core.errors import WeightsError
from retail_ray.core.uris import is_network
from retail_ray.vision.weights import default_cache_dir, default_models_dir, known_weights, locate


def switched_off(site: Site) -> list[str]:
    """Parts that this site runs without."""
    notes = []
    if site.models.segmenter is None:
        notes.append("segmentation is off: models.segmenter is not set; foot points come from boxes")
    elif not any(camera.segmentation for camera in site.cameras):
        notes.append("models.segmenter is set, but no camera has `segmentation: true`; foot points come from boxes")
    if site.models.embedder is None:
        notes.append("re-identification is off: models.embedder is not set; geometry alone gives identities")
    return notes


def not_there(site: Site) -> list[str]:
    """Video, times and weights that a run would miss on this machine."""
    notes = []
    for camera in site.cameras:
        if camera.recorded_at is None:
            notes.append(f"camera '{camera.id}' has no recorded_at: it can run live; a recorded run would refuse it")
        if not is_network(camera.uri) and not Path(camera.uri.removeprefix("file://")).exists():
            notes.append(f"camera '{camera.id}': there is no {camera.uri} on this machine")
    for role in ("detector", "embedder", "segmenter"):
        settings = getattr(site.models, role)
        if settings is not None and (note := _weights_note(role, settings.weights)):
            notes.append(note)
    return notes


def _weights_note(role: str, weights: str) -> str | None:
    try:
        locate(weights, default_models_dir(), default_cache_dir())
    except WeightsError as error:
        first_run = "; the first run downloads them" if weights in known_weights() else ""
        return f"models.{role}: {error}{first_run}"
    return None
