"""The rule engine: when it speaks, when it is silent, and that splitting the stream changes nothing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.alerts import AlertEngine, AlertRule, Event, Reading
from retail_ray.core.errors import ConfigError, DataError
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.opening_hours import OpeningHours, OpenSpan
from retail_ray.core.retail_records import Alert
from retail_ray.core.time import to_us

S = 1_000_000
HOURS = OpeningHours("UTC", (OpenSpan(tuple(range(7)), time(9), time(20)),))
NINE_US = to_us(datetime(2026, 3, 4, 9, tzinfo=UTC))


def queue(**changes: object) -> AlertRule:
    given = {"rule_id": "long", "metric": "queue_length", "operator": ">=", "threshold": 5.0, "clear": 3.0}
    return AlertRule(**given | changes)  # type: ignore[arg-type]


def lengths(rule: AlertRule, values: Sequence[tuple[float, float]], subject: str = "till-1") -> list[tuple[float, str]]:
    """Alerts as (second, state) for queue lengths given as (second, people)."""
    engine, told = AlertEngine([rule]), []
    for at_s, people in values:
        told += engine.update(round(at_s * S), [Reading("queue_length", subject, people)])
    return [(alert.time_us / S, alert.state) for alert in told]


@pytest.mark.parametrize(
    ("changes", "values", "expected"),
    [
        ({}, [(0, 4), (1, 5), (2, 9)], [(1, "raised")]),  # once, however long it lasts
        ({}, [(0, 5), (1, 4), (2, 3), (3, 2)], [(0, "raised"), (3, "cleared")]),  # hysteresis: 3 is not clear yet
        ({"clear": 5.0}, [(0, 5), (1, 4)], [(0, "raised"), (1, "cleared")]),
        ({"for_s": 2.0}, [(0, 5), (1, 5), (1.5, 4), (2, 5), (3, 5), (4, 5)], [(4, "raised")]),  # it begins anew
        ({"for_s": 2.0}, [(0, 5), (1, 4), (2, 4)], []),
        ({"cooldown_s": 10.0}, [(0, 5), (1, 0), (2, 5), (9, 5), (10, 5)],
         [(0, "raised"), (1, "cleared"), (10, "raised")]),
        ({"cooldown_s": 10.0}, [(0, 5), (1, 0), (2, 5), (3, 0), (20, 0)], [(0, "raised"), (1, "cleared")]),
        ({"operator": "<", "threshold": 2.0, "clear": 4.0}, [(0, 2), (1, 1), (2, 3), (3, 4)],
         [(1, "raised"), (3, "cleared")]),
        ({"operator": ">", "clear": 5.0}, [(0, 5), (1, 5.5)], [(1, "raised")]),
        ({"subjects": ("till-2",)}, [(0, 9)], []),
    ],
)  # fmt: skip
def test_when_a_rule_speaks(
    changes: dict[str, object], values: list[tuple[float, float]], expected: list[tuple[float, str]]
) -> None:
    assert lengths(queue(**changes), values) == expected


def test_an_alert_says_what_it_is_about() -> None:
    rule = queue(message="{subject}: {value:.0f} wait, {threshold:g} are allowed", severity="critical")
    (alert,) = AlertEngine([rule]).update(7, [Reading("queue_length", "till-1", 6.0)])
    assert alert == Alert(
        7, "long", "raised", "critical", "long:till-1", None, "till-1", None, 6.0, 5.0, "till-1: 6 wait, 5 are allowed"
    )
    full = AlertRule("full", "occupancy", ">=", 9, 9)
    (alert,) = AlertEngine([full]).update(7, [Reading("occupancy", "", 9.0)])
    assert (alert.dedup_key, alert.zone_id, alert.message) == ("full", None, "site: occupancy is 9")


def test_one_key_for_several_subjects_is_open_while_one_of_them_holds() -> None:
    engine = AlertEngine([queue(dedup_key="queues", clear=5.0)])
    told = []
    for at_s, (one, two) in enumerate([(5, 0), (5, 5), (0, 5), (0, 0)]):
        told += engine.update(at_s * S, [Reading("queue_length", "a", one), Reading("queue_length", "b", two)])
    assert [(alert.time_us // S, alert.state, alert.lane_id) for alert in told] == [
        (0, "raised", "a"),
        (3, "cleared", "a"),
    ]


def test_crossings_are_counted_over_the_rules_own_time() -> None:
    engine = AlertEngine([AlertRule("rush", "entries", ">=", 3, 3, per_s=60.0)])
    told = []
    for at_s in range(0, 200):
        events = [Event("entries", "door", at_s * S)] if at_s in (10, 30, 69, 71) else []
        told += engine.update(at_s * S, [Reading("entries", "door", 0.0)], events)
    # 10, 30 and 69 lie within 60 s of each other for one second; 30, 69 and 71 until 90.
    assert [(alert.time_us // S, alert.state, alert.value) for alert in told] == [
        (69, "raised", 3.0), (70, "cleared", 2.0), (71, "raised", 3.0), (90, "cleared", 2.0),
    ]  # fmt: skip


def test_anybody_in_the_stock_room_outside_opening_hours() -> None:
    rule = AlertRule("night", "zone_occupancy", ">", 0, 0, subjects=("stock",), when="closed")
    engine, told = AlertEngine([rule], HOURS), []
    for minutes, people in [(-90, 0), (-60, 1), (-1, 1), (0, 1), (300, 1), (659, 1), (661, 1)]:
        told += engine.update(NINE_US + minutes * 60 * S, [Reading("zone_occupancy", "stock", people)])
    # It clears at opening, since the rule no longer applies, and speaks again after closing (20:00).
    assert [((alert.time_us - NINE_US) // (60 * S), alert.state) for alert in told] == [
        (-60, "raised"), (0, "cleared"), (661, "raised"),
    ]  # fmt: skip
    assert engine.wake_us() == NINE_US + 24 * 3600 * S  # it looks again at opening, whatever comes
    with pytest.raises(ConfigError, match=r"'night'.*opening hours"):
        AlertEngine([rule]).update(0, [Reading("zone_occupancy", "stock", 1)])


def test_it_wakes_exactly_when_something_changes_by_itself() -> None:
    silent = AlertEngine([AlertRule("silent", "camera_silent_s", ">=", 30, 30, for_s=5.0)])
    silent.update(10 * S, [Reading("camera_silent_s", "door", 4.0, grows=True)])
    wake_us = silent.wake_us()
    assert wake_us == 36 * S + 1  # 26 s from now it reaches 30
    assert silent.update(wake_us, [Reading("camera_silent_s", "door", 30.000001, grows=True)]) == []
    assert silent.wake_us() == wake_us + 5 * S
    (alert,) = silent.update(wake_us + 5 * S, [Reading("camera_silent_s", "door", 35.0, grows=True)])
    assert (alert.state, alert.camera_id) == ("raised", "door")
    assert silent.wake_us() is None
    cooling = AlertEngine([queue(cooldown_s=60.0, clear=5.0)])
    for at_s, people in [(0, 5), (1, 0), (2, 5)]:
        cooling.update(at_s * S, [Reading("queue_length", "a", people)])
    assert cooling.wake_us() == 60 * S


def test_the_end_of_the_data_clears_what_is_open_and_says_so() -> None:
    engine = AlertEngine([queue()])
    engine.update(0, [Reading("queue_length", "a", 7), Reading("queue_length", "b", 1)])
    (alert,) = engine.finish(9)
    assert (alert.state, alert.lane_id, alert.time_us) == ("cleared", "a", 9)
    assert alert.message.endswith("(the data ended)")
    assert engine.finish(9) == []


def test_what_an_earlier_run_left_open_is_neither_raised_twice_nor_forgotten() -> None:
    (raised,) = AlertEngine([queue()]).update(0, [Reading("queue_length", "a", 7)])
    other = Alert(0, "gone", "raised", "info", "gone", None, None, None, 1.0, 1.0, "")
    going_on = AlertEngine([queue()])
    going_on.adopt([raised, other])
    assert going_on.update(5, [Reading("queue_length", "a", 8)]) == []
    (cleared,) = going_on.update(6, [Reading("queue_length", "a", 0)])
    assert (cleared.state, cleared.dedup_key) == ("cleared", raised.dedup_key)


RULES = [
    queue(for_s=2.0),
    queue(rule_id="shared", dedup_key="shared", cooldown_s=7.0, clear=4.0),
    queue(rule_id="few", operator="<", threshold=1.0, clear=2.0, when="closed"),
    AlertRule("rush", "entries", ">", 1, 1, per_s=5.0, cooldown_s=3.0),
    AlertRule("long-stay", "dwell_s", ">=", 6, 6, dedup_key="shared"),
]
steps = st.lists(
    st.tuples(
        st.integers(1, 4 * S),
        st.lists(
            st.builds(Reading, st.just("queue_length"), st.sampled_from("ab"), st.integers(0, 8).map(float))
            | st.builds(Reading, st.just("entries"), st.just("door"), st.just(0.0))
            | st.builds(
                Reading, st.just("dwell_s"), st.sampled_from("xy"), st.integers(0, 9).map(float), st.booleans()
            ),
            max_size=4,
        ),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.integers(0, 25))
def test_splitting_the_readings_anywhere_changes_nothing(
    stream: list[tuple[int, list[Reading], int]], cut: int
) -> None:
    now_us, calls = NINE_US - 20 * S, []
    for pause_us, readings, crossings in stream:
        now_us += pause_us
        calls.append((now_us, readings, [Event("entries", "door", now_us - n) for n in range(crossings)]))
    whole = AlertEngine(RULES, HOURS)
    expected = [(whole.update(*call), whole.wake_us()) for call in calls]
    first, second = AlertEngine(RULES, HOURS), AlertEngine(RULES, HOURS)
    told = [(first.update(*call), first.wake_us()) for call in calls[:cut]]
    second.restore(unpack_state(pack_state(first.state())))
    assert pickle.loads(pickle.dumps(first)).state() == first.state() == second.state()
    told += [(second.update(*call), second.wake_us()) for call in calls[cut:]]
    assert told == expected
    assert second.finish(now_us) == whole.finish(now_us)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_of_each_key_raised_and_cleared_take_turns_and_respect_the_cooldown(
    stream: list[tuple[int, list[Reading], int]],
) -> None:
    engine, now_us, told = AlertEngine(RULES, HOURS), NINE_US - 20 * S, list[Alert]()
    for pause_us, readings, crossings in stream:
        now_us += pause_us
        told += engine.update(now_us, readings, [Event("entries", "door", now_us)] * crossings)
    told += engine.finish(now_us)
    cooldown_s = {rule.rule_id: rule.cooldown_s for rule in RULES}
    for key in {alert.dedup_key for alert in told}:
        mine = [alert for alert in told if alert.dedup_key == key]
        assert [alert.state for alert in mine] == (["raised", "cleared"] * len(mine))[: len(mine)]
        assert mine[-1].state == "cleared"  # the end of the data leaves nothing open
        raised = [alert for alert in mine if alert.state == "raised"]
        for before, after in pairwise(raised):
            assert after.time_us - before.time_us >= cooldown_s[after.rule_id] * S


def test_a_state_of_other_rules_is_refused() -> None:
    with pytest.raises(DataError, match=r"\['long'\].*\['other'\]"):
        AlertEngine([queue(rule_id="other")]).restore(AlertEngine([queue()]).state())
