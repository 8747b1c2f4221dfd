"""People on the floor, followed over cameras and broken tracklets by place alone, never by recognition.

Two tracklets of different cameras that stay at one place are one person; a tracklet that begins where a person was
lost goes on with that person. Who is who among neighbours may be mixed up; how many there are is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from retail_ray.analytics.areas import near_pairs
from retail_ray.analytics.sights import KEY_STEP, Sights
from retail_ray.core.time import US_PER_S

TrackKey = tuple[int, int]
"""(place of the camera among the sorted names, local id)."""
Sight = tuple[int, int, float, float]
"""A tracklet in one tick: first and last time, and mean floor point (first_us, last_us, x_m, y_m)."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """near_m, together_s: two cameras' tracklets so near for so long are one person. apart_m, apart_s: a tracklet that
    stays so far from its person's others is another one's. A person unseen for at most max_gap_s goes on in a tracklet
    that begins within reach_m, or within reach_m_s times the gap as long as that is at most walk_gap_s.
    """

    near_m: float = 0.7
    together_s: float = 2.0
    apart_m: float = 1.2
    apart_s: float = 1.0
    max_gap_s: float = 30.0
    reach_m: float = 0.8
    reach_m_s: float = 1.0
    walk_gap_s: float = 2.0


DEFAULT_FOLLOW: Final = FollowSettings()


class FloorSample(NamedTuple):
    """Where one person was in one tick: mean of all sights. track: its longest tracklet in sight. alone: False while
    it may turn out to be a person who has a sample of its own.
    """

    person: int
    time_us: int
    x_m: float
    y_m: float
    track: TrackKey
    alone: bool


@dataclass(frozen=True, slots=True)
class FloorTick:
    """Samples in order of person; merged: (person who is no more, person who stays); gone: unseen for too long."""

    samples: list[FloorSample]
    merged: list[tuple[int, int]]
    gone: list[int]


@dataclass(slots=True)
class _View:
    """One tracklet of a person, as last seen. apart_us: since when it is far from the person's others."""

    first_us: int
    last_us: int
    x_m: float
    y_m: float
    apart_us: int | None = None


_InSight = dict[int, list[tuple[TrackKey, _View]]]
"""Everybody in sight with their tracklets in sight, in order of camera and local id."""


@dataclass(slots=True)
class _Person:
    """near: earlier people at the same place, each as (since_us, sum of the distances in metres, ticks)."""

    first_us: int
    last_us: int
    x_m: float
    y_m: float
    views: dict[TrackKey, _View] = field(default_factory=dict)
    near: dict[int, tuple[int, float, int]] = field(default_factory=dict)

    def cameras(self, since_us: int) -> set[int]:
        """Those that have seen the person since then."""
        return {camera for (camera, _), view in self.views.items() if view.last_us >= since_us}


@dataclass(slots=True)
class FloorFollower:
    """Follows everybody who has floor points. Work per tick grows with the square of the people in sight."""

    settings: FollowSettings = DEFAULT_FOLLOW
    _people: dict[int, _Person] = field(default_factory=dict)
    _owner: dict[TrackKey, int] = field(default_factory=dict)
    _next: int = 1

    def update(self, sights: Sights) -> FloorTick:
        """Take in a tick's sights on the floor: known tracklets move their person, new ones go on or begin one."""
        seen = _seen(sights)
        fresh = self._move(seen)
        if fresh:
            self._go_on(fresh, seen)
        people = self._by_person(seen)
        if self._part(people):
            people = self._by_person(seen)
        self._place(people)
        merged = self._unite(people)
        gone = self._forget(sights.end_us)
        for person, _ in merged:
            people.pop(person, None)
        samples = [self._sample(person, people[person], seen) for person in sorted(people)]
        return FloorTick(samples, merged, gone)

    def wake_us(self) -> int | None:
        """When the next unseen person is given up."""
        last_us = min((person.last_us for person in self._people.values()), default=None)
        return None if last_us is None else last_us + self._max_gap_us + 1

    def state(self) -> Any:
        people = []
        for number, person in self._people.items():
            views = [(key, *(getattr(view, name) for name in _View.__slots__)) for key, view in person.views.items()]
            where = (person.first_us, person.last_us, person.x_m, person.y_m)
            people.append((number, views, list(person.near.items()), *where))
        return self._next, people

    def restore(self, state: Any) -> None:
        self._next, people = state
        self._people = {}
        for number, views, near, *where in people:
            person = _Person(*where)
            person.views = {key: _View(*view) for key, *view in views}
            person.near = dict(near)
            self._people[number] = person
        self._owner = {key: number for number, person in self._people.items() for key in person.views}

    @property
    def _max_gap_us(self) -> int:
        return round(self.settings.max_gap_s * US_PER_S)

    def _move(self, seen: dict[TrackKey, Sight]) -> list[TrackKey]:
        """Known tracklets move; those that are nobody's yet."""
        fresh = []
        for key, sight in seen.items():
            number = self._owner.get(key)
            if number is None:
                fresh.append(key)
                continue
            person = self._people[number]
            view = person.views[key]
            _, view.last_us, view.x_m, view.y_m = sight
            person.last_us = max(person.last_us, view.last_us)
        return fresh

    def _go_on(self, fresh: list[TrackKey], seen: dict[TrackKey, Sight]) -> None:
        """New tracklets take up the people who were lost near by, the nearest pairs first."""
        taken: set[int] = set()
        for _, number, key in sorted(self._lost_near(fresh, seen)):
            if number not in taken and key not in self._owner:
                taken.add(number)
                self._own(number, key, _View(*seen[key]))
        for key in fresh:
            if key not in self._owner:
                self._begin(key, _View(*seen[key]))

    def _lost_near(self, fresh: list[TrackKey], seen: dict[TrackKey, Sight]) -> Iterator[tuple[float, int, TrackKey]]:
        """Who may go on in a new tracklet; nobody farther away than somebody whom other cameras see meanwhile."""
        s, numbers = self.settings, list(self._people)
        watched: dict[int, set[int]] = {}
        for key in seen:
            if key in self._owner:
                watched.setdefault(self._owner[key], set()).add(key[0])
        people_m = np.array([(person.x_m, person.y_m) for person in self._people.values()]).reshape(-1, 2)
        fresh_m = np.array([seen[key][2:] for key in fresh])
        away_m = np.hypot(fresh_m[:, 0, None] - people_m[:, 0], fresh_m[:, 1, None] - people_m[:, 1])
        within = away_m <= max(s.near_m, s.reach_m + max(0.0, s.reach_m_s * s.walk_gap_s))
        for key, nearby, row_m in zip(fresh, within, away_m, strict=True):
            lost, nearest_m = [], s.near_m
            for place in np.flatnonzero(nearby).tolist():
                number, to_m = numbers[place], float(row_m[place])
                cameras = watched.get(number, {key[0]})
                gap_s = (seen[key][0] - self._people[number].last_us) / US_PER_S
                if key[0] not in cameras:
                    nearest_m = min(nearest_m, to_m)
                elif len(cameras) == 1 and gap_s > 0 and self._within_reach(to_m, gap_s):
                    lost.append((to_m, number, key))
            yield from (pair for pair in lost if nearest_m == s.near_m or pair[0] < nearest_m)

    def _within_reach(self, away_m: float, gap_s: float) -> bool:
        s = self.settings
        reach_m = s.reach_m + (s.reach_m_s * gap_s if gap_s <= s.walk_gap_s else 0.0)
        return gap_s <= s.max_gap_s and away_m <= reach_m

    def _own(self, number: int, key: TrackKey, view: _View) -> None:
        self._owner[key] = number
        self._people[number].views[key] = view

    def _begin(self, key: TrackKey, view: _View) -> None:
        self._people[self._next] = _Person(view.first_us, view.last_us, view.x_m, view.y_m)
        self._own(self._next, key, view)
        self._next += 1

    def _by_person(self, seen: Iterable[TrackKey]) -> _InSight:
        people: _InSight = {}
        for key in seen:
            number = self._owner[key]
            people.setdefault(number, []).append((key, self._people[number].views[key]))
        return people

    def _part(self, people: _InSight) -> bool:
        """A tracklet that walks away from its person's others begins a person of its own; whether any did."""
        begun = self._next
        for number in sorted([number for number, views in people.items() if len(views) > 1]):
            eldest = min([view for _, view in people[number]], key=attrgetter("first_us"))
            away = [(view.first_us, key, view) for key, view in people[number] if self._walks_away(view, eldest)]
            for _, key, view in sorted(away, key=lambda found: found[:2]):
                del self._people[number].views[key]
                self._begin(key, _View(view.first_us, view.last_us, view.x_m, view.y_m))
        return self._next > begun

    def _walks_away(self, view: _View, eldest: _View) -> bool:
        """Whether the tracklet has been far from its person's eldest for long enough."""
        if view is eldest:
            return False
        if math.hypot(view.x_m - eldest.x_m, view.y_m - eldest.y_m) <= self.settings.apart_m:
            view.apart_us = None
        elif view.apart_us is None:
            view.apart_us = view.last_us
        else:
            return view.last_us - view.apart_us >= self.settings.apart_s * US_PER_S
        return False

    def _place(self, people: _InSight) -> None:
        """Everybody in sight stands at the mean of their tracklets."""
        for number, views in people.items():
            person, (_, view) = self._people[number], views[0]
            if len(views) == 1:
                person.x_m, person.y_m, person.last_us = view.x_m, view.y_m, view.last_us
                continue
            x_m, y_m, last_us = 0.0, 0.0, view.last_us
            for _, view in views:
                x_m, y_m, last_us = x_m + view.x_m, y_m + view.y_m, max(last_us, view.last_us)
            person.x_m, person.y_m, person.last_us = x_m / len(views), y_m / len(views), last_us

    def _unite(self, people: Iterable[int]) -> list[tuple[int, int]]:
        """People whom no camera sees both; together for long enough, they are one, the nearest on average first."""
        self._compare(sorted(people))
        ripe = []
        for number in people:
            person = self._people[number]
            for elder, (since_us, sum_m, ticks) in person.near.items():
                if person.last_us - since_us >= self.settings.together_s * US_PER_S:
                    ripe.append((sum_m / ticks, elder, number))
        merged: list[tuple[int, int]] = []
        touched: set[int] = set()
        for _, elder, number in sorted(ripe):
            if not {elder, number} & touched:
                touched |= {elder, number}
                merged.append((number, elder))
                self._merge(number, elder)
        return merged

    def _compare(self, numbers: list[int]) -> None:
        """Note for everybody in sight which earlier people are at the same place, seen by other cameras."""
        if not numbers:
            return
        here = [self._people[number] for number in numbers]
        x_m, y_m = np.array([person.x_m for person in here]), np.array([person.y_m for person in here])
        since_us = max([person.last_us for person in here]) - US_PER_S
        close: dict[int, dict[int, tuple[int, float, int]]] = {}
        cameras: dict[int, set[int]] = {}
        for row, column, away_m in near_pairs(x_m, y_m, self.settings.near_m):
            for place in (row, column):
                if place not in cameras:
                    cameras[place] = here[place].cameras(since_us)
            if cameras[row].isdisjoint(cameras[column]):
                younger, elder = here[column], numbers[row]
                first_us, sum_m, ticks = younger.near.get(elder, (younger.last_us, 0.0, 0))
                close.setdefault(column, {})[elder] = (first_us, sum_m + away_m, ticks + 1)
        in_sight = set(numbers)
        for place, person in enumerate(here):
            if person.near or place in close:
                near = person.near.items()
                hidden = {e: entry for e, entry in near if e in self._people and e not in in_sight}
                person.near = close.get(place, {}) | hidden

    def _merge(self, number: int, elder: int) -> None:
        gone, stays = self._people.pop(number), self._people[elder]
        share = len(gone.views) / (len(gone.views) + len(stays.views))
        stays.x_m += (gone.x_m - stays.x_m) * share
        stays.y_m += (gone.y_m - stays.y_m) * share
        stays.last_us = max(stays.last_us, gone.last_us)
        for key, view in gone.views.items():
            self._own(elder, key, view)

    def _forget(self, now_us: int) -> list[int]:
        limit_us = now_us - self._max_gap_us
        gone = [number for number, person in self._people.items() if person.last_us < limit_us]
        for number in gone:
            for key in self._people.pop(number).views:
                del self._owner[key]
        old = [(p, key) for p in self._people.values() for key, view in p.views.items() if view.last_us < limit_us]
        for person, key in old:
            del person.views[key]
            del self._owner[key]
        return gone

    def _sample(self, number: int, views: list[tuple[TrackKey, _View]], seen: dict[TrackKey, Sight]) -> FloorSample:
        person, (longest, eldest) = self._people[number], views[0]
        middle_us = 0
        for key, view in views:
            first_us, last_us, *_ = seen[key]
            middle_us += (first_us + last_us) // 2
            if view.first_us < eldest.first_us:
                longest, eldest = key, view
        return FloorSample(number, middle_us // len(views), person.x_m, person.y_m, longest, not person.near)


def _seen(sights: Sights) -> dict[TrackKey, Sight]:
    """Each tracklet's sight of the tick, in order of camera and local id."""
    if not sights.spans:
        return {}
    sums_m = np.add.reduceat(sights.points, sights.first).tolist()
    return {
        divmod(key, KEY_STEP): (
            sights.times_us[first],
            sights.times_us[stop - 1],
            x_m / (stop - first),
            y_m / (stop - first),
        )
        for (key, (first, stop)), (x_m, y_m) in zip(sights.spans.items(), sums_m, strict=True)
    }
