"""The camera-moved alarm on rendered clips: smallest movement found, delay, and false alarms.

python -m benchmarks.moved_camera --cases DIR [--clips N]   ->  benchmarks/results/moved_camera.json

DIR holds cases of `retail-ray simulate video`. A frame every 2 s of a clip is one look; the product looks every 10 s.
From the tenth look on the picture is moved by a known amount. People are masked by their true boxes, as the detector
would; the control without any boxes shows what that is worth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from retail_ray.config_file import load_site
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.types import Image
from retail_ray.core.view import ViewChange
from retail_ray.lake.truth import read_truth
from retail_ray.runtime.view_watch import LOOK_EVERY_US, floor_effect_m
from retail_ray.simulation.seeds import purpose_of
from retail_ray.video.fixed_view import FixedView
from retail_ray.video.sources import open_source
from retail_ray.video.view_features import mean_shift_px

LOOKS_PER_S, MOVED_FROM, SCORED = 0.5, 10, 6
Matrix = NDArray[np.float64]
Change = Callable[[Image, int], Image]


@dataclass(frozen=True)
class Clip:
    """Looks at one camera. boxes: (N, 4) true boxes of each look. settled: state of its watch before it is moved."""

    name: str
    looks: list[Image]
    boxes: list[NDArray[np.float32]]
    calibration: FloorCalibration
    settled: bytes

    @property
    def native_hw(self) -> tuple[int, int]:
        height, width = self.looks[0].shape[:2]
        return height, width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="folder of rendered cases")
    parser.add_argument("--clips", type=int, help="only the first N clips")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    clips = list(islice(clips_of(arguments.cases), arguments.clips))
    content = {"environment": describe(), "clips": [clip.name for clip in clips], "look_every_s": LOOK_EVERY_US / 1e6}
    content |= {"ms_a_look": cost_ms(clips), "still": still(clips), "moved": [moved(clips, *move) for move in moves()]}
    content["hidden"] = {name: hidden(clips, change) for name, change in hidings().items()}
    (RESULTS / "moved_camera.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: content[name] for name in ("ms_a_look", "still", "moved", "hidden")}, indent=1))


def clips_of(folder: Path) -> Iterator[Clip]:
    for case in sorted(path.parent for path in folder.glob("*/site.yaml")):
        site, truth = load_site(case / "site.yaml"), read_truth(case / "truth")
        if purpose_of(truth.of.seed) == "test":
            raise SystemExit(f"{case}: a test seed; the alarm is developed on others")
        boxes = truth.tables["boxes"]
        for camera in site.cameras:
            source = open_source(camera.id, camera.uri, camera.recorded_at_us, LOOKS_PER_S, decoder_threads=1)
            looks, people = [], []
            for frame in source.frames():
                mine = (boxes["camera_id"] == camera.id) & (boxes["frame_index"] == frame.index)
                people.append(np.stack([boxes[f"{side}_px"][mine] for side in ("x1", "y1", "x2", "y2")], axis=1))
                looks.append(frame.native())
            assert camera.floor is not None
            height, width = looks[0].shape[:2]
            view = FixedView((height, width))
            for look in range(MOVED_FROM):
                view.look(looks[look], 1.0, people[look], look * LOOK_EVERY_US)
            calibration = camera.floor.calibration((height, width))
            yield Clip(f"{case.name}/{camera.id}", looks, people, calibration, view.state())


def moves() -> Iterator[tuple[str, float, Matrix]]:
    """Kind, size, and the map of a 640 x 360 picture from before to after."""
    centre = np.array([[1, 0, 320], [0, 1, 180], [0, 0, 1.0]])
    for size_px in (1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 40.0, 80.0, 160.0):
        yield "shift, px", size_px, np.array([[1, 0, 0.8 * size_px], [0, 1, 0.6 * size_px], [0, 0, 1.0]])
    for degrees in (0.25, 0.5, 1.0, 2.0, 5.0, 15.0):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        yield "roll, degrees", degrees, centre @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.linalg.inv(centre)
    for percent in (1.0, 2.0, 3.0, 5.0, 10.0, 25.0):
        z = 1 + percent / 100
        yield "zoom, percent", percent, centre @ np.diag([z, z, 1.0]) @ np.linalg.inv(centre)
    lens = np.array([[350.0, 0, 320], [0, 350.0, 180], [0, 0, 1]])
    for degrees in (0.25, 0.5, 1.0, 2.0, 5.0, 15.0):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        yield "tilt, degrees", degrees, lens @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.linalg.inv(lens)


def lights() -> dict[str, Change]:
    """Nothing of this moves the camera."""
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 10, (4, 360, 640, 3))

    def coded(image: Image, _look: int) -> Image:
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])
        return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)

    def spot(image: Image, look: int) -> Image:
        """Sunlight that wanders over the floor."""
        bright = np.zeros(image.shape[:2], np.float32)
        cv2.ellipse(bright, (80 + 20 * look, 220), (90, 50), 30, 0, 360, 70.0, -1)
        return _clipped(image + bright[..., None])

    return {
        "as rendered": lambda image, _: image,
        "half as bright from look 10": lambda image, look: _clipped(image * (0.5 if look >= MOVED_FROM else 1.0)),
        "1.6 times as bright from look 10": lambda image, look: _clipped(image * (1.6 if look >= MOVED_FROM else 1.0)),
        "dimmed to a quarter over all looks": lambda image, look: _clipped(image * (1 - 0.75 * look / 30)),
        "flicker of 25 %": lambda image, look: _clipped(image * (1 + 0.25 * np.sin(2.4 * look))),
        "noise of 10 grey levels": lambda image, look: _clipped(image + noise[look % 4]),
        "JPEG of quality 15": coded,
        "sunlight wandering": spot,
    }


def hidings() -> dict[str, Change]:
    black = np.array([12, 12, 14], np.uint8)
    return {
        "covered": lambda image, _: np.full_like(image, 110),
        "out of focus": lambda image, _: np.asarray(cv2.GaussianBlur(image, (0, 0), 14), np.uint8),
        "dark": lambda image, _: _clipped(image * 0.02 + black),
    }


def still(clips: list[Clip]) -> dict[str, Any]:
    """Looks, alarms, and the largest shift believed, for each change that moves nothing."""
    found = {name: _still(clips, change, masked=True) for name, change in lights().items()}
    return found | {"as rendered, people not masked": _still(clips, lambda image, _: image, masked=False)}


def _still(clips: list[Clip], change: Change, *, masked: bool) -> dict[str, Any]:
    alarms, looks = [], 0
    for clip in clips:
        for verdict in watched(clip, change, masked=masked):
            looks += 1
            if verdict is not None and verdict.after not in ("unmoved", "learning"):
                alarms.append({"clip": clip.name, "state": verdict.after, "shift_px": round(verdict.shift_px, 2)})
    return {"looks": looks, "alarms": len(alarms), "which": alarms}


def moved(clips: list[Clip], kind: str, size: float, to_now: Matrix) -> dict[str, Any]:
    """How many clips the movement is found in, after how many looks, and how well it is measured."""

    def move(image: Image, _look: int) -> Image:
        return np.asarray(cv2.warpPerspective(image, to_now, (640, 360), borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    true_px, delays, errors_px, effects_m = mean_shift_px(to_now, (360, 640)), [], [], []
    for clip in clips:
        effect_m = floor_effect_m(to_now, clip.native_hw, clip.calibration)
        effects_m.append(np.nan if effect_m is None else effect_m)
        for look, change in enumerate(_watch(_settled(clip), clip, move, MOVED_FROM)):
            if change is not None and change.after == "moved":
                delays.append(look + 1)
                errors_px.append(abs(change.shift_px - true_px))
                break
    known = [error for error in errors_px if np.isfinite(error)]
    return {
        "kind": kind,
        "size": size,
        "mean_shift_px": round(true_px, 2),
        "floor_effect_median_m": round(float(np.nanmedian(effects_m)), 3),
        "found": len(delays),
        "of": len(clips),
        "delay_looks_median": float(np.median(delays)) if delays else None,
        "delay_looks_max": max(delays) if delays else None,
        "measured": len(known),
        "error_px_median": round(float(np.median(known)), 2) if known else None,
    }


def hidden(clips: list[Clip], change: Change) -> dict[str, int]:
    """What state the watch ends in when nothing can be seen from the tenth look on."""
    ends: dict[str, int] = {}
    for clip in clips:
        view = _settled(clip)
        for _ in _watch(view, clip, change, MOVED_FROM):
            pass
        ends[view.shown] = ends.get(view.shown, 0) + 1
    return ends


def watched(clip: Clip, change: Change, *, masked: bool) -> Iterator[ViewChange | None]:
    return _watch(FixedView(clip.native_hw), clip, change, 0, masked=masked)


def _settled(clip: Clip) -> FixedView:
    view = FixedView(clip.native_hw)
    view.restore(clip.settled)
    return view


def _watch(
    view: FixedView, clip: Clip, change: Change, first: int, *, masked: bool = True
) -> Iterator[ViewChange | None]:
    nobody = np.zeros((0, 4), np.float32)
    for look in range(first, min(MOVED_FROM + SCORED, len(clip.looks))):
        people = clip.boxes[look] if masked else nobody
        yield view.look(change(clip.looks[look], look), 1.0, people, look * LOOK_EVERY_US)


def cost_ms(clips: list[Clip]) -> float:
    began, looks = time.process_time(), 0
    for clip in clips[:2]:
        for _ in watched(clip, lambda image, _: image, masked=True):
            looks += 1
    return round((time.process_time() - began) / looks * 1e3, 2)


def _clipped(values: NDArray[Any]) -> Image:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


if __name__ == "__main__":
    main()
