"""What a video file says about itself."""

from __future__ import annotations

from pathlib import Path

import av
from av.error import FFmpegError


def comment_of(path: Path) -> str | None:
    """The container's `comment` tag, '' where it has none; None where this is no video file that can be opened."""
    try:
        with av.open(str(path), "r", metadata_errors="replace") as container:
            return str(container.metadata.get("comment", ""))
    except (FFmpegError, OSError):
        return None
