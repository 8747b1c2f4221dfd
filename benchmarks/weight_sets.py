"""Weights that accuracy is measured with, side by side: real ones where the shared data lie, and the shipped ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clips import SHARED
from retail_ray.config import Site
from retail_ray.config_models import DetectorSettings, EmbedderSettings, SegmenterSettings
from retail_ray.simulation.site_file import DEMO_MODELS

REAL_DETECTOR = SHARED / "weights" / "yolo11n_int8_openvino_model"
REAL_EMBEDDER = SHARED / "weights" / "osnet_x0_25_msmt17.onnx"


@dataclass(frozen=True)
class WeightSet:
    """A name, and settings of the models by role; a role that is missing keeps the simulated site's own."""

    name: str
    models: Mapping[str, Any] = field(default_factory=dict)

    def applied(self, site: Site) -> Site:
        return site.model_copy(update={"models": site.models.model_copy(update=dict(self.models))})

    def shown(self) -> dict[str, str]:
        """Names of the weights by role, without the folders of this machine."""
        own = {role: settings["weights"] for role, settings in DEMO_MODELS.items()}
        return own | {role: Path(settings.weights).name for role, settings in self.models.items()}

    def missing(self) -> list[str]:
        """Files of the set that are not on this machine."""
        return [
            s.weights for s in self.models.values() if Path(s.weights).is_absolute() and not Path(s.weights).exists()
        ]


SETS = {
    "real": WeightSet(
        "real weights",
        {
            "detector": DetectorSettings(weights=str(REAL_DETECTOR)),
            "embedder": EmbedderSettings(weights=str(REAL_EMBEDDER)),
        },
    ),
    "shipped": WeightSet("shipped demo weights"),
}
"""By short name. The real set has the product's defaults, the shipped one the settings of simulated sites."""


def with_masks(site: Site) -> Site:
    """The same with the shipped segmenter on every camera; there are no real SAM weights in the shared data."""
    segmenter = site.models.segmenter or SegmenterSettings(**DEMO_MODELS["segmenter"])
    cameras = [camera.model_copy(update={"segmentation": True}) for camera in site.cameras]
    models = site.models.model_copy(update={"segmenter": segmenter})
    return site.model_copy(update={"cameras": cameras, "models": models})


def without_masks(site: Site) -> Site:
    cameras = [camera.model_copy(update={"segmentation": False}) for camera in site.cameras]
    models = site.models.model_copy(update={"segmenter": None})
    return site.model_copy(update={"cameras": cameras, "models": models})
