"""Gallery and operators as the epochs see them: work up to the open epoch's end, then stage rows and state.

Messages beyond the open epoch wait in the buffers and are no part of the state: after a crash the cameras,
which go back to the same epoch, send them again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from retail_ray.analytics.site import SiteLive, SiteOperators, SiteRows
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.identity_map import Person
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import BusinessDay
from retail_ray.core.types import Observations
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GalleryLive
from retail_ray.lake.epochs import FileEntry, Stage
from retail_ray.runtime.uniforms import UniformBook


@dataclass(frozen=True, slots=True)
class EpochClose:
    """End of one epoch. next_end_us: end of the epoch that opens now; None: the run is over, flush everything."""

    epoch: int
    end_us: int
    next_end_us: int | None


class GalleryHost:
    """The only writer of identities of one site and run."""

    def __init__(self, gallery: Gallery, uniforms: UniformBook, stage: Stage, day: BusinessDay) -> None:
        self._gallery, self._uniforms = gallery, uniforms
        self._stage, self._day, self._limit_us = stage, day, 0
        self._events: list[IdentityEvent] = []

    def restore(self, state: bytes) -> None:
        gallery, self._uniforms.log_odds = unpack_state(state)
        self._gallery.restore(gallery)

    def uniform_log_odds(self) -> dict[Person, float]:
        """Of everybody in the sessions that have ended."""
        return self._uniforms.log_odds

    def submit(self, observations: Observations) -> None:
        self._gallery.submit(observations)
        self._events += self._gallery.advance(self._limit_us)

    def end_camera(self, camera_id: str) -> None:
        self._gallery.end_camera(camera_id)
        self._events += self._gallery.advance(self._limit_us)

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        self._events += self._gallery.advance(close.end_us)
        if close.next_end_us is None:
            self._events += self._gallery.finish(close.end_us)
        entries = self._stage.write_records("identity_events", self._events, close.epoch)
        entries += self._stage.write_records("alerts", self._gallery.take_alerts(), close.epoch)
        state = pack_state((self._gallery.state(), self._uniforms.log_odds))
        entries.append(self._stage.write_state(close.epoch, state))
        self._events = []
        if close.next_end_us is not None:
            self.open_epoch(close.next_end_us)
        return entries

    def open_epoch(self, end_us: int) -> None:
        """Work up to here as messages come; closing an epoch opens the next one by itself.

        A business day that begins within the epoch begins a new identity session.
        """
        day_start_us = self._day.start_us(self._day.date_of(end_us - 1))
        if self._gallery.live().session_id is not None and day_start_us >= self._gallery.worked_until_us:
            self._gallery.reset_session(day_start_us)
        self._limit_us = end_us
        self._events += self._gallery.advance(end_us)

    def reset_session(self, time_us: int) -> str:
        """Start a new identity session at the next tick and return its id; nothing is deleted."""
        return self._gallery.reset_session(time_us)

    def live(self) -> GalleryLive:
        return self._gallery.live()


class SiteHost:
    """The analytics operators of one site and run."""

    def __init__(self, operators: SiteOperators, stage: Stage) -> None:
        self._operators, self._stage, self._limit_us = operators, stage, 0
        self._rows = SiteRows()

    def restore(self, state: bytes) -> None:
        self._operators.restore(state)

    def submit(self, observations: Observations) -> None:
        self._operators.submit(observations)
        self._rows.extend(self._operators.advance(self._limit_us))

    def end_camera(self, camera_id: str) -> None:
        self._operators.end_camera(camera_id)
        self._rows.extend(self._operators.advance(self._limit_us))

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        self._rows.extend(self._operators.advance(close.end_us))
        if close.next_end_us is None:
            self._rows.extend(self._operators.finish(close.end_us))
        rows, self._rows = self._rows, SiteRows()
        entries = [
            entry
            for table in fields(rows)
            for entry in self._stage.write_records(table.name, getattr(rows, table.name), close.epoch)
        ]
        entries.append(self._stage.write_state(close.epoch, self._operators.state()))
        if close.next_end_us is not None:
            self.open_epoch(close.next_end_us)
        return entries

    def open_epoch(self, end_us: int) -> None:
        """Work up to here as messages come; closing an epoch opens the next one by itself."""
        self._limit_us = end_us
        self._rows.extend(self._operators.advance(end_us))

    def live(self) -> SiteLive:
        return self._operators.live()
