"""Calibration from overlapping tracks: cameras without calibration and drifted ones, against the true calibration.

python -m benchmarks.overlap_calibration --lakes DIR   ->  benchmarks/results/overlap_calibration.json

DIR holds outputs of `retail-ray simulate events`. Identities are taken out of the lakes: the correspondence of people
is unknown. Every pair of the stores' own cameras (not those added under the ceiling) is tried in both directions.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, describe
from retail_ray.calibrate import native_size
from retail_ray.calibrate_overlap import known_camera
from retail_ray.config_file import load_site
from retail_ray.core.errors import GeometryError
from retail_ray.core.floor_scale import visible_grid
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.identity.overlap.estimate import FARTHEST_M, Reference, estimate
from retail_ray.identity.overlap.pinhole import Pinhole
from retail_ray.lake.foot_rows import read_foot_tracks

TURNED_DEG, SHIFTED_M = 8.0, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", type=Path, required=True, help="folder of simulated lakes")
    parser.add_argument("--minutes", type=float, default=1e9, help="only the newest minutes of each lake")
    arguments = parser.parse_args()
    rows = [row for path in sorted(arguments.lakes.glob("*/site.yaml")) for row in of_store(path, arguments.minutes)]
    content = {"environment": describe(), "turned_deg": TURNED_DEG, "summary": summary(rows), "pairs": rows}
    (RESULTS / "overlap_calibration.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content["summary"], indent=1))


def of_store(path: Path, minutes: float) -> list[dict[str, Any]]:
    site, rng, rows = load_site(path), np.random.default_rng(11), []
    cameras, tracks, sizes = {}, {}, {}
    for camera in site.cameras:
        if camera.id.startswith("ceiling"):
            continue
        sizes[camera.id] = native_size(camera)[0]
        true = known_camera(camera, sizes[camera.id])
        assert true is not None
        cameras[camera.id] = true
        tracks[camera.id] = newest(read_foot_tracks(path.parent / "lake", site.site, camera.id), minutes)
    for reference_id, camera_id in permutations(cameras, 2):
        hw, true = sizes[camera_id], cameras[camera_id]
        calibration = cameras[reference_id].calibration()
        reference = Reference(tracks[reference_id], calibration, sizes[reference_id])
        axis = rng.normal(size=3)
        turn = np.radians(TURNED_DEG) * axis / np.linalg.norm(axis)
        drifted = true.changed(np.concatenate([[0, 0], turn, rng.normal(0, SHIFTED_M, 3)]))
        for mode, known in (("uncalibrated", []), ("drifted", [drifted])):
            began = time.process_time()
            row: dict[str, Any] = {"store": path.parent.name, "reference": reference_id, "camera": camera_id}
            row["mode"] = mode
            row["before_m"] = None if mode == "uncalibrated" else error_m(drifted, true, hw)[0]
            try:
                found = estimate(tracks[camera_id], hw, reference, known, lens_known=mode == "drifted")
            except GeometryError as refusal:
                row |= {"refused": str(refusal)}
            else:
                middle, most = error_m(found.camera, true, hw)
                row |= {"error_m": middle, "error_p90_m": most, "expected_m": round(found.error_m, 3)}
                row |= {"expected_p90_m": round(found.error_p90_m, 3), "common_s": round(found.common_s, 1)}
            row["cpu_s"] = round(time.process_time() - began, 1)
            rows.append(row)
    return rows


def newest(tracks: FootTracks, minutes: float) -> FootTracks:
    """Without identities, so that people are recognised by where they walk alone."""
    kept = tracks[tracks.time_us >= int(tracks.time_us.max()) - round(min(minutes, 1e6) * 60e6)]
    return replace(kept, person=np.full(len(kept), -1, np.int64))


def error_m(found: Pinhole, true: Pinhole, hw: tuple[int, int]) -> tuple[float, float]:
    """Median and 90th percentile over a grid of the true floor in view, within FARTHEST_M of the camera."""
    pixels = visible_grid(hw)
    floor = true.calibration().to_floor(pixels)
    near = np.hypot(*(floor - true.position_m[:2]).T) < FARTHEST_M
    apart = np.hypot(*(found.calibration().to_floor(pixels[near]) - floor[near]).T)
    apart = np.nan_to_num(apart, nan=FARTHEST_M)
    return round(float(np.median(apart)), 3), round(float(np.percentile(apart, 90)), 3)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for mode in ("uncalibrated", "drifted"):
        mine = [row for row in rows if row["mode"] == mode]
        found = [row for row in mine if "error_m" in row]
        content[mode] = {"tried": len(mine), "refused": len(mine) - len(found), "found": len(found)}
        if found:
            errors = np.array([row["error_m"] for row in found])
            told = np.array([row["expected_m"] for row in found])
            content[mode] |= {
                "error_median_m": round(float(np.median(errors)), 3),
                "error_worst_m": float(errors.max()),
                "p90_median_m": round(float(np.median([row["error_p90_m"] for row in found])), 3),
                "expected_median_m": round(float(np.median(told)), 3),
                "beyond_twice_expected": int((errors > 2 * told).sum()),
                "wrong_by_over_1_m": int((errors > 1).sum()),
            }
        before = [row["before_m"] for row in found if row["before_m"] is not None]
        if before:
            content[mode]["before_median_m"] = round(float(np.median(before)), 3)
    return content


if __name__ == "__main__":
    main()
