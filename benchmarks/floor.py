"""Where people stand, by the lower edge of their boxes (before) and by feet or head (after), on development stores.

python -m benchmarks.floor [--cases N] [--work DIR] [--detector WEIGHTS]   ->  benchmarks/results/floor.json

The detector's answers of a case are kept in DIR. True identities are given to all tracklets, so that only positions
differ. Covariances are judged on true boxes, with true masks on key frames: squared errors in standard deviations,
whose median and 90th percentile are 1.39 and 4.61 where they are right.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from benchmarks.seeds import Case
from benchmarks.simulated import Studio, rendered, values, with_identities
from benchmarks.true_parts import SAME_TRACKLET_US, TrueTracker
from retail_ray.core.records import FOOT_SOURCES
from retail_ray.core.types import Masks, Tracks
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.scene import Scene, ScoringRules
from retail_ray.runtime.build_models import limit_threads
from retail_ray.runtime.crew import Experiment
from retail_ray.simulation.seeds import DEVELOPMENT
from retail_ray.tracking import feet
from retail_ray.tracking.stature import StatureBook

LAYOUTS = ("boutique", "convenience", "corner-shop", "two-rooms")
# Boxes that end within this share of the body's height of its end show the feet.
FEET_SEEN_SHARE = 0.04
HOW = ("before", "after")
SCORES = ("floor.idf1", "doors.all.f1", "dwell.all.found", "dwell.all.right", "dwell.all.error_s.median")
Floats = NDArray[np.float64]


def case_of(number: int) -> Case:
    """The ready layouts first, then random ones."""
    seed = DEVELOPMENT.seed(9_000 + (5, 1, 3, 7, 0, 2, 4, 6)[number])
    return Case(LAYOUTS[number] if number < len(LAYOUTS) else f"random:{seed}", seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4, choices=range(1, 9), help="only the first N")
    parser.add_argument("--work", type=Path, default=Path("build/floor"), help="clips, detections, lakes")
    parser.add_argument("--detector", help="weights instead of the site's; as large and strict as they are by default")
    arguments = parser.parse_args()
    limit_threads(2)
    errors: dict[str, list[Floats]] = {}
    scores: dict[str, dict[str, list[float]]] = {}
    normalised: dict[str, list[Floats]] = {}
    cases = [case_of(number) for number in range(arguments.cases)]
    for case in cases:
        studio = studio_of(case, arguments.work / str(case), arguments.detector)
        for name, scene in scenes(studio):
            for kind, found in errors_m(scene).items():
                errors.setdefault(f"{name}, {kind}", []).append(found)
            measured = values(with_identities(scene, people_of_tracklets(scene).person))
            for key in SCORES:
                if key in measured:
                    scores.setdefault(name, {}).setdefault(key, []).append(measured[key]["value"])
        for name, found in covariances(studio):
            normalised.setdefault(name, []).append(found)
        print(case, flush=True)
    content = {
        "environment": describe(),
        "cases": [str(case) for case in cases],
        "detector": arguments.detector and Path(arguments.detector).name,
        "errors_m": {name: percentiles(np.concatenate(parts), (50, 90, 95)) for name, parts in errors.items()},
        "scores": {name: {key: float(np.mean(of)) for key, of in parts.items()} for name, parts in scores.items()},
        "normalised_errors": {name: percentiles(np.concatenate(of), (50, 90)) for name, of in normalised.items()},
    }
    (RESULTS / "floor.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: content[key] for key in ("errors_m", "scores", "normalised_errors")}, indent=1))


def studio_of(case: Case, folder: Path, detector: str | None) -> Studio:
    studio = rendered(case, folder, {"detector": detector, "embedder": "none", "segmenter": "none"})
    known = folder / "detections.pickle"
    if detector is not None:
        settings = studio.site.models.detector.model_copy(update={"long_side_px": None, "iou": 0.7})
        models = studio.site.models.model_copy(update={"detector": settings})
        patient = studio.site.runtime.model_copy(update={"call_timeout_s": 3600.0})
        site = studio.site.model_copy(update={"models": models, "runtime": patient})
        studio = Studio(case, folder, site, studio.truth, {})
    if known.is_file():
        studio.detections.update(pickle.loads(known.read_bytes()))
    else:
        studio.scene("detections", Experiment(studio.recorded))
        known.write_bytes(pickle.dumps(studio.detections))
    return studio


def scenes(studio: Studio) -> Iterator[tuple[str, Scene]]:
    true_tracks = Experiment(studio.true_detector, lambda _camera_id: TrueTracker())
    for how in HOW:
        switch = patch.object(feet, "upright_view", return_value=None) if how == "before" else nullcontext()
        with switch:
            yield f"true tracklets, {how}", studio.scene(f"true {how}", true_tracks)
            yield f"detector, {how}", studio.scene(f"detector {how}", Experiment(studio.recorded))


def errors_m(scene: Scene) -> dict[str, Floats]:
    """Distances of tracked people from the truth, by what can be seen of their feet."""
    found = scene.scored()
    found = found[(found.true_row >= 0) & np.isfinite(found.floor_xy_m[:, 0])]
    true, row = scene.true, found.true_row
    away_m = np.linalg.norm(found.floor_xy_m - true.floor_xy_m[row], axis=1)
    seen = feet_seen(true.xyxy_px[row], true.full_xyxy_px[row])
    return {"all": away_m, "feet seen": away_m[seen], "feet hidden": away_m[~seen]}


def feet_seen(xyxy_px: Floats, full_xyxy_px: Floats) -> NDArray[np.bool_]:
    height_px = full_xyxy_px[:, 3] - full_xyxy_px[:, 1]
    return np.asarray(np.abs(xyxy_px[:, 3] - full_xyxy_px[:, 3]) <= FEET_SEEN_SHARE * height_px)


def covariances(studio: Studio) -> Iterator[tuple[str, Floats]]:
    """Normalised squared errors on true boxes, by the evidence used."""
    for how in HOW:
        for camera in studio.site.cameras:
            assert camera.floor is not None
            native_hw = studio.truth.tables["masks"]["height_px"][0], studio.truth.tables["masks"]["width_px"][0]
            calibration, book = camera.floor.calibration(native_hw), StatureBook()
            switch = patch.object(feet, "upright_view", return_value=None) if how == "before" else nullcontext()
            with switch:
                finder = feet.FootFinder(calibration, native_hw, book)
            yield from _normalised(studio, camera.id, finder, book, how)


def _normalised(
    studio: Studio, camera_id: str, finder: feet.FootFinder, book: StatureBook, how: str
) -> Iterator[tuple[str, Floats]]:
    table, rules = studio.truth.tables["boxes"], ScoringRules()
    box = np.stack([table[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")], axis=1).astype(np.float32)
    required = (table["visible_share"] >= rules.min_visible_share) & (box[:, 3] - box[:, 1] >= rules.min_height_px)
    mine = np.flatnonzero((table["camera_id"] == camera_id) & required)
    mine = mine[np.argsort(table["stamp_us"][mine], kind="stable")]
    times_us, starts = np.unique(table["stamp_us"][mine], return_index=True)
    seen_us: dict[int, int] = {}
    for time_us, rows in zip(times_us.tolist(), np.split(mine, starts[1:]), strict=True):
        people = table["person_id"][rows].astype(np.int64)
        book.forget(i for i in people.tolist() if time_us - seen_us.get(i, time_us) > SAME_TRACKLET_US)
        seen_us |= dict.fromkeys(people.tolist(), time_us)
        n = len(rows)
        tracks = Tracks(box[rows], np.ones(n, np.float32), people, np.arange(n, dtype=np.int32))
        masks = true_masks(studio, camera_id, int(table["frame_index"][rows[0]]), people)
        found = finder.find([tracks], [masks], [time_us])[0]
        away = found.floor_xy_m - np.stack([table["x_m"][rows], table["y_m"][rows]], axis=1)
        squared = np.einsum("ni,nij,nj->n", away, np.linalg.inv(found.floor_cov_m2), away)
        for number, source in enumerate(FOOT_SOURCES):
            yield f"{source}, {how}", squared[found.foot_source == number]


def true_masks(studio: Studio, camera_id: str, frame: int, people: NDArray[np.int64]) -> Masks | None:
    """Masks of a key frame as a perfect segmenter would give them; None off key frames."""
    from retail_ray.vision.masks import decode, foot_point

    table = studio.truth.tables["masks"]
    rows = np.flatnonzero((table["camera_id"] == camera_id) & (table["frame_index"] == frame))
    if not len(rows):
        return None
    size_hw = int(table["height_px"][rows[0]]), int(table["width_px"][rows[0]])
    counts = dict(zip(table["person_id"][rows].tolist(), table["visible_counts"][rows].tolist(), strict=True))
    n, foot_px, area_px = len(people), np.zeros((len(people), 2), np.float32), np.zeros(len(people), np.float32)
    rle = tuple(counts.get(person, b"") for person in people.tolist())
    whole = Masks(size_hw, rle, foot_px, area_px, np.ones(n, np.float32))
    for i in range(n):
        if rle[i] and (foot := foot_point(mask := decode(whole, i))) is not None:
            foot_px[i], area_px[i] = foot, mask.sum()
    return whole


def percentiles(found: Floats, which: tuple[int, ...]) -> dict[str, float]:
    at = np.percentile(found, which) if len(found) else np.full(len(which), np.nan)
    return {"n": len(found)} | {f"p{p}": round(float(value), 3) for p, value in zip(which, at, strict=True)}


if __name__ == "__main__":
    main()
