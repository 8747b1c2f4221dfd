"""Raw and staff-excluded visitors of an interval, as persons and as parties."""

from __future__ import annotations

from datetime import time
from pathlib import Path

from retail_ray.core.time import US_PER_S, BusinessDay
from retail_ray.lake.headcount import Headcount, headcount
from retail_ray.lake.questions import Question
from retail_ray.lake.views import open_lake
from tests.evaluation.stores import DURATION_S, NAN, START_US, Seen, perfect


def asked(seen: Seen, root: Path, seconds: int = DURATION_S, staff_from: float = 0.5) -> Headcount:
    question = Question("shop", BusinessDay("UTC", time(0)), START_US, START_US + seconds * US_PER_S)
    with open_lake(seen.write(root)) as lake:
        return headcount(lake, question, staff_from)


def test_staff_is_left_out_beside_the_raw_numbers(tmp_path: Path) -> None:
    """Persons 1 and 2 are a group, person 4 is staff."""
    assert asked(perfect(), tmp_path) == Headcount(4, 3, 4, 3, 3, 2, 0)


def test_only_visits_that_began_in_the_interval_count(tmp_path: Path) -> None:
    assert asked(perfect(), tmp_path, seconds=20) == Headcount(2, 2, 2, 2, 1, 1, 0)


def test_what_was_not_assessed_counts_as_no_staff_and_is_told(tmp_path: Path) -> None:
    seen = perfect()
    seen.change("journeys", 3, staff_probability=NAN)
    assert asked(seen, tmp_path) == Headcount(4, 4, 4, 4, 3, 3, 1)


def test_two_visits_of_one_identity_are_one_person_and_staff_on_both(tmp_path: Path) -> None:
    seen = perfect()
    seen.change("journeys", 2, identity_id=4)
    assert asked(seen, tmp_path) == Headcount(4, 2, 3, 2, 3, 1, 0)


def test_without_journeys_there_are_none(tmp_path: Path) -> None:
    seen = perfect()
    seen.tables["journeys"] = []
    assert asked(seen, tmp_path) == Headcount(0, 0, 0, 0, 0, 0, 0)
