"""Staff probability and groups of the identities of one site, day and run: from the lake, by the site's geometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from retail_ray.analytics.groups import ALONE, GroupCounts, count_entries, find_groups
from retail_ray.analytics.staff import StaffAreas, StaffSignals, assess_staff, staff_signals
from retail_ray.config import Site
from retail_ray.lake.floor_paths import DayPaths, read_day_paths
from retail_ray.lake.views import Lake

Key = tuple[str, int]
"""(session_id, identity_id)."""


@dataclass(frozen=True, slots=True)
class PeopleTraits:
    """staff_probability: every identity of the day. staff_reasons: the parts of its log-odds, the strongest first.

    group_id: identities that came with others, numbered from 0 within this day and run. entries: as persons and groups.
    """

    staff_probability: dict[Key, float]
    staff_reasons: dict[Key, dict[str, float]]
    group_id: dict[Key, int]
    entries: GroupCounts


def people_traits(
    lake: Lake, site: Site, run_id: str, day: date, uniform_log_odds: Mapping[Key, float] | None = None
) -> PeopleTraits:
    """The same facts and identities give the same traits.

    day: the business day. uniform_log_odds: of identities whose likeness to enrolled uniforms is known.
    """
    known = read_day_paths(lake, site.site, run_id, day)
    assessed = assess_staff(_signals(known, site, uniform_log_odds or {}))
    groups = find_groups(known.paths, known.crossings, len(known.identities))
    numbers = dict(enumerate(known.identities))
    return PeopleTraits(
        {key: float(assessed.probability[number]) for number, key in numbers.items()},
        {key: assessed.reasons(number) for number, key in numbers.items()},
        {key: int(groups.group[number]) for number, key in numbers.items() if groups.group[number] != ALONE},
        count_entries(known.crossings, groups.group),
    )


def staff_areas(site: Site) -> StaffAreas:
    """Staff zones on the floor, and cashiers' places."""
    return StaffAreas(
        tuple(tuple(zone.m) for zone in site.zones if zone.kind == "staff" and zone.m is not None),
        tuple(tuple(lane.cashier_m) for lane in site.queues if lane.cashier_m is not None),
    )


def _signals(known: DayPaths, site: Site, uniform_log_odds: Mapping[Key, float]) -> StaffSignals:
    """Zones on a camera's picture have no polygon on the floor: their stays come from the zone visits."""
    uniform = np.array([uniform_log_odds.get(key, 0.0) for key in known.identities], np.float64)
    signals = staff_signals(
        known.paths, known.crossings, len(known.identities), staff_areas(site), uniform_log_odds=uniform
    )
    on_pictures = [known.zone_s[z.id] for z in site.zones if z.kind == "staff" and z.m is None and z.id in known.zone_s]
    return replace(signals, staff_zone_s=sum(on_pictures, signals.staff_zone_s))
