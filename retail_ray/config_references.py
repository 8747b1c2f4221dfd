"""What the parts of `site.yaml` say about each other, checked after every part is right by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from retail_ray.core.alert_metrics import ALERT_METRICS, CAMERA_RULE_IDS
from retail_ray.core.time import US_PER_S

if TYPE_CHECKING:
    from retail_ray.config import Site

Location = tuple[int | str, ...]
Fault = tuple[Location, str]
# Their names stand in the same places as those of cameras: in file names of the lake and names of actors.
RESERVED_CAMERA_IDS = ("coordinator", "gallery", "site")
_LISTS = ("cameras", "lines", "zones", "queues", "alerts", "alert_sinks")
# Where the subjects of alert rules stand.
_SUBJECTS = {"zone": "zones", "lane": "queues", "line": "lines", "camera": "cameras"}


def require_references(site: Site) -> None:
    """Raise pydantic's ValidationError with every fault at its own key."""
    faults = [
        *_double_ids(site),
        *_cameras(site),
        *_lines(site),
        *_zones(site),
        *_queues(site),
        *_ticks(site),
        *_occupancy(site),
        *_alerts(site),
    ]
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


def _occupancy(site: Site) -> Iterator[Fault]:
    known = {camera.id for camera in site.cameras}
    for index, camera_id in enumerate(site.occupancy.inside_cameras):
        if camera_id not in known:
            yield ("occupancy", "inside_cameras", index), _unknown_camera(site)


def _alerts(site: Site) -> Iterator[Fault]:
    for index, rule in enumerate(site.alerts):
        if rule.id in CAMERA_RULE_IDS:
            yield ("alerts", index, "id"), "every watched camera has this rule by itself; choose another id"
        if rule.when != "always" and site.opening_hours is None:
            yield ("alerts", index, "when"), "this site has no opening_hours; give them, or leave this out"
        if "per_s" in rule.model_fields_set and not ALERT_METRICS[rule.metric].counted:
            yield ("alerts", index, "per_s"), f"metric {rule.metric} counts no events; leave this out"
        for place, fault in _subjects(site, index):
            yield ("alerts", index, *place), fault


def _subjects(site: Site, index: int) -> Iterator[Fault]:
    rule = site.alerts[index]
    kind = ALERT_METRICS[rule.metric].subject
    if kind == "site":
        if rule.subjects:
            yield ("subjects",), f"metric {rule.metric} is about the whole site; leave this out"
        return
    known = [item.id for item in getattr(site, _SUBJECTS[kind])]
    if not known:
        yield ("metric",), f"this site has no {_SUBJECTS[kind]}, so that this rule could never speak"
    for place, subject in enumerate(rule.subjects):
        if known and subject not in known:
            yield ("subjects", place), f"there is no such {kind}; known are {', '.join(known)}"


def _unknown_camera(site: Site) -> str:
    return f"there is no such camera; known are {', '.join(camera.id for camera in site.cameras)}"
