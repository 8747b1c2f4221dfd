"""What every backend offers: images in, raw network output out, one image at a time on a CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError

T = TypeVar("T")
Backend = Literal["auto", "openvino", "onnxruntime", "torch"]
Precision = Literal["auto", "f32", "bf16", "f16"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """How uint8 RGB becomes the network's input: `(image - mean) / divisor`, per channel, float32."""

    mean_rgb: tuple[float, float, float]
    divisor_rgb: tuple[float, float, float]

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(K, H, W, 3) uint8 -> (K, 3, H, W) float32, contiguous."""
        mean, divisor = np.array(self.mean_rgb, np.float32), np.array(self.divisor_rgb, np.float32)
        scaled = (images.astype(np.float32) - mean) / divisor
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


UNIT_RANGE = Scaling((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
IMAGENET = Scaling((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))


class Network(Protocol):
    """A loaded network with one image input and one output. Thread-safe."""

    @property
    def input_hw(self) -> tuple[int, int]: ...

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one image's output, without the batch dimension."""
        ...

    def run(self, images: NDArray[np.uint8], finish: Callable[[NDArray[np.float32]], T]) -> list[T]:
        """(K, H, W, 3) uint8 RGB -> `finish` of each image's output, which is valid only during that call.

        What an image gives does not depend on the other images of the batch.
        """
        ...


def check_images(images: NDArray[np.uint8], input_hw: tuple[int, int], place: str) -> None:
    """Raise ModelError unless `images` is (K, *input_hw, 3) uint8."""
    expected = (*input_hw, 3)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        raise ModelError(
            f"{place}: expected (K, {input_hw[0]}, {input_hw[1]}, 3) uint8 RGB, "
            f"found {images.shape} {images.dtype}; letterbox frames to the model's input_hw first"
        )


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
