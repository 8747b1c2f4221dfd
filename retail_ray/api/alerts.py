"""`/v1/alerts`: what was raised, what is open, and which rule speaks how often."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from retail_ray.api import models
from retail_ray.api.answers import Answers
from retail_ray.api.params import PageQuery, read_cursor, write_cursor
from retail_ray.lake.alerts import AlertFilter, FoundAlert, alert_rules, alerts
from retail_ray.lake.questions import coverage


class AlertsQuery(PageQuery):
    """Interval, page and which alerts."""

    rule: str | None = Field(None, max_length=200, description="Alerts of one rule; of all without it.")
    status: Literal["open", "cleared", "ended"] | None = Field(
        None, description="`open`: still open now; `ended`: its run is over without a clearing."
    )
    severity: Literal["info", "warning", "critical"] | None = Field(None, description="Alerts of this severity alone.")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class AlertBody(_Body):
    """One alert from raising to clearing."""

    raised_time: datetime
    cleared_time: datetime | None = Field(description="null while it is open, and where nobody saw it clear.")
    status: Literal["open", "cleared", "ended"]
    rule_id: str
    severity: Literal["info", "warning", "critical"]
    dedup_key: str
    zone_id: str | None
    lane_id: str | None
    camera_id: str | None
    value: float = Field(description="What was measured when it was raised, in the rule's unit.")
    threshold: float
    message: str
    run_id: str


class RuleBody(_Body):
    """The alerts of one rule over all pages."""

    rule_id: str
    alerts: int
    open: int
    open_s: float = Field(description="Time for which those that were cleared were open.")


class AlertsAnswer(_Body):
    """Alerts that were raised or open in the interval, newest first; the rules are of all pages."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: models.CoverageBody
    rules: list[RuleBody]
    alerts: list[AlertBody]
    next_cursor: str | None


def alerts_router(answers: Answers, responses: dict[int | str, dict[str, Any]]) -> APIRouter:
    """The route over the lake and site of these answers."""
    router = APIRouter(responses=responses, tags=["questions"])

    @router.get("/alerts", summary="Alerts of an interval, and what is open")
    def alerts_of(query: Annotated[AlertsQuery, Query()]) -> AlertsAnswer:
        wanted = AlertFilter(query.rule, query.severity, query.status)
        question, lake = answers.question(query), answers.lake()
        rows, following = alerts(lake, question, query.limit, read_cursor(query.cursor), wanted)
        return AlertsAnswer(
            **answers.about(coverage(lake, question)),
            rules=[RuleBody(**asdict(rule)) for rule in alert_rules(lake, question, wanted)],
            alerts=[_body(answers, row) for row in rows],
            next_cursor=write_cursor(following),
        )

    return router


def _body(answers: Answers, row: FoundAlert) -> AlertBody:
    fields = {name: value for name, value in asdict(row).items() if not name.endswith("_us")}
    cleared = None if row.cleared_us is None else answers.local(row.cleared_us)
    return AlertBody(raised_time=answers.local(row.raised_us), cleared_time=cleared, **fields)
