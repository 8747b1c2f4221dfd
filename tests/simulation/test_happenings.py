from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retail_ray.core.polygons import contains
from retail_ray.lake.truth import TruthOf, read_truth, write_truth
from retail_ray.simulation.happenings import Columns, happenings
from retail_ray.simulation.layouts import convenience, ready_layouts
from retail_ray.simulation.legs import legs_of
from retail_ray.simulation.scenario import Scenario, simulate
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.stays import stays_in
from retail_ray.simulation.store import StorePlan
from tests.simulation.worlds import crowd_of, scenario_of

START_US = 1_790_000_000_000_000
SETTINGS = ScenarioSettings(
    duration_s=1_000.0,
    arrivals_per_hour=240.0,
    staff=3,
    uturn_share=0.25,
    reentry_share=0.2,
    away_s=60.0,
    patience_s=40.0,
)


@pytest.fixture(scope="module", params=["convenience", "supermarket"])
def scenario(request: pytest.FixtureRequest) -> Scenario:
    plan = ready_layouts()[request.param]
    return simulate(plan, replace(SETTINGS, staff=len(plan.checkouts) + 2), 6)


@pytest.fixture(scope="module")
def truth(scenario: Scenario) -> dict[str, Columns]:
    return happenings(scenario, START_US)


def rows(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def seconds(time_us: int) -> float:
    return (int(time_us) - START_US) / 1e6


def through_the_door(*ys: float, x: float = 2.0, first_tick: int = 0) -> Scenario:
    """One person at these distances inside (+) or outside (-) of the door of `convenience`, tick by tick."""
    return scenario_of(crowd_of({1: [(first_tick + i, x, y) for i, y in enumerate(ys)]}, first_tick + len(ys) + 1))


def test_a_crossing_is_interpolated_between_ticks() -> None:
    crossings = happenings(through_the_door(-0.1, -0.05, 0.15, 0.3), START_US)["crossings"]
    assert crossings["time_us"].tolist() == [START_US + 125_000]
    assert crossings["direction"].tolist() == ["in"]
    assert crossings["turned_back"].tolist() == [False]


BACK_SOON = [-0.1, *[0.1] * 18, -0.1]
BACK_LATE = [-0.1, *[0.1] * 22, -0.1]


def test_who_comes_back_within_two_seconds_has_turned_back_and_made_no_visit() -> None:
    soon, late = (happenings(through_the_door(*ys), START_US) for ys in (BACK_SOON, BACK_LATE))
    assert soon["crossings"]["turned_back"].tolist() == [True, True]
    assert len(soon["visits"]["person_id"]) == 0
    assert late["crossings"]["turned_back"].tolist() == [False, False]
    assert seconds(late["visits"]["enter_us"][0]) == pytest.approx(0.05)
    assert seconds(late["visits"]["exit_us"][0]) == pytest.approx(2.25)


def test_who_hesitates_on_the_line_and_goes_in_has_entered_once() -> None:
    truth = happenings(through_the_door(-0.1, 0.1, -0.1, *[0.1] * 30), START_US)
    assert truth["crossings"]["turned_back"].tolist() == [True, True, False]
    assert truth["visits"]["enter_us"].tolist() == [START_US + 250_000]
    assert truth["visits"]["exit_us"].tolist() == [-1]


def test_standing_exactly_on_the_line_counts_once() -> None:
    truth = happenings(through_the_door(-0.2, 0.0, 0.0, 0.2, *[0.4] * 30), START_US)
    assert truth["crossings"]["time_us"].tolist() == [START_US + 100_000]


def test_passing_beside_the_door_line_is_no_crossing() -> None:
    assert len(happenings(through_the_door(-0.1, 0.1, x=0.5), START_US)["crossings"]["time_us"]) == 0


def test_absence_between_two_appearances_is_no_way() -> None:
    track = [(0, 2.0, -0.1), (1, 2.0, -0.1), (5, 2.0, 0.4), (6, 2.0, 0.4)]
    truth = happenings(scenario_of(crowd_of({1: track}, 8)), START_US)
    assert len(truth["crossings"]["time_us"]) == 0


def test_a_person_inside_from_the_begin_has_a_visit_without_an_entry() -> None:
    truth = happenings(through_the_door(0.4, 0.2, -0.2, -0.4), START_US)
    assert truth["visits"]["enter_us"].tolist() == [-1]
    assert truth["visits"]["exit_us"].tolist() == [START_US + 150_000]


def recount_crossings(scenario: Scenario) -> list[tuple[int, float, str]]:
    """Person by person and step by step: y of the front wall against the door's opening."""
    door, crowd = scenario.plan.doors[0], scenario.crowd
    (x0, y_line), (x1, _) = door.start_m, door.end_m
    found = []
    for person in crowd.people:
        mine = np.flatnonzero(crowd.person_id == person.person_id)
        for a, b in pairwise(mine):
            (xa, ya), (xb, yb) = crowd.xy_m[a].astype(float), crowd.xy_m[b].astype(float)
            if crowd.tick[b] != crowd.tick[a] + 1 or (ya < y_line) == (yb < y_line):
                continue
            share = (y_line - ya) / (yb - ya)
            if x0 <= xa + share * (xb - xa) <= x1:
                time_s = (crowd.tick[a] + share) * crowd.tick_s
                found.append((person.person_id, float(time_s), "in" if yb > ya else "out"))
    return sorted(found, key=lambda crossing: (crossing[1], crossing[0]))


def test_crossings_agree_with_a_recount(scenario: Scenario, truth: dict[str, Columns]) -> None:
    found = [(row["person_id"], seconds(row["time_us"]), row["direction"]) for row in rows(truth["crossings"])]
    expected = recount_crossings(scenario)
    assert len(expected) > 60
    assert [(p, d) for p, _, d in found] == [(p, d) for p, _, d in expected]
    np.testing.assert_allclose([t for _, t, _ in found], [t for _, t, _ in expected], atol=2e-6)


def inside_at(scenario: Scenario, tick: int) -> int:
    xy = scenario.crowd.xy_m[scenario.crowd.rows_at(tick)]
    x0, y0, x1, y1 = scenario.plan.shop_m
    return int(((xy[:, 0] > x0) & (xy[:, 0] < x1) & (xy[:, 1] > y0) & (xy[:, 1] < y1)).sum())


def test_entries_less_exits_are_the_change_of_people_inside(scenario: Scenario, truth: dict[str, Columns]) -> None:
    change = inside_at(scenario, scenario.crowd.ticks - 1) - inside_at(scenario, 0)
    for column in (
        truth["crossings"]["direction"],
        truth["crossings"]["direction"][~truth["crossings"]["turned_back"]],
    ):
        counted = Counter(column.tolist())
        assert counted["in"] - counted["out"] == change


def test_visits_are_the_pairs_of_crossings(scenario: Scenario, truth: dict[str, Columns]) -> None:
    visits, crossings = rows(truth["visits"]), truth["crossings"]
    real = crossings["time_us"][~crossings["turned_back"]]
    ends = [visit[key] for visit in visits for key in ("enter_us", "exit_us") if visit[key] != -1]
    assert sorted(ends) == sorted(real.tolist())
    assert sum(visit["enter_us"] == -1 for visit in visits) == inside_at(scenario, 0)
    assert sum(visit["exit_us"] == -1 for visit in visits) == inside_at(scenario, scenario.crowd.ticks - 1)
    served = {row["person_id"] for row in rows(truth["queue_visits"]) if row["outcome"] == "served"}
    assert served <= {visit["person_id"] for visit in visits if visit["served"]}


def test_the_planned_turns_are_those_that_the_truth_marks(scenario: Scenario, truth: dict[str, Columns]) -> None:
    crossings, planned = truth["crossings"], scenario.turned_back
    marked = Counter(crossings["person_id"][crossings["turned_back"]].tolist())
    arrived = planned & set(crossings["person_id"].tolist())
    assert len(arrived) > 8
    assert sum(marked[person] == 2 for person in arrived) >= 0.8 * len(arrived)
    assert sum(person not in planned for person in marked) <= 0.1 * len(scenario.crowd.people)
    shoppers = sum(person.kind == "shopper" for person in scenario.crowd.people)
    assert 0.12 < len(planned) / shoppers < 0.35


def recount_stays(plan: StorePlan, zone: int, xy: NDArray[np.float64], cuts: int) -> NDArray[np.float64]:
    """Share of each step that lies in the zone, by `cuts` samples along it."""
    corners = np.array(plan.zones[zone].corners_m, np.float64)
    shares = (np.arange(cuts) + 0.5) / cuts
    points = xy[:-1, None] + shares[:, None] * (xy[1:] - xy[:-1])[:, None]
    return np.asarray(contains(corners, points.reshape(-1, 2)).reshape(-1, cuts).mean(axis=1))


def test_zone_stays_agree_with_a_recount(scenario: Scenario, truth: dict[str, Columns]) -> None:
    crowd, cuts = scenario.crowd, 50
    total: dict[tuple[str, int], float] = defaultdict(float)
    stays: Counter[tuple[str, int]] = Counter()
    for row in rows(truth["zone_stays"]):
        total[row["zone_id"], row["person_id"]] += (row["exit_us"] - row["enter_us"]) / 1e6
        stays[row["zone_id"], row["person_id"]] += 1
    for person in crowd.people[:8]:
        mine = np.flatnonzero(crowd.person_id == person.person_id)
        joined = np.diff(crowd.tick[mine]) == 1
        for number, zone in enumerate(scenario.plan.zones):
            share = recount_stays(scenario.plan, number, crowd.xy_m[mine].astype(np.float64), cuts)[joined]
            allowed = 1e-4 + 2 * stays[zone.id, person.person_id] * crowd.tick_s / cuts
            assert total[zone.id, person.person_id] == pytest.approx(share.sum() * crowd.tick_s, abs=allowed)


def test_stays_of_a_person_in_a_zone_follow_each_other(scenario: Scenario, truth: dict[str, Columns]) -> None:
    last: dict[tuple[str, int], int] = {}
    end_us = START_US + round((scenario.crowd.ticks - 1) * scenario.crowd.tick_s * 1e6)
    for row in rows(truth["zone_stays"]):
        key = (row["zone_id"], row["person_id"])
        assert last.get(key, START_US - 1) < row["enter_us"] <= row["exit_us"] <= end_us
        assert row["censored"] == (row["enter_us"] == START_US or row["exit_us"] == end_us)
        last[key] = row["exit_us"]
    assert {zone_id for zone_id, _ in last} == {zone.id for zone in scenario.plan.zones}


coordinate = st.floats(-3.0, 3.0, width=32)


@given(
    st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=30),
    st.sampled_from(
        [
            ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),
            ((-2.0, -2.0), (2.0, -2.0), (0.0, 0.0), (2.0, 2.0), (-2.0, 2.0)),
        ]
    ),
)
def test_stays_of_any_way_are_inside_and_the_rest_is_outside(
    way: list[tuple[float, float]], corners: tuple[tuple[float, float], ...]
) -> None:
    crowd = crowd_of({1: [(i, x, y) for i, (x, y) in enumerate(way)]}, len(way))
    stays = stays_in(np.array(corners), legs_of(crowd))
    assert (stays.enter_s < stays.leave_s).all()
    assert (stays.enter_s[1:] > stays.leave_s[:-1]).all()
    times = np.random.default_rng(0).uniform(0.0, (len(way) - 1) * 0.1, 400)
    ticks = np.arange(len(way)) * 0.1
    places = np.stack([np.interp(times, ticks, crowd.xy_m[:, k].astype(np.float64)) for k in (0, 1)], axis=1)
    claimed = ((times[:, None] > stays.enter_s) & (times[:, None] < stays.leave_s)).any(axis=1)
    for shift in (-1e-5, 1e-5):
        nearby = contains(np.array(corners) * (1.0 + shift), places)
        if shift < 0:
            assert claimed[nearby].all()
        else:
            assert not claimed[~nearby].any()


def test_queue_visits_are_in_order_and_those_of_before_are_censored(
    scenario: Scenario, truth: dict[str, Columns]
) -> None:
    outcomes = Counter(truth["queue_visits"]["outcome"].tolist())
    assert outcomes["served"] > 10
    for row in rows(truth["queue_visits"]):
        known = [row[key] for key in ("join_us", "service_us", "leave_us") if row[key] != -1]
        assert known == sorted(known)
        assert known[0] >= START_US
        if row["outcome"] == "served":
            assert len(known) == 3
        if row["outcome"] == "abandoned":
            assert row["service_us"] == -1 != row["leave_us"]
    began_before = {visit.person for visit in scenario.queue_visits if visit.join_s < 0.0}
    for row in rows(truth["queue_visits"]):
        if row["join_us"] == START_US:
            assert row["person_id"] in began_before
            assert row["outcome"] == "censored"


def test_groups_and_people_agree(scenario: Scenario, truth: dict[str, Columns]) -> None:
    people = {row["person_id"]: row for row in rows(truth["people"])}
    assert sorted(people) == list(range(1, len(people) + 1))
    for row in rows(truth["groups"]):
        assert people[row["person_id"]]["group_id"] == row["group_id"]
        assert people[row["person_id"]]["kind"] == "shopper"
    sizes = Counter(truth["groups"]["group_id"].tolist())
    assert max(sizes.values()) <= 4
    assert set(sizes) == {row["group_id"] for row in people.values()} - {-1}
    twins = [row["twin_of"] for row in people.values() if row["twin_of"] != -1]
    assert len(twins) >= 0.2 * (len(people) - 5)
    assert set(twins) <= set(people)


def test_positions_are_the_crowd_and_can_be_thinned(scenario: Scenario, truth: dict[str, Columns]) -> None:
    crowd, positions = scenario.crowd, truth["positions"]
    assert len(positions["time_us"]) == len(crowd)
    np.testing.assert_array_equal(positions["time_us"], START_US + crowd.tick.astype(np.int64) * 100_000)
    thinned = happenings(scenario, START_US, positions_every=10)["positions"]
    assert set(np.unique((thinned["time_us"] - START_US) % 1_000_000)) == {0}
    assert len(thinned["time_us"]) == (crowd.tick % 10 == 0).sum()


def test_the_truth_is_written_and_read_as_it_was(scenario: Scenario, truth: dict[str, Columns], tmp_path: Path) -> None:
    write_truth(tmp_path, TruthOf("shop", scenario.plan.name, 6, START_US, START_US + 1, {}), truth)
    read = read_truth(tmp_path).tables
    for table, columns in truth.items():
        for name, column in columns.items():
            np.testing.assert_array_equal(read[table][name], column, err_msg=f"{table}.{name}")


def test_a_truth_of_nobody_has_all_tables_and_no_rows() -> None:
    empty = replace(
        SETTINGS, duration_s=5.0, arrivals_per_hour=0.0, passers_by_per_hour=0.0, initial_shoppers=0, staff=0
    )
    truth = happenings(simulate(convenience(), empty, 1), START_US)
    assert {table: len(columns["person_id"]) for table, columns in truth.items()} == dict.fromkeys(truth, 0)
