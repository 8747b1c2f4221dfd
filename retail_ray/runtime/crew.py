"""Who does the work of a run: actors in a Ray cluster (`ray_crew.py`), or plain objects in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from retail_ray.core.errors import SourceError
from retail_ray.core.identity_map import Person
from retail_ray.core.ports import Tracker
from retail_ray.core.types import Observations
from retail_ray.lake.epochs import FileEntry
from retail_ray.runtime.build_camera import CameraFacts, CameraInput, build_camera
from retail_ray.runtime.build_site import build_gallery_host, build_site_host
from retail_ray.runtime.camera import CameraPipeline, CameraStatus, EpochReport
from retail_ray.runtime.clients import ModelClients
from retail_ray.runtime.hosts import EpochClose, GalleryHost, SiteHost
from retail_ray.runtime.naming import GALLERY, SITE
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.uniforms import uniforms_of


class Crew(Protocol):
    """Cameras, gallery and site of one attempt at a run.

    in_turn: cameras wait for each other here, so that one without new frames need not hang.
    """

    in_turn: bool

    def open_cameras(self) -> tuple[dict[str, CameraFacts], dict[str, str]]:
        """Open all videos; facts of those that work, errors of those that do not."""
        ...

    def begin(self, facts: Mapping[str, CameraFacts], states: Mapping[str, bytes]) -> dict[str, int | None]:
        """Connect everything, go back to the states, and return each camera's first epoch."""
        ...

    def open_epoch(self, end_us: int) -> None: ...

    def start(self, camera_id: str, epoch: int) -> None:
        """Let a camera work through an epoch."""
        ...

    def finished(self, timeout_s: float) -> list[EpochReport]:
        """Reports of cameras that are done with their epoch; waits at most so long for the first."""
        ...

    def close_epoch(self, close: EpochClose) -> list[FileEntry]: ...

    def uniform_log_odds(self) -> dict[Person, float]:
        """Likeness to enrolled uniforms of everybody, once the last epoch is closed."""
        ...

    def statuses(self) -> list[CameraStatus]:
        """Of all cameras; also passed on to the live state."""
        ...

    def stop(self) -> None:
        """Live: no further frames; the open epoch ends now."""
        ...

    def end(self) -> None:
        """Free everything, whatever happened."""
        ...


@dataclass(frozen=True, slots=True)
class Experiment:
    """Parts of a run in this process that are replaced, to see what a stage costs or brings.

    clients: takes a camera and the site's own models, gives what the camera asks. tracker: gives a camera's tracker,
    None for the site's own. heard: is told every message to gallery and site, before they are.
    """

    clients: Callable[[str, ModelClients], ModelClients] = lambda _camera_id, own: own
    tracker: Callable[[str], Tracker | None] = lambda _camera_id: None
    heard: Callable[[Observations], None] = lambda _observations: None


class LocalCrew:
    """All in this process, one camera after the other: for debuggers, profilers, and to see what Ray costs."""

    in_turn = True

    def __init__(self, plan: RunPlan, clients: ModelClients, experiment: Experiment | None = None) -> None:
        self._plan, self._clients, self._experiment = plan, clients, experiment or Experiment()
        self._inputs = {camera.id: CameraInput(plan, camera.id) for camera in plan.site.cameras}
        self._pipelines: dict[str, CameraPipeline] = {}
        self._hosts: list[GalleryHost | SiteHost] = []
        self._gallery: GalleryHost | None = None
        self._started: deque[tuple[str, int]] = deque()

    def open_cameras(self) -> tuple[dict[str, CameraFacts], dict[str, str]]:
        facts, errors = {}, {}
        for name, camera_input in self._inputs.items():
            try:
                facts[name] = camera_input.probe()
            except SourceError as error:
                errors[name] = str(error)
        return facts, errors

    def begin(self, facts: Mapping[str, CameraFacts], states: Mapping[str, bytes]) -> dict[str, int | None]:
        starts_us = {name: fact.start_us for name, fact in facts.items()}
        gallery = build_gallery_host(self._plan, starts_us, uniforms_of(self._plan.site, self._clients))
        site = build_site_host(self._plan, starts_us)
        for writer, host in ((GALLERY, gallery), (SITE, site)):
            if writer in states:
                host.restore(states[writer])
        self._hosts, self._gallery = [gallery, site], gallery
        for name in facts:
            self._pipelines[name] = self._build(name, states.get(name))
        return {name: pipeline.first_epoch() for name, pipeline in self._pipelines.items()}

    def open_epoch(self, end_us: int) -> None:
        for host in self._hosts:
            host.open_epoch(end_us)

    def start(self, camera_id: str, epoch: int) -> None:
        self._started.append((camera_id, epoch))

    def finished(self, timeout_s: float) -> list[EpochReport]:  # noqa: ARG002 - the work is done here and now
        camera_id, epoch = self._started.popleft()
        return [self._pipelines[camera_id].work_epoch(epoch)]

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        return [entry for host in self._hosts for entry in host.close_epoch(close)]

    def uniform_log_odds(self) -> dict[Person, float]:
        return {} if self._gallery is None else self._gallery.uniform_log_odds()

    def statuses(self) -> list[CameraStatus]:
        return [pipeline.status for pipeline in self._pipelines.values()]

    def stop(self) -> None:
        for camera_input in self._inputs.values():
            camera_input.stop()

    def end(self) -> None:
        for pipeline in self._pipelines.values():
            pipeline.close()
        self.stop()

    def _build(self, name: str, state: bytes | None) -> CameraPipeline:
        def send(observations: Observations) -> None:
            self._experiment.heard(observations)
            for host in self._hosts:
                host.submit(observations)

        def end() -> None:
            for host in self._hosts:
                host.end_camera(name)

        clients = self._experiment.clients(name, self._clients)
        return build_camera(self._inputs[name], clients, send, end, state, tracker=self._experiment.tracker(name))
