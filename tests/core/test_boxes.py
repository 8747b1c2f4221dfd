from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.boxes import Letterbox, area, clip, feet_cut_off, foot_points, iou, visible_share
from retail_ray.core.errors import DataError


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


sizes = st.tuples(st.integers(40, 2200), st.integers(40, 2200))


@given(sizes, st.sampled_from([(640, 640), (384, 640), (320, 320), (640, 384)]), st.integers(0, 10**6))
def test_letterbox_maps_boxes_back_to_native_pixels(native: tuple[int, int], model: tuple[int, int], seed: int) -> None:
    box = Letterbox(native, model)
    height, width = box.content_hw
    left, top = box.pad_px
    assert 0 <= left <= model[1] - width
    assert 0 <= top <= model[0] - height
    corners = np.sort(np.random.default_rng(seed).uniform(0, 1, (20, 2, 2)), axis=1)
    native_xyxy = (corners * (native[1], native[0])).reshape(-1, 4).astype(np.float32)
    model_xyxy = native_xyxy * np.float32(box.scale) + np.array([left, top, left, top], np.float32)
    assert np.allclose(box.to_native(model_xyxy), native_xyxy, atol=2e-3 * max(native) / 640 + 1e-3)


@settings(max_examples=30, deadline=None)
@given(sizes, st.sampled_from([(640, 640), (384, 640)]))
def test_letterbox_agrees_with_an_independent_padding(native: tuple[int, int], model: tuple[int, int]) -> None:
    """The picture that lies at pad_px with content_hw fills the model's input and is centred."""
    box = Letterbox(native, model)
    height, width = box.content_hw
    assert height == model[0] or width == model[1]
    left, top = box.pad_px
    right, bottom = model[1] - width - left, model[0] - height - top
    assert 0 <= right - left <= 1
    assert 0 <= bottom - top <= 1


def test_letterbox_refuses_an_empty_frame() -> None:
    with pytest.raises(DataError, match=r"sizes must be positive, found \(0, 640\)"):
        Letterbox((0, 640), (640, 640))


@given(st.integers(0, 10**6))
def test_iou_counts_shared_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, 24, (8, 2, 2)), axis=1).reshape(8, 4).astype(np.float32)
    painted = np.zeros((8, 24, 24), bool)
    for i, (x0, y0, x1, y1) in enumerate(rows.astype(int).tolist()):
        painted[i, y0:y1, x0:x1] = True
    shared = (painted[:3, None] & painted[None, 3:]).sum(axis=(2, 3))
    union = (painted[:3, None] | painted[None, 3:]).sum(axis=(2, 3))
    expected = np.where(union > 0, shared / np.maximum(union, 1), 0)
    assert np.allclose(iou(rows[:3], rows[3:]), expected, atol=1e-6)


def test_empty_inputs_and_reversed_boxes() -> None:
    assert iou(boxes(), boxes((0, 0, 1, 1))).shape == (0, 1)
    assert area(boxes((5, 5, 1, 9))).tolist() == [0]
    assert foot_points(boxes()).shape == (0, 2)
    assert visible_share(boxes()).shape == (0,)


def test_foot_points_and_cut_feet() -> None:
    rows = boxes((10, 20, 30, 100), (0, 0, 50, 718.5))
    assert foot_points(rows).tolist() == [[20, 100], [25, 718.5]]
    assert feet_cut_off(rows, (720, 1280)).tolist() == [False, True]


def test_clip_cuts_at_all_four_borders() -> None:
    assert clip(boxes((-5, -6, 2000, 900)), (720, 1280)).tolist() == [[0, 0, 1280, 720]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 0, 10, 10), (20, 0, 30, 20)], [1.0, 1.0]),  # apart
        ([(0, 0, 16, 16), (0, 8, 16, 32)], [0.5, 1.0]),  # the nearer one hides the lower half
        ([(0, 0, 16, 16), (0, 0, 16, 16)], [1.0, 1.0]),  # equally near: neither hides the other
        ([(0, 0, 16, 16), (0, 0, 8, 20), (4, 0, 16, 30)], [0.0, 0.5, 1.0]),  # the union hides, overlaps count once
    ],
)
def test_visible_share(rows: list[tuple[float, float, float, float]], expected: list[float]) -> None:
    assert visible_share(boxes(*rows)).tolist() == pytest.approx(expected, abs=0.07)
