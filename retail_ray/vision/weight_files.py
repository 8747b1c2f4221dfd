"""Which format a weights file has, and which backend runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.networks import Backend

WeightsFormat = Literal["checkpoint", "ir", "onnx"]


def weights_format(weights: Path) -> tuple[Path, WeightsFormat]:
    """The file to load and its format, by folder or suffix. Raises WeightsError naming what is wrong."""
    if weights.is_dir():
        found = sorted(weights.glob("*.xml"))
        if len(found) != 1:
            raise WeightsError(f"{weights}: expected one OpenVINO .xml in this folder, found {len(found)}")
        weights = found[0]
    formats: dict[str, WeightsFormat] = {".pt": "checkpoint", ".pth": "checkpoint", ".xml": "ir", ".onnx": "onnx"}
    kind = formats.get(weights.suffix)
    if kind is None:
        raise WeightsError(f"{weights}: expected .pt, .pth, .onnx, .xml or an OpenVINO folder")
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file; `retail-ray models list` shows the known weights")
    return weights, kind


def choose_backend(backend: Backend, kind: WeightsFormat, device: str) -> Backend:
    """The backend for 'auto', or a ModelError where the given one cannot run these weights."""
    on_cpu = device == "cpu"
    able: dict[WeightsFormat, tuple[Backend, ...]] = {
        "checkpoint": ("openvino", "torch") if on_cpu else ("torch",),
        "ir": ("openvino",) if on_cpu else (),
        "onnx": ("onnxruntime", "openvino") if on_cpu else (),
    }
    fitting = able[kind]
    if not fitting or backend not in {"auto", *fitting}:
        raise ModelError(
            f"backend '{backend}' cannot run {kind} weights on device '{device}'; "
            + (f"use one of {', '.join(fitting)}" if fitting else "on CUDA use the .pt checkpoint")
        )
    return fitting[0] if backend == "auto" else backend
