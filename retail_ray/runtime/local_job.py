"""A run without Ray: one process, one camera after the other. For debugging, and to see what Ray costs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from retail_ray.config import Site
from retail_ray.core.errors import ConfigError
from retail_ray.runtime.attempt import Attempt, Outcome
from retail_ray.runtime.build_models import DetectorPool, build_embedder, build_segmenter
from retail_ray.runtime.clients import LocalClients
from retail_ray.runtime.crew import Experiment, LocalCrew
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.simulated_weights import require_simulated


@dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome of the last attempt, and what it took."""

    outcome: Outcome
    wall_s: float
    restarts: int


def run_in_process(site: Site, options: JobOptions, experiment: Experiment | None = None) -> JobResult:
    """The same run without Ray: one process, one camera after the other; `experiment` replaces parts of it."""
    require_simulated(site)
    models = site.models
    clients = LocalClients(
        DetectorPool(models.detector),
        None if models.embedder is None else build_embedder(models.embedder),
        None if models.segmenter is None else build_segmenter(models.segmenter),
    )
    started, plan = time.monotonic(), recorded_plan(site)
    crew = LocalCrew(plan, clients, experiment)
    try:
        outcome = Attempt(plan, crew, options, threading.Event(), replace=options.replace).run()
    finally:
        crew.end()
    return JobResult(outcome, time.monotonic() - started, 0)


def recorded_plan(site: Site) -> RunPlan:
    """ConfigError where a camera does not say when its video begins."""
    undated = [camera.id for camera in site.cameras if camera.recorded_at is None]
    if undated:
        raise ConfigError(
            f"camera '{undated[0]}': recorded_at is missing; a recorded run needs the time at which the video "
            "begins, e.g. 2026-03-02T10:00:00+01:00"
        )
    return RunPlan(site, site.run_id(), live=False)
