"""Queues and heat together: the same rows whatever the order of arrival, the chunks and the restarts; and the truth."""

from __future__ import annotations

import pickle
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.queue_cases import CONDITIONS, Case, case
from benchmarks.queues import analysed, pooled, scored
from retail_ray.analytics.site import SiteOperators, SiteRows
from retail_ray.core.event_time import FOREVER_US, pack_state
from retail_ray.core.types import Observations
from retail_ray.simulation.seeds import DEVELOPMENT
from tests.support.queue_scenes import lane, site
from tests.support.scenes import S, Sighting, chunks, walk

END_US = 110 * S
LANES = (lane(), lane("lane-2", 1.4))


def crowd(seed: int) -> dict[str, list[Sighting]]:
    """People who queue, change places and go, seen by three cameras in broken tracklets."""
    rng = np.random.default_rng(seed)
    seen: dict[str, list[Sighting]] = {name: [] for name in "abc"}
    for person in range(int(rng.integers(2, 7))):
        begin, lasts = rng.uniform(0, 40), rng.uniform(10, 70)
        places = rng.uniform((-1, 0), (2.5, 6), (4, 2))
        times = np.sort(rng.uniform(begin, begin + lasts, 4))

        def path(t: float, times: np.ndarray = times, places: np.ndarray = places) -> tuple[float, float]:
            return float(np.interp(t, times, places[:, 0])), float(np.interp(t, times, places[:, 1]))

        for name in "abc":
            cuts = np.sort(rng.uniform(begin, begin + lasts, 2))
            for part, (low, high) in enumerate(zip([begin, *cuts], [*cuts, begin + lasts], strict=True)):
                seen[name] += walk(10 * person + part, path, low + rng.uniform(0, 2), high, 3, 0.1, rng)
    return seen


def streams(seen: dict[str, list[Sighting]], rng: np.random.Generator, cuts: int) -> list[Observations]:
    """All messages in any order that keeps each camera's own."""
    parts = [chunks(name, seen[name], END_US, (int(c) for c in rng.integers(0, END_US, cuts))) for name in "abc"]
    order = rng.permutation([i for i, part in enumerate(parts) for _ in part])
    queued = [iter(part) for part in parts]
    return [next(queued[i]) for i in order]


def operators(names: str = "abc", reverse: bool = False) -> SiteOperators:
    return site(LANES[:: -1 if reverse else 1], 0.5, names)


def run(work: SiteOperators, messages: list[Observations], rows: SiteRows | None = None) -> SiteRows:
    rows = rows or SiteRows()
    for one in messages:
        work.submit(one)
        rows.extend(work.advance(FOREVER_US))
    rows.extend(work.finish(END_US))
    return rows


def told(rows: SiteRows) -> bytes:
    return pack_state([[astuple(row) for row in part] for part in (rows.queue_visits, rows.queue_metrics, rows.heat)])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10))
def test_arrival_chunks_and_the_order_of_cameras_and_lanes_change_nothing(seed: int, shuffle: int, cuts: int) -> None:
    seen, rng = crowd(seed), np.random.default_rng(shuffle)
    plain = run(operators(), streams(seen, rng, 0))
    assert told(run(operators("cab", reverse=True), streams(seen, rng, cuts))) == told(plain)
    assert plain.heat


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 219))
def test_stop_at_any_tick_and_go_on_changes_nothing(seed: int, shuffle: int, stop: int) -> None:
    messages = streams(crowd(seed), np.random.default_rng(shuffle), 5)
    plain = run(operators(), messages)
    first = operators()
    for one in messages:
        first.submit(one)
    rows = first.advance(stop * S // 2)
    second = operators()
    second.restore(first.state())
    assert second.state() == first.state()
    assert second.live().queues == first.live().queues
    assert pickle.loads(pickle.dumps(first)).state() == first.state()
    assert told(run(second, messages, rows)) == told(plain)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(2, 300))
def test_ticks_worked_together_give_what_they_give_one_by_one(seed: int, shuffle: int, at_once: int) -> None:
    """Rows, and the state at a stop on the way."""
    messages, rng = streams(crowd(seed), np.random.default_rng(shuffle), 3), np.random.default_rng(shuffle)
    one_by_one, together = site(LANES, 0.5, "abc", 1), site(LANES, 0.5, "abc", at_once)
    stop_us = int(rng.integers(1, END_US))
    rows = []
    for work in (one_by_one, together):
        for one in messages:
            work.submit(one)
        rows.append(work.advance(stop_us))
    assert together.state() == one_by_one.state()
    for so_far, work in zip(rows, (one_by_one, together), strict=True):
        so_far.extend(work.finish(END_US))
    assert told(rows[1]) == told(rows[0])


def test_the_random_crowds_hold_what_the_properties_are_about() -> None:
    rows = [run(operators(), streams(crowd(seed), np.random.default_rng(0), 0)) for seed in range(12)]
    outcomes = {visit.outcome for some in rows for visit in some.queue_visits}
    assert outcomes == {"served", "abandoned", "censored"}
    assert {visit.lane_id for some in rows for visit in some.queue_visits} == {"lane-1", "lane-2"}


@pytest.fixture(scope="module")
def store() -> Case:
    return case("convenience", DEVELOPMENT.seed(4_051), 8.0)


@pytest.mark.parametrize("condition", ["true positions", "noisy and broken"])
def test_queues_and_heat_of_a_simulated_store_are_near_its_truth(store: Case, condition: str) -> None:
    rows = analysed(CONDITIONS[condition](store, np.random.default_rng(3)))
    found = pooled([scored(store, rows)])
    assert found["true_visits"] >= 15
    assert found["length_mae"] <= 0.5
    assert found["wait_error_median_s"] <= 2.0
    assert found["visits_found"] >= 0.9 * found["true_visits"]
    assert found["heat_correlation_mean"] >= (0.99 if condition == "true positions" else 0.7)


def test_lanes_in_the_wrong_place_and_shuffled_heat_score_badly(store: Case) -> None:
    rows = analysed(CONDITIONS["lanes moved by 3 m"](store, np.random.default_rng(3)))
    turned = [replace(row, x0_m=row.y0_m, y0_m=row.x0_m) for row in rows.heat]
    found = pooled([scored(store, replace(rows, heat=turned))])
    assert found["visits_found"] <= 0.5 * found["true_visits"]
    assert found["heat_correlation_mean"] < 0.5
