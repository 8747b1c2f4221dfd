"""Pooling of cases by hand, scores of appearance by brute force, and tables of what was not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.appearance import Crops, auc, separation
from benchmarks.pooled import MEASURES, MIN_CASES, pooled
from benchmarks.seeds import TEST_CASES
from benchmarks.simulated_report import CONTROLS, GAINS, LADDER, STEPS, draw_plots, simulated_tables
from retail_ray.evaluation.measures import wilson
from retail_ray.simulation.seeds import purpose_of

BIN = "detector.recall_by_height_and_visibility.40 to 80 px.0% to 25% visible"
NAMES = tuple(dict.fromkeys((*LADDER, *CONTROLS)))


def _case(recall: float, n: int, merges: float, **more: Any) -> dict[str, Any]:
    values = {
        "doors.all.recall": {"value": recall, "n": n},
        "links.false_merges": {"value": merges, "n": 5},
        BIN: {"value": recall, "n": n},
    }
    found = {"case": "x", "people": 3, "minutes": 1.0, "appearance": {}, "variants": dict.fromkeys(NAMES, values)}
    return found | more


def test_shares_are_pooled_by_what_they_were_counted_over_and_counts_are_not() -> None:
    report = pooled([_case(1.0, 1, 2), _case(0.5, 3, 4)], NAMES, STEPS, GAINS)
    entry = report["variants"]["everything"]["door recall"]
    assert entry["value"] == pytest.approx((1 + 3 * 0.5) / 4)
    assert (entry["n"], entry["cases"]) == (4, 2)
    assert report["variants"]["true boxes"]["false merges"]["value"] == 3
    assert report["variants"]["everything"]["door F1"] == {"not_measured": "nothing to count"}
    assert set(report["variants"]["everything"]) == set(MEASURES)


@pytest.mark.parametrize("cases", range(1, MIN_CASES + 2))
def test_few_cases_give_their_range_and_no_interval(cases: int) -> None:
    recalls = np.linspace(0.2, 0.8, cases)
    entry = pooled([_case(r, 5, 0) for r in recalls], NAMES, STEPS, GAINS)["variants"]["everything"]["door recall"]
    assert ("low" in entry) == ("high" in entry) == (cases >= MIN_CASES)
    assert ("lowest" in entry) == (1 < cases < MIN_CASES)
    if "lowest" in entry:
        assert (entry["lowest"], entry["highest"]) == pytest.approx((0.2, 0.8))
    if "low" in entry:
        assert 0.2 < entry["low"] < entry["value"] < entry["high"] < 0.8


def test_the_detectors_shares_have_wilsons_interval_over_all_boxes() -> None:
    results = [_case(1.0, 30, 0), _case(0.5, 10, 0)]
    entry = pooled(results, NAMES, STEPS, GAINS)["detector"][BIN.removeprefix("detector.")]
    assert (entry["value"], entry["n"]) == (35 / 40, 40)
    assert (entry["low"], entry["high"]) == pytest.approx(wilson(35, 40))


def test_the_reason_for_a_missing_figure_is_passed_on() -> None:
    """Also where the evaluation gave it for the whole of a section, or the variant did not run at all."""
    no_queues = {"not_measured": "the lake measures no queues"}
    more = {"queues.length.mean_error": no_queues, "queues.wait_error_s": no_queues}
    case = _case(1.0, 1, 0)
    case["variants"] = {name: values | more for name, values in case["variants"].items() if name != LADDER[5]}
    report = pooled([case], NAMES, STEPS, GAINS)
    everything = report["variants"]["everything"]
    assert everything["queue length error, people"] == everything["queue wait error, s"] == no_queues
    assert report["variants"][LADDER[5]]["door recall"] == {"not_measured": "this variant did not run"}
    assert report["gains"]["masks"]["door F1"] == {"not_measured": "no case has both"}


def test_a_loss_is_that_of_the_same_cases() -> None:
    """Both cases lose 0.25 of IDF1, however far apart they are: the range has no width. Masks give 0.05 back."""
    results = []
    for level in (0.5, 0.9):
        case = _case(1.0, 1, 0)
        for number, name in enumerate(NAMES):
            lost = 0.25 * (number >= 2) - 0.05 * (name == LADDER[5])
            entry = {"across_cameras.idf1": {"value": level - lost, "n": 100}}
            case["variants"][name] = case["variants"][name] | entry
        results.append(case)
    report = pooled(results, NAMES, STEPS, GAINS)
    losses, gains = report["losses"], report["gains"]
    assert losses["tracking"]["IDF1 over cameras"] == pytest.approx(
        {"value": 0.25, "cases": 2, "lowest": 0.25, "highest": 0.25}
    )
    assert losses["detection"]["IDF1 over cameras"]["value"] == 0
    assert losses["foot points and calibrated floor"]["IDF1 over cameras"]["value"] == pytest.approx(0.3)
    assert losses["tracking"]["IDF1 on the floor"] == {"not_measured": "no case has both"}
    assert gains["masks"]["IDF1 over cameras"]["value"] == pytest.approx(0.05)


def _report(cases: int) -> dict[str, Any]:
    results = [_case(1.0 - 0.1 * number, 1 + 2 * number, 2) for number in range(cases)]
    weights = {"detector": "yolo", "embedder": "osnet", "segmenter": "sam"}
    one = pooled(results, NAMES, STEPS, GAINS) | {"cases": results, "weights": weights}
    sets = {"real": one | {"name": "real weights"}, "shipped": one | {"name": "shipped demo weights"}}
    return {"seconds": 30.0, "size_px": [640, 360], "frames_per_s": 10.0, "sets": sets}


def test_tables_and_plots_stand_also_where_something_was_not_measured(tmp_path: Path) -> None:
    report = _report(2)
    made = simulated_tables(report)
    assert "not measured" in made["simulated, retail by rung"]
    assert "of 4" in made["simulated, detector"]
    assert "osnet" in made["simulated, conditions"]
    assert "real weights, 2 cases | shipped demo weights, 2 cases" in made["simulated, weights side by side"]
    assert "Not measured: nothing to count." in made["simulated, queues by rung"]
    draw_plots(report, tmp_path)
    drawn = (tmp_path / "accuracy-ladder.svg").read_bytes()
    draw_plots(report, tmp_path)
    assert (tmp_path / "accuracy-ladder.svg").read_bytes() == drawn
    assert simulated_tables(None) == {}


def test_the_words_about_intervals_are_those_of_the_cases() -> None:
    few, many = (simulated_tables(_report(cases))["simulated, conditions"] for cases in (2, MIN_CASES))
    assert "95 %" not in few
    assert "[square]" in few
    assert "95 % intervals" in many
    assert "[square]" not in many


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
