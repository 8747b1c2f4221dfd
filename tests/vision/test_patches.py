"""Patches cut from native frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.vision.crops import cut_patches, scale_to_side, without_background


def frame() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def test_a_patch_is_the_rounded_box_resized() -> None:
    boxes = np.array([[10.4, 5.6, 30.5, 45.4], [-5, -5, 20, 20], [70, 50, 95, 90]], np.float32)
    patches = cut_patches(frame(), boxes, (64, 32))
    assert patches.shape == (3, 64, 32, 3)
    for patch, part in zip(patches, (np.s_[6:45, 10:30], np.s_[0:20, 0:20], np.s_[50:60, 70:80]), strict=True):
        np.testing.assert_array_equal(patch, cv2.resize(frame()[part], (32, 64)))


@pytest.mark.parametrize("box", [[90, 5, 99, 20], [10, 10, 10.3, 30], [30, 30, 20, 40]])
def test_a_box_without_pixels_is_refused_with_its_number(box: list[float]) -> None:
    good = [1.0, 1.0, 9.0, 9.0]
    with pytest.raises(DataError, match="box 1 "):
        cut_patches(frame(), np.array([good, box], np.float32), (64, 32))


def test_no_boxes_give_no_patches() -> None:
    assert cut_patches(frame(), np.zeros((0, 4), np.float32), (64, 32)).shape == (0, 64, 32, 3)


def test_background_becomes_the_mean_colour_of_the_person() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[2:8, 2:8] = (200, 100, 50)
    image[4:6, 4:6] = (100, 50, 0)
    mask = np.zeros((10, 10), np.bool_)
    mask[2:8, 2:8] = True
    image[~mask] = np.random.default_rng(0).integers(0, 255, (64, 3))
    (patch,) = cut_patches(image, np.array([[0, 0, 10, 10]], np.float32), (10, 10), [mask])
    mean = np.round(image[mask].mean(axis=0))
    assert (patch[~mask] == mean).all()
    np.testing.assert_array_equal(patch[mask], image[mask])


def test_an_empty_mask_leaves_the_crop_as_it_was() -> None:
    np.testing.assert_array_equal(without_background(frame(), np.zeros((60, 80), np.bool_)), frame())


@given(height=st.integers(1, 300), width=st.integers(1, 300), side=st.integers(1, 256))
def test_scaling_gives_the_longer_side_and_sams_size(height: int, width: int, side: int) -> None:
    from segment_anything.utils.transforms import ResizeLongestSide

    scaled = scale_to_side(np.zeros((height, width, 3), np.uint8), side)
    expected = ResizeLongestSide.get_preprocess_shape(height, width, side)
    assert scaled.shape[:2] == tuple(max(1, s) for s in expected)
    assert max(scaled.shape[:2]) == side
