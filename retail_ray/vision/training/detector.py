"""Trains YOLO11n of one class, people, from nothing: ultralytics' own network and loss, without its run folders."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.errors import DataError
from retail_ray.vision.training.compute import CPU, Compute
from retail_ray.vision.training.data import Picture, read_image, read_pictures
from retail_ray.vision.training.loop import (
    OnProgress,
    Phase,
    TrainingReport,
    generator,
    optimise,
    parameters_of,
    quiet,
    save,
)
from retail_ray.vision.training.views import random_view, recoloured

ARCHITECTURE = "yolo11n.yaml"
LEAST_HEIGHT_PX = 6.0


@dataclass(frozen=True, slots=True)
class DetectorTraining:
    """How to train the detector.

    phases: input shapes in order. min_visible_share, min_height_px: who is a person to be found, in the picture's own
    pixels. recolouring: strength of the random colours, 1 being about as cameras of one shop differ.
    """

    phases: tuple[Phase, ...] = (Phase(1300, 8, (160, 288), (1.1, 2.0)),)
    peak_rate: float = 0.0015
    weight_decay: float = 0.0005
    min_visible_share: float = 0.2
    min_height_px: float = 20.0
    recolouring: float = 0.7

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)


def train_detector(
    data_folder: Path,
    out_file: Path,
    settings: DetectorTraining,
    seed: int,
    on_progress: OnProgress = quiet,
    *,
    compute: Compute = CPU,
) -> TrainingReport:
    """Train on the pictures of `data_folder` and write a `.pt` that `load_yolo` reads. Raises DataError."""
    random = generator(seed)
    pictures = read_pictures(data_folder)
    if not any(_wanted(picture, settings).any() for picture in pictures):
        raise DataError(f"{data_folder}: nobody is visible in any of {len(pictures)} pictures; render more of them")
    module = compute.placed(build_yolo())
    averaged, losses = optimise(
        module,
        _losses(module, pictures, settings, random, compute),
        steps=settings.steps,
        peak_rate=settings.peak_rate,
        weight_decay=settings.weight_decay,
        on_progress=on_progress,
        compute=compute,
    )
    save_yolo(averaged, out_file)
    examples = sum(phase.steps * phase.batch for phase in settings.phases)
    return TrainingReport(out_file, settings.steps, examples, parameters_of(averaged), losses)


def build_yolo() -> Any:
    """A fresh YOLO11n with one class, its loss settings being ultralytics' defaults."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    import torch
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    module = DetectionModel(ARCHITECTURE, nc=1, verbose=False)
    module.args = get_cfg()
    module.names = {0: "person"}
    module.model[-1].dfl.requires_grad_(requires_grad=False)
    # On a CPU this order of channels trains half as fast again.
    return module.to(memory_format=torch.channels_last)


def save_yolo(module: Any, out_file: Path) -> None:
    """As ultralytics saves a stripped checkpoint: the network in float16 and nothing else."""
    import torch

    bare = copy.deepcopy(module).to(memory_format=torch.contiguous_format).half().eval()
    bare.criterion = None
    bare.args = {"task": "detect", "model": ARCHITECTURE, "imgsz": 640}
    for parameter in bare.parameters():
        parameter.requires_grad = False
    save({"model": bare, "ema": None, "train_args": bare.args}, out_file)


def _losses(
    module: Any,
    pictures: list[Picture],
    settings: DetectorTraining,
    random: np.random.Generator,
    compute: Compute,
) -> Iterator[Any]:
    for phase in settings.phases:
        for _ in range(phase.steps):
            chosen = random.integers(0, len(pictures), phase.batch)
            made = _batch([pictures[i] for i in chosen], phase, settings, random)
            batch = {key: compute.moved(tensor) for key, tensor in made.items()}
            with compute.autocast():
                loss, _ = module(batch)
            yield loss.sum() / phase.batch


def _batch(
    pictures: list[Picture], phase: Phase, settings: DetectorTraining, random: np.random.Generator
) -> dict[str, Any]:
    """A batch as ultralytics' loss wants it: images in [0, 1], boxes as centre and size in shares of the input."""
    import torch

    height, width = phase.input_hw
    images = np.empty((len(pictures), height, width, 3), np.uint8)
    owners, boxes = [], []
    for slot, picture in enumerate(pictures):
        image = read_image(picture.path)
        xyxy_px = picture.xyxy_px[_wanted(picture, settings)]
        view = random_view((image.shape[0], image.shape[1]), xyxy_px, phase.input_hw, phase.zoom, random)
        images[slot] = recoloured(view.image(image), random, settings.recolouring)
        cut, kept = view.boxes(xyxy_px)
        cut = cut[kept & (cut[:, 3] - cut[:, 1] >= LEAST_HEIGHT_PX)]
        boxes.append(np.concatenate([(cut[:, :2] + cut[:, 2:]) / 2, cut[:, 2:] - cut[:, :2]], axis=1))
        owners.append(np.full(len(cut), slot, np.float32))
    stacked = np.concatenate(boxes) / np.array([width, height] * 2, np.float32)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return {
        "img": pixels.to(torch.float32, memory_format=torch.channels_last) / 255,
        "bboxes": torch.from_numpy(stacked.astype(np.float32)),
        "cls": torch.zeros(len(stacked), 1),
        "batch_idx": torch.from_numpy(np.concatenate(owners)),
    }


def _wanted(picture: Picture, settings: DetectorTraining) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return picture.people(settings.min_visible_share, settings.min_height_px)
