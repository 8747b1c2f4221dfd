"""Queues and heat of one site: what rests on people followed over the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from retail_ray.analytics.floor_people import DEFAULT_FOLLOW, FloorFollower, FollowSettings
from retail_ray.analytics.heat import HeatMeter, HeatSettings
from retail_ray.analytics.queue_lanes import LaneSettings
from retail_ray.analytics.queue_minutes import QueueMinutes
from retail_ray.analytics.queues import QueueTracker
from retail_ray.analytics.sights import Sights
from retail_ray.core.errors import DataError
from retail_ray.core.retail_records import HeatCell, QueueMinute, QueueVisit
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import US_PER_S


@dataclass(frozen=True, slots=True)
class FloorSettings:
    """Lanes whose queues are measured, and heat, where it is; `follow` says who is one person."""

    lanes: tuple[LaneSettings, ...] = ()
    heat: HeatSettings | None = None
    follow: FollowSettings = DEFAULT_FOLLOW


NOTHING_ON_FLOOR: Final = FloorSettings()


@dataclass(frozen=True, slots=True)
class FloorRows:
    """What became final; each field is a table of the lake."""

    queue_visits: list[QueueVisit] = field(default_factory=list)
    queue_metrics: list[QueueMinute] = field(default_factory=list)
    heat: list[HeatCell] = field(default_factory=list)


class FloorOperators:
    """Follows people once for all that is counted on the floor; idle where nothing is.

    levels: of each tick of the last update that was to note them, people who wait in each lane, and how long the
    longest of them has waited, in seconds.
    """

    def __init__(self, settings: FloorSettings) -> None:
        self.levels: list[tuple[dict[str, int], dict[str, float]]] = []
        self._active = bool(settings.lanes) or settings.heat is not None
        self._people = FloorFollower(settings.follow)
        self._queues = QueueTracker(settings.lanes)
        unseen_us = round(settings.follow.max_gap_s * US_PER_S)
        lane_ids = [lane.lane_id for lane in self._queues.lanes]
        self._minutes = QueueMinutes(lane_ids, unseen_us + self._queues.settles_within_us)
        self._heat = None if settings.heat is None else HeatMeter(settings.heat)
        self._names = lane_ids, None if settings.heat is None else settings.heat.cell_m

    def update(
        self, ticks: Ticks, on_floor: Sights, camera_ids: Sequence[str], *, with_levels: bool = False
    ) -> FloorRows:
        """Work some ticks; `camera_ids` are the sorted names that keys point into. with_levels: note in `levels` what
        holds at the end of each tick."""
        rows = FloorRows()
        self.levels = []
        if not self._active:
            return rows
        people = self._people.update(on_floor)
        minutes, frames_us = ticks.frame_minutes(), ticks.data.frame_time_us
        last_us = dict(zip(ticks.number(frames_us).tolist(), frames_us.tolist(), strict=True))
        for tick, visits in enumerate(self._queues.update(people, camera_ids)):
            now_us = int(people.end_us[tick])
            rows.queue_visits.extend(visits)
            rows.queue_metrics.extend(
                self._minutes.update(minutes[tick], last_us.get(tick), visits, lambda: self._queues.members, now_us)
            )
            if with_levels:
                self.levels.append((self.waiting(), self.waits_s(now_us)))
        rows.heat.extend([] if self._heat is None else self._heat.update(people))
        return rows

    def wake_us(self) -> int | None:
        """When something becomes final without anybody being seen."""
        if not self._active:
            return None
        wakes = [self._people.wake_us(), self._queues.wake_us(), self._minutes.wake_us()]
        wakes += [] if self._heat is None else [self._heat.wake_us()]
        return min((wake for wake in wakes if wake is not None), default=None)

    def finish(self) -> FloorRows:
        """The data ends: open visits are censored, open minutes and hours written."""
        visits = self._queues.finish()
        return FloorRows(visits, self._minutes.finish(visits), [] if self._heat is None else self._heat.finish())

    def waiting(self) -> dict[str, int]:
        """People who wait in each lane now."""
        return self._queues.waiting()

    def waits_s(self, now_us: int) -> dict[str, float]:
        """How long the longest of those who wait in each lane has waited; 0 where nobody does."""
        longest = dict.fromkeys(self.waiting(), 0.0)
        for lane_id, member in self._queues.members:
            if member.waits:
                longest[lane_id] = max(longest[lane_id], (now_us - member.join_us) / US_PER_S)
        return longest

    def state(self) -> Any:
        heat = None if self._heat is None else self._heat.state()
        return self._names, self._people.state(), self._queues.state(), self._minutes.state(), heat

    def restore(self, state: Any) -> None:
        names, people, queues, minutes, heat = state
        if tuple(names) != self._names:
            raise DataError(
                f"the saved state has queues and heat {tuple(names)}, this site has {self._names}: "
                "start without it or with the former site file"
            )
        self._people.restore(people)
        self._queues.restore(queues)
        self._minutes.restore(minutes)
        if self._heat is not None:
            self._heat.restore(heat)
