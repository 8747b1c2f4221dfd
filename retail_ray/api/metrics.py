"""`/v1/metrics`: the registry, and any metric of it by time and group."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from retail_ray.api.models import CoverageBody
from retail_ray.api.params import IntervalQuery
from retail_ray.api.problems import Problem, unknown
from retail_ray.lake.metric_answers import ask, sql_of
from retail_ray.lake.metric_types import Basis, Group, Metric, Staff
from retail_ray.lake.metrics import METRICS
from retail_ray.lake.questions import Grain, coverage

if TYPE_CHECKING:
    from retail_ray.api.answers import Answers

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such metric; `known` lists those there are."},
    422: {"model": Problem, "description": "The metric cannot be asked for so; `detail` says how it can."},
    503: {"model": Problem, "description": "The lake cannot be read."},
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ValueBody(_Body):
    """One number that a metric gives."""

    name: str = Field(description="Key in `values` of a row.")
    unit: str
    meaning: str


class MetricBody(_Body):
    """One metric of the registry."""

    id: str
    name: str
    formula: str = Field(description="What is counted, in words.")
    values: list[ValueBody]
    basis: Basis = Field(description="measured, estimated (rests on recognising people), or inferred.")
    additive: bool = Field(description="Whether values of buckets may be summed.")
    grains: list[Grain]
    groups: list[Group]
    staff: bool = Field(description="Whether staff can be left out.")
    tables: list[str] = Field(description="Tables of the lake that it reads.")
    version: int = Field(description="Raised whenever the same data would give other values.")
    sql: str = Field(description="The formula over the lake, ungrouped; empty where Python computes it.")


class RegistryAnswer(_Body):
    """All metrics."""

    metrics: list[MetricBody]


class MetricRowBody(_Body):
    """One bucket or group."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    group: dict[str, str | int | float] = Field(description="What the row is about, by column.")
    values: dict[str, float | int | None] = Field(description="None: nothing to tell it from.")
    interval_share: float | None = Field(description="Share of its camera-minutes that was analysed; see coverage.")


class MetricAnswer(_Body):
    """Rows of one metric."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: CoverageBody
    metric: str
    version: int
    basis: Basis
    by: list[Group]
    grain: Grain | None
    staff: Staff
    rows: list[MetricRowBody]


class MetricQuery(IntervalQuery):
    """Interval, and how to cut and group."""

    by: str = Field(
        "",
        max_length=200,
        pattern=r"^[a-z]*(,[a-z]+)*$",
        description="Groups with commas between: of line, zone, lane, camera, cell, hour (of the day), day, weekday "
        "(1 = Monday), those that the metric allows.",
        examples=["zone,hour"],
    )
    grain: Grain | None = Field(None, description="One row per minute, local hour or business day.")
    staff: Staff = Field("include", description="exclude: without identities that are held for staff.")


def metrics_router(answers: Answers) -> APIRouter:
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics", summary="Every metric: meaning, formula, grains and groups")
    def registry() -> RegistryAnswer:
        return RegistryAnswer(metrics=[described(metric) for metric in METRICS])

    @router.get("/metrics/{metric_id}", summary="One metric by time and group", responses=_RESPONSES)
    def values(
        metric_id: Annotated[str, PathParameter(description="Id of the metric.", examples=["footfall"])],
        query: Annotated[MetricQuery, Query()],
    ) -> MetricAnswer:
        return _answer(answers, metric_id, query)

    return router


def described(metric: Metric) -> MetricBody:
    """A metric as the API tells it."""
    return MetricBody(
        id=metric.id,
        name=metric.name,
        formula=metric.formula,
        values=[ValueBody(name=value.name, unit=value.unit, meaning=value.meaning) for value in metric.values],
        basis=metric.basis,
        additive=metric.additive,
        grains=list(metric.grains),
        groups=list(metric.groups),
        staff=metric.staff,
        tables=list(metric.tables),
        version=metric.version,
        sql=sql_of(metric),
    )


def _answer(answers: Answers, metric_id: str, query: MetricQuery) -> MetricAnswer:
    found = next((metric for metric in METRICS if metric.id == metric_id), None)
    if found is None:
        raise unknown("metric", metric_id, [metric.id for metric in METRICS])
    question, lake = answers.question(query), answers.lake()
    by: Any = [group for group in query.by.split(",") if group]
    rows = ask(lake, question, found.id, by=by, grain=query.grain, staff=query.staff)
    return MetricAnswer(
        **answers.about(coverage(lake, question)),
        metric=found.id,
        version=found.version,
        basis=found.basis,
        by=by,
        grain=query.grain,
        staff=query.staff,
        rows=[
            MetricRowBody(
                from_=answers.local(row.start_us),
                to=answers.local(row.end_us),
                group=row.group,
                values=row.values,
                interval_share=row.interval_share,
            )
            for row in rows
        ],
    )
