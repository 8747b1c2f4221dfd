"""PyTorch: one image at a time on a CPU, batches padded to fixed shapes on CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError
from retail_ray.vision.networks import Precision, Scaling, T, check_images

BATCH_SIZES = (1, 2, 4, 8, 16)


class TorchNetwork:
    """Runs a module whose output is a tensor, or a tuple that begins with it.

    On CUDA the kernels that are chosen depend on the batch size, so every batch has one of `BATCH_SIZES`; the rest
    is padded with black images. `threads` sets PyTorch's count for the whole process.
    """

    def __init__(
        self,
        module: Any,
        scaling: Scaling,
        input_hw: tuple[int, int],
        *,
        device: str,
        precision: Precision,
        place: str,
    ):
        self._place = place
        self._input_hw = input_hw
        self._device = torch_device(device)
        self._dtype = _dtype(precision, self._device)
        self._module = module.to(self._device, self._dtype).eval()
        as_tensor = {"device": self._device, "dtype": torch.float32}
        self._mean = torch.tensor(scaling.mean_rgb, **as_tensor).view(1, 3, 1, 1)
        self._divisor = torch.tensor(scaling.divisor_rgb, **as_tensor).view(1, 3, 1, 1)
        self._output_shape = self._forward(np.zeros((1, *input_hw, 3), np.uint8)).shape[1:]

    @property
    def input_hw(self) -> tuple[int, int]:
        return self._input_hw

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(self._output_shape)

    def run(self, images: NDArray[np.uint8], finish: Callable[[NDArray[np.float32]], T]) -> list[T]:
        check_images(images, self._input_hw, self._place)
        largest = 1 if self._device.type == "cpu" else BATCH_SIZES[-1]
        results: list[T] = []
        for start in range(0, len(images), largest):
            part = images[start : start + largest]
            results.extend(finish(output) for output in self._forward(pad_batch(part))[: len(part)])
        return results

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).permute(0, 3, 1, 2)
        scaled = ((pixels.float() - self._mean) / self._divisor).to(self._dtype).contiguous()
        output = self._module(scaled)
        if isinstance(output, tuple | list):
            output = output[0]
        result: NDArray[np.float32] = output.float().cpu().numpy()
        return result


def pad_batch(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill up with black images to the next of `BATCH_SIZES`."""
    size = next(size for size in BATCH_SIZES if size >= len(images))
    if size == len(images):
        return images
    return np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), np.uint8)])


def torch_device(device: str) -> torch.device:
    """'cpu', 'cuda' or 'cuda:1'. Raises ModelError where this process has no such device."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device '{device}': expected 'cpu', 'cuda' or 'cuda:<index>'") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"device '{device}': this process sees {torch.cuda.device_count()} CUDA devices; "
            "set device 'cpu', or give the deployment a GPU (num_gpus)"
        )
    return found


def _dtype(precision: Precision, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[precision]
