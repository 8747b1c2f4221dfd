"""OSNet behind the port `Embedder`, from BoxMOT `.pth`/`.pt`, ONNX or OpenVINO IR.

The networks were trained on RGB patches of 256x128, scaled to [0, 1] and normalised by ImageNet's mean and deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.networks import IMAGENET, Backend, Network, Precision
from retail_ray.vision.weight_files import WeightsFormat, choose_backend, weights_format

PATCH_HW = (256, 128)


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """How to load and run an embedder; the fields mean what they mean in `DetectorSettings`.

    precision: 'auto' is f16 on CUDA and f32 on a CPU, where bf16 is faster but moves embeddings by some percent.
    """

    weights: Path
    backend: Backend = "auto"
    precision: Precision = "auto"
    threads: int = 1
    streams: int | None = None
    device: str = "cpu"


class ReidEmbedder:
    """Appearance vectors of patches; what one patch gives does not depend on its batch."""

    def __init__(self, network: Network, place: str):
        shape = network.output_shape
        if network.input_hw != PATCH_HW or len(shape) != 1 or shape[0] < 2:
            raise WeightsError(
                f"{place}: expected a ReID network from {PATCH_HW[0]}x{PATCH_HW[1]} patches to one vector, "
                f"found input {network.input_hw} and output {shape}"
            )
        self._network = network
        self._place = place

    @property
    def dimension(self) -> int:
        return self._network.output_shape[0]

    @property
    def patch_hw(self) -> tuple[int, int]:
        return self._network.input_hw

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 256, 128, 3) uint8 RGB -> (N, D) float32, L2-normalised."""
        if not len(patches):
            return np.zeros((0, self.dimension), np.float32)
        return np.stack(self._network.run(patches, self._normalise))

    def _normalise(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        length = np.linalg.norm(output)
        if not np.isfinite(length) or length == 0:
            raise ModelError(f"{self._place}: the network gave an embedding of length {length}")
        return (output / length).astype(np.float32)


def load_embedder(settings: EmbedderSettings, cache_dir: Path) -> ReidEmbedder:
    """Load weights and compile them for this machine; exports of checkpoints are kept in `cache_dir`.

    Never downloads. Raises WeightsError for missing, damaged or foreign weights.
    """
    if settings.threads < 1 or (settings.streams or 1) < 1:
        raise ModelError(f"embedder: threads {settings.threads} and streams {settings.streams} must be at least 1")
    path, kind = weights_format(settings.weights)
    return ReidEmbedder(_network(settings, path, kind, cache_dir), str(path))


def _network(settings: EmbedderSettings, path: Path, kind: WeightsFormat, cache_dir: Path) -> Network:
    backend = choose_backend(settings.backend, kind, settings.device)
    if backend == "torch":
        return _torch_network(settings, path)
    if backend == "onnxruntime":
        from retail_ray.vision.onnx_network import OnnxNetwork

        return OnnxNetwork(path, IMAGENET, settings.threads, None)
    from retail_ray.vision.openvino_network import OpenVINONetwork, read_ir, static_hw

    if kind == "checkpoint":
        from retail_ray.vision.export import exported_ir

        model = read_ir(exported_ir("reid", path, PATCH_HW, cache_dir))
    else:
        model = read_ir(path)
    if static_hw(model, str(path)) != PATCH_HW:
        raise WeightsError(f"{path}: expected a ReID network with {PATCH_HW} input, found {model.inputs}")
    precision = "f32" if settings.precision == "auto" else settings.precision
    streams = settings.streams or settings.threads
    return OpenVINONetwork(
        model, IMAGENET, precision=precision, threads=settings.threads, streams=streams, place=str(path)
    )


def _torch_network(settings: EmbedderSettings, path: Path) -> Network:
    import torch

    from retail_ray.vision.reid_model import load_reid
    from retail_ray.vision.torch_network import TorchNetwork

    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
    return TorchNetwork(
        load_reid(path), IMAGENET, PATCH_HW, device=settings.device, precision=settings.precision, place=str(path)
    )
