"""`site.yaml` as pydantic models: every key described with its unit, unknown keys refused.

`config_file.py` reads the file and turns a violation into an error with file, line and key.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, time
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from retail_ray.config_alerts import AlertRule, AlertSink
from retail_ray.config_base import Identifier, Point, Section
from retail_ray.config_heat import Heat
from retail_ray.config_models import Models
from retail_ray.config_opening_hours import LocalTime, Occupancy, OpeningWeek
from retail_ray.config_references import require_references
from retail_ray.config_retention import Retention
from retail_ray.core.homography import FloorCalibration, from_camera, from_matrix, from_points, rotation_from_quaternion
from retail_ray.core.polygons import check_polygon
from retail_ray.core.time import BusinessDay, to_us
from retail_ray.core.uris import NO_VIDEO, STREAM_SCHEMES, mask_credentials, scheme


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"'{name}' is no IANA timezone, e.g. 'Europe/Rome'") from error
    return name


def lake_folder(path: str) -> str:
    """`path`, if it is one of a folder; else ValueError."""
    if "://" in path:
        raise ValueError("the lake must be a folder that all nodes reach at the same path, e.g. /data/lake")
    return path


def _supported_address(uri: str) -> str:
    known = ", ".join(f"{name}://" for name in sorted(STREAM_SCHEMES))
    if scheme(uri) not in {"file", NO_VIDEO, *STREAM_SCHEMES}:
        raise ValueError(f"'{scheme(uri)}' addresses are not supported; use a file, an image folder, or one of {known}")
    name = uri.partition(":")[0].lower()
    if scheme(uri) == "file" and name in STREAM_SCHEMES and ":" in uri:
        raise ValueError(f"an address begins with {name}://")
    return uri


def _a_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2; found {list(box)}")
    return box


PictureBox = Annotated[tuple[float, float, float, float], AfterValidator(_a_box)]


class PointPair(Section):
    """One spot seen by the camera and measured on the floor."""

    px: Point = Field(description="x, y in native pixels")
    m: Point = Field(description="x, y on the site's floor in metres")


class CameraModel(Section):
    """A calibrated camera: intrinsics, distortion and pose over the floor plane z = 0."""

    focal_px: Point = Field(description="focal lengths fx, fy in pixels")
    principal_px: Point = Field(description="principal point cx, cy in pixels")
    distortion: list[float] = Field(
        default=[0.0] * 5, min_length=4, max_length=5, description="k1, k2, p1, p2[, k3], OpenCV's order"
    )
    rotation_wxyz: tuple[float, float, float, float] = Field(description="quaternion from world to camera axes")
    translation_m: tuple[float, float, float] = Field(description="x_camera = R x_world + translation")


class Floor(Section):
    """How this camera's pixels lie on the floor: give exactly one of the three."""

    homography: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]] | None = (
        Field(default=None, description="3 x 3, native pixels to floor metres")
    )
    points: list[PointPair] | None = Field(default=None, min_length=4, description="at least 4 pairs, not on one line")
    camera: CameraModel | None = Field(default=None, description="camera matrix with pose and distortion")

    @model_validator(mode="after")
    def _one_usable(self) -> Floor:
        given = [name for name in ("homography", "points", "camera") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of homography, points, camera; found {given or 'none'}")
        self.calibration((1080, 1920))
        return self

    def calibration(self, native_hw: tuple[int, int]) -> FloorCalibration:
        """The map from pixels to metres; raises GeometryError where it is degenerate."""
        if self.points is not None:
            return from_points(np.array([p.px for p in self.points]), np.array([p.m for p in self.points]))
        if self.camera is not None:
            (fx, fy), (cx, cy) = self.camera.focal_px, self.camera.principal_px
            return from_camera(
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]),
                rotation_from_quaternion(np.array(self.camera.rotation_wxyz)),
                np.array(self.camera.translation_m),
                np.array([*self.camera.distortion, 0.0][:5]),
            )
        bottom_centre = np.array([native_hw[1] / 2, native_hw[0]], np.float64)
        return from_matrix(np.array(self.homography, np.float64), bottom_centre)


class Camera(Section):
    """One camera, live or recorded."""

    id: Identifier
    uri: Annotated[str, AfterValidator(_supported_address)] = Field(
        min_length=1, description="video file, image folder, rtsp://, http(s):// or HLS address"
    )
    recorded_at: AwareDatetime | None = Field(
        default=None, description="when the recording begins, with UTC offset; needed for recorded runs"
    )
    analysis_fps: float = Field(default=10.0, gt=0, le=120, description="frames analysed per second of video")
    image_fps: float = Field(default=30.0, gt=0, le=240, description="frames per second of an image folder")
    floor: Floor | None = Field(default=None, description="calibration; without it the camera has no floor positions")
    segmentation: bool = Field(default=False, description="cut people out of key frames with SAM")
    still_figures: list[PictureBox] = Field(
        default=[],
        max_length=200,
        description="x1, y1, x2, y2 in pixels of mannequins, posters, mirrors: a detection that fits is not followed; "
        "`retail-ray figures` finds them",
    )
    watch_view: bool = Field(
        default=True, description="alert when the camera has moved or is blocked; keeps described corners, no picture"
    )

    @property
    def recorded_at_us(self) -> int | None:
        return None if self.recorded_at is None else to_us(self.recorded_at)

    @property
    def shown_uri(self) -> str:
        """The address without credentials, fit for logs."""
        return mask_credentials(self.uri)


class Line(Section):
    """A counting line of one camera; people count as in when they pass towards the inside point."""

    id: Identifier
    camera: Identifier
    px: tuple[Point, Point] | None = Field(default=None, description="both ends in native pixels of the camera")
    inside_px: Point | None = Field(default=None, description="any pixel on the inside of the line")
    m: tuple[Point, Point] | None = Field(default=None, description="both ends on the floor in metres")
    inside_m: Point | None = Field(default=None, description="any floor point on the inside of the line")
    dead_band: float | None = Field(default=None, gt=0, description="half width; default 10 px or 0.3 m")
    min_inside_s: float = Field(default=2.0, ge=0, description="turning back sooner is not an entry, seconds")

    @model_validator(mode="after")
    def _one_frame(self) -> Line:
        in_px, in_m = (self.px, self.inside_px), (self.m, self.inside_m)
        if sorted([in_px.count(None), in_m.count(None)]) != [0, 2]:
            raise ValueError("give either px with inside_px, or m with inside_m")
        ends, inside = in_px if None not in in_px else in_m
        (x0, y0), (x1, y1) = ends  # type: ignore[misc]
        if (x0, y0) == (x1, y1):
            raise ValueError("a line needs two different ends")
        xi, yi = inside  # type: ignore[misc]
        if (x1 - x0) * (yi - y0) == (y1 - y0) * (xi - x0):
            raise ValueError("the inside point lies on the line")
        return self

    @property
    def on_floor(self) -> bool:
        return self.m is not None


class Zone(Section):
    """An area whose visits are measured: on the floor (all calibrated cameras) or on one camera's picture."""

    id: Identifier
    name: str | None = Field(default=None, description="shown on the page; default the id")
    m: list[Point] | None = Field(default=None, description="corners on the floor in metres, in order")
    camera: Identifier | None = Field(default=None, description="the camera that px refers to")
    px: list[Point] | None = Field(default=None, description="corners in native pixels, in order")
    min_dwell_s: float = Field(
        default=5.0, ge=0, description="shorter stays are not visits, seconds; 0 or 1 suits a zone of kind outside"
    )
    kind: Literal["customer", "staff", "outside"] = Field(
        default="customer",
        description="staff: only staff stays here long; long stays speak for being staff. outside: in front of a door; "
        "who is there passes by, and is no part of visits and dwell",
    )

    @model_validator(mode="after")
    def _one_frame(self) -> Zone:
        if (self.m is None) == (self.px is None) or (self.px is None) != (self.camera is None):
            raise ValueError("give either m, or camera with px")
        check_polygon(np.array(self.m or self.px, np.float64), f"zone '{self.id}'")
        return self


class QueueLane(Section):
    """A checkout lane: where people wait, ordered from tail to head, and where they are served."""

    id: Identifier
    lane_m: list[Point] = Field(min_length=2, description="way of the queue on the floor in metres, tail to head")
    width_m: float = Field(default=1.2, gt=0, le=10, description="width of the queue's strip along lane_m, metres")
    service_m: list[Point] = Field(min_length=3, description="corners of the service area in metres")
    cashier_m: list[Point] | None = Field(
        default=None, min_length=3, description="corners of the place behind the counter, metres; who is there is staff"
    )
    abandoned_after_s: float = Field(
        default=20.0, ge=0, le=3600, description="who leaves after a shorter wait has not given up, but stopped by"
    )

    @model_validator(mode="after")
    def _simple(self) -> QueueLane:
        if any(start == end for start, end in pairwise(self.lane_m)):
            raise ValueError("lane_m names one point twice in a row")
        check_polygon(np.array(self.service_m, np.float64), f"queue '{self.id}' service area")
        if self.cashier_m is not None:
            check_polygon(np.array(self.cashier_m, np.float64), f"queue '{self.id}' cashier's place")
        return self


class TrackerSettings(Section):
    """BoxMOT tracker by name; options go to it as they are."""

    still_figure_s: float = Field(
        default=600.0,
        ge=0,
        description="a box that stays the same for so long, in seconds, is a mannequin or a poster and is no longer "
        "followed; 0: never",
    )

    name: str = Field(default="botsort", description="botsort, bytetrack, ocsort, boosttrack, …")
    options: dict[str, float | int | bool | str] = Field(
        default={},
        description="the tracker's own options, and `buffer_s`: how long a tracklet waits for its person, in seconds; "
        "0.3 where an embedder lets the gallery join tracklets, else 2",
    )


class Staff(Section):
    """What tells staff from visitors, beside staff zones, checkouts, long presence and repeat crossings."""

    uniforms: list[str] = Field(
        default=[],
        description="pictures of the uniform (one person, cut out), or folders of them; relative to this file; "
        "described anew by each run and never stored",
    )


class Identity(Section):
    """Association of tracklets to people, within and across cameras."""

    false_merge_budget: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        description="share of links that may join two people; lower: fewer wrong, more people",
    )
    tick_s: float = Field(default=0.5, gt=0, le=5, description="event time between decisions, seconds")
    revise_s: float = Field(default=5.0, gt=0, le=600, description="event time between corrections, seconds")
    memory_s: float = Field(
        default=120.0, ge=10, le=3600, description="how long ended tracklets are compared in full, seconds"
    )
    staff: Staff = Staff()


class Visits(Section):
    """When a person's visit is over, and which sights of one zone are one stay."""

    visit_gap_s: float = Field(default=900.0, gt=0, description="a longer absence ends a visit, seconds")
    bridge_gap_s: float = Field(default=10.0, ge=0, description="longest unseen part of one stay in a zone, seconds")


class Runtime(Section):
    """How the work is cut and spread. Epochs and chunks decide which crops are embedded together; no other key here
    changes a result."""

    epoch_s: int = Field(default=60, ge=1, le=3600, description="event time that is committed as a whole, recorded")
    live_epoch_s: int = Field(default=10, ge=1, le=600, description="the same for live runs")
    chunk_frames: int = Field(default=16, ge=1, le=64, description="frames per inference request, recorded")
    live_latency_s: float = Field(default=0.5, gt=0, le=10, description="longest wait for a chunk to fill, live")
    allowed_lateness_s: float = Field(default=3.0, ge=0, le=60, description="how long live waits for a camera")
    call_timeout_s: float = Field(default=120.0, gt=0, description="a remote call without answer is an error after")
    camera_cpus: float = Field(default=0.1, ge=0, description="logical CPUs that Ray reserves per camera")
    decoder_threads: int = Field(default=1, ge=1, le=16, description="threads per video decoder")


class Site(Section):
    """One store: its cameras, geometry, models and lake."""

    site: Identifier = Field(description="id of the store")
    timezone: Annotated[str, AfterValidator(_known_timezone)] = Field(description="IANA name, e.g. Europe/Rome")
    day_start: LocalTime = Field(
        default=time(0, 0), description='local time at which a business day begins, in quotes: "12:00"'
    )
    lake: Annotated[str, AfterValidator(lake_folder)] = Field(
        default="lake", description="folder of the Parquet lake; relative to this file"
    )
    simulated: bool = Field(
        default=False, description="all cameras are clips of `retail-ray simulate video`; lets the demo's weights load"
    )
    cameras: list[Camera] = Field(min_length=1)
    lines: list[Line] = Field(default=[])
    zones: list[Zone] = Field(default=[])
    queues: list[QueueLane] = Field(default=[])
    heat: Heat = Heat()
    models: Models = Models()
    tracker: TrackerSettings = TrackerSettings()
    identity: Identity = Identity()
    visits: Visits = Visits()
    opening_hours: OpeningWeek | None = Field(
        default=None, description="when the shop is open; resets the count of people inside and rules some alerts"
    )
    occupancy: Occupancy = Occupancy()
    alerts: list[AlertRule] = Field(default=[])
    alert_sinks: list[AlertSink] = Field(default=[])
    runtime: Runtime = Runtime()
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _references(self) -> Site:
        require_references(self)
        return self

    def view_version(self, camera_id: str) -> str:
        """12 hex digits over all that is measured in this camera's pixels: with another, its view is learnt anew."""
        lines = [line.model_dump(mode="json") for line in self.lines if line.camera == camera_id and line.px]
        zones = [zone.model_dump(mode="json") for zone in self.zones if zone.camera == camera_id]
        floor = self.camera(camera_id).floor
        return _digest([None if floor is None else floor.model_dump(mode="json"), lines, zones])

    def camera(self, camera_id: str) -> Camera:
        return next(camera for camera in self.cameras if camera.id == camera_id)

    @property
    def business_day(self) -> BusinessDay:
        return BusinessDay(self.timezone, self.day_start)

    @property
    def config_version(self) -> str:
        """12 hex digits over everything that can change a result; not lake, addresses or resources."""
        return _digest(self.settings())

    def settings(self) -> dict[str, Any]:
        """JSON-ready settings that can change a result."""
        resources = {"num_gpus", "num_cpus", "replicas", "threads"}
        models = dict.fromkeys(("detector", "embedder", "segmenter"), resources)
        unused = {"lake": True, "simulated": True, "alert_sinks": True, "retention": True}
        content = self.model_dump(mode="json", exclude={**unused, "cameras": {"__all__": {"uri"}}, "models": models})
        kept = ("epoch_s", "live_epoch_s", "chunk_frames")
        content["runtime"] = {name: content["runtime"][name] for name in kept}
        return content

    def run_id(self) -> str:
        """The same recorded input and settings give the same run, so that a second start resumes it."""
        content = {"config": self.config_version, "uris": [c.shown_uri for c in self.cameras]}
        return f"r{_digest(content)}"


def live_run_id(site_id: str, started: datetime) -> str:
    """A live run is named by its site and start; starting again is another run."""
    return f"live{started:%Y%m%dT%H%M%S%f}x{_digest(site_id)[:6]}"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
