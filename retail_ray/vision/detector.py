"""YOLO11 behind the port `Detector`, from ultralytics `.pt`, OpenVINO IR or ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.core.types import Detections
from retail_ray.vision.networks import UNIT_RANGE, Backend, Network, Precision
from retail_ray.vision.postprocess import Selection, select
from retail_ray.vision.reshape import STRIDES, anchor_grid, check_input_hw
from retail_ray.vision.weight_files import WeightsFormat, choose_backend, weights_format

PERSON = 0
DEFAULT_HW = (640, 640)


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How to load and run a detector.

    weights: `.pt`, `.onnx`, an OpenVINO `.xml` or its folder. backend: 'auto' takes torch on CUDA, else OpenVINO
    for `.pt` and IR, ONNX Runtime for ONNX. precision: 'auto' is f16 on CUDA, bf16 on a CPU that computes in it,
    else f32. input_hw: None takes the model's own shape (640x640 for `.pt`). confidence, iou: thresholds as in
    ultralytics; the low confidence is for trackers that also use weak boxes. classes: the model's class numbers,
    None for all. threads: CPU threads in all. streams: images at a time on OpenVINO, None for one per thread.
    """

    weights: Path
    backend: Backend = "auto"
    precision: Precision = "auto"
    input_hw: tuple[int, int] | None = None
    confidence: float = 0.1
    iou: float = 0.7
    classes: tuple[int, ...] | None = (PERSON,)
    max_detections: int = 300
    threads: int = 1
    streams: int | None = None
    device: str = "cpu"


class YoloDetector:
    """Boxes of people from letterboxed images; what one image gives does not depend on its batch."""

    def __init__(self, network: Network, selection: Selection, place: str):
        self._network = network
        self._selection = selection
        _check_output(network, selection, place)

    @property
    def input_hw(self) -> tuple[int, int]:
        return self._network.input_hw

    def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(K, H, W, 3) uint8 RGB, letterboxed -> K Detections in model pixels, best first."""
        return self._network.run(images, lambda output: select(output, self._selection))


def load_detector(settings: DetectorSettings, cache_dir: Path) -> YoloDetector:
    """Load weights and compile them for this machine; exports of `.pt` are kept in `cache_dir`.

    Raises WeightsError for missing, damaged or foreign weights, ModelError for settings that do not fit.
    """
    if settings.threads < 1 or (settings.streams or 1) < 1:
        raise ModelError(f"detector: threads {settings.threads} and streams {settings.streams} must be at least 1")
    if settings.input_hw is not None:
        check_input_hw(settings.input_hw)
    path, kind = weights_format(settings.weights)
    selection = Selection(settings.confidence, settings.iou, settings.classes, settings.max_detections)
    return YoloDetector(_network(settings, path, kind, cache_dir), selection, str(path))


def rectangular_hw(native_hw: tuple[int, int], longest_px: int = 640) -> tuple[int, int]:
    """The smallest input that a native frame fills at this size: 1080x1920 -> 384x640, as ultralytics' `rect`."""
    scale = longest_px / max(native_hw)
    stride = STRIDES[-1]
    height, width = (int(np.ceil(round(side * scale) / stride)) * stride for side in native_hw)
    return height, width


def _network(settings: DetectorSettings, path: Path, kind: WeightsFormat, cache_dir: Path) -> Network:
    backend = choose_backend(settings.backend, kind, settings.device)
    if backend == "torch":
        return _torch_network(settings, path)
    if backend == "onnxruntime":
        from retail_ray.vision.onnx_network import OnnxNetwork

        if settings.precision not in {"auto", "f32"}:
            raise ModelError(f"precision '{settings.precision}': ONNX Runtime computes in what the file holds")
        return OnnxNetwork(path, UNIT_RANGE, settings.threads, settings.input_hw)
    return _openvino_network(settings, path, kind, cache_dir)


def _openvino_network(settings: DetectorSettings, path: Path, kind: WeightsFormat, cache_dir: Path) -> Network:
    from retail_ray.vision.openvino_network import OpenVINONetwork, read_ir, reshape_yolo, static_hw

    if kind == "checkpoint":
        from retail_ray.vision.export import exported_ir

        model = read_ir(exported_ir("yolo", path, settings.input_hw or DEFAULT_HW, cache_dir))
    else:
        _check_metadata(path)
        model = read_ir(path)
        _check_is_grid(tuple(model.outputs[0].get_partial_shape()) if len(model.outputs) == 1 else (), path)
        input_hw = settings.input_hw or static_hw(model, str(path)) or DEFAULT_HW
        reshape_yolo(model, input_hw, str(path))
    streams = settings.streams or settings.threads
    return OpenVINONetwork(
        model, UNIT_RANGE, precision=settings.precision, threads=settings.threads, streams=streams, place=str(path)
    )


def _torch_network(settings: DetectorSettings, path: Path) -> Network:
    import torch

    from retail_ray.vision.checkpoints import load_yolo
    from retail_ray.vision.torch_network import TorchNetwork

    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
    module = load_yolo(path)
    head = module.model[-1]
    network = TorchNetwork(
        module,
        UNIT_RANGE,
        settings.input_hw or DEFAULT_HW,
        device=settings.device,
        precision=settings.precision,
        place=str(path),
    )
    _decode_in_float32(head)
    return network


def _decode_in_float32(head: Any) -> None:
    """Half a pixel is all that float16 resolves beyond 512 px, so distances and anchors stay float32."""
    head.dfl.float()
    head.dfl.register_forward_pre_hook(lambda _module, inputs: (inputs[0].float(),))


def _check_metadata(path: Path) -> None:
    metadata_file = path.with_name("metadata.yaml")
    if not metadata_file.is_file() or path.suffix != ".xml":
        return
    try:
        metadata = yaml.safe_load(metadata_file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WeightsError(f"{metadata_file}: not readable as YAML ({error}); export the model again") from error
    task = metadata.get("task") if isinstance(metadata, dict) else None
    if task not in {None, "detect"}:
        raise WeightsError(f"{path}: expected a detection network, its metadata.yaml says task '{task}'")


def _check_is_grid(output: tuple[Any, ...], path: Path) -> None:
    if len(output) != 3:
        raise WeightsError(f"{path}: expected one output (1, 4 + classes, cells) of a YOLO11 detector, found {output}")


def _check_output(network: Network, selection: Selection, place: str) -> None:
    cells = anchor_grid(network.input_hw)[0].shape[1]
    shape = network.output_shape
    if len(shape) != 2 or shape[0] < 5 or shape[1] != cells:
        raise WeightsError(
            f"{place}: expected a YOLO11 detector, whose output is (4 + classes, {cells}) for input "
            f"{network.input_hw[0]}x{network.input_hw[1]}, found {shape}"
        )
    classes = shape[0] - 4
    outside = [c for c in selection.classes or () if not 0 <= c < classes]
    if outside:
        raise ModelError(f"{place}: classes {outside} do not exist, it has 0 to {classes - 1}")
