"""Queues before checkouts: who waits in which lane, when they joined, were served, gave up (RETAIL: queue_length).

People come from a `FloorFollower`, so a queue does not depend on recognition. A person is in one lane at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from retail_ray.analytics.floor_people import FloorTicks
from retail_ray.analytics.queue_crowd import Crowd, FloorSample
from retail_ray.analytics.queue_lanes import LanePlace, Lanes, LaneSettings, lane_of
from retail_ray.core.errors import ConfigError
from retail_ray.core.retail_records import QueueOutcome, QueueVisit
from retail_ray.core.time import US_PER_S

_SERVED_AFTER_US = 2 * US_PER_S
_STAFF_AFTER_US = 1_500_000
_SPEED_OVER_US = 1_500_000
_KEPT_US = 20 * US_PER_S
_BORDER_M = 0.3
_BESIDE_M = 0.4
Step = tuple[int, float, float]


@dataclass(slots=True)
class Member:
    """Somebody in a queue. lane: place in the sorted lanes. along_m: place in the lane when last seen in it.

    in_service_us: since when in the service area, out_us: since when out of lane (waiting) or service area (served).
    gone_us: left the lane then and is not back yet. beside_us: time spent beside another member, not behind one.
    """

    lane: int
    camera_id: str
    local_id: int
    join_us: int
    last_us: int
    along_m: float
    in_service_us: int | None = None
    service_us: int | None = None
    out_us: int | None = None
    gone_us: int | None = None
    beside_us: int = 0

    @property
    def is_company(self) -> bool:
        """Stood beside somebody for most of the time: who leaves so has left it to the other."""
        return 2 * self.beside_us > self.last_us - self.join_us

    @property
    def waits(self) -> bool:
        return self.service_us is None and self.gone_us is None


@dataclass(slots=True)
class _Stay:
    """Somebody near the lanes who is in no queue. lane: the one that they are in, with their steps in it.

    barred: was served and has not left the lane since. cashier_us: time at a cashier's place.
    """

    last_us: int
    lane: int | None = None
    steps: list[Step] = field(default_factory=list)
    out_us: int | None = None
    barred: bool = False
    cashier_us: int = 0


class QueueTracker:
    """Stays in the lanes of one site; a visit comes out when it has ended and nothing can change it."""

    def __init__(self, lanes: Sequence[LaneSettings], reach_m: float = 3.0) -> None:
        names = [lane.lane_id for lane in lanes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"queue names must differ, used twice: {', '.join(twice)}")
        self._lanes = Lanes(lanes)
        self.lanes = self._lanes.settings
        self._reach_m = reach_m
        self._stays: dict[int, _Stay] = {}
        self._members: dict[int, Member] = {}
        self._free_us = [0] * len(self.lanes)

    @property
    def members(self) -> list[tuple[str, Member]]:
        """Everybody who has joined and whose visit has not come out, with the lane's name."""
        return [(self._settings(member).lane_id, member) for member in self._members.values()]

    @property
    def settles_within_us(self) -> int:
        """How long after a visit's last sight its rows may still change, beside the follower's gap."""
        return round(max((lane.return_s for lane in self.lanes), default=0.0) * US_PER_S) + _KEPT_US

    def waiting(self) -> dict[str, int]:
        """People who wait in each lane now."""
        waiting = dict.fromkeys((lane.lane_id for lane in self.lanes), 0)
        for name, member in self.members:
            waiting[name] += member.waits
        return waiting

    def update(self, people: FloorTicks, camera_ids: Sequence[str]) -> Iterator[list[QueueVisit]]:
        """Work the people tick by tick, those nearest to the heads first; exhaust it."""
        crowd = Crowd(self._lanes, people, self._reach_m)
        for tick, now_us in enumerate(people.end_us.tolist()):
            ended: list[QueueVisit] = []
            if self.lanes:
                self._work_tick(crowd, tick, camera_ids, ended)
                self._work_left(now_us, ended)
                for person in people.gone[tick]:
                    self._lose(person, ended)
            yield sorted(ended, key=_visit_order)

    def wake_us(self) -> int | None:
        """When the next visit of somebody who left is over for good."""
        left = [
            member.gone_us + round(self._settings(member).return_s * US_PER_S)
            for member in self._members.values()
            if member.gone_us is not None
        ]
        return min(left, default=None)

    def finish(self) -> list[QueueVisit]:
        """The data ends: open visits are censored where they were last seen."""
        ended: list[QueueVisit] = []
        for person in list(self._members):
            self._lose(person, ended)
        return sorted(ended, key=_visit_order)

    def state(self) -> Any:
        members = [(person, *(getattr(m, name) for name in Member.__slots__)) for person, m in self._members.items()]
        stays = [(person, *(getattr(s, name) for name in _Stay.__slots__)) for person, s in sorted(self._stays.items())]
        return members, stays, list(self._free_us)

    def restore(self, state: Any) -> None:
        members, stays, free_us = state
        self._members = {person: Member(*values) for person, *values in members}
        self._stays = {person: _Stay(*values) for person, *values in stays}
        for stay in self._stays.values():
            stay.steps = list(stay.steps)
        self._free_us = list(free_us)

    def _settings(self, member: Member) -> LaneSettings:
        return self.lanes[member.lane]

    def _work_tick(self, crowd: Crowd, tick: int, camera_ids: Sequence[str], ended: list[QueueVisit]) -> None:
        """Of those who only walk by, their stay has a time and nothing else."""
        for gone, stays in crowd.people.merged[tick]:
            self._merge(gone, stays)
        order = []
        for row in crowd.rows(tick):
            person = crowd.person[row]
            stay = self._stays.get(person)
            if crowd.touched[row] or person in self._members or (stay is not None and stay.lane is not None):
                order.append(row)
            elif stay is not None:
                stay.last_us, stay.barred = crowd.time_us[row], False
            elif crowd.near[row]:
                self._stays[person] = _Stay(crowd.time_us[row])
        order.sort(key=crowd.rank)
        for sample, places in zip(crowd.samples(order), crowd.places.of(order), strict=True):
            self._work(sample, places, camera_ids, ended)

    def _work(
        self, sample: FloorSample, places: list[LanePlace], camera_ids: Sequence[str], ended: list[QueueVisit]
    ) -> None:
        member = self._members.get(sample.person)
        if member is not None and member.gone_us is None:
            self._follow(sample, member, places[member.lane], ended)
            return
        stay = self._stays.get(sample.person)
        if stay is None and any(place.in_service or place.aside_m <= self._reach_m for place in places):
            stay = self._stays[sample.person] = _Stay(sample.time_us)
        if stay is not None:
            self._linger(sample, stay, places)
            self._maybe_join(sample, stay, places, camera_ids, ended)

    def _follow(self, sample: FloorSample, member: Member, place: LanePlace, ended: list[QueueVisit]) -> None:
        span_us, member.last_us = sample.time_us - member.last_us, sample.time_us
        if self._is_beside(member):
            member.beside_us += span_us
        if member.out_us is None:
            member.along_m = place.along_m
        if member.service_us is None:
            self._wait(sample, member, place)
        else:
            self._serve(sample, member, place, ended)

    def _wait(self, sample: FloorSample, member: Member, place: LanePlace) -> None:
        now_us, settings = sample.time_us, self._settings(member)
        member.in_service_us = (member.in_service_us or now_us) if place.in_service else None
        served = self._served_in(member.lane)
        if member.in_service_us is not None and served is None and now_us - member.in_service_us >= _SERVED_AFTER_US:
            member.service_us = max(member.in_service_us, self._free_us[member.lane], member.join_us)
            member.out_us = None
            return
        if place.in_service or place.aside_m <= settings.half_width_m + _BORDER_M:
            member.out_us = None
        elif member.out_us is None:
            member.out_us = now_us
        elif now_us - member.out_us >= settings.leave_after_s * US_PER_S:
            member.gone_us, member.out_us = max(member.out_us, member.join_us), None
            self._stays[sample.person] = _Stay(now_us)

    def _is_beside(self, member: Member) -> bool:
        return any(
            other is not member
            and other.lane == member.lane
            and other.gone_us is None
            and abs(other.along_m - member.along_m) <= _BESIDE_M
            for other in self._members.values()
        )

    def _served_in(self, lane: int) -> Member | None:
        served = [m for m in self._members.values() if m.lane == lane and m.service_us is not None]
        return max(served, key=lambda m: m.last_us, default=None)

    def _serve(self, sample: FloorSample, member: Member, place: LanePlace, ended: list[QueueVisit]) -> None:
        if place.in_service:
            member.out_us = None
        elif member.out_us is None:
            member.out_us = sample.time_us
        elif sample.time_us - member.out_us >= self._settings(member).leave_after_s * US_PER_S:
            del self._members[sample.person]
            self._free_us[member.lane] = member.out_us
            ended.append(self._visit(member, member.out_us, "served"))
            self._stays[sample.person] = _Stay(sample.time_us, barred=True)

    def _linger(self, sample: FloorSample, stay: _Stay, places: list[LanePlace]) -> None:
        now_us, span_us = sample.time_us, sample.time_us - stay.last_us
        stay.last_us = now_us
        if any(place.at_cashier for place in places):
            stay.cashier_us += min(span_us, US_PER_S)
        lane = lane_of(places, self.lanes, stay.lane)
        if lane is None and stay.lane is not None:
            stay.out_us = stay.out_us or now_us
            if now_us - stay.out_us < self.lanes[stay.lane].leave_after_s * US_PER_S:
                return
        if lane is None or lane != stay.lane:
            stay.lane, stay.steps, stay.out_us = lane, [], None
            stay.barred = stay.barred and lane is not None
        if lane is not None:
            stay.out_us = None
            stay.steps = [s for s in stay.steps if s[0] >= now_us - _KEPT_US]
            stay.steps.append((now_us, sample.x_m, sample.y_m))

    def _maybe_join(
        self,
        sample: FloorSample,
        stay: _Stay,
        places: list[LanePlace],
        camera_ids: Sequence[str],
        ended: list[QueueVisit],
    ) -> None:
        lane = stay.lane
        if lane is None or stay.out_us is not None or stay.barred or stay.cashier_us >= _STAFF_AFTER_US:
            return
        if not sample.alone or not self._is_queuing(stay, self.lanes[lane]):
            return
        if not self._is_in_line(lane, places[lane]) or not self._is_within(lane, stay.steps):
            return
        member = self._members.pop(sample.person, None)
        del self._stays[sample.person]
        if member is not None and member.lane == lane:
            self._members[sample.person] = replace(member, gone_us=None, in_service_us=None)
            return
        if member is not None:
            # A change of lanes is no abandonment.
            ended.append(self._visit(member, member.gone_us or member.last_us, "censored"))
        camera, local_id = sample.track
        along_m = places[lane].along_m
        join_us = _slow_since(stay.steps, self.lanes[lane].max_speed_mps)
        member = Member(lane, camera_ids[camera], local_id, join_us, sample.time_us, along_m)
        member.in_service_us = self._in_service_since(lane, stay.steps)
        self._members[sample.person] = member

    def _is_queuing(self, stay: _Stay, settings: LaneSettings) -> bool:
        """In the lane for long enough, with a low median speed over that time."""
        now_us, *_ = stay.steps[-1]
        since_us = now_us - round(settings.min_stay_s * US_PER_S)
        recent = [step for step in stay.steps if step[0] >= since_us - _SPEED_OVER_US]
        if stay.steps[0][0] > since_us or len(recent) < 2:
            return False
        speeds_mps = [speed for time_us, speed in _speeds(recent) if time_us >= since_us]
        return bool(speeds_mps) and median(speeds_mps) < settings.max_speed_mps

    def _is_in_line(self, lane: int, place: LanePlace) -> bool:
        ahead = [m.along_m for m in self._members.values() if m.lane == lane and m.gone_us is None]
        return self._lanes.at_head(lane, place) or any(
            abs(along_m - place.along_m) <= self.lanes[lane].max_spacing_m for along_m in ahead
        )

    def _is_within(self, lane: int, steps: list[Step]) -> bool:
        """Whether most steps were in the strip itself, not on its border."""
        seen = self._lanes.places(np.array([(x_m, y_m) for _, x_m, y_m in steps]))
        aside_m: list[float] = np.where(seen.in_service[:, lane], 0.0, seen.aside_m[:, lane]).tolist()
        return median(aside_m) <= self.lanes[lane].half_width_m

    def _in_service_since(self, lane: int, steps: list[Step]) -> int | None:
        seen = self._lanes.places(np.array([(x_m, y_m) for _, x_m, y_m in steps]))
        since: int | None = None
        for (time_us, *_), in_service in zip(reversed(steps), reversed(seen.in_service[:, lane].tolist()), strict=True):
            if not in_service:
                break
            since = time_us
        return since

    def _merge(self, gone: int, stays: int) -> None:
        """Two samples were one person: the older membership holds."""
        stay = self._stays.pop(gone, None)
        if stay is not None and stays in self._stays:
            self._stays[stays].cashier_us = max(self._stays[stays].cashier_us, stay.cashier_us)
        elif stay is not None and stays not in self._members:
            self._stays[stays] = stay
        member = self._members.pop(gone, None)
        if member is None:
            return
        other = self._members.get(stays)
        if other is None or (other.service_us is None and member.join_us < other.join_us):
            self._members[stays] = member
            self._stays.pop(stays, None)

    def _work_left(self, now_us: int, ended: list[QueueVisit]) -> None:
        for person, member in list(self._members.items()):
            return_us = round(self._settings(member).return_s * US_PER_S)
            if member.gone_us is not None and now_us - member.gone_us >= return_us:
                del self._members[person]
                ended.append(self._left(member, member.gone_us))

    def _lose(self, person: int, ended: list[QueueVisit]) -> None:
        self._stays.pop(person, None)
        member = self._members.pop(person, None)
        if member is None:
            return
        if member.service_us is not None:
            self._free_us[member.lane] = member.last_us
        if member.gone_us is not None:
            ended.append(self._left(member, member.gone_us))
        else:
            ended.append(self._visit(member, member.last_us, "censored"))

    def _left(self, member: Member, gone_us: int) -> QueueVisit:
        stopped_by = gone_us - member.join_us < self._settings(member).abandoned_after_s * US_PER_S
        return self._visit(member, gone_us, "censored" if stopped_by or member.is_company else "abandoned")

    def _visit(self, member: Member, leave_us: int, outcome: QueueOutcome) -> QueueVisit:
        lane_id = self._settings(member).lane_id
        key = (lane_id, member.camera_id, member.local_id, None, None)
        return QueueVisit(*key, member.join_us, member.service_us, leave_us, outcome)


def _speeds(steps: list[Step]) -> list[tuple[int, float]]:
    """Speed up to each step over the time before it, long enough that noise of the floor points matters little."""
    speeds, low = [], 0
    for time_us, x_m, y_m in steps[1:]:
        while low + 1 < len(steps) and time_us - steps[low + 1][0] >= _SPEED_OVER_US:
            low += 1
        from_us, from_x, from_y = steps[low]
        speeds.append((time_us, math.hypot(x_m - from_x, y_m - from_y) / (time_us - from_us) * US_PER_S))
    return speeds


def _slow_since(steps: list[Step], max_speed_mps: float) -> int:
    """When the person first stood or hardly moved in this stay."""
    slow = (time_us for time_us, speed in _speeds(steps) if speed < max_speed_mps)
    first_us = next(slow, steps[-1][0])
    return max(steps[0][0], first_us - _SPEED_OVER_US)


def _visit_order(visit: QueueVisit) -> tuple[int, str, str, int]:
    return visit.leave_us, visit.lane_id, visit.camera_id or "", visit.local_id or 0
