"""Journeys of a whole run and the daily reset within it, through real gallery, operators and commits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.config import Site
from retail_ray.core.time import from_us
from retail_ray.lake.views import open_lake
from retail_ray.runtime import attempt
from retail_ray.runtime.attempt import Attempt
from retail_ray.runtime.hosts import GalleryHost
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.uniforms import NO_UNIFORMS
from tests.runtime.scripted import LOOKS, PowerCutError, ScriptedCrew, person, scripted_site
from tests.runtime.sites import rows_of
from tests.support.scenes import S, Sighting

START = "2026-03-01T06:29:40+00:00"  # 11:59:40 in Kolkata
START_US = 1_772_346_580 * S
END_US = START_US + 60 * S
UNIFORM = np.eye(LOOKS, dtype=np.float32)[1:2]
NOON_S = 27  # the day begins at 12:00:07, in the middle of an epoch of 10 s


def site(folder: Path) -> Site:
    return scripted_site(folder, ["door", "hall"], START, timezone="Asia/Kolkata", day_start="12:00:07")


def inwards(at_s: float) -> Callable[[float], tuple[float, float]]:
    """From the pavement over the line (y = 1) at about `at_s`, then to the shelf at y = 5, where the walk ends."""
    return lambda t: (4.0, min(max(1 + (t - at_s), -1.0), 5.0))


def standing(x: float) -> Callable[[float], tuple[float, float]]:
    return lambda _t: (x, 6.0)


def scene() -> dict[str, list[Sighting]]:
    """Somebody enters at 5 s and stays over noon; one is there before it, another one behind it."""
    return {
        "door": person(1, 0, 2, 50, inwards(5), START_US),
        "hall": [*person(1, 1, 4, 14, standing(1), START_US), *person(2, 2, 34, 48, standing(8), START_US)],
    }


def run(
    site: Site,
    before_commit: Callable[[int, GalleryHost], None] = lambda _number, _gallery: None,
    uniforms: NDArray[np.float32] = NO_UNIFORMS,
) -> None:
    plan = RunPlan(site, "rscripted", live=False)
    crew = ScriptedCrew(plan, scene(), (START_US, END_US), before_commit, uniforms)
    assert not Attempt(plan, crew, JobOptions(), threading.Event()).run().errors


def ask(site: Site, question: str) -> list[tuple[Any, ...]]:
    with open_lake(Path(site.lake)) as lake:
        return [tuple(row.values()) for row in lake.rows(question)]


def test_a_recorded_run_over_the_days_start(tmp_path: Path) -> None:
    shop = site(tmp_path)
    assert from_us(START_US).isoformat() == START
    run(shop)
    sessions = ask(
        shop, f"SELECT (epoch_us(time) - {START_US}) / 1e6, date::VARCHAR FROM identity_events WHERE kind = 'session'"
    )
    assert sessions == [(2.0, "2026-02-28"), (NOON_S, "2026-03-01")]
    tracklets = ask(shop, "SELECT camera_id, local_id, date::VARCHAR FROM tracklets ORDER BY ALL")
    assert tracklets == [("door", 1, "2026-02-28"), ("hall", 1, "2026-02-28"), ("hall", 2, "2026-03-01")]
    journeys = ask(
        shop,
        f"""SELECT round((epoch_us(enter_time) - {START_US}) / 1e6, 1), round((epoch_us(exit_time) - {START_US}) / 1e6,
            1), censored, date::VARCHAR FROM journeys ORDER BY enter_time, exit_time""",
    )
    assert journeys == [
        (4.0, 14.0, True, "2026-02-28"),
        (5.0, float(NOON_S), True, "2026-02-28"),  # entered at the door, cut by the reset
        (float(NOON_S), 50.0, True, "2026-03-01"),  # the same tracklet, in the new session
        (34.0, 48.0, True, "2026-03-01"),
    ]
    stays = ask(
        shop,
        f"""SELECT round((epoch_us(s.enter_time) - {START_US}) / 1e6, 1), round((epoch_us(s.exit_time) - {START_US}) /
            1e6, 1) FROM (SELECT unnest(stays) AS s FROM journeys) ORDER BY ALL""",
    )
    assert stays == [(4.0, 14.0), (8.0, float(NOON_S)), (float(NOON_S), 50.0), (34.0, 48.0)]


@pytest.mark.parametrize("commits", [1, 3, 5, 6])
def test_a_run_cut_off_ends_with_the_same_rows(tmp_path: Path, commits: int) -> None:
    """Journeys, too, are as those of an undisturbed run, byte by byte; the crash comes before and behind noon, and
    between the last epoch and the assessment of people."""

    def cut(number: int, _gallery: GalleryHost) -> None:
        if number == commits:
            raise PowerCutError

    whole, broken = site(tmp_path / "whole"), site(tmp_path / "broken")
    run(whole, uniforms=UNIFORM)
    with pytest.raises(PowerCutError):
        run(broken, cut, UNIFORM)
    before = rows_of(Path(broken.lake))
    run(broken, uniforms=UNIFORM)
    rows = rows_of(Path(broken.lake))
    assert rows == rows_of(Path(whole.lake))
    assert len(before) < len(rows)
    assert any(path.startswith("journeys/") for path in rows)


def test_killed_after_the_assessment_of_people_it_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise PowerCutError

    shop = site(tmp_path)
    with monkeypatch.context() as power:
        power.setattr(attempt, "finish_run", killed)
        with pytest.raises(PowerCutError):
            run(shop, uniforms=UNIFORM)
    before = rows_of(Path(shop.lake))
    run(shop, uniforms=UNIFORM)
    assert rows_of(Path(shop.lake)) == before


def test_who_looks_like_an_enrolled_uniform_is_likelier_staff(tmp_path: Path) -> None:
    """Person 1, in the hall before noon, wears it; the others do not, which speaks a little against them."""
    plain, dressed = site(tmp_path / "plain"), site(tmp_path / "dressed")
    question = """SELECT session_id, identity_id, staff_probability FROM journeys WHERE staff_probability IS NOT NULL"""
    run(plain)
    run(dressed, uniforms=UNIFORM)
    before, after = ({tuple(key): p for *key, p in ask(shop, question)} for shop in (plain, dressed))
    wearer = ask(
        plain, "SELECT session_id, identity_id FROM tracklet_identity WHERE camera_id = 'hall' AND local_id = 1"
    )
    assert len(after) == 3
    assert {key for key, p in after.items() if p > before[key]} == set(wearer)
    assert {key for key, p in after.items() if p < before[key]} == set(after) - set(wearer)
    assert after[wearer[0]] > 10 * before[wearer[0]]


def test_a_reset_on_demand_twice(tmp_path: Path) -> None:
    """Asked twice within one tick it is one reset; asked later it is another. Nothing is deleted."""
    plain, reset = site(tmp_path / "plain"), site(tmp_path / "reset")
    run(plain)
    asked: list[str] = []

    def demand(number: int, gallery: GalleryHost) -> None:
        if number in (2, 4):
            now_us = START_US + (10 * number + 11) * S + 200_000
            asked.extend([gallery.reset_session(now_us), gallery.reset_session(now_us + 100_000)])

    run(reset, demand)
    assert (asked[0], asked[2]) == (asked[1], asked[3])
    sessions = ask(reset, "SELECT session_id FROM identity_events WHERE kind = 'session' ORDER BY sequence")
    assert len(sessions) == 4  # the beginning, both demands, the day's start
    assert {asked[0], asked[2]} < {session for (session,) in sessions}
    for table in ("tracklets", "zone_visits", "line_crossings"):
        columns = "* EXCLUDE (run_id)"
        assert ask(reset, f"SELECT {columns} FROM {table} ORDER BY ALL") == ask(
            plain, f"SELECT {columns} FROM {table} ORDER BY ALL"
        )
    parts = ask(reset, "SELECT count(*) FROM journeys WHERE len(stays) > 0 AND duration_s < 26")
    assert parts[0][0] >= 4  # whoever stayed has a part in each session
