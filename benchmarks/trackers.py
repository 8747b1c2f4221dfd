"""Compares BoxMOT's trackers at the same detections: `python -m benchmarks.trackers`.

TownCentre at 30 frames/s and sampled to 10; MOT17 excerpts of 4 to 7 frames say little and are pooled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import CONFIDENCE, NMS_IOU, WEIGHTS, Clip, detections_of_clip, mot17_mini, towncentre
from benchmarks.environment import RESULTS, describe
from retail_ray.core.types import Detections, Tracks
from retail_ray.evaluation.interpolate import interpolate
from retail_ray.evaluation.mot import MotRows
from retail_ray.evaluation.track_boxes import TrackBoxes
from retail_ray.evaluation.tracking_metrics import ClipScore, pool, score_clip, without_distractors
from retail_ray.tracking.options import DEFAULT_TRACKER, TRACKER_NAMES, tracker_kind
from retail_ray.tracking.tracker import BoxMotTracker, check_options

# MOTChallenge's neutral classes: person on vehicle, static person, distractor, reflection.
DISTRACTOR_CLASSES = (2, 7, 8, 12)
CHOICE = (
    "BoT-SORT without embeddings and camera motion, match_thresh 0.7, second_match_thresh 0.4, a buffer of 2 s. On "
    "this clip ByteTrack keeps people together better. But a gallery stands behind the tracker: it joins tracklets "
    "by floor and looks, and cannot part one that follows two people. On development stores of several cameras "
    "strict matching gave the best identities of all trackers that were tried, at the same detections. Crossings of "
    "a line go on over the tracklets that it breaks. A camera that only counts may do better with "
    "`tracker: {name: bytetrack}`."
)


class KalmanBoxes(BoxMotTracker):
    """Gives out the tracker's own boxes instead of the detector's."""

    def _tracks(self, found: NDArray[np.float32], detections: Detections, usable: NDArray[np.intp]) -> Tracks:
        tracks = super()._tracks(found, detections, usable)
        by_detection = {int(usable[int(row[7])]): row[:4] for row in found if row[7] >= 0}
        boxes = [by_detection[int(index)] for index in tracks.detection_index]
        xyxy_px = np.array(boxes, np.float32).reshape(-1, 4)
        return Tracks(xyxy_px, tracks.confidence, tracks.local_id, tracks.detection_index)


@dataclass(frozen=True)
class Variant:
    """One line of the table; `forced` goes past the product's checks."""

    label: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    forced: Mapping[str, Any] = field(default_factory=dict)
    tracker_class: type[BoxMotTracker] = BoxMotTracker

    def create(self, frame_rate: float) -> BoxMotTracker:
        settings, buffer_s = check_options(self.name, frame_rate=frame_rate, options=self.options)
        return self.tracker_class(
            self.name, tracker_kind(self.name), {**settings, **self.forced}, frame_rate=frame_rate, buffer_s=buffer_s
        )


def variants() -> list[Variant]:
    own = [Variant(f"{name}, product defaults", name) for name in TRACKER_NAMES]
    theirs = [Variant(f"{name}, BoxMOT defaults", name, _boxmot_options(name)) for name in TRACKER_NAMES]
    thresholds = [
        Variant(f"bytetrack, track_thresh {value}", "bytetrack", {"track_thresh": value}) for value in (0.3, 0.45, 0.5)
    ]
    buffers = [Variant(f"bytetrack, buffer {value} s", "bytetrack", {"buffer_s": value}) for value in (0.5, 1.0, 3.0)]
    others = [
        Variant("botsort, product defaults, with CMC", "botsort", forced={"use_cmc": True, "cmc_method": "sof"}),
        Variant("bytetrack, Kalman boxes", "bytetrack", tracker_class=KalmanBoxes),
        Variant("bytetrack, prediction by seconds", "bytetrack", {"variable_dt": True}),
        Variant("boosttrack, prediction by frames", "boosttrack", {"variable_dt": False}),
        Variant("bytetrack, match_thresh 0.8", "bytetrack", {"match_thresh": 0.8}),
    ]
    return own + theirs + thresholds + buffers + others


def _boxmot_options(name: str) -> dict[str, Any]:
    """Options that undo the product's choices; BoxMOT counts its buffers at 30 frames/s."""
    from boxmot.trackers.config import load_tracker_defaults

    kind, theirs = tracker_kind(name), load_tracker_defaults(name)
    buffer_frames = max(1, *(theirs[option] for option in kind.buffer_options))
    return {**{option: theirs[option] for option in kind.defaults}, "buffer_s": buffer_frames / 30}


@dataclass(frozen=True)
class Run:
    boxes: TrackBoxes
    sampled: NDArray[np.int64]
    ms_per_frame: float
    state_bytes: int | None


def track(variant: Variant, clip: Clip, detections: Mapping[int, Detections], step: int) -> Run:
    """Every `step`-th frame of the clip through a fresh tracker."""
    tracker = variant.create(clip.frame_rate / step)
    needs_pixels = bool(variant.forced.get("use_cmc"))
    image, pictures = np.zeros((1080, 1920, 3), np.uint8), clip.frames() if needs_pixels else iter(())
    sampled = sorted(detections)[::step]
    frames, ids, boxes, spent = [], [], [], []
    for number in sampled:
        if needs_pixels:
            image = next(picture for at, picture in pictures if at == number)
        begin = time.perf_counter()
        tracks = tracker.update(detections[number], image, round(number * 1e6 / clip.frame_rate))
        spent.append(time.perf_counter() - begin)
        frames.append(np.full(len(tracks), number, np.int64))
        ids.append(tracks.local_id)
        boxes.append(tracks.xyxy_px.astype(np.float64))
    result = TrackBoxes(np.concatenate(frames), np.concatenate(ids), np.concatenate(boxes))
    state_bytes = None if needs_pixels else len(tracker.state())
    return Run(result, np.array(sampled, np.int64), float(np.median(spent)) * 1e3, state_bytes)


def score(run: Run, truth: TrackBoxes, clip: Clip, step: int, everywhere: bool) -> ClipScore:
    """On every ground-truth frame (sampled tracks interpolated over at most 2 s), or on the sampled frames only."""
    frames = np.unique(truth.frame)
    if not everywhere:
        return score_clip(truth, run.boxes, np.intersect1d(frames, run.sampled))
    boxes = interpolate(run.boxes, frames, round(2 * clip.frame_rate)) if step > 1 else run.boxes
    return score_clip(truth, boxes, frames)


def towncentre_table() -> list[dict[str, Any]]:
    clip = towncentre()
    detections, truth = detections_of_clip(clip), clip.truth().scored()
    rows: list[dict[str, Any]] = []
    for step in (1, 3):
        for variant in variants():
            run = track(variant, clip, detections, step)
            cost = {"ms_per_frame": round(run.ms_per_frame, 2), "state_bytes": run.state_bytes}
            rows.extend(
                {
                    "tracker": variant.label,
                    "options": {**variant.options, **variant.forced},
                    "analysis_fps": clip.frame_rate / step,
                    "scored_on": "all frames" if everywhere else "sampled frames",
                    **score(run, truth, clip, step, everywhere).scores.as_dict(),
                    **cost,
                }
                for everywhere in ((True, False) if step > 1 else (True,))
            )
    return rows


def mot17_table() -> list[dict[str, Any]]:
    clips = mot17_mini()
    found = {clip.name: detections_of_clip(clip) for clip in clips}
    rows = []
    for variant in variants():
        scores = []
        for clip in clips:
            detections, truth = found[clip.name], clip.truth()
            run = track(variant, clip, detections, 1)
            people = truth.scored().at(run.sampled)
            result = without_distractors(run.boxes, people, _distractors(truth).at(run.sampled))
            scores.append(score_clip(people, result, run.sampled))
        rows.append({"tracker": variant.label, **pool(scores).as_dict()})
    return rows


def _distractors(truth: MotRows) -> TrackBoxes:
    return truth.tracks(np.isin(truth.class_id, DISTRACTOR_CLASSES))


def import_cost() -> dict[str, float]:
    """Seconds and MiB that the first tracker of a process costs (BoxMOT imports torch)."""
    program = (
        "import time, numpy, pathlib; from retail_ray.tracking.tracker import create_tracker\n"
        "memory = lambda: int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * 4096 / 2**20\n"
        "before, begin = memory(), time.perf_counter()\n"
        "create_tracker('bytetrack', frame_rate=10, options={})\n"
        "print(time.perf_counter() - begin, memory() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    seconds, mebibytes = done.stdout.split()
    return {"seconds": round(float(seconds), 2), "memory_mib": round(float(mebibytes), 1)}


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        where = f"{row.get('analysis_fps', ''):>5} {row.get('scored_on', ''):15}"
        figures = " ".join(f"{name} {row[name]:6.4f}" for name in ("hota", "det_a", "ass_a", "idf1", "mota"))
        print(f"{row['tracker']:40} {where} {figures} idsw {row['id_switches']:3} {row.get('ms_per_frame', '')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS / "trackers.json")
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    output = parser.parse_args().output
    on_towncentre, on_mot17 = towncentre_table(), mot17_table()
    result = {
        "environment": describe(),
        "detections": {"weights": WEIGHTS.name, "confidence": CONFIDENCE, "nms_iou": NMS_IOU, "class": "person"},
        "default": DEFAULT_TRACKER,
        "why": CHOICE,
        "first_tracker_of_a_process": import_cost(),
        "towncentre": on_towncentre,
        "mot17_mini_pooled": on_mot17,
    }
    show(on_towncentre)
    print("\nMOT17, 21 frames of four sequences, pooled")
    show(on_mot17)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\n{CHOICE}\n\nwritten to {output}")


if __name__ == "__main__":
    main()
