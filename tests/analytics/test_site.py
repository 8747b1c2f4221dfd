"""All operators together: the same rows whatever the order of arrival, the chunks, and the restarts."""

from __future__ import annotations

import pickle
from dataclasses import fields
from datetime import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.alerts import AlertRule
from retail_ray.analytics.lines import LineSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.site import AlertSettings, SiteOperators, SiteRows
from retail_ray.analytics.zones import ZoneSettings
from retail_ray.core.errors import ConfigError, DataError
from retail_ray.core.event_time import CameraView, pack_state
from retail_ray.core.time import BusinessDay
from retail_ray.core.types import Observations
from tests.support.scenes import S, Sighting, chunks, message, walk

CAMERAS = [CameraView("a", True), CameraView("b", True), CameraView("c", False)]
LINES = [
    LineSettings("door", "a", (0.0, 0.0), (10.0, 0.0), (5.0, 5.0), space="floor"),
    LineSettings("back", "c", (0.0, 200.0), (1000.0, 200.0), (500.0, 500.0)),
]
ZONES = [
    ZoneSettings("shelf", ((1.0, 1.0), (8.0, 1.0), (8.0, 4.0), (1.0, 4.0)), min_dwell_s=1.0),
    ZoneSettings("till", ((0.0, 0.0), (900.0, 0.0), (900.0, 300.0), (0.0, 300.0)), camera_id="c", min_dwell_s=1.0),
]
DAY = OccupancySettings(BusinessDay("UTC", time(0)), inside_cameras=("b",))
RULES = (
    AlertRule("full", "occupancy", ">=", 2, 2, for_s=1.0),
    AlertRule("shelf-busy", "zone_occupancy", ">=", 1, 1, for_s=2.0, cooldown_s=7.0),
    AlertRule("long-stay", "dwell_s", ">=", 4.2, 4.2, dedup_key="stay"),
    AlertRule("rush", "entries", ">=", 1, 1, per_s=9.0),
    AlertRule("silent", "camera_silent_s", ">", 3.3, 3.3, subjects=("a", "c")),
    AlertRule("thin", "coverage", "<", 0.9, 0.9),
)
ALERTS = AlertSettings(RULES, analysis_fps={"a": 5.0, "b": 5.0, "c": 5.0})
END_US = 70 * S
LONG_US = 10**12


def site(cameras: list[CameraView] = CAMERAS, reverse: bool = False) -> SiteOperators:
    step = -1 if reverse else 1
    return SiteOperators(LINES[::step], ZONES[::step], DAY, cameras, alerts=ALERTS)


def wander(seed: int) -> dict[str, list[Sighting]]:
    """People who wander about, with tracks that break off and come back."""
    rng = np.random.default_rng(seed)
    seen: dict[str, list[Sighting]] = {}
    for name in "abc":
        seen[name] = []
        for local_id in range(int(rng.integers(1, 5))):
            begin, length = rng.uniform(0, 20), rng.uniform(3, 40)
            phase, pace = rng.uniform(0, 6, 2), rng.uniform(0.1, 0.5, 2)
            rows = walk(
                local_id,
                lambda t, p=phase, v=pace: (5 + 5 * np.sin(v[0] * t + p[0]), 1 + 4 * np.sin(v[1] * t + p[1])),
                begin, begin + length, 5, 0.05, rng,
            )  # fmt: skip
            hole = rng.uniform(begin, begin + length) * S
            seen[name] += [r for r in rows if not hole < r.time_us < hole + rng.choice([0, 2, 8, 14]) * S]
    return seen


def streams(seen: dict[str, list[Sighting]], rng: np.random.Generator, cuts: int) -> list[list[Observations]]:
    return [
        chunks(name, seen[name], END_US, (int(c) for c in rng.integers(0, END_US, cuts)), calibrated=name != "c")
        for name in "abc"
    ]


def interleave(parts: list[list[Observations]], rng: np.random.Generator) -> list[Observations]:
    order = rng.permutation([i for i, part in enumerate(parts) for _ in part])
    queues = [iter(part) for part in parts]
    return [next(queues[i]) for i in order]


def run(operators: SiteOperators, messages: list[Observations], rows: SiteRows | None = None) -> SiteRows:
    rows = rows or SiteRows()
    for one in messages:
        operators.submit(one)
        rows.extend(operators.advance(LONG_US))
    rows.extend(operators.finish(END_US))
    return rows


def told(rows: SiteRows) -> bytes:
    lists = [getattr(rows, table.name) for table in fields(rows)]
    return pack_state([[tuple(getattr(row, n) for n in row.__slots__) for row in part] for part in lists])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 15))
def test_arrival_chunking_and_order_of_names_change_nothing(seed: int, shuffle: int, cuts: int) -> None:
    seen, rng = wander(seed), np.random.default_rng(shuffle)
    plain = run(site(), [part[0] for part in streams(seen, rng, 0)])
    shuffled = interleave(streams(seen, rng, cuts), rng)
    again = run(site([CAMERAS[i] for i in rng.permutation(3)], reverse=True), shuffled)
    assert told(again) == told(plain)
    assert plain.occupancy


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 139))
def test_stop_at_any_tick_and_go_on_changes_nothing(seed: int, shuffle: int, stop: int) -> None:
    seen, rng = wander(seed), np.random.default_rng(shuffle)
    messages = interleave(streams(seen, rng, 8), rng)
    plain = run(site(), messages)
    first = site()
    for one in messages:
        first.submit(one)
    rows = first.advance(stop * S // 2)
    second = site()
    second.restore(first.state())
    assert second.state() == first.state()
    assert pickle.loads(pickle.dumps(first)).state() == first.state()
    assert told(run(second, messages, rows)) == told(plain)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(2, 600))
def test_ticks_worked_together_give_what_they_give_one_by_one(seed: int, shuffle: int, at_once: int) -> None:
    """Rows, and the state at a stop on the way, whatever the number of ticks and however the stream is cut."""
    seen, rng = wander(seed), np.random.default_rng(shuffle)

    def at_once_of(ticks: int) -> SiteOperators:
        return SiteOperators(LINES, ZONES, DAY, CAMERAS, alerts=ALERTS, ticks_at_once=ticks)

    one_by_one, together = at_once_of(1), at_once_of(at_once)
    stop_us = int(rng.integers(1, END_US))
    rows = []
    for operators, cuts in ((one_by_one, 20), (together, 1)):
        messages = interleave(streams(seen, rng, cuts), rng)
        for one in messages:
            operators.submit(one)
        rows.append(operators.advance(stop_us))
    assert together.state() == one_by_one.state()
    for so_far, operators in zip(rows, (one_by_one, together), strict=True):
        so_far.extend(operators.finish(END_US))
    assert told(rows[1]) == told(rows[0])


def test_the_random_scenes_hold_what_the_properties_are_about() -> None:
    rows = [run(site(), [part[0] for part in streams(wander(s), np.random.default_rng(0), 0)]) for s in range(10)]
    crossings = [c for r in rows for c in r.line_crossings]
    visits = [v for r in rows for v in r.zone_visits]
    assert {(c.line_id, c.direction) for c in crossings} >= {("door", "in"), ("door", "out"), ("back", "in")}
    assert any(v.censored for v in visits)
    assert any(not v.censored and v.bridged_s > 0 for v in visits)
    assert {v.zone_id for v in visits} == {"shelf", "till"}
    assert {v.camera_id for v in visits if v.zone_id == "till"} == {"c"}
    assert {v.camera_id for v in visits if v.zone_id == "shelf"} == {"a", "b"}
    alerts = [(alert.rule_id, alert.state) for r in rows for alert in r.alerts]
    assert {(rule.rule_id, state) for rule in RULES for state in ("raised", "cleared")} <= set(alerts)
    assert {c.reason for r in rows for c in r.occupancy_corrections} == {"below_zero", "seen_inside"}


def test_counts_are_not_lost_at_a_restart() -> None:
    """One person is on the way in, one in the zone, one counted already, when everything stops."""
    goes_in = walk(1, lambda t: (5.0, t - 10), 0, 20)
    before = walk(2, lambda t: (3.0, t - 3), 0, 9.5)
    operators = site([CameraView("a", True), CameraView("b", True), CameraView("c", False)])
    for name in "bc":
        operators.end_camera(name)
    early, late = chunks("a", before + goes_in, END_US, [10 * S])
    operators.submit(early)
    rows = operators.advance(LONG_US)
    assert [c.local_id for c in rows.line_crossings] == [2]
    assert operators.live().inside == 1
    restarted = site()
    restarted.restore(operators.state())
    assert restarted.live() == operators.live()
    for name in "bc":
        restarted.end_camera(name)
    restarted.submit(late)
    rows.extend(restarted.finish(END_US))
    assert [c.local_id for c in rows.line_crossings] == [2, 1]
    assert rows.occupancy[-1].inside == 2


def test_live_shows_the_people_of_now() -> None:
    operators = site()
    inside = walk(1, lambda t: (5.0, min(t - 5, 2.0)), 0, 20)
    operators.submit(message("a", inside, 20 * S))
    for name in "bc":
        operators.submit(message(name, [], 20 * S))
    operators.advance(LONG_US)
    live = operators.live()
    assert (live.entries_today, live.exits_today, live.inside) == (1, 0, 1)
    assert live.zones == {"shelf": 1, "till": 0}
    assert live.seen == {"a": 1, "b": 0, "c": 0}
    assert live.worked_until_us == 20 * S


def test_names_are_checked() -> None:
    with pytest.raises(ConfigError, match="line 'door': camera 'a' does not exist; known: b"):
        SiteOperators(LINES, [], OccupancySettings(DAY.day), [CameraView("b", True)])
    with pytest.raises(ConfigError, match="line 'door': it is drawn on the floor, but camera 'a' has no floor"):
        SiteOperators(LINES[:1], [], OccupancySettings(DAY.day), [CameraView("a", False)])
    with pytest.raises(ConfigError, match="zone 'till': camera 'c' does not exist"):
        SiteOperators([], ZONES, OccupancySettings(DAY.day), CAMERAS[:2])
    with pytest.raises(ConfigError, match="zone names must differ, used twice: shelf"):
        SiteOperators([], [ZONES[0], ZONES[0]], DAY, CAMERAS)
    with pytest.raises(ConfigError, match="inside_cameras: camera 'b' does not exist"):
        SiteOperators([], [], DAY, CAMERAS[:1])


def test_a_state_of_other_lines_is_refused() -> None:
    state = site().state()
    with pytest.raises(DataError, match=r"has lines \['back', 'door'\].*this site has \['door'\]"):
        SiteOperators(LINES[:1], ZONES, DAY, CAMERAS).restore(state)
