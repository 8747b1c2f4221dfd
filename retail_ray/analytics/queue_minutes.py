"""Each lane in each minute, from its visits (RETAIL: queue_length, wait, abandonment)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from retail_ray.analytics.queues import Member
from retail_ray.core.retail_records import QueueMinute, QueueVisit
from retail_ray.core.time import US_PER_MINUTE, US_PER_S


@dataclass(slots=True)
class QueueMinutes:
    """Writes one row per lane and minute in which any frame was analysed, `settles_after_us` after its end.

    A visit that is settled later than that (somebody hid for longer than the follower remembers) counts as it was
    known then. The last minute's mean runs to the last frame.
    """

    lane_ids: Sequence[str]
    settles_after_us: int
    _minutes: list[int] = field(default_factory=list)
    _visits: list[QueueVisit] = field(default_factory=list)
    _last_frame_us: int = 0

    def update(
        self,
        minutes_us: Sequence[int],
        last_frame_us: int | None,
        visits: Sequence[QueueVisit],
        members: Callable[[], Sequence[tuple[str, Member]]],
        now_us: int,
    ) -> list[QueueMinute]:
        """minutes_us: those with frames of the tick, in order; last_frame_us: its last one. visits: ended in it.
        members: tells whose visits have not ended, asked where a minute is final."""
        self._visits.extend(visits)
        self._last_frame_us = self._last_frame_us if last_frame_us is None else last_frame_us
        self._minutes += [minute_us for minute_us in minutes_us if not self._minutes or minute_us > self._minutes[-1]]
        until_us = now_us - self.settles_after_us
        is_final = self._minutes and self._minutes[0] + US_PER_MINUTE <= until_us
        return self._write(until_us, members()) if is_final else []

    def wake_us(self) -> int | None:
        """When the oldest open minute is final."""
        return self._minutes[0] + US_PER_MINUTE + self.settles_after_us if self._minutes else None

    def finish(self, visits: Sequence[QueueVisit]) -> list[QueueMinute]:
        """The data ends: `visits` are the last ones; every open minute is written."""
        self._visits.extend(visits)
        return self._write(math.inf, ())

    def state(self) -> Any:
        return list(self._minutes), [astuple(visit) for visit in self._visits], self._last_frame_us

    def restore(self, state: Any) -> None:
        minutes, visits, self._last_frame_us = state
        self._minutes, self._visits = list(minutes), [QueueVisit(*visit) for visit in visits]

    def _write(self, until_us: float, members: Sequence[tuple[str, Member]]) -> list[QueueMinute]:
        rows: list[QueueMinute] = []
        while self._minutes and self._minutes[0] + US_PER_MINUTE <= until_us:
            minute_us = self._minutes.pop(0)
            end_us = minute_us + US_PER_MINUTE
            if math.isinf(until_us) and not self._minutes:
                end_us = self._last_frame_us + 1
            rows.extend(self._row(lane_id, minute_us, end_us, members) for lane_id in self.lane_ids)
            self._visits = [visit for visit in self._visits if visit.leave_us >= end_us]
        return rows

    def _row(self, lane_id: str, minute_us: int, end_us: int, members: Sequence[tuple[str, Member]]) -> QueueMinute:
        visits = [visit for visit in self._visits if visit.lane_id == lane_id]
        waits = [(v.join_us, v.leave_us if v.service_us is None else v.service_us) for v in visits]
        waits += [_open_wait(member, end_us) for name, member in members if name == lane_id]
        services = [(v.join_us, v.service_us) for v in visits if v.service_us is not None]
        services += [(m.join_us, m.service_us) for name, m in members if name == lane_id and m.service_us is not None]
        waited_s = [(service - join) / US_PER_S for join, service in services if minute_us <= service < end_us]
        present = [(max(join, minute_us), min(until, end_us)) for join, until in waits]
        present = [(since, until) for since, until in present if until > since]
        reached_s = [
            (min(until, end_us) - join) / US_PER_S for join, until in waits if join < end_us and until >= minute_us
        ]
        left = [visit.outcome for visit in visits if minute_us <= visit.leave_us < end_us]
        served = left.count("served")
        return QueueMinute(
            lane_id,
            minute_us,
            sum(until - since for since, until in present) / (end_us - minute_us),
            _most_at_once(present),
            sum(minute_us <= join < end_us for join, _ in waits),
            served,
            left.count("abandoned"),
            sum(waited_s) / len(waited_s) if waited_s else math.nan,
            max(reached_s, default=math.nan),
            served * 60.0,
        )


def _open_wait(member: Member, end_us: int) -> tuple[int, int]:
    until_us = member.gone_us if member.service_us is None else member.service_us
    return member.join_us, end_us if until_us is None else until_us


def _most_at_once(spans: Sequence[tuple[int, int]]) -> int:
    changes = sorted([(until, -1) for _, until in spans] + [(since, 1) for since, _ in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
