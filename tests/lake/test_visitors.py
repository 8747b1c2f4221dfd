from __future__ import annotations

import math
from datetime import date, time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.questions import Question
from retail_ray.lake.views import open_lake
from retail_ray.lake.visitor_counts import Visitors, people_range
from retail_ray.lake.visitors import unique_visitors

DAY = BusinessDay("UTC", time(0))
DAY_US, S = 86_400_000_000, 1_000_000
NAN = math.nan
chances = st.lists(st.floats(0, 1), max_size=4)


def event(sequence: int, kind: str, identity: int | None, local_id: int | None, p: float = NAN, *,
          other: int | None = None, session: str = "s1", at_us: int = 0) -> Record:  # fmt: skip
    camera = None if local_id is None else "door"
    return IdentityEvent(at_us, sequence, kind, session, identity, other, camera, local_id, NAN, NAN, "", p)  # type: ignore[arg-type]


def track(local_id: int, first_us: int, last_us: int) -> Record:
    return TrackletRow("door", local_id, first_us, last_us, 9, 0.9, NAN, 1, 0.5)


def ask(root: Path, start_us: int = 0, end_us: int = DAY_US, **tables: list[Record]) -> list[Visitors]:
    context = RowContext("shop-1", "r1", "c1")
    stage = Stage(root, context, "site", DAY)
    publish(
        root, context, 0, [entry for table, rows in tables.items() for entry in stage.write_records(table, rows, 0)]
    )
    with open_lake(root) as lake:
        return unique_visitors(lake, Question("shop-1", DAY, start_us, end_us))


def test_links_founders_and_those_too_short_to_count(tmp_path: Path) -> None:
    """Identities: 1 with a sure and a doubtful link, 2 seen for 1 s, 3 as short but it crossed a line."""
    events = [event(0, "create", 1, 1, 0.9), event(1, "assign", 1, 2, 1.0), event(2, "assign", 1, 3, 0.6),
              event(3, "create", 2, 4), event(4, "create", 3, 5), event(5, "assign", 1, 6)]  # fmt: skip
    tracks = [track(1, 0, 9 * S), track(2, 10 * S, 19 * S), track(3, 20 * S, 29 * S), track(4, 0, S), track(5, 0, S),
              track(6, 30 * S, 31 * S)]  # fmt: skip
    crossings: list[Record] = [
        LineCrossing("main", "door", 5, S // 2, "in", turned_back=False),
        LineCrossing("main", "door", 4, S // 2, "in", turned_back=True),
    ]
    (found,) = ask(tmp_path, identity_events=events, tracklets=tracks, line_crossings=crossings)
    assert (found.day, found.visitors, found.too_short) == (date(1970, 1, 1), 2, 1)
    assert (found.links, found.unassessed_links) == (3, 1)
    assert found.people.expected == pytest.approx(2 + 0.4 - 0.1)
    assert (found.people.low, found.people.high) == (1, 3)


def test_a_merge_counts_one_person_less_and_one_link_more(tmp_path: Path) -> None:
    events = [event(0, "create", 1, 1), event(1, "create", 2, 2), event(2, "merge", 1, None, 0.7, other=2)]
    tracks = [track(1, 0, 9 * S), track(2, 10 * S, 19 * S)]
    (found,) = ask(tmp_path, identity_events=events, tracklets=tracks)
    assert (found.visitors, found.links, found.people.expected) == (1, 1, pytest.approx(1.3))


def test_each_day_and_each_interval_has_its_own(tmp_path: Path) -> None:
    """Somebody who stays over the reset is a visitor of both days."""
    events = [event(0, "session", None, None), event(1, "create", 1, 1, at_us=5),
              event(2, "session", None, None, session="s2", at_us=DAY_US),
              event(3, "create", 2, 1, session="s2", at_us=DAY_US + 5)]  # fmt: skip
    tracks = [track(1, DAY_US - 60 * S, DAY_US + 60 * S)]
    found = ask(tmp_path / "a", 0, 2 * DAY_US, identity_events=events, tracklets=tracks)
    assert [(day.day.day, day.visitors) for day in found] == [(1, 1), (2, 1)]
    later = ask(tmp_path / "b", DAY_US, 2 * DAY_US, identity_events=events, tracklets=tracks)
    assert [(day.day.day, day.visitors) for day in later] == [(2, 1)]
    cut = ask(tmp_path / "c", DAY_US - 2 * S, DAY_US, identity_events=events, tracklets=tracks)
    assert [(day.visitors, day.too_short) for day in cut] == [(0, 1)]
    assert ask(tmp_path / "d", 0, DAY_US // 2, identity_events=events, tracklets=tracks) == []


@settings(max_examples=100, deadline=None)
@given(identities=st.integers(5, 9), links=chances, births=chances)
def test_the_range_is_that_of_every_way_to_be_wrong(identities: int, links: list[float], births: list[float]) -> None:
    ways: dict[int, float] = {}
    for wrong in product([False, True], repeat=len(links) + len(births)):
        chance = math.prod((1 - p) if bad else p for p, bad in zip([*links, *births], wrong, strict=True))
        people = identities + sum(wrong[: len(links)]) - sum(wrong[len(links) :])
        ways[people] = ways.get(people, 0.0) + chance
    found = people_range(identities, np.array(links), np.array(births))
    assert found.expected == pytest.approx(sum(people * chance for people, chance in ways.items()))
    assert sum(chance for people, chance in ways.items() if found.low <= people <= found.high) >= 0.95 - 1e-9


def test_many_decisions_are_approximated() -> None:
    """2000 links at 0.9: 200 more people, with a spread of 13.4; the exact and the normal range meet."""
    exact, normal = (people_range(500, np.full(n, 0.9), np.zeros(0)) for n in (2000, 2001))
    assert (exact.expected, exact.low, exact.high) == (pytest.approx(700), 674, 727)
    assert abs(normal.low - exact.low) <= 1
    assert abs(normal.high - exact.high) <= 1


def test_nobody_is_nobody() -> None:
    none = people_range(0, np.zeros(0), np.zeros(0))
    assert (none.expected, none.low, none.high) == (0, 0, 0)
    alone = people_range(1, np.zeros(0), np.array([0.1]))
    assert (alone.expected, alone.low) == (1, 1)
