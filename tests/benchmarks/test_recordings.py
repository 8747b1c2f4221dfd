"""Answers on disk are those that the networks gave; a network is asked once for the same thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmarks.recordings import (
    Remembered,
    digest,
    load_detections,
    load_embeddings,
    save_detections,
    save_embeddings,
)
from retail_ray.config_models import DetectorSettings
from retail_ray.core.errors import DataError
from retail_ray.core.types import Detections
from retail_ray.runtime.clients import LocalClients


def detections(count: int, seed: int) -> Detections:
    rng = np.random.default_rng(seed)
    return Detections(
        rng.uniform(0, 500, (count, 4)).astype(np.float32),
        rng.uniform(0, 1, count).astype(np.float32),
        rng.integers(0, 3, count).astype(np.int32),
    )


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), max_size=5), max_size=5))
def test_detections_come_back_chunk_by_chunk(tmp_path_factory: pytest.TempPathFactory, counts: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("answers") / "new" / "till.npz"
    chunks = [[detections(n, 10 * i + j) for j, n in enumerate(chunk)] for i, chunk in enumerate(counts)]
    save_detections(path, chunks)
    found = load_detections(path)
    assert [len(chunk) for chunk in found] == [len(chunk) for chunk in chunks]
    for mine, theirs in zip((d for c in chunks for d in c), (d for c in found for d in c), strict=True):
        np.testing.assert_array_equal(mine.xyxy_px, theirs.xyxy_px)
        np.testing.assert_array_equal(mine.confidence, theirs.confidence)
        np.testing.assert_array_equal(mine.class_id, theirs.class_id)


def test_what_was_not_recorded_is_empty_and_what_is_damaged_is_told(tmp_path: Path) -> None:
    assert load_detections(tmp_path / "none.npz") == []
    assert load_embeddings(tmp_path / "none.npz") == {}
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"cut\.npz: damaged"):
        load_detections(tmp_path / "cut.npz")


class Embedder:
    """Turns the mean colour into a vector, and counts the patches that it was asked about."""

    patch_hw = (4, 2)
    asked = 0

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked += len(patches)
        return patches.reshape(len(patches), -1, 3).mean(axis=1).astype(np.float32)


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(4), st.just(2), st.just(3)), elements=st.integers(0, 1)))
def test_a_patch_is_embedded_once_and_gets_its_own_vector(patches: NDArray[np.uint8]) -> None:
    embedder = Embedder()
    remembered = Remembered(LocalClients(None, embedder, None), {})
    for _ in range(2):
        np.testing.assert_array_equal(remembered.embed(patches).result(), Embedder().embed(patches))
    assert embedder.asked <= len(patches)
    remembered.embed(patches[::-1]).result()
    assert embedder.asked <= len(patches)


def test_embeddings_are_known_to_the_next_run(tmp_path: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 255, (5, 4, 2, 3)).astype(np.uint8)
    first, second = Embedder(), Embedder()
    known: dict[bytes, NDArray[np.float32]] = {}
    told = Remembered(LocalClients(None, first, None), known).embed(patches).result()
    save_embeddings(tmp_path / "e.npz", known)
    again = Remembered(LocalClients(None, second, None), load_embeddings(tmp_path / "e.npz")).embed(patches).result()
    np.testing.assert_array_equal(told, again)
    assert (first.asked, second.asked) == (5, 0)


def test_other_clips_weights_or_settings_have_another_name(tmp_path: Path) -> None:
    weights, clip = tmp_path / "net", tmp_path / "till.mp4"
    weights.mkdir()
    (weights / "model.bin").write_bytes(b"one")
    clip.write_bytes(b"a clip")
    wanted = DetectorSettings(weights=str(weights))
    names = [digest([clip], wanted), digest([clip], wanted.model_copy(update={"confidence": 0.31}))]
    (weights / "model.bin").write_bytes(b"two")
    names.append(digest([clip], wanted))
    clip.write_bytes(b"another clip")
    names.append(digest([clip], wanted))
    assert len(set(names)) == 4
    assert digest([clip], wanted) == names[-1]
