"""Journeys: tracklets, crossings and zone stays of one identity, put together to visits (RETAIL: visit).

A journey depends on nothing but the facts and the decisions about identities, so it may be derived again at any time:
`JourneyBook` does so for the identities that changed, and ends with what a derivation from scratch gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from retail_ray.analytics.visits import Crossing, Sight, Visit, ZoneStay, cut_visits
from retail_ray.core.errors import DataError
from retail_ray.core.identity_map import BEGINNING_US, IdentityMap, Link, Person, TrackletKey, p_one_person
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import US_PER_S, BusinessDay

_Value = TypeVar("_Value")
_STATE_VERSION: Final = 1
_NAN: Final = float("nan")
# Crossings and stays become final some seconds, decisions some minutes behind the end of a tracklet.
_SETTLED_US: Final = 600 * US_PER_S


@dataclass(frozen=True, slots=True)
class JourneySettings:
    """visit_gap_s: a longer absence ends a visit. bridge_gap_s: longest unseen part of one stay in a zone.
    outside_zones: ids of zones in front of doors; stays there belong to no visit."""

    day: BusinessDay
    visit_gap_s: float = 900.0
    bridge_gap_s: float = 10.0
    outside_zones: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JourneyFacts:
    """Rows that became final together, in any order; each row is told once."""

    events: Sequence[IdentityEvent] = ()
    tracklets: Sequence[TrackletRow] = ()
    zone_visits: Sequence[ZoneVisit] = ()
    line_crossings: Sequence[LineCrossing] = ()


@dataclass(slots=True)
class _Tracklet:
    """What is known of one tracklet; its span when it has ended."""

    span_us: tuple[int, int] | None = None
    stays: list[tuple[int, int, str, bool]] = field(default_factory=list)
    crossings: list[tuple[int, str]] = field(default_factory=list)


class JourneyBook:
    """Journeys of one run, kept up to date with its facts and with decisions about identities."""

    def __init__(self, settings: JourneySettings) -> None:
        self._settings = settings
        self._map = IdentityMap()
        self._tracklets: dict[TrackletKey, _Tracklet] = {}
        self._written: dict[Person, tuple[Journey, ...]] = {}
        self._staff: dict[Person, float] = {}
        self._groups: dict[Person, int] = {}

    def update(
        self,
        facts: JourneyFacts,
        version: int,
        staff: Mapping[Person, float] | None = None,
        groups: Mapping[Person, int] | None = None,
    ) -> list[Journey]:
        """Rows for the lake: all journeys of each identity that changed, and withdrawn ones, as of `version`.

        version: larger than at the last call. staff: probability of being staff; groups: number of the group that
        came together; both of identities assessed since the last call, the newest value holds.
        """
        touched = self._learn(facts)
        touched |= _news(self._staff, staff or {})
        touched |= _news(self._groups, groups or {})
        rows = [row for who in sorted(touched) for row in self._rewrite(who, version)]
        self._forget_settled_sessions()
        return rows

    def state(self) -> Any:
        """Everything, as plain values."""
        return (
            _STATE_VERSION,
            {who: [(key, *_values(link)) for key, link in links.items()] for who, links in self._map.members.items()},
            self._map.last_sequence,
            {key: (known.span_us, known.stays, known.crossings) for key, known in self._tracklets.items()},
            self._map.sessions,
            self._written,
            self._staff,
            self._groups,
        )

    def restore(self, state: Any) -> None:
        """Go on from `state()`; DataError where another version of the program wrote it."""
        version, members, last_sequence, tracklets, starts, written, staff, groups = state
        if version != _STATE_VERSION:
            raise DataError(f"the saved journeys have version {version}, this program's is {_STATE_VERSION}")
        self._map = IdentityMap(
            {who: {key: Link(*values) for key, *values in links} for who, links in members.items()},
            {(who[0], key): who[1] for who, links in members.items() for key, *_ in links},
            last_sequence,
            dict(starts),
        )
        self._tracklets = {key: _Tracklet(*values) for key, values in tracklets.items()}
        self._written, self._staff, self._groups = dict(written), dict(staff), dict(groups)

    def _learn(self, facts: JourneyFacts) -> set[Person]:
        touched = self._map.apply_all(facts.events)
        changed = set()
        for row in facts.tracklets:
            self._known(row.camera_id, row.local_id).span_us = (row.first_us, row.last_us)
            changed.add((row.camera_id, row.local_id))
        for stay in facts.zone_visits:
            if stay.zone_id in self._settings.outside_zones:
                continue
            stays = self._known(stay.camera_id, stay.local_id).stays
            stays.append((stay.enter_us, stay.exit_us, stay.zone_id, stay.censored))
            changed.add((stay.camera_id, stay.local_id))
        for crossing in facts.line_crossings:
            if not crossing.turned_back:
                known = self._known(crossing.camera_id, crossing.local_id)
                known.crossings.append((crossing.time_us, crossing.direction))
                changed.add((crossing.camera_id, crossing.local_id))
        sessions = {session for session, _ in self._map.members}
        return touched | {who for key in changed for who in self._map.owners(key, sessions)}

    def _known(self, camera_id: str, local_id: int) -> _Tracklet:
        return self._tracklets.setdefault((camera_id, local_id), _Tracklet())

    def _rewrite(self, who: Person, version: int) -> list[Journey]:
        """All journeys of an identity and what they leave out of its former days; none where nothing changed."""
        before, now = self._written.get(who, ()), tuple(self._journeys(who, version))
        if _alike(before, now, version):
            return []
        date_of = self._settings.day.date_of
        days = {date_of(row.enter_us) for row in now}
        gone = {date_of(row.enter_us): row for row in before if date_of(row.enter_us) not in days}
        if now:
            self._written[who] = now
        else:
            self._written.pop(who, None)
        return [*now, *(replace(row, stays=(), version=version, withdrawn=True) for row in gone.values())]

    def _journeys(self, who: Person, version: int) -> Iterable[Journey]:
        links = self._map.members.get(who, {})
        session_id, identity_id = who
        visits = cut_visits(
            [sight for key in sorted(links) if (sight := self._sight(key, session_id)) is not None],
            round(self._settings.visit_gap_s * US_PER_S),
            round(self._settings.bridge_gap_s * US_PER_S),
        )
        for number, visit in enumerate(visits, 1):
            yield Journey(
                journey_id=f"{session_id}-{identity_id}-{number}",
                session_id=session_id,
                identity_id=identity_id,
                enter_us=visit.enter_us,
                exit_us=visit.exit_us,
                censored=visit.censored,
                stays=visit.stays,
                p_same=_p_same(visit, links),
                converted=None,
                conversion_source=None,
                group_id=self._groups.get(who),
                staff_probability=self._staff.get(who, _NAN),
                version=version,
            )

    def _sight(self, key: TrackletKey, session_id: str) -> Sight | None:
        """The part of a tracklet within the session; None while it goes on, or where none of it lies there."""
        known = self._tracklets.get(key)
        if known is None or known.span_us is None:
            return None
        from_us, until_us = self._map.session_span_us(session_id)
        first_us, last_us = max(known.span_us[0], from_us), min(known.span_us[1], until_us)
        if first_us > last_us:
            return None
        stays = tuple(
            ZoneStay(
                zone_id,
                max(enter_us, first_us),
                min(exit_us, last_us),
                begins_cut=enter_us < first_us or (censored and enter_us <= known.span_us[0] + US_PER_S),
                ends_cut=exit_us > last_us or (censored and exit_us >= known.span_us[1] - US_PER_S),
            )
            for enter_us, exit_us, zone_id, censored in sorted(known.stays)
            if enter_us < last_us and exit_us > first_us
        )
        crossings = tuple(
            Crossing(at, way) for at, way in sorted(known.crossings) if first_us <= at <= last_us and at < until_us
        )
        return Sight(key, first_us, last_us, stays, crossings)

    def _forget_settled_sessions(self) -> None:
        """Former sessions whose tracklets have all ended some time ago: nothing will change them any more."""
        former = list(self._map.sessions)[:-1]
        if not former:
            return
        spans = [known.span_us for known in self._tracklets.values() if known.span_us is not None]
        newest_us = max((last_us for _, last_us in spans), default=BEGINNING_US)
        for session_id in former:
            own = [key for who, links in self._map.members.items() if who[0] == session_id for key in links]
            ends = [known.span_us[1] for key in own if (known := self._tracklets.get(key)) and known.span_us]
            last_us = max([self._map.session_span_us(session_id)[1], *ends])
            if own and len(ends) == len(own) and newest_us - last_us > _SETTLED_US:
                self._forget(session_id, own)

    def _forget(self, session_id: str, own: list[TrackletKey]) -> None:
        self._map.forget(session_id)
        still = {key for _, key in self._map.owner}
        for key in own:
            if key not in still:
                del self._tracklets[key]
        self._written = _without(self._written, session_id)
        self._staff = _without(self._staff, session_id)
        self._groups = _without(self._groups, session_id)


def _news(known: dict[Person, _Value], news: Mapping[Person, _Value]) -> set[Person]:
    """Take over what is new; whom it changes."""
    changed = {who for who, value in news.items() if known.get(who) != value}
    known.update(news)
    return changed


def _without(known: dict[Person, _Value], session_id: str) -> dict[Person, _Value]:
    return {who: value for who, value in known.items() if who[0] != session_id}


def _values(link: Link) -> tuple[int, float, bool]:
    return link.sequence, link.p_same, link.founder


def _p_same(visit: Visit, links: Mapping[TrackletKey, Link]) -> float:
    return p_one_person({key: links[key] for key in visit.tracklets})


def _alike(before: Sequence[Journey], now: Sequence[Journey], version: int) -> bool:
    """Whether the rows say the same; NaN is like NaN."""
    return [repr(replace(row, version=version)) for row in before] == [repr(row) for row in now]
