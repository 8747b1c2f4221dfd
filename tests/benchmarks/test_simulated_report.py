"""Pooling of cases by hand, scores of appearance by brute force, and tables of what was not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.appearance import Crops, auc, same_false_links, separation
from benchmarks.pooled import MEASURES, pooled
from benchmarks.seeds import TEST_CASES
from benchmarks.simulated_report import CONTROLS, LADDER, STEPS, draw_plots, simulated_tables
from retail_ray.simulation.seeds import purpose_of

NAMES = tuple(dict.fromkeys((*LADDER, *CONTROLS)))


def _case(recall: float, n: int, merges: float, **more: Any) -> dict[str, Any]:
    values = {
        "doors.all.recall": {"value": recall, "n": n},
        "links.false_merges": {"value": merges, "n": 5},
        "detector.recall_by_height_and_visibility.40 to 80 px.0% to 25% visible": {"value": recall, "n": n},
    }
    found = {"case": "x", "people": 3, "minutes": 1.0, "appearance": {}, "variants": dict.fromkeys(NAMES, values)}
    return found | more


def test_shares_are_pooled_by_what_they_were_counted_over_and_counts_are_not() -> None:
    report = pooled([_case(1.0, 1, 2), _case(0.5, 3, 4)], NAMES, STEPS)
    entry = report["variants"]["everything"]["door recall"]
    assert entry["value"] == pytest.approx((1 + 3 * 0.5) / 4)
    assert (entry["n"], entry["cases"]) == (4, 2)
    assert 0.5 <= entry["low"] <= entry["value"] <= entry["high"] <= 1
    assert report["variants"]["true boxes"]["false merges"]["value"] == 3
    assert report["variants"]["everything"]["door F1"] is None
    assert set(report["variants"]["everything"]) == set(MEASURES)


def test_a_loss_is_that_of_the_same_cases() -> None:
    """Both cases lose 0.25 of IDF1, however far apart they are: the interval has no width."""
    results = []
    for level in (0.5, 0.9):
        case = _case(1.0, 1, 0)
        for number, name in enumerate(NAMES):
            entry = {"across_cameras.idf1": {"value": level - 0.25 * (number >= 2), "n": 100}}
            case["variants"][name] = case["variants"][name] | entry
        results.append(case)
    losses = pooled(results, NAMES, STEPS)["losses"]
    assert losses["tracking"]["IDF1 over cameras"] == pytest.approx(
        {"value": 0.25, "cases": 2, "low": 0.25, "high": 0.25}
    )
    assert losses["detection"]["IDF1 over cameras"]["value"] == 0
    assert losses["foot points and calibrated floor"]["IDF1 over cameras"]["value"] == pytest.approx(0.3)
    assert losses["tracking"]["IDF1 on the floor"] is None


def test_tables_and_plots_stand_also_where_something_was_not_measured(tmp_path: Path) -> None:
    results = [_case(1.0, 1, 2), _case(0.5, 3, 4)]
    report = pooled(results, NAMES, STEPS) | {
        "cases": results,
        "seconds": 30.0,
        "size_px": [640, 360],
        "frames_per_s": 10.0,
        "weights": {"detector": None, "embedder": "osnet", "segmenter": "none"},
    }
    made = simulated_tables(report)
    assert "not measured" in made["simulated, retail by rung"]
    assert "0.625 of 4" in made["simulated, detector"]
    assert "osnet" in made["simulated, conditions"]
    for _ in range(2):
        draw_plots(report, tmp_path)
        drawn = (tmp_path / "accuracy-ladder.svg").read_bytes()
    draw_plots(report, tmp_path)
    assert (tmp_path / "accuracy-ladder.svg").read_bytes() == drawn
    assert simulated_tables(None) == {}


def test_auc_counts_pairs_and_ties_half() -> None:
    rng = np.random.default_rng(0)
    positives, negatives = rng.integers(0, 6, 20).astype(float), rng.integers(0, 5, 30).astype(float)
    by_pair = np.mean([(p > n) + 0.5 * (p == n) for p in positives for n in negatives])
    assert auc(positives, negatives) == pytest.approx(by_pair)


def _crops() -> Crops:
    person, camera = np.repeat(np.arange(6), 4), np.tile([0, 0, 1, 1], 6)
    return Crops(np.zeros((24, 2, 2, 3), np.uint8), person, camera)


def test_a_perfect_description_separates_and_noise_does_not() -> None:
    crops = _crops()
    perfect = np.eye(6, dtype=np.float32)[crops.person]
    assert separation(perfect, crops)["auc"] == separation(perfect, crops)["rank_1"] == 1
    noise = np.random.default_rng(1).normal(size=(24, 64)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert 0.35 < separation(noise, crops)["auc"] < 0.65
    one_camera = Crops(crops.patches, crops.person, np.zeros(24, np.int64))
    assert separation(perfect, one_camera) == {}


def test_a_matched_threshold_links_as_many_wrong_pairs() -> None:
    crops, rng = _crops(), np.random.default_rng(2)
    own, other = (np.abs(rng.normal(size=(24, 8))).astype(np.float32) for _ in range(2))
    own, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (own, other))
    wrong = (crops.person[:, None] != crops.person[None]) & (crops.camera[:, None] != crops.camera[None])
    threshold = same_false_links(own, other, crops, 0.7)
    wanted, got = ((v @ v.T)[wrong] >= limit for v, limit in ((own, 0.7), (other, threshold)))
    assert got.mean() == pytest.approx(wanted.mean(), abs=0.02)


def test_test_cases_are_frozen_and_of_test_seeds() -> None:
    assert len(TEST_CASES) == 20
    assert len({case.seed for case in TEST_CASES}) == 20
    assert {purpose_of(case.seed) for case in TEST_CASES} == {"test"}
    assert [str(case) for case in TEST_CASES[:4]] == [
        "random-9000",
        "convenience-9001",
        "random-9002",
        "corner-shop-9003",
    ]
