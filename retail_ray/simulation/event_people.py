"""Who the tracklets were taken for, with the errors of identification, and the journeys that come of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.records import IdentityEvent, LineCrossing, ZoneVisit
from retail_ray.core.retail_records import Journey, JourneyStay, QueueVisit
from retail_ray.core.time import US_PER_S
from retail_ray.simulation.event_facts import Columns, Tracklets
from retail_ray.simulation.event_settings import IdentitySettings

_DECIDED_AFTER_US: Final = US_PER_S
_LEAST_NATS: Final = 2.2
_AROUND_US: Final = 60 * US_PER_S
Name = tuple[str, int]
Kind = Literal["session", "create", "assign", "merge", "split"]


@dataclass(frozen=True, slots=True)
class Identities:
    """One session's decisions in order, and the (T,) identity of each tracklet when all of them are resolved."""

    session_id: str
    events: list[IdentityEvent]
    identity: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Draft:
    at_us: int
    kind: Kind
    who: tuple[int | None, int | None]
    name: Name | None
    p_same: float
    reason: str


@dataclass(slots=True)
class _Gallery:
    """Decides tracklet by tracklet in the order of their beginning."""

    settings: IdentitySettings
    session_id: str
    rng: np.random.Generator
    identity_of: dict[int, int] = field(default_factory=dict)
    last_seen_us: dict[int, int] = field(default_factory=dict)
    count: int = 0
    drafts: list[_Draft] = field(default_factory=list)

    def take(self, person: int, name: Name, first_us: int, last_us: int) -> int:
        """The identity that the tracklet has in the end."""
        at_us, known = first_us + _DECIDED_AFTER_US, self.identity_of.get(person)
        draw, s = float(self.rng.random()), self.settings
        repair_us = at_us + round(s.repair_s * US_PER_S)
        if known is None:
            final = self.identity_of[person] = self._create(at_us, name, "first seen")
        elif draw < s.fragments:
            final = self._create(at_us, name, "nobody like it")
        elif draw < s.fragments + s.late_merges:
            final, wrong = known, self._create(at_us, name, "nobody like it")
            self._note(repair_us, "merge", (known, wrong), None, "same clothes, possible way")
        elif draw < s.fragments + s.late_merges + s.late_splits and (other := self._somebody_else(known, at_us)):
            final = known
            self._note(at_us, "assign", (other, None), name, "appearance")
            self._note(repair_us, "split", (known, other), name, "in two places at once")
        else:
            final = known
            self._note(at_us, "assign", (known, None), name, "place and appearance")
        self.last_seen_us[final] = max(last_us, self.last_seen_us.get(final, 0))
        return final

    def _create(self, at_us: int, name: Name, reason: str) -> int:
        self.count += 1
        self._note(at_us, "create", (self.count, None), name, reason)
        return self.count

    def _somebody_else(self, known: int, at_us: int) -> int | None:
        around = [n for n, last_us in self.last_seen_us.items() if last_us > at_us - _AROUND_US and n != known]
        return around[int(self.rng.integers(len(around)))] if around else None

    def _note(self, at_us: int, kind: Kind, who: tuple[int, int | None], name: Name | None, reason: str) -> None:
        """who: the identity that the decision is about, and the other one of a merge or split."""
        p_same = np.nan if kind == "create" else float(np.round(0.98 + 0.02 * self.rng.uniform(0.75, 0.97), 4))
        self.drafts.append(_Draft(at_us, kind, who, name, p_same, reason))


def identify(
    tracklets: Tracklets,
    settings: IdentitySettings,
    session_id: str,
    start_us: int,
    rng: np.random.Generator,
    *,
    first_sequence: int = 0,
) -> Identities:
    """Decide about every tracklet of one session; decisions of a run are numbered over all its sessions."""
    gallery = _Gallery(settings, session_id, rng)
    gallery.drafts.append(_Draft(start_us, "session", (None, None), None, np.nan, "start"))
    identity = np.zeros(len(tracklets), np.int64)
    for place in np.lexsort((tracklets.local_id, tracklets.camera, tracklets.first_us)).tolist():
        span = int(tracklets.first_us[place]), int(tracklets.last_us[place])
        identity[place] = gallery.take(int(tracklets.person_id[place]), tracklets.name(place), *span)
    events = [
        IdentityEvent(
            draft.at_us,
            sequence,
            draft.kind,
            session_id,
            draft.who[0],
            draft.who[1],
            None if draft.name is None else draft.name[0],
            None if draft.name is None else draft.name[1],
            round(_nats(draft.p_same), 3),
            round(_nats(draft.p_same) - _LEAST_NATS, 3),
            draft.reason,
            draft.p_same,
        )
        for sequence, draft in enumerate(sorted(gallery.drafts, key=lambda draft: draft.at_us), first_sequence)
    ]
    return Identities(session_id, events, identity)


def _nats(probability: float) -> float:
    """Log-likelihood ratio that gives this probability where both cases are as likely beforehand."""
    return float(np.log(probability / (1 - probability)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What cameras saw of everybody: the facts that journeys are made of."""

    tracklets: Tracklets
    crossings: Sequence[LineCrossing]
    zone_visits: Sequence[ZoneVisit]
    queue_visits: Sequence[QueueVisit]


@dataclass(slots=True)
class _Trip:
    """One person's visit as one identity saw it: the tracklets, and what they met."""

    person: int
    places: list[int] = field(default_factory=list)
    came_us: int | None = None
    left_us: int | None = None
    stays: list[ZoneVisit] = field(default_factory=list)
    served: bool = False


def journeys(
    seen: Seen, identities: Identities, happened: dict[str, Columns], gap_s: float, rng: np.random.Generator
) -> list[Journey]:
    """One journey per true visit and identity that saw a part of it; passers-by have none."""
    trips, people = _trips(seen, identities, happened["visits"]), happened["people"]
    staff = set(people["person_id"][people["kind"] == "staff"].tolist())
    group_of = dict(zip(people["person_id"].tolist(), people["group_id"].tolist(), strict=True))
    counted: dict[int, int] = defaultdict(int)
    rows = []
    for (identity, _), trip in trips.items():
        counted[identity] += 1
        first_us = min(int(seen.tracklets.first_us[place]) for place in trip.places)
        last_us = max(int(seen.tracklets.last_us[place]) for place in trip.places)
        likely_staff = rng.uniform(0.85, 0.99) if trip.person in staff else rng.uniform(0, 0.12)
        group = int(group_of.get(trip.person, -1))
        enter_us = first_us if trip.came_us is None else trip.came_us
        rows.append(
            Journey(
                journey_id=f"{identities.session_id}-{identity}-{counted[identity]}",
                session_id=identities.session_id,
                identity_id=identity,
                enter_us=enter_us,
                exit_us=max(last_us if trip.left_us is None else trip.left_us, enter_us),
                censored=trip.came_us is None or trip.left_us is None,
                stays=merged_stays(trip.stays, gap_s),
                p_same=float(np.round(0.999 ** (len(trip.places) - 1) * rng.uniform(0.97, 1.0), 3)),
                converted=trip.served,
                conversion_source="zone_inferred",
                group_id=None if group < 0 else group,
                staff_probability=float(np.round(likely_staff, 3)),
            )
        )
    return sorted(rows, key=lambda row: (row.exit_us, row.journey_id))


def merged_stays(zone_visits: Iterable[ZoneVisit], gap_s: float) -> tuple[JourneyStay, ...]:
    """Stays of several tracklets in the same zone become one where at most `gap_s` lies between them."""
    merged: list[JourneyStay] = []
    for row in sorted(zone_visits, key=lambda row: (row.zone_id, row.enter_us, row.exit_us)):
        last = merged[-1] if merged else None
        if last is not None and last.zone_id == row.zone_id and row.enter_us - last.exit_us <= gap_s * US_PER_S:
            merged[-1] = JourneyStay(row.zone_id, last.enter_us, max(last.exit_us, row.exit_us))
        else:
            merged.append(JourneyStay(row.zone_id, row.enter_us, row.exit_us))
    return tuple(sorted(merged, key=lambda stay: (stay.enter_us, stay.zone_id)))


def _trips(seen: Seen, identities: Identities, visits: Columns) -> dict[tuple[int, int], _Trip]:
    """Trips by (identity, number of the true visit), in order of their first tracklets."""
    tracklets, trip_of = seen.tracklets, {}
    trips: dict[tuple[int, int], _Trip] = {}
    visits_of = _visits_by_person(visits)
    for place in np.argsort(tracklets.first_us, kind="stable").tolist():
        person = int(tracklets.person_id[place])
        span = int(tracklets.first_us[place]), int(tracklets.last_us[place])
        number = _visit_of(span, visits_of.get(person, ()))
        if number is None:
            continue
        trip = trips.setdefault((int(identities.identity[place]), number), _Trip(person))
        trip.places.append(place)
        trip_of[tracklets.name(place)] = trip
    _attach(seen, trip_of)
    return trips


def _attach(seen: Seen, trip_of: dict[Name, _Trip]) -> None:
    """Give each trip the facts of its tracklets; facts of passers-by are nobody's."""
    for stay in seen.zone_visits:
        if (trip := trip_of.get((stay.camera_id, stay.local_id))) is not None:
            trip.stays.append(stay)
    for wait in seen.queue_visits:
        trip = trip_of.get((wait.camera_id or "", wait.local_id or 0))
        if trip is not None and wait.outcome == "served":
            trip.served = True
    for crossing in seen.crossings:
        trip = trip_of.get((crossing.camera_id, crossing.local_id))
        if trip is None or crossing.turned_back:
            continue
        if crossing.direction == "in":
            trip.came_us = crossing.time_us
        else:
            trip.left_us = crossing.time_us


def _visits_by_person(visits: Columns) -> dict[int, list[tuple[int, int, int]]]:
    """(number, enter_us, exit_us) of each person's visits; one without end lasts for ever."""
    found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    columns = (visits["person_id"].tolist(), visits["enter_us"].tolist(), visits["exit_us"].tolist())
    for number, (person, enter_us, exit_us) in enumerate(zip(*columns, strict=True)):
        found[person].append((number, enter_us, exit_us if exit_us >= 0 else int(np.iinfo(np.int64).max)))
    return found


def _visit_of(span_us: tuple[int, int], visits: Sequence[tuple[int, int, int]]) -> int | None:
    """The visit that shares the most time with a tracklet, if it shares any."""
    shared = [(min(span_us[1], exit_us) - max(span_us[0], enter_us), -number) for number, enter_us, exit_us in visits]
    best = max(shared, default=(0, 0))
    return -best[1] if best[0] > 0 else None
