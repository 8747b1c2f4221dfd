"""/v1/alerts: what was raised, what is open, what ended unseen; pages, filters, and bad requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from retail_ray.api.app import create_app
from retail_ray.core.records import CoverageRow
from retail_ray.core.retail_records import Alert
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.runs import CameraSpan, RunRecord, begin_run, finish_run
from tests.api.conftest import MINUTE_US, SITE, TEN_US

DAY_MINUTES = 24 * 60
DAY = "from=2026-03-01&to=2026-03-01"


def row(minute: int, state: str, rule: str, about: str, value: float = 1.0, severity: str = "warning") -> Alert:
    words = (f"{rule}:{about}", about, None, None, value, 0.5, f"{about}!")
    return Alert(TEN_US + minute * MINUTE_US, rule, state, severity, *words)  # type: ignore[arg-type]


OLD = [row(-3 * DAY_MINUTES, "raised", "stuck", "a"), row(-2 * DAY_MINUTES, "raised", "busy", "b"),
       row(5 - DAY_MINUTES, "raised", "over-night", "a"), row(5, "cleared", "over-night", "a")]  # fmt: skip
TODAY = [
    row(1, "raised", "busy", "checkout", 7.0), row(4, "cleared", "busy", "checkout"),
    row(9, "raised", "busy", "checkout", 8.0), row(9, "raised", "night", "checkout", severity="critical"),
    row(12, "raised", "busy", "b"), row(13, "cleared", "busy", "b"),
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("lake")
    for run_id, begin_us, rows in (("r1", TEN_US - 4 * DAY_MINUTES * MINUTE_US, OLD), ("r2", TEN_US, TODAY)):
        span = CameraSpan("door", begin_us, None)
        begin_run(root, RunRecord(run_id, "shop-1", "c1", "", (span,), begin_us))
        context = RowContext("shop-1", run_id, "c1")
        stage = Stage(root, context, "site", SITE.day)
        entries = stage.write_records("alerts", rows, 0)
        entries += stage.write_records("coverage", [CoverageRow("door", begin_us, 600, 600, 0, "")], 0)
        publish(root, context, 0, entries)
        if run_id == "r1":
            finish_run(root, run_id, TEN_US - MINUTE_US, [CameraSpan("door", begin_us, TEN_US - MINUTE_US)])
    with TestClient(create_app(root, SITE, now_us=lambda: TEN_US + 60 * MINUTE_US)) as opened:
        yield opened


def get(client: TestClient, query: str) -> dict[str, Any]:
    response = client.get(f"/v1/alerts?{query}")
    assert response.status_code == 200, response.text
    return dict(response.json())


def told(found: dict[str, Any]) -> list[tuple[str, str, str, str | None]]:
    return [
        (a["dedup_key"], a["status"], a["raised_time"][5:16], a["cleared_time"] and a["cleared_time"][11:16])
        for a in found["alerts"]
    ]


def test_alerts_of_a_day_newest_first_with_what_became_of_each(client: TestClient) -> None:
    found = get(client, DAY)
    assert told(found) == [
        ("busy:b", "cleared", "03-01T10:12", "10:13"),
        ("night:checkout", "open", "03-01T10:09", None),
        ("busy:checkout", "open", "03-01T10:09", None),
        ("busy:checkout", "cleared", "03-01T10:01", "10:04"),
        ("over-night:a", "cleared", "02-28T10:05", "10:05"),  # raised the day before by another run, open until today
    ]
    assert found["rules"] == [
        {"rule_id": "busy", "alerts": 3, "open": 1, "open_s": 240.0},
        {"rule_id": "night", "alerts": 1, "open": 1, "open_s": 0.0},
        {"rule_id": "over-night", "alerts": 1, "open": 0, "open_s": 86400.0},
    ]
    assert found["alerts"][2] | {"run_id": ""} == {
        "raised_time": "2026-03-01T10:09:00+05:30", "cleared_time": None, "status": "open", "rule_id": "busy",
        "severity": "warning", "dedup_key": "busy:checkout", "zone_id": "checkout", "lane_id": None, "camera_id": None,
        "value": 8.0, "threshold": 0.5, "message": "checkout!", "run_id": "",
    }  # fmt: skip
    assert found["coverage"]["processed_frames"] == 600
    assert (found["from"], found["to"]) == ("2026-03-01T06:00:00+05:30", "2026-03-02T06:00:00+05:30")


def test_a_run_that_is_over_leaves_nothing_open(client: TestClient) -> None:
    found = get(client, "from=2026-02-26&to=2026-02-27")
    # One was never cleared; the other was raised anew by the next run.
    assert told(found) == [("busy:b", "ended", "02-27T10:00", None), ("stuck:a", "ended", "02-26T10:00", None)]


def test_filters(client: TestClient) -> None:
    assert [a[0] for a in told(get(client, f"{DAY}&status=open"))] == ["night:checkout", "busy:checkout"]
    assert [a[0] for a in told(get(client, f"{DAY}&rule=night"))] == ["night:checkout"]
    assert [a[0] for a in told(get(client, f"{DAY}&severity=critical"))] == ["night:checkout"]
    assert get(client, f"{DAY}&rule=no-such-rule")["alerts"] == []
    # What is open is found in every later interval, and in none before.
    assert [a[1] for a in told(get(client, "from=2026-03-02&to=2026-03-02"))] == ["open", "open"]
    assert told(get(client, "from=2026-02-01&to=2026-02-01")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_hold_every_alert_once(client: TestClient, limit: int) -> None:
    pages, cursor = [], ""
    while True:
        found = get(client, f"{DAY}&limit={limit}{cursor}")
        pages += found["alerts"]
        assert [rule["alerts"] for rule in found["rules"]] == [3, 1, 1]
        if found["next_cursor"] is None:
            break
        cursor = f"&cursor={quote(found['next_cursor'])}"
    assert pages == get(client, DAY)["alerts"]


@pytest.mark.parametrize(
    "query",
    ["status=maybe", "severity=fatal", "cursor=abc", "limit=0", "from=yesterday", "rules=a", f"rule={'x' * 300}"],
)
def test_bad_requests_are_answered_with_what_is_wrong(client: TestClient, query: str) -> None:
    response = client.get(f"/v1/alerts?{query}")
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert query.partition("=")[0] in response.json()["detail"]


def test_a_lake_without_alerts_has_none(tmp_path: Path) -> None:
    with TestClient(create_app(tmp_path, SITE, now_us=lambda: TEN_US)) as empty:
        found = get(empty, "")
    assert (found["alerts"], found["rules"], found["next_cursor"]) == ([], [], None)
