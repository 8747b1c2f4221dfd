"""Live sources: pacing, newest frames, reconnection, masked credentials, RTSP, HTTP and HLS on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from retail_ray.core.errors import ConfigError, SourceError
from retail_ray.core.ports import DecodedFrame
from retail_ray.video.decode import Place
from retail_ray.video.folders import StillFrame
from retail_ray.video.live import Feed, LiveOptions, LiveSource, Stampable
from retail_ray.video.sources import open_source
from tests.video import clips, servers

START_US = 1_700_000_000_000_000


class Clock:
    """A clock that only sleeping moves; `on_sleep` sees every wait."""

    def __init__(self, on_sleep: Callable[[float], None] | None = None) -> None:
        self._now_us, self._lock = START_US, threading.Lock()
        self._on_sleep = on_sleep
        self.waits: list[float] = []

    def now_us(self) -> int:
        with self._lock:
            return self._now_us

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now_us += round(seconds * 1e6)
            self.waits.append(seconds)
        if self._on_sleep is not None:
            self._on_sleep(seconds)

    def options(self, **more: object) -> LiveOptions:
        settings = {"open_timeout_s": 5.0, "read_timeout_s": 5.0, "buffer_frames": 10_000, **more}
        return LiveOptions(clock_us=self.now_us, sleep=self.sleep, **settings)  # type: ignore[arg-type]


def live(uri: str, fps: float, options: LiveOptions) -> LiveSource:
    source = open_source("door-1", uri, None, fps, decoder_threads=1, live=options)
    assert isinstance(source, LiveSource)
    return source


def numbers(frames: list[DecodedFrame]) -> list[int]:
    return [clips.number_of(frame.native()) for frame in frames]


def still(number: int, size_hw: tuple[int, int] = clips.SIZE_HW) -> StillFrame:
    return StillFrame(number, 0, clips.picture(number, size_hw))


Session = list[tuple[int, StillFrame]]


def scripted(
    sessions: list[Session | SourceError], *, ends: bool = True
) -> Callable[[Callable[[], None]], AbstractContextManager[Feed]]:
    """Connections that bring these frames, or fail with these errors; the last one ends the stream for good."""
    script = iter(sessions)

    @contextmanager
    def connect(_on_damage: Callable[[], None]) -> Iterator[Feed]:
        session = next(script)
        if isinstance(session, SourceError):
            raise session
        is_last = session is sessions[-1] and ends
        frames: Iterator[tuple[int | None, Stampable]] = iter(session)
        yield Feed(frames, Fraction(30), pulls=True, sampled=False, length_us=0 if is_last else None)

    return connect


def test_a_file_plays_at_its_own_pace_from_now(clip_folder: Path) -> None:
    clock = Clock()
    source = live(str(clip_folder / "b_pyramid.mp4"), 10, clock.options())
    frames = list(source.frames())
    assert numbers(frames) == [f.index for f in frames] == list(range(0, 60, 3))
    assert [f.time_us for f in frames] == [START_US + 100_000 * i for i in range(20)]
    assert clock.now_us() == START_US + 1_900_000
    assert source.state.ended
    assert source.state.dropped == {}
    assert source.native_hw == clips.SIZE_HW


def test_the_newest_frames_win_over_a_consumer_that_is_behind(clip_folder: Path) -> None:
    last_wait = threading.Event()
    clock = Clock(lambda _: last_wait.set() if len(clock.waits) == 59 else None)
    source = live(str(clip_folder / "plain.mp4"), 30, clock.options(buffer_frames=4))
    frames = source.frames()
    assert last_wait.wait(20)
    assert source._thread.join(20) is None
    assert numbers(list(frames)) == [56, 57, 58, 59]
    assert source.state.dropped == {"behind": 56}
    gaps = source.take_gaps()
    assert {gap.reason for gap in gaps} == {"behind"}
    assert (gaps[0].from_us, sum(gap.frames for gap in gaps)) == (START_US, 56)
    assert START_US + 55 * 33_333 <= gaps[-1].to_us <= START_US + 56 * 33_334
    assert source.take_gaps() == []


def test_a_lost_connection_is_taken_up_again_and_the_hole_is_told() -> None:
    first = [(i * 100_000, still(i)) for i in range(5)]
    second = [(900_000 + i * 100_000, still(i)) for i in range(3)]
    down = [SourceError(f"camera off, try {i}") for i in range(3)]
    clock = Clock()
    options = clock.options(backoff_s=(1.0, 2.0))
    source = LiveSource(Place("door-1", "rtsp://x"), scripted([*down, first, *down, second]), 10, options)
    frames = list(source.frames())
    waits = [wait for wait in clock.waits if wait >= 1]
    assert waits == [1.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0]
    assert [f.index for f in frames] == list(range(8))
    assert [f.time_us - START_US for f in frames[:5]] == [5_000_000 + i * 100_000 for i in range(5)]
    assert [f.time_us - START_US for f in frames[5:]] == [12_400_000 + i * 100_000 for i in range(3)]
    assert [(gap.reason, gap.frames) for gap in source.take_gaps()] == [("disconnected", 49), ("disconnected", 69)]
    state = source.state
    assert state.connections == 2
    assert state.attempts == 0
    assert state.dropped == {"disconnected": 49 + 69}
    assert source.expected_frames(START_US, START_US + 12_600_000) == 126
    assert len(frames) + 49 + 69 == pytest.approx(126, abs=1)


def test_gives_up_after_so_many_failures_in_a_row_and_masks_credentials() -> None:
    port = servers.free_port()
    uri = f"rtsp://admin:hunter2@127.0.0.1:{port}/stream?token=abc123"
    clock = Clock()
    source = live(uri, 10, clock.options(give_up_after=3, backoff_s=(1.0,)))
    with pytest.raises(SourceError, match=r"camera 'door-1'.*gave up after 3 attempts.*refused") as caught:
        list(source.frames())
    with pytest.raises(SourceError, match="gave up"):
        _ = source.native_hw
    assert clock.waits == [1.0, 1.0]
    for text in (str(caught.value), str(source.state.last_error), repr(source.state)):
        assert "hunter2" not in text
        assert "abc123" not in text
    assert source.state.dropped == {"disconnected": 19}


def test_another_size_after_a_reconnection_is_an_error_after_the_frames_before_it() -> None:
    connect = scripted([[(0, still(0)), (100_000, still(1))], [(0, still(0, (112, 176)))]])
    source = LiveSource(Place("door-1", "rtsp://x"), connect, 10, Clock().options())
    frames = source.frames()
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(SourceError, match="frame 2 from 176x96 to 176x112"):
        next(frames)


def test_an_error_of_the_program_reaches_the_consumer() -> None:
    def connect(_on_damage: Callable[[], None]) -> AbstractContextManager[Feed]:
        raise ZeroDivisionError("a bug")

    source = LiveSource(Place("door-1", "rtsp://x"), connect, 10, Clock().options())
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(source.frames())


def test_live_sampling_takes_one_frame_of_every_slot() -> None:
    jitter = np.random.default_rng(5).integers(0, 9_000, 90).tolist()
    session = [(i * 33_333 + d, still(i)) for i, d in enumerate(jitter)]
    source = LiveSource(Place("door-1", "http://x"), scripted([session]), 10, Clock().options())
    slots = [(f.time_us + 1_000) // 100_000 for f in source.frames()]
    assert slots == sorted(set(slots))
    assert len(slots) == pytest.approx(30, abs=1)


def test_closing_wakes_a_waiting_consumer_and_ends_the_thread() -> None:
    connected, release = threading.Event(), threading.Event()

    def silent() -> Iterator[tuple[int | None, Stampable]]:
        yield 0, still(0)
        connected.set()
        release.wait(20)
        yield 100_000, still(1)

    @contextmanager
    def connect(_on_damage: Callable[[], None]) -> Iterator[Feed]:
        yield Feed(silent(), None, pulls=False, sampled=False, length_us=None)

    source = LiveSource(Place("door-1", "rtsp://x"), connect, 10, Clock().options())
    frames = source.frames()
    assert next(frames).index == 0
    assert connected.wait(20)
    release.set()
    source.close()
    assert list(frames) == []
    assert not source._thread.is_alive()


def test_resuming_leaves_out_what_was_already_seen(clip_folder: Path) -> None:
    source = live(str(clip_folder / "plain.mp4"), 10, Clock().options())
    times = [f.time_us for f in source.frames(START_US + 500_000)]
    assert times[0] == START_US + 600_000


@pytest.mark.parametrize("settings", [{"backoff_s": ()}, {"backoff_s": (-1.0,)}, {"buffer_frames": 0}])
def test_impossible_options_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Clock().options(**settings)


# --- real connections on loopback ---


@pytest.fixture
def annex_b(tmp_path: Path) -> Path:
    """Four seconds without B-frames, a keyframe every second, parameter sets in the stream."""
    return clips.write_clip(tmp_path / "camera.ts", 120, options={"bf": "0", "g": "30"})


def test_http_survives_a_server_that_dies_in_the_middle(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "camera.mkv", 120, options={"bf": "0", "g": "30"})
    server = servers.FileServer(tmp_path, cut_after=clip.stat().st_size // 2)

    def revive(seconds: float) -> None:
        if seconds == 2.0:
            server.start()

    clock = Clock(revive)
    source = live(server.url("camera.mkv", "admin:hunter2@"), 30, clock.options(backoff_s=(1.0, 2.0, 4.0)))
    frames = list(source.frames())
    shown = numbers(frames)
    cut = shown.index(0, 1)
    assert 30 <= cut < 90
    assert shown[:cut] == list(range(cut))
    assert shown[cut:] == list(range(120))
    assert [f.index for f in frames] == list(range(cut + 120))
    assert (np.diff([f.time_us for f in frames]) > 0).all()
    assert [wait for wait in clock.waits if wait >= 1] == [1.0, 2.0]
    assert source.state.connections == 2
    assert "hunter2" not in str(source.state.last_error)
    assert source.state.dropped["disconnected"] == pytest.approx(3.0 * 30, abs=3)
    server.stop()


def test_hls_is_followed_to_its_end(annex_b: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    folder.mkdir()
    servers.write_hls(annex_b, folder)
    server = servers.FileServer(folder)
    source = live(server.url("index.m3u8"), 10, Clock().options())
    frames = list(source.frames())
    assert numbers(frames) == list(range(0, 120, 3))
    assert np.abs(np.diff([f.time_us for f in frames]) - 100_000).max() <= 1
    assert len([name for name in server.requests if name.endswith(".ts")]) >= 4
    server.stop()


def test_a_recording_is_read_over_http(annex_b: Path) -> None:
    server = servers.FileServer(annex_b.parent)
    source = open_source("door-1", server.url("camera.ts"), START_US, 10, decoder_threads=1)
    assert numbers(list(source.frames())) == list(range(0, 120, 3))
    server.stop()


def test_rtsp_brings_every_frame_and_reconnects(annex_b: Path) -> None:
    """The camera hangs up after four seconds, plays once more and is then switched off."""
    with servers.rtsp_server(annex_b) as server:
        clock = Clock(lambda _: server.stop() if server.plays == 2 else None)
        options = clock.options(give_up_after=2, backoff_s=(1.0,))
        source = live(server.url("admin:hunter2@"), 60, options)
        frames: list[DecodedFrame] = []
        with pytest.raises(SourceError, match=r"gave up after 2 attempts.*refused") as caught:
            collect(source, frames)
    assert numbers(frames) == [*range(120), *range(120)]
    assert [f.index for f in frames] == list(range(240))
    times = [f.time_us for f in frames]
    assert times == sorted(set(times))
    # The whole clip comes in a burst while the clock stands: frames that are pushed are never dated ahead of it.
    assert times[119] - START_US < 1_000
    assert 1_000_000 <= times[120] - START_US < 1_001_000
    assert "hunter2" not in str(caught.value)
    assert source.state.connections == 2


def collect(source: LiveSource, frames: list[DecodedFrame]) -> None:
    for frame in source.frames():
        frames.append(frame)  # noqa: PERF402 - extend would lose all on the error
