"""What the API must know of a site, and what a running site tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from retail_ray.core.ticks import BufferCounts
from retail_ray.core.time import BusinessDay, from_us


@dataclass(frozen=True, slots=True)
class Named:
    """A camera, counting line, zone or lane. `camera_id`: the camera that it belongs to, where it is one camera's."""

    id: str
    name: str
    camera_id: str | None = None


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """One site as its configuration describes it. `timezone` is an IANA name; `day_start` is local."""

    id: str
    name: str
    timezone: str
    day_start: time
    cameras: tuple[Named, ...] = ()
    lines: tuple[Named, ...] = ()
    zones: tuple[Named, ...] = ()
    lanes: tuple[Named, ...] = ()

    @property
    def day(self) -> BusinessDay:
        return BusinessDay(self.timezone, self.day_start)

    def local(self, time_us: int) -> datetime:
        """Event time as the shop's clocks show it."""
        return from_us(time_us).astimezone(ZoneInfo(self.timezone))


@dataclass(frozen=True, slots=True)
class LiveCamera:
    """One camera of a running site; `last_frame_us` is event time."""

    camera_id: str
    status: Literal["running", "connecting", "ended", "failed"]
    last_frame_us: int | None
    processed_frames: int
    dropped_frames: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """A running site at event time `time_us`. set_aside: rows that identities do without, since the run began.
    queues: people who wait in each lane.
    """

    time_us: int
    people_now: int
    session_id: str
    cameras: tuple[LiveCamera, ...]
    set_aside: BufferCounts = field(default_factory=BufferCounts)
    queues: dict[str, int] = field(default_factory=dict)


class LiveState(Protocol):
    """The running site; calls may block and raise RetailRayError, and come from several threads."""

    def snapshot(self) -> LiveSnapshot | None:
        """None while nothing runs."""
        ...

    def reset_session(self, now_us: int) -> str | None:
        """Begin a new identity session and return its id; None while nothing runs. Deletes nothing."""
        ...
