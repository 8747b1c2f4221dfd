"""Names, options and defaults of the trackers: pure decisions, no BoxMOT in sight.

An option is one of BoxMOT's own for the tracker, or `buffer_s`, which replaces BoxMOT's counts of frames.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from retail_ray.core.errors import TrackerError

DEFAULT_TRACKER = "botsort"
BUFFER_OPTION = "buffer_s"
DEFAULT_BUFFER_S = 2.0
# Where the gallery joins tracklets by looks.
JOINED_BUFFER_S = 0.3
LONGEST_BUFFER_S = 60.0

_NO_PIXELS = "it compares pictures, and neither pixels nor embeddings may enter the tracker's state"
_NO_CMC = {"use_cmc": False, "cmc_method": None}
_NO_REID = {"use_embeddings": False}


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """What the product needs to know of one of BoxMOT's trackers.

    module, cls: where it is. buffer_options: BoxMOT's options that hold `buffer_s` as a number of frames.
    fixed: options that the product sets itself. defaults: where the product's choice differs from BoxMOT's;
    measured by `benchmarks/trackers.py`, confidences fit YOLO11.
    """

    module: str
    cls: str
    buffer_options: tuple[str, ...]
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]


_KINDS: Mapping[str, TrackerKind] = MappingProxyType(
    {
        "bytetrack": TrackerKind(
            "bytetrack", "ByteTrack", ("track_buffer",), {"frame_rate": 30}, {"track_thresh": 0.4}
        ),
        "botsort": TrackerKind(
            "botsort",
            "BotSort",
            ("track_buffer",),
            {"frame_rate": 30, **_NO_REID, **_NO_CMC},
            # BoxMOT's defaults were searched with embeddings. Matching is strict, so that a tracklet rather ends than
            # goes on with somebody else: the gallery can join tracklets, and cannot part one.
            {
                "track_high_thresh": 0.4,
                "new_track_thresh": 0.5,
                "match_thresh": 0.7,
                "second_match_thresh": 0.4,
                "unconfirmed_match_thresh": 0.7,
            },
        ),
        "ocsort": TrackerKind("ocsort", "OcSort", ("max_age",), {}, {"det_thresh": 0.4}),
        "boosttrack": TrackerKind(
            "boosttrack",
            "BoostTrack",
            ("max_age",),
            {**_NO_REID, **_NO_CMC},
            {"det_thresh": 0.4, "variable_dt": True},
        ),
        "occluboost": TrackerKind(
            "occluboost",
            "OccluBoost",
            ("max_age",),
            {**_NO_REID, **_NO_CMC, "gta_enabled": False},
            {"det_thresh": 0.4, "new_track_thresh": 0.5, "instant_confirm_thresh": 0.6},
        ),
        "hybridsort": TrackerKind("hybridsort", "HybridSort", ("max_age",), {**_NO_REID, "cmc_method": None}, {}),
        "sfsort": TrackerKind(
            "sfsort", "SFSORT", ("central_timeout", "marginal_timeout"), {}, {"high_th": 0.5, "new_track_th": 0.6}
        ),
    }
)
TRACKER_NAMES = tuple(_KINDS)

_REFUSED_TRACKERS = {
    "strongsort": "it cannot work without an appearance embedding of every box in every frame",
    "deepocsort": "without appearance embeddings it is OC-SORT, which is here as 'ocsort'",
    "sam2mot": "it cannot work without a segmentation mask of every box in every frame",
}
_REFUSED_OPTIONS = {
    "use_embeddings": f"{_NO_PIXELS}; appearance joins tracklets in the gallery instead",
    "use_cmc": f"{_NO_PIXELS}; cameras are fixed, so there is no camera motion to undo",
    "cmc_method": f"{_NO_PIXELS}; cameras are fixed, so there is no camera motion to undo",
    "gta_enabled": _NO_PIXELS,
    "frame_rate": "it follows from the camera's analysis rate",
    "kf_time_unit": "it follows from variable_dt",
    **dict.fromkeys(
        ("track_buffer", "max_age", "central_timeout", "marginal_timeout"),
        f"it counts frames; give {BUFFER_OPTION} in seconds instead",
    ),
}


def tracker_kind(name: str) -> TrackerKind:
    """Raises TrackerError naming an unknown or unusable tracker and listing the known."""
    if name in _KINDS:
        return _KINDS[name]
    if name in _REFUSED_TRACKERS:
        raise TrackerError(
            f"tracker '{name}' is not available: {_REFUSED_TRACKERS[name]}; choose one of {', '.join(_KINDS)}"
        )
    raise TrackerError(f"unknown tracker '{name}'{_did_you_mean(name, _KINDS)}; known are {', '.join(_KINDS)}")


def resolve(
    name: str, frame_rate: float, options: Mapping[str, Any], boxmot_defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], float]:
    """Constructor arguments for BoxMOT, and the buffer in seconds.

    Raises TrackerError naming the tracker, the option and its value when an option is unknown or impossible.
    """
    kind = tracker_kind(name)
    if not (math.isfinite(frame_rate) and 0 < frame_rate <= 1000):
        raise TrackerError(f"tracker '{name}': frame_rate must be in (0, 1000] frames/s, found {frame_rate}")
    settable = {BUFFER_OPTION: DEFAULT_BUFFER_S, **boxmot_defaults, **kind.defaults}
    for option in (*_REFUSED_OPTIONS, *kind.fixed):
        settable.pop(option, None)
    for option, value in options.items():
        _check(name, option, value, settable)
    chosen = {**settable, **options}
    buffer_s = float(chosen.pop(BUFFER_OPTION))
    buffer_frames = max(1, round(buffer_s * frame_rate))
    return {**chosen, **kind.fixed, **dict.fromkeys(kind.buffer_options, buffer_frames)}, buffer_s


def _check(name: str, option: str, value: Any, settable: Mapping[str, Any]) -> None:
    place = f"tracker '{name}', option '{option}'"
    if option not in settable:
        if option in _REFUSED_OPTIONS:
            raise TrackerError(f"{place} cannot be set: {_REFUSED_OPTIONS[option]}")
        known = ", ".join(sorted(settable))
        raise TrackerError(f"{place} is unknown{_did_you_mean(option, settable)}; known are {known}")
    default = settable[option]
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and math.isfinite(value)
    else:
        fits = isinstance(value, type(default))
    if not fits:
        raise TrackerError(f"{place} must be a {type(default).__name__} such as {default}, found {value!r}")
    if option == BUFFER_OPTION and not 0 < value <= LONGEST_BUFFER_S:
        raise TrackerError(f"{place} must be in (0, {LONGEST_BUFFER_S:g}] seconds, found {value}")
    if option.endswith(("_thresh", "_conf", "_th", "_threshold")) and not 0 <= value <= 1:
        raise TrackerError(f"{place} must be in [0, 1], found {value}")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ""
