"""The networks of `site.yaml`: which weights run, on what, and how many."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from retail_ray.config_base import Section


class ModelSettings(Section):
    """What every model has: weights, device and share of the cluster."""

    weights: str = Field(description="a known name (`retail-ray models list`) or a path")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: cuda where num_gpus > 0")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs per replica, fractions allowed")
    num_cpus: float = Field(default=0.1, ge=0, description="logical CPUs that Ray reserves per replica")
    replicas: int = Field(default=1, ge=1, le=64, description="replicas of the deployment")
    threads: int = Field(default=0, ge=0, description="CPU threads per replica; 0: all cores")

    @property
    def resolved_device(self) -> str:
        if self.device != "auto":
            return self.device
        return "cuda" if self.num_gpus > 0 else "cpu"


class DetectorSettings(ModelSettings):
    """YOLO11 person detection."""

    weights: str = Field(default="yolo11n.pt", description="a known name, .pt, OpenVINO folder or .onnx")
    backend: Literal["auto", "openvino", "onnxruntime", "torch"] = Field(default="auto", description="inference engine")
    precision: Literal["auto", "f32", "bf16", "f16"] = Field(default="auto", description="arithmetic of the engine")
    long_side_px: int | None = Field(
        default=None, ge=96, le=2048, multiple_of=32, description="longer side of the input; default the weights' own"
    )
    rectangular: bool = Field(default=True, description="input cut to the frame's shape instead of a square")
    confidence: float = Field(default=0.1, gt=0, lt=1, description="boxes below are dropped before tracking")
    iou: float = Field(default=0.7, gt=0, le=1, description="overlap above which non-maximum suppression drops a box")


class EmbedderSettings(ModelSettings):
    """OSNet person re-identification."""

    weights: str = Field(default="osnet_x0_25_msmt17.pt", description="a known name, .pth/.pt, .onnx or OpenVINO model")


class SegmenterSettings(ModelSettings):
    """Segment Anything, prompted with boxes of key frames."""

    weights: str = Field(default="sam_vit_b_01ec64.pth", description="a known name or a .pth path")
    every_s: float = Field(default=1.0, gt=0, description="seconds between key frames of a camera")


class Models(Section):
    """Which networks run, and where. Leave embedder or segmenter null to run without."""

    detector: DetectorSettings = DetectorSettings()
    embedder: EmbedderSettings | None = EmbedderSettings()
    segmenter: SegmenterSettings | None = None
