"""`/v1/queues`: lanes, their waits and lengths; stored, and live where the site runs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from retail_ray.api.models import CoverageBody
from retail_ray.api.params import IntervalQuery
from retail_ray.api.problems import Problem, unknown
from retail_ray.lake.questions import coverage
from retail_ray.lake.queues import LaneQueue, LittlesLaw, QueueBucket, QueueWaits, queue_buckets, queues

if TYPE_CHECKING:
    from retail_ray.api.answers import Answers

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": Problem, "description": "The request or its values cannot be understood."},
    503: {"model": Problem, "description": "The lake or the running site cannot be reached."},
}
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such lane; `known` lists those there are."}
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class QueueWaitsBody(_Body):
    """Visits that joined in the interval. Waits are null where nothing tells."""

    visits: int
    served: int
    abandoned: int
    censored: int = Field(description="Lost, changed lanes, or still there: not known to be served or to give up.")
    abandonment_share: float | None = Field(description="abandoned ÷ (served + abandoned).")
    median_wait_s: float | None = Field(description="Kaplan-Meier: who was not served waited at least so long.")
    p90_wait_s: float | None = Field(description="As the median.")
    served_median_wait_s: float | None = Field(description="Of those whose service began.")
    mean_wait_s: float | None = Field(description="Over all visits, to service or to leaving.")
    median_service_s: float | None


class LittleBody(_Body):
    """Little's law, L = λW: both sides measured apart. They agree over long intervals if no rows are missing."""

    mean_length: float = Field(description="L: people waiting, mean over the minutes.")
    arrivals_per_s: float = Field(description="λ: visits ÷ seconds of the minutes.")
    mean_wait_s: float = Field(description="W, seconds.")
    arrivals_times_wait: float = Field(description="λW.")


class LaneBody(_Body):
    """One lane over the interval."""

    lane_id: str
    name: str
    waiting_now: int | None = Field(description="People who wait now; null where nothing runs.")
    minutes: int = Field(description="Minutes with rows; the lengths are over these.")
    length_mean: float | None
    length_max: int | None
    waits: QueueWaitsBody
    without_staff: QueueWaitsBody = Field(description="Without people whose journeys say that they are staff.")
    little: LittleBody | None


class QueuesAnswer(_Body):
    """Every lane."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: CoverageBody
    lanes: list[LaneBody]


class QueueBucketBody(_Body):
    """One lane in one minute, hour or business day."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    minutes: int
    length_mean: float | None
    length_max: int | None
    joined: int
    served: int
    abandoned: int
    max_wait_s: float | None = Field(description="Longest wait that anybody had reached.")
    interval_share: float | None = Field(description="Coverage of this bucket, as in `coverage`.")


class LaneAnswer(_Body):
    """One lane, over the interval and by bucket."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: CoverageBody
    lane: LaneBody
    by: Literal["minute", "hour", "day"]
    buckets: list[QueueBucketBody]


class LaneQuery(IntervalQuery):
    """Interval and bucket."""

    by: Literal["minute", "hour", "day"] = Field("hour", description="Length of the buckets, in local time.")


def queues_router(answers: Answers) -> APIRouter:
    router = APIRouter(responses=_RESPONSES, tags=["questions"])

    @router.get("/queues", summary="Waits, lengths and abandonment of every checkout lane")
    def lanes(query: Annotated[IntervalQuery, Query()]) -> QueuesAnswer:
        question, lake = answers.question(query), answers.lake()
        found = queues(lake, question, tuple(lane.id for lane in answers.lanes()))
        waiting = answers.waiting()
        bodies = [_lane(lane, name.name, waiting) for lane, name in zip(found, answers.lanes(), strict=True)]
        return QueuesAnswer(**answers.about(coverage(lake, question)), lanes=bodies)

    @router.get("/queues/{lane_id:path}", summary="One checkout lane by minute, hour or day", responses=_UNKNOWN)
    def lane(
        lane_id: Annotated[str, PathParameter(description="Id of the lane.", examples=["lane-1"])],
        query: Annotated[LaneQuery, Query()],
    ) -> LaneAnswer:
        known = {lane.id: lane.name for lane in answers.lanes()}
        if lane_id not in known:
            raise unknown("lane", lane_id, list(known))
        question, lake = answers.question(query), answers.lake()
        (found,) = queues(lake, question, (lane_id,))
        return LaneAnswer(
            **answers.about(coverage(lake, question)),
            lane=_lane(found, known[lane_id], answers.waiting()),
            by=query.by,
            buckets=[_bucket(answers, bucket) for bucket in queue_buckets(lake, question, lane_id, query.by)],
        )

    return router


def _lane(lane: LaneQueue, name: str, waiting: dict[str, int] | None) -> LaneBody:
    return LaneBody(
        lane_id=lane.lane_id,
        name=name,
        waiting_now=None if waiting is None else waiting.get(lane.lane_id, 0),
        minutes=lane.minutes,
        length_mean=lane.length_mean,
        length_max=lane.length_max,
        waits=_waits(lane.waits),
        without_staff=_waits(lane.without_staff),
        little=None if lane.little is None else _little(lane.little),
    )


def _waits(waits: QueueWaits) -> QueueWaitsBody:
    return QueueWaitsBody(**asdict(waits), abandonment_share=waits.abandonment_share)


def _little(little: LittlesLaw) -> LittleBody:
    return LittleBody(**asdict(little), arrivals_times_wait=little.arrivals_times_wait)


def _bucket(answers: Answers, bucket: QueueBucket) -> QueueBucketBody:
    values = asdict(bucket)
    start, end = answers.local(values.pop("start_us")), answers.local(values.pop("end_us"))
    return QueueBucketBody(from_=start, to=end, **values)
