"""From the configuration to one camera's pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.analytics.coverage import CoverageMeter
from retail_ray.config import Camera, Site
from retail_ray.core.boxes import Letterbox
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.ports import Tracker
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations
from retail_ray.lake.view_files import ViewFile
from retail_ray.runtime.camera import CameraParts, CameraPipeline
from retail_ray.runtime.chunks import ChunkReader, ChunkRule, cut
from retail_ray.runtime.clients import ModelClients
from retail_ray.runtime.pace import LivePace, Pace, RecordedPace, wall_clock_us
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.view_watch import CameraViewWatch, NoWatch, ViewMemory, ViewWatch
from retail_ray.tracking.crops import CropSelector
from retail_ray.tracking.options import BUFFER_OPTION, JOINED_BUFFER_S
from retail_ray.tracking.still_figures import PeopleTracker, StillFigures
from retail_ray.tracking.tracker import check_options, create_tracker, longest_absence_s
from retail_ray.tracking.tracklets import TrackletBook
from retail_ray.video.live import LiveOptions, LiveSource
from retail_ray.video.sources import Source, open_source

FINGERPRINT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """Event time that a camera covers; end_us None while it is live. fingerprint: tells another file apart."""

    start_us: int
    end_us: int | None
    fingerprint: str = ""


class CameraInput:
    """One camera's opened video, recorded or live."""

    def __init__(self, plan: RunPlan, camera_id: str) -> None:
        self.plan, self.camera = plan, plan.site.camera(camera_id)
        self._source: Source | None = None
        runtime = plan.site.runtime
        self.pace: Pace = RecordedPace()
        if plan.live:
            self.pace = LivePace(plan.epoch_us, round(runtime.allowed_lateness_s * US_PER_S))

    @property
    def source(self) -> Source:
        """Opened at first use; SourceError names what is wrong with it."""
        if self._source is None:
            self._source = open_source(
                self.camera.id,
                self.camera.uri,
                self.camera.recorded_at_us,
                self.camera.analysis_fps,
                decoder_threads=self.plan.site.runtime.decoder_threads,
                image_fps=self.camera.image_fps,
                live=LiveOptions(clock_us=wall_clock_us) if self.plan.live else None,
            )
        return self._source

    def probe(self) -> CameraFacts:
        """A recording is opened and must be readable; a live camera may be off and is waited for later."""
        if self.plan.live:
            return CameraFacts(wall_clock_us(), None)
        info = self.source.info
        assert info.start_us is not None
        return CameraFacts(info.start_us, info.declared_end_us or info.end_us, fingerprint(Path(self.camera.uri)))

    def frames_per_s(self) -> float:
        """Analysed frames per second that are owed."""
        native_fps = None if self.plan.live else self.source.info.native_fps
        return min(self.camera.analysis_fps, native_fps or self.camera.analysis_fps)

    def stop(self) -> None:
        """Live: no further frames; the open epoch ends now."""
        if isinstance(self.pace, LivePace):
            self.pace.stopped.set()
        if self._source is not None:
            self._source.close()


def fingerprint(path: Path) -> str:
    """Short digest of a file's size, beginning and end; of a folder's names; empty for an address."""
    digest = hashlib.sha256()
    if path.is_dir():
        digest.update("\n".join(sorted(entry.name for entry in path.iterdir())).encode())
    elif path.is_file():
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(FINGERPRINT_BYTES))
            file.seek(max(0, size - FINGERPRINT_BYTES))
            digest.update(file.read(FINGERPRINT_BYTES))
    else:
        return ""
    return digest.hexdigest()[:16]


def _tracker_options(site: Site) -> dict[str, Any]:
    """A tracklet that waits for its person may go on with somebody else, and the gallery cannot part it. So where looks
    let the gallery join pieces, tracklets wait for a moment only."""
    waits = {} if site.models.embedder is None else {BUFFER_OPTION: JOINED_BUFFER_S}
    return {**waits, **site.tracker.options}


def build_camera(
    camera_input: CameraInput,
    clients: ModelClients,
    send: Callable[[Observations], None],
    end: Callable[[], None],
    state: bytes | None,
    *,
    tracker: Tracker | None = None,
) -> CameraPipeline:
    """The pipeline, gone back to `state` where there is one (recorded runs). tracker: instead of the site's own."""
    plan, camera = camera_input.plan, camera_input.camera
    site, facts = plan.site, camera_input.probe()
    frames_per_s = camera_input.frames_per_s()
    options = _tracker_options(site)
    _, buffer_s = check_options(site.tracker.name, frame_rate=frames_per_s, options=options)
    # Before a live source is opened: loading the tracker takes seconds, in which its frames would be lost.
    if tracker is None:
        known_px = np.array(camera.still_figures, np.float32).reshape(-1, 4)
        figures = StillFigures(known_px, site.tracker.still_figure_s)
        tracker = PeopleTracker(create_tracker(site.tracker.name, frame_rate=frames_per_s, options=options), figures)
    source = camera_input.source
    resume_after_us = None if state is None else CameraPipeline.resume_point(state)

    def letterbox_of(native_hw: tuple[int, int]) -> Letterbox:
        return Letterbox(native_hw, clients.input_hw(native_hw))

    parts = CameraParts(
        camera_id=camera.id,
        calibration_of=lambda native_hw: _calibration(camera, native_hw),
        reader=ChunkReader(cut(source.frames(resume_after_us), _rule(plan, camera), letterbox_of)),
        tracker=tracker,
        tracklets=TrackletBook(camera.id, buffer_s=longest_absence_s(buffer_s, frames_per_s)),
        crops=CropSelector(),
        coverage=CoverageMeter(camera.id, source.expected_frames, facts.start_us),
        view=_view_watch(plan, camera),
        clients=clients,
        stage=plan.stage(camera.id),
        pace=camera_input.pace,
        segmentation=camera.segmentation and site.models.segmenter is not None,
        key_frame_every_us=_key_frame_every_us(plan),
        send=send,
        end=end,
        take_gaps=source.take_gaps,
        trouble=lambda: _trouble(source),
        end_us=facts.end_us,
    )
    pipeline = CameraPipeline(parts)
    if state is not None:
        pipeline.restore(state)
    return pipeline


def _view_watch(plan: RunPlan, camera: Camera) -> ViewWatch:
    if not camera.watch_view:
        return NoWatch()
    file = ViewFile(plan.lake, plan.site.site, camera.id, plan.site.view_version(camera.id))
    memory = ViewMemory(lambda: file.read(plan.run_id), lambda features: file.write(features, plan.run_id))
    return CameraViewWatch(camera.id, memory)


def _trouble(source: Source) -> str | None:
    if not isinstance(source, LiveSource) or source.state.connected:
        return None
    return source.state.last_error


def _rule(plan: RunPlan, camera: Camera) -> ChunkRule:
    runtime = plan.site.runtime
    if not plan.live:
        return ChunkRule(plan.epoch_us, runtime.chunk_frames)
    frames = max(1, min(runtime.chunk_frames, round(runtime.live_latency_s * camera.analysis_fps)))
    return ChunkRule(plan.epoch_us, frames)


def _calibration(camera: Camera, native_hw: tuple[int, int]) -> FloorCalibration | None:
    return None if camera.floor is None else camera.floor.calibration(native_hw)


def _key_frame_every_us(plan: RunPlan) -> int:
    segmenter = plan.site.models.segmenter
    return US_PER_S if segmenter is None else round(segmenter.every_s * US_PER_S)
