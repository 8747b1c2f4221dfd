"""Speed and realism of the simulated cameras: `python -m benchmarks.renderer [--shops 12] [--only PART]`.

PART is speed, clips or realism. Speed: ticks of four cameras a second with about eight people in each picture, masks
and visible shares included, on two processes. Clips: the same up to finished files, with motion blur, camera faults,
H.264 and the truth, start of the processes included. Realism: how many simulated people a detector finds that has only
ever seen photographs (COCO-trained YOLO11n INT8, confidence 0.25, IoU 0.5 against the visible box) after mild blur,
noise and JPEG.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import WEIGHTS
from benchmarks.environment import RESULTS, describe
from retail_ray.core.boxes import Letterbox, iou
from retail_ray.evaluation.measures import wilson
from retail_ray.lake.truth import read_truth
from retail_ray.simulation.layout_generator import random_layout
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.render.people import PosedPerson, people_at
from retail_ray.simulation.render.renderer import Picture, Prefer, Renderer, make_renderer
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.store import StoreCamera, StorePlan
from retail_ray.simulation.video import simulate_video
from retail_ray.simulation.video_settings import VideoSettings
from retail_ray.vision.detector import DetectorSettings, YoloDetector, load_detector

FIRST_SEED = 7100
SIZE = (1280, 720)
CONFIDENCE = 0.25
INPUTS_HW = ((384, 640), (736, 1280))
"""What the detector is given: pictures at half their size, the product's default, and at their own."""
EMPTY = ("persons_with_decoys", "persons_without_decoys")
HEIGHTS_PX = (80, 130, 220, 10_000)
SHARES = (0.5, 0.9, 1.01)


@dataclass(frozen=True, slots=True)
class Looked:
    """One picture's people: visible boxes (N, 4), heights of the whole bodies (N,), visible shares (N,)."""

    boxes_px: NDArray[np.float32]
    heights_px: NDArray[np.float64]
    shares: NDArray[np.float64]


# --- speed -----------------------------------------------------------------------------------------------------------


def ticks_per_second(kind: Prefer, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """Two processes with two cameras each; the slower half counts."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        halves = list(pool.map(_drawing, [kind] * 2, [size] * 2, [0, 1], [seconds] * 2))
    cpu_ms = float(np.mean([half["cpu_ms_per_picture"] for half in halves]))
    return {
        "ticks_per_s": round(min(half["ticks_per_s"] for half in halves), 2),
        "cpu_ms_per_picture": round(cpu_ms, 1),
        "ticks_per_s_if_both_cores_were_free": round(2 * 1000 / (4 * cpu_ms), 1),
        "people_per_picture": round(float(np.mean([half["people_per_picture"] for half in halves])), 1),
    }


def _drawing(kind: Prefer, size: tuple[int, int], half: int, seconds: float) -> dict[str, float]:
    cv2.setNumThreads(1)
    plan = ready_layouts()["convenience"]
    scenario = simulate(plan, _QUIET, seed=1)
    renderer = make_renderer(plan, *size, scenario.crowd.people, prefer=kind)
    cameras = plan.cameras[half * 2 : half * 2 + 2]
    for at_s in (0.0, 5.0, 10.0):
        _tick(renderer, cameras, people_at(scenario.crowd, at_s))
    began, used, ticks, people = time.perf_counter(), time.process_time(), 0, 0
    while time.perf_counter() - began < seconds:
        people += _tick(renderer, cameras, people_at(scenario.crowd, (ticks * 0.1) % scenario.crowd.duration_s))
        ticks += 1
    return {
        "ticks_per_s": ticks / (time.perf_counter() - began),
        "cpu_ms_per_picture": (time.process_time() - used) / ticks / len(cameras) * 1e3,
        "people_per_picture": people / ticks / len(cameras),
    }


def _tick(renderer: Renderer, cameras: Sequence[StoreCamera], people: list[PosedPerson]) -> int:
    seen = 0
    for camera in cameras:
        picture = renderer.draw(camera, people)
        shown = picture.people()
        seen += len(renderer.whole_bodies(camera, [one for one in people if one.person.person_id in shown]))
    return seen


_QUIET = ScenarioSettings(
    duration_s=30.0, initial_shoppers=8, arrivals_per_hour=60.0, passers_by_per_hour=0.0, warm_up_s=20.0, staff=2
)


def _busy(shoppers: int) -> ScenarioSettings:
    return ScenarioSettings(duration_s=30.0, initial_shoppers=shoppers, arrivals_per_hour=400.0, warm_up_s=120.0)


# --- clips -----------------------------------------------------------------------------------------------------------


def clip_making(size: tuple[int, int], fps: float = 10.0) -> dict[str, float]:
    """Four clips on two processes, with everything that a user waits for."""
    video = VideoSettings(width_px=size[0], height_px=size[1], fps=fps, processes=2, renderer="software")
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), _cpu_s()
        made = simulate_video(ready_layouts()["convenience"], _QUIET, video, seed=1, out=Path(folder) / "store")
        wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - used
        frames = len(read_truth(made.truth_dir).tables["frames"]["frame_index"])
        size_bytes = sum(clip.stat().st_size for clip in made.clips)
    return {
        "ticks_per_s": round(_QUIET.duration_s * fps / wall_s, 2),
        "cpu_ms_per_frame": round(cpu_s / frames * 1e3, 1),
        "wall_s": round(wall_s, 1),
        "frames": frames,
        "bytes": size_bytes,
    }


def _cpu_s() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


# --- realism ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What one detector found so far. rows: (height, visible share, found) of each person."""

    detector: YoloDetector
    rows: list[tuple[float, float, bool]] = field(default_factory=list)
    boxes: int = 0
    false: int = 0
    empty: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EMPTY, 0))

    def see(self, image: NDArray[np.uint8], looked: Looked) -> None:
        boxes = detect(self.detector, image)
        hits, right = _matched(looked.boxes_px, boxes)
        self.rows += zip(looked.heights_px.tolist(), looked.shares.tolist(), hits.tolist(), strict=True)
        self.boxes, self.false = self.boxes + len(boxes), self.false + len(boxes) - right

    def result(self) -> dict[str, Any]:
        return {
            "recall": _recalls(self.rows),
            "precision": round(1 - self.false / max(self.boxes, 1), 4),
            "detections": self.boxes,
            "empty_stores": self.empty,
        }


def realism(shops: int, kind: Prefer) -> dict[str, Any]:
    """Recall by height and visibility, precision, and what is found in empty stores, at each size of the input."""
    tallies = {f"{hw[0]}x{hw[1]}": _Tally(_detector(hw)) for hw in INPUTS_HW}
    views = 0
    for shop in range(shops):
        plan = random_layout(FIRST_SEED + shop)
        for number, (picture, looked) in enumerate(_pictures(plan, FIRST_SEED + shop, kind)):
            image = degrade(picture.image, seed=1000 * shop + number)
            for tally in tallies.values():
                tally.see(image, looked)
        for camera in plan.cameras:
            views += 1
            for key, one in zip(EMPTY, (plan, replace(plan, decoys=())), strict=True):
                image = degrade(make_renderer(one, *SIZE, (), prefer=kind).draw(camera, []).image, seed=shop)
                for tally in tallies.values():
                    tally.empty[key] += len(detect(tally.detector, image))
    return {"shops": shops, "empty_views": views, "inputs": {name: t.result() for name, t in tallies.items()}}


def _detector(input_hw: tuple[int, int]) -> YoloDetector:
    return load_detector(DetectorSettings(weights=WEIGHTS, confidence=CONFIDENCE, input_hw=input_hw), RESULTS)


def _pictures(plan: StorePlan, seed: int, kind: Prefer) -> Iterator[tuple[Picture, Looked]]:
    scenario = simulate(plan, _busy(9), seed)
    renderer = make_renderer(plan, *SIZE, scenario.crowd.people, prefer=kind)
    for at_s in (2.0, 14.0, 26.0):
        people = people_at(scenario.crowd, at_s)
        for camera in plan.cameras:
            picture = renderer.draw(camera, people)
            yield picture, look(renderer, camera, people, picture)


def look(renderer: Renderer, camera: StoreCamera, people: list[PosedPerson], picture: Picture) -> Looked:
    """The truth of one picture."""
    shown = picture.people()
    bodies = renderer.whole_bodies(camera, [one for one in people if one.person.person_id in shown])
    boxes, heights, shares = [], [], []
    for body in bodies:
        if body is None:
            continue
        rows, columns = np.nonzero(picture.ids == body.person_id)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        heights.append(float(body.box_px[3] - body.box_px[1]))
        shares.append(min(len(rows) / max(body.pixels, 1.0), 1.0))
    return Looked(np.array(boxes, np.float32).reshape(-1, 4), np.array(heights), np.array(shares))


def degrade(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Blur, noise and JPEG of an ordinary shop camera."""
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    noisy = np.clip(cv2.GaussianBlur(image, (0, 0), 0.6) + noise, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    unpacked: Any = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return np.asarray(unpacked[:, :, ::-1], np.uint8)


def detect(detector: YoloDetector, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 4) boxes in the image's pixels, best first."""
    height, width = image.shape[:2]
    letterbox = Letterbox((height, width), detector.input_hw)
    (rows, columns), (left, top) = letterbox.content_hw, letterbox.pad_px
    canvas = np.full((1, *detector.input_hw, 3), 114, np.uint8)
    canvas[0, top : top + rows, left : left + columns] = cv2.resize(image, (columns, rows))
    return letterbox.to_native(detector.detect(canvas)[0].xyxy_px)


def _matched(truth: NDArray[np.float32], boxes: NDArray[np.float32]) -> tuple[NDArray[np.bool_], int]:
    """Which people were found, and how many boxes are of people; best boxes choose first."""
    hits = np.zeros(len(truth), np.bool_)
    overlap = iou(boxes, truth)
    right = 0
    for row in overlap:
        free = np.where(hits, 0.0, row)
        if len(free) and free.max() >= 0.5:
            hits[int(np.argmax(free))] = True
            right += 1
    return hits, right


def _recalls(rows: Sequence[tuple[float, float, bool]]) -> dict[str, Any]:
    table = np.array(rows, np.float64).reshape(-1, 3)
    height, share, hit = table[:, 0], table[:, 1], table[:, 2] > 0
    counted = (height >= HEIGHTS_PX[0]) & (share >= SHARES[0])
    named = {"all": counted}
    for low, high in pairwise(HEIGHTS_PX):
        named[f"{low}-{high} px" if high < 10_000 else f"over {low} px"] = counted & (height >= low) & (height < high)
    for least, most in pairwise(SHARES):
        named[f"visible {least:g}-{min(most, 1.0):g}"] = counted & (share >= least) & (share < most)
    return {name: _share(hit[chosen]) for name, chosen in named.items()}


def _share(hit: NDArray[np.bool_]) -> dict[str, Any]:
    low, high = wilson(int(hit.sum()), len(hit)) if len(hit) else (0.0, 1.0)
    return {
        "recall": round(float(hit.mean()), 4) if len(hit) else None,
        "people": len(hit),
        "interval_95": [round(low, 4), round(high, 4)],
    }


def _speeds(seconds: float) -> dict[str, Any]:
    kinds: tuple[Prefer, ...] = ("software", "gl")
    return {
        f"{kind} {size[0]}x{size[1]}": ticks_per_second(kind, size, seconds)
        for kind in kinds
        for size in (SIZE, (640, 360))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--only", choices=("speed", "clips", "realism"))
    arguments = parser.parse_args()
    path = RESULTS / "renderer.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "speed": lambda: _speeds(arguments.seconds),
        "clips": lambda: {f"{size[0]}x{size[1]}": clip_making(size) for size in (SIZE, (640, 360))},
        "realism": lambda: realism(arguments.shops, "software"),
    }
    for name, measured in parts.items():
        if arguments.only in (None, name):
            results[name] = measured() | {"measured_on": describe()}
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: {k: v for k, v in part.items() if k != "measured_on"} for name, part in results.items()},
                     indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
