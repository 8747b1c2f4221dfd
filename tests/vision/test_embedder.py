"""The embedder on real people: the halves of a track must find each other, and BoxMOT must agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision import embedder as embedder_module
from retail_ray.vision.crops import cut_patches
from retail_ray.vision.embedder import EmbedderSettings, ReidEmbedder, load_embedder
from retail_ray.vision.networks import UNIT_RANGE

PATCHES_PER_HALF = 8
SHORTEST_TRACK = 20


@dataclass(frozen=True)
class People:
    """Patches of TownCentre's people; `half` is 0 or 1, the part of the person's track they come from."""

    patches: NDArray[np.uint8]
    person: NDArray[np.int64]
    half: NDArray[np.int64]


@dataclass(frozen=True)
class Retrieval:
    """How well patches of first halves find second halves; `separation` is d' of same against different pairs."""

    rank_1: float
    mean_ap: float
    separation: float

    @staticmethod
    def of(embeddings: NDArray[np.float32], people: People) -> Retrieval:
        query, gallery = people.half == 0, people.half == 1
        similarity = embeddings[query] @ embeddings[gallery].T
        same = people.person[query][:, None] == people.person[gallery]
        ranked = np.take_along_axis(same, np.argsort(-similarity, axis=1), axis=1)
        precisions = [(np.cumsum(r)[r] / (np.flatnonzero(r) + 1)).mean() for r in ranked]
        own, other = similarity[same], similarity[~same]
        spread = np.sqrt((own.var() + other.var()) / 2)
        return Retrieval(
            float(ranked[:, 0].mean()), float(np.mean(precisions)), float((own.mean() - other.mean()) / spread)
        )


def samples(ground_truth: NDArray[np.float64]) -> dict[int, list[tuple[int, int, NDArray[np.float32]]]]:
    """Frame number -> (person, half, box) of some boxes of each long track."""
    wanted: dict[int, list[tuple[int, int, NDArray[np.float32]]]] = {}
    for person in np.unique(ground_truth[:, 1]):
        track = ground_truth[ground_truth[:, 1] == person]
        if len(track) < SHORTEST_TRACK:
            continue
        for half, part in enumerate(np.array_split(track[np.argsort(track[:, 0])], 2)):
            for row in part[np.unique(np.linspace(0, len(part) - 1, PATCHES_PER_HALF).astype(int))]:
                x, y, width, height = row[2:6]
                box = np.array([x, y, x + width, y + height], np.float32)
                wanted.setdefault(int(row[0]), []).append((int(person), half, box))
    return wanted


@pytest.fixture(scope="module")
def people(shared_data: Path) -> People:
    wanted = samples(np.loadtxt(shared_data / "clips/towncentre/gt.txt", delimiter=","))
    capture = cv2.VideoCapture(str(shared_data / "clips/towncentre/video.mp4"))
    patches, person, half = [], [], []
    for number in range(1, max(wanted) + 1):
        ok, bgr = capture.read()
        assert ok
        if number in wanted:
            boxes = np.stack([box for _, _, box in wanted[number]])
            patches.append(cut_patches(np.ascontiguousarray(bgr[..., ::-1]), boxes, (256, 128)))
            person += [p for p, _, _ in wanted[number]]
            half += [h for _, h, _ in wanted[number]]
    capture.release()
    return People(np.concatenate(patches), np.array(person), np.array(half))


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    return shared_data / "weights/osnet_x0_25_msmt17.onnx"


@pytest.fixture(scope="module")
def osnet(weights: Path, model_cache: Path) -> ReidEmbedder:
    return load_embedder(EmbedderSettings(weights, backend="openvino", threads=2), model_cache)


def test_halves_of_a_track_find_each_other_and_mistakes_are_seen(
    people: People, osnet: ReidEmbedder, weights: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = osnet.embed(people.patches)
    right = Retrieval.of(embeddings, people)
    assert right.rank_1 > 0.9
    assert right.mean_ap > 0.87
    assert right.separation > 3.0

    swapped = Retrieval.of(osnet.embed(people.patches[..., ::-1]), people)
    assert swapped.separation < right.separation - 0.1
    assert swapped.rank_1 < right.rank_1

    monkeypatch.setattr(embedder_module, "IMAGENET", UNIT_RANGE)
    unscaled = load_embedder(EmbedderSettings(weights, backend="openvino", threads=2), model_cache)
    unnormalised = Retrieval.of(unscaled.embed(people.patches), people)
    assert unnormalised.rank_1 < right.rank_1 - 0.04
    assert unnormalised.mean_ap < right.mean_ap - 0.08

    shuffled = Retrieval.of(np.random.default_rng(0).permutation(embeddings), people)
    assert shuffled.rank_1 < 0.2


@pytest.mark.parametrize(
    ("file", "backend", "tolerance"),
    [
        ("osnet_x0_25_msmt17.onnx", "onnxruntime", 2e-5),
        ("osnet_x0_25_msmt17.pth", "openvino", 2e-5),
        ("osnet_x0_25_msmt17.pth", "torch", 2e-5),
    ],
)
def test_all_formats_and_backends_agree(
    file: str, backend: str, tolerance: float, people: People, osnet: ReidEmbedder, weights: Path, model_cache: Path
) -> None:
    other = load_embedder(EmbedderSettings(weights.with_name(file), backend=backend, threads=1), model_cache)  # type: ignore[arg-type]
    some = people.patches[:12]
    np.testing.assert_allclose(other.embed(some), osnet.embed(some), atol=tolerance)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_embeddings_are_those_of_boxmot_from_the_native_frame(
    weights: Path, shared_data: Path, osnet: ReidEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BoxMOT crops, resizes, reorders and normalises a BGR frame itself; a mistake of ours in any of it shows."""
    import torch
    from boxmot.reid.backends.onnx_backend import ONNXBackend

    # It would install another version of ONNX Runtime into this environment.
    monkeypatch.setattr(ONNXBackend, "_ensure_onnxruntime_installed", lambda _self: None)

    picture = shared_data / "clips/mot17_mini/MOT17-09-FRCNN/img1/000001.jpg"
    truth = np.loadtxt(picture.parents[1] / "gt/gt.txt", delimiter=",")
    boxes = truth[(truth[:, 0] == 1) & (truth[:, 7] == 1)][:, 2:6].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    bgr = cv2.imread(str(picture))
    theirs = ONNXBackend(weights, torch.device("cpu"), half=False).get_features(boxes, bgr)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    ours = osnet.embed(cut_patches(rgb, boxes, (256, 128)))
    assert len(boxes) >= 5
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    swapped = osnet.embed(cut_patches(bgr, boxes, (256, 128)))
    assert np.abs(swapped - theirs).max() > 0.02


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_patch_gives_the_same_bits_in_any_batch(
    backend: str, people: People, weights: Path, model_cache: Path
) -> None:
    model = load_embedder(EmbedderSettings(weights, backend=backend, threads=2), model_cache)  # type: ignore[arg-type]
    some = people.patches[:9]
    alone = np.concatenate([model.embed(some[i : i + 1]) for i in range(len(some))])
    for order in (np.arange(9), np.arange(9)[::-1], np.array([4, 4, 0])):
        np.testing.assert_array_equal(model.embed(some[order]), alone[order])


def test_embeddings_are_unit_vectors_also_of_none(osnet: ReidEmbedder, people: People) -> None:
    assert (osnet.dimension, osnet.patch_hw) == (512, (256, 128))
    embeddings = osnet.embed(people.patches[:5])
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    nobody = osnet.embed(np.zeros((0, 256, 128, 3), np.uint8))
    assert nobody.shape == (0, 512)
    assert nobody.dtype == np.float32


def test_patches_of_another_shape_are_refused(osnet: ReidEmbedder) -> None:
    with pytest.raises(ModelError, match="256, 128, 3"):
        osnet.embed(np.zeros((1, 128, 256, 3), np.uint8))


def test_a_missing_file_is_refused_and_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("tried the network"))
    for backend in ("torch", "openvino"):
        with pytest.raises(WeightsError, match="no such file"):
            load_embedder(EmbedderSettings(tmp_path / "osnet_x0_25_msmt17.pt", backend=backend), tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_other_networks_are_refused_by_name(
    tmp_path: Path, shared_data: Path, yolo_pt: Path, weights: Path, model_cache: Path
) -> None:
    import torch
    from boxmot.reid.backbones import BACKBONE_REGISTRY

    wide = BACKBONE_REGISTRY["osnet_x0_5"](num_classes=7, pretrained=False).state_dict()
    torch.save(wide, tmp_path / "osnet_x0_25_wrong.pth")
    torch.save(wide, tmp_path / "anything.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in list(wide.items())[:-9]}}, tmp_path / "cut.pth")
    cases = [
        (tmp_path / "osnet_x0_25_wrong.pth", "torch", "name says osnet_x0_25, its tensors are of osnet_x0_5"),
        (tmp_path / "cut.pth", "torch", "expected an OSNet"),
        (yolo_pt, "torch", "expected (a checkpoint of plain tensors|tensors by name)"),
        (shared_data / "weights/yolo11n_int8_320.onnx", "onnxruntime", "expected a ReID network"),
        (shared_data / "weights/yolo11n_int8_openvino_model", "openvino", "expected a ReID network"),
    ]
    for path, backend, message in cases:
        with pytest.raises(WeightsError, match=message) as raised:
            load_embedder(EmbedderSettings(path, backend=backend), model_cache)  # type: ignore[arg-type]
        assert path.stem[:7] in str(raised.value)
    renamed = load_embedder(EmbedderSettings(tmp_path / "anything.pth", backend="torch"), model_cache)
    assert renamed.dimension == 512


def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    malicious_pickle: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    checkpoint, trace = malicious_pickle("osnet_x0_25.pth")
    with pytest.raises(WeightsError, match="without running code"):
        load_embedder(EmbedderSettings(checkpoint, backend="torch"), tmp_path)
    assert not trace.exists()
