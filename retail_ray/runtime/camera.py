"""One camera: chunks in, rows and observations out, epoch by epoch. A plain class; `actors.py` makes it an actor.

Per chunk: detect -> track -> segment key frames -> locate feet -> choose crops -> embed -> rows and message.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.coverage import CoverageMeter
from retail_ray.core.boxes import Letterbox
from retail_ray.core.errors import SourceError
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.ports import DecodedFrame, Tracker
from retail_ray.core.records import CoverageRow, DetectionRows, TrackletRow
from retail_ray.core.retail_records import Alert
from retail_ray.core.time import US_PER_MINUTE, minute_of
from retail_ray.core.types import Detections, Gap, Masks, Observations
from retail_ray.lake.epochs import FileEntry, Stage
from retail_ray.runtime.chunks import ChunkReader, FrameChunk
from retail_ray.runtime.clients import ModelClients, Pending
from retail_ray.runtime.embedding import ChosenCrops, choose_crops
from retail_ray.runtime.pace import Pace
from retail_ray.runtime.rows import Embeddings, FrameResult, detection_rows, locate, observations, silence
from retail_ray.runtime.view_watch import SURE_BOX, ViewWatch
from retail_ray.tracking.crops import CropSelector
from retail_ray.tracking.feet import FootFinder, FootMemory
from retail_ray.tracking.tracklets import TrackletBook
from retail_ray.vision.crops import scale_to_side

CHUNKS_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What a camera hands to the coordinator after an epoch; next_epoch None: its video has ended."""

    camera_id: str
    epoch: int
    next_epoch: int | None
    entries: list[FileEntry]
    error: str | None = None


@dataclass(slots=True)
class CameraStatus:
    """Readable at any time while the camera works. began_s, worked_s: Unix time of the first and the latest work.

    view: what is wrong with where the camera looks, empty while nothing is.
    """

    camera_id: str
    state: str = "connecting"
    began_s: float | None = None
    worked_s: float | None = None
    frames: int = 0
    people: int = 0
    dropped: int = 0
    last_frame_us: int | None = None
    detail: str = ""
    view: str = ""

    @property
    def frames_per_s(self) -> float | None:
        """Analysed frames per second of work, None before there were any."""
        if self.began_s is None or self.worked_s is None or self.worked_s <= self.began_s:
            return None
        return self.frames / (self.worked_s - self.began_s)


@dataclass(frozen=True, slots=True)
class CameraParts:
    """What the composition root puts together for one camera.

    send and end carry messages to gallery and site. take_gaps: what the source knows to be lost since the last call.
    trouble: why a live camera gives no frames, None while it does. end_us: where the video ends as its header has it;
    None while live.
    """

    camera_id: str
    calibration_of: Callable[[tuple[int, int]], FloorCalibration | None]
    reader: ChunkReader
    tracker: Tracker
    tracklets: TrackletBook
    crops: CropSelector
    coverage: CoverageMeter
    view: ViewWatch
    clients: ModelClients
    stage: Stage
    pace: Pace
    segmentation: bool
    key_frame_every_us: int
    send: Callable[[Observations], None]
    end: Callable[[], None]
    take_gaps: Callable[[], list[Gap]]
    trouble: Callable[[], str | None]
    end_us: int | None


@dataclass(slots=True)
class _Rows:
    """Rows of the open epoch, not yet staged."""

    detections: list[DetectionRows] = field(default_factory=list)
    tracklets: list[TrackletRow] = field(default_factory=list)
    coverage: list[CoverageRow] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tracked:
    """A tracked chunk whose embeddings are on their way."""

    results: list[FrameResult]
    place: tuple[tuple[int, int], ...]
    quality: NDArray[np.float32]
    pending: Pending[NDArray[np.float32]] | None


def by_minute(gap: Gap) -> list[tuple[int, int]]:
    """(a time in the minute, lost frames) of every minute that the gap touches; shares follow its length there."""
    shares: list[tuple[int, int]] = []
    given, length_us = 0, max(1, gap.to_us - gap.from_us)
    for minute_us in range(minute_of(gap.from_us), max(gap.to_us, gap.from_us + 1), US_PER_MINUTE):
        end_us = min(minute_us + US_PER_MINUTE, gap.to_us)
        until = round(gap.frames * max(0, end_us - gap.from_us) / length_us) if end_us < gap.to_us else gap.frames
        shares.append((max(minute_us, gap.from_us), until - given))
        given = until
    return shares


class CameraPipeline:
    """Works through one camera's video; all it remembers between epochs is in `state`."""

    def __init__(self, parts: CameraParts) -> None:
        self._parts, self.status = parts, CameraStatus(parts.camera_id)
        self._detecting: deque[tuple[FrameChunk, Pending[list[Detections]]]] = deque()
        self._embedding: _Tracked | None = None
        self._rows = _Rows()
        self._key_slot: int | None = None
        self._gaps: list[Gap] = []
        self._last_us: int | None = None
        self._error: str | None = None
        self._memory = FootMemory()
        self._feet: FootFinder | None = None
        self._sized = False

    def first_epoch(self) -> int | None:
        """The first epoch to work; None where the video is already over. Announces the first watermark."""
        self._fill()
        return self._announce(None)

    def work_epoch(self, epoch: int) -> EpochReport:
        """Analyse all frames up to the end of `epoch`, then stage its rows and the state as of its end."""
        while (arrived := self._next_of(epoch)) is not None:
            chunk, pending = arrived
            tracked = self._track(chunk, pending.result())
            self._emit()
            self._embedding = tracked
        self._emit()
        next_epoch = self._announce(epoch)
        if next_epoch is None:
            self._flush()
        entries = self._write(epoch)
        return EpochReport(self._parts.camera_id, epoch, next_epoch, entries, self._error)

    def restore(self, state: bytes) -> None:
        """Go on from the end of a committed epoch; the reader must begin after its last frame."""
        saved: dict[str, Any] = pickle.loads(state)
        self._parts.tracker.restore(saved["tracker"])
        self._parts.tracklets.restore(saved["tracklets"])
        self._parts.crops.restore(saved["crops"])
        self._parts.coverage.restore(saved["coverage"])
        self._memory.restore(saved["feet"])
        self._parts.view.restore(saved["view"])
        self.status.view = self._parts.view.words
        self._key_slot, self._last_us = saved["key_slot"], saved["last_us"]

    def close(self) -> None:
        """Stop reading ahead."""
        self._parts.reader.close()

    @staticmethod
    def resume_point(state: bytes) -> int | None:
        """Event time of the last frame that a saved state has seen."""
        last_us: int | None = pickle.loads(state)["last_us"]
        return last_us

    def state(self) -> bytes:
        parts = self._parts
        saved = {
            "tracker": parts.tracker.state(),
            "tracklets": parts.tracklets.state(),
            "crops": parts.crops.state(),
            "coverage": parts.coverage.state(),
            "feet": self._memory.state(),
            "view": parts.view.state(),
            "key_slot": self._key_slot,
            "last_us": self._last_us,
        }
        return pickle.dumps(saved)

    def _next_of(self, epoch: int) -> tuple[FrameChunk, Pending[list[Detections]]] | None:
        """The next chunk of this epoch; None when the epoch is complete."""
        parts = self._parts
        while not self._fill():
            if parts.reader.ended or self._error or parts.pace.is_over(epoch):
                return None
            self._emit()
            self._count_gaps(parts.pace.silent_until_us())
            if (trouble := parts.trouble()) is not None:
                self.status.state, self.status.detail = "connecting", trouble
            if (silent_until_us := parts.pace.silent_until_us()) is not None:
                self._rows.coverage += parts.coverage.advance(silent_until_us)
                parts.send(silence(parts.camera_id, silent_until_us))
        return self._detecting.popleft() if self._detecting[0][0].epoch <= epoch else None

    def _fill(self) -> bool:
        """Keep chunks on their way to the detector; false when none came (the video ended, or live it is silent)."""
        while len(self._detecting) < CHUNKS_IN_FLIGHT and self._error is None:
            try:
                chunk = self._parts.reader.peek(0.0 if self._detecting else self._parts.pace.patience_s)
            except SourceError as error:
                self._error = str(error)
                break
            if chunk is None:
                break
            self._parts.reader.pop()
            self.status.state, self.status.detail = "running", ""
            self.status.began_s = self.status.began_s or time.time()
            self._detecting.append((chunk, self._parts.clients.detect(chunk.images)))
        return bool(self._detecting)

    def _track(self, chunk: FrameChunk, detections: list[Detections]) -> _Tracked:
        if self._feet is None:
            native_hw = chunk.letterbox.native_hw
            self._feet = FootFinder(self._parts.calibration_of(native_hw), native_hw, self._memory)
        results = [
            self._track_frame(frame, chunk.letterbox, found)
            for frame, found in zip(chunk.frames, detections, strict=True)
        ]
        for result in results:
            if self._is_key_frame(result) and len(result.tracks):
                result.masks = self._segment(result)
        locate(results, self._feet)
        self._watch(chunk, results)
        patch_hw = self._parts.clients.patch_hw
        crops = None if patch_hw is None else choose_crops(results, self._parts.crops, patch_hw)
        self._book(results, crops)
        if crops is None:
            return _Tracked(results, (), np.zeros(0, np.float32), None)
        return _Tracked(results, crops.place, crops.quality, self._parts.clients.embed(crops.patches))

    def _watch(self, chunk: FrameChunk, results: list[FrameResult]) -> None:
        """Look now and then whether the camera still looks where it was calibrated."""
        view, native_hw = self._parts.view, chunk.letterbox.native_hw
        for image, result in zip(chunk.images, results, strict=True):
            if view.is_due(result.frame.time_us):
                people_px = result.detections[result.detections.confidence >= SURE_BOX].xyxy_px
                time_us = result.frame.time_us
                self._rows.alerts += view.look(
                    image, chunk.letterbox, time_us, people_px, self._parts.calibration_of(native_hw)
                )
        self.status.view = view.words

    def _book(self, results: list[FrameResult], crops: ChosenCrops | None) -> None:
        """Enter the chunk in the book of tracklets; one may end within the chunk that holds its crop."""
        noted = [] if crops is None else list(zip(crops.place, crops.local_id, crops.quality.tolist(), strict=True))
        ended: list[TrackletRow] = []
        for index, result in enumerate(results):
            ended += self._parts.tracklets.add(result.tracks, result.feet.floor_xy_m, result.frame.time_us)
            for (frame, _), local_id, quality in noted:
                if frame == index:
                    self._parts.tracklets.note_crop(local_id, quality)
        self._rows.tracklets += ended
        self._parts.crops.forget(row.local_id for row in ended)
        self._memory.forget(row.local_id for row in ended)

    def _track_frame(self, frame: DecodedFrame, letterbox: Letterbox, found: Detections) -> FrameResult:
        native = Detections(letterbox.to_native(found.xyxy_px), found.confidence, found.class_id)
        # Some trackers learn the frame's size from the first picture; none looks at another one.
        image = None if self._sized else frame.native()
        self._sized = True
        return FrameResult(frame, native, self._parts.tracker.update(native, image, frame.time_us))

    def _is_key_frame(self, result: FrameResult) -> bool:
        slot = result.frame.time_us // self._parts.key_frame_every_us
        first_of_slot, self._key_slot = slot != self._key_slot, slot
        return first_of_slot and self._parts.segmentation

    def _segment(self, result: FrameResult) -> Masks:
        image = scale_to_side(result.frame.native(), self._parts.clients.segmenter_side_px or 0)
        return self._parts.clients.segment(image, result.tracks.xyxy_px, result.frame.native_hw).result()

    def _emit(self) -> None:
        """Turn the chunk whose embeddings were asked for into rows and a message."""
        tracked, self._embedding = self._embedding, None
        if tracked is None or self._feet is None:
            return
        parts, results = self._parts, tracked.results
        embeddings = Embeddings.none()
        if tracked.pending is not None:
            embeddings = Embeddings(tracked.place, tracked.pending.result(), tracked.quality)
        rows = detection_rows(parts.camera_id, results, self._feet.calibration)
        if len(rows):
            self._rows.detections.append(rows)
        times_us = np.array([result.frame.time_us for result in results], np.int64)
        self._last_us = int(times_us[-1])
        parts.coverage.processed(times_us)
        self._count_gaps(self._last_us)
        self._rows.coverage += parts.coverage.advance(self._last_us)
        self.status.worked_s = time.time()
        self.status.frames += len(results)
        self.status.people = len(results[-1].tracks)
        self.status.last_frame_us = self._last_us
        parts.send(observations(parts.camera_id, results, embeddings))

    def _count_gaps(self, until_us: int | None) -> None:
        """Put lost frames up to `until_us` on the account of coverage; later ones wait, they belong to later epochs."""
        self._gaps += self._parts.take_gaps()
        due = [gap for gap in self._gaps if until_us is None or gap.from_us <= until_us]
        self._gaps = [gap for gap in self._gaps if until_us is not None and gap.from_us > until_us]
        for gap in due:
            self.status.dropped += gap.frames
            for minute_us, frames in by_minute(gap):
                self._parts.coverage.dropped(minute_us, frames, gap.reason)

    def _announce(self, done: int | None) -> int | None:
        """Tell gallery and site how far this camera is; the epoch to work next, None at the end."""
        parts = self._parts
        waiting = self._detecting[0][0] if self._fill() else None
        following = parts.pace.epoch_after(done, waiting.epoch if waiting else None, parts.reader.ended)
        if following is None:
            self.status.state, self.status.detail = ("failed", self._error) if self._error else ("ended", "")
            parts.end()
        elif waiting is not None:
            parts.send(silence(parts.camera_id, waiting.frames[0].time_us))
        return following

    def _flush(self) -> None:
        """The video is over: what is still open is written as it is."""
        parts = self._parts
        self._rows.tracklets += parts.tracklets.flush()
        self._count_gaps(None)
        known_us = [parts.end_us] if parts.end_us is not None else [parts.pace.silent_until_us(), self._last_us]
        if ends_us := [time_us for time_us in known_us if time_us is not None]:
            self._rows.coverage += parts.coverage.finish(max(ends_us))

    def _write(self, epoch: int) -> list[FileEntry]:
        rows, self._rows = self._rows, _Rows()
        stage = self._parts.stage
        return [
            *stage.write_records("detections", rows.detections, epoch),
            *stage.write_records("tracklets", rows.tracklets, epoch),
            *stage.write_records("coverage", rows.coverage, epoch),
            *stage.write_records("alerts", rows.alerts, epoch),
            stage.write_state(epoch, self.state()),
        ]
