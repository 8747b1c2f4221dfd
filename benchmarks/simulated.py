"""Accuracy on simulated stores with exact truth: a ladder of true parts, negative controls, and appearance alone.

python -m benchmarks.simulated [--cases N] [--work DIR]   ->  benchmarks/results/accuracy.json, key `simulated`

Finished cases are kept in DIR and not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.appearance import same_false_links, separation, true_crops
from benchmarks.environment import RESULTS, describe
from benchmarks.pooled import pooled
from benchmarks.seeds import TEST_CASES, Case
from benchmarks.simulated_report import CONTROLS, LADDER, STEPS
from benchmarks.true_parts import (
    Histograms,
    Recorded,
    Shuffled,
    TrueDetector,
    TrueTracker,
    colour_histograms,
)
from retail_ray.config import ModelSettings, Site
from retail_ray.config_file import load_site
from retail_ray.core.types import Detections
from retail_ray.evaluation.evaluation import SEED, load_scene, measure
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.measures import flat
from retail_ray.evaluation.scene import Scene
from retail_ray.lake.truth import Truth, read_truth
from retail_ray.runtime.build_models import build_embedder, limit_threads
from retail_ray.runtime.clients import ModelClients
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video import simulate_video
from retail_ray.simulation.video_settings import VideoSettings

SECONDS, ARRIVALS_PER_HOUR, SIZE_PX, FPS = 30.0, 300.0, (640, 360), 10.0


@dataclass(frozen=True)
class Studio:
    """One rendered case. detections: the detector's answers by camera, asked once for all runs."""

    case: Case
    folder: Path
    site: Site
    truth: Truth
    detections: dict[str, list[list[Detections]]]

    def scene(self, name: str, experiment: Experiment, **changes: Any) -> Scene:
        """The lake of one run, brought together with the truth."""
        lake = self.folder / "lakes" / name.replace(" ", "_").replace(",", "")
        shutil.rmtree(lake, ignore_errors=True)
        site = self.site.model_copy(update={"lake": str(lake), **changes})
        outcome = run_in_process(site, JobOptions(), experiment).outcome
        if outcome.errors:
            raise RuntimeError(f"{self.case}, {name}: {outcome.errors}")
        return load_scene(lake, self.folder / "truth")

    def recorded(self, camera_id: str, own: ModelClients) -> ModelClients:
        return Recorded(own, self.detections.setdefault(camera_id, []))

    def true_detector(self, camera_id: str, own: ModelClients) -> ModelClients:
        return TrueDetector(own, self.truth, camera_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(TEST_CASES), help="only the first N frozen cases")
    parser.add_argument("--work", type=Path, default=Path("build/simulated"), help="clips, lakes, results of cases")
    parser.add_argument("--detector", help="weights instead of the site's")
    parser.add_argument("--embedder", help="weights instead of the site's")
    parser.add_argument("--segmenter", help="weights instead of the site's, 'none' to do without")
    arguments = parser.parse_args()
    weights = {role: getattr(arguments, role) for role in ("detector", "embedder", "segmenter")}
    arguments.work.mkdir(parents=True, exist_ok=True)
    limit_threads(2)
    results: list[dict[str, Any]] = []
    for case in TEST_CASES[: arguments.cases]:
        results.append(case_result(case, arguments.work, weights))
        write(results, weights)


def case_result(case: Case, work: Path, weights: Mapping[str, str | None]) -> dict[str, Any]:
    known = work / f"{case}.json"
    if not known.is_file():
        began = time.monotonic()
        studio = rendered(case, work / str(case), weights)
        found = {"case": str(case), "layout": case.layout, "seed": case.seed, **everything(studio)}
        found["minutes"] = round((time.monotonic() - began) / 60, 2)
        known.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{case}: {found['minutes']} minutes", flush=True)
    content: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
    return content


def rendered(case: Case, folder: Path, weights: Mapping[str, str | None]) -> Studio:
    if not (folder / "truth" / "truth.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        video = VideoSettings(width_px=SIZE_PX[0], height_px=SIZE_PX[1], fps=FPS)
        scenario = ScenarioSettings(duration_s=SECONDS, arrivals_per_hour=ARRIVALS_PER_HOUR)
        simulate_video(plan_by_name(case.layout), scenario, video, case.seed, folder)
    site = load_site(folder / "site.yaml")
    models = {role: _model(getattr(site.models, role), name) for role, name in weights.items()}
    site = site.model_copy(update={"models": site.models.model_copy(update=models)})
    return Studio(case, folder, site, read_truth(folder / "truth"), {})


def _model(settings: ModelSettings | None, weights: str | None) -> ModelSettings | None:
    if settings is None or weights == "none":
        return None
    return settings if weights is None else settings.model_copy(update={"weights": weights})


def everything(studio: Studio) -> dict[str, Any]:
    """Every run of one case: measures of each rung and control, and appearance alone."""
    appearance, threshold = appearance_alone(studio)
    scenes = ladder(studio) | controls(studio, threshold)
    variants = {name: values(scene) for name, scene in scenes.items()}
    return {"people": len(studio.truth.tables["people"]["person_id"]), "appearance": appearance, "variants": variants}


def values(scene: Scene) -> dict[str, dict[str, float]]:
    """What was measured, by dotted name."""
    sections = measure(scene, np.random.default_rng(SEED))
    return {key: {"value": m.value, "n": m.n} for key, m in flat(sections).items() if m.value is not None}


def ladder(studio: Studio) -> dict[str, Scene]:
    true_tracks = Experiment(studio.true_detector, lambda _camera_id: TrueTracker())
    tracks = studio.scene("true tracklets", true_tracks)
    plain = studio.site.models.model_copy(update={"embedder": None, "segmenter": None})
    whole = studio.scene("everything", Experiment(studio.recorded))
    return dict(
        zip(
            LADDER,
            (
                with_identities(tracks, people_of_tracklets(tracks).person),
                tracks,
                studio.scene("true boxes", Experiment(studio.true_detector)),
                studio.scene("detector", Experiment(studio.recorded), models=plain),
                whole,
            ),
            strict=True,
        )
    )


def controls(studio: Studio, histogram_threshold: float) -> dict[str, Scene]:
    """Each must score worse than everything; the last two only change what identities are believed to be."""
    rng = np.random.default_rng(studio.case.seed)
    identity = studio.site.identity.model_copy(update={"min_similarity": round(histogram_threshold, 4)})
    whole = load_scene(studio.folder / "lakes" / "everything", studio.folder / "truth")
    tracklets = len(whole.rows.identity)

    def wrapped(kind: Callable[[ModelClients], ModelClients]) -> Experiment:
        return Experiment(lambda camera_id, own: kind(studio.recorded(camera_id, own)))

    return dict(
        zip(
            CONTROLS,
            (
                whole,
                studio.scene("shuffled", wrapped(partial(Shuffled, rng=rng))),
                studio.scene("histogram", wrapped(Histograms), identity=identity),
                studio.scene("calibration", Experiment(studio.recorded), cameras=miscalibrated(studio.site)),
                with_identities(whole, np.zeros(tracklets, np.int64)),
                with_identities(whole, np.arange(tracklets)),
            ),
            strict=True,
        )
    )


def with_identities(scene: Scene, identity: np.ndarray[Any, np.dtype[np.int64]]) -> Scene:
    return replace(scene, rows=replace(scene.rows, identity=identity))


def miscalibrated(site: Site) -> list[Any]:
    """A camera that counts no door gets the calibration of the next one."""
    counting = {line.camera for line in site.lines}
    number = next(i for i, camera in enumerate(site.cameras) if camera.id not in counting)
    other = site.cameras[(number + 1) % len(site.cameras)]
    wrong = site.cameras[number].model_copy(update={"floor": other.floor})
    return [*site.cameras[:number], wrong, *site.cameras[number + 1 :]]


def appearance_alone(studio: Studio) -> tuple[dict[str, Any], float]:
    """Scores, and the threshold at which the histogram links as many wrong pairs as the embedder at the site's."""
    settings = studio.site.models.embedder
    assert settings is not None
    embedder = build_embedder(settings)
    crops = true_crops(studio.folder, studio.truth, embedder.patch_hw)
    if not len(crops.patches):
        return {}, studio.site.identity.min_similarity
    own = np.concatenate([embedder.embed(part) for part in np.array_split(crops.patches, -(-len(crops.patches) // 32))])
    histogram = colour_histograms(crops.patches)
    threshold = same_false_links(own, histogram, crops, studio.site.identity.min_similarity)
    found = {"embedder": separation(own, crops), "colour histogram": separation(histogram, crops)}
    return found | {"histogram_threshold": threshold}, threshold


def write(results: Sequence[dict[str, Any]], weights: Mapping[str, str | None]) -> None:
    """Into the key `simulated`; the other keys of the file stay."""
    path = RESULTS / "accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    content["simulated"] = {
        "environment": describe(),
        "seconds": SECONDS,
        "size_px": list(SIZE_PX),
        "frames_per_s": FPS,
        "weights": {role: name and Path(name).name for role, name in weights.items()},
        "cases": [{key: result[key] for key in ("case", "people", "minutes")} for result in results],
        **pooled(results, tuple(dict.fromkeys((*LADDER, *CONTROLS))), STEPS),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
