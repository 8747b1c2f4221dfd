"""segment-anything behind the port `Segmenter`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retail_ray.core.boxes import foot_points
from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.core.types import Image, Masks
from retail_ray.vision.crops import pixel_box
from retail_ray.vision.masks import encode, foot_point, upsample_region
from retail_ray.vision.sam_model import load_sam
from retail_ray.vision.torch_network import torch_device

PROMPTS_AT_ONCE = 32
BOX_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """weights: a segment-anything checkpoint. threads: CPU threads of PyTorch in this process."""

    weights: Path
    threads: int = 1
    device: str = "cpu"


class SamSegmenter:
    """One mask per box: the single-mask output of SAM, which is meant for unambiguous prompts such as boxes."""

    def __init__(self, sam: Any, device: str):
        self._device = torch_device(device)
        self._sam = sam.to(self._device).eval()

    @property
    def longest_side_px(self) -> int:
        return int(self._sam.image_encoder.img_size)

    def segment(self, image: Image, boxes_xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Masks:
        """`image` (h, w, 3) uint8 RGB is the scaled key frame; boxes (N, 4) and masks are in native pixels.

        A mask is cut at its box grown by a tenth. Where SAM finds nothing, area is 0 and the foot point the box's.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or max(image.shape[:2]) != self.longest_side_px:
            raise ModelError(
                f"segmenter: expected an (h, w, 3) uint8 frame whose longer side has {self.longest_side_px} px, "
                f"found {image.shape} {image.dtype}"
            )
        feet = foot_points(boxes_xyxy_px)
        rle: list[bytes] = []
        area, score = np.zeros(len(feet), np.float32), np.zeros(len(feet), np.float32)
        canvas = np.zeros(native_hw, np.bool_, order="F")
        for i, (low_resolution, estimate) in enumerate(self._predict(image, boxes_xyxy_px, native_hw)):
            left, top, right, bottom = pixel_box(_grown(boxes_xyxy_px[i]), native_hw)
            if right > left and bottom > top:
                logits = self._in_frame(low_resolution, image.shape[:2])
                region = upsample_region(logits, native_hw, (left, top, right, bottom)) > self._sam.mask_threshold
                canvas[top:bottom, left:right] = region
                foot = foot_point(region)
                feet[i] = feet[i] if foot is None else (left + foot[0], top + foot[1])
                area[i] = region.sum()
            rle.append(encode(canvas))
            canvas[top:bottom, left:right] = False
            score[i] = estimate
        return Masks(native_hw, tuple(rle), feet, area, score)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _predict(
        self, image: Image, boxes_xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]
    ) -> list[tuple[torch.Tensor, float]]:
        """For each box the logits (1, l, l) of the padded frame at low resolution, and SAM's estimate of the IoU."""
        if not len(boxes_xyxy_px):
            return []
        sam, (height, width) = self._sam, image.shape[:2]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1)[None]
        features = sam.image_encoder(sam.preprocess(pixels))
        scale = np.array([width / native_hw[1], height / native_hw[0]] * 2)
        prompts = torch.as_tensor(boxes_xyxy_px * scale, dtype=torch.float32, device=self._device)
        results: list[tuple[torch.Tensor, float]] = []
        for some in prompts.split(PROMPTS_AT_ONCE):
            sparse, dense = sam.prompt_encoder(points=None, boxes=some, masks=None)
            low_resolution, estimates = sam.mask_decoder(
                image_embeddings=features,
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
            results.extend(zip(low_resolution, estimates[:, 0].tolist(), strict=True))
        return results

    def _in_frame(self, low_resolution: torch.Tensor, frame_hw: tuple[int, ...]) -> NDArray[np.float32]:
        """Logits (h, w) at the scaled frame's size, without the padding."""
        side = (self.longest_side_px, self.longest_side_px)
        padded = torch.nn.functional.interpolate(low_resolution[None], side, mode="bilinear", align_corners=False)
        logits: NDArray[np.float32] = padded[0, 0, : frame_hw[0], : frame_hw[1]].cpu().numpy()
        return logits


def load_segmenter(settings: SegmenterSettings) -> SamSegmenter:
    """Load a checkpoint. Raises WeightsError for missing, damaged or foreign weights."""
    if not settings.weights.is_file():
        raise WeightsError(
            f"{settings.weights}: no such file; run `retail-ray models fetch sam_vit_b_01ec64.pth`, "
            "or switch segmentation off"
        )
    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
    return SamSegmenter(load_sam(settings.weights), settings.device)


def _grown(xyxy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    margin = (xyxy_px[2:] - xyxy_px[:2]) * BOX_MARGIN
    return np.concatenate([xyxy_px[:2] - margin, xyxy_px[2:] + margin])
