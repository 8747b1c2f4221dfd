"""Who is who on the frozen simulated stores: the product, its ablations, rivals on the same tracklets, and stress.

python -m benchmarks.identity [--cases N] [--processes 2] [--work DIR]   ->  benchmarks/results/identity.json

Clips, detections and finished cases are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, describe
from benchmarks.identity_rivals import agglomerative, greedy_gallery
from benchmarks.identity_streams import Stream, record, resolved
from benchmarks.identity_stress import HARMS
from benchmarks.link_reliability import link_classes, reliability
from benchmarks.seeds import TEST_CASES, Case
from benchmarks.studio import FPS, SECONDS, SIZE_PX, rendered
from benchmarks.visitor_estimate import estimate, spans_of
from benchmarks.weight_sets import SETS, with_masks
from retail_ray.core.identity_map import TrackletKey
from retail_ray.core.records import IdentityEvent
from retail_ray.evaluation.doors import doors
from retail_ray.evaluation.links import links, people_of_tracklets
from retail_ray.evaluation.measures import bootstrap, flat
from retail_ray.evaluation.scene import Scene
from retail_ray.evaluation.tracks import across_cameras, on_floor, per_camera
from retail_ray.evaluation.visitors import people_seen, unique_visitors
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from retail_ray.runtime.build_models import limit_threads
from retail_ray.runtime.build_site import entrances_of

WEIGHTS = SETS["real"]
ABLATIONS: Mapping[str, dict[str, Any]] = {
    "without floor": {"floor_limit": 0.0, "floor_doubt": 0.0},
    "without looks": {"looks_limit": 0.0},
    "without ways": {"transit_limit": 0.0},
    "without learnt ways": {"transit_prior_pairs": math.inf},
    "without births": {"birth_cost": 0.0},
    "without revision": {"revise_margin": math.inf},
    "without the site's own calibration": {"calibrate_s": 1e6},
}
OVERLAPPING_FROM = 0.75
"""Share of the floor in view that two cameras see, from which on a store counts as one of overlapping views."""
MEASURES = {
    "IDF1 on the floor": "floor.idf1",
    "recall on the floor": "floor.recall",
    "precision on the floor": "floor.precision",
    "IDF1 over cameras": "across_cameras.idf1",
    "IDF1 in cameras": "cameras.all.idf1",
    "link precision": "links.across_cameras.precision",
    "link recall": "links.across_cameras.recall",
    "false merges": "links.false_merges",
    "false splits": "links.false_splits",
    "pure tracklets": "links.pure_tracklets",
    "identities too many": "visitors.error",
    "identities of 3 s or more too many": "visitors.long.error",
    "door precision": "doors.all.precision",
    "door recall": "doors.all.recall",
}


def main() -> None:
    arguments = asked(__doc__)
    cases = TEST_CASES[: arguments.cases]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        results = []
        for result in pool.map(partial(case_result, work=arguments.work), cases):
            results.append(result)
            print(f"{result['case']}: {result['seconds']} s, floor IDF1 {_floor(result):.3f}", flush=True)
    write(results)


def asked(description: str | None) -> argparse.Namespace:
    """cases, processes and work, whose folder exists."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(TEST_CASES), help="only the first N frozen cases")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/identity"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    return arguments


def case_result(case: Case, work: Path) -> dict[str, Any]:
    """Everything of one case; kept beside its clips."""
    folder, began = work / str(case), time.monotonic()
    known = folder / "identity.json"
    if not known.is_file():
        limit_threads(1)
        studio = rendered(case, folder, WEIGHTS)
        stream = record(studio, "identity")
        masked = record(studio, "identity, masks", with_masks(studio.site))
        found = {
            "case": str(case),
            "people": len(np.unique(stream.scene.true.person[stream.scene.true.required])),
            "tracklets": len(stream.keys()),
            "overlap": round(overlap(stream), 3),
            "variants": dict(variants(stream)) | {"with masks": measures(masked.scene)},
            "links": reliability(play(stream, GallerySettings()), true_identities(stream)),
            "stress": {name: dict(_harmed(stream, name)) for name in HARMS},
        }
        found["seconds"] = round(time.monotonic() - began)
        known.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    content: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
    return content


def variants(stream: Stream) -> Iterable[tuple[str, dict[str, float]]]:
    events = play(stream, GallerySettings())
    yield "product, revised", measures(stream.scored(resolved(events)), whole=True) | _estimate(stream, events)
    yield "product, as emitted", measures(stream.scored(resolved(events, emitted=True)))
    for name, change in ABLATIONS.items():
        yield name, measures(stream.scored(resolved(play(stream, GallerySettings(**change)))))
    rivals: dict[str, Callable[[Stream], dict[TrackletKey, int]]] = {
        "greedy nearest embedding": greedy_gallery,
        "agglomerative clustering of looks": agglomerative,
        "every tracklet a new person": lambda of: {key: number for number, key in enumerate(of.keys())},
        "true identities of the tracklets": true_identities,
    }
    for name, rival in rivals.items():
        yield name, measures(stream.scored(rival(stream)))


def true_identities(stream: Stream) -> dict[TrackletKey, int]:
    people = people_of_tracklets(stream.scene).person.tolist()
    return {key: person for key, person in zip(stream.keys(), people, strict=True) if person >= 0}


def _harmed(stream: Stream, name: str) -> Iterable[tuple[str, float]]:
    harm, amounts = HARMS[name]
    for amount in amounts:
        worse = harm(stream, amount, np.random.default_rng(stream.case.seed))
        scene = stream.scored(resolved(play(worse, GallerySettings())))
        yield f"{amount:g}", float(flat({"floor": on_floor(scene)})["floor.idf1"].value or 0.0)


def play(stream: Stream, settings: GallerySettings) -> list[IdentityEvent]:
    """All events of a gallery that hears the recorded messages."""
    gallery = gallery_of(stream, settings)
    events: list[IdentityEvent] = []
    for message in sorted(stream.messages, key=lambda one: one.watermark_us):
        gallery.submit(message)
        events += gallery.advance(stream.end_us)
    return events + gallery.finish(stream.end_us)


def gallery_of(stream: Stream, settings: GallerySettings) -> Gallery:
    """One that has heard nothing yet."""
    return Gallery(settings, stream.site.site, "run", list(stream.cameras), entrances_of(stream.site))


def conditions(seconds: float) -> dict[str, Any]:
    """How the cases are drawn and seen."""
    return {
        "seconds": seconds,
        "size_px": list(SIZE_PX),
        "frames_per_s": FPS,
        "weights": WEIGHTS.shown(),
    }


def measures(scene: Scene, *, whole: bool = False) -> dict[str, float]:
    sections = {
        "floor": on_floor(scene),
        "across_cameras": across_cameras(scene),
        "links": links(scene),
        "visitors": unique_visitors(scene),
    }
    if whole:
        sections |= {"doors": doors(scene), "cameras": per_camera(scene, np.random.default_rng(0))}
    known = flat(sections)
    return {
        label: float(known[name].value)  # type: ignore[arg-type]
        for label, name in MEASURES.items()
        if name in known and known[name].value is not None
    }


def _estimate(stream: Stream, events: Sequence[IdentityEvent]) -> dict[str, float]:
    return estimate(events, spans_of(stream.messages), len(people_seen(stream.scene)))


def overlap(stream: Stream) -> float:
    """Share of the floor cells (1 m) with people in sight of any camera that two cameras or more saw people in."""
    true = stream.scene.true
    camera = stream.scene.frames.camera[true.frame[true.required]]
    cells = np.floor(true.floor_xy_m[true.required]).astype(np.int64)
    seen = np.unique(np.column_stack([cells, camera]), axis=0)
    _, count = np.unique(seen[:, :2], axis=0, return_counts=True)
    return float((count >= 2).mean()) if len(count) else 0.0


def write(results: Sequence[dict[str, Any]]) -> None:
    groups = {
        "all": list(results),
        "overlapping views": [one for one in results if one["overlap"] >= OVERLAPPING_FROM],
        "mixed views": [one for one in results if one["overlap"] < OVERLAPPING_FROM],
    }
    content = {
        "environment": describe(),
        "conditions": conditions(SECONDS) | {"overlapping_from": OVERLAPPING_FROM},
        "cases": [{key: one[key] for key in ("case", "people", "tracklets", "overlap", "seconds")} for one in results],
        "groups": {name: {"cases": len(members), **_pooled(members)} for name, members in groups.items() if members},
        "stress": _stress(results),
        "links": _links(results),
    }
    path = RESULTS / "identity.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


def _pooled(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over cases with a 95 % bootstrap over cases."""
    names = results[0]["variants"]
    return {
        name: {
            label: _mean([one["variants"][name][label] for one in results if label in one["variants"][name]])
            for label in dict.fromkeys(label for one in results for label in one["variants"][name])
        }
        for name in names
    }


def _mean(values: Sequence[float]) -> dict[str, float]:
    array = np.array(values)
    entry = {"value": round(float(array.mean()), 4)}
    if len(array) > 1:
        low, high = bootstrap(array, np.random.default_rng(len(array)), lambda drawn: drawn.mean(axis=-1))
        entry |= {"low": round(float(low), 4), "high": round(float(high), 4)}
    return entry


def _links(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Over all cases: links by the probability they were given, the mean of it, and the share that was right."""
    made = {}
    for name in link_classes():
        links, right, total = (sum(one["links"][name][part] for one in results) for part in range(3))
        if links:
            made[name] = {"links": links, "p_same": round(total / links, 4), "right": round(right / links, 4)}
    return made


def _stress(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        name: {amount: _mean([one["stress"][name][amount] for one in results]) for amount in results[0]["stress"][name]}
        for name in HARMS
    }
    made["people in a minute"] = _by(results, "people", 3, "{:.0f}")
    made["share of the floor that two cameras see"] = _by(results, "overlap", 4, "{:.2f}")
    return made


def _by(results: Sequence[dict[str, Any]], trait: str, parts: int, form: str) -> dict[str, dict[str, float]]:
    """In parts of as many cases each, those with least of the trait first."""
    ordered = sorted(results, key=lambda one: float(one[trait]))
    made = {}
    for rows in np.array_split(np.arange(len(ordered)), min(parts, len(ordered))):
        some = [ordered[i] for i in rows]
        least, most = (form.format(one[trait]) for one in (some[0], some[-1]))
        made[f"{least} to {most}"] = _mean([_floor(one) for one in some])
    return made


def _floor(result: Mapping[str, Any]) -> float:
    return float(result["variants"]["product, revised"]["IDF1 on the floor"])


if __name__ == "__main__":
    main()
