"""When the simulated shop is open, and what the scenario of one opening period is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from retail_ray.core.time import US_PER_S, from_us, to_us
from retail_ray.simulation.event_facts import Columns
from retail_ray.simulation.event_settings import EventSettings
from retail_ray.simulation.happenings import happenings
from retail_ray.simulation.scenario import Scenario, simulate
from retail_ray.simulation.settings import DAY_SHAPE, ScenarioSettings
from retail_ray.simulation.store import StorePlan

_AFTER_CLOSING_S: Final = 2400.0
_WARM_UP_S: Final = 900.0
_PEOPLE_PER_PARTY: Final = 1.35
_POSITIONS_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Period:
    """One opening of the shop within the simulated time, on the grid of analysed frames.

    number: counts periods from 0. first_tick, ticks: on that grid. starts_open: the shop was open before.
    """

    number: int
    first_tick: int
    ticks: int
    start_us: int
    starts_open: bool


def periods_of(settings: EventSettings) -> list[Period]:
    """Opening hours and the time until the last have gone home, as far as they lie in the simulated time."""
    zone, found = ZoneInfo(settings.timezone), list[Period]()
    first_day = from_us(settings.start_us).astimezone(zone).date() - timedelta(days=1)
    for ahead in range(int(settings.hours // 24) + 4):
        midnight = datetime.combine(first_day + timedelta(days=ahead), datetime.min.time(), zone)
        opens_us = to_us(midnight + timedelta(hours=settings.open_from_h))
        empty_us = to_us(midnight + timedelta(hours=settings.open_until_h)) + round(_AFTER_CLOSING_S * US_PER_S)
        first = max(0, -(-(opens_us - settings.start_us) // settings.frame_us))
        last = -(-(min(empty_us, settings.end_us) - settings.start_us) // settings.frame_us)
        if last - first > settings.fps:
            start_us = settings.start_us + first * settings.frame_us
            found.append(Period(len(found), first, last - first, start_us, opens_us < settings.start_us))
    return found


def play(plan: StorePlan, settings: EventSettings, period: Period, seed: int) -> Scenario:
    """The scenario of one period: it opens empty, or is in full swing where the data begins later than the day."""
    state = np.random.SeedSequence([seed, period.number]).generate_state(1)
    return simulate(plan, scenario_of(plan, settings, period), int(state[0]))


def scenario_of(plan: StorePlan, settings: EventSettings, period: Period) -> ScenarioSettings:
    """Arrivals follow the day's shape; visits last minutes, not seconds as in clips."""
    local = from_us(period.start_us).astimezone(ZoneInfo(settings.timezone))
    shape = tuple(DAY_SHAPE[hour] * _open_share(hour, settings) for hour in range(24))
    busiest = max(sum(shape), 1e-9)
    large = len(plan.checkouts) > 2
    return ScenarioSettings(
        duration_s=period.ticks / settings.fps,
        tick_s=1 / settings.fps,
        start_hour=local.hour + local.minute / 60 + local.second / 3600,
        hour_shape=shape,
        arrivals_per_hour=settings.visitors / _PEOPLE_PER_PARTY / busiest,
        passers_by_per_hour=60.0,
        initial_shoppers=0,
        warm_up_s=_WARM_UP_S if period.starts_open else 0.0,
        staff=len(plan.checkouts) + 2,
        stops_mean=12.0 if large else 4.0,
        stop_s=25.0 if large else 12.0,
        service_s=110.0 if large else 30.0,
        patience_s=120.0,
    )


def true_tables(scenario: Scenario, settings: EventSettings, period: Period) -> dict[str, Columns]:
    """What truly happened; positions once a second."""
    every = max(1, round(_POSITIONS_S * settings.fps))
    return happenings(scenario, period.start_us, positions_every=every)


def without_clashes(tables: dict[str, Columns], people_before: int, groups_before: int) -> dict[str, Columns]:
    """The same happenings with people and groups numbered on from those of earlier periods."""
    moved = {}
    for name, columns in tables.items():
        moved[name] = dict(columns)
        if "person_id" in columns:
            moved[name]["person_id"] = (columns["person_id"] + people_before).astype(np.int32)
        if "group_id" in columns:
            group = columns["group_id"]
            moved[name]["group_id"] = np.where(group >= 0, group + groups_before, group).astype(np.int32)
        if "twin_of" in columns:
            twin = columns["twin_of"]
            moved[name]["twin_of"] = np.where(twin >= 0, twin + people_before, twin).astype(np.int32)
    return moved


def _open_share(hour: int, settings: EventSettings) -> float:
    """Share of this hour of the day in which the shop is open."""
    return min(1.0, max(0.0, min(hour + 1, settings.open_until_h) - max(hour, settings.open_from_h)))
