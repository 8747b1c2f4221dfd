"""Days counted side by side in a Ray cluster, or in a Ray of this process's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ray
from ray.exceptions import RayTaskError

from retail_ray.core.errors import StuckError
from retail_ray.runtime.build_models import limit_threads
from retail_ray.runtime.recount_day import DayResult, DayTask, count_day
from retail_ray.runtime.session import ray_session

DAY_TIMEOUT_S = 4 * 3600.0


def count_with_ray(tasks: Sequence[DayTask], address: str | None) -> Iterator[DayResult]:
    """Results in the order of the tasks; every CPU that Ray has works on one day. StuckError after hours on one day."""
    with ray_session(address, with_serve=False):
        remote = ray.remote(num_cpus=1, max_retries=2)(_count_day)
        waiting = [remote.remote(task) for task in tasks]
        for task, reference in zip(tasks, waiting, strict=True):
            try:
                yield ray.get(reference, timeout=DAY_TIMEOUT_S)
            except ray.exceptions.GetTimeoutError as error:
                raise StuckError(
                    f"{task.date} of run '{task.run.run_id}' was not counted within {DAY_TIMEOUT_S / 3600:g} h: look "
                    "at the lake's storage, or count it with --in-process"
                ) from error
            except RayTaskError as error:
                raise (error.cause or error) from error


def _count_day(task: DayTask) -> DayResult:
    limit_threads(1)
    return count_day(task)
