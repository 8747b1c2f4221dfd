"""The crew as Ray actors: one per camera, one gallery and one site, named, so that the query service finds them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from retail_ray.core.errors import RetailRayError, SourceError, StuckError
from retail_ray.core.identity_map import Person
from retail_ray.lake.epochs import FileEntry
from retail_ray.runtime.actors import CameraActor, GalleryActor, SiteActor
from retail_ray.runtime.build_camera import CameraFacts
from retail_ray.runtime.camera import CameraStatus, EpochReport
from retail_ray.runtime.hosts import EpochClose
from retail_ray.runtime.naming import GALLERY, SITE, camera_name, gallery_name, site_name
from retail_ray.runtime.placement import camera_options, host_options
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.serve_clients import ServeClients, ServeHandles
from retail_ray.runtime.uniforms import uniforms_of

START_TIMEOUT_S = 120.0
STATUS_TIMEOUT_S = 10.0


class RayCrew:
    """Owns the actors of one attempt."""

    in_turn = False

    def __init__(self, plan: RunPlan, handles: ServeHandles) -> None:
        site = plan.site
        self._plan, self._handles = plan, handles
        self._cameras: dict[str, Any] = {}
        self._receivers: list[Any] = []
        self._working: dict[Any, str] = {}
        if _exists(site_name(site.site)):
            raise RetailRayError(
                f"another job runs site '{site.site}' in the same Ray cluster (actor '{site_name(site.site)}'); "
                "end it first"
            )
        options = {"max_concurrency": 2, "max_restarts": 0, **camera_options(site)}
        for camera in site.cameras:
            remote = ray.remote(CameraActor).options(name=camera_name(site.site, camera.id), **options)
            self._cameras[camera.id] = remote.remote(plan, camera.id)

    def open_cameras(self) -> tuple[dict[str, CameraFacts], dict[str, str]]:
        probes = {name: actor.probe.remote() for name, actor in self._cameras.items()}
        facts, errors = {}, {}
        for name, probe in probes.items():
            try:
                facts[name] = ray.get(probe, timeout=START_TIMEOUT_S)
            except SourceError as error:
                errors[name] = str(getattr(error, "cause", error))
            except GetTimeoutError as error:
                raise StuckError(
                    f"camera '{name}': its actor did not start within {START_TIMEOUT_S:g} s; "
                    "`ray status` shows whether the cluster has room for it"
                ) from error
        return facts, errors

    def begin(self, facts: Mapping[str, CameraFacts], states: Mapping[str, bytes]) -> dict[str, int | None]:
        site = self._plan.site
        starts_us = {name: fact.start_us for name, fact in facts.items()}
        clients = ServeClients("uniforms", self._handles, site.runtime.call_timeout_s)
        uniforms = uniforms_of(site, clients)
        gallery = ray.remote(GalleryActor).options(name=gallery_name(site.site), max_restarts=0, **host_options())
        operators = ray.remote(SiteActor).options(name=site_name(site.site), max_restarts=0, **host_options())
        self._receivers = [
            gallery.remote(self._plan, starts_us, states.get(GALLERY), uniforms),
            operators.remote(self._plan, starts_us, states.get(SITE)),
        ]
        begun = [self._cameras[name].begin.remote(self._handles, self._receivers, states.get(name)) for name in facts]
        return dict(zip(facts, ray.get(begun, timeout=START_TIMEOUT_S), strict=True))

    def open_epoch(self, end_us: int) -> None:
        ray.get([receiver.open_epoch.remote(end_us) for receiver in self._receivers], timeout=START_TIMEOUT_S)

    def start(self, camera_id: str, epoch: int) -> None:
        self._working[self._cameras[camera_id].work_epoch.remote(epoch)] = camera_id

    def finished(self, timeout_s: float) -> list[EpochReport]:
        done, _ = ray.wait(list(self._working), timeout=timeout_s)
        for ref in done:
            del self._working[ref]
        reports: list[EpochReport] = ray.get(done)
        return reports

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        closing = [receiver.close_epoch.remote(close) for receiver in self._receivers]
        closed = ray.get(closing, timeout=self._plan.site.runtime.call_timeout_s)
        return [entry for entries in closed for entry in entries]

    def uniform_log_odds(self) -> dict[Person, float]:
        gallery = self._receivers[0]
        found: dict[Person, float] = ray.get(gallery.uniform_log_odds.remote(), timeout=START_TIMEOUT_S)
        return found

    def statuses(self) -> list[CameraStatus]:
        """Every camera's own word; one that does not answer in time is shown as silent."""
        asked = {name: actor.status.remote() for name, actor in self._cameras.items()}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=STATUS_TIMEOUT_S)
        statuses = [self._status(name, ref) for name, ref in asked.items()]
        if self._receivers:
            self._receivers[-1].report_cameras.remote(statuses)
        return statuses

    def stop(self) -> None:
        ray.get([camera.stop.remote() for camera in self._cameras.values()], timeout=START_TIMEOUT_S)

    def end(self) -> None:
        """Kill every actor and wait until their names are free again."""
        for actor in [*self._cameras.values(), *self._receivers]:
            with suppress(RayError):
                ray.kill(actor)
        site_id = self._plan.site.site
        names = [*(camera_name(site_id, name) for name in self._cameras), gallery_name(site_id), site_name(site_id)]
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(_exists(name) for name in names) and time.monotonic() < deadline:
            time.sleep(0.05)

    @staticmethod
    def _status(name: str, ref: Any) -> CameraStatus:
        try:
            status: CameraStatus = ray.get(ref, timeout=0)
        except GetTimeoutError:
            return CameraStatus(name, state="connecting", detail="the camera's actor does not answer")
        return status


def _exists(name: str) -> bool:
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True
