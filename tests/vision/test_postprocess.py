"""Boxes of raw outputs against ultralytics' own non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401  (ultralytics takes torchvision's NMS when it is loaded)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ultralytics.utils.nms import non_max_suppression

from retail_ray.core.errors import ModelError
from retail_ray.core.types import Detections
from retail_ray.vision.postprocess import Selection, select


def ultralytics_boxes(output: NDArray[np.float32], selection: Selection) -> NDArray[np.float32]:
    """(N, 6) x1, y1, x2, y2, confidence, class."""
    rows = non_max_suppression(
        torch.from_numpy(output[None].copy()),
        selection.confidence,
        selection.iou,
        classes=list(selection.classes) if selection.classes is not None else None,
        max_det=selection.max_detections,
    )[0]
    return rows.numpy()


def as_rows(found: Detections) -> NDArray[np.float32]:
    columns = [found.xyxy_px, found.confidence[:, None], found.class_id[:, None].astype(np.float32)]
    return np.concatenate(columns, axis=1)


def crowded_output(seed: int, cells: int, classes: int, levels: int) -> NDArray[np.float32]:
    """Boxes in few places, so that most overlap; `levels` steps of score, so that many tie."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, 6, (2, cells)) * 40 + rng.normal(0, 6, (2, cells))
    size = rng.uniform(20, 90, (2, cells))
    scores = np.round(rng.random((classes, cells)) ** 3 * levels) / levels
    return np.concatenate([centre, size, scores]).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    # Ultralytics takes an output that is six wide for finished boxes; no network has six cells.
    cells=st.integers(1, 400).filter(lambda cells: cells != 6),
    classes=st.sampled_from([1, 3, 80]),
    levels=st.sampled_from([10, 1000]),
    confidence=st.sampled_from([0.0, 0.1, 0.25, 0.9, 1.0]),
    iou=st.sampled_from([0.0, 0.45, 0.7, 1.0]),
    only_first=st.booleans(),
    max_detections=st.sampled_from([1, 5, 300]),
)
def test_same_boxes_in_the_same_order_as_ultralytics(
    seed: int,
    cells: int,
    classes: int,
    levels: int,
    confidence: float,
    iou: float,
    only_first: bool,
    max_detections: int,
) -> None:
    output = crowded_output(seed, cells, classes, levels)
    selection = Selection(confidence, iou, (0,) if only_first else None, max_detections)
    np.testing.assert_array_equal(as_rows(select(output, selection)), ultralytics_boxes(output, selection))


def test_empty_boxes_do_not_divide_by_zero() -> None:
    output = np.zeros((5, 4), np.float32)
    output[4] = 0.9
    assert len(select(output, Selection(0.25, 0.7, (0,), 300))) == len(
        ultralytics_boxes(output, Selection(0.25, 0.7, (0,), 300))
    )


def test_another_class_that_wins_takes_the_box_away() -> None:
    output = np.array([[50, 50], [50, 200], [20, 20], [40, 40], [0.6, 0.6], [0.7, 0.2]], np.float32)
    found = select(output, Selection(0.25, 0.7, (0,), 300))
    assert found.xyxy_px.tolist() == [[40, 180, 60, 220]]


@pytest.mark.parametrize(
    ("confidence", "iou", "max_detections", "message"),
    [(1.5, 0.7, 300, "confidence 1.5"), (0.1, -0.1, 300, "iou -0.1"), (0.1, 0.7, 0, "max_detections")],
)
def test_impossible_thresholds_are_refused(confidence: float, iou: float, max_detections: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Selection(confidence, iou, None, max_detections)
