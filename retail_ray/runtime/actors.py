"""The stateful actors: thin shells around CameraPipeline, GalleryHost and SiteHost."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from retail_ray.analytics.site import SiteLive
from retail_ray.core.errors import RetailRayError
from retail_ray.core.identity_map import Person
from retail_ray.core.types import Observations
from retail_ray.identity.settings import GalleryLive
from retail_ray.lake.epochs import FileEntry
from retail_ray.runtime.build_camera import CameraFacts, CameraInput, build_camera
from retail_ray.runtime.build_models import limit_threads
from retail_ray.runtime.build_site import build_gallery_host, build_site_host
from retail_ray.runtime.camera import CameraPipeline, CameraStatus, EpochReport
from retail_ray.runtime.hosts import EpochClose, GalleryHost, SiteHost
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.serve_clients import ServeClients, ServeHandles

# A camera waits for gallery and site after this many unanswered messages.
MESSAGES_IN_FLIGHT = 8


class GalleryActor:
    """One per site: the only writer of identities."""

    def __init__(
        self, plan: RunPlan, starts_us: dict[str, int], state: bytes | None, uniforms: NDArray[np.float32]
    ) -> None:
        limit_threads(1)
        self._host: GalleryHost = build_gallery_host(plan, starts_us, uniforms)
        self._live = plan.live
        if state is not None:
            self._host.restore(state)

    def submit(self, observations: Observations) -> None:
        self._host.submit(observations)

    def end_camera(self, camera_id: str) -> None:
        self._host.end_camera(camera_id)

    def open_epoch(self, end_us: int) -> None:
        self._host.open_epoch(end_us)

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        return self._host.close_epoch(close)

    def reset_session(self, time_us: int) -> str | None:
        """None in a recorded run: its event time is not now."""
        return self._host.reset_session(time_us) if self._live else None

    def live(self) -> GalleryLive:
        return self._host.live()

    def uniform_log_odds(self) -> dict[Person, float]:
        return self._host.uniform_log_odds()


class SiteActor:
    """One per site: analytics in event-time order, and the live state that the query service shows."""

    def __init__(self, plan: RunPlan, starts_us: dict[str, int], state: bytes | None) -> None:
        limit_threads(1)
        self._host: SiteHost = build_site_host(plan, starts_us)
        self._cameras: list[CameraStatus] = []
        if state is not None:
            self._host.restore(state)

    def submit(self, observations: Observations) -> None:
        self._host.submit(observations)

    def end_camera(self, camera_id: str) -> None:
        self._host.end_camera(camera_id)

    def open_epoch(self, end_us: int) -> None:
        self._host.open_epoch(end_us)

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        return self._host.close_epoch(close)

    def report_cameras(self, cameras: list[CameraStatus]) -> None:
        self._cameras = cameras

    def live(self) -> tuple[SiteLive, list[CameraStatus]]:
        return self._host.live(), self._cameras


class CameraActor:
    """One per camera. `status`, `pid` and `stop` answer while `work_epoch` runs (two threads)."""

    def __init__(self, plan: RunPlan, camera_id: str) -> None:
        limit_threads(1)
        self._plan, self._camera_id = plan, camera_id
        self._input = CameraInput(plan, camera_id)
        self._status = CameraStatus(camera_id)
        self._pipeline: CameraPipeline | None = None
        self._messages: list[Any] = []

    def probe(self) -> CameraFacts:
        """Open the video; SourceError names what is wrong with it."""
        return self._input.probe()

    def begin(self, handles: ServeHandles, receivers: list[Any], state: bytes | None) -> int | None:
        """Connect models, gallery and site, restore the state, and say which epoch comes first."""

        def send(observations: Observations) -> None:
            message = ray.put(observations)
            self._messages += [receiver.submit.remote(message) for receiver in receivers]
            self._settle(MESSAGES_IN_FLIGHT)

        def end() -> None:
            self._messages += [receiver.end_camera.remote(self._camera_id) for receiver in receivers]
            self._settle(0)

        clients = ServeClients(self._camera_id, handles, self._plan.site.runtime.call_timeout_s)
        self._pipeline = build_camera(self._input, clients, send, end, state)
        first = self._pipeline.first_epoch()
        self._settle(0)
        return first

    def work_epoch(self, epoch: int) -> EpochReport:
        if self._pipeline is None:
            raise RetailRayError(f"camera '{self._camera_id}': begin() was not called")
        report = self._pipeline.work_epoch(epoch)
        self._settle(0)
        return report

    def status(self) -> CameraStatus:
        return self._status if self._pipeline is None else self._pipeline.status

    def stop(self) -> None:
        """Live: finish the open epoch now."""
        self._input.stop()

    def pid(self) -> int:
        return os.getpid()

    def _settle(self, allowed: int) -> None:
        """Wait until at most `allowed` messages are unanswered; an error of a receiver is raised here."""
        while len(self._messages) > allowed:
            ray.get(self._messages.pop(0), timeout=self._plan.site.runtime.call_timeout_s)
