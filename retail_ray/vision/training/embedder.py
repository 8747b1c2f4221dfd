"""Trains OSNet x0.25 to tell people apart across cameras.

Loss after Khosla et al., Supervised Contrastive Learning (2020): a softmax over the batch instead of one over all
people, which learns from far fewer steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.types import Image
from retail_ray.vision.networks import IMAGENET
from retail_ray.vision.reid_model import build_reid
from retail_ray.vision.training.compute import CPU, Compute
from retail_ray.vision.training.data import PATCH_MARGIN, Patches, read_image, read_patches
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
from retail_ray.vision.training.views import erased, recoloured

ARCHITECTURE = "osnet_x0_25"


@dataclass(frozen=True, slots=True)
class EmbedderTraining:
    """How to train the embedder.

    A batch holds `patches_per_person` patches of each person, of several cameras where there are. box_jitter: largest
    shift of each side of a box, as a share of the side. recolouring: see `DetectorTraining`.
    """

    phases: tuple[Phase, ...] = (Phase(500, 64, (128, 64)), Phase(60, 48, (256, 128)))
    peak_rate: float = 0.002
    weight_decay: float = 0.0005
    patches_per_person: int = 4
    temperature: float = 0.1
    erasing: float = 0.15
    box_jitter: float = 0.05
    recolouring: float = 0.3

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)


def train_embedder(
    data_folder: Path,
    out_file: Path,
    settings: EmbedderTraining,
    seed: int,
    on_progress: OnProgress = quiet,
    *,
    compute: Compute = CPU,
) -> TrainingReport:
    """Train on the patches of `data_folder` and write a `.pt` that `load_reid` reads, without the classifier."""

    random = generator(seed)
    patches = read_patches(data_folder)
    album = _Album(patches, settings)
    module = compute.placed(build_reid(ARCHITECTURE, classes=1))
    averaged, losses = optimise(
        module,
        _losses(module, album, settings, random, compute),
        steps=settings.steps,
        peak_rate=settings.peak_rate,
        weight_decay=settings.weight_decay,
        on_progress=on_progress,
        compute=compute,
    )
    state = {name: tensor for name, tensor in averaged.state_dict().items() if not name.startswith("classifier.")}
    save(state, out_file)
    examples = sum(phase.steps * phase.batch for phase in settings.phases)
    trained = parameters_of(averaged) - parameters_of(averaged.classifier)
    return TrainingReport(out_file, settings.steps, examples, trained, losses)


class _Album:
    """Patches by person; people with a single patch teach nothing and are left out."""

    def __init__(self, patches: Patches, settings: EmbedderTraining) -> None:
        identities, counts = np.unique(patches.identity, return_counts=True)
        self._rows = [np.flatnonzero(patches.identity == identity) for identity in identities[counts > 1]]
        if len(self._rows) < 2:
            raise DataError(f"{len(patches)} patches: fewer than two people have two patches; render more of them")
        self._patches, self._settings = patches, settings

    @property
    def people(self) -> int:
        return len(self._rows)

    def batch(self, phase: Phase, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(B, *phase.input_hw, 3) uint8 patches and (B,) int64 numbers of the people."""
        each = self._settings.patches_per_person
        wanted = max(2, phase.batch // each)
        chosen = random.choice(self.people, wanted, replace=wanted > self.people)
        label = np.repeat(chosen, each).astype(np.int64)
        images = np.empty((len(label), *phase.input_hw, 3), np.uint8)
        for i, person in enumerate(chosen):
            rows = self._spread(self._rows[person], each, random)
            for j, row in enumerate(rows):
                images[i * each + j] = self._patch(int(row), phase, random)
        return images, label

    def _spread(self, rows: NDArray[np.intp], count: int, random: np.random.Generator) -> NDArray[np.intp]:
        """Patches of as many cameras as there are, then any."""
        shuffled = random.permutation(np.resize(random.permutation(rows), max(count, len(rows))))
        _, first = np.unique(self._patches.camera[shuffled], return_index=True)
        others = np.delete(np.arange(len(shuffled)), first)
        return np.asarray(shuffled[np.concatenate([random.permutation(first), others])[:count]])

    def _patch(self, row: int, phase: Phase, random: np.random.Generator) -> Image:
        settings = self._settings
        patch = cut_patch(read_image(self._patches.paths[row]), phase.input_hw, settings.box_jitter, random)
        if random.random() < 0.5:
            patch = np.ascontiguousarray(patch[:, ::-1])
        return erased(recoloured(patch, random, settings.recolouring), random, settings.erasing)


def cut_patch(grown: Image, patch_hw: tuple[int, int], jitter: float, random: np.random.Generator | None) -> Image:
    """The person's box out of a stored patch, each side moved by up to `jitter` of its length."""
    height, width = grown.shape[0], grown.shape[1]
    sides = np.array([width, height, width, height]) / (1 + 2 * PATCH_MARGIN)
    margin = sides * PATCH_MARGIN * (1, 1, -1, -1)
    box = np.array([0, 0, width, height]) + margin
    if random is not None:
        box = box + random.uniform(-jitter, jitter, 4) * sides
    left, top, right, bottom = np.round(box).clip(0, [width, height, width, height]).astype(int)
    cut = grown[top : max(bottom, top + 1), left : max(right, left + 1)]
    return np.asarray(cv2.resize(cut, (patch_hw[1], patch_hw[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def _losses(
    module: Any, album: _Album, settings: EmbedderTraining, random: np.random.Generator, compute: Compute
) -> Iterator[Any]:
    import torch

    for phase in settings.phases:
        for _ in range(phase.steps):
            images, labels = album.batch(phase, random)
            with compute.autocast():
                _, features = module(compute.moved(torch.from_numpy(IMAGENET.apply(images))))
            target = compute.moved(torch.from_numpy(labels))
            yield contrast(features.float(), target, settings.temperature)


def contrast(features: Any, labels: Any, temperature: float) -> Any:
    """Mean negative log share of the same person's patches among all others of the batch, by cosine / temperature."""
    import torch

    unit = torch.nn.functional.normalize(features)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    logits = (unit @ unit.T / temperature).masked_fill(itself, float("-inf"))
    same = (labels[:, None] == labels[None, :]) & ~itself
    share = logits.log_softmax(dim=1).masked_fill(~same, 0)
    return -(share.sum(dim=1) / same.sum(dim=1).clamp_min(1)).mean()
