"""Views: pixels, boxes and masks move together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.vision.training.views import PADDING, View, erased, random_view, recoloured

PICTURE_HW = (180, 320)
seeds = st.integers(0, 10_000)


@given(seeds, st.floats(0.6, 2.5), st.sampled_from([(96, 160), (192, 320), (256, 256)]))
def test_a_box_stays_around_its_pixels(seed: int, zoom: float, input_hw: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    left, top = random.integers(0, 240), random.integers(0, 100)
    box = np.array([[left, top, left + 60, top + 70]], np.float32)
    image = np.zeros((*PICTURE_HW, 3), np.uint8)
    image[top : top + 70, left : left + 60] = 255
    view = random_view(PICTURE_HW, box, input_hw, (zoom, zoom), random)

    bright = view.image(image)[..., 0] > PADDING + 60
    cut, kept = view.boxes(box)
    as_mask = view.mask((image[..., 0] > 0).astype(np.uint8))

    assert np.array_equal(as_mask > 0.73, view.image(image)[..., 0] > 0.73 * 255) or not (as_mask == 0).all()
    if not kept[0]:
        return
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(cut[0] - found).max() <= 2.5


def test_a_mirrored_view_mirrors_boxes_too() -> None:
    view = View(np.array([[-1.0, 0, 320], [0, 1.0, 0]]), PICTURE_HW)
    image = np.zeros((*PICTURE_HW, 3), np.uint8)
    image[50:90, 10:30] = 200
    cut, kept = view.boxes(np.array([[10, 50, 30, 90]], np.float32))
    assert kept.all()
    assert cut.tolist() == [[290, 50, 310, 90]]
    assert (view.image(image)[50:90, 290:310] == 200).all()
    assert (view.image(image)[:, :290] == 0).all()


def test_who_is_mostly_cut_off_is_not_kept() -> None:
    view = View(np.array([[1.0, 0, -100], [0, 1.0, 0]]), (180, 160))
    boxes = np.array([[80, 0, 120, 100], [85, 0, 110, 100], [0, 0, 50, 100]], np.float32)
    cut, kept = view.boxes(boxes)
    assert kept.tolist() == [True, True, False]
    assert cut[0].tolist() == [0, 0, 20, 100]


def test_nobody_in_the_picture() -> None:
    view = random_view(PICTURE_HW, np.zeros((0, 4), np.float32), (96, 160), (1, 2), np.random.default_rng(0))
    cut, kept = view.boxes(np.zeros((0, 4), np.float32))
    assert cut.shape == (0, 4)
    assert kept.shape == (0,)


@given(seeds)
def test_colours_keep_their_order_and_strength_0_changes_nothing(seed: int) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal(recoloured(ramp, np.random.default_rng(seed), 0.0), ramp)
    toned = recoloured(ramp, np.random.default_rng(seed), 1.0).astype(int)
    assert (np.diff(toned, axis=1) >= 0).all()


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_erasing(probability: float) -> None:
    patch = np.full((128, 64, 3), 77, np.uint8)
    hidden = (erased(patch, np.random.default_rng(3), probability) != 77).any(axis=2).mean()
    assert hidden == 0 if probability == 0 else 0.01 < hidden < 0.3
    assert (patch == 77).all()
