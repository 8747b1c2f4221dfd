"""Decisions about identities, replayed one after the other: who has which tracklets, and by which links."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from retail_ray.core.errors import DataError
from retail_ray.core.records import IdentityEvent

BEGINNING_US: Final = -(1 << 62)
END_US: Final = 1 << 62
Person = tuple[str, int]
"""(session_id, identity_id)."""
TrackletKey = tuple[str, int]
"""(camera_id, local_id)."""


@dataclass(frozen=True, slots=True)
class Link:
    """Why a tracklet belongs to its identity.

    sequence: the decision that gave the tracklet its identity. p_same: probability that it is right, NaN where
    unknown. founder: the identity began with this tracklet; every identity has exactly one, and p_same of a founder
    says that nobody known is this person. A merge hangs the absorbed identity on by its founder, which takes the
    merge's p_same and keeps its place. p_new: of such a founder, the p_same that it had before, 1 where unknown; NaN
    for all others.
    """

    sequence: int
    p_same: float
    founder: bool
    p_new: float = math.nan


@dataclass(slots=True)
class IdentityMap:
    """The state after some decisions of one run; sessions are kept apart. sessions: their starts, in order."""

    members: dict[Person, dict[TrackletKey, Link]] = field(default_factory=dict)
    owner: dict[tuple[str, TrackletKey], int] = field(default_factory=dict)
    last_sequence: int = -1
    sessions: dict[str, int] = field(default_factory=dict)

    def apply_all(self, events: Iterable[IdentityEvent]) -> set[Person]:
        """Replay in order of sequence; the identities that changed. DataError where a decision comes twice."""
        touched: set[Person] = set()
        for event in sorted(events, key=lambda event: event.sequence):
            if event.sequence <= self.last_sequence:
                raise DataError(
                    f"identity decision {event.sequence} comes after {self.last_sequence}: give each run's decisions "
                    "once, in order"
                )
            self.last_sequence = event.sequence
            touched |= self._apply(event)
        return touched

    def owners(self, key: TrackletKey, sessions: Iterable[str]) -> list[Person]:
        """Identities of a tracklet, at most one in each session."""
        return [(name, self.owner[name, key]) for name in sessions if (name, key) in self.owner]

    def session_span_us(self, session_id: str) -> tuple[int, int]:
        """[start, end): from its own start to the next one's. The first begins with the data, the last is open."""
        names = list(self.sessions)
        if session_id not in self.sessions:
            return BEGINNING_US, END_US
        place = names.index(session_id)
        start_us = self.sessions[session_id] if place else BEGINNING_US
        return start_us, self.sessions[names[place + 1]] if place + 1 < len(names) else END_US

    def forget(self, session_id: str) -> None:
        """Drop a session that no decision will speak of again."""
        self.members = {who: links for who, links in self.members.items() if who[0] != session_id}
        self.owner = {place: identity for place, identity in self.owner.items() if place[0] != session_id}

    def _apply(self, event: IdentityEvent) -> set[Person]:
        if event.kind == "session":
            return self._begin_session(event)
        if event.identity_id is None:
            return set()
        target = (event.session_id, event.identity_id)
        if event.kind == "merge":
            return self._merge(event, target)
        if event.camera_id is None or event.local_id is None:
            return set()
        key = (event.camera_id, event.local_id)
        touched = self._leave(event.session_id, key) | {target}
        links = self.members.setdefault(target, {})
        links[key] = Link(event.sequence, event.p_same, founder=not links)
        self.owner[event.session_id, key] = event.identity_id
        return touched

    def _begin_session(self, event: IdentityEvent) -> set[Person]:
        """Everybody of the session before is changed: it now has an end."""
        former = list(self.sessions)[-1:]
        self.sessions.setdefault(event.session_id, event.time_us)
        return {who for who in self.members if who[0] in former}

    def _leave(self, session_id: str, key: TrackletKey) -> set[Person]:
        identity = self.owner.pop((session_id, key), None)
        if identity is None:
            return set()
        former = (session_id, identity)
        links = self.members[former]
        left = links.pop(key)
        if not links:
            del self.members[former]
        elif left.founder:
            first = _first(links)
            links[first] = Link(links[first].sequence, math.nan, founder=True)
        return {former}

    def _merge(self, event: IdentityEvent, target: Person) -> set[Person]:
        if event.other_identity_id is None or event.other_identity_id == target[1]:
            return set()
        absorbed = (event.session_id, event.other_identity_id)
        moved = self.members.pop(absorbed, None)
        if moved is None:
            return set()
        links = self.members.setdefault(target, {})
        if links:
            founder = next(key for key, link in moved.items() if link.founder)
            born = moved[founder]
            p_new = 1.0 if math.isnan(born.p_same) else born.p_same
            moved[founder] = Link(born.sequence, event.p_same, founder=False, p_new=p_new)
        links.update(moved)
        self.owner.update(dict.fromkeys(((event.session_id, key) for key in moved), target[1]))
        return {target, absorbed}


def p_one_person(links: Mapping[TrackletKey, Link]) -> float:
    """Probability that these tracklets of one identity are one person: the product over the links between them.

    The founder has no link; where it is not among them, the earliest link leads out of the group and does not count.
    NaN where some link has no probability; 1 for a single tracklet.
    """
    root = next((key for key, link in links.items() if link.founder), None) or _first(links)
    return math.prod(link.p_same for key, link in links.items() if key != root)


def _first(links: Mapping[TrackletKey, Link]) -> TrackletKey:
    return min(links, key=lambda key: (links[key].sequence, key))
