"""Draws a sample and writes the folder that a person counts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path

from PIL import Image

from retail_ray.analyst.interval import When
from retail_ray.analyst.opened import StoreLake
from retail_ray.audit.folder import Audit, write_audit
from retail_ray.audit.recording import Recording
from retail_ray.audit.sample import Clip, draw_clips
from retail_ray.audit.scenes import LineView, draw, line_view, save, stored_boxes
from retail_ray.core.errors import ConfigError
from retail_ray.core.time import to_us
from retail_ray.lake.files import lake_errors


def sample(
    lake: StoreLake,
    folder: Path,
    when: When = None,
    *,
    clips_per_line: int = 60,
    clip_s: float = 10.0,
    seed: int = 1,
    videos: Mapping[str, Path] | None = None,
) -> Audit:
    """A new folder with clips of every counting line; `videos` are recordings by camera, shown coarsely pixelated.

    ConfigError for a folder that is not empty, QueryError where nothing can be drawn.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: not an empty folder; give a new one: an audit is never drawn over another")
    recordings = _recordings(lake, videos or {})
    clips = draw_clips(lake, when, clips_per_line=clips_per_line, clip_s=clip_s, seed=seed)
    views = {line.id: line_view(lake, line) for line in lake.store.lines}
    for clip in clips:
        pictures = list(_pictures(lake, clip, clip_s, views[clip.line_id], recordings.get(clip.camera_id)))
        with lake_errors("write", folder):
            save(pictures, folder / "clips" / f"{clip.clip_id}.gif")
    order = tuple((clip.clip_id, clip.line_id) for clip in clips)
    audit = Audit(lake.store.site_id, "video" if recordings else "boxes", seed, clip_s, order)
    with lake_errors("write", folder):
        write_audit(folder, audit, clips)
    return audit


def _pictures(
    lake: StoreLake, clip: Clip, clip_s: float, view: LineView, recording: Recording | None
) -> Iterator[Image.Image]:
    words = f"{clip.clip_id}   line {clip.line_id}"
    if recording is not None:
        return recording.draw(clip, clip_s, view, words)
    return draw(view, stored_boxes(lake, clip, clip_s), clip_s, words)


def _recordings(lake: StoreLake, videos: Mapping[str, Path]) -> dict[str, Recording]:
    audited = {line.camera_id for line in lake.store.lines}
    if videos and set(videos) != audited:
        raise ConfigError(
            f"recordings are needed of all cameras with a counting line or of none: {', '.join(sorted(audited))}; "
            f"found {', '.join(sorted(videos))}"
        )
    began = {camera.id: camera.recorded_at for camera in lake.store.cameras}
    found = {}
    for camera_id, path in videos.items():
        recorded_at = began.get(camera_id)
        if recorded_at is None:
            raise ConfigError(f"camera '{camera_id}' was live: the lake does not know when {path} began")
        aware = recorded_at if recorded_at.tzinfo is not None else recorded_at.replace(tzinfo=UTC)
        found[camera_id] = Recording(camera_id, path, to_us(aware))
    return found
