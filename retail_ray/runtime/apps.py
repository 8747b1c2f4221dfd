"""Serve applications: the plain replica classes turned into deployments, from settings or from YAML arguments.

`serve_configs/*.yaml` name the builders here; a job that finds no such application starts it by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from ray import serve
from ray.serve.handle import DeploymentHandle

from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.config_models import ModelSettings
from retail_ray.core.errors import ConfigError
from retail_ray.runtime.placement import host_options, model_options, off_options
from retail_ray.runtime.replicas import DetectorReplica, EmbedderReplica, OffReplica, SegmenterReplica

Role = Literal["detector", "embedder", "segmenter"]
ROLES: tuple[Role, ...] = ("detector", "embedder", "segmenter")
_REPLICAS: dict[Role, type] = {
    "detector": DetectorReplica,
    "embedder": EmbedderReplica,
    "segmenter": SegmenterReplica,
}
# Above cameras x chunks in flight, so that Serve never holds a request back: the replica batches by itself.
MAX_ONGOING_REQUESTS = 256
HEALTH_PERIOD_S = 10
HEALTH_TIMEOUT_S = 60


def model_app(role: Role, settings: ModelSettings) -> serve.Application:
    """One model as a Serve application of its own."""
    deployment = serve.deployment(_REPLICAS[role]).options(
        name=role,
        num_replicas=settings.replicas,
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        ray_actor_options=model_options(settings),
    )
    return deployment.bind(settings)


def off_app(role: Role) -> serve.Application:
    """Stands under the name of a model that the site runs without, so that one Serve config fits every site."""
    return serve.deployment(OffReplica).options(name=role, ray_actor_options=off_options()).bind(role)


def settings_of(site: Site, role: Role) -> ModelSettings | None:
    """The settings of a model, None where the site runs without it."""
    settings: ModelSettings | None = getattr(site.models, role)
    return settings


def detector_app(args: dict[str, Any]) -> serve.Application:
    return _from_yaml("detector", args)


def embedder_app(args: dict[str, Any]) -> serve.Application:
    return _from_yaml("embedder", args)


def segmenter_app(args: dict[str, Any]) -> serve.Application:
    return _from_yaml("segmenter", args)


def query_app(args: dict[str, Any]) -> serve.Application:
    """The HTTP API and the page over one site's lake."""
    return query_service(_site(args), replicas=int(args.get("replicas", 1)))


def query_service(site: Site, replicas: int = 1) -> serve.Application:
    """The HTTP API of a site; imported here, so that model replicas do without FastAPI."""
    from retail_ray.runtime.query import QueryService

    deployment = serve.deployment(serve.ingress()(QueryService)).options(
        name="query",
        num_replicas=replicas,
        max_ongoing_requests=64,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        ray_actor_options=host_options(),
    )
    return deployment.bind(site)


def running(role: Role) -> DeploymentHandle | None:
    """The handle of an application that is already deployed under the role's name."""
    status = serve.status().applications.get(role)
    if status is None or status.status not in {"RUNNING", "DEPLOYING"}:
        return None
    return serve.get_deployment_handle(role, role)


def _from_yaml(role: Role, args: dict[str, Any]) -> serve.Application:
    site = _site(args)
    settings = settings_of(site, role)
    return off_app(role) if settings is None else model_app(role, settings)


def _site(args: dict[str, Any]) -> Site:
    path = args.get("site") or os.environ.get("RETAIL_RAY_SITE")
    if not path:
        raise ConfigError("name the site's YAML file: args.site in the Serve config, or RETAIL_RAY_SITE")
    return load_site(Path(path).expanduser().resolve())
