"""Stays in zones, resolved per person, against true stays of at least 5 s.

Definitions of the product: leaving counts after 1.5 s outside, gaps of a track are bridged up to 10 s, and a stay
cut off by the start or end of track or data is censored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.measures import Measure, Section, median_and_p90, not_measured, share
from retail_ray.evaluation.scene import Scene
from retail_ray.lake.scored_rows import NOBODY

MIN_DWELL_US = 5 * US_PER_S
LEAVE_US = 3 * US_PER_S // 2
BRIDGED_US = 10 * US_PER_S


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of somebody in a zone. person: NOBODY where it is not known whom a tracklet followed."""

    zone_id: str
    who: int
    person: int
    enter_us: int
    exit_us: int
    censored: bool

    @property
    def dwell_s(self) -> float:
        return (self.exit_us - self.enter_us) / US_PER_S


def dwell(scene: Scene, rng: np.random.Generator) -> Section:
    """All zones together and each alone."""
    declared = _zones(scene)
    if not declared:
        return {"error_s": not_measured("the site measures no zone, or the truth has no stays")}
    true, found = true_stays(scene), found_stays(scene)
    alone: dict[str, Section] = {
        zone: of_stays(_in_zones(true, {zone}), _in_zones(found, {zone}), rng) for zone in sorted(declared)
    }
    return {"all": of_stays(_in_zones(true, declared), _in_zones(found, declared), rng), **alone}


def of_stays(true: list[Stay], found: list[Stay], rng: np.random.Generator) -> Section:
    """Errors of the stays that were found whole; missed, false and censored ones beside them."""
    pairs = matched(true, found)
    whole = [(mine, theirs) for mine, theirs in pairs if not mine.censored and not theirs.censored]
    off_s = np.array([theirs.dwell_s - mine.dwell_s for mine, theirs in whole])
    return {
        "error_s": median_and_p90(np.abs(off_s), "stays found whole", rng),
        "bias_s": Measure(float(np.median(off_s)), len(off_s), "stays found whole")
        if len(off_s)
        else not_measured("there are no stays found whole"),
        "found": share(len(pairs), len(true), "true stays"),
        "right": share(len(pairs), len(found), "stays in the lake"),
        "missed": Measure(float(len(true) - len(pairs)), len(true), "true stays"),
        "false": Measure(float(len(found) - len(pairs)), len(found), "stays in the lake"),
        "censored": Measure(float(len(pairs) - len(whole)), len(pairs), "stays found"),
    }


def _in_zones(stays: list[Stay], zones: set[str]) -> list[Stay]:
    return [stay for stay in stays if stay.zone_id in zones]


def true_stays(scene: Scene) -> list[Stay]:
    table = scene.truth.tables["zone_stays"]
    names = ("zone_id", "person_id", "enter_us", "exit_us", "censored")
    rows = zip(*(table[name].tolist() for name in names), strict=True)
    end_us = scene.truth.of.end_us
    stays = [Stay(z, who, who, enter, end_us if leave < 0 else leave, cut) for z, who, enter, leave, cut in rows]
    joined = _joined(stays, lambda earlier, later: later.enter_us - earlier.exit_us <= LEAVE_US)
    return [stay for stay in joined if stay.exit_us - stay.enter_us >= MIN_DWELL_US]


def found_stays(scene: Scene) -> list[Stay]:
    """Zone visits of the lake; those of one identity that overlap or follow each other closely are one stay."""
    table = scene.rows.tables.get("zone_visits")
    if table is None:
        return []
    person = people_of_tracklets(scene).person
    columns = (table[name].tolist() for name in ("zone_id", "tracklet", "enter_us", "exit_us", "censored"))
    stays = [
        Stay(zone, int(scene.identity[number]), int(person[number]), enter, leave, bool(cut))
        for zone, number, enter, leave, cut in zip(*columns, strict=True)
    ]
    return _joined(stays, _goes_on)


def _goes_on(earlier: Stay, later: Stay) -> bool:
    gap_us = later.enter_us - earlier.exit_us
    return gap_us <= LEAVE_US or (gap_us <= BRIDGED_US and earlier.censored and later.censored)


def _joined(stays: Iterable[Stay], goes_on: Callable[[Stay, Stay], bool]) -> list[Stay]:
    """A joined stay belongs to the person of its longest part; it is censored where its last part is."""
    result: list[Stay] = []
    for stay in sorted(stays, key=lambda s: (s.zone_id, s.who, s.enter_us, s.exit_us)):
        last = result[-1] if result else None
        if last is None or (last.zone_id, last.who) != (stay.zone_id, stay.who) or not goes_on(last, stay):
            result.append(stay)
            continue
        longer = max(last, stay, key=lambda s: s.dwell_s)
        later = max(last, stay, key=lambda s: s.exit_us)
        result[-1] = replace(last, person=longer.person, exit_us=later.exit_us, censored=later.censored)
    return result


def matched(true: list[Stay], found: list[Stay]) -> list[tuple[Stay, Stay]]:
    """One-to-one pairs of one zone and person that overlap, the longest common time in all."""
    zones = sorted({stay.zone_id for stay in true} & {stay.zone_id for stay in found})
    return [pair for zone in zones for pair in _matched_in_zone(_in_zones(true, {zone}), _in_zones(found, {zone}))]


def _matched_in_zone(true: list[Stay], found: list[Stay]) -> list[tuple[Stay, Stay]]:
    from scipy.optimize import linear_sum_assignment

    mine, theirs = (np.array([(s.person, s.enter_us, s.exit_us) for s in side], np.int64).T for side in (true, found))
    same = (mine[0][:, None] == theirs[0][None]) | (theirs[0][None] == NOBODY)
    common_us = np.minimum(mine[2][:, None], theirs[2][None]) - np.maximum(mine[1][:, None], theirs[1][None])
    common_us = np.where(same, np.clip(common_us, 0, None), 0)
    rows, columns = linear_sum_assignment(-common_us)
    return [(true[row], found[column]) for row, column in zip(rows, columns, strict=True) if common_us[row, column] > 0]


def _zones(scene: Scene) -> set[str]:
    """Zones that the lake measures; none where the truth has no stays at all."""
    settings, table = scene.rows.settings, scene.rows.tables.get("zone_visits")
    declared = set() if settings is None else {zone["id"] for zone in settings["zones"]}
    in_rows = set() if table is None else set(table["zone_id"].tolist())
    return declared | in_rows if len(scene.truth.tables["zone_stays"]["zone_id"]) else set()
