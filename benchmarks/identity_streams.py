"""What the cameras of one case tell the gallery, recorded once, so that galleries get the same tracklets.

The detector is asked once per case and its answers stay on disk; what follows it is run anew when asked.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.seeds import Case
from benchmarks.simulated import with_identities
from benchmarks.true_parts import Recorded
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.core.event_time import CameraView
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Detections, Observations
from retail_ray.evaluation.evaluation import load_scene
from retail_ray.evaluation.scene import Scene
from retail_ray.runtime.clients import ModelClients
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video import simulate_video
from retail_ray.simulation.video_settings import VideoSettings

SECONDS, ARRIVALS_PER_HOUR, SIZE_PX, FPS = 60.0, 300.0, (640, 360), 10.0
Key = tuple[str, int]
"""(camera, local id) of a tracklet."""


@dataclass(frozen=True)
class Stream:
    """One recorded case. messages: of all cameras, each camera's in order. scene: its lake, held against the truth."""

    case: Case
    site: Site
    cameras: tuple[CameraView, ...]
    messages: tuple[Observations, ...]
    scene: Scene

    @property
    def end_us(self) -> int:
        return max(int(message.watermark_us) for message in self.messages)

    def keys(self) -> list[Key]:
        """(camera, local id) of the scene's tracklets, in its order."""
        rows = self.scene.rows
        return list(zip(rows.camera_of_tracklet, rows.local_id_of_tracklet, strict=True))

    def scored(self, identity_of: Mapping[Key, int]) -> Scene:
        """The scene as these identities would make it; a tracklet without one stands for itself."""
        return with_identities(self.scene, np.array([identity_of.get(key, -1) for key in self.keys()], np.int64))


def render(case: Case, folder: Path) -> None:
    """Clips, truth and site file of a case, unless they are there."""
    if (folder / "truth" / "truth.json").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    video = VideoSettings(width_px=SIZE_PX[0], height_px=SIZE_PX[1], fps=FPS)
    scenario = ScenarioSettings(duration_s=SECONDS, arrivals_per_hour=ARRIVALS_PER_HOUR)
    simulate_video(plan_by_name(case.layout), scenario, video, case.seed, folder)


def site_of(folder: Path, weights: Mapping[str, str | None]) -> Site:
    """The case's site with other weights; None or 'none' does without the model, detector excepted."""
    site = load_site(folder / "site.yaml")
    models = {
        role: None if name in {None, "none"} else getattr(site.models, role).model_copy(update={"weights": name})
        for role, name in weights.items()
    }
    detector = models["detector"]
    assert detector is not None
    # The demo's input size is for the demo's weights.
    models["detector"] = detector.model_copy(update={"long_side_px": None, "iou": 0.7})
    return site.model_copy(update={"models": site.models.model_copy(update=models)})


def record(case: Case, folder: Path, site: Site, *, name: str = "stream") -> Stream:
    """Run the cameras of a rendered case over recorded detections, and keep what they say."""
    answers = _Answers(folder / "detections.pickle")
    lake, heard = folder / "lakes" / name, list[Observations]()
    shutil.rmtree(lake, ignore_errors=True)
    outcome = run_in_process(
        site.model_copy(update={"lake": str(lake)}), JobOptions(), Experiment(answers.client, heard=heard.append)
    ).outcome
    if outcome.errors:
        raise RuntimeError(f"{case}: {outcome.errors}")
    answers.keep()
    starts_us = {camera.id: camera.recorded_at_us or 0 for camera in site.cameras}
    cameras = tuple(CameraView(camera.id, camera.floor is not None, starts_us[camera.id]) for camera in site.cameras)
    return Stream(case, site, cameras, tuple(heard), load_scene(lake, folder / "truth"))


class _Answers:
    """Answers of the detector by camera, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[list[Detections]]] = {}
        if path.is_file():
            self._known = pickle.loads(path.read_bytes())

    def client(self, camera_id: str, own: ModelClients) -> ModelClients:
        return Recorded(own, self._known.setdefault(camera_id, []))

    def keep(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_bytes(pickle.dumps(self._known, protocol=5))
        part.replace(self._path)


def resolved(events: Sequence[IdentityEvent], *, emitted: bool = False) -> dict[Key, int]:
    """Identity of each tracklet after all events; `emitted`: as first decided, whatever was corrected later."""
    identity: dict[Key, int] = {}
    absorbed: dict[tuple[str, int], int] = {}
    number: dict[tuple[str, int], int] = {}
    session: dict[Key, tuple[str, int]] = {}
    for event in events:
        if event.camera_id is not None and event.local_id is not None and event.identity_id is not None:
            key = (event.camera_id, event.local_id)
            if event.kind == "split" and emitted:
                continue
            if event.kind in {"create", "assign", "split"}:
                session[key] = (event.session_id, event.identity_id)
        elif event.kind == "merge" and not emitted and event.other_identity_id is not None:
            absorbed[event.session_id, event.other_identity_id] = event.identity_id or 0
            for key, (named, person) in session.items():
                if named == event.session_id and person == event.other_identity_id:
                    session[key] = (named, event.identity_id or 0)
    for key, who in session.items():
        identity[key] = number.setdefault(who, len(number))
    return identity
