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

from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.questions import Question
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import unique_visitors
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
