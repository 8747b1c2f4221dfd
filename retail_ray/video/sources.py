"""From a camera's address to its frames: the one door of this room."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from retail_ray.core.errors import ConfigError
from retail_ray.core.uris import STREAM_SCHEMES, scheme
from retail_ray.video.decode import Place
from retail_ray.video.files import FileSource
from retail_ray.video.folders import FolderSource
from retail_ray.video.live import LiveOptions, LiveSource, network_feed, recorded_feed
from retail_ray.video.recording import SourceInfo

Recording = FileSource | FolderSource
Source = FileSource | FolderSource | LiveSource

_DOWNLOADS = frozenset({"http", "https"})


def open_source(
    camera_id: str,
    uri: str,
    recorded_at_us: int | None,
    analysis_fps: float,
    *,
    decoder_threads: int,
    image_fps: float = 30.0,
    live: LiveOptions | None = None,
) -> Source:
    """Open a video file, an image folder, or a stream (RTSP, RTMP, HTTP(S), HLS, SRT, UDP).

    Without `live` it is a recording that begins at `recorded_at_us`; with `live`, streams are followed and
    files and folders play at their own pace from now. Live sources connect in a thread of their own, so a
    camera that is off is no error here. Raises SourceError and ConfigError.
    """
    place = _place(camera_id, uri)
    kind = scheme(place.uri)
    if kind not in STREAM_SCHEMES and kind != "file":
        known = ", ".join(sorted(STREAM_SCHEMES))
        raise place.error(f"'{kind}' addresses are not supported; use a file, a folder, or one of {known}")
    if live is None:
        return _recording(place, recorded_at_us, analysis_fps, decoder_threads, image_fps)
    if kind == "file":
        recording = _recording(place, 0, analysis_fps, decoder_threads, image_fps)
        return LiveSource(place, recorded_feed(recording), analysis_fps, live)
    return LiveSource(place, network_feed(place, decoder_threads, live), analysis_fps, live)


def probe(
    camera_id: str, uri: str, recorded_at_us: int, analysis_fps: float, *, decoder_threads: int, image_fps: float = 30.0
) -> SourceInfo:
    """What is known of a recording before it is analysed; raises SourceError."""
    return _recording(_place(camera_id, uri), recorded_at_us, analysis_fps, decoder_threads, image_fps).info


def _place(camera_id: str, uri: str) -> Place:
    return Place(camera_id, unquote(urlsplit(uri).path) if scheme(uri) == "file" and "://" in uri else uri)


def _recording(
    place: Place, recorded_at_us: int | None, analysis_fps: float, decoder_threads: int, image_fps: float
) -> Recording:
    kind = scheme(place.uri)
    if kind != "file" and kind not in _DOWNLOADS:
        raise place.error(f"'{kind}' is a live stream, not a recording; run it with jobs/stream.py")
    if recorded_at_us is None:
        raise ConfigError(
            place.message("`recorded_at` is missing: say when this recording begins, or run it live (jobs/stream.py)")
        )
    if kind == "file" and Path(place.uri).is_dir():
        return FolderSource(place, recorded_at_us, analysis_fps, image_fps)
    return FileSource(place, recorded_at_us, analysis_fps, decoder_threads=decoder_threads)
