from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.identity_map import Link
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.questions import Question
from retail_ray.lake.views import open_lake
from retail_ray.lake.visitor_counts import Decided, Range, Visitors, people_range
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
    # Of 5 tracklets, assessed or not, the doubtful one hides nobody but for the share of newcomers among them.
    assert found.people.expected == pytest.approx((2 - 0.1) / (1 - 0.7 * 0.4 / 5))
    assert (found.people.low, found.people.high) == (0 + 1, 4)


def test_a_merge_counts_one_person_less_and_one_link_more(tmp_path: Path) -> None:
    events = [event(0, "create", 1, 1), event(1, "create", 2, 2), event(2, "merge", 1, None, 0.7, other=2)]
    tracks = [track(1, 0, 9 * S), track(2, 10 * S, 19 * S)]
    (found,) = ask(tmp_path, identity_events=events, tracklets=tracks)
    assert (found.visitors, found.links, found.people.expected) == (1, 1, pytest.approx(1.3))
    doubtful = [event(0, "create", 1, 1), event(1, "create", 2, 2, 0.5), *events[2:]]
    (found,) = ask(tmp_path / "doubtful", identity_events=doubtful, tracklets=tracks)
    assert found.people.expected == pytest.approx(1 + 0.3 * 0.5)  # who was hardly new is counted elsewhere


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


def decided(rng: np.random.Generator, people: int, tracklets: int) -> Decided:
    """What a gallery that errs makes of these people.

    Every fifth tracklet is taken for somebody else, of newcomers seven in 50; they go on as that other from then on.
    Known people are taken for somebody new with 0.1. Two identities in five are held against another one, and joined
    to it by mistake in three of five cases, otherwise if they were somebody known. p_same is the share of such
    decisions that was right.
    """
    whose = rng.permutation(np.concatenate([np.arange(people), rng.integers(0, people, tracklets - people)]))
    met, links, births = set[int](), list[bool](), list[bool]()
    for person in whose.tolist():
        first, chance = person not in met, rng.random()
        if births and chance < (0.14 if first else 0.2):
            links.append(False)
        elif first or chance > 0.9:
            births.append(first)
        else:
            links.append(True)
        met.add(person)
    new = np.array(births)
    held, wrong = rng.random(len(new)) < 0.4, rng.random(len(new)) < 0.6
    joined = held & (wrong | ~new)
    stay, went = int((~joined).sum()), int(joined.sum())
    right = [np.mean(some) if len(some) else 1.0 for some in (links, new[~joined], ~wrong[joined])]
    p_same = np.repeat(right, [len(links), stay, went])
    founder = np.repeat([False, True, False], [len(links), stay, went])
    return Decided(p_same, founder, np.repeat([NAN, NAN, new.mean()], [len(links), stay, went]))


@pytest.mark.parametrize(("people", "tracklets"), [(30, 300), (200, 800), (500, 700)])
def test_the_estimate_is_near_the_truth_of_galleries_that_err(people: int, tracklets: int) -> None:
    """Counting identities errs by far more, and so do a new person for every wrong link, and joins taken for links."""
    rng = np.random.default_rng(people)
    galleries = [decided(rng, people, tracklets) for _ in range(200)]
    found = [estimated(gallery) for gallery in galleries]
    error = abs(np.mean([one.expected for one in found]) - people) / people
    assert error < 0.06
    assert np.mean([one.low <= people <= one.high for one in found]) >= 0.9
    controls = [
        np.mean([g.founder.sum() for g in galleries]),
        np.mean(
            [g.founder.sum() + (1 - g.p_same)[~g.founder].sum() - (1 - g.p_same)[g.founder].sum() for g in galleries]
        ),
        np.mean([estimated(replace(g, p_new=np.full(len(g.p_new), NAN))).expected for g in galleries]),
    ]
    assert min(abs(control - people) / people for control in controls) > 2 * error


def estimated(gallery: Decided) -> Range:
    return people_range(int(gallery.founder.sum()), gallery)


@given(identities=st.integers(1, 40), links=chances, births=chances, joins=chances)
def test_the_range_holds_its_expectation_and_surer_decisions_narrow_it(
    identities: int, links: list[float], births: list[float], joins: list[float]
) -> None:
    births = births[:identities]
    founder = np.arange(len(links) + len(births) + len(joins)) < len(births)
    p_new = np.where(np.arange(len(founder)) < len(births) + len(links), NAN, 0.7)
    decisions = Decided(np.array([*births, *links, *joins]), founder, p_new)
    found = people_range(identities, decisions)
    assert 1 <= found.low <= math.ceil(found.expected)
    assert found.high >= math.floor(found.expected)
    sure = people_range(identities, replace(decisions, p_same=np.ones(len(founder))))
    assert (sure.expected, sure.low, sure.high) == (identities, identities, identities)
    unknown = people_range(identities, replace(decisions, p_same=np.full(len(founder), NAN)))
    assert unknown == sure


def test_nobody_is_nobody() -> None:
    none = people_range(0, Decided.of([]))
    assert (none.expected, none.low, none.high) == (0, 0, 0)
    alone = people_range(1, Decided.of([Link(0, 0.1, founder=True)]))
    assert (alone.expected, alone.low) == (1, 1)
