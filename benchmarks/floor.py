"""Where people stand, by the lower edge of their boxes (before) and by feet or head (after), on development stores.

python -m benchmarks.floor [--cases N] [--work DIR] [--detector WEIGHTS]   ->  benchmarks/results/floor.json

The boxes of a case are kept in DIR as a lake, and only the feet are worked out anew. True identities are given to all
tracklets, so that only positions differ. Covariances are judged on true boxes, with true masks on key frames: squared
errors in standard deviations, whose median and 90th percentile are 1.39 and 4.61 where the covariances are right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from benchmarks.seeds import Case
from benchmarks.simulated import with_identities
from benchmarks.studio import Studio, rendered
from benchmarks.true_parts import SAME_TRACKLET_US, TrueTracker
from benchmarks.weight_sets import WeightSet
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.site import SiteOperators
from retail_ray.config import Camera
from retail_ray.config_models import DetectorSettings
from retail_ray.core.event_time import CameraView
from retail_ray.core.records import FOOT_SOURCES
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Masks, Observations, Tracks
from retail_ray.evaluation.doors import doors
from retail_ray.evaluation.dwell import dwell
from retail_ray.evaluation.evaluation import SEED, load_scene
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.measures import flat
from retail_ray.evaluation.scene import Scene, ScoringRules, build_scene
from retail_ray.evaluation.tracks import on_floor
from retail_ray.lake.scored_rows import NOBODY
from retail_ray.runtime.build_models import limit_threads
from retail_ray.runtime.build_site import line_settings, zone_settings
from retail_ray.runtime.crew import Experiment
from retail_ray.simulation.seeds import DEVELOPMENT
from retail_ray.tracking import feet

EDGES = ("x1_px", "y1_px", "x2_px", "y2_px")
SECONDS = 30.0
LAYOUTS = ("boutique", "convenience", "corner-shop", "two-rooms")
# Boxes that end within this share of the body's height of its end show the feet.
FEET_SEEN_SHARE = 0.04
HOW = ("before", "after")
SCORES = ("floor.idf1", "doors.all.f1", "dwell.all.found", "dwell.all.right")
Floats = NDArray[np.float64]


def case_of(number: int) -> Case:
    """The ready layouts first, then random ones."""
    seed = DEVELOPMENT.seed(9_000 + (5, 1, 3, 7, 0, 2, 4, 6)[number])
    return Case(LAYOUTS[number] if number < len(LAYOUTS) else f"random:{seed}", seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4, choices=range(1, 9), help="only the first N")
    parser.add_argument("--work", type=Path, default=Path("build/floor"), help="clips and lakes")
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
            for key, value in scores_of(with_identities(scene, people_of_tracklets(scene).person)).items():
                scores.setdefault(name, {}).setdefault(key, []).append(value)
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
    models: dict[str, Any] = {"embedder": None, "segmenter": None}
    if detector is not None:
        models["detector"] = DetectorSettings(weights=detector)
    return rendered(case, folder, WeightSet("floor", models), SECONDS)


def scenes(studio: Studio) -> Iterator[tuple[str, Scene]]:
    """The boxes of one run, kept as a lake, whose feet and site tables are worked out anew both ways."""
    runs = {
        "true tracklets": Experiment(studio.true_detector, lambda _camera_id: TrueTracker()),
        "detector": Experiment(),
    }
    for name, experiment in runs.items():
        lake = studio.folder / "lakes" / name.replace(" ", "_")
        complete = lake.is_dir() and (studio.folder / f"{lake.name}.done").is_file()
        found = load_scene(lake, studio.folder / "truth") if complete else studio.scene(name, experiment)
        (studio.folder / f"{lake.name}.done").touch()
        for how in HOW:
            yield f"{name}, {how}", replayed(found, studio, how)


def finder_of(camera: Camera, native_hw: tuple[int, int], book: feet.FootMemory, how: str) -> feet.FootFinder:
    """Before: without the camera's vertical."""
    assert camera.floor is not None
    switch = patch.object(feet, "upright_view", return_value=None) if how == "before" else nullcontext()
    with switch:
        return feet.FootFinder(camera.floor.calibration(native_hw), native_hw, book)


def replayed(scene: Scene, studio: Studio, how: str) -> Scene:
    table, site = dict(scene.rows.tables["detections"]), studio.site
    table |= {name: table[name].copy() for name in ("floor_x_m", "floor_y_m")}
    starts_us = {camera.id: studio.truth.of.start_us - US_PER_S for camera in site.cameras}
    operators = SiteOperators(
        [line_settings(line) for line in site.lines],
        [zone_settings(zone) for zone in site.zones],
        OccupancySettings(site.business_day),
        [CameraView(name, calibrated=True, start_us=start_us) for name, start_us in starts_us.items()],
    )
    numbers: dict[tuple[str, int], int] = {}
    for camera in site.cameras:
        mine = np.flatnonzero((table["camera_id"] == camera.id) & (table["tracklet"] != NOBODY))
        mine = mine[np.lexsort((table["local_id"][mine], table["time_us"][mine]))]
        message = observed(table, mine, camera, finder_of(camera, native_hw(studio), feet.FootMemory(), how))
        table["floor_x_m"][mine], table["floor_y_m"][mine] = message.floor_xy_m.T
        ids = message.local_id.tolist()
        numbers |= {(camera.id, i): n for i, n in zip(ids, table["tracklet"][mine].tolist(), strict=True)}
        operators.submit(message)
    rows = operators.finish(studio.truth.of.end_us + US_PER_S)
    tables = scene.rows.tables | {
        "detections": table,
        "line_crossings": columns(rows.line_crossings, numbers),
        "zone_visits": columns(rows.zone_visits, numbers),
    }
    return build_scene(scene.truth, replace(scene.rows, tables=tables), scene.rules)


def observed(table: dict[str, Any], rows: NDArray[np.intp], camera: Camera, finder: feet.FootFinder) -> Observations:
    """One message with all that a camera saw."""
    time_us, local_id = table["time_us"][rows].astype(np.int64), table["local_id"][rows].astype(np.int64)
    box = np.stack([table[name][rows] for name in EDGES], axis=1).astype(np.float32)
    confidence = table["confidence"][rows].astype(np.float32)
    times_us, starts = np.unique(time_us, return_index=True)
    frames = np.split(np.arange(len(rows)), starts[1:])
    tracks = [Tracks(box[of], confidence[of], local_id[of], np.arange(len(of), dtype=np.int32)) for of in frames]
    found = finder.find(tracks, [None] * len(tracks), times_us.tolist())
    return Observations(
        camera.id,
        int(times_us[-1]) + 1,
        times_us,
        time_us,
        local_id,
        np.concatenate([part.foot_px for part in found]),
        np.concatenate([part.floor_xy_m for part in found]),
        np.concatenate([part.floor_cov_m2 for part in found]),
        confidence,
        np.concatenate([part.foot_source for part in found]) == FOOT_SOURCES.index("estimated"),
        edge_px=np.concatenate([part.edge_px for part in found]),
        edge_xy_m=np.concatenate([part.edge_xy_m for part in found]),
    )


def columns(records: Sequence[Any], numbers: dict[tuple[str, int], int]) -> dict[str, Any]:
    """Records as the evaluation reads tables."""
    names = list(records[0].__slots__) if records else ["line_id", "zone_id", "direction", "time_us", "turned_back"]
    made = {name: np.array([getattr(record, name) for record in records]) for name in names}
    made["tracklet"] = np.array([numbers[record.camera_id, record.local_id] for record in records], np.int64)
    return made


def native_hw(studio: Studio) -> tuple[int, int]:
    masks = studio.truth.tables["masks"]
    return int(masks["height_px"][0]), int(masks["width_px"][0])


def scores_of(scene: Scene) -> dict[str, float]:
    rng = np.random.default_rng(SEED)
    measured = flat({"floor": on_floor(scene), "doors": doors(scene), "dwell": dwell(scene, rng)})
    found = {key: measured[key].value for key in SCORES if key in measured}
    return {key: value for key, value in found.items() if value is not None}


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
            book = feet.FootMemory()
            yield from _normalised(studio, camera.id, finder_of(camera, native_hw(studio), book, how), book, how)


def _normalised(
    studio: Studio, camera_id: str, finder: feet.FootFinder, book: feet.FootMemory, how: str
) -> Iterator[tuple[str, Floats]]:
    table, rules = studio.truth.tables["boxes"], ScoringRules()
    box = np.stack([table[name] for name in EDGES], axis=1).astype(np.float32)
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
