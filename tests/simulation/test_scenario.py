from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.crowd import NO_GROUP, Activity, Crowd
from retail_ray.simulation.layout_generator import random_layout
from retail_ray.simulation.layouts import convenience, ready_layouts
from retail_ray.simulation.navigation import BODY_RADIUS_M
from retail_ray.simulation.population import arrival_times
from retail_ray.simulation.scenario import Scenario, simulate
from retail_ray.simulation.settings import DAY_SHAPE, ScenarioSettings
from retail_ray.simulation.store import StorePlan

BUSY = ScenarioSettings(duration_s=900.0, arrivals_per_hour=200.0, staff=3, group_share=0.4, patience_s=40.0)
PLANS = {**ready_layouts(), "random": random_layout(11)}


@pytest.fixture(scope="module", params=PLANS)
def busy(request: pytest.FixtureRequest) -> Scenario:
    plan = PLANS[request.param]
    return simulate(plan, replace(BUSY, staff=len(plan.checkouts) + 2), 4)


@pytest.fixture(scope="module")
def shop() -> Scenario:
    """A long, busy stretch of one store."""
    settings = replace(BUSY, duration_s=7_200.0, uturn_share=0.15, reentry_share=0.3, tick_s=0.2)
    return simulate(convenience(), settings, 8)


def steps(crowd: Crowd) -> tuple[np.ndarray, np.ndarray]:
    """Rows (before, after) of everybody who is present in two ticks in a row."""
    order = np.lexsort((crowd.tick, crowd.person_id))
    joined = (np.diff(crowd.tick[order]) == 1) & (np.diff(crowd.person_id[order]) == 0)
    return order[:-1][joined], order[1:][joined]


def into_things(plan: StorePlan, crowd: Crowd) -> float:
    """The deepest that any body reaches into a fixture, mannequin or trolley, in metres."""
    x, y = crowd.xy_m.astype(np.float64).T
    deepest = -np.inf
    for fixture in plan.fixtures:
        x0, y0, x1, y1 = fixture.area_m
        away = np.hypot(x - np.clip(x, x0, x1), y - np.clip(y, y0, y1))
        deepest = max(deepest, float(BODY_RADIUS_M - away.min()))
    for thing in plan.decoys:
        if thing.kind in ("mannequin", "trolley"):
            away = np.hypot(x - thing.at_m[0], y - thing.at_m[1])
            deepest = max(deepest, float(BODY_RADIUS_M + 0.25 - away.min()))
    return deepest


def test_nobody_walks_through_anything(busy: Scenario) -> None:
    assert into_things(busy.plan, busy.crowd) < 1e-4


def test_nobody_walks_through_a_wall(busy: Scenario) -> None:
    before, after = steps(busy.crowd)
    a, b = busy.crowd.xy_m[before].astype(np.float64), busy.crowd.xy_m[after].astype(np.float64)
    for wall in busy.plan.walls:
        c, d = np.array(wall.start_m), np.array(wall.end_m)
        sides = [turn(d - c, a - c), turn(d - c, b - c), turn(b - a, c - a), turn(b - a, d - a)]
        assert not ((sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0)).any()


def turn(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])


def test_nobody_is_faster_than_people_walk_or_jumps(busy: Scenario) -> None:
    before, after = steps(busy.crowd)
    way = busy.crowd.xy_m[after].astype(np.float64) - busy.crowd.xy_m[before]
    speed = np.hypot(*way.T) / busy.crowd.tick_s
    assert speed.max() < 2.0
    np.testing.assert_allclose(speed, busy.crowd.speed_mps[after], atol=2e-3)
    walked = busy.crowd.walked_m[after].astype(np.float64) - busy.crowd.walked_m[before]
    np.testing.assert_allclose(walked, speed * busy.crowd.tick_s, atol=1e-3)


def test_everybody_turns_smoothly_and_walks_forwards(busy: Scenario) -> None:
    before, after = steps(busy.crowd)
    heading = busy.crowd.heading_rad
    turn = (heading[after] - heading[before] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(turn).max() < 4.0 * busy.crowd.tick_s
    way = busy.crowd.xy_m[after].astype(np.float64) - busy.crowd.xy_m[before]
    brisk = busy.crowd.speed_mps[after] > 0.7
    off = np.arctan2(way[:, 1], way[:, 0])[brisk] - heading[after][brisk]
    assert (np.cos(off) > 0.5).mean() > 0.95


def test_bodies_hardly_ever_overlap(busy: Scenario) -> None:
    close = together = 0
    for tick in range(0, busy.crowd.ticks, 7):
        xy = busy.crowd.xy_m[busy.crowd.rows_at(tick)].astype(np.float64)
        gap = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 9.0 * np.eye(len(xy))
        close += int((gap.min(axis=1, initial=9.0) < 0.36).sum())
        together += len(xy)
        assert gap.min(initial=9.0) > 0.2
    assert close < 0.02 * together


def test_people_come_and_go_only_at_the_ends_of_the_pavement(busy: Scenario) -> None:
    crowd = busy.crowd
    order = np.lexsort((crowd.tick, crowd.person_id))
    gone = np.append((np.diff(crowd.tick[order]) != 1) | (np.diff(crowd.person_id[order]) != 0), True)
    came = np.concatenate([[True], gone[:-1]])
    for edge, outside in (
        (order[came], crowd.tick[order[came]] > 0),
        (order[gone], crowd.tick[order[gone]] < crowd.ticks - 1),
    ):
        places = crowd.xy_m[edge[outside]]
        ends = np.array(busy.plan.pavement_ends_m)
        away = np.hypot(*(places[:, None] - ends[None]).transpose(2, 0, 1)).min(axis=1)
        assert len(away)
        assert away.max() < 0.8


def test_what_people_do_looks_like_shopping(busy: Scenario) -> None:
    seen = Counter(busy.crowd.activity.tolist())
    assert all(seen[activity] > 0 for activity in Activity)
    kinds = Counter(person.kind for person in busy.crowd.people)
    assert kinds["staff"] == busy.settings.staff
    assert kinds["shopper"] > 30
    assert kinds["passer_by"] > 15
    visited = {zone.id for zone in busy.plan.zones if _someone_in(zone.corners_m, busy.crowd)}
    assert visited == {zone.id for zone in busy.plan.zones}


def _someone_in(corners: tuple[tuple[float, float], ...], crowd: Crowd) -> bool:
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return bool(((crowd.xy_m > low) & (crowd.xy_m < high)).all(axis=1).any())


def test_each_checkout_has_its_cashier_and_the_queue_is_served_in_turn(busy: Scenario) -> None:
    lanes = defaultdict(list)
    for visit in busy.queue_visits:
        lanes[visit.lane_id].append(visit)
        assert visit.service_s is None or visit.join_s <= visit.service_s
        assert visit.leave_s is None or (visit.service_s or visit.join_s) <= visit.leave_s
        assert (visit.outcome == "served") == (visit.service_s is not None and visit.leave_s is not None)
        assert visit.outcome != "abandoned" or visit.leave_s is not None
    for checkout in busy.plan.checkouts:
        served = sorted((v for v in lanes[checkout.id] if v.service_s is not None), key=lambda v: v.service_s or 0.0)
        assert [v.join_s for v in served] == sorted(v.join_s for v in served)
        assert all((a.leave_s or 0.0) <= (b.service_s or 0.0) for a, b in pairwise(served))


def test_who_is_served_stands_at_the_till_and_the_cashier_behind_it(busy: Scenario) -> None:
    crowd, at = (
        busy.crowd,
        {(int(t), int(p)): xy for t, p, xy in zip(busy.crowd.tick, busy.crowd.person_id, busy.crowd.xy_m, strict=True)},
    )
    staff = {person.person_id for person in crowd.people if person.kind == "staff"}
    tills = {checkout.id: checkout for checkout in busy.plan.checkouts}
    checked = 0
    for visit in busy.queue_visits:
        if visit.service_s is None or visit.leave_s is None or visit.service_s < 1.0:
            continue
        tick = round((visit.service_s + visit.leave_s) / 2 / crowd.tick_s)
        till = tills[visit.lane_id]
        assert np.hypot(*(at[tick, visit.person] - till.served_at_m)) < 0.6
        assert min(np.hypot(*(at[tick, one] - till.cashier_at_m)) for one in staff) < 0.4
        checked += 1
    assert checked > 5


def test_impatient_customers_leave_the_queue(shop: Scenario) -> None:
    outcomes = Counter(visit.outcome for visit in shop.queue_visits)
    assert outcomes["abandoned"] > 3
    assert outcomes["served"] > 5 * outcomes["abandoned"]
    for visit in shop.queue_visits:
        if visit.outcome == "abandoned":
            assert (visit.leave_s or 0.0) - visit.join_s >= 20.0
            assert visit.service_s is None


def test_groups_stay_together(busy: Scenario) -> None:
    crowd = busy.crowd
    leaders: dict[int, int] = {}
    groups = {p.person_id: p.group_id for p in crowd.people if p.group_id != NO_GROUP}
    for person_id, group_id in groups.items():
        leaders.setdefault(group_id, person_id)
    at = {(int(t), int(p)): xy for t, p, xy in zip(crowd.tick, crowd.person_id, crowd.xy_m, strict=True) if p in groups}
    away = [
        np.hypot(*(xy - at[tick, leaders[groups[person]]]))
        for (tick, person), xy in at.items()
        if leaders[groups[person]] != person and (tick, leaders[groups[person]]) in at
    ]
    assert len(away) > 1000
    assert np.mean(np.array(away) < 3.0) > 0.85


def test_some_people_come_back(shop: Scenario) -> None:
    crowd, again = shop.crowd, 0
    shoppers = {person.person_id for person in crowd.people if person.kind == "shopper"}
    for person_id in shoppers:
        ticks = crowd.tick[crowd.person_id == person_id]
        again += int((np.diff(ticks) > 10 / crowd.tick_s).sum())
    assert 0.1 * len(shoppers) < again < 0.35 * len(shoppers)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    settings = ScenarioSettings(duration_s=60.0)
    first, second, other = (simulate(convenience(), settings, seed) for seed in (5, 5, 6))
    assert digest(first) == digest(second) != digest(other)
    assert first.queue_visits == second.queue_visits
    assert first.crowd.people == second.crowd.people


def digest(scenario: Scenario) -> str:
    crowd = scenario.crowd
    arrays = (
        crowd.tick,
        crowd.person_id,
        crowd.xy_m,
        crowd.heading_rad,
        crowd.speed_mps,
        crowd.walked_m,
        crowd.activity,
    )
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_a_short_clip_is_busy_from_its_first_tick() -> None:
    crowd = simulate(convenience(), ScenarioSettings(duration_s=5.0, initial_shoppers=8), 2).crowd
    first = crowd.rows_at(0)
    inside = crowd.xy_m[first][:, 1] > 0.0
    assert inside.sum() >= 8


def test_an_empty_store_has_no_rows() -> None:
    nobody = ScenarioSettings(
        duration_s=20.0, arrivals_per_hour=0.0, passers_by_per_hour=0.0, initial_shoppers=0, staff=0, warm_up_s=0.0
    )
    crowd = simulate(convenience(), nobody, 1).crowd
    assert (len(crowd), crowd.ticks, crowd.people) == (0, 200, ())


def test_without_a_cashier_nobody_queues_and_everybody_leaves() -> None:
    scenario = simulate(convenience(), ScenarioSettings(duration_s=600.0, staff=0), 3)
    assert scenario.queue_visits == ()


def test_arrivals_follow_the_day() -> None:
    day = ScenarioSettings(duration_s=86_400.0, start_hour=0.0, warm_up_s=0.0, hour_shape=DAY_SHAPE)
    hours = np.zeros(24)
    for seed in range(20):
        times = arrival_times(day, 100.0, np.random.default_rng(seed))
        assert (np.diff(times) >= 0.0).all()
        hours += np.bincount((times // 3600).astype(int), minlength=24)
    expected = 20 * 100.0 * np.array(DAY_SHAPE)
    assert (np.abs(hours - expected) <= 4 * np.sqrt(expected)).all()
    assert sum(DAY_SHAPE) == pytest.approx(14.0, abs=0.3)


IMPOSSIBLE = {
    "duration_s": (0.0, -5.0, float("nan"), float("inf"), "90"),
    "tick_s": (0.0, 1.0),
    "arrivals_per_hour": (-1.0, 1e9),
    "uturn_share": (1.5, -0.1),
    "twin_share": (0.1, 0.51, 1.0),
    "staff": (-1, 1.5, True),
    "patience_s": (0.0,),
    "start_hour": (25.0,),
    "hour_shape": ((1.0,) * 23, (-1.0,) * 24, (float("nan"),) * 24),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values])
def test_impossible_settings_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"scenario: {name}"):
        ScenarioSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_every_share_of_twins_that_settings_allow_can_be_drawn(share: float) -> None:
    scenario = simulate(convenience(), ScenarioSettings(duration_s=2.0, warm_up_s=60.0, twin_share=share), 3)
    shoppers = [person.appearance for person in scenario.crowd.people if person.kind != "staff"]
    twins = sum(look.twin_of is not None for look in shoppers)
    assert twins == min(-(-len(shoppers) * share // 1), len(shoppers) // 2) > 0


def test_shares_of_visitors_that_sum_above_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="together at most 1"):
        ScenarioSettings(uturn_share=0.7, bounce_share=0.6)


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is -3"):
        simulate(convenience(), ScenarioSettings(), -3)


@pytest.mark.long
def test_a_whole_day_ends_with_an_empty_store() -> None:
    day = ScenarioSettings(
        duration_s=15 * 3_600.0,
        tick_s=0.2,
        start_hour=7.5,
        hour_shape=DAY_SHAPE,
        arrivals_per_hour=100.0,
        passers_by_per_hour=0.0,
        initial_shoppers=0,
        staff=4,
    )
    crowd = simulate(ready_layouts()["supermarket"], day, 9).crowd
    shoppers = {person.person_id for person in crowd.people if person.kind == "shopper"}
    assert 1_400 < len(shoppers) < 2_600
    left = crowd.person_id[crowd.rows_at(crowd.ticks - 1)].tolist()
    assert shoppers.isdisjoint(left)
    assert len(left) >= 3
