"""Alerts: the named questions about what was raised, and whether it is still open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from retail_ray.core.retail_records import Severity
from retail_ray.lake import rollup_kinds
from retail_ray.lake.queries import RowKey
from retail_ray.lake.questions import Question
from retail_ray.lake.runs import runs
from retail_ray.lake.views import Lake

AlertStatus = Literal["open", "cleared", "ended"]
LOOK_BACK_DAYS: Final = 31
"""Alerts raised so many business days before the interval are still found in it."""

# Each raised alert with the change that follows it under its key, in whichever run that is.
_ALERTS: Final = """
changes AS (
    SELECT *, lead(state) OVER following AS next_state, lead(time) OVER following AS next_time
    FROM parts
    WINDOW following AS (PARTITION BY dedup_key ORDER BY time, state DESC)
), found AS (
    SELECT epoch_us(time) AS raised_us, CASE WHEN next_state = 'cleared' THEN epoch_us(next_time) END AS cleared_us,
           CASE WHEN next_state = 'cleared' THEN 'cleared'
                WHEN next_state IS NULL AND list_contains($running, run_id) THEN 'open' ELSE 'ended' END AS status,
           run_id, rule_id, severity, dedup_key, zone_id, lane_id, camera_id, value, threshold, message
    FROM changes WHERE state = 'raised'
), asked AS (
    SELECT * FROM found
    WHERE raised_us < $end_us AND (raised_us >= $start_us OR status = 'open' OR cleared_us > $start_us)
      AND ($rule IS NULL OR rule_id = $rule) AND ($status IS NULL OR status = $status)
      AND ($severity IS NULL OR severity = $severity)
)"""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """rule_id, severity: of the alert. status: as it is now. None: all of them."""

    rule_id: str | None = None
    severity: Severity | None = None
    status: AlertStatus | None = None


ALL_ALERTS: Final = AlertFilter()


@dataclass(frozen=True, slots=True)
class FoundAlert:
    """One alert from raising to clearing.

    status: 'open' while its run goes on; 'ended' where its run is over, or it was raised anew, without a clearing.
    """

    raised_us: int
    cleared_us: int | None
    status: AlertStatus
    run_id: str
    rule_id: str
    severity: Severity
    dedup_key: str
    zone_id: str | None
    lane_id: str | None
    camera_id: str | None
    value: float
    threshold: float
    message: str

    @property
    def key(self) -> RowKey:
        return self.raised_us, self.dedup_key, self.run_id, 0


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """Alerts of one rule. open_s: time for which those that were cleared were open."""

    rule_id: str
    alerts: int
    open: int
    open_s: float


def alerts(
    lake: Lake, question: Question, limit: int, after: RowKey | None = None, wanted: AlertFilter = ALL_ALERTS
) -> tuple[list[FoundAlert], RowKey | None]:
    """Alerts raised or open in the interval, newest first, paged like `zone_visits`."""
    place = dict(zip(("after_us", "after_key", "after_run"), after or (None,) * 3, strict=False))
    rows = _asked(
        lake,
        question,
        """SELECT * FROM asked
        WHERE $after_us IS NULL OR (raised_us, dedup_key, run_id) < ($after_us, $after_key, $after_run)
        ORDER BY raised_us DESC, dedup_key DESC, run_id DESC LIMIT $rows""",
        _params(lake, question, wanted) | place | {"rows": limit + 1},
    )
    found = [FoundAlert(**row) for row in rows[:limit]]
    return found, found[-1].key if len(rows) > limit else None


def alert_rules(lake: Lake, question: Question, wanted: AlertFilter = ALL_ALERTS) -> list[RuleSummary]:
    """The same alerts by rule, in the order of their ids."""
    rows = _asked(
        lake,
        question,
        """SELECT rule_id, count(*) AS alerts, count(*) FILTER (status = 'open') AS open,
               coalesce(sum(cleared_us - raised_us), 0) / 1e6 AS open_s
        FROM asked GROUP BY rule_id ORDER BY rule_id""",
        _params(lake, question, wanted),
    )
    return [RuleSummary(**row) for row in rows]


def _asked(lake: Lake, question: Question, query: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    within = question.params["first_day"] - timedelta(days=LOOK_BACK_DAYS), date.max
    return lake.rollups.by_day(rollup_kinds.ALERTS, question.site_id, f", {_ALERTS} {query}", within, params)


def _params(lake: Lake, question: Question, wanted: AlertFilter) -> dict[str, Any]:
    running = [run.run_id for run in runs(lake.root, question.site_id) if run.status == "running"]
    return {
        "start_us": question.start_us,
        "end_us": question.end_us,
        "running": running,
        "rule": wanted.rule_id,
        "severity": wanted.severity,
        "status": wanted.status,
    }
