"""Event time of a live stream: the arrival clock, freed of network jitter by the stream's own time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ArrivalClock:
    """Maps (arrival, stream time) to event time; strictly increasing over the life of a camera.

    Event time runs with the stream's time. Against the arrival clock it may fall back by `max_late_us` (frames
    held up on the network) before the two are tied anew; it follows a slower camera clock at `drift` at most.
    `pulls`: the reader fetches frames as fast as it likes (HTTP, files) and waits until they are due, so they may
    come early; otherwise the camera pushes them, and a frame that comes before its time moves the clock.
    """

    pulls: bool = False
    max_late_us: int = 2_000_000
    max_early_us: int = 60_000_000
    drift: float = 1e-3
    _offset_us: int | None = None
    _stream_us: int = 0
    _last_us: int | None = None

    def begin(self, *, pulls: bool) -> None:
        """A new connection: its stream time has nothing to do with the last one's."""
        self.pulls, self._offset_us = pulls, None

    def stamp(self, arrival_us: int, stream_us: int | None) -> int:
        """Event time of a frame; `stream_us` is its presentation time, None where the stream has none."""
        event_us = arrival_us if stream_us is None else stream_us + self._tie(arrival_us, stream_us)
        if self._last_us is not None:
            event_us = max(event_us, self._last_us + 1)
        self._last_us = event_us
        return event_us

    def _tie(self, arrival_us: int, stream_us: int) -> int:
        """Arrival minus stream time, as far as this frame may change it."""
        offset = self._offset_us
        if offset is None:
            offset = arrival_us - stream_us
        else:
            late_us = arrival_us - stream_us - offset
            early_limit_us = self.max_early_us if self.pulls else 0
            if late_us > self.max_late_us or late_us < -early_limit_us:
                offset += late_us
            elif late_us > 0:
                offset += min(late_us, int(self.drift * max(0, stream_us - self._stream_us)))
        self._offset_us, self._stream_us = offset, stream_us
        return offset
