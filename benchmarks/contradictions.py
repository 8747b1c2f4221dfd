"""Cameras with a wrong calibration: how many are found, how soon, and how many right ones are blamed.

python -m benchmarks.contradictions --lakes DIR   ->  benchmarks/results/contradictions.json

DIR holds outputs of `retail-ray simulate events`. Each store's own cameras are taken as they are, with one camera
shifted on the floor, and with two calibrations exchanged; every camera, every pair.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from retail_ray.calibrate import native_size
from retail_ray.config_file import load_site
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.time import US_PER_S
from retail_ray.identity.contradictions import Contradictions
from retail_ray.identity.settings import GallerySettings
from retail_ray.lake.foot_rows import read_foot_tracks

SHIFTED_M = 1.5
SIGMA_M = 0.2
SETTINGS = GallerySettings()
_TICK_US = round(SETTINGS.tick_s * US_PER_S)


@dataclass(frozen=True)
class Store:
    """What the cameras of one store saw, and how they are calibrated."""

    name: str
    tracks: Mapping[str, FootTracks]
    calibrations: Mapping[str, FloorCalibration]


@dataclass(frozen=True)
class Outcome:
    """Cameras that are blamed at the end, since how many seconds of event time, and those that ever were."""

    since_s: Mapping[str, float]
    ever: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", type=Path, required=True, help="folder of simulated lakes")
    rows = [row for path in sorted(parser.parse_args().lakes.glob("*/site.yaml")) for row in of_store(read(path))]
    content = {"environment": describe(), "shifted_m": SHIFTED_M, "summary": summary(rows), "cases": rows}
    (RESULTS / "contradictions.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content["summary"], indent=1))


def read(path: Path) -> Store:
    site = load_site(path)
    own = [camera for camera in site.cameras if camera.floor is not None and not camera.id.startswith("ceiling")]
    return Store(
        path.parent.name,
        {camera.id: read_foot_tracks(path.parent / "lake", site.site, camera.id) for camera in own},
        {c.id: c.floor.calibration(native_size(c)[0]) for c in own if c.floor is not None},
    )


def of_store(store: Store) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(7)
    yield row(store, "as they are", (), play(store, store.calibrations, {}))
    for camera in sorted(store.tracks):
        angle = rng.uniform(0, 2 * np.pi)
        by_m = SHIFTED_M * np.array([np.cos(angle), np.sin(angle)])
        yield row(store, "one shifted", (camera,), play(store, store.calibrations, {camera: by_m}))
    for one, other in combinations(sorted(store.tracks), 2):
        swapped = dict(store.calibrations)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield row(store, "two exchanged", (one, other), play(store, swapped, {}))


def row(store: Store, harm: str, wrong: tuple[str, ...], outcome: Outcome) -> dict[str, Any]:
    found = [camera for camera in wrong if camera in outcome.since_s]
    return {
        "store": store.name,
        "harm": harm,
        "cameras": len(store.tracks),
        "wrong": list(wrong),
        "found": found,
        "found_after_s": [round(outcome.since_s[camera], 1) for camera in found],
        "blamed_at_the_end": sorted(outcome.since_s.keys() - set(wrong)),
        "blamed_at_any_time": sorted(outcome.ever - set(wrong)),
    }


def play(
    store: Store, calibrations: Mapping[str, FloorCalibration], shift_m: Mapping[str, NDArray[np.float64]]
) -> Outcome:
    """All ticks of the store, with a judgement every `revise_s`."""
    names = sorted(store.tracks)
    book = Contradictions(SETTINGS, len(names))
    since_s: dict[str, float] = {}
    ever: set[str] = set()
    began_us, judged_us = None, None
    for end_us, camera, track, places in ticks(store, names, calibrations, shift_m):
        began_us = began_us or end_us
        book.see(camera, track, places)
        judged_us = judged_us or end_us
        if end_us - judged_us < SETTINGS.revise_s * US_PER_S:
            continue
        judged_us = end_us
        for change in book.judge():
            name = names[change.camera]
            ever.add(name)
            if change.doubted:
                since_s[name] = (end_us - began_us) / US_PER_S
            else:
                del since_s[name]
    return Outcome(since_s, frozenset(ever))


def ticks(
    store: Store,
    names: list[str],
    calibrations: Mapping[str, FloorCalibration],
    shift_m: Mapping[str, NDArray[np.float64]],
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """(end_us, camera (M,), track (M,), places (M, 6)) of each tick with people."""
    parts = []
    for number, name in enumerate(names):
        seen = store.tracks[name]
        floor_m = calibrations[name].to_floor(seen.foot_px) + shift_m.get(name, np.zeros(2))
        parts.append(np.column_stack([seen.time_us, np.full(len(seen), number), seen.track, floor_m]))
    rows = np.concatenate(parts)
    rows = rows[np.isfinite(rows[:, 3])]
    keys = np.column_stack([rows[:, 0] // _TICK_US, rows[:, 1:3]]).astype(np.int64)
    keys, place = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(place.ravel())
    mean = [np.bincount(place.ravel(), rows[:, column]) / count for column in (0, 3, 4)]
    variance = np.full(len(keys), SIGMA_M**2)
    places = np.column_stack([*mean, variance, np.zeros(len(keys)), variance])
    starts = np.flatnonzero(np.r_[True, np.diff(keys[:, 0]) != 0])
    for start, end in zip(starts, np.r_[starts[1:], len(keys)], strict=True):
        yield int(keys[start, 0] + 1) * _TICK_US, keys[start:end, 1], keys[start:end, 2], places[start:end]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for harm in ("as they are", "one shifted", "two exchanged"):
        mine = [one for one in rows if one["harm"] == harm]
        after_s = [after for one in mine for after in one["found_after_s"]]
        content[harm] = {
            "cases": len(mine),
            "right_cameras": sum(one["cameras"] - len(one["wrong"]) for one in mine),
            "wrong_cameras": sum(len(one["wrong"]) for one in mine),
            "found": sum(len(one["found"]) for one in mine),
            "found_after_s_median": round(float(np.median(after_s)), 1) if after_s else None,
            "blamed_at_the_end": sum(len(one["blamed_at_the_end"]) for one in mine),
            "blamed_at_any_time": sum(len(one["blamed_at_any_time"]) for one in mine),
        }
    return content


if __name__ == "__main__":
    main()
