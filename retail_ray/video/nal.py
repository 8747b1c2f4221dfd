"""Where decoding of H.264 and HEVC may begin: containers also flag pictures that need earlier ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

_START_CODE = re.compile(b"\x00\x00\x01")
_H264_IDR = 5
_H264_SLICES = range(1, 6)
_HEVC_RANDOM_ACCESS = range(16, 22)
_HEVC_SLICES = range(32)


def is_random_access(codec: str, extradata: bytes, packet: bytes) -> bool:
    """Whether a packet that its container calls a keyframe needs no packet before it.

    Other codecs are taken at their container's word.
    """
    if codec == "h264":
        kinds = (nal[0] & 0x1F for nal in _units(packet, _length_size(extradata, 4)))
        return next((kind for kind in kinds if kind in _H264_SLICES), None) == _H264_IDR
    if codec == "hevc":
        kinds = (nal[0] >> 1 & 0x3F for nal in _units(packet, _length_size(extradata, 21)))
        return next((kind for kind in kinds if kind in _HEVC_SLICES), -1) in _HEVC_RANDOM_ACCESS
    return True


def _length_size(extradata: bytes, offset: int) -> int | None:
    """Bytes of the length before each unit (ISO/IEC 14496-15); None for start codes."""
    return (extradata[offset] & 3) + 1 if len(extradata) > offset and extradata[0] == 1 else None


def _units(packet: bytes, length_size: int | None) -> Iterator[bytes]:
    """The first bytes of every unit of the packet."""
    if length_size is None:
        for found in _START_CODE.finditer(packet):
            if found.end() < len(packet):
                yield packet[found.end() : found.end() + 1]
        return
    at = 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        yield packet[at + length_size : at + length_size + 1]
        at += length_size + max(length, 1)
