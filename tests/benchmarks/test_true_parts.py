"""Parts that know the truth give it exactly; controls break what they say and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.true_parts import Histograms, Recorded, Shuffled, TrueDetector, TrueTracker, colour_histograms
from retail_ray.core.boxes import Letterbox
from retail_ray.core.types import Detections
from retail_ray.lake.truth import read_truth
from retail_ray.runtime.clients import LocalClients
from tests.evaluation.stores import DURATION_S, FPS, boxes, write_true

NATIVE_HW, MODEL_HW = (480, 900), (384, 640)


class Models:
    """A detector that counts its questions, and an embedder that turns the first pixel into a direction."""

    patch_hw = (8, 4)
    asked = 0

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        assert native_hw == NATIVE_HW
        return MODEL_HW

    def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        self.asked += 1
        found = Detections(np.full((1, 4), self.asked, np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
        return [found] * len(images)

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        angle = patches[:, 0, 0, 0].astype(np.float32)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.fixture
def own() -> LocalClients:
    models = Models()
    return LocalClients(models, models, None)


def test_a_true_detector_finds_everybody_in_native_pixels(own: LocalClients, tmp_path: Path) -> None:
    known = TrueDetector(own, read_truth(write_true(tmp_path)), "right")
    letterbox = Letterbox(NATIVE_HW, known.input_hw(NATIVE_HW))
    every, truth = np.arange(DURATION_S * FPS), boxes("right")
    found = [d for part in np.array_split(every, 7) for d in known.detect(_images(len(part))).result()]
    for frame, detections in zip(every, found, strict=True):
        mine = truth["frame"] == frame
        np.testing.assert_allclose(letterbox.to_native(detections.xyxy_px), truth["xyxy_px"][mine], atol=1e-3)
        assert detections.class_id.tolist() == truth["person"][mine].tolist()
    with pytest.raises(AssertionError, match="more frames than its truth"):
        known.detect(_images(1))


def test_chunks_under_way_keep_their_frames(own: LocalClients, tmp_path: Path) -> None:
    """Two chunks are asked for before the first is fetched."""
    known = TrueDetector(own, read_truth(write_true(tmp_path)), "left")
    known.input_hw(NATIVE_HW)
    first, second = known.detect(_images(30)), known.detect(_images(50))
    counts = [len(d) for pending in (first, second) for d in pending.result()]
    assert counts == [int((boxes("left")["frame"] == frame).sum()) for frame in range(80)]


def _images(count: int) -> NDArray[np.uint8]:
    return np.zeros((count, *MODEL_HW, 3), np.uint8)


def test_a_true_tracker_keeps_people_and_begins_anew_after_two_seconds() -> None:
    tracker = TrueTracker()

    def seen(person: int, at_s: float) -> int:
        one = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.full(1, person, np.int32))
        return int(tracker.update(one, None, round(at_s * 1e6)).local_id[0])

    first = seen(5, 0.0)
    assert seen(5, 1.9) == first
    assert seen(6, 1.9) != first
    again = seen(5, 4.0)
    assert again != first
    assert seen(5, 5.0) == again


def test_recorded_answers_are_asked_for_once_and_repeat(own: LocalClients) -> None:
    answers: list[list[Detections]] = []
    runs = [
        [recorded.detect(_images(2)).result()[0].xyxy_px[0, 0] for _ in range(3)]
        for recorded in (Recorded(own, answers), Recorded(own, answers))
    ]
    assert runs[0] == runs[1] == [1, 2, 3]
    assert len(answers) == 3


def test_shuffled_embeddings_are_true_ones_of_somebody(own: LocalClients) -> None:
    shuffled = Shuffled(own, np.random.default_rng(3))
    patches = np.zeros((40, 8, 4, 3), np.uint8)
    patches[:, 0, 0, 0] = np.arange(40)
    given, true = shuffled.embed(patches).result(), own.embed(patches).result()
    same = np.isclose(given[:, None], true[None]).all(axis=2)
    assert same.any(axis=1).all()
    assert np.diag(same).sum() < 10


def test_histograms_see_colours_and_where_they_are(own: LocalClients) -> None:
    red, blue = np.zeros((12, 6, 3), np.uint8), np.zeros((12, 6, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 250
    half = np.concatenate([red[:6], blue[6:]])
    vectors = colour_histograms(np.stack([red, blue, half, half[::-1]]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose((vectors @ vectors.T)[0], [1, 0, 0.5, 0.5], atol=1e-6)
    assert (vectors @ vectors.T)[2, 3] == pytest.approx(0)
    assert Histograms(own).embed(np.stack([red])).result().shape == (1, 6 * 64)
