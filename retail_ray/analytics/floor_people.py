"""People on the floor, followed over cameras and broken tracklets by place alone, never by recognition.

Two tracklets of different cameras that stay at one place are one person; a tracklet that begins where a person was
lost goes on with that person. Who is who among neighbours may be mixed up; how many there are is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from retail_ray.core.event_time import Tick
from retail_ray.core.time import US_PER_S

TrackKey = tuple[int, int]
"""(place of the camera among the sorted names, local id)."""


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

    def update(self, tick: Tick) -> FloorTick:
        """Take in a tick: known tracklets move their person, new ones go on, the others begin one."""
        seen = _sights(tick)
        middle_us = {key: (sight.first_us + sight.last_us) // 2 for key, sight in seen.items()}
        fresh = []
        for key, sight in seen.items():
            owner = self._owner.get(key)
            if owner is None:
                fresh.append(key)
            else:
                self._move(self._people[owner], key, sight)
        self._go_on(fresh, seen)
        self._part(seen)
        people = self._place(seen)
        merged = self._unite(people)
        gone = self._forget(tick.end_us)
        for person, _ in merged:
            people.pop(person, None)
        samples = [self._sample(person, keys, middle_us) for person, keys in sorted(people.items())]
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

    def _move(self, person: _Person, key: TrackKey, sight: _View) -> None:
        view = person.views[key]
        view.last_us, view.x_m, view.y_m = sight.last_us, sight.x_m, sight.y_m
        person.last_us = max(person.last_us, sight.last_us)

    def _go_on(self, fresh: list[TrackKey], seen: dict[TrackKey, _View]) -> None:
        """New tracklets take up the people who were lost near by, the nearest pairs first."""
        watched: dict[int, set[int]] = {}
        for key in seen:
            if key in self._owner:
                watched.setdefault(self._owner[key], set()).add(key[0])
        pairs = sorted(pair for key in fresh for pair in self._lost_near(key, seen[key], watched))
        taken: set[int] = set()
        for _, number, key in pairs:
            if number not in taken and key not in self._owner:
                taken.add(number)
                self._own(number, key, seen[key])
        for key in fresh:
            if key not in self._owner:
                self._begin(key, seen[key])

    def _lost_near(
        self, key: TrackKey, sight: _View, watched: dict[int, set[int]]
    ) -> list[tuple[float, int, TrackKey]]:
        """Who may go on in a new tracklet; nobody farther away than somebody whom other cameras see meanwhile."""
        lost, nearest_m = [], self.settings.near_m
        for number, person in self._people.items():
            away_m, gap_s = self._gap(person, sight)
            cameras = watched.get(number, {key[0]})
            if key[0] not in cameras:
                nearest_m = min(nearest_m, away_m)
            elif len(cameras) == 1 and gap_s > 0 and self._within_reach(away_m, gap_s):
                lost.append((away_m, number, key))
        return [pair for pair in lost if nearest_m == self.settings.near_m or pair[0] < nearest_m]

    def _gap(self, person: _Person, sight: _View) -> tuple[float, float]:
        away_m = float(np.hypot(sight.x_m - person.x_m, sight.y_m - person.y_m))
        return away_m, (sight.first_us - person.last_us) / US_PER_S

    def _within_reach(self, away_m: float, gap_s: float) -> bool:
        s = self.settings
        reach_m = s.reach_m + (s.reach_m_s * gap_s if gap_s <= s.walk_gap_s else 0.0)
        return gap_s <= s.max_gap_s and away_m <= reach_m

    def _own(self, number: int, key: TrackKey, sight: _View) -> None:
        self._owner[key] = number
        self._people[number].views[key] = sight

    def _begin(self, key: TrackKey, sight: _View) -> None:
        self._people[self._next] = _Person(sight.first_us, sight.last_us, sight.x_m, sight.y_m)
        self._own(self._next, key, sight)
        self._next += 1

    def _part(self, seen: dict[TrackKey, _View]) -> None:
        """A tracklet that walks away from its person's others begins a person of its own."""
        for number in sorted({self._owner[key] for key in seen}):
            person = self._people[number]
            here = sorted((view.first_us, key) for key, view in person.views.items() if key in seen)
            eldest = person.views[here[0][1]]
            for _, key in here[1:]:
                view = person.views[key]
                if np.hypot(view.x_m - eldest.x_m, view.y_m - eldest.y_m) <= self.settings.apart_m:
                    view.apart_us = None
                elif view.apart_us is None:
                    view.apart_us = view.last_us
                elif view.last_us - view.apart_us >= self.settings.apart_s * US_PER_S:
                    del person.views[key]
                    self._begin(key, _View(view.first_us, view.last_us, view.x_m, view.y_m))

    def _place(self, seen: dict[TrackKey, _View]) -> dict[int, list[TrackKey]]:
        """Everybody in sight stands at the mean of their tracklets; the longest one comes first."""
        people: dict[int, list[TrackKey]] = {}
        for key in seen:
            people.setdefault(self._owner[key], []).append(key)
        for number, keys in people.items():
            person = self._people[number]
            views = [person.views[key] for key in keys]
            keys.sort(key=lambda key, person=person: (person.views[key].first_us, key))  # type: ignore[misc]
            person.x_m = sum(view.x_m for view in views) / len(views)
            person.y_m = sum(view.y_m for view in views) / len(views)
            person.last_us = max(view.last_us for view in views)
        return people

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
        xy_m = np.array([(self._people[number].x_m, self._people[number].y_m) for number in numbers])
        away_m = np.hypot(*np.moveaxis(xy_m[:, None] - xy_m[None], -1, 0))
        since_us = max(self._people[number].last_us for number in numbers) - US_PER_S
        cameras = {number: self._people[number].cameras(since_us) for number in numbers}
        close: dict[int, dict[int, tuple[int, float, int]]] = {number: {} for number in numbers}
        for row, column in zip(*np.nonzero(np.triu(away_m <= self.settings.near_m, 1)), strict=True):
            elder, younger = numbers[row], numbers[column]
            if not cameras[elder] & cameras[younger]:
                person = self._people[younger]
                first_us, sum_m, ticks = person.near.get(elder, (person.last_us, 0.0, 0))
                close[younger][elder] = (first_us, sum_m + float(away_m[row, column]), ticks + 1)
        for number, found in close.items():
            hidden = {
                e: entry for e, entry in self._people[number].near.items() if e in self._people and e not in close
            }
            self._people[number].near = found | hidden

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
        for person in self._people.values():
            for key in [key for key, view in person.views.items() if view.last_us < limit_us]:
                del person.views[key]
                del self._owner[key]
        return gone

    def _sample(self, number: int, keys: list[TrackKey], middle_us: dict[TrackKey, int]) -> FloorSample:
        person = self._people[number]
        time_us = sum(middle_us[key] for key in keys) // len(keys)
        return FloorSample(number, time_us, person.x_m, person.y_m, keys[0], not person.near)


def _sights(tick: Tick) -> dict[TrackKey, _View]:
    """Each tracklet's first and last time and mean floor point in the tick, in order of camera and local id."""
    rows = np.flatnonzero(np.isfinite(tick.floor_xy_m[:, 0]))
    if not len(rows):
        return {}
    order = rows[np.lexsort((tick.time_us[rows], tick.local_id[rows], tick.camera[rows]))]
    camera, local_id = tick.camera[order], tick.local_id[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(camera) != 0) | (np.diff(local_id) != 0)
    first = np.flatnonzero(new)
    count = np.diff([*first.tolist(), len(order)])
    xy_m = np.add.reduceat(tick.floor_xy_m[order], first) / count[:, None]
    time_us = tick.time_us[order]
    columns = (
        camera[first].tolist(),
        local_id[first].tolist(),
        time_us[first].tolist(),
        time_us[first + count - 1].tolist(),
        xy_m.tolist(),
    )
    return {
        (camera, local_id): _View(first_us, last_us, x_m, y_m)
        for camera, local_id, first_us, last_us, (x_m, y_m) in zip(*columns, strict=True)
    }
