"""Accuracy on simulated stores with exact truth: a ladder of true parts, negative controls, and appearance alone.

python -m benchmarks.simulated [--cases N] [--weights real|shipped] [--processes N] [--work DIR]
->  benchmarks/results/accuracy.json, key `simulated`

Finished cases are kept in DIR and not run again; delete DIR/*.json to run them again, then clips, detections and
embeddings are taken from DIR.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.appearance import separation, true_crops
from benchmarks.environment import RESULTS, describe
from benchmarks.pooled import pooled
from benchmarks.recordings import Remembered
from benchmarks.seeds import TEST_CASES, Case
from benchmarks.simulated_report import CONTROLS, GAINS, LADDER, STEPS
from benchmarks.studio import FPS, SECONDS, SIZE_PX, Studio, rendered
from benchmarks.true_parts import Histograms, Shuffled, TrueTracker, colour_histograms
from benchmarks.weight_sets import SETS, WeightSet, with_masks
from retail_ray.config import Camera, Site
from retail_ray.evaluation.evaluation import SEED, measure
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.measures import flat
from retail_ray.evaluation.scene import Scene
from retail_ray.runtime.build_models import build_embedder, limit_threads
from retail_ray.runtime.clients import LocalClients, ModelClients
from retail_ray.runtime.crew import Experiment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(TEST_CASES), help="only the first N frozen cases")
    parser.add_argument("--work", type=Path, default=Path("build/simulated"), help="clips, answers, results of cases")
    parser.add_argument("--weights", choices=sorted(SETS), action="append", help="default: every set")
    parser.add_argument("--processes", type=int, default=1, help="cases at a time, one core each")
    arguments = parser.parse_args()
    names = tuple(arguments.weights or SETS)
    for name in names:
        if missing := SETS[name].missing():
            parser.error(f"{missing[0]} is missing; set RETAIL_RAY_SHARED, or choose --weights shipped")
    arguments.work.mkdir(parents=True, exist_ok=True)
    cases = TEST_CASES[: arguments.cases]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for found in pool.map(partial(case_results, work=arguments.work, names=names), cases):
            for name in names:
                results[name].append(found[name])
            write(results)


def case_results(case: Case, work: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of every set of weights over the same clips, in a process of its own."""
    limit_threads(1)
    return {name: case_result(case, work, SETS[name]) for name in names}


def case_result(case: Case, work: Path, weights: WeightSet) -> dict[str, Any]:
    known = work / f"{case}, {weights.name}.json"
    if not known.is_file():
        began = time.monotonic()
        studio = rendered(case, work / str(case), weights)
        found = {"case": str(case), "layout": case.layout, "seed": case.seed, **everything(studio)}
        studio.keep()
        found["minutes"] = round((time.monotonic() - began) / 60, 2)
        known.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{case}, {weights.name}: {found['minutes']} minutes", flush=True)
    content: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
    return content


def everything(studio: Studio) -> dict[str, Any]:
    """Every run of one case: measures of each rung and control, and appearance alone."""
    appearance = appearance_alone(studio)
    rungs = ladder(studio)
    scenes = rungs | controls(studio, rungs["everything"])
    variants = {name: values(scene) for name, scene in scenes.items()}
    return {"people": len(studio.truth.tables["people"]["person_id"]), "appearance": appearance, "variants": variants}


def values(scene: Scene) -> dict[str, dict[str, Any]]:
    """By dotted name what was measured, and why something was not."""
    sections = measure(scene, np.random.default_rng(SEED))
    return {
        key: {"not_measured": m.why} if m.value is None else {"value": m.value, "n": m.n}
        for key, m in flat(sections).items()
    }


def ladder(studio: Studio) -> dict[str, Scene]:
    true_tracks = Experiment(studio.true_detector, lambda _camera_id: TrueTracker())
    tracks = studio.scene("true tracklets", true_tracks)
    plain = studio.site.models.model_copy(update={"embedder": None})
    return dict(
        zip(
            LADDER,
            (
                with_identities(tracks, people_of_tracklets(tracks).person),
                tracks,
                studio.scene("true boxes", Experiment(studio.true_detector)),
                studio.scene("detector", Experiment(studio.recorded), models=plain),
                studio.scene("everything", Experiment(studio.recorded)),
                studio.scene("masks", Experiment(studio.recorded), with_masks(studio.site)),
            ),
            strict=True,
        )
    )


def controls(studio: Studio, whole: Scene) -> dict[str, Scene]:
    """Each must score worse than everything; the last two only change what identities are believed to be."""
    rng = np.random.default_rng(studio.case.seed)
    tracklets = len(whole.rows.identity)

    def wrapped(kind: Callable[[ModelClients], ModelClients]) -> Experiment:
        return Experiment(lambda camera_id, own: kind(studio.recorded(camera_id, own)))

    return dict(
        zip(
            CONTROLS,
            (
                whole,
                studio.scene("shuffled", wrapped(partial(Shuffled, rng=rng))),
                studio.scene("histogram", wrapped(Histograms)),
                studio.scene("calibration", Experiment(studio.recorded), cameras=miscalibrated(studio.site)),
                with_identities(whole, np.zeros(tracklets, np.int64)),
                with_identities(whole, np.arange(tracklets)),
            ),
            strict=True,
        )
    )


def with_identities(scene: Scene, identity: np.ndarray[Any, np.dtype[np.int64]]) -> Scene:
    return replace(scene, rows=replace(scene.rows, identity=identity))


def miscalibrated(site: Site) -> list[Camera]:
    """Every camera that counts no door gets the calibration of the next camera; doors would count nothing else."""
    counting = {line.camera for line in site.lines}
    following = (*site.cameras[1:], site.cameras[0])
    return [
        camera if camera.id in counting else camera.model_copy(update={"floor": other.floor})
        for camera, other in zip(site.cameras, following, strict=True)
    ]


def appearance_alone(studio: Studio) -> dict[str, Any]:
    """How well looks alone separate people; in a run the gallery measures by itself what its likeness is worth."""
    settings = studio.site.models.embedder
    assert settings is not None
    embedder = build_embedder(settings)
    crops = true_crops(studio.folder, studio.truth, embedder.patch_hw)
    if not len(crops.patches):
        return {}
    known = Remembered(LocalClients(None, embedder, None), studio.embeddings)
    parts = np.array_split(crops.patches, -(-len(crops.patches) // 32))
    own = np.concatenate([known.embed(part).result() for part in parts])
    histogram = colour_histograms(crops.patches)
    return {"embedder": separation(own, crops), "colour histogram": separation(histogram, crops)}


def write(results: dict[str, list[dict[str, Any]]]) -> None:
    """Into the key `simulated`; the other keys of the file stay, and the sets of weights that did not run now."""
    path = RESULTS / "accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    sets = content.get("simulated", {}).get("sets", {})
    variants = tuple(dict.fromkeys((*LADDER, *CONTROLS)))
    for name, cases in results.items():
        sets[name] = {
            "name": SETS[name].name,
            "weights": SETS[name].shown(),
            "cases": [{key: case[key] for key in ("case", "people", "minutes")} for case in cases],
            **pooled(cases, variants, STEPS, GAINS),
        }
    content["simulated"] = {
        "environment": describe(),
        "seconds": SECONDS,
        "size_px": list(SIZE_PX),
        "frames_per_s": FPS,
        "sets": {name: sets[name] for name in SETS if name in sets},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
