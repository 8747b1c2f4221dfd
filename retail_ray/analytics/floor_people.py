"""People on the floor, followed over cameras and broken tracklets by place alone, never by recognition.

Two tracklets of different cameras that stay at one place are one person; a tracklet that begins where a person was
lost goes on with that person. Who is who among neighbours may be mixed up; how many there are is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.floor_following import follow
from retail_ray.analytics.floor_tables import NEAR, NOBODY, PERSON, RULES, VIEW
from retail_ray.analytics.sights import Sights
from retail_ray.core.time import US_PER_S


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


@dataclass(frozen=True, slots=True)
class FloorTicks:
    """People in T ticks. samples: SAMPLE records, by tick, then person; begins: (T + 1,) each tick's first one.

    merged: of each tick (person who is no more, person who stays); gone: unseen for too long.
    """

    end_us: NDArray[np.int64]
    samples: NDArray[Any]
    begins: NDArray[np.int64]
    merged: list[list[tuple[int, int]]]
    gone: list[list[int]]


class FloorFollower:
    """Follows everybody who has floor points. Work per tick grows with the square of the people in sight.

    _people: PERSON records in order of their numbers. _views: VIEW records of their tracklets in order of the keys.
    """

    def __init__(self, settings: FollowSettings = DEFAULT_FOLLOW) -> None:
        self._rules = _rules(settings)
        self._people, self._views, self._near = np.zeros(0, PERSON), np.zeros(0, VIEW), np.zeros(0, NEAR)
        self._next = 1

    def update(self, sights: Sights) -> FloorTicks:
        """Take in sights on the floor: known tracklets move their person, new ones go on or begin one."""
        views = self._with_room(sights.key)
        place = np.searchsorted(views["key"], sights.key)
        people = np.concatenate([self._people, np.zeros(len(place), PERSON)])
        samples, begins, merged, gone, people, self._next, near = follow(
            sights.begins, sights.first, sights.time_us, sights.points, place, sights.end_us, views, people,
            len(self._people), self._next, self._near, self._rules,
        )  # fmt: skip
        self._keep(people, views, near)
        united: list[list[tuple[int, int]]] = [[] for _ in sights.end_us]
        left: list[list[int]] = [[] for _ in sights.end_us]
        for tick, person, stays in merged:
            united[tick].append((person, stays))
        for tick, person in gone:
            left[tick].append(person)
        return FloorTicks(sights.end_us, samples, begins, united, left)

    def wake_us(self) -> int | None:
        """When the next unseen person is given up."""
        return int(self._people["last_us"].min() + self._rules["max_gap_us"][0]) + 1 if len(self._people) else None

    def state(self) -> Any:
        return self._next, self._people.tolist(), self._views.tolist(), self._near.tolist()

    def restore(self, state: Any) -> None:
        self._next, people, views, near = state
        self._people, self._views, self._near = np.array(people, PERSON), np.array(views, VIEW), np.array(near, NEAR)

    def _with_room(self, keys: NDArray[np.int64]) -> NDArray[Any]:
        """The tracklets' table with those that are nobody's yet."""
        key = np.union1d(self._views["key"], keys)
        views = np.zeros(len(key), VIEW)
        views["key"], views["person"] = key, NOBODY
        views[np.searchsorted(key, self._views["key"])] = self._views
        return views

    def _keep(self, people: NDArray[Any], views: NDArray[Any], near: NDArray[Any]) -> None:
        """Tables without those who are no more."""
        here = people["here"]
        place = np.cumsum(here) - 1
        self._people, self._views = people[here], views[views["person"] != NOBODY]
        self._views["person"] = place[self._views["person"]]
        self._near = np.sort(near[here[near["younger"]] & here[near["elder"]]], order=("younger", "elder"))
        for who in ("younger", "elder"):
            self._near[who] = place[self._near[who]]


def _rules(s: FollowSettings) -> NDArray[Any]:
    """RULES of one."""
    together_us, apart_us, gap_us = (time_s * US_PER_S for time_s in (s.together_s, s.apart_s, s.max_gap_s))
    near = (s.near_m, together_us, s.apart_m, apart_us, s.reach_m, s.reach_m_s, s.walk_gap_s)
    return np.array([(*near, round(gap_us), s.max_gap_s)], RULES)
