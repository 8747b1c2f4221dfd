"""Trains a small Segment Anything, prompted with boxes, to cut people out: segment-anything's own modules.

Loss after Kirillov et al., Segment Anything (2023), with cross entropy in the place of the focal loss; the head that
estimates the IoU learns the IoU that is reached.
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
from retail_ray.vision.sam_model import SamShape, build_sam
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

SMALL = SamShape(
    image_px=320,
    patch_px=16,
    embed_dim=128,
    depth=3,
    heads=4,
    mlp_ratio=4.0,
    window=10,
    global_blocks=(2,),
    prompt_dim=64,
    mask_in_channels=16,
    decoder_depth=2,
    decoder_mlp_dim=256,
    decoder_downsample=1,
    mask_outputs=3,
    iou_depth=3,
    iou_hidden=64,
)
REGION_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class SegmenterTraining:
    """How to train the segmenter.

    A step sees `batch` pictures, each with at most `boxes_per_picture` prompts. box_jitter: largest shift of a box's
    sides, as a share of them. Fully connected layers and convolutions alike decay by weight_decay.
    """

    phases: tuple[Phase, ...] = (Phase(2600, 2, (180, 320), (1.0, 2.5)),)
    shape: SamShape = SMALL
    peak_rate: float = 0.001
    weight_decay: float = 0.01
    boxes_per_picture: int = 5
    box_jitter: float = 0.08
    recolouring: float = 0.7
    min_visible_share: float = 0.2
    min_height_px: float = 24.0

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)


def train_segmenter(
    data_folder: Path,
    out_file: Path,
    settings: SegmenterTraining,
    seed: int,
    on_progress: OnProgress = quiet,
    *,
    compute: Compute = CPU,
) -> TrainingReport:
    """Train on the pictures of `data_folder` and write a `.pth` in float16 that `load_sam` reads. Raises
    DataError."""

    random = generator(seed)
    pictures = [p for p in read_pictures(data_folder) if _wanted(p, settings).any()]
    if not pictures:
        raise DataError(f"{data_folder}: nobody is visible in any picture; render more of them")
    module = compute.placed(build_sam(settings.shape))
    averaged, losses = optimise(
        module,
        _losses(module, pictures, settings, random, compute),
        steps=settings.steps,
        peak_rate=settings.peak_rate,
        weight_decay=settings.weight_decay,
        on_progress=on_progress,
        compute=compute,
    )
    save({name: tensor.half() for name, tensor in averaged.state_dict().items()}, out_file)
    examples = sum(phase.steps * phase.batch for phase in settings.phases)
    return TrainingReport(out_file, settings.steps, examples, parameters_of(averaged), losses)


@dataclass(frozen=True, slots=True)
class _Example:
    """image: (h, w, 3) uint8. prompts: (N, 4) float32. masks: (N, l, l) float32 share of each cell of the person."""

    image: NDArray[np.uint8]
    prompts: NDArray[np.float32]
    masks: NDArray[np.float32]


def _losses(
    module: Any,
    pictures: list[Picture],
    settings: SegmenterTraining,
    random: np.random.Generator,
    compute: Compute,
) -> Iterator[Any]:
    for phase in settings.phases:
        for _ in range(phase.steps):
            examples: list[_Example] = []
            while len(examples) < phase.batch:
                example = _example(pictures[random.integers(len(pictures))], phase, settings, random)
                if example is not None:
                    examples.append(example)
            yield _loss(module, examples, compute)


def _loss(module: Any, examples: list[_Example], compute: Compute) -> Any:
    import torch

    pixels = [compute.moved(torch.from_numpy(example.image)).permute(2, 0, 1) for example in examples]
    with compute.autocast():
        features = module.image_encoder(torch.stack([module.preprocess(image) for image in pixels]))
    losses = []
    for feature, example in zip(features, examples, strict=True):
        with compute.autocast():
            logits, estimates = _masks(module, feature, compute.moved(torch.from_numpy(example.prompts)))
        region = _regions(example.prompts, example.masks.shape[1:], module.image_encoder.img_size)
        target, region = (compute.moved(torch.from_numpy(cells)) for cells in (example.masks, region))
        losses.append(mask_loss(logits.float(), estimates.float(), target, region))
    return torch.stack(losses).mean()


def _masks(module: Any, feature: Any, prompts: Any) -> tuple[Any, Any]:
    """(N, l, l) logits and (N,) estimated IoU of (N, 4) prompts on one picture."""
    sparse, dense = module.prompt_encoder(points=None, boxes=prompts, masks=None)
    logits, estimates = module.mask_decoder(
        image_embeddings=feature[None],
        image_pe=module.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return logits[:, 0], estimates[:, 0]


def mask_loss(logits: Any, estimates: Any, target: Any, region: Any) -> Any:
    """Cross entropy + dice + squared error of the estimated IoU, over the cells of `region`, mean over N masks.

    logits, target, region: (N, l, l). estimates: (N,).
    """
    import torch

    cells = region.sum(dim=(1, 2)).clamp_min(1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid() * region
    both, either = (probability * target).sum(dim=(1, 2)), (probability + target).sum(dim=(1, 2))
    dice = 1 - (2 * both + 1) / (either + 1)
    found, wanted = (logits.detach() > 0) & (region > 0), target > 0.5
    union = (found | wanted).sum(dim=(1, 2)).clamp_min(1)
    reached = (found & wanted).sum(dim=(1, 2)) / union
    per_mask = (entropy * region).sum(dim=(1, 2)) / cells + dice + (estimates - reached) ** 2
    return per_mask.mean()


def jittered(xyxy_px: NDArray[np.float32], share: float, random: np.random.Generator) -> NDArray[np.float32]:
    """(N, 4) boxes with every side moved by up to this share of the box."""
    sides = np.tile(xyxy_px[:, 2:] - xyxy_px[:, :2], 2)
    return (xyxy_px + random.uniform(-share, share, xyxy_px.shape) * sides).astype(np.float32)


def _example(
    picture: Picture, phase: Phase, settings: SegmenterTraining, random: np.random.Generator
) -> _Example | None:
    """A random view of the picture, or None where nobody is left in it."""
    image = read_image(picture.path)
    rows = np.flatnonzero(_wanted(picture, settings))
    picture_hw = (image.shape[0], image.shape[1])
    view = random_view(picture_hw, picture.xyxy_px[rows], phase.input_hw, phase.zoom, random)
    cut, kept = view.boxes(picture.xyxy_px[rows])
    chosen = random.permutation(np.flatnonzero(kept))[: settings.boxes_per_picture]
    if not len(chosen):
        return None
    cells = settings.shape.image_px // settings.shape.patch_px * 4
    masks = np.zeros((len(chosen), cells, cells), np.float32)
    for slot, mask in enumerate(picture.masks(rows[chosen], picture_hw)):
        masks[slot] = _in_cells(view.mask(mask), settings.shape.image_px, cells)
    prompts = jittered(cut[chosen], settings.box_jitter, random)
    return _Example(recoloured(view.image(image), random, settings.recolouring), prompts, masks)


def _in_cells(mask: NDArray[np.float32], image_px: int, cells: int) -> NDArray[np.float32]:
    """The mask on the padded square at the decoder's resolution."""
    padded = np.zeros((image_px, image_px), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(cv2.resize(padded, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)


def _regions(prompts: NDArray[np.float32], cells_hw: tuple[int, ...], image_px: int) -> NDArray[np.float32]:
    """(N, l, l) float32: 1 inside of each grown prompt, where the product looks at all."""
    margin = np.tile(prompts[:, 2:] - prompts[:, :2], 2) * REGION_MARGIN * (-1, -1, 1, 1)
    grown = (prompts + margin) * (cells_hw[0] / image_px)
    centre = np.arange(cells_hw[0]) + 0.5
    columns = (centre >= grown[:, :1]) & (centre <= grown[:, 2:3])
    rows = (centre >= grown[:, 1:2]) & (centre <= grown[:, 3:])
    return np.asarray(rows[:, :, None] & columns[:, None, :], np.float32)


def _wanted(picture: Picture, settings: SegmenterTraining) -> NDArray[np.bool_]:
    return picture.people(settings.min_visible_share, settings.min_height_px)
