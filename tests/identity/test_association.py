from __future__ import annotations

import numpy as np
import pytest

from retail_ray.identity.association import Geometry, decide, likeness, per_person, total_score
from retail_ray.identity.settings import GallerySettings

SETTINGS = GallerySettings(accept=0.7, min_margin=0.05)
NO = -np.inf


@pytest.mark.parametrize(
    ("score", "forced", "expected"),
    [
        # nobody known yet
        ([[], []], False, [("create", None), ("create", None)]),
        # clear link; nothing else comes near
        ([[0.9, 0.2]], False, [("assign", 0)]),
        # nobody is good enough
        ([[0.6, 0.2]], False, [("create", None)]),
        # everybody is vetoed
        ([[NO, NO]], False, [("create", None)]),
        # the sum counts: greedy would give 0 to the first and leave the second with nothing
        ([[0.95, 0.9], [0.9, 0.1]], False, [("wait", None), ("assign", 0)]),
        # too close to call: wait, and after the limit a new person
        ([[0.9, 0.88]], False, [("wait", None)]),
        ([[0.9, 0.88]], True, [("create", None)]),
        # two fragments want one person: the better one gets it, the other waits for the next tick
        ([[0.95], [0.8]], False, [("assign", 0), ("wait", None)]),
        ([[0.95], [0.8]], True, [("assign", 0), ("create", None)]),
    ],
)
def test_choices(score: list[list[float]], forced: bool, expected: list[tuple[str, int | None]]) -> None:
    table = np.array(score, np.float64).reshape(len(score), -1)
    choices = decide(table, np.full(len(score), forced), SETTINGS)
    assert [(choice.kind, choice.person) for choice in choices] == expected


def test_margin_is_the_lead_over_the_next_person_and_nan_without_one() -> None:
    two, one = decide(np.array([[0.9, 0.5]]), np.array([False]), SETTINGS)[0], np.array([[0.9, NO]])
    assert two.margin == pytest.approx(0.4)
    assert np.isnan(decide(one, np.array([False]), SETTINGS)[0].margin)


def test_one_veto_against_any_tracklet_of_a_person_is_a_veto() -> None:
    judged = Geometry(np.array([[False, True, False]]), np.array([[0.3, 0.0, 0.1]]), np.array([[True, False, False]]))
    people, folded = per_person(judged, np.array([4, 4, 2]))
    assert people.tolist() == [2, 4]
    assert folded.veto.tolist() == [[False, True]]
    assert folded.bonus.tolist() == [[0.1, 0.3]]
    assert total_score(np.array([[0.5, 0.9]]), folded, SETTINGS).tolist() == [[0.6, NO]]


def test_likeness_of_people_beyond_the_neighbours_is_bounded_by_the_last_one() -> None:
    found = (np.array([[7, 3, 7]]), np.array([[0.9, 0.8, 0.6]]))
    cosine = likeness(found, np.array([3, 5, 7, 9]), np.array([True, True, True, False]))
    assert cosine[0, :3].tolist() == [0.8, 0.6, 0.9]
    assert np.isnan(cosine[0, 3])


def test_without_likeness_or_floor_nothing_speaks_for_a_link() -> None:
    none = Geometry(np.zeros((1, 1), bool), np.zeros((1, 1)), np.zeros((1, 1), bool))
    assert total_score(np.array([[np.nan]]), none, SETTINGS).tolist() == [[NO]]
