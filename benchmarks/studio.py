"""One rendered case with one set of weights: its runs in this process, and what the networks said in them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import closed_shop
from benchmarks.recordings import (
    Remembered,
    digest,
    load_detections,
    load_embeddings,
    save_detections,
    save_embeddings,
)
from benchmarks.seeds import Case
from benchmarks.true_parts import Recorded, TrueDetector
from benchmarks.weight_sets import WeightSet, without_masks
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Detections
from retail_ray.evaluation.evaluation import load_scene
from retail_ray.evaluation.scene import Scene
from retail_ray.lake.truth import Truth, read_truth
from retail_ray.runtime.clients import ModelClients
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.simulated_weights import MODEL_ROLES
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video import simulate_video
from retail_ray.simulation.video_settings import VideoSettings

SECONDS, ARRIVALS_PER_HOUR, SIZE_PX, FPS = 60.0, 300.0, (640, 360), 10.0


@dataclass(frozen=True)
class Studio:
    """One rendered case with one set of weights.

    answers: folder of what the networks said. detections: by camera, embeddings: by patch, each asked for once.
    """

    case: Case
    folder: Path
    site: Site
    truth: Truth
    answers: Path
    detections: dict[str, list[list[Detections]]] = field(default_factory=dict)
    embeddings: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    def scene(self, name: str, experiment: Experiment, site: Site | None = None, **changes: Any) -> Scene:
        """The lake of one run, brought together with the truth."""
        lake = self.answers / "lakes" / name.replace(" ", "_").replace(",", "")
        shutil.rmtree(lake, ignore_errors=True)
        changed = (site or self.site).model_copy(update={"lake": str(lake), **changes})
        outcome = run_in_process(changed, JobOptions(), experiment).outcome
        if outcome.errors:
            raise RuntimeError(f"{self.case}, {name}: {outcome.errors}")
        return load_scene(lake, self.folder / "truth")

    def remembered(self, _camera_id: str, own: ModelClients) -> ModelClients:
        return Remembered(own, self.embeddings)

    def recorded(self, camera_id: str, own: ModelClients) -> ModelClients:
        if camera_id not in self.detections:
            self.detections[camera_id] = load_detections(self._detections_file(camera_id))
        return Recorded(self.remembered(camera_id, own), self.detections[camera_id])

    def true_detector(self, camera_id: str, own: ModelClients) -> ModelClients:
        return TrueDetector(self.remembered(camera_id, own), self.truth, camera_id)

    def keep(self) -> None:
        """What the networks said, for the next time that this case runs."""
        for camera_id, chunks in self.detections.items():
            save_detections(self._detections_file(camera_id), chunks)
        if self.site.models.embedder is not None:
            save_embeddings(self._embeddings_file(), self.embeddings)

    def recall(self) -> None:
        if self.site.models.embedder is not None:
            self.embeddings.update(load_embeddings(self._embeddings_file()))

    def _detections_file(self, camera_id: str) -> Path:
        key = digest((self.folder / "clips").iterdir(), self.site.models.detector)
        return self.answers / f"detections-{key}" / f"{camera_id}.npz"

    def _embeddings_file(self) -> Path:
        assert self.site.models.embedder is not None
        return self.answers / f"embeddings-{digest((), self.site.models.embedder)}.npz"


def rendered(case: Case, folder: Path, weights: WeightSet, seconds: float = SECONDS) -> Studio:
    """The case's clips and truth, drawn where they are not there yet, to be analysed with these weights.

    The site knows the still figures that these weights see in the closed shop.
    """
    video = VideoSettings(width_px=SIZE_PX[0], height_px=SIZE_PX[1], fps=FPS, processes=1)
    if length_s(folder) != seconds:
        shutil.rmtree(folder, ignore_errors=True)
        scenario = ScenarioSettings(duration_s=seconds, arrivals_per_hour=ARRIVALS_PER_HOUR)
        simulate_video(plan_by_name(case.layout), scenario, video, case.seed, folder)
    if not (folder / "closed" / "site.yaml").is_file():
        closed_shop.draw(case, folder / "closed", video)
    return studio_of(case, folder, weights)


def length_s(folder: Path) -> float | None:
    """Of what is drawn there; None where nothing is, or not all of it."""
    try:
        written = json.loads((folder / "truth" / "truth.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return float((written["end_us"] - written["start_us"]) / US_PER_S)


def studio_of(case: Case, folder: Path, weights: WeightSet) -> Studio:
    site = one_thread_each(without_masks(weights.applied(load_site(folder / "site.yaml"))))
    answers = folder / "answers" / weights.name.replace(" ", "_")
    site = closed_shop.with_figures(site, folder / "closed", weights, answers)
    studio = Studio(case, folder, site, read_truth(folder / "truth"), answers)
    studio.recall()
    return studio


def one_thread_each(site: Site) -> Site:
    """Cases run side by side, one core each."""
    models = {
        role: settings if settings is None else settings.model_copy(update={"threads": 1})
        for role in MODEL_ROLES
        for settings in (getattr(site.models, role),)
    }
    return site.model_copy(update={"models": site.models.model_copy(update=models)})
