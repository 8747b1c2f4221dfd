"""Live cameras: a reader thread that keeps the newest frames, reconnects, and says what was lost and why."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol, Self

from retail_ray.core.errors import ConfigError, SourceError
from retail_ray.core.ports import DecodedFrame
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Gap
from retail_ray.core.uris import scheme
from retail_ray.video.arrival_clock import ArrivalClock
from retail_ray.video.decode import FrameSizeError, Place, Video, YuvFrame
from retail_ray.video.files import FileSource
from retail_ray.video.folders import FolderSource
from retail_ray.video.recording import Ledger, SourceInfo, expected_at_rate
from retail_ray.video.sampling import exact_rate, slot_of, takes_every_frame

_MICROSECOND = Fraction(1, US_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """How a live camera is read.

    clock_us: microseconds UTC now. sleep: waits so many seconds; None waits until then or until `close`.
    open_timeout_s, read_timeout_s: longest silence of the network, in connecting and in reading.
    backoff_s: waits between attempts; the last one repeats. give_up_after: failed attempts in a row before
    SourceError; None tries for ever. buffer_frames: sampled frames kept for a consumer that is behind.
    """

    clock_us: Callable[[], int]
    sleep: Callable[[float], None] | None = None
    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0
    backoff_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    give_up_after: int | None = None
    buffer_frames: int = 8
    rtsp_transport: Literal["tcp", "udp"] = "tcp"

    def __post_init__(self) -> None:
        if not self.backoff_s or min(self.backoff_s) < 0:
            raise ConfigError(f"backoff_s: needs waits of 0 s or more, found {self.backoff_s}")
        if self.buffer_frames < 1:
            raise ConfigError(f"buffer_frames: at least 1, found {self.buffer_frames}")


@dataclass(frozen=True, slots=True)
class LiveState:
    """A snapshot. attempts: failures since the last frame. damaged: packets or frames that could not be decoded."""

    connected: bool
    ended: bool
    connections: int
    attempts: int
    last_error: str | None
    decoded: int
    damaged: int
    dropped: Mapping[str, int]


class Stampable(DecodedFrame, Protocol):
    """A decoded frame whose event time is decided after decoding."""

    def stamped(self, index: int, time_us: int) -> Self: ...


@dataclass(frozen=True, slots=True)
class Feed:
    """One connection. frames: (stream time in us or None, frame numbered within this connection).

    pulls: frames come as fast as they are read and are held until due. sampled: only frames to analyse come.
    length_us: where the stream is over for good; None where its end is a disconnection.
    """

    frames: Iterator[tuple[int | None, Stampable]]
    native_fps: Fraction | None
    pulls: bool
    sampled: bool
    length_us: int | None


Connect = Callable[[Callable[[], None]], AbstractContextManager[Feed]]


def network_feed(place: Place, decoder_threads: int, options: LiveOptions) -> Connect:
    """Connections to a stream; each call of the result opens one."""
    kind = scheme(place.uri)
    pulls = kind in {"http", "https"}
    settings = {"rtsp_transport": options.rtsp_transport} if kind in {"rtsp", "rtsps"} else {}

    @contextmanager
    def connect(on_damage: Callable[[], None]) -> Iterator[Feed]:
        timeout_s = (options.open_timeout_s, options.read_timeout_s)
        with Video(place, decoder_threads=decoder_threads, timeout_s=timeout_s, options=settings) as video:
            pictures = enumerate(video.stream_frames(on_damage))
            frames = ((stream_us, YuvFrame(number, 0, picture)) for number, (stream_us, picture) in pictures)
            length_us = video.length_us if pulls else None
            yield Feed(frames, video.nominal_fps, pulls, sampled=False, length_us=length_us)

    return connect


def recorded_feed(recording: FileSource | FolderSource) -> Connect:
    """A recording played at its own pace, once."""

    @contextmanager
    def connect(on_damage: Callable[[], None]) -> Iterator[Feed]:
        def frames() -> Iterator[tuple[int | None, Stampable]]:
            for frame in recording.frames():
                yield frame.time_us, frame
            for _ in recording.take_gaps():
                on_damage()

        rate = Fraction(recording.info.native_fps or 0) or None
        yield Feed(frames(), rate, pulls=True, sampled=True, length_us=0)
        recording.close()

    return connect


@dataclass(slots=True)
class _Counts:
    """What the reader thread knows; guarded by the source's condition."""

    connected: bool = False
    ended: bool = False
    connections: int = 0
    attempts: int = 0
    last_error: str | None = None
    decoded: int = 0
    damaged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


class LiveSource:
    """Sampled frames of a live camera as they come; the newest win over a consumer that is behind.

    Lost frames are counted by reason: 'behind' (the consumer was too slow), 'disconnected' (no connection).
    `native_hw` and `frames` wait for the first frame; they raise SourceError once the reader has given up.
    """

    def __init__(self, place: Place, connect: Connect, analysis_fps: float, options: LiveOptions) -> None:
        self._place, self._connect, self._options = place, connect, options
        self._fps = exact_rate(analysis_fps)
        self._native_fps: Fraction | None = None
        self._native_hw: tuple[int, int] | None = None
        self._clock = ArrivalClock()
        self._last_us = options.clock_us()
        self._last_slot: int | None = None
        self._reconnected = True
        self._gaps = Ledger()
        self._counts = _Counts()
        self._buffer: deque[Stampable] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._outcome: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"live-{place.camera_id}", daemon=True)
        self._thread.start()

    @property
    def native_hw(self) -> tuple[int, int]:
        with self._changed:
            self._changed.wait_for(lambda: self._native_hw is not None or self._outcome.done())
        if self._native_hw is None:
            self._outcome.result()
            raise self._place.error("was closed before its first frame came")
        return self._native_hw

    @property
    def info(self) -> SourceInfo:
        """Waits for the first frame, as `native_hw`."""
        fps = None if self._native_fps is None else float(self._native_fps)
        return SourceInfo(kind="live", codec="", native_hw=self.native_hw, native_fps=fps)

    @property
    def state(self) -> LiveState:
        with self._changed:
            counts = self._counts
            return LiveState(
                counts.connected,
                counts.ended,
                counts.connections,
                counts.attempts,
                counts.last_error,
                counts.decoded,
                counts.damaged,
                dict(counts.dropped),
            )

    def frames(self, resume_after_us: int | None = None) -> Iterator[DecodedFrame]:
        """Frames from now on, until the stream is over or `close`; waits while there are none."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._buffer or self._outcome.done() or self._stop.is_set())
                frame = self._buffer.popleft() if self._buffer and not self._stop.is_set() else None
            if frame is None:
                break
            if resume_after_us is None or frame.time_us > resume_after_us:
                yield frame
        if not self._stop.is_set():
            self._outcome.result()

    def expected_frames(self, from_us: int, until_us: int) -> int:
        """Sampling slots in [from_us, until_us), whether or not the camera was there."""
        return expected_at_rate(from_us, until_us, self._rate)

    def take_gaps(self) -> list[Gap]:
        with self._changed:
            return self._gaps.take()

    def close(self) -> None:
        """Stop reading. A read that waits for the network ends with its own timeout; nothing waits for it."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=1.0)

    @property
    def _rate(self) -> Fraction:
        return self._fps if self._native_fps is None else min(self._fps, self._native_fps)

    def _run(self) -> None:
        try:
            self._follow()
            outcome: BaseException | None = None
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            outcome = error
        with self._changed:
            self._counts.connected, self._counts.ended = False, True
            if outcome is None:
                self._outcome.set_result(None)
            else:
                self._outcome.set_exception(outcome)
            self._changed.notify_all()

    def _follow(self) -> None:
        """Connect again and again until the stream is over, `close`, or too many failures in a row."""
        while not self._stop.is_set():
            try:
                with self._connect(self._note_damage) as feed:
                    if self._read(feed):
                        return
                raise self._place.error("the stream ended")
            except FrameSizeError:
                raise
            except SourceError as error:
                self._wait_after(error)
        self._note_outage(self._options.clock_us())

    def _read(self, feed: Feed) -> bool:
        """Take all frames of one connection; true when no other should follow."""
        self._native_fps = feed.native_fps
        self._clock.begin(pulls=feed.pulls)
        self._reconnected = True
        first_index = self._counts.decoded
        latest_us = 0
        for stream_us, frame in feed.frames:
            if self._stop.is_set():
                return True
            latest_us = max(latest_us, stream_us or 0)
            time_us = self._clock.stamp(self._options.clock_us(), stream_us)
            if feed.pulls:
                self._sleep(time_us - self._options.clock_us())
            index = frame.index if feed.sampled else first_index + frame.index
            self._take(frame.stamped(index, time_us), sampled=feed.sampled)
        return feed.length_us is not None and latest_us >= feed.length_us - US_PER_S

    def _take(self, frame: Stampable, *, sampled: bool) -> None:
        if self._native_hw is not None:
            self._place.check_size(frame.index, frame.native_hw, self._native_hw)
        if self._reconnected:
            self._note_outage(frame.time_us)
        slot = slot_of(frame.time_us, _MICROSECOND, self._fps)
        wanted = sampled or slot != self._last_slot or takes_every_frame(self._fps, self._native_fps)
        with self._changed:
            counts = self._counts
            counts.decoded += 1
            if self._reconnected:
                counts.connected, counts.attempts = True, 0
                counts.connections += 1
                self._reconnected = False
            self._native_hw, self._last_us = frame.native_hw, frame.time_us
            if wanted:
                self._last_slot = slot
                self._buffer.append(frame)
                if len(self._buffer) > self._options.buffer_frames:
                    lost = self._buffer.popleft()
                    self._drop(Gap("behind", lost.time_us, lost.time_us + 1, 1))
            self._changed.notify_all()

    def _note_outage(self, until_us: int) -> None:
        missing = expected_at_rate(self._last_us, until_us, self._rate) - 1
        if missing > 0:
            with self._changed:
                self._drop(Gap("disconnected", self._last_us, until_us, missing))

    def _note_damage(self) -> None:
        with self._changed:
            self._counts.damaged += 1

    def _drop(self, gap: Gap) -> None:
        self._gaps.add(gap)
        self._counts.dropped[gap.reason] += gap.frames

    def _wait_after(self, error: SourceError) -> None:
        """Back off after a failed attempt, or raise the error when it was the last one allowed."""
        with self._changed:
            counts = self._counts
            counts.connected, counts.last_error = False, str(error)
            counts.attempts += 1
            attempts = counts.attempts
        if self._options.give_up_after is not None and attempts >= self._options.give_up_after:
            self._note_outage(self._options.clock_us())
            raise self._place.error(f"gave up after {attempts} attempts; the last: {error}") from error
        waits = self._options.backoff_s
        self._sleep(round(waits[min(attempts, len(waits)) - 1] * US_PER_S))

    def _sleep(self, wait_us: int) -> None:
        if wait_us <= 0:
            return
        if self._options.sleep is None:
            self._stop.wait(wait_us / US_PER_S)
        else:
            self._options.sleep(wait_us / US_PER_S)
