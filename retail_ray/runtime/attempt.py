"""One attempt at a run: go back to the last commit, drive epochs until the video ends, commit each as a whole."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field, replace

from retail_ray.core.errors import LakeError, StuckError
from retail_ray.core.records import CoverageRow
from retail_ray.lake.codecs import SiteRow
from retail_ray.lake.epochs import Commit, FileEntry, drop_states, load_states, publish, recover
from retail_ray.lake.runs import CameraSpan, RunRecord, begin_run, exclusive, finish_run, read_run, supersede
from retail_ray.runtime.build_camera import CameraFacts
from retail_ray.runtime.build_site import build_journey_host
from retail_ray.runtime.camera import CameraStatus, EpochReport
from retail_ray.runtime.coordinator import CameraProgress, Coordinator
from retail_ray.runtime.crew import Crew
from retail_ray.runtime.hosts import EpochClose
from retail_ray.runtime.journeys import assessed_people
from retail_ray.runtime.live_runs import close_crashed_runs
from retail_ray.runtime.naming import COORDINATOR
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.pace import wall_clock_us
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.sinks import AlertSinks, SinkStatus

STATUS_EVERY_S = 1.0


@dataclass(slots=True)
class Outcome:
    """How the attempt ended; the numbers themselves are in the lake."""

    run_id: str
    already_complete: bool = False
    cameras: list[CameraStatus] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    spans: tuple[CameraSpan, ...] = ()
    sinks: list[SinkStatus] = field(default_factory=list)


class Attempt:
    """Coordinates a crew. replace: supersede what the lake holds of this input, also of this very run."""

    def __init__(
        self, plan: RunPlan, crew: Crew, options: JobOptions, stop: threading.Event, *, replace: bool = False
    ) -> None:
        self._plan, self._crew, self._options, self._stop, self._replace = plan, crew, options, stop, replace
        self.begun = False
        self._progress: dict[str, tuple[int, float]] = {}
        self._views: dict[str, str] = {}
        self._stage = plan.stage(COORDINATOR)
        self._reports: dict[int, list[FileEntry]] = {}
        self._outcome = Outcome(plan.run_id)
        self._committed: Commit | None = None
        self._holes: list[CoverageRow] = []
        self._journeys = build_journey_host(plan)
        self._sinks = AlertSinks(plan, options.on_notice)

    def run(self) -> Outcome:
        """LakeError when another job works on this site in this lake."""
        with exclusive(self._plan.lake, self._plan.site.site):
            return self._run()

    def _run(self) -> Outcome:
        facts, errors = self._crew.open_cameras()
        for camera_id, error in errors.items():
            self._failed(camera_id, error)
        self._outcome.spans = tuple(CameraSpan(name, f.start_us, f.end_us, f.fingerprint) for name, f in facts.items())
        if not facts:
            return self._outcome
        complete = self._is_complete()
        with self._sinks.at_work():
            if not complete:
                self._work(facts)
        self._outcome.sinks = self._sinks.statuses
        return self._outcome

    def _work(self, facts: dict[str, CameraFacts]) -> None:
        self._drive(self._begin(facts))
        self._assess_people()
        self._finish()
        self._tell_status()

    def _is_complete(self) -> bool:
        """Register the run and go back to its last commit; true when nothing is left to do."""
        plan, lake = self._plan, self._plan.lake
        if plan.live:
            self._holes = close_crashed_runs(lake, plan.site, wall_clock_us())
        record = RunRecord(
            run_id=plan.run_id,
            site_id=plan.site.site,
            config_version=plan.site.config_version,
            command=self._options.command,
            cameras=self._outcome.spans,
            started_us=wall_clock_us(),
        )
        if self._replace and read_run(lake, plan.run_id) is not None:
            supersede(lake, plan.run_id, by=plan.run_id)
        stored = begin_run(lake, record, replace_older=self._replace)
        self.begun = True
        if stored.status == "complete":
            drop_states(lake, plan.run_id)
            self._outcome.already_complete = True
            return True
        self._committed = recover(lake, plan.run_id)
        return False

    def _begin(self, facts: dict[str, CameraFacts]) -> Coordinator:
        states = {}
        if self._committed is not None:
            self._options.on_notice(f"resuming run {self._plan.run_id} after epoch {self._committed.epoch}")
            states = load_states(self._plan.lake, self._committed)
            self._restore_journeys(states)
        first = self._crew.begin(facts, states)
        for status in self._crew.statuses():
            if status.state == "failed":
                self._failed(status.camera_id, status.detail)
        coordinator = Coordinator({name: CameraProgress(epoch) for name, epoch in first.items()})
        oldest = coordinator.oldest_open()
        if oldest is not None:
            self._crew.open_epoch((oldest + 1) * self._plan.epoch_us)
        return coordinator

    def _restore_journeys(self, states: dict[str, bytes]) -> None:
        if COORDINATOR not in states:
            raise LakeError(
                f"{self._plan.lake}: run '{self._plan.run_id}' was begun by an older version of this program, which "
                "derived no journeys: start over with --replace"
            )
        self._journeys.restore(states[COORDINATOR])

    def _drive(self, coordinator: Coordinator) -> None:
        next_status = time.monotonic()
        ends_at = None if self._options.duration_s is None else time.monotonic() + self._options.duration_s
        stopping = False
        while not coordinator.done:
            for name, epoch in coordinator.may_start():
                self._crew.start(name, epoch)
                coordinator.started(name)
            for report in self._crew.finished(STATUS_EVERY_S):
                self._take(report, coordinator)
            while (ready := coordinator.ready()) is not None:
                self._commit(ready, coordinator)
            if time.monotonic() >= next_status:
                self._tell_status()
                self._watch(coordinator)
                next_status = time.monotonic() + STATUS_EVERY_S
            over = self._stop.is_set() or (ends_at is not None and time.monotonic() >= ends_at)
            if over and not stopping:
                stopping = True
                self._crew.stop()

    def _watch(self, coordinator: Coordinator) -> None:
        """A recorded camera that works on an epoch without any new frame hangs, whatever it hangs in."""
        if self._crew.in_turn:
            return
        limit_s = 2 * self._plan.site.runtime.call_timeout_s
        for status in self._outcome.cameras:
            known = self._progress.get(status.camera_id)
            working = coordinator.is_working(status.camera_id)
            if known is None or known[0] != status.frames or not working:
                self._progress[status.camera_id] = (status.frames, time.monotonic())
            elif not self._plan.live and time.monotonic() - known[1] > limit_s:
                raise StuckError(
                    f"camera '{status.camera_id}': no new frame for {limit_s:g} s after frame {status.frames}; "
                    "look at its video's storage and at the detector, or raise runtime.call_timeout_s"
                )

    def _take(self, report: EpochReport, coordinator: Coordinator) -> None:
        self._reports.setdefault(report.epoch, []).extend(report.entries)
        coordinator.finished(report.camera_id, report.epoch, report.next_epoch)
        if report.error is not None:
            self._failed(report.camera_id, report.error)

    def _commit(self, epoch: int, coordinator: Coordinator) -> None:
        """Close the epoch at gallery and site, derive journeys, then publish everybody's files at once."""
        epoch_us = self._plan.epoch_us
        coordinator.committed(epoch)
        following = coordinator.oldest_open()
        close = EpochClose(epoch, (epoch + 1) * epoch_us, None if following is None else (following + 1) * epoch_us)
        entries = [*self._reports.pop(epoch, []), *self._crew.close_epoch(close)]
        entries += self._journeys.close_epoch(epoch, entries)
        if self._committed is None:
            entries += self._first_rows(epoch)
        self._committed = publish(self._plan.lake, self._plan.context, epoch, entries, {"end_us": close.end_us})
        self._sinks.committed(self._committed)

    def _assess_people(self) -> None:
        """Staff and groups show in the whole run only: what they change of its journeys is a last commit, made once."""
        last = self._committed
        if last is None or last.extra.get("assessed"):
            return
        uniforms = self._crew.uniform_log_odds()
        staff, groups = assessed_people(self._plan, int(last.extra["end_us"]), self._outcome.spans, uniforms)
        entries = self._journeys.close_epoch(last.epoch + 1, [], staff, groups)
        extra = {**last.extra, "assessed": True}
        self._committed = publish(self._plan.lake, self._plan.context, last.epoch + 1, entries, extra)

    def _first_rows(self, epoch: int) -> list[FileEntry]:
        """The site's settings, and what a crashed live run before this one left out."""
        site = self._plan.site
        settings = json.dumps(site.settings())
        row = SiteRow(epoch * self._plan.epoch_us, site.site, site.timezone, f"{site.day_start}", settings)
        return [
            *self._stage.write_records("sites", [row], epoch),
            *self._stage.write_records("coverage", self._holes, epoch),
        ]

    def _finish(self) -> None:
        end_us = wall_clock_us() if self._committed is None else int(self._committed.extra["end_us"])
        spans = None
        if self._plan.live:
            # The open epoch ends in the future; the time after now belongs to the next run.
            end_us = min(end_us, wall_clock_us())
            spans = [replace(span, end_us=end_us) for span in self._outcome.spans]
        finish_run(self._plan.lake, self._plan.run_id, end_us, spans)
        drop_states(self._plan.lake, self._plan.run_id)

    def _tell_status(self) -> None:
        self._outcome.cameras = self._crew.statuses()
        for status in self._outcome.cameras:
            if status.view != self._views.get(status.camera_id, ""):
                self._views[status.camera_id] = status.view
                self._options.on_notice(status.view or f"camera '{status.camera_id}': the view is as it was")
            if status.camera_id in self._outcome.errors:
                status.state, status.detail = "failed", self._outcome.errors[status.camera_id]
        self._options.on_status(self._outcome.cameras, self._committed.epoch if self._committed else None)

    def _failed(self, camera_id: str, error: str) -> None:
        if camera_id not in self._outcome.errors:
            self._outcome.errors[camera_id] = error
            self._options.on_notice(error)
