"""PyAV at the edge: opening, scanning, decoding and conversion to RGB. The only file that knows FFmpeg.

Every failure is a SourceError that names the camera and its address without credentials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.errors import SourceError
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Image
from retail_ray.core.uris import is_network, mask_credentials
from retail_ray.video.letterbox import letterbox_image
from retail_ray.video.nal import is_random_access
from retail_ray.video.timeline import Stamp, Timeline, TimelineBuilder, packets_needed

# Codecs whose unreferenced frames FFmpeg leaves out without touching any other frame.
_SKIPPABLE = frozenset({"h264", "mpeg4", "mpeg2video", "mpeg1video"})
# Text files that FFmpeg's demuxers take for a picture of a terminal.
_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
# After a seek these number and stamp their packets exactly as in a run from the start.
_SEEKABLE = ("mov", "matroska")
_DECLARING = ("mov", "matroska", "avi", "flv")
_FALLBACK_FPS = Fraction(25)
# A header may count what comes after the last frame; more than this is a missing tail.
_TAIL_S = 1
_FAILURES_IN_A_ROW = 8
# Longest silence in opening and in reading.
_TIMEOUT_S = (10.0, 30.0)


class FrameSizeError(SourceError):
    """The frames of one source do not all have one size."""


@dataclass(frozen=True, slots=True)
class Place:
    """The camera and its address, for messages."""

    camera_id: str
    uri: str

    def error(self, problem: str) -> SourceError:
        return SourceError(self.message(problem))

    def message(self, problem: str) -> str:
        return mask_credentials(f"camera '{self.camera_id}': {self.uri}: {problem}")

    def check_size(self, frame_index: int, found_hw: tuple[int, int], native_hw: tuple[int, int]) -> None:
        if found_hw != native_hw:
            raise FrameSizeError(
                self.message(
                    f"the frame size changes at frame {frame_index} from {_size(native_hw)} to {_size(found_hw)};"
                    " split the recording there, or fix the camera's resolution, and run it as another camera"
                )
            )


def _size(hw: tuple[int, int]) -> str:
    return f"{hw[1]}x{hw[0]}"


@dataclass(frozen=True, slots=True, eq=False)
class YuvFrame:
    """A decoded picture in the codec's own colours; 3 MB at 1080p against 6 MB of RGB."""

    index: int
    time_us: int
    picture: VideoFrame

    @property
    def native_hw(self) -> tuple[int, int]:
        return upright_hw(self.picture)

    def native(self) -> Image:
        """(H, W, 3) uint8 RGB by the stream's own colour matrix and range (BT.601 limited where it names none)."""
        rgb = np.asarray(self.picture.to_ndarray(format="rgb24", threads=1), np.uint8)
        return np.ascontiguousarray(np.rot90(rgb, _quarter_turns(self.picture)))

    def letterboxed(self, letterbox: Letterbox) -> Image:
        return letterbox_image(self.native(), letterbox)

    def stamped(self, index: int, time_us: int) -> YuvFrame:
        return dataclasses.replace(self, index=index, time_us=time_us)


def _quarter_turns(picture: VideoFrame) -> int:
    """Counter-clockwise turns by 90 degrees that the display matrix asks for."""
    return round(picture.rotation / 90) % 4


def upright_hw(picture: VideoFrame) -> tuple[int, int]:
    hw = (picture.height, picture.width)
    return hw[::-1] if _quarter_turns(picture) % 2 else hw


@dataclass(frozen=True, slots=True)
class Scan:
    """What the packets of a recording tell.

    declared_s: its length as its header states it. truncated: its end is missing.
    """

    timeline: Timeline
    codec: str
    declared_s: Fraction | None
    truncated: bool


class Video:
    """One open container and its video stream; a context manager."""

    def __init__(
        self,
        place: Place,
        *,
        decoder_threads: int,
        timeout_s: tuple[float, float] = _TIMEOUT_S,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.place = place
        self._threads, self._timeout_s, self._options = decoder_threads, timeout_s, dict(options or {})
        self._container = _open(place, timeout_s, self._options)
        try:
            self._stream = _video_stream(place, self._container)
        except SourceError:
            self._container.close()
            raise
        codec = self._stream.codec_context
        codec.thread_count = decoder_threads
        codec.thread_type = "AUTO" if decoder_threads > 1 else "NONE"

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    @property
    def codec(self) -> str:
        return str(self._stream.codec_context.name)

    @property
    def nominal_fps(self) -> Fraction | None:
        """The rate the container claims; not to be used as a clock."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return Fraction(rate) if rate else None

    @property
    def _time_base(self) -> Fraction:
        return self._stream.time_base or Fraction(1, US_PER_S)

    @property
    def length_us(self) -> int | None:
        """How long the container says it is."""
        return int(self._container.duration) if self._container.duration else None

    def scan(self) -> Scan:
        """Read all packets without decoding any. A damaged tail ends the scan and sets `truncated`."""
        builder = TimelineBuilder(self._time_base, self.nominal_fps or _FALLBACK_FPS)
        extradata = bytes(self._stream.codec_context.extradata or b"")
        cut_packet = broken_off = False
        try:
            for packet in self._packets():
                cut_packet = packet.is_corrupt
                entry = packet.is_keyframe and is_random_access(self.codec, extradata, bytes(packet))
                builder.add(_stamp(packet), entry=entry, shown=not packet.is_discard)
        except FFmpegError:
            broken_off = True
        if cut_packet:
            builder.hide_last()
        timeline, declared_s = builder.build(), self._declared_s()
        missing = declared_s is not None and declared_s - timeline.end_ticks * timeline.time_base > _TAIL_S
        return Scan(timeline, self.codec, declared_s, cut_packet or broken_off or missing or self._cut_off_index())

    def decode(self, timeline: Timeline, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (frame number, picture) in presentation order: all `wanted` frames and whatever comes with them.

        The pictures are those of an undisturbed run, bit by bit. Damaged frames are left out.
        """
        needed = packets_needed(timeline, wanted)
        if not needed.any():
            return
        latest = -1
        for index, picture in self._decode_needed(timeline, wanted, needed):
            if index > latest and not picture.is_corrupt:
                latest = index
                yield index, picture

    def stream_frames(self, on_damage: Callable[[], None]) -> Iterator[tuple[int | None, VideoFrame]]:
        """Yield (presentation time in us, picture) as they come, to the end of the stream."""
        try:
            for packet in self._demux():
                for picture in self._pictures(packet, on_damage):
                    if picture.is_corrupt:
                        on_damage()
                        continue
                    time_us = None if picture.pts is None else round(picture.pts * self._time_base * US_PER_S)
                    yield time_us, picture
        except FFmpegError as error:
            raise self.place.error(f"stopped being readable: {reason_of(error)}") from error

    def _decode_needed(
        self, timeline: Timeline, wanted: NDArray[np.bool_], needed: NDArray[np.bool_]
    ) -> Iterator[tuple[int, VideoFrame]]:
        codec = self._stream.codec_context
        skippable = timeline.timed and codec.name in _SKIPPABLE
        last = int(np.flatnonzero(needed)[-1])
        numbering = _Numbering(timed=timeline.timed)
        running = False
        for ordinal, packet in self._packets_from(timeline, int(np.argmax(needed))):
            if needed[ordinal]:
                running = True
                frame = int(timeline.frame_of_packet[ordinal])
                if timeline.timed:
                    packet.pts = frame if frame >= 0 else None
                codec.skip_frame = "NONREF" if skippable and frame >= 0 and not wanted[frame] else "DEFAULT"
                yield from numbering.number(self._pictures(packet))
            if ordinal == last:
                break
            if running and not needed[ordinal + 1]:
                running = False
                yield from numbering.number(self._drain())
        yield from numbering.number(self._drain())

    def _packets_from(self, timeline: Timeline, first: int) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """(ordinal, packet) from `first` or before it; the same packets as `scan` saw, also where it broke off."""
        start, packets = self._seek(timeline, first) if first > 0 else (0, self._packets())
        try:
            for ordinal, packet in enumerate(packets, start):
                if ordinal >= len(timeline.entry):
                    return
                yield ordinal, packet
        except FFmpegError:
            # The scan met the same damage and said so.
            return

    def _seek(self, timeline: Timeline, first: int) -> tuple[int, Iterator[Packet[VideoStream]]]:
        """Begin to read at an entry packet at or shortly before `first`, or at the start where that is not sure."""
        shown_at = timeline.raw_time(first)
        if shown_at is not None and self._container.format.name.startswith(_SEEKABLE):
            try:
                self._container.seek(shown_at, stream=self._stream)
                packets = self._packets()
                packet = next(packets, None)
            except FFmpegError:
                packet = None
            ordinal = None if packet is None else timeline.packet_at(_stamp(packet))
            if packet is not None and ordinal is not None and ordinal <= first:
                return ordinal, _chain(packet, packets)
            self._reopen()
        return 0, self._packets()

    def _reopen(self) -> None:
        self.close()
        again = Video(self.place, decoder_threads=self._threads, timeout_s=self._timeout_s, options=self._options)
        self._container, self._stream = again._container, again._stream

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets; reading goes on behind damage unless it fails again and again."""
        failures = 0
        while True:
            try:
                for packet in self._demux():
                    if packet.size:
                        failures = 0
                        yield packet
            except FFmpegError:
                failures += 1
                if failures > _FAILURES_IN_A_ROW:
                    raise
            else:
                return

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except IndexError:
            # PyAV fails behind the last packet where streams appeared that the header did not name.
            return

    def _pictures(self, packet: Packet[VideoStream], on_damage: Callable[[], None] | None = None) -> list[VideoFrame]:
        try:
            return list(packet.decode())
        except FFmpegError:
            if on_damage is not None:
                on_damage()
            return []

    def _drain(self) -> Sequence[VideoFrame]:
        """Whatever the decoder still holds; it is then fit for another entry point."""
        codec = self._stream.codec_context
        try:
            return list(codec.decode(None))
        except FFmpegError:
            return []
        finally:
            codec.flush_buffers()

    def _cut_off_index(self) -> bool:
        """Whether the container's own index points behind the end of the file."""
        entries = self._stream.index_entries
        size = self._container.size
        return len(entries) > 0 and 0 < size < entries[-1].pos + entries[-1].size

    def _declared_s(self) -> Fraction | None:
        """The length that the header states; None for formats whose length FFmpeg only estimates."""
        if not self._container.format.name.startswith(_DECLARING):
            return None
        if self._stream.duration:
            return self._stream.duration * self._time_base
        return Fraction(self._container.duration, US_PER_S) if self._container.duration else None


class _Numbering:
    """Frame numbers of decoded pictures: carried by the packet, or counted where the container has no times."""

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed
        self._shown = 0

    def number(self, pictures: Sequence[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        for picture in pictures:
            index = picture.pts if self._timed else self._shown
            self._shown += 1
            if index is not None:
                yield index, picture


def _stamp(packet: Packet[VideoStream]) -> Stamp:
    return packet.pts, packet.dts, packet.pos


def _chain(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest


def reason_of(error: FFmpegError) -> str:
    """FFmpeg's own words, without the address that it repeats."""
    if isinstance(error, av.error.ExitError):
        return "no answer in time"
    return str(error.strerror or type(error).__name__)


def _open(place: Place, timeout_s: tuple[float, float], options: dict[str, str]) -> InputContainer:
    if not is_network(place.uri):
        _check_file(place)
    try:
        container: InputContainer = av.open(
            place.uri, "r", timeout=timeout_s, options=options, metadata_errors="replace"
        )
    except FFmpegError as error:
        if is_network(place.uri):
            advice = "check address, credentials and that the camera is on"
        else:
            advice = "not a video that FFmpeg reads, or cut off before its index; check the file or record it again"
        raise place.error(f"cannot be opened ({reason_of(error)}): {advice}") from error
    return container


def _check_file(place: Place) -> None:
    path = Path(place.uri)
    if not path.is_file():
        raise place.error("there is no such file; check `uri` of the camera")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise place.error(f"cannot be read ({error.strerror}); check its permissions") from error
    if empty:
        raise place.error("the file is empty (0 bytes); copy or record it again")


def _video_stream(place: Place, container: InputContainer) -> VideoStream:
    pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    for stream in pictures:
        if stream.codec_context is not None and stream.codec_context.name not in _TEXT_CODECS:
            return stream
    if pictures:
        raise place.error("holds no video that FFmpeg decodes; convert it to H.264")
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise place.error(f"holds no video, only {kinds}; give the file that has the pictures")
