"""From questions to bodies: reads the lake and the running site, knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from retail_ray.api import models
from retail_ray.api.params import (
    FootfallQuery,
    IntervalQuery,
    JourneysQuery,
    PageQuery,
    TracksQuery,
    interval_us,
    read_cursor,
)
from retail_ray.api.params import write_cursor as cursor_of
from retail_ray.api.problems import ProblemError, unknown
from retail_ray.api.site import LiveCamera, LiveSnapshot, LiveState, Named, SiteInfo
from retail_ray.lake import queries
from retail_ray.lake.dwell import ZoneSummary, zone_summary
from retail_ray.lake.headcount import headcount
from retail_ray.lake.journeys import FoundJourney, JourneyFilter, journey_summary, journeys
from retail_ray.lake.queries import Bucket, Crossings, Track, Visit
from retail_ray.lake.questions import CameraCoverage, Coverage, Question, coverage, days_on_record
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import unique_visitors


class Answers:
    """Answers of one site. The lake is opened at the first question and kept; threads may ask at the same time."""

    def __init__(self, lake_root: Path, site: SiteInfo, live: LiveState | None, now_us: Callable[[], int]) -> None:
        self._root = Path(lake_root)
        self._site = site
        self._live = live
        self._now_us = now_us
        self._lock = Lock()
        self._lake: Lake | None = None

    def ready(self) -> models.HealthBody:
        days_on_record(self._open(), self._site.id)
        return models.HealthBody(status="ready")

    def close(self) -> None:
        with self._lock:
            if self._lake is not None:
                self._lake.close()
            self._lake = None

    def lanes(self) -> tuple[Named, ...]:
        """The checkout lanes of the site."""
        return self._site.lanes

    def waiting(self) -> dict[str, int] | None:
        """People who wait in each lane now; None where nothing runs."""
        live = self._snapshot()
        return None if live is None else live.queues

    def site(self) -> models.SiteAnswer:
        site, days = self._site, days_on_record(self._open(), self._site.id)
        return models.SiteAnswer(
            id=site.id,
            name=site.name,
            timezone=site.timezone,
            day_start=site.day_start.isoformat(),
            today=site.day.date_of(self._now_us()),
            default_day=self._default_day(days),
            days_on_record=days,
            cameras=_named(site.cameras),
            lines=_named(site.lines),
            zones=_named(site.zones),
        )

    def stats(self, query: IntervalQuery) -> models.StatsAnswer:
        question = self._question(query)
        found, live = queries.stats(self._open(), question), self._snapshot()
        inside = found.occupancy
        return models.StatsAnswer(
            **self._about(found.coverage),
            **asdict(found.crossings),
            tracklets=found.tracklets,
            identities=found.identities,
            unidentified_tracklets=found.unidentified_tracklets,
            zone_visits=found.zone_visits,
            occupancy=None
            if inside is None
            else models.OccupancyBody(
                time=self._local(inside.minute_us), entries=inside.entries, exits=inside.exits, inside=inside.inside
            ),
            live=None
            if live is None
            else models.LiveBody(
                time=self._local(live.time_us),
                people_now=live.people_now,
                session_id=live.session_id,
                set_aside=models.SetAsideBody(**asdict(live.set_aside)),
            ),
        )

    def footfall(self, query: FootfallQuery) -> models.FootfallAnswer:
        line = None if query.line is None else _known("line", query.line, self._site.lines)
        question = self._question(query)
        found = queries.footfall(self._open(), question, query.by, None if line is None else line.id)
        return models.FootfallAnswer(
            **self._about(found.coverage),
            by=query.by,
            total=_crossings(found.total),
            buckets=[self._bucket(bucket) for bucket in found.buckets],
            lines=[
                models.LineBody(
                    line_id=row.line_id, **asdict(row.total), buckets=[self._bucket(bucket) for bucket in row.buckets]
                )
                for row in found.lines
            ],
        )

    def zones(self, query: IntervalQuery) -> models.ZonesAnswer:
        question, lake = self._question(query), self._open()
        summaries = zone_summary(lake, question, tuple(zone.id for zone in self._site.zones))
        return models.ZonesAnswer(
            **self._about(coverage(lake, question)),
            zones=[_zone(*pair) for pair in zip(self._site.zones, summaries, strict=True)],
        )

    def visits(self, zone_id: str, query: PageQuery) -> models.VisitsAnswer:
        zone = _known("zone", zone_id, self._site.zones)
        question, lake = self._question(query), self._open()
        rows, following = queries.zone_visits(lake, question, zone.id, query.limit, read_cursor(query.cursor))
        return models.VisitsAnswer(
            **self._about(coverage(lake, question)),
            zone=_zone(zone, zone_summary(lake, question, (zone.id,))[0]),
            visits=[self._visit(row) for row in rows],
            next_cursor=cursor_of(following),
        )

    def tracks(self, query: TracksQuery) -> models.TracksAnswer:
        camera = None if query.camera is None else _known("camera", query.camera, self._site.cameras)
        question, lake = self._question(query, None if camera is None else camera.id), self._open()
        rows, following = queries.tracks(lake, question, query.limit, read_cursor(query.cursor))
        return models.TracksAnswer(
            **self._about(coverage(lake, question)),
            tracks=[self._track(row) for row in rows],
            next_cursor=cursor_of(following),
        )

    def journeys(self, query: JourneysQuery) -> models.JourneysAnswer:
        zone = None if query.zone is None else _known("zone", query.zone, self._site.zones).id
        wanted = JourneyFilter(zone, query.min_duration_s, query.censored)
        question, lake = self._question(query), self._open()
        rows, following = journeys(lake, question, query.limit, read_cursor(query.cursor), wanted)
        summary = journey_summary(lake, question, wanted)
        return models.JourneysAnswer(
            **self._about(coverage(lake, question)),
            journeys_total=summary.journeys,
            censored=summary.censored,
            median_duration_s=summary.median_duration_s,
            whole_median_duration_s=summary.whole_median_duration_s,
            journeys=[self._journey(row) for row in rows],
            next_cursor=cursor_of(following),
        )

    def visitors(self, query: IntervalQuery) -> models.VisitorsAnswer:
        question, lake = self._question(query), self._open()
        days = [models.VisitorsBody(**asdict(found)) for found in unique_visitors(lake, question)]
        counted = models.HeadcountBody(**asdict(headcount(lake, question)), staff_from=STAFF_FROM)
        return models.VisitorsAnswer(**self._about(coverage(lake, question)), days=days, headcount=counted)

    def cameras(self, query: IntervalQuery) -> models.CamerasAnswer:
        found, live = coverage(self._open(), self._question(query)), self._snapshot()
        running = {camera.camera_id: camera for camera in live.cameras} if live is not None else {}
        return models.CamerasAnswer(
            **self._about(found),
            cameras=[self._camera(camera, running.get(camera.camera_id)) for camera in found.cameras],
        )

    def reset_session(self) -> models.ResetAnswer:
        now_us = self._now_us()
        session_id = None if self._live is None else self._live.reset_session(now_us)
        if session_id is None:
            raise ProblemError(
                409,
                "No site is running",
                f"Site '{self._site.id}' is not running, so there is no identity session to end. Recorded days begin "
                f"their own session at {self._site.day_start.isoformat('minutes')} {self._site.timezone}.",
            )
        return models.ResetAnswer(session_id=session_id, reset_time=self._local(now_us), deleted_rows=0)

    def lake(self) -> Lake:
        """The opened lake."""
        return self._open()

    def question(self, query: IntervalQuery) -> Question:
        """The question that a query's interval asks."""
        return self._question(query)

    def about(self, found: Coverage) -> dict[str, Any]:
        """Interval and coverage, as every answer has them."""
        return self._about(found)

    def local(self, time_us: int) -> datetime:
        """Event time as the shop's clocks show it."""
        return self._local(time_us)

    def _open(self) -> Lake:
        with self._lock:
            if self._lake is None:
                self._lake = open_lake(self._root)
            return self._lake

    def _snapshot(self) -> LiveSnapshot | None:
        return None if self._live is None else self._live.snapshot()

    def _default_day(self, days: list[date]) -> date:
        today = self._site.day.date_of(self._now_us())
        live = self._snapshot()
        if live is not None:
            return self._site.day.date_of(live.time_us)
        return days[-1] if days else today

    def _default_interval(self) -> tuple[int, int]:
        day = self._default_day(days_on_record(self._open(), self._site.id))
        start, end, now = self._site.day.start_us(day), self._site.day.end_us(day), self._now_us()
        return start, min(end, now) if start < now else end

    def _question(self, query: IntervalQuery, camera_id: str | None = None) -> Question:
        given = query.from_ is not None or query.to is not None
        start, end = interval_us(query, self._site, (0, 1) if given else self._default_interval())
        cameras = tuple(camera.id for camera in self._site.cameras)
        return Question(self._site.id, self._site.day, start, end, cameras, camera_id)

    def _local(self, time_us: int) -> datetime:
        return self._site.local(time_us)

    def _about(self, found: Coverage) -> dict[str, Any]:
        start, end = self._local(found.start_us), self._local(found.end_us)
        body = models.CoverageBody(
            from_=start,
            to=end,
            expected_frames=found.expected_frames,
            processed_frames=found.processed_frames,
            dropped_frames=found.dropped_frames,
            share=found.share,
            asked_camera_minutes=found.asked_camera_minutes,
            recorded_camera_minutes=found.recorded_camera_minutes,
            interval_share=found.interval_share,
        )
        return {"from_": start, "to": end, "coverage": body}

    def _bucket(self, bucket: Bucket) -> models.BucketBody:
        start, end = self._local(bucket.start_us), self._local(bucket.end_us)
        return models.BucketBody(from_=start, to=end, interval_share=bucket.interval_share, **asdict(bucket.crossings))

    def _visit(self, visit: Visit) -> models.VisitBody:
        return models.VisitBody(
            enter_time=self._local(visit.enter_us),
            exit_time=self._local(visit.exit_us),
            dwell_s=visit.dwell_s,
            observed_s=visit.observed_s,
            bridged_s=visit.bridged_s,
            censored=visit.censored,
            **_tracklet(visit),
        )

    def _journey(self, row: FoundJourney) -> models.JourneyBody:
        return models.JourneyBody(
            journey_id=row.journey_id,
            run_id=row.run_id,
            identity=_identity(row.session_id, row.identity_id),
            enter_time=self._local(row.enter_us),
            exit_time=self._local(row.exit_us),
            duration_s=row.duration_s,
            censored=row.censored,
            p_same=row.p_same,
            converted=row.converted,
            conversion_source=row.conversion_source,
            group_id=row.group_id,
            staff_probability=row.staff_probability,
            stays=[
                models.StayBody(
                    zone_id=stay.zone_id,
                    enter_time=self._local(stay.enter_us),
                    exit_time=self._local(stay.exit_us),
                    dwell_s=stay.dwell_s,
                )
                for stay in row.stays
            ],
        )

    def _track(self, track: Track) -> models.TrackBody:
        return models.TrackBody(
            first_time=self._local(track.first_us),
            last_time=self._local(track.last_us),
            frames=track.frames,
            mean_confidence=track.mean_confidence,
            path_m=track.path_m,
            **_tracklet(track),
        )

    def _camera(self, camera: CameraCoverage, live: LiveCamera | None) -> models.CameraBody:
        names = {known.id: known.name for known in self._site.cameras}
        return models.CameraBody(
            camera_id=camera.camera_id,
            name=names.get(camera.camera_id, camera.camera_id),
            expected_frames=camera.expected_frames,
            processed_frames=camera.processed_frames,
            dropped_frames=camera.dropped_frames,
            share=camera.share,
            asked_minutes=camera.asked_minutes,
            recorded_minutes=camera.recorded_minutes,
            interval_share=camera.interval_share,
            reasons=list(camera.reasons),
            last_minute=None if camera.last_minute_us is None else self._local(camera.last_minute_us),
            live=None if live is None else self._live_camera(live),
        )

    def _live_camera(self, live: LiveCamera) -> models.LiveCameraBody:
        return models.LiveCameraBody(
            status=live.status,
            last_frame_time=None if live.last_frame_us is None else self._local(live.last_frame_us),
            processed_frames=live.processed_frames,
            dropped_frames=live.dropped_frames,
            detail=live.detail,
        )


def _known(kind: str, name: str, known: tuple[Named, ...]) -> Named:
    for candidate in known:
        if candidate.id == name:
            return candidate
    raise unknown(kind, name, [candidate.id for candidate in known])


def _named(things: tuple[Named, ...]) -> list[models.NamedBody]:
    return [models.NamedBody(id=thing.id, name=thing.name) for thing in things]


def _crossings(crossings: Crossings) -> models.CrossingsBody:
    return models.CrossingsBody(**asdict(crossings))


def _zone(zone: Named, summary: ZoneSummary) -> models.ZoneBody:
    return models.ZoneBody(name=zone.name, **asdict(summary))


def _tracklet(row: Visit | Track) -> dict[str, Any]:
    identity = _identity(row.session_id, row.identity_id)
    return {"camera_id": row.camera_id, "run_id": row.run_id, "local_id": row.local_id, "identity": identity}


def _identity(session_id: str | None, identity_id: int | None) -> models.IdentityBody | None:
    if session_id is None or identity_id is None:
        return None
    return models.IdentityBody(session_id=session_id, identity_id=identity_id)
