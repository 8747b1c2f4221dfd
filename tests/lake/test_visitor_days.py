"""Unique visitors from arrays and from kept days, against a replay of the decisions one after the other."""

from __future__ import annotations

import math
import shutil
from datetime import date, time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext, SiteRow
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.questions import Question
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import save_visitor_days, unique_visitors
from tests.lake.replayed_visitors import Replay

DAY = BusinessDay("Europe/Berlin", time(4))

STARTS = [DAY.start_us(date(2026, 3, 28 + n)) if n < 4 else DAY.start_us(date(2026, 4, n - 3)) for n in range(6)]
S, HOUR_US, NAN = 1_000_000, 3_600_000_000, math.nan
Tables = dict[str, list[Record]]


def fill(root: Path, run: str, epoch: int, tables: Tables) -> None:
    context = RowContext("shop-1", run, "c1")
    stage = Stage(root, context, "site", DAY)
    publish(
        root, context, epoch, [e for table, rows in tables.items() for e in stage.write_records(table, rows, epoch)]
    )


def ask(start_us: int, end_us: int) -> Question:
    return Question("shop-1", DAY, start_us, end_us, ("door",))


def moments() -> st.SearchStrategy[int]:
    """Mostly about starts of the days, and anywhere."""
    near = st.sampled_from(STARTS).flatmap(lambda at: st.sampled_from([at - HOUR_US, at - S, at, at + S, at + HOUR_US]))
    return st.one_of(near, st.integers(STARTS[0] // S, STARTS[-1] // S).map(lambda second: second * S))


@st.composite
def runs(draw: st.DrawFn) -> Tables:
    """A run that ends its sessions where days begin, or anywhere; late decisions, merges, splits, some staff."""
    tables: Tables = {name: [] for name in ("tracklets", "identity_events", "line_crossings", "journeys")}
    times: dict[int, tuple[int, int]] = {}
    for local_id in range(1, draw(st.integers(1, 12)) + 1):
        at = draw(moments())
        times[local_id] = at, at + draw(st.sampled_from([0, 2 * S, 4 * S, HOUR_US, HOUR_US, 30 * HOUR_US]))
        tables["tracklets"].append(TrackletRow("door", local_id, *times[local_id], 9, 0.9, NAN, 1, 0.5))
        if draw(st.integers(0, 3)) == 0:
            turned = draw(st.booleans())
            tables["line_crossings"].append(LineCrossing("main", "door", local_id, at, "in", turned_back=turned))
    if draw(st.booleans()):  # a tidy run: every session decides about its own day
        plan = [(at, f"s{n}") for n, at in enumerate(STARTS[:-1])]
    else:
        plan = [(draw(moments()), f"s{draw(st.integers(0, 4))}") for _ in range(draw(st.integers(1, 5)))]
    sequence = 0
    for (at, session), (until, _) in pairwise([*plan, (STARTS[-1], "")]):
        if draw(st.integers(0, 4)):
            tables["identity_events"].append(
                IdentityEvent(at, sequence, "session", session, None, None, None, None, NAN, NAN, "", NAN)
            )
            sequence += 1
        own = [key for key, (first, _) in times.items() if at <= first < until] or list(times)
        for _ in range(draw(st.integers(0, 8))):
            kind = draw(st.sampled_from(["create", "assign", "assign", "merge", "split"]))
            key = draw(st.sampled_from(own)) if kind != "merge" else None
            when = max(at, times[key][0]) if key is not None else at + draw(st.sampled_from([0, S, 26 * HOUR_US]))
            who, other = draw(st.integers(1, 4)), draw(st.integers(1, 4)) if kind in ("merge", "split") else None
            p_same = draw(st.sampled_from([0.9, 0.65, NAN]))
            camera = None if key is None else "door"
            tables["identity_events"].append(
                IdentityEvent(when, sequence, kind, session, who, other, camera, key, 1.0, 1.0, "", p_same)  # type: ignore[arg-type]
            )
            sequence += 1
        if draw(st.booleans()):
            share, who = draw(st.sampled_from([0.2, 0.5, 0.9])), draw(st.integers(1, 4))
            tables["journeys"].append(
                Journey(f"{session}-{at}", session, who, at, at, False, (), 0.9, None, None, None, share, sequence)
            )
    return tables


def intervals() -> list[Question]:
    """Single days, the whole, some days, and days cut off."""
    days = [ask(start, end) for start, end in pairwise(STARTS)]
    cut = [ask(STARTS[1] + 2 * S, STARTS[3]), ask(STARTS[0], STARTS[2] + HOUR_US), ask(STARTS[1] - S, STARTS[1] + S)]
    return [*days, ask(STARTS[0], STARTS[5]), ask(STARTS[1], STARTS[4]), ask(STARTS[1], STARTS[3]), *cut]


def check(lake: Lake) -> None:
    replay = Replay(lake)
    for question in intervals():
        assert unique_visitors(lake, question) == replay.visitors(question)
    for question in intervals()[::3]:
        for staff_from in (STAFF_FROM, 0.3):
            assert unique_visitors(lake, question, staff_from=staff_from) == replay.visitors(question, staff_from)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=runs(), second=runs(), late=runs())
def test_visitors_are_those_of_a_replay(
    tmp_path_factory: pytest.TempPathFactory, first: Tables, second: Tables, late: Tables
) -> None:
    root = tmp_path_factory.mktemp("lake")
    fill(root, "r1", 0, first)
    fill(root, "r2", 0, second)
    with open_lake(root) as lake:
        check(lake)
        fill(root, "r3", 0, late)
        gone = sorted((root / "identity_events").rglob("*-r2-*.parquet"))[:1]
        for path in gone:
            path.unlink()
        check(lake)
    shutil.rmtree(root)


# --- a tidy store: what is kept, and when it is used


def tidy(root: Path, days: int = 4) -> None:
    """Every day has its session, two people, three links of 0.9 and a doubtful one."""
    tables: Tables = {"tracklets": [], "identity_events": [], "sites": []}
    for number, at in enumerate(STARTS[:days]):
        session, base = f"s{number}", 10 * number
        tables["identity_events"].append(
            IdentityEvent(at, base, "session", session, None, None, None, None, NAN, NAN, "", NAN)
        )
        for i in range(1, 6):
            when, who = at + i * HOUR_US, 1 + i % 2
            tables["tracklets"].append(TrackletRow("door", base + i, when, when + 10 * S, 9, 0.9, NAN, 1, 0.5))
            kind, p_same = "create" if i < 3 else "assign", 0.9 if i < 5 else 0.5
            tables["identity_events"].append(
                IdentityEvent(when, base + i, kind, session, who, None, "door", base + i, 1.0, 1.0, "", p_same)  # type: ignore[arg-type]
            )
    tables["sites"].append(SiteRow(STARTS[0], "Shop", "Europe/Berlin", "04:00", "{}"))
    fill(root, "r1", 0, tables)


def late_merge(number: int, sequence: int) -> Tables:
    at = STARTS[number] + 9 * HOUR_US
    return {
        "identity_events": [
            IdentityEvent(at, sequence, "merge", f"s{number}", 1, 2, None, None, 1.0, 1.0, "", 0.8)
        ]
    }  # fmt: skip


def counts(lake: Lake, question: Question) -> list[int]:
    return [day.visitors for day in unique_visitors(lake, question)]


def test_kept_days_answer_days_and_weeks_as_long_as_they_hold(tmp_path: Path) -> None:
    tidy(tmp_path)
    week = ask(STARTS[0], STARTS[4])
    with open_lake(tmp_path) as lake:
        saved = save_visitor_days(lake, "shop-1")
        assert (saved.days, saved.summed_up) == (4, 4)
        assert unique_visitors(lake, week) == Replay(lake).visitors(week)
        assert counts(lake, week) == [2, 2, 2, 2]
    with open_lake(tmp_path) as lake:
        assert save_visitor_days(lake, "shop-1").summed_up == 0
    path = tmp_path / "_rollups" / "shop-1" / "unique_visitors.json"
    path.write_text(path.read_text().replace('"visitors":2,', '"visitors":7,'))
    with open_lake(tmp_path) as lake:  # the control: the file is what the answers come from
        assert counts(lake, week) == [7, 7, 7, 7]
        assert counts(lake, ask(STARTS[1], STARTS[2])) == [7]
        assert counts(lake, ask(STARTS[1] + 1, STARTS[2])) == [2]
        assert counts(lake, ask(STARTS[1] + 1, STARTS[4])) == [2, 7, 7]
        fill(tmp_path, "r1", 1, late_merge(0, 90))
        assert counts(lake, week) == [1, 2, 7, 7]  # the day of the file and the one after it are counted anew
        assert save_visitor_days(lake, "shop-1").summed_up == 0
    path.write_text('{"2026-03-28": {"digest"')
    with open_lake(tmp_path) as lake:
        assert counts(lake, week) == [1, 2, 2, 2]
        assert save_visitor_days(lake, "shop-1").summed_up == 0


def test_a_decision_long_after_its_day_counts_in_the_whole_interval_alone(tmp_path: Path) -> None:
    """The merge is told three days later: the day by itself does not know it, the four days together do."""
    tidy(tmp_path)
    at = STARTS[3] + HOUR_US
    merge = IdentityEvent(at, 90, "merge", "s0", 1, 2, None, None, 1.0, 1.0, "", 0.8)
    fill(tmp_path, "r1", 1, {"identity_events": [merge]})
    with open_lake(tmp_path) as lake:
        assert counts(lake, ask(STARTS[0], STARTS[1])) == [2]
        assert counts(lake, ask(STARTS[0], STARTS[4])) == [1, 2, 2, 2]
        assert counts(lake, ask(STARTS[0], STARTS[2])) == [2, 2]


def test_a_session_over_two_days_counts_its_people_once(tmp_path: Path) -> None:
    times = (STARTS[1] - HOUR_US, STARTS[1] + HOUR_US)
    tracklets: list[Record] = [
        TrackletRow("door", i, at, at + 9 * S, 9, 0.5, NAN, 1, 0.5) for i, at in enumerate(times)
    ]
    events: list[Record] = [
        IdentityEvent(at, i, "assign" if i else "create", "s", 5, None, "door", i, 1.0, 1.0, "", 0.9)  # type: ignore[arg-type]
        for i, at in enumerate(times)
    ]
    fill(tmp_path, "r1", 0, {"tracklets": tracklets, "identity_events": events})
    with open_lake(tmp_path) as lake:
        assert counts(lake, ask(STARTS[0], STARTS[2])) == [1]
        assert counts(lake, ask(STARTS[0], STARTS[1])) == counts(lake, ask(STARTS[1], STARTS[2])) == [1]


def test_decisions_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    tidy(tmp_path)
    fill(tmp_path, "r1", 1, late_merge(0, 3))
    with open_lake(tmp_path) as lake, pytest.raises(DataError, match="run 'r1': identity decision 3 of session 's0'"):
        unique_visitors(lake, ask(STARTS[0], STARTS[1]))


def test_any_numbers_name_tracklets(tmp_path: Path) -> None:
    """Local ids of all of int64, on two cameras that use the same ones."""
    ids, at = (1, 1 << 62, -(1 << 62), (1 << 63) - 1), STARTS[0] + HOUR_US
    places = [(camera, local_id) for camera in ("door", "till") for local_id in ids]
    tracklets: list[Record] = [TrackletRow(*place, at, at + 9 * S, 9, 0.5, NAN, 1, 0.5) for place in places]
    events: list[Record] = [
        IdentityEvent(at, i, "create" if i < 2 else "assign", "s", i % 2, None, *place, 1.0, 1.0, "", 0.9)  # type: ignore[arg-type]
        for i, place in enumerate(places)
    ]
    fill(tmp_path, "r1", 0, {"tracklets": tracklets, "identity_events": events})
    with open_lake(tmp_path) as lake:
        (found,) = unique_visitors(lake, ask(STARTS[0], STARTS[1]))
        assert [found] == Replay(lake).visitors(ask(STARTS[0], STARTS[1]))
        assert (found.visitors, found.links) == (2, 6)
