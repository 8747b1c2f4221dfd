"""The detector on real frames: one numerical contract for all backends, held against ultralytics' own predictor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import yaml
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retail_ray.core.boxes import Letterbox, iou
from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.core.types import Detections
from retail_ray.vision.detector import DetectorSettings, YoloDetector, load_detector, rectangular_hw
from retail_ray.vision.openvino_network import read_ir, reshape_yolo
from tests.vision.frames import Frames, letterboxed

CONFIDENCE = 0.1


@dataclass(frozen=True)
class Difference:
    """Between two sets of boxes of one frame, matched one to one by IoU."""

    unmatched_confidence: float
    box_px: float
    confidence: float

    @staticmethod
    def between(a: Detections, b: Detections) -> Difference:
        overlap = iou(a.xyxy_px, b.xyxy_px)
        rows, columns = linear_sum_assignment(-overlap)
        good = overlap[rows, columns] > 0.5
        rows, columns = rows[good], columns[good]
        lost = [np.delete(a.confidence, rows), np.delete(b.confidence, columns)]
        return Difference(
            float(max((c.max(initial=0) for c in lost), default=0)),
            float(np.abs(a.xyxy_px[rows] - b.xyxy_px[columns]).max(initial=0)),
            float(np.abs(a.confidence[rows] - b.confidence[columns]).max(initial=0)),
        )


def native(detector: YoloDetector, frames: Frames) -> list[Detections]:
    """Detections of native frames in native pixels, each frame letterboxed for this detector."""
    found = []
    for frame in frames:
        letterbox = Letterbox((frame.shape[0], frame.shape[1]), detector.input_hw)
        (boxes,) = detector.detect(letterboxed([frame], detector.input_hw))
        found.append(Detections(letterbox.to_native(boxes.xyxy_px), boxes.confidence, boxes.class_id))
    return found


def by_ultralytics(weights: Path, frames: Frames, image_size: int | tuple[int, int]) -> list[Detections]:
    from ultralytics import YOLO

    model = YOLO(str(weights), task="detect")
    found = []
    for frame in frames:
        result = model.predict(
            frame[..., ::-1], imgsz=image_size, conf=CONFIDENCE, iou=0.7, classes=[0], verbose=False, device="cpu"
        )[0]
        boxes = result.boxes.cpu().numpy()
        found.append(Detections(boxes.xyxy, boxes.conf, boxes.cls.astype(np.int32)))
    return found


# Tolerances in native pixels: (weights, settings, ultralytics' size, box px, confidence).
# The last row compares bf16 with float32; all others differ by rounding at most.
PARITY: list[tuple[str, dict[str, Any], int, float, float]] = [
    ("ir", {}, 640, 0.05, 1e-3),
    ("onnx", {}, 320, 0.05, 1e-3),
    ("pt", {"backend": "torch", "input_hw": (384, 640)}, 640, 0.05, 1e-3),
    ("pt", {"backend": "openvino", "precision": "f32", "input_hw": (384, 640)}, 640, 0.05, 1e-3),
    ("pt", {"backend": "openvino", "precision": "auto", "input_hw": (384, 640)}, 640, 6.0, 0.05),
]


@pytest.mark.parametrize(("kind", "options", "image_size", "box_px", "confidence"), PARITY)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_boxes_equal_those_of_ultralytics_own_predictor(
    kind: str,
    options: dict[str, Any],
    image_size: int,
    box_px: float,
    confidence: float,
    shared_data: Path,
    ir_folder: Path,
    yolo_pt: Path,
    model_cache: Path,
    street: Frames,
    shop_fronts: Frames,
) -> None:
    weights = {"ir": ir_folder, "onnx": shared_data / "weights/yolo11n_int8_320.onnx", "pt": yolo_pt}[kind]
    # Where the checkpoint is run on a rectangle, so does ultralytics, if the frame is 16:9.
    frames = street[:3] if kind == "pt" else street[:2] + shop_fronts[:2] + shop_fronts[-1:]
    ours = native(load_detector(DetectorSettings(weights, threads=1, **options), model_cache), frames)
    theirs = by_ultralytics(weights, frames, image_size)
    differences = [Difference.between(a, b) for a, b in zip(ours, theirs, strict=True)]
    assert sum(len(found) for found in theirs) >= 10
    assert max(d.box_px for d in differences) <= box_px
    assert max(d.confidence for d in differences) <= confidence
    # A box that only one of them has must have been a close call at the threshold.
    assert max(d.unmatched_confidence for d in differences) <= CONFIDENCE + confidence


DEFAULT_HW = (384, 640)


@pytest.fixture(scope="module")
def wide_ir(ir_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared INT8 network in the shape that the product gives it by default, as a folder that ultralytics loads."""
    folder = tmp_path_factory.mktemp("wide") / "yolo11n_int8_openvino_model"
    folder.mkdir()
    model = read_ir(ir_folder / "yolo11n.xml")
    reshape_yolo(model, DEFAULT_HW, "wide")
    ov.save_model(model, str(folder / "yolo11n.xml"), compress_to_fp16=False)
    metadata = yaml.safe_load((ir_folder / "metadata.yaml").read_text()) | {"imgsz": list(DEFAULT_HW)}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_parity_at_the_default_shape(
    wide_ir: Path, ir_folder: Path, model_cache: Path, street: Frames, shop_fronts: Frames
) -> None:
    """On the very same letterboxed pixels, so that nothing but the networks and what follows them can differ."""
    images = letterboxed(street[:3] + shop_fronts[:2], DEFAULT_HW)
    ours = load_detector(DetectorSettings(ir_folder, threads=1, input_hw=DEFAULT_HW), model_cache).detect(images)
    theirs = by_ultralytics(wide_ir, list(images), DEFAULT_HW)
    differences = [Difference.between(a, b) for a, b in zip(ours, theirs, strict=True)]
    assert sum(len(found) for found in theirs) >= 10
    assert max(d.box_px for d in differences) <= 0.05
    assert max(d.confidence for d in differences) <= 1e-3
    assert max(d.unmatched_confidence for d in differences) <= CONFIDENCE + 1e-3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_default_shape_finds_what_the_square_of_the_exporter_finds(
    ir_folder: Path, model_cache: Path, street: Frames
) -> None:
    """As it was exported, the network sees 256 grey rows more; they move boxes by some of the 1920 pixels."""
    ours = native(load_detector(DetectorSettings(ir_folder, threads=1, input_hw=DEFAULT_HW), model_cache), street[:3])
    theirs = by_ultralytics(ir_folder, street[:3], 640)
    differences = [Difference.between(a, b) for a, b in zip(ours, theirs, strict=True)]
    assert sum(len(found) for found in theirs) >= 10
    assert max(d.box_px for d in differences) <= 25
    assert max(d.confidence for d in differences) <= 0.15
    assert max(d.unmatched_confidence for d in differences) <= 0.25


def test_wrong_colour_order_is_seen_by_the_parity(ir_folder: Path, model_cache: Path, street: Frames) -> None:
    detector = load_detector(DetectorSettings(ir_folder, threads=2), model_cache)
    rgb, bgr = native(detector, street[:2]), native(detector, [frame[..., ::-1] for frame in street[:2]])
    assert max(Difference.between(a, b).confidence for a, b in zip(rgb, bgr, strict=True)) > 0.1


def identical(a: Detections, b: Detections) -> bool:
    return (
        np.array_equal(a.xyxy_px, b.xyxy_px)
        and np.array_equal(a.confidence, b.confidence)
        and np.array_equal(a.class_id, b.class_id)
    )


@pytest.fixture(scope="module")
def detectors(ir_folder: Path, shared_data: Path, yolo_pt: Path, model_cache: Path) -> dict[str, YoloDetector]:
    onnx = shared_data / "weights/yolo11n_int8_320.onnx"
    options: dict[str, DetectorSettings] = {
        "one thread": DetectorSettings(ir_folder, threads=1, input_hw=(384, 640)),
        "two streams": DetectorSettings(ir_folder, threads=2, input_hw=(384, 640)),
        "one stream of two threads": DetectorSettings(ir_folder, threads=2, streams=1, input_hw=(384, 640)),
        "onnxruntime": DetectorSettings(onnx, threads=2),
        "torch": DetectorSettings(yolo_pt, backend="torch", threads=1, input_hw=(192, 320)),
    }
    return {name: load_detector(settings, model_cache) for name, settings in options.items()}


@pytest.mark.parametrize("name", ["one thread", "two streams", "one stream of two threads", "onnxruntime", "torch"])
def test_an_image_gives_the_same_bits_in_any_batch(
    name: str, detectors: dict[str, YoloDetector], street: Frames
) -> None:
    detector = detectors[name]
    images = letterboxed(street, detector.input_hw)
    alone = [detector.detect(images[i : i + 1])[0] for i in range(len(images))]
    assert all(len(found) > 3 for found in alone)
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1], [2, 2, 4, 0]):
        batch = detector.detect(images[order])
        assert all(identical(found, alone[i]) for found, i in zip(batch, order, strict=True)), order


def test_threads_and_streams_give_the_same_bits(detectors: dict[str, YoloDetector], street: Frames) -> None:
    images = letterboxed(street, (384, 640))
    first = detectors["one thread"].detect(images)
    for name in ("two streams", "one stream of two threads"):
        assert all(identical(a, b) for a, b in zip(first, detectors[name].detect(images), strict=True)), name


def test_callers_in_several_threads_do_not_disturb_each_other(
    detectors: dict[str, YoloDetector], street: Frames
) -> None:
    detector = detectors["two streams"]
    images = letterboxed(street, detector.input_hw)
    expected = detector.detect(images)
    orders = [np.random.default_rng(seed).permutation(len(images)) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda order: detector.detect(images[order]), orders))
    for order, answer in zip(orders, answers, strict=True):
        assert all(identical(found, expected[i]) for found, i in zip(answer, order, strict=True))


def test_an_empty_chunk_gives_no_answers(detectors: dict[str, YoloDetector]) -> None:
    assert detectors["two streams"].detect(np.zeros((0, 384, 640, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 640, 640, 3), np.uint8),
        np.zeros((384, 640, 3), np.uint8),
        np.zeros((1, 3, 384, 640), np.uint8),
        np.zeros((1, 384, 640, 3), np.float32),
    ],
)
def test_images_of_another_shape_are_refused(images: NDArray[Any], detectors: dict[str, YoloDetector]) -> None:
    with pytest.raises(ModelError, match="letterbox frames to the model's input_hw"):
        detectors["one thread"].detect(images)


def test_half_precision_keeps_boxes_near_float32(yolo_pt: Path, model_cache: Path, street: Frames) -> None:
    small: dict[str, Any] = {"backend": "torch", "input_hw": (96, 160), "threads": 1}
    full = load_detector(DetectorSettings(yolo_pt, **small), model_cache)
    half = load_detector(DetectorSettings(yolo_pt, precision="f16", **small), model_cache)
    difference = Difference.between(*(native(detector, street[:1])[0] for detector in (full, half)))
    assert difference.box_px < 4
    assert difference.confidence < 0.02


@pytest.mark.parametrize(
    ("native_hw", "expected"),
    [((1080, 1920), (384, 640)), ((480, 640), (480, 640)), ((1920, 1080), (640, 384)), ((640, 640), (640, 640))],
)
def test_rectangular_input_is_the_smallest_that_a_frame_fills(
    native_hw: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert rectangular_hw(native_hw) == expected


def test_neither_openvino_nor_onnx_imports_torch(
    ir_folder: Path, shared_data: Path, yolo_pt: Path, model_cache: Path
) -> None:
    program = f"""
import sys
from pathlib import Path
import numpy as np
from retail_ray.vision.detector import DetectorSettings, load_detector
from retail_ray.vision.embedder import EmbedderSettings, load_embedder
weights = Path({str(shared_data / "weights")!r})
for path in (weights / "yolo11n_int8_openvino_model", weights / "yolo11n_int8_320.onnx", Path({str(yolo_pt)!r})):
    load_detector(DetectorSettings(path, input_hw=(384, 640)), Path({str(model_cache)!r}))
for backend in ("onnxruntime", "openvino"):
    embedder = load_embedder(
        EmbedderSettings(weights / "osnet_x0_25_msmt17.onnx", backend=backend), Path({str(model_cache)!r})
    )
    embedder.embed(np.zeros((1, 256, 128, 3), np.uint8))
heavy = [name for name in ("torch", "ultralytics", "boxmot", "ray") if name in sys.modules]
assert not heavy, heavy
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wrong_weights(path: Path, shared: Path) -> None:
    """Make a file or folder that is no YOLO11 detector; its name says what is wrong with it."""
    import torch
    from ultralytics.nn.tasks import ClassificationModel, SegmentationModel

    def text() -> None:
        path.write_text("no model\n")
        path.with_suffix(".bin").write_bytes(b"")

    def copy_ir(*names: str) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_bytes((shared / "weights/yolo11n_int8_openvino_model" / name).read_bytes())

    def short_bin() -> None:
        copy_ir("yolo11n.xml", "yolo11n.bin", "metadata.yaml")
        (path / "yolo11n.bin").write_bytes((path / "yolo11n.bin").read_bytes()[:1000])

    def other_task() -> None:
        copy_ir("yolo11n.xml", "yolo11n.bin", "metadata.yaml")
        metadata = path / "metadata.yaml"
        metadata.write_text(metadata.read_text().replace("task: detect", "task: segment"))

    makers: dict[str, Callable[[], object]] = {
        "empty.pt": lambda: path.write_bytes(b""),
        "text.pt": text,
        "text.onnx": text,
        "text.xml": text,
        "segmentation.pt": lambda: torch.save({"model": SegmentationModel("yolo11n-seg.yaml", verbose=False)}, path),
        "classification.pt": lambda: torch.save(
            {"model": ClassificationModel("yolo11n-cls.yaml", verbose=False)}, path
        ),
        "osnet.pt": lambda: path.write_bytes((shared / "weights/osnet_x0_25_msmt17.pth").read_bytes()),
        "osnet.onnx": lambda: path.write_bytes((shared / "weights/osnet_x0_25_msmt17.onnx").read_bytes()),
        "no_bin": lambda: copy_ir("yolo11n.xml"),
        "short_bin": short_bin,
        "other_task": other_task,
        "empty_folder": path.mkdir,
    }
    makers.get(path.name, lambda: None)()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.pt", "no such file"),
        ("empty.pt", r"empty.pt \(0 bytes\): expected an ultralytics YOLO11"),
        ("text.pt", "expected an ultralytics YOLO11 detection checkpoint"),
        ("segmentation.pt", "expected a YOLO11 detection network, found SegmentationModel"),
        ("classification.pt", "expected a YOLO11 detection network, found ClassificationModel"),
        ("osnet.pt", "expected a YOLO11 detection network, found a dict with keys"),
        ("osnet.onnx", "expected a YOLO11 detector, whose output is"),
        ("text.onnx", "not a model that ONNX Runtime can load"),
        ("text.xml", "not a model that OpenVINO can read"),
        ("no_bin", "yolo11n.bin are missing"),
        ("short_bin", "not a model that OpenVINO can read"),
        ("other_task", "task 'segment'"),
        ("empty_folder", "expected one OpenVINO .xml in this folder, found 0"),
        ("weights.zip", "expected .pt, .pth, .onnx, .xml"),
    ],
)
def test_anything_but_a_detector_is_refused_by_name(name: str, message: str, tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / name
    wrong_weights(path, shared_data)
    backend = "torch" if path.suffix == ".pt" else "auto"
    with pytest.raises(WeightsError, match=message) as raised:
        load_detector(DetectorSettings(path, backend=backend), tmp_path / "cache")
    assert name.split(".", maxsplit=1)[0] in str(raised.value)


def test_onnx_of_another_network_is_refused_by_openvino_too(tmp_path: Path, shared_data: Path) -> None:
    weights = shared_data / "weights/osnet_x0_25_msmt17.onnx"
    with pytest.raises(WeightsError, match="YOLO11 detector"):
        load_detector(DetectorSettings(weights, backend="openvino"), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "on CUDA use the .pt checkpoint"),
        ({"backend": "onnxruntime"}, "cannot run ir weights"),
        ({"input_hw": (380, 640)}, "multiples of 32"),
        ({"classes": (80,)}, "classes \\[80\\] do not exist"),
        ({"threads": 0}, "at least 1"),
        ({"precision": "f16"}, "this CPU cannot compute in it"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    options: dict[str, Any], message: str, ir_folder: Path, model_cache: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        load_detector(DetectorSettings(ir_folder, **options), model_cache)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    malicious_pickle: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    checkpoint, trace = malicious_pickle("evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt"):
        load_detector(DetectorSettings(checkpoint, backend="torch"), tmp_path)
    with pytest.raises(WeightsError, match=r"evil\.pt"):
        load_detector(DetectorSettings(checkpoint, backend="openvino"), tmp_path)
    assert not trace.exists()
    import torch

    torch.load(checkpoint, weights_only=False)
    assert trace.exists(), "the attack itself does not work, so this test proves nothing"
