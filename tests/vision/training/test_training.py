"""Each training learns painted people, gives weights that the product loads, and gives the same ones again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retail_ray.core.errors import ConfigError, DataError, ModelError
from retail_ray.vision import detector as yolo
from retail_ray.vision import embedder as reid
from retail_ray.vision import segmenter as sam
from retail_ray.vision.networks import file_sha256
from retail_ray.vision.training.compute import Compute, compute_on
from retail_ray.vision.training.data import read_patches, read_pictures
from retail_ray.vision.training.detector import DetectorTraining, train_detector
from retail_ray.vision.training.embedder import EmbedderTraining, train_embedder
from retail_ray.vision.training.embedder_scores import score_embedder
from retail_ray.vision.training.loop import Phase, learning_rate
from retail_ray.vision.training.segmenter import SMALL, SegmenterTraining, train_segmenter
from retail_ray.vision.training.segmenter_scores import score_segmenter
from tests.vision.training.people import paint

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

SHORT_DETECTOR = DetectorTraining(phases=(Phase(3, 4, (96, 160)), Phase(2, 2, (128, 192), (0.8, 1.2))))
EMBEDDER = EmbedderTraining(phases=(Phase(25, 32, (64, 32)),), recolouring=0.2, erasing=0.1)
SEGMENTER = SegmenterTraining(phases=(Phase(2, 1, (96, 160)),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return paint(tmp_path_factory.mktemp("people") / "train", 40)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(tmp_path_factory.mktemp("people") / "others", 15, seed=1)


def test_a_detector_is_loaded_by_the_product_and_made_again(data: Path, tmp_path: Path) -> None:
    told: list[int] = []
    report = train_detector(data, tmp_path / "a.pt", SHORT_DETECTOR, 3, lambda progress: told.append(progress.step))
    train_detector(data, tmp_path / "b.pt", SHORT_DETECTOR, 3)
    train_detector(data, tmp_path / "c.pt", SHORT_DETECTOR, 4)

    assert told == [1, 2, 3, 4, 5]
    assert report.examples == 3 * 4 + 2 * 2
    assert report.out_file.stat().st_size < 6_000_000
    for backend in ("torch", "openvino"):
        settings = yolo.DetectorSettings(report.out_file, backend=backend, precision="f32", input_hw=(96, 160))  # type: ignore[arg-type]
        detector = yolo.load_detector(settings, tmp_path)
        assert len(detector.detect(np.zeros((1, 96, 160, 3), np.uint8))) == 1
    outputs = [_output(tmp_path / name) for name in ("a.pt", "b.pt", "c.pt")]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def _output(weights: Path) -> torch.Tensor:
    from retail_ray.vision.checkpoints import load_yolo

    with torch.inference_mode():
        output: torch.Tensor = load_yolo(weights)(torch.full((1, 3, 96, 160), 0.5))[0]
    return output


def test_an_embedder_learns_to_tell_painted_people_apart(data: Path, others: Path, tmp_path: Path) -> None:
    report = train_embedder(data, tmp_path / "a.pt", EMBEDDER, 3)
    train_embedder(data, tmp_path / "b.pt", EMBEDDER, 3)
    embedder = reid.load_embedder(reid.EmbedderSettings(report.out_file, backend="torch"), tmp_path)

    assert embedder.dimension == 512
    assert file_sha256(tmp_path / "a.pt") == file_sha256(tmp_path / "b.pt")
    assert report.losses[-1][1] < report.losses[0][1]
    assert score_embedder(embedder, read_patches(others))["rank1"] > 0.9


def test_a_segmenter_is_loaded_by_the_product(data: Path, others: Path, tmp_path: Path) -> None:
    report = train_segmenter(data, tmp_path / "a.pth", SEGMENTER, 3)
    segmenter = sam.load_segmenter(sam.SegmenterSettings(report.out_file))
    scores = score_segmenter(segmenter, read_pictures(others)[:4], 0, min_visible_share=0.5, min_height_px=40)

    assert segmenter.longest_side_px == SMALL.image_px
    assert report.out_file.stat().st_size < 8_000_000
    assert scores["people"] == 9
    assert 0 <= scores["iou"] <= 1
    assert 0.7 < scores["box_iou"] < 0.85  # an ellipse in its box


@pytest.mark.parametrize("kind", ["detector", "embedder", "segmenter"])
def test_mixed_precision_learns_the_like(kind: str, data: Path, tmp_path: Path) -> None:
    """On the CPU with bfloat16: other bits, nearly the same first loss, weights of the same types."""
    settings: Any = {
        "detector": SHORT_DETECTOR,
        "embedder": replace(EMBEDDER, phases=(Phase(4, 16, (64, 32)),)),
        "segmenter": SEGMENTER,
    }[kind]
    train: Any = {"detector": train_detector, "embedder": train_embedder, "segmenter": train_segmenter}[kind]
    plain = train(data, tmp_path / "plain", settings, 3)
    mixed = train(data, tmp_path / "mixed", settings, 3, compute=Compute("cpu", mixed=True))
    assert file_sha256(plain.out_file) != file_sha256(mixed.out_file)
    assert mixed.losses[0][1] == pytest.approx(plain.losses[0][1], rel=0.05)
    assert np.isfinite([loss for _, loss in mixed.losses]).all()
    assert plain.out_file.stat().st_size == pytest.approx(mixed.out_file.stat().st_size, rel=0.01)


def test_a_device_is_taken_where_it_is_and_refused_where_not() -> None:
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert compute_on("auto") == Compute(wanted, mixed=wanted != "cpu")
    assert compute_on("cpu") == Compute("cpu", mixed=False)
    assert compute_on("cpu").described() == "cpu, float32"
    with pytest.raises(ConfigError, match=r"device is 'cuda:99', and PyTorch .* finds \d+ CUDA devices; take cpu"):
        compute_on("cuda:99")
    with pytest.raises(ConfigError, match="device is 'gpu'; it must be"):
        compute_on("gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device on this machine")
@pytest.mark.parametrize("mixed", [False, True])
def test_every_training_runs_on_a_gpu(mixed: bool, data: Path, tmp_path: Path) -> None:
    compute = Compute("cuda", mixed=mixed)
    train_detector(data, tmp_path / "a.pt", SHORT_DETECTOR, 3, compute=compute)
    train_embedder(data, tmp_path / "b.pt", EMBEDDER, 3, compute=compute)
    train_segmenter(data, tmp_path / "c.pth", SEGMENTER, 3, compute=compute)
    assert torch.isfinite(_output(tmp_path / "a.pt")).all()
    reid.load_embedder(reid.EmbedderSettings(tmp_path / "b.pt", backend="torch"), tmp_path)
    sam.load_segmenter(sam.SegmenterSettings(tmp_path / "c.pth"))


def test_data_that_teach_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pictures\.jsonl.*render it first"):
        read_pictures(tmp_path)
    (tmp_path / "pictures.jsonl").write_text('{"picture": "a.jpg", "people": []}\n{"picture"\n')
    with pytest.raises(DataError, match="line 2"):
        read_pictures(tmp_path)
    (tmp_path / "pictures.jsonl").write_text(json.dumps({"picture": "a.jpg", "people": []}))
    with pytest.raises(DataError, match="nobody is visible"):
        train_detector(tmp_path, tmp_path / "a.pt", SHORT_DETECTOR, 0)
    (tmp_path / "patches.jsonl").write_text(json.dumps({"patch": "a.jpg", "identity": 1, "camera": 0}))
    with pytest.raises(DataError, match="fewer than two people"):
        train_embedder(tmp_path, tmp_path / "a.pt", EMBEDDER, 0)


def test_a_rate_warms_up_and_dies_down() -> None:
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert max(rates) == 1.0
    assert rates[0] == pytest.approx(0.2)
    assert rates[-1] < 0.03
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_an_impossible_phase() -> None:
    with pytest.raises(ModelError, match="zoom"):
        Phase(1, 1, (32, 32), (2.0, 1.0))
