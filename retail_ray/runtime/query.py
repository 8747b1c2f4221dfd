"""The query deployment: the HTTP API over one site's lake, with the running site's live state where there is one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from retail_ray.api.app import create_app
from retail_ray.api.site import LiveCamera, LiveSnapshot, Named, SiteInfo
from retail_ray.config import Site
from retail_ray.core.errors import StuckError
from retail_ray.runtime.naming import NAMESPACE, gallery_name, site_name
from retail_ray.runtime.pace import wall_clock_us

LIVE_TIMEOUT_S = 2.0
# The page of every visitor asks each few seconds; one answer serves them all for this long.
SNAPSHOT_AGE_S = 0.5


class RayLiveState:
    """Reads the site and gallery actors of a running job, if one runs."""

    def __init__(self, site_id: str) -> None:
        self._site_id = site_id
        self._snapshot: tuple[float, LiveSnapshot | None] = (-1e9, None)

    def snapshot(self) -> LiveSnapshot | None:
        age, known = time.monotonic() - self._snapshot[0], self._snapshot[1]
        if age < SNAPSHOT_AGE_S:
            return known
        fresh = self._ask()
        self._snapshot = (time.monotonic(), fresh)
        return fresh

    def reset_session(self, now_us: int) -> str | None:
        """Start a new identity session; its id, or None when no job runs this site."""
        gallery = _actor(gallery_name(self._site_id))
        if gallery is None:
            return None
        try:
            session_id: str | None = ray.get(gallery.reset_session.remote(now_us), timeout=LIVE_TIMEOUT_S)
        except (RayError, TimeoutError) as error:
            raise StuckError(f"site '{self._site_id}' runs, but its gallery does not answer; ask again") from error
        return session_id

    def _ask(self) -> LiveSnapshot | None:
        site, gallery = _actor(site_name(self._site_id)), _actor(gallery_name(self._site_id))
        if site is None or gallery is None:
            return None
        try:
            (live, statuses), people = ray.get([site.live.remote(), gallery.live.remote()], timeout=LIVE_TIMEOUT_S)
        except (RayError, TimeoutError):
            return None
        contradictions = {one.camera_id: one.contradiction for one in people.agreement}
        return LiveSnapshot(
            time_us=live.worked_until_us if live.worked_until_us > 0 else wall_clock_us(),
            people_now=people.present,
            session_id=people.session_id or "",
            cameras=tuple(
                LiveCamera(
                    s.camera_id,
                    s.state,
                    s.last_frame_us,
                    s.frames,
                    s.dropped,
                    s.detail or s.view or contradictions.get(s.camera_id, ""),
                )
                for s in statuses
            ),
            set_aside=people.counts,
            queues=live.queues,
        )


class QueryService:
    """Built by Serve in each replica."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._live = RayLiveState(site.site)

    def __serve_build_asgi_app__(self) -> Any:
        return create_app(Path(self._site.lake), site_info(self._site), self._live)


def site_info(site: Site) -> SiteInfo:
    """What the API needs to know of the configuration."""
    return SiteInfo(
        id=site.site,
        name=site.site,
        timezone=site.timezone,
        day_start=site.day_start,
        cameras=tuple(Named(camera.id, camera.id) for camera in site.cameras),
        lines=tuple(Named(line.id, line.id) for line in site.lines),
        zones=tuple(Named(zone.id, zone.name or zone.id) for zone in site.zones),
        lanes=tuple(Named(lane.id, lane.id) for lane in site.queues),
    )


def _actor(name: str) -> Any | None:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None
