"""Other input shapes for exported networks: the same boxes, less work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox, iou
from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.core.types import Detections
from retail_ray.vision.detector import DetectorSettings, YoloDetector, load_detector
from retail_ray.vision.export import exported_ir
from retail_ray.vision.networks import UNIT_RANGE
from retail_ray.vision.openvino_network import OpenVINONetwork, read_ir, reshape_yolo
from retail_ray.vision.postprocess import Selection
from retail_ray.vision.reshape import GridChange, anchor_grid
from tests.vision.frames import Frames, letterboxed

WIDE = (384, 640)
sides = st.integers(1, 20).map(lambda cells: cells * 32)
shapes = st.tuples(sides, sides)


@given(old=shapes, new=shapes)
def test_anchors_and_strides_become_those_of_the_new_grid_and_back(old: tuple[int, int], new: tuple[int, int]) -> None:
    change, back = GridChange(old, new), GridChange(new, old)
    for before, after in zip(anchor_grid(old), anchor_grid(new), strict=True):
        changed = change.constant(before[None])
        assert changed is not None
        np.testing.assert_array_equal(changed, after[None])
        np.testing.assert_array_equal(back.constant(changed), before[None])
        assert change.constant(before + 1) is None


def test_anchor_grid_is_that_of_ultralytics() -> None:
    import torch
    from ultralytics.utils.tal import make_anchors

    levels = [torch.zeros(1, 1, WIDE[0] // s, WIDE[1] // s) for s in (8, 16, 32)]
    points, strides = make_anchors(levels, torch.tensor([8.0, 16.0, 32.0]))
    ours = anchor_grid(WIDE)
    np.testing.assert_array_equal(ours[0], points.numpy().T)
    np.testing.assert_array_equal(ours[1], strides.numpy()[:, 0])


def raw_outputs(xml: Path, images: NDArray[np.uint8], new_hw: tuple[int, int]) -> NDArray[np.float32]:
    model = read_ir(xml)
    reshape_yolo(model, new_hw, str(xml))
    network = OpenVINONetwork(model, UNIT_RANGE, precision="f32", threads=2, streams=1, place=str(xml))
    return np.stack(network.run(images, np.array))


def test_a_reshaped_network_is_the_one_exported_for_that_shape(
    yolo_pt: Path, model_cache: Path, street: Frames
) -> None:
    images = letterboxed(street[:2], WIDE)
    exported = raw_outputs(exported_ir("yolo", yolo_pt, WIDE, model_cache), images, WIDE)
    reshaped = raw_outputs(exported_ir("yolo", yolo_pt, (160, 160), model_cache), images, WIDE)
    np.testing.assert_allclose(reshaped, exported, rtol=1e-5, atol=1e-4)


def in_native(detector: YoloDetector, frames: Frames) -> list[Detections]:
    letterbox = Letterbox((frames[0].shape[0], frames[0].shape[1]), detector.input_hw)
    found = detector.detect(letterboxed(frames, detector.input_hw))
    return [Detections(letterbox.to_native(f.xyxy_px), f.confidence, f.class_id) for f in found]


def recall(found: list[Detections], wanted: list[Detections]) -> float:
    """Share of `wanted` boxes that a found one overlaps by half."""
    hits = [iou(w.xyxy_px, f.xyxy_px).max(axis=1, initial=0) > 0.5 for f, w in zip(found, wanted, strict=True)]
    return float(np.concatenate(hits).mean())


def truth(shared_data: Path, frame_indices: range) -> list[Detections]:
    rows = np.loadtxt(shared_data / "clips/towncentre/gt.txt", delimiter=",")
    found = []
    for index in frame_indices:
        boxes = rows[rows[:, 0] == index + 1][:, 2:6].astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        found.append(Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int32)))
    return found


@pytest.mark.parametrize(("backend", "square"), [("openvino", (640, 640)), ("onnxruntime", (320, 320))])
def test_a_rectangle_finds_what_the_square_finds(
    backend: str, square: tuple[int, int], shared_data: Path, ir_folder: Path, model_cache: Path, street: Frames
) -> None:
    weights = ir_folder if backend == "openvino" else shared_data / "weights/yolo11n_int8_320.onnx"
    rectangle = (square[0] * 3 // 5, square[1])
    by_square, by_rectangle = (
        in_native(
            load_detector(DetectorSettings(weights, input_hw=hw, confidence=0.25, threads=2), model_cache), street
        )
        for hw in (square, rectangle)
    )
    sure = [found[found.confidence > 0.4] for found in by_square]
    assert sum(map(len, sure)) > 20
    assert recall(by_rectangle, sure) > 0.97
    if backend == "onnxruntime":
        return  # At 320 px it finds too few people for the truth to tell the two apart.
    people = truth(shared_data, range(0, 60, 10))
    assert recall(by_rectangle, people) > recall(by_square, people) - 0.03


def test_without_new_anchors_the_boxes_would_be_elsewhere(
    ir_folder: Path, street: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a tall input has as many cells as a wide one, so nothing but the boxes shows old anchors."""
    tall = (WIDE[1], WIDE[0])
    images = letterboxed([np.rot90(street[0]).copy()], tall)

    def boxes(keep_anchors: bool) -> NDArray[np.float32]:
        model = read_ir(ir_folder / "yolo11n.xml")
        reshape_yolo(model, WIDE, "wide")
        with monkeypatch.context() as patch:
            if keep_anchors:
                patch.setattr(GridChange, "constant", lambda *_: None)
            reshape_yolo(model, tall, "tall")
        network = OpenVINONetwork(model, UNIT_RANGE, precision="f32", threads=2, streams=1, place="tall")
        return network.run(images, lambda output: output[:2].copy())[0]

    assert np.abs(boxes(keep_anchors=True) - boxes(keep_anchors=False)).max() > 100


def test_only_yolo_grids_are_reshaped(shared_data: Path, ir_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="multiples of 32"):
        load_detector(DetectorSettings(ir_folder, input_hw=(360, 640)), tmp_path)
    osnet = read_ir(shared_data / "weights/osnet_x0_25_msmt17.onnx")
    reshape_yolo(osnet, (128, 64), "osnet")
    with pytest.raises(WeightsError, match="YOLO11 detector"):
        YoloDetector(
            OpenVINONetwork(osnet, UNIT_RANGE, precision="f32", threads=1, streams=1, place="osnet"),
            Selection(0.25, 0.7, (0,), 300),
            "osnet",
        )
