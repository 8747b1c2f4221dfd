"""Folding evidence into people, choosing, and second thoughts, on evidence whose right answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.identity.association import Evidence, between, decide, fold
from retail_ray.identity.evidence import needed_nats
from retail_ray.identity.revision import revise
from retail_ray.identity.settings import GallerySettings

SETTINGS = GallerySettings()
NEEDED = needed_nats(SETTINGS.false_merge_budget)
UNKNOWN = np.zeros(1)


def evidence_of(person: np.ndarray, nats: float = 4.0, veto: np.ndarray | None = None) -> Evidence:
    """N tracklets that all see each other: so much for each true pair, as much against each other one."""
    n = len(person)
    same, itself = person[:, None] == person[None], np.eye(n, dtype=np.bool_)
    times = np.arange(n, dtype=np.int64)
    return Evidence(
        veto=np.zeros((n, n), np.bool_) if veto is None else veto,
        floor=np.where(itself, 0.0, np.where(same, nats, -nats)),
        looks=np.full((n, n), np.nan),
        gap_s=np.where(itself, np.inf, 0.0),
        way=np.zeros((n, n)),
        first_us=(times, times),
        birth=(np.zeros(n), np.zeros(n)),
    )


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def revised(evidence: Evidence, labels: np.ndarray) -> np.ndarray:
    labels = labels.copy()
    for change in revise(evidence, labels, int(labels.max()) + 1, SETTINGS):
        if change.kind == "merge":
            labels[labels == change.other] = change.person
        else:
            assert labels[change.row] == change.other
            labels[change.row] = change.person
    return labels


@given(st.lists(st.integers(0, 4), min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_revision_finds_the_true_people_from_any_beginning(person: list[int], random: object) -> None:
    true = np.array(person)
    rng = np.random.default_rng(abs(hash(random.random())) % 2**32)  # type: ignore[attr-defined]
    evidence = evidence_of(true)
    for start in (np.arange(len(true)), np.zeros(len(true), np.int64), rng.integers(0, 5, len(true))):
        assert partition(revised(evidence, start)) == partition(true)
    assert revise(evidence, true, 99, SETTINGS) == []  # what is right stays


def doubtful(rng: np.random.Generator, n: int) -> Evidence:
    """N tracklets that agree and disagree at random, some of them born where nobody comes in."""
    both = [np.triu(rng.normal(0.0, 3.0, (n, n)), 1).round(2) for _ in range(2)]
    floor, looks = (half + half.T for half in both)
    looks[rng.random((n, n)) < 0.2] = np.nan
    np.fill_diagonal(looks, np.nan)
    base, times = evidence_of(np.arange(n)), rng.integers(0, 9, n)
    birth = rng.choice([0.0, 2.0], n)
    return replace(
        base,
        floor=floor,
        looks=np.where(np.isnan(looks.T), np.nan, looks),
        first_us=(times, times),
        birth=(birth, birth),
    )


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_a_move_gains_what_the_tracklet_fits_better_elsewhere_than_with_the_others_of_its_person(
    n: int, seed: int
) -> None:
    """Counted anew for each move, with the tracklet taken out of its person; and nobody is moved to and fro."""
    rng = np.random.default_rng(seed)
    evidence, labels = doubtful(rng, n), rng.integers(0, 4, n)
    moved = []
    for change in revise(evidence, labels, 99, SETTINGS):
        if change.kind == "merge":
            labels[labels == change.other] = change.person
            continue
        moved.append(change.row)
        alone = labels.copy()
        alone[change.row] = -1
        people, folded = fold(evidence, alone)
        score = dict(zip(people.tolist(), folded.score()[change.row] - NEEDED, strict=True))
        assert change.gain == pytest.approx(
            score.get(change.person, 0.0) - score[change.other] - SETTINGS.revise_margin, abs=1e-3
        )
        labels[change.row] = change.person
    assert len(moved) == len(set(moved))


def test_who_came_in_by_the_door_stays_with_the_others_of_their_visit() -> None:
    """Whoever of them was seen first: against the others, the later one is who was not born among the shelves."""
    evidence = evidence_of(np.zeros(3, np.int64))
    floor = np.array([[0.0, 6.0, 5.5], [6.0, 0.0, -9.0], [5.5, -9.0, 0.0]])
    birth = np.array([0.0, 2.0, 2.0])
    evidence = replace(evidence, floor=floor, birth=(birth, birth))
    assert revise(evidence, np.array([1, 1, 2]), 99, SETTINGS) == []


def test_revision_never_joins_over_a_veto_and_parts_who_were_joined_over_one() -> None:
    veto = np.zeros((3, 3), np.bool_)
    veto[0, 1] = veto[1, 0] = True
    evidence = evidence_of(np.zeros(3, np.int64), veto=veto)
    for start in ([0, 1, 2], [0, 0, 0], [0, 0, 1]):
        labels = revised(evidence, np.array(start))
        assert labels[0] != labels[1]


def test_tracklets_that_wait_are_left_alone() -> None:
    evidence = evidence_of(np.zeros(4, np.int64))
    labels = np.array([-1, 3, 5, -1])
    after = revised(evidence, labels)
    assert after.tolist() == [-1, 3, 3, -1]


def test_little_evidence_corrects_nothing() -> None:
    evidence = evidence_of(np.zeros(2, np.int64), nats=NEEDED + SETTINGS.revise_margin - 0.1)
    assert revise(evidence, np.array([0, 1]), 2, SETTINGS) == []


def test_a_person_is_judged_by_the_floor_of_all_the_mean_of_the_looks_and_the_nearest_way() -> None:
    true = np.array([0, 0, 1])
    base = evidence_of(true)
    looks = np.array([[np.nan, 2.0, -3.0], [2.0, np.nan, np.nan], [-3.0, np.nan, np.nan]])
    gap_s = np.array([[np.inf, 1.0, 5.0], [1.0, np.inf, 2.0], [5.0, 2.0, np.inf]])
    way = np.array([[0.0, 1.5, 0.7], [1.5, 0.0, -0.4], [0.7, -0.4, 0.0]])
    evidence = Evidence(
        base.veto, base.floor, looks, gap_s, way, base.first_us, (np.zeros(3), np.array([0.0, 9.0, 0.5]))
    )
    people, folded = fold(evidence, true)
    assert people.tolist() == [0, 1]
    np.testing.assert_allclose(folded.said_by_floor()[2], [-8 / np.sqrt(2), 0.0])
    assert (folded.looks[2, 0], folded.described[2, 0]) == (-3.0, 1.0)
    assert folded.way[2, 0] == -0.4  # the nearer of the two sightings
    assert folded.birth[1].tolist() == [0.0, 0.5]  # of the first tracklet of each
    _, both = between(folded, true)
    np.testing.assert_allclose(both.said_by_floor(), np.sqrt(2) * np.array([[4, -4], [-4, 0]]))
    np.testing.assert_array_equal(both.gap_s, [[1.0, 2.0], [2.0, np.inf]])


@given(st.lists(st.floats(-9, 9).map(lambda nats: round(nats, 2)), min_size=2, max_size=6))
def test_what_the_floor_says_is_the_same_from_both_sides_and_grows_with_the_root_of_its_number(
    nats: list[float],
) -> None:
    n = len(nats)
    base = evidence_of(np.arange(n + 1))
    floor = np.zeros((n + 1, n + 1))
    floor[0, 1:] = floor[1:, 0] = nats
    evidence = Evidence(base.veto, floor, base.looks, base.gap_s, base.way, base.first_us, base.birth)
    _, rows = fold(evidence, labels := np.array([0] + [1] * n))
    _, both = between(rows, labels)
    parts = [[v for v in nats if v > 0], [v for v in nats if v < 0]]
    expected = sum(sum(part) / np.sqrt(len(part)) for part in parts if part)
    np.testing.assert_allclose(rows.said_by_floor()[0, 1], expected)
    np.testing.assert_allclose([both.said_by_floor()[0, 1], both.said_by_floor()[1, 0]], expected)


def test_two_tracklets_of_one_camera_never_get_one_person_and_the_better_fit_wins_the_sum() -> None:
    score = np.array([[9.0, 8.0], [8.5, -np.inf]])
    choices = decide(score, np.zeros(2), np.array([True, True]), SETTINGS)
    assert [choice.person for choice in choices] == [1, 0]


def test_no_evidence_makes_a_new_person_and_a_narrow_lead_waits() -> None:
    score = np.array([[NEEDED - 3.0], [NEEDED + 0.2]])
    sure, unsure = decide(score, np.zeros(2), np.array([False, False]), SETTINGS)
    assert (sure.kind, unsure.kind, unsure.unclear) == ("create", "wait", "margin")
    forced = decide(score, np.zeros(2), np.array([True, True]), SETTINGS)[1]
    assert (forced.kind, forced.person) == ("assign", 0)


def test_the_probability_of_a_link_falls_with_the_number_of_people_who_fit() -> None:
    alone = decide(np.array([[5.0]]), UNKNOWN, np.array([True]), SETTINGS)[0]
    among = decide(np.array([[5.0, 4.9, 4.8]]), UNKNOWN, np.array([True]), SETTINGS)[0]
    assert alone.p_same > 0.85
    assert decide(np.array([[12.0]]), UNKNOWN, np.array([True]), SETTINGS)[0].p_same > 0.99
    assert 0.3 < among.p_same < 0.5


@pytest.mark.parametrize("nobody", [-1.0, 0.0, 1.5])
def test_the_probability_of_a_new_person_falls_with_everybody_who_fits(nobody: float) -> None:
    alone, one, several = (
        decide(np.array([scores]), np.array([nobody]), np.array([True]), SETTINGS)[0]
        for scores in ([nobody - 9.0], [nobody], [nobody] * 3)
    )
    assert [choice.kind for choice in (alone, one, several)] == ["create"] * 3
    assert alone.p_same > 0.99
    assert one.p_same == pytest.approx(0.5)  # as much speaks for them as for somebody new
    assert several.p_same == pytest.approx(0.25)


def test_how_usual_newcomers_are_changes_probabilities_and_no_decision() -> None:
    rng = np.random.default_rng(3)
    for score in rng.normal(2.0, 4.0, (50, 3, 4)):
        few, many = (decide(score, np.full(3, nats), np.full(3, True), SETTINGS) for nats in (-2.0, 4.0))
        assert [(c.kind, c.person) for c in few] == [(c.kind, c.person) for c in many]
        for rare, usual in zip(few, many, strict=True):
            assert (rare.p_same < usual.p_same) == (rare.kind == "create")


def test_without_people_everybody_is_new() -> None:
    people, folded = fold(evidence_of(np.array([0, 1])), np.array([-1, -1]))
    assert len(people) == 0
    choices = decide(folded.score(), np.zeros(2), np.array([False, False]), SETTINGS)
    assert [choice.kind for choice in choices] == ["create", "create"]
