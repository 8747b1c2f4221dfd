"""The job of one site: attempts until the video ends, each going on from the last committed epoch."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from retail_ray.config import Site, live_run_id
from retail_ray.core.errors import RetailRayError, StuckError
from retail_ray.lake.epochs import last_commit
from retail_ray.runtime.attempt import Attempt
from retail_ray.runtime.local_job import JobResult, recorded_plan
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.ray_crew import RayCrew
from retail_ray.runtime.serve_clients import ServeHandles

# A run that crashes this often without committing anything new in between is given up.
CRASHES_WITHOUT_PROGRESS = 3


class Job:
    """Runs one site in a connected Ray with deployed models."""

    def __init__(self, site: Site, handles: ServeHandles, options: JobOptions) -> None:
        self._site, self._handles, self._options = site, handles, options
        self._stop = threading.Event()

    def stop(self) -> None:
        """Live: end the run after the open epoch."""
        self._stop.set()

    def run(self) -> JobResult:
        """Work until the end; RetailRayError where it cannot go on."""
        started, restarts, fruitless = time.monotonic(), 0, 0
        known: object = None
        replace = self._options.replace
        while True:
            plan = self._plan()
            crew = RayCrew(plan, self._handles)
            attempt = Attempt(plan, crew, self._options, self._stop, replace=replace)
            try:
                outcome = attempt.run()
            except (RayActorError, GetTimeoutError, StuckError) as error:
                restarts += 1
                replace = replace and not attempt.begun
                reached = last_commit(plan.lake, plan.run_id)
                fruitless = 1 if reached is not None and reached != known else fruitless + 1
                known = reached
                if fruitless >= CRASHES_WITHOUT_PROGRESS:
                    raise RetailRayError(
                        f"given up after {fruitless} crashes without a new commit, the last: {_first_line(error)}"
                    ) from error
                self._options.on_notice(f"{_first_line(error)}; going back to the last committed epoch")
            except RayTaskError as error:
                raise _own(error) from error
            else:
                return JobResult(outcome, time.monotonic() - started, restarts)
            finally:
                crew.end()

    def _plan(self) -> RunPlan:
        if self._options.live:
            return RunPlan(self._site, live_run_id(self._site.site, datetime.now(UTC)), live=True)
        return recorded_plan(self._site)


def _own(error: RayTaskError) -> BaseException:
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, RetailRayError) else error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
