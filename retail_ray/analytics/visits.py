"""Visits of one identity from its tracklets: entry, exit, and zone stays that several tracklets saw together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retail_ray.core.identity_map import TrackletKey
from retail_ray.core.retail_records import JourneyStay


@dataclass(frozen=True, slots=True)
class ZoneStay:
    """A stay in a zone as one tracklet saw it; cut where the tracklet or the session began or ended within it."""

    zone_id: str
    enter_us: int
    exit_us: int
    begins_cut: bool
    ends_cut: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """A completed crossing of a counting line."""

    time_us: int
    direction: str


@dataclass(frozen=True, slots=True)
class Sight:
    """One tracklet of the identity, from first_us to last_us."""

    key: TrackletKey
    first_us: int
    last_us: int
    stays: tuple[ZoneStay, ...] = ()
    crossings: tuple[Crossing, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """From entry to exit; from first or to last sight, and censored, where one of them was not seen."""

    enter_us: int
    exit_us: int
    censored: bool
    stays: tuple[JourneyStay, ...]
    tracklets: tuple[TrackletKey, ...]


def cut_visits(sights: Sequence[Sight], visit_gap_us: int, bridge_gap_us: int) -> list[Visit]:
    """Visits in order of time: an absence above `visit_gap_us` ends one."""
    visits: list[list[Sight]] = []
    until_us = 0
    for sight in sorted(sights, key=lambda sight: (sight.first_us, sight.last_us, sight.key)):
        if not visits or sight.first_us - until_us > visit_gap_us:
            visits.append([])
            until_us = sight.last_us
        visits[-1].append(sight)
        until_us = max(until_us, sight.last_us)
    return [_visit(group, bridge_gap_us) for group in visits]


def _visit(sights: list[Sight], bridge_gap_us: int) -> Visit:
    """The first crossing, if inwards, is the entry; the last one, if outwards, the exit. What lies outside is cut."""
    crossings = sorted((c for sight in sights for c in sight.crossings), key=lambda c: (c.time_us, c.direction))
    entered = bool(crossings) and crossings[0].direction == "in"
    left = bool(crossings) and crossings[-1].direction == "out"
    enter_us = crossings[0].time_us if entered else min(sight.first_us for sight in sights)
    exit_us = crossings[-1].time_us if left else max(sight.last_us for sight in sights)
    exit_us = max(enter_us, exit_us)
    seen = [stay for sight in sights for stay in sight.stays]
    stays = (
        JourneyStay(stay.zone_id, max(stay.enter_us, enter_us), min(stay.exit_us, exit_us))
        for stay in joined_stays(seen, bridge_gap_us)
        if stay.enter_us < exit_us and stay.exit_us > enter_us
    )
    return Visit(
        enter_us,
        exit_us,
        not (entered and left),
        tuple(sorted(stays, key=lambda stay: (stay.enter_us, stay.exit_us, stay.zone_id))),
        tuple(sight.key for sight in sights),
    )


def joined_stays(stays: Sequence[ZoneStay], bridge_gap_us: int) -> list[ZoneStay]:
    """Stays of one person, each once: what overlaps in one zone is one stay, whoever saw it.

    A hole of at most `bridge_gap_us` is bridged where somebody lost sight at one side of it; where the person was
    seen leaving and coming back, it is two stays.
    """
    by_zone: dict[str, list[ZoneStay]] = defaultdict(list)
    for stay in sorted(stays, key=lambda stay: (stay.enter_us, stay.exit_us, stay.begins_cut, stay.ends_cut)):
        of_zone = by_zone[stay.zone_id]
        if of_zone and _continues(of_zone[-1], stay, bridge_gap_us):
            of_zone[-1] = _join(of_zone[-1], stay)
        else:
            of_zone.append(stay)
    return [stay for zone_id in sorted(by_zone) for stay in by_zone[zone_id]]


def _continues(before: ZoneStay, after: ZoneStay, bridge_gap_us: int) -> bool:
    hole_us = after.enter_us - before.exit_us
    return hole_us <= 0 or (hole_us <= bridge_gap_us and (before.ends_cut or after.begins_cut))


def _join(one: ZoneStay, other: ZoneStay) -> ZoneStay:
    last = max(one, other, key=lambda stay: stay.exit_us)
    return replace(one, exit_us=last.exit_us, ends_cut=last.ends_cut)
