"""From the configuration to gallery and operators of one run."""

from __future__ import annotations

from collections.abc import Mapping

from retail_ray.analytics.lines import LineSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.site import SiteOperators
from retail_ray.analytics.zones import ZoneSettings
from retail_ray.config import Line, Site, Zone
from retail_ray.core.event_time import CameraView
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from retail_ray.runtime.hosts import GalleryHost, SiteHost
from retail_ray.runtime.naming import GALLERY, SITE
from retail_ray.runtime.plan import RunPlan


def build_gallery_host(plan: RunPlan, starts_us: Mapping[str, int]) -> GalleryHost:
    """starts_us: cameras that take part, with the event time at which each begins."""
    settings = GallerySettings(tick_s=plan.site.identity.tick_s, accept=plan.site.identity.min_similarity)
    gallery = Gallery(settings, plan.site.site, plan.run_id, _views(plan.site, starts_us))
    return GalleryHost(gallery, plan.stage(GALLERY), plan.site.business_day)


def build_site_host(plan: RunPlan, starts_us: Mapping[str, int]) -> SiteHost:
    """Lines and zones of cameras that do not take part are left out."""
    site = plan.site
    operators = SiteOperators(
        lines=[line_settings(line) for line in site.lines if line.camera in starts_us],
        zones=[zone_settings(zone) for zone in site.zones if zone.camera is None or zone.camera in starts_us],
        occupancy=OccupancySettings(site.business_day),
        cameras=_views(site, starts_us),
    )
    return SiteHost(operators, plan.stage(SITE))


def _views(site: Site, starts_us: Mapping[str, int]) -> list[CameraView]:
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
