"""Addresses of video, and the masking of what must not be printed."""

from __future__ import annotations

import re

_USER = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@'\"]*(?:@[^/\s@'\"]*)*@")
_SECRET = re.compile(r"(?i)([?&;](?:token|key|password|passwd|pwd|secret|auth|signature|sig|access_token)=)[^&;\s'\"]+")
STREAM_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp"})
NO_VIDEO = "simulated"
"""Scheme of cameras whose rows were made without video: a lake can be asked about them, no run can open them."""


def mask_credentials(text: str) -> str:
    """Replace user:password@ and secret query values in every address within `text`."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\g<scheme>***@", text))


def scheme(uri: str) -> str:
    """'rtsp', 'https', …; 'file' for plain paths."""
    found = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+)://", uri)
    return found.group(1).lower() if found else "file"


def is_network(uri: str) -> bool:
    """Whether reading this address goes over a network."""
    return scheme(uri) in STREAM_SCHEMES
