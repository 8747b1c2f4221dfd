"""Connecting to Ray and bringing up the models a run needs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from retail_ray.config import Site
from retail_ray.config_models import ModelSettings
from retail_ray.core.errors import ConfigError, ModelError, WeightsError
from retail_ray.runtime import apps
from retail_ray.runtime.build_models import find_weights
from retail_ray.runtime.naming import NAMESPACE
from retail_ray.runtime.replicas import OFF
from retail_ray.runtime.serve_clients import ServeHandles
from retail_ray.runtime.simulated_weights import require_simulated

SETTINGS_TIMEOUT_S = 120
DEPLOY_TIMEOUT_S = 600
SERVE_PORT = 8000
# Alone on loopback nobody else can reach Ray, so it needs no token (a cluster keeps what it was started with); and
# on few cores its own housekeeping, made for a thousand nodes, would cost some percent of the frames.
OWN_RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_metrics_report_interval_ms": "60000",
}


@contextmanager
def ray_session(address: str | None = None, http_port: int | None = None, *, with_serve: bool = True) -> Iterator[bool]:
    """Ray for the time of a run: the cluster at `address` or RAY_ADDRESS, else an instance of our own (yields true).

    http_port: open Serve's HTTP proxy there on loopback; None: an instance of our own opens none.
    with_serve: false for work that asks no model.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    own = address is None
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    if own:
        for name, value in OWN_RAY_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        ray.init(
            address="local",
            namespace=NAMESPACE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _node_ip_address="127.0.0.1",
        )
    else:
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError) as error:
            raise ConfigError(
                f"no Ray cluster answers at '{address}' ({error}); start one with `ray start --head`, or leave the "
                "address (--ray-address, RAY_ADDRESS) out to run in a Ray of this process's own"
            ) from error
    try:
        if with_serve:
            _start_serve(http_port, own_ray=own)
        yield own
    finally:
        ray.shutdown()


def _start_serve(http_port: int | None, *, own_ray: bool) -> None:
    """On a cluster Serve outlives the job, and its HTTP options cannot be changed later: it gets its usual port."""
    quiet = {"log_level": "WARNING"}
    if own_ray and http_port is None:
        serve.start(proxy_location="Disabled", logging_config=quiet)
    else:
        port = SERVE_PORT if http_port is None else http_port
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port}, logging_config=quiet)


@contextmanager
def deployed_models(site: Site, *, own_ray: bool) -> Iterator[ServeHandles]:
    """Handles of the site's models: those already deployed, else applications for the time of this run."""
    require_simulated(site)
    handles: dict[apps.Role, DeploymentHandle | None] = dict.fromkeys(apps.ROLES)
    missing: dict[apps.Role, ModelSettings] = {}
    for role in apps.ROLES:
        settings = apps.settings_of(site, role)
        if settings is None:
            continue
        handle = None if own_ray else apps.running(role)
        if handle is None:
            missing[role] = settings
        else:
            _require_same(role, settings, handle)
            handles[role] = handle
    try:
        handles |= _deploy(missing, own_ray=own_ray)
        detector = handles["detector"]
        assert detector is not None
        yield ServeHandles(detector, handles["embedder"], handles["segmenter"])
    finally:
        if not own_ray:
            for role in missing:
                serve.delete(_app_name(role))


def _deploy(missing: dict[apps.Role, ModelSettings], *, own_ray: bool) -> dict[apps.Role, DeploymentHandle | None]:
    for role, settings in missing.items():
        if own_ray:
            _require_resources(role, settings)
            # Here, so that a missing file is told at once and a download shows its progress.
            _require_weights(role, settings)
    targets = [
        serve.RunTarget(apps.model_app(role, settings), name=_app_name(role), route_prefix=None)
        for role, settings in missing.items()
    ]
    if targets:
        serve.run_many(targets, wait_for_applications_running=False)
    deadline = time.monotonic() + DEPLOY_TIMEOUT_S
    for role, settings in missing.items():
        _wait_until_running(role, settings, deadline)
    return {role: serve.get_deployment_handle(role, _app_name(role)) for role in missing}


def _app_name(role: str) -> str:
    """A job's own application; the bare name is that of a deployment made by `serve deploy`, which jobs share."""
    return f"{role}-{ray.get_runtime_context().get_job_id()}"


def _wait_until_running(role: apps.Role, settings: ModelSettings, deadline: float) -> None:
    while True:
        application = serve.status().applications.get(_app_name(role))
        told = "" if application is None else "".join(d.message for d in application.deployments.values())
        if application is not None and application.status == "RUNNING":
            return
        if application is not None and application.status == "DEPLOY_FAILED":
            raise ModelError(f"models.{role} ({settings.weights}) did not start: {_told(told or application.message)}")
        if time.monotonic() > deadline:
            raise ModelError(
                f"models.{role}: not running after {DEPLOY_TIMEOUT_S} s; `ray status` shows whether the cluster has "
                f"{settings.num_gpus:g} GPUs and {settings.num_cpus:g} CPUs free for each replica. {_told(told)}"
            )
        time.sleep(0.1)


def _require_same(role: apps.Role, settings: ModelSettings, handle: DeploymentHandle) -> None:
    deployed = handle.settings.remote().result(timeout_s=SETTINGS_TIMEOUT_S)
    if deployed == OFF:
        raise ConfigError(
            f"the {role} is deployed as off, for a site without models.{role}, and this site has one; "
            "deploy this site's models, or leave the key out"
        )
    if deployed != settings.model_dump_json():
        raise ConfigError(
            f"the deployed {role} runs with other settings than this site's models.{role}: "
            f"deployed {deployed}, wanted {settings.model_dump_json()}; deploy it anew or take over its settings"
        )


def _require_weights(role: str, settings: ModelSettings) -> None:
    try:
        find_weights(settings.weights)
    except WeightsError as error:
        raise WeightsError(f"models.{role}: {error}") from error


def _require_resources(role: str, settings: ModelSettings) -> None:
    """On one machine nothing can be added: Ray would wait for ever for what is not there."""
    for what, name, wanted in (("GPUs", "GPU", settings.num_gpus), ("CPUs", "CPU", settings.num_cpus)):
        there = ray.cluster_resources().get(name, 0)
        if wanted * settings.replicas > there:
            raise ConfigError(
                f"models.{role}: {settings.replicas} x {wanted:g} {what} are asked for, this machine has {there:g}; "
                f"lower num_{what.lower()}"
            )


def _told(message: str) -> str:
    """The line of a traceback that says what is wrong."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("retail_ray.core.errors.")]
    return told[-1].split(": ", 1)[-1] if told else (lines[-1] if lines else message)
