"""Real frames, letterboxed as the video room does, and weights for the vision tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.yolo_weights import build_yolo11n
from tests.vision.frames import Frames, read_frames


@pytest.fixture(scope="session")
def ir_folder(shared_data: Path) -> Path:
    return shared_data / "weights/yolo11n_int8_openvino_model"


@pytest.fixture(scope="session")
def street(shared_data: Path) -> Frames:
    """Six frames of TownCentre, 1080x1920, ten apart."""
    return read_frames(shared_data / "clips/towncentre/video.mp4", range(0, 60, 10))


@pytest.fixture(scope="session")
def shop_fronts(shared_data: Path) -> Frames:
    """Frames of other shapes: 640x480 and 1920x1080 of MOT17, 1280x720 of a supermarket."""
    pictures = sorted((shared_data / "clips/mot17_mini").glob("*/img1/000001.jpg"))
    frames = [np.ascontiguousarray(cv2.imread(str(p))[..., ::-1]) for p in pictures]
    return frames + read_frames(shared_data / "clips/unlabelled/supermarket_checkout_2013.mp4", range(0, 40, 30))


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_cache")


@pytest.fixture(scope="session")
def yolo_pt(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float YOLO11n checkpoint that really finds people."""
    return build_yolo11n(shared_data.parent, tmp_path_factory.mktemp("yolo") / "yolo11n.pt")


@pytest.fixture
def malicious_pickle(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Writes a checkpoint that creates a file when it is unpickled without care: (checkpoint, that file)."""
    import torch

    class Attack:
        def __init__(self, target: Path) -> None:
            self.target = target

        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (self.target,)  # type: ignore[return-value]

    def write(name: str) -> tuple[Path, Path]:
        checkpoint, trace = tmp_path / name, tmp_path / f"{name}.executed"
        torch.save({"model": Attack(trace), "state_dict": Attack(trace)}, checkpoint)
        return checkpoint, trace

    return write
