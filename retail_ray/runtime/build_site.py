"""From the configuration to gallery and operators of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.alerts import AlertRule
from retail_ray.analytics.floor_operators import FloorSettings
from retail_ray.analytics.heat import HeatSettings
from retail_ray.analytics.journeys import JourneyBook, JourneySettings
from retail_ray.analytics.lines import LineSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.queue_lanes import LaneSettings
from retail_ray.analytics.site import AlertSettings, SiteOperators
from retail_ray.analytics.zones import ZoneSettings
from retail_ray.config import Line, QueueLane, Site, Zone
from retail_ray.config_alerts import AlertRule as AlertRuleSection
from retail_ray.core.event_time import CameraView
from retail_ray.identity.entrances import Entrance
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from retail_ray.lake.going_on import counted_today, open_alerts
from retail_ray.runtime.hosts import GalleryHost, SiteHost
from retail_ray.runtime.journeys import JourneyHost
from retail_ray.runtime.naming import COORDINATOR, GALLERY, SITE
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.uniforms import NO_UNIFORMS, UniformBook


def build_gallery_host(
    plan: RunPlan, starts_us: Mapping[str, int], uniforms: NDArray[np.float32] = NO_UNIFORMS
) -> GalleryHost:
    """starts_us: cameras that take part, with the event time at which each begins. uniforms: (U, D) those enrolled."""
    site, identity = plan.site, plan.site.identity
    settings = GallerySettings(
        tick_s=identity.tick_s,
        revise_s=identity.revise_s,
        memory_s=identity.memory_s,
        false_merge_budget=identity.false_merge_budget,
    )
    book = UniformBook(uniforms)
    gallery = Gallery(
        settings,
        site.site,
        plan.run_id,
        camera_views(site, starts_us),
        entrances_of(site),
        on_session_end=book.judge,
    )
    return GalleryHost(gallery, book, plan.stage(GALLERY), site.business_day)


def build_site_host(plan: RunPlan, starts_us: Mapping[str, int]) -> SiteHost:
    """A live run goes on counting where the runs before it stopped; a recorded one depends on its videos alone."""
    operators = build_operators(plan.site, starts_us, goes_on=plan.lake if plan.live else None)
    return SiteHost(operators, plan.stage(SITE))


def build_operators(site: Site, starts_us: Mapping[str, int], goes_on: Path | None = None) -> SiteOperators:
    """What counts, live and in a recount. Lines and zones of cameras that do not take part are left out.

    goes_on: the lake whose counts of the business day so far, and open alerts, are taken over.
    """
    return SiteOperators(
        lines=[line_settings(line) for line in site.lines if line.camera in starts_us],
        zones=[zone_settings(zone) for zone in site.zones if zone.camera is None or zone.camera in starts_us],
        occupancy=occupancy_settings(site, starts_us, goes_on),
        cameras=camera_views(site, starts_us),
        alerts=alert_settings(site, starts_us, goes_on),
        floor=floor_settings(site),
    )


def occupancy_settings(site: Site, starts_us: Mapping[str, int], goes_on: Path | None) -> OccupancySettings:
    wanted, day = site.occupancy, site.business_day
    return OccupancySettings(
        day=day,
        inside_cameras=tuple(camera_id for camera_id in wanted.inside_cameras if camera_id in starts_us),
        hours=None if site.opening_hours is None else site.opening_hours.hours(site.timezone),
        reset_after_close_s=wanted.reset_after_close_s,
        start=None if goes_on is None else counted_today(goes_on, site.site, day, min(starts_us.values())),
    )


def alert_settings(site: Site, starts_us: Mapping[str, int], goes_on: Path | None) -> AlertSettings:
    left_open = [] if goes_on is None else open_alerts(goes_on, site.site, site.business_day, min(starts_us.values()))
    return AlertSettings(
        rules=tuple(alert_rule(rule) for rule in site.alerts),
        hours=None if site.opening_hours is None else site.opening_hours.hours(site.timezone),
        analysis_fps={camera.id: camera.analysis_fps for camera in site.cameras},
        open_alerts=tuple(left_open),
    )


def alert_rule(rule: AlertRuleSection) -> AlertRule:
    """The rule of the configuration as the engine takes it."""
    same = ("metric", "threshold", "for_s", "cooldown_s", "severity", "per_s", "when", "dedup_key", "message")
    return AlertRule(
        rule_id=rule.id,
        operator=rule.op,
        clear=rule.threshold if rule.clear is None else rule.clear,
        subjects=tuple(rule.subjects),
        **{name: getattr(rule, name) for name in same},
    )


def entrances_of(site: Site) -> list[Entrance]:
    """Where people come in: the counting lines that can be placed on the floor."""
    return [entrance for line in site.lines if (entrance := _entrance(site, line)) is not None]


def _entrance(site: Site, line: Line) -> Entrance | None:
    """The counting line on the floor; None where its camera is not calibrated."""
    if line.m is not None and line.inside_m is not None:
        return Entrance(*line.m, line.inside_m)
    floor = site.camera(line.camera).floor
    if floor is None or line.px is None or line.inside_px is None:
        return None
    # Only the side of the horizon depends on the picture's size, and these points lie on the floor.
    points = floor.calibration((1080, 1920)).to_floor(np.array([*line.px, line.inside_px]))
    if not np.isfinite(points).all():
        return None
    start, end, inside = ((float(x), float(y)) for x, y in points)
    return Entrance(start, end, inside)


def build_journey_host(plan: RunPlan) -> JourneyHost:
    """What the coordinator derives of every epoch before it is published."""
    return JourneyHost(build_journey_book(plan.site), plan.stage(COORDINATOR))


def build_journey_book(site: Site) -> JourneyBook:
    visits = site.visits
    outside = frozenset(zone.id for zone in site.zones if zone.kind == "outside")
    return JourneyBook(JourneySettings(site.business_day, visits.visit_gap_s, visits.bridge_gap_s, outside))


def camera_views(site: Site, starts_us: Mapping[str, int]) -> list[CameraView]:
    """The cameras that take part, as gallery and operators know them."""
    return [
        CameraView(camera.id, camera.floor is not None, starts_us[camera.id])
        for camera in site.cameras
        if camera.id in starts_us
    ]


def line_settings(line: Line) -> LineSettings:
    ends, inside = (line.m, line.inside_m) if line.on_floor else (line.px, line.inside_px)
    assert ends is not None
    assert inside is not None
    return LineSettings(
        line_id=line.id,
        camera_id=line.camera,
        start=ends[0],
        end=ends[1],
        inside_point=inside,
        space="floor" if line.on_floor else "px",
        dead_band=line.dead_band,
        min_inside_s=line.min_inside_s,
    )


def zone_settings(zone: Zone) -> ZoneSettings:
    corners = zone.m or zone.px
    assert corners is not None
    return ZoneSettings(zone.id, tuple(corners), zone.camera, min_dwell_s=zone.min_dwell_s)


def floor_settings(site: Site) -> FloorSettings:
    """Queues, and heat where any camera knows the floor."""
    calibrated = any(camera.floor is not None for camera in site.cameras)
    return FloorSettings(
        lanes=tuple(lane_settings(lane) for lane in site.queues),
        heat=HeatSettings(site.timezone, site.heat.cell_m) if site.heat.enabled and calibrated else None,
    )


def lane_settings(lane: QueueLane) -> LaneSettings:
    return LaneSettings(
        lane.id,
        tuple(lane.lane_m),
        tuple(lane.service_m),
        None if lane.cashier_m is None else tuple(lane.cashier_m),
        half_width_m=lane.width_m / 2,
        abandoned_after_s=lane.abandoned_after_s,
    )
