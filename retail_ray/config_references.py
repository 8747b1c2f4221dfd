"""What the parts of `site.yaml` say about each other, checked after every part is right by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from retail_ray.core.time import US_PER_S

if TYPE_CHECKING:
    from retail_ray.config import Site

Location = tuple[int | str, ...]
Fault = tuple[Location, str]
# Their names stand in the same places as those of cameras: in file names of the lake and names of actors.
RESERVED_CAMERA_IDS = ("coordinator", "gallery", "site")
_LISTS = ("cameras", "lines", "zones", "queues")


def require_references(site: Site) -> None:
    """Raise pydantic's ValidationError with every fault at its own key."""
    faults = [*_double_ids(site), *_cameras(site), *_lines(site), *_zones(site), *_queues(site), *_ticks(site)]
    if faults:
        raise ValidationError.from_exception_data("Site", [_detail(site, at, message) for at, message in faults])


def _detail(site: Site, at: Location, message: str) -> InitErrorDetails:
    # Braces of a template would be looked up in its context.
    error = PydanticCustomError("reference", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=at, input=_value_at(site, at))


def _value_at(site: Site, at: Location) -> Any:
    value: Any = site
    for part in at:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


def _double_ids(site: Site) -> Iterator[Fault]:
    for what in _LISTS:
        seen: dict[str, int] = {}
        for index, item in enumerate(getattr(site, what)):
            if item.id in seen:
                yield (what, index, "id"), f"{what}[{seen[item.id]}] has this id already; give every one its own"
            seen.setdefault(item.id, index)


def _cameras(site: Site) -> Iterator[Fault]:
    for index, camera in enumerate(site.cameras):
        if camera.id in RESERVED_CAMERA_IDS:
            yield ("cameras", index, "id"), "a part of the system has this name; choose another"
        if camera.segmentation and site.models.segmenter is None:
            yield (
                ("cameras", index, "segmentation"),
                "models.segmenter is not set; write `models: {segmenter: {}}` for its defaults, or leave this out",
            )


def _lines(site: Site) -> Iterator[Fault]:
    cameras = {camera.id: camera for camera in site.cameras}
    for index, line in enumerate(site.lines):
        if line.camera not in cameras:
            yield ("lines", index, "camera"), _unknown_camera(site)
        elif line.on_floor and cameras[line.camera].floor is None:
            yield (
                ("lines", index, "m"),
                f"drawn on the floor, but camera '{line.camera}' has no floor calibration; "
                "give the camera its `floor`, or draw the line with px and inside_px",
            )


def _zones(site: Site) -> Iterator[Fault]:
    known = {camera.id for camera in site.cameras}
    calibrated = any(camera.floor is not None for camera in site.cameras)
    for index, zone in enumerate(site.zones):
        if zone.camera is not None and zone.camera not in known:
            yield ("zones", index, "camera"), _unknown_camera(site)
        if zone.m is not None and not calibrated:
            yield (
                ("zones", index, "m"),
                "drawn on the floor, but no camera has a floor calibration; "
                "give one its `floor`, or draw the zone with camera and px",
            )


def _queues(site: Site) -> Iterator[Fault]:
    if any(camera.floor is not None for camera in site.cameras):
        return
    for index in range(len(site.queues)):
        yield (
            ("queues", index, "lane_m"),
            "drawn on the floor, but no camera has a floor calibration; give one its `floor`, or leave the lane out",
        )


def _ticks(site: Site) -> Iterator[Fault]:
    tick_us = round(site.identity.tick_s * US_PER_S)
    for name in ("epoch_s", "live_epoch_s"):
        if tick_us < 1 or getattr(site.runtime, name) * US_PER_S % tick_us:
            yield (
                ("identity", "tick_s"),
                f"must divide runtime.{name} ({getattr(site.runtime, name)} s) without rest, as 0.25, 0.5 and 1 do",
            )


def _unknown_camera(site: Site) -> str:
    return f"there is no such camera; known are {', '.join(camera.id for camera in site.cameras)}"
