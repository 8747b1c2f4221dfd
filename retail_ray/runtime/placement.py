"""Which node of a cluster each actor and replica runs on, and what it reserves there.

Nodes say what they are for by the label `retail-ray/role`; `cluster.yaml` sets it. Where no node has the label, as on
one machine, everything runs wherever there is room.
"""

from __future__ import annotations

from typing import Any, Literal

from retail_ray.config import Site
from retail_ray.config_models import ModelSettings

ROLE_LABEL = "retail-ray/role"
NodeRole = Literal["head", "cameras", "models"]
# Logical CPUs of what waits most of the time: gallery, site, and a replica of the query service.
HOST_CPUS = 0.1
# In place of a node of one's own role: any node but those with the GPUs, or any node at all.
_NO_MODEL_NODE = {ROLE_LABEL: "!models"}
_ANY_NODE: dict[str, str] = {}


def camera_options(site: Site) -> dict[str, Any]:
    """Ray's options of a camera actor: never beside the GPUs, whose few cores the models need."""
    return {"num_cpus": site.runtime.camera_cpus, **_on("cameras", _NO_MODEL_NODE)}


def host_options() -> dict[str, Any]:
    """Ray's options of the gallery, of the site actor, and of a replica of the query service."""
    return {"num_cpus": HOST_CPUS, **_on("head", _NO_MODEL_NODE)}


def model_options(settings: ModelSettings) -> dict[str, Any]:
    """Ray's options of a model replica: where the GPUs are if it asks for one, else beside the cameras."""
    role: NodeRole = "models" if settings.num_gpus > 0 else "cameras"
    return {"num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus, **_on(role, _ANY_NODE)}


def off_options() -> dict[str, Any]:
    """Ray's options of a replica that stands for a model which the site runs without."""
    return {"num_cpus": 0, **_on("head", _ANY_NODE)}


def _on(role: NodeRole, otherwise: dict[str, str]) -> dict[str, Any]:
    return {"label_selector": {ROLE_LABEL: role}, "fallback_strategy": [{"label_selector": otherwise}]}
