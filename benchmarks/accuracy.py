"""Tracking accuracy of the product from video to Parquet, against `yolo track` with the same weights.

python -m benchmarks.accuracy   ->  benchmarks/results/accuracy.json, except its key `simulated`
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import WEIGHTS, towncentre
from benchmarks.environment import RESULTS, describe
from benchmarks.speed import DEFAULT_FPS, NATIVE_FPS, run_product, site
from retail_ray.evaluation.interpolate import interpolate
from retail_ray.evaluation.mot import read_mot
from retail_ray.evaluation.track_boxes import TrackBoxes
from retail_ray.evaluation.tracking_metrics import pool, score_clip
from retail_ray.lake.views import open_lake

# Sampled tracks are filled in between two boxes at most so far apart.
MAX_GAP_FRAMES = 30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    parser.parse_args()
    clip = towncentre()
    truth = clip.truth().scored()
    every_frame = np.unique(truth.frame)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        results = {
            "yolo track, OpenVINO INT8 640x640": yolo_boxes(work, clip.source),
            "product, all frames, 640x640": product_boxes(work, clip.source, NATIVE_FPS, rectangular=False),
            "product, all frames, 384x640": product_boxes(work, clip.source, NATIVE_FPS),
            "product, defaults (10 frames/s, 384x640, interpolated)": interpolate(
                product_boxes(work, clip.source, DEFAULT_FPS), every_frame, MAX_GAP_FRAMES
            ),
        }
    scores = {name: asdict(pool([score_clip(truth, boxes, every_frame)])) for name, boxes in results.items()}
    report = {"environment": describe(), "clip": clip.name, "truth_boxes": len(truth), "scores": scores}
    path = RESULTS / "accuracy.json"
    kept = json.loads(path.read_text(encoding="utf-8")).get("simulated") if path.is_file() else None
    path.write_text(json.dumps(report | ({"simulated": kept} if kept else {}), indent=1) + "\n", encoding="utf-8")
    for name, score in scores.items():
        print(f"{name}: " + ", ".join(f"{key} {score[key]:.3f}" for key in ("hota", "det_a", "ass_a", "idf1", "mota")))


def yolo_boxes(work: Path, clip: Path) -> TrackBoxes:
    boxes = work / "yolo.txt"
    command = [sys.executable, "-m", "benchmarks.peer_yolo", "--weights", str(WEIGHTS), "--clip", str(clip)]
    subprocess.run([*command, "--boxes", str(boxes)], check=True, timeout=600, capture_output=True)
    return read_mot(boxes).tracks()


def product_boxes(work: Path, clip: Path, fps: float, **detector: Any) -> TrackBoxes:
    """The tracked boxes as the lake holds them; frames count from 1 as in the ground truth."""
    name = f"accuracy-{fps:g}-{len(detector)}"
    lake = work / name
    run_product(site(work, clip, cameras=1, fps=fps, name=name, **detector), work, "--in-process", lake=lake)
    with open_lake(lake) as opened:
        rows = opened.sql(
            "SELECT frame_index + 1 AS frame, local_id, x1_px, y1_px, x2_px, y2_px FROM detections"
            " WHERE local_id IS NOT NULL ORDER BY 1, 2"
        ).to_pydict()
    corners = [rows[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")]
    return TrackBoxes(
        np.array(rows["frame"], np.int64), np.array(rows["local_id"], np.int64), np.array(corners, np.float64).T
    )


if __name__ == "__main__":
    main()
