"""The frozen stores before they open: a few seconds without people, from which their still figures are told.

Who sets up cameras in a shop has such a recording from every night.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.seeds import Case
from benchmarks.weight_sets import WeightSet, without_masks
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.figures import still_figures
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video import simulate_video
from retail_ray.simulation.video_settings import VideoSettings

SECONDS = 3.0


def draw(case: Case, folder: Path, video: VideoSettings) -> None:
    """Clips of the same cameras of the same store, with nobody in it."""
    nobody = ScenarioSettings(
        duration_s=SECONDS,
        warm_up_s=0.0,
        arrivals_per_hour=0.0,
        passers_by_per_hour=0.0,
        initial_shoppers=0,
        staff=0,
    )
    simulate_video(plan_by_name(case.layout), nobody, video, case.seed, folder)


def with_figures(site: Site, closed: Path, weights: WeightSet, answers: Path) -> Site:
    """The site with the figures that these weights see in the closed shop; kept among the answers of the networks."""
    known = answers / "figures.json"
    if not known.is_file():
        empty = without_masks(weights.applied(load_site(closed / "site.yaml")))
        models = empty.models.model_copy(update={"embedder": None})
        lake = answers / "lakes" / "closed"
        shutil.rmtree(lake, ignore_errors=True)
        outcome = run_in_process(
            empty.model_copy(update={"lake": str(lake), "models": models}), JobOptions(), Experiment()
        ).outcome
        if outcome.errors:
            raise RuntimeError(f"{closed}: {outcome.errors}")
        found = {camera: boxes.round().tolist() for camera, boxes in still_figures(site, lake, empty=True).items()}
        known.write_text(json.dumps(found) + "\n", encoding="utf-8")
    boxes = json.loads(known.read_text(encoding="utf-8"))
    cameras = [
        camera.model_copy(update={"still_figures": [tuple(box) for box in boxes[camera.id]]}) for camera in site.cameras
    ]
    return site.model_copy(update={"cameras": cameras})
