"""Scores against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retail_ray.core.types import Detections
from retail_ray.vision.training.detector_scores import average_precision, match
from retail_ray.vision.training.embedder import contrast
from retail_ray.vision.training.embedder_scores import rank
from retail_ray.vision.training.segmenter import mask_loss
from retail_ray.vision.training.segmenter_scores import overlap


def found(*rows: tuple[list[float], float]) -> Detections:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([c for _, c in rows], np.float32), np.zeros(len(rows), np.int32))


PEOPLE = np.array([[0, 0, 10, 30], [50, 0, 60, 30]], np.float32)


def test_the_surest_box_takes_the_person_and_the_second_is_false() -> None:
    is_true, counts = match(found(([0, 0, 10, 28], 0.6), ([0, 0, 10, 30], 0.9)), PEOPLE, np.array([True, True]), 0.5)
    assert is_true.tolist() == [False, True]
    assert counts.tolist() == [True, True]


def test_who_is_not_asked_for_is_neither_hit_nor_false() -> None:
    is_true, counts = match(
        found(([50, 0, 60, 30], 0.9), ([51, 2, 58, 12], 0.8), ([90, 0, 99, 30], 0.7)),
        PEOPLE,
        np.array([True, False]),
        0.5,
    )
    assert is_true.tolist() == [False, False, False]
    assert counts.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("confidence", "hits", "people", "expected"),
    [
        ([0.9, 0.8], [True, True], 2, 1.0),
        ([0.9, 0.8], [False, True], 1, 0.5),
        ([0.9, 0.8, 0.7], [True, False, True], 2, 0.5 + 0.5 * 2 / 3),
        ([0.9], [True], 4, 0.25),
        ([], [], 3, 0.0),
        ([0.4], [False], 0, 0.0),
    ],
)
def test_average_precision(confidence: list[float], hits: list[bool], people: int, expected: float) -> None:
    area = average_precision(np.array(confidence, np.float32), np.array(hits, np.bool_), people)
    assert area == pytest.approx(expected)


def test_rank_leaves_out_the_own_camera_and_who_is_seen_by_one_camera_only() -> None:
    directions = np.array([[1, 0], [1, 0], [0.8, 0.6], [0.9, -0.436], [0, 1]], np.float32)
    identity, camera = np.array([1, 1, 1, 2, 3]), np.array([0, 0, 1, 1, 1])
    scores = rank(directions, identity, camera)
    # Queries 0 and 1 find person 2 before their own patch of camera 1; query 2 finds its two patches first.
    assert scores["queries"] == 3
    assert scores["rank1"] == pytest.approx(1 / 3)
    assert scores["map"] == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_contrast_is_the_share_of_the_own_patches_among_all_others() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    alike = torch.ones(4, 2)
    assert float(contrast(alike, labels, 0.1)) == pytest.approx(np.log(3), abs=1e-4)
    apart = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert float(contrast(apart, labels, 0.1)) == pytest.approx(np.log(1 + 2 * np.exp(-10)), abs=1e-4)


def test_a_mask_loss_looks_at_its_region_only() -> None:
    target = torch.zeros(1, 8, 8)
    target[0, 2:6, 2:6] = 1
    region = torch.zeros(1, 8, 8)
    region[0, 1:7, 1:7] = 1
    right = target * 20 - 10
    beside = right.clone()
    beside[0, 7, 7] = 10
    assert float(mask_loss(right, torch.ones(1), target, region)) == pytest.approx(0, abs=1e-3)
    assert float(mask_loss(beside, torch.ones(1), target, region)) == pytest.approx(0, abs=1e-3)
    # The estimate is wrong by one, or every cell is.
    assert float(mask_loss(right, torch.zeros(1), target, region)) == pytest.approx(1, abs=1e-3)
    assert float(mask_loss(-right, torch.zeros(1), target, region)) > 9


def test_overlap() -> None:
    a, b = np.zeros((4, 4), np.bool_), np.zeros((4, 4), np.bool_)
    assert overlap(a, b) == 0
    a[0, :2], b[0, 1:3] = True, True
    assert overlap(a, b) == pytest.approx(1 / 3)
