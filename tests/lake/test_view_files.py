"""Remembered views: round trip, whose they are, and damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retail_ray.core.errors import LakeError
from retail_ray.core.view import ViewFeatures
from retail_ray.lake.view_files import ViewFile

RNG = np.random.default_rng(4)
FEATURES = ViewFeatures(RNG.integers(0, 256, (40, 32)).astype(np.uint8), RNG.random((40, 2)).astype(np.float32))


def test_round_trip_for_another_run(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, "shop", "door", "abc")
    assert file.read("r2") is None
    file.write(FEATURES, "r1")
    first = file.path.read_bytes()
    found = file.read("r2")
    assert found is not None
    assert np.array_equal(found.descriptors, FEATURES.descriptors)
    assert np.array_equal(found.points_px, FEATURES.points_px)
    file.write(FEATURES, "r1")
    assert file.path.read_bytes() == first
    assert ViewFile(tmp_path, "shop", "door", "other").read("r2") is None


def test_a_run_started_anew_learns_again(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, "shop", "door", "abc")
    file.write(FEATURES, "r1")
    assert file.read("r1") is None


@pytest.mark.parametrize("damage", [b"", b"not an archive", None], ids=["empty", "foreign", "cut off"])
def test_damage_is_named(tmp_path: Path, damage: bytes | None) -> None:
    file = ViewFile(tmp_path, "shop", "door", "abc")
    file.write(FEATURES, "r1")
    file.path.write_bytes(file.path.read_bytes()[:-60] if damage is None else damage)
    with pytest.raises(LakeError, match=r"door-abc\.npz: the remembered view of camera 'door' is damaged"):
        file.read("r2")
