"""People out of memory: who comes back is found, strangers are not taken for one of many, and a session ends well."""

from __future__ import annotations

import numpy as np
import pytest

from retail_ray.identity.evidence import needed_nats
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.looks import LooksModel
from retail_ray.identity.past import Presence, Recogniser
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Place, Tracklet
from tests.support.embeddings import Looks

S = 1_000_000
SETTINGS = GallerySettings()
NEEDED = needed_nats(SETTINGS.false_merge_budget)


def at(second: float, x_m: float = 0.0) -> Place:
    return second * S, x_m, 0.0, 0.1, 0.0, 0.1


def seen(first_s: int, last_s: int, x_m: float = 0.0) -> Presence:
    return Presence(((first_s * S, last_s * S),), at(first_s, x_m), at(last_s, x_m))


def tracklet(number: int, vector: np.ndarray, first_s: int) -> Tracklet:
    return Tracklet(0, number, first_s * S, first_s * S + S, first_s * S, appearance=vector.astype(np.float64))


def crowd(people: int, strangers: int = 200) -> tuple[Recogniser, dict[int, Presence], Looks]:
    looks = Looks.draw(people + strangers, np.random.default_rng(4), 512)
    index = PrototypeIndex()
    for person in range(people):
        index.add(person, looks.views(np.full(5, person), np.random.default_rng(person)))
    known = Recogniser(index, LooksModel.shipped(SETTINGS), 100.0, SETTINGS)
    return known, {person: seen(10, 20) for person in range(people)}, looks


def share_linked(known: Recogniser, past: dict[int, Presence], looks: Looks, who: np.ndarray) -> tuple[float, float]:
    """Share of newcomers linked to anybody, and to the right one."""
    rng = np.random.default_rng(99)
    vectors = np.stack([looks.views(np.full(6, one), rng).mean(axis=0) for one in who])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    newcomers = [tracklet(number, vector, 4000) for number, vector in enumerate(vectors)]
    people, score = known.recognise(newcomers, np.array([at(4000)] * len(newcomers)), past)
    best = score.max(axis=1)
    right = people[score.argmax(axis=1)] == who
    return float((best >= NEEDED).mean()), float(((best >= NEEDED) & right).mean())


@pytest.mark.parametrize("people", [10, 40, 200])
def test_strangers_are_not_taken_for_one_of_many(people: int) -> None:
    known, past, looks = crowd(people)
    linked, _ = share_linked(known, past, looks, np.arange(people, people + 200))
    assert linked <= 0.02


def test_who_comes_back_is_found_among_forty() -> None:
    known, past, looks = crowd(40)
    linked, right = share_linked(known, past, looks, np.arange(40))
    assert right >= 0.8
    assert right == linked


def test_the_more_people_there_were_the_more_likeness_it_needs() -> None:
    known, past, looks = crowd(200, strangers=0)
    vector = looks.views(np.full(6, 3), np.random.default_rng(5)).mean(axis=0)
    newcomer = [tracklet(1, vector / np.linalg.norm(vector), 4000)]
    _, one = known.recognise(newcomer, np.array([at(4000)]), {3: past[3]})
    people, many = known.recognise(newcomer, np.array([at(4000)]), past)
    np.testing.assert_allclose(one[0, 0] - many[0, people == 3], np.log(200))


def test_who_was_seen_at_once_with_somebody_or_is_too_far_away_is_not_that_person() -> None:
    index, vector = PrototypeIndex(), np.eye(16, dtype=np.float32)[:1]
    for person in (1, 2):
        index.add(person, vector)
    known = Recogniser(index, LooksModel.shipped(SETTINGS), 100.0, SETTINGS)
    early, later = seen(0, 10), seen(300, 310)
    assert [(c.person, c.other) for c in known.reunite({1: early, 2: later}, {1: early})] == [(1, 2)]
    assert known.reunite({1: early, 2: later}, {}) == []  # both in memory: revision has judged them in full
    assert known.reunite({1: early, 2: seen(5, 12)}, {1: early}) == []
    assert known.reunite({1: early, 2: seen(12, 20, x_m=40.0)}, {1: early}) == []


def test_presence_is_the_same_in_whatever_order_it_is_put_together() -> None:
    parts = [seen(5, 9, 1.0), seen(0, 3, 2.0), seen(20, 22, 3.0)]
    whole = parts[0] + parts[1] + parts[2]
    assert whole == parts[2] + (parts[1] + parts[0])
    assert (whole.first[1], whole.last[1], whole.last_us) == (2.0, 3.0, 22 * S)
