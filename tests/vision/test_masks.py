"""Masks: run lengths, upsampling, foot points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from retail_ray.core.types import Masks
from retail_ray.vision.masks import decode, encode, foot_point, upsample_region

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_run_lengths_keep_every_pixel(mask: NDArray[np.bool_]) -> None:
    one = np.zeros(1, np.float32)
    masks = Masks(mask.shape, (encode(mask),), np.zeros((1, 2), np.float32), one, one)
    np.testing.assert_array_equal(decode(masks, 0), mask)


@settings(deadline=None)
@given(
    small=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    large=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1000),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_a_region_is_upsampled_as_torch_upsamples_the_whole(
    small: tuple[int, int], large: tuple[int, int], seed: int, corners: tuple[float, float, float, float]
) -> None:
    logits = np.random.default_rng(seed).normal(size=small).astype(np.float32)
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None, None], large, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    left, right = sorted((int(corners[0] * large[1]), int(corners[2] * large[1])))
    top, bottom = sorted((int(corners[1] * large[0]), int(corners[3] * large[0])))
    region = upsample_region(logits, large, (left, top, right, bottom))
    np.testing.assert_allclose(region, whole[top:bottom, left:right], atol=1e-5)


def person(foot_x: int, foot_y: int) -> NDArray[np.bool_]:
    """A body of 20 x 60 that stands on one leg of 6 x 30, whose foot is at (foot_x, foot_y)."""
    mask = np.zeros((200, 150), np.bool_)
    mask[foot_y - 90 : foot_y - 30, foot_x - 10 : foot_x + 10] = True
    mask[foot_y - 30 : foot_y, foot_x - 3 : foot_x + 3] = True
    return mask


@given(foot_x=st.integers(15, 130), foot_y=st.integers(95, 200))
def test_the_foot_is_under_the_standing_leg(foot_x: int, foot_y: int) -> None:
    assert foot_point(person(foot_x, foot_y)) == pytest.approx((foot_x, foot_y), abs=1)


def test_stray_pixels_do_not_move_the_foot() -> None:
    clean, dirty = person(60, 150), person(60, 150)
    dirty[180:190, 100:103] = True
    dirty[150:153, 60] = True
    assert foot_point(dirty) == pytest.approx(foot_point(clean), abs=1)


def test_the_foot_is_not_the_middle_of_the_body() -> None:
    """Someone with a leg apart stands where the foot is: the box's middle would be 15 px off."""
    mask = person(60, 150)
    mask[60:120, 70:100] = True
    found = foot_point(mask)
    assert found is not None
    assert found[0] == pytest.approx(60, abs=1)


def test_an_empty_mask_has_no_foot() -> None:
    assert foot_point(np.zeros((5, 5), np.bool_)) is None
