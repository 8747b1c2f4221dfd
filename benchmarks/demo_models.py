"""The demo's weights on the real TownCentre clip, and real weights on simulated development data: what transfers.

python -m benchmarks.demo_models --out DIR --shared ../shared

DIR is what `retail-ray train-demo-models --full` wrote; the result is DIR's report with these scores added, in
benchmarks/results/demo_models.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import SHARED, WEIGHTS, towncentre
from benchmarks.environment import RESULTS, describe
from retail_ray.runtime.demo_models import DETECTOR, EMBEDDER
from retail_ray.simulation.training_data import grown_patch
from retail_ray.vision import detector as yolo
from retail_ray.vision import embedder as reid
from retail_ray.vision.training.data import Patches, Picture, read_patches, read_pictures
from retail_ray.vision.training.detector_scores import Asked, score_detector
from retail_ray.vision.training.embedder_scores import score_embedder

EVERY_FRAMES = 12
OSNET = SHARED / "weights" / "osnet_x0_25_msmt17.pth"
SIZES = ((192, 320), (256, 448), (384, 640))
SQUARE = (640, 640)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="folder that `train-demo-models --full` wrote")
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    out: Path = parser.parse_args().out
    development = out / "development"
    with tempfile.TemporaryDirectory() as folder:
        street, people = street_pictures(Path(folder)), street_patches(Path(folder))
        report = json.loads((out / "demo_models.json").read_text()) | {
            "environment": describe(),
            "detector": {
                "simulated stores, demo weights": {
                    f"{height}x{width}": detect(out / DETECTOR, (height, width), read_pictures(development))
                    for height, width in SIZES
                },
                "simulated stores, COCO weights": {"640x640": detect(WEIGHTS, SQUARE, read_pictures(development))},
                "TownCentre, demo weights": {"640x640": detect(out / DETECTOR, SQUARE, street)},
                "TownCentre, COCO weights": {"640x640": detect(WEIGHTS, SQUARE, street)},
            },
            "embedder": {
                "simulated stores, demo weights": embed(out / EMBEDDER, read_patches(development)),
                "simulated stores, MSMT17 weights": embed(OSNET, read_patches(development)),
                "TownCentre, demo weights": embed(out / EMBEDDER, people),
                "TownCentre, MSMT17 weights": embed(OSNET, people),
            },
        }
    (RESULTS / "demo_models.json").write_text(json.dumps(report, indent=1) + "\n")
    for what in ("detector", "embedder"):
        for name, scores in report[what].items():
            print(f"{what}, {name}: {scores}")


def street_pictures(folder: Path) -> list[Picture]:
    """Some frames of TownCentre; everybody in its ground truth is demanded, whatever the height."""
    truth = towncentre().truth().scored()
    pictures = []
    for number, image in towncentre().frames():
        if number % EVERY_FRAMES == 0:
            path = folder / f"{number}.png"
            cv2.imwrite(str(path), image[..., ::-1])
            boxes = truth.xyxy_px[truth.frame == number].astype(np.float32)
            pictures.append(Picture(path, boxes, np.ones(len(boxes), np.float32), ("",) * len(boxes)))
    return pictures


def street_patches(folder: Path) -> Patches:
    """Its people; the two halves of the clip stand for two cameras, which is easier than two real ones."""
    clip, truth = towncentre(), towncentre().truth().scored()
    half = truth.frame.max() / 2
    paths, identity, camera = [], [], []
    for number, image in clip.frames():
        for row in np.flatnonzero(truth.frame == number) if number % EVERY_FRAMES == 0 else ():
            box = truth.xyxy_px[row].clip(0, np.tile(image.shape[1::-1], 2))
            if min(box[2:] - box[:2]) < 16:
                continue
            path = folder / f"{number}-{row}.png"
            cv2.imwrite(str(path), grown_patch(image, box.astype(np.float32))[..., ::-1])
            paths.append(path)
            identity.append(int(truth.track_id[row]))
            camera.append(int(number > half))
    return Patches(tuple(paths), np.array(identity, np.int64), np.array(camera, np.int64))


def detect(weights: Path, input_hw: tuple[int, int], pictures: list[Picture]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as cache:
        settings = yolo.DetectorSettings(weights, precision="f32", input_hw=input_hw, confidence=0.01, threads=2)
        scores = score_detector(yolo.load_detector(settings, Path(cache)), pictures, Asked())
    return {name: round(value, 4) for name, value in scores.items()}


def embed(weights: Path, patches: Patches) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as cache:
        embedder = reid.load_embedder(reid.EmbedderSettings(weights, threads=2), Path(cache))
        return {name: round(value, 4) for name, value in score_embedder(embedder, patches).items()}


if __name__ == "__main__":
    main()
