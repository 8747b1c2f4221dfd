"""Committed alerts reach a real webhook and a real broker: through failures, hangs, deaths and restarts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.config import Site
from retail_ray.config_file import parse_site
from retail_ray.core.alert_metrics import ALERT_METRICS, CAMERA_RULE_IDS
from retail_ray.core.retail_records import Alert, Severity
from retail_ray.lake.epochs import publish
from retail_ray.runtime.attempt import Attempt, Outcome
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.sinks import AlertSinks
from tests.conftest import ROOT
from tests.runtime.alert_receivers import Webhook, broker, free_port, subscriber
from tests.runtime.scripted import PowerCutError, ScriptedCrew, person, scripted_site

START_US = 1_772_445_600_000_000  # 2026-03-02T10:00:00Z
S = 1_000_000
FAST: dict[str, Any] = {"retry_s": 0.01, "retry_most_s": 0.05, "timeout_s": 20, "drain_s": 40}


def site_with(folder: Path, *sinks: dict[str, Any], **changes: Any) -> Site:
    return scripted_site(
        folder,
        ["door"],
        "2026-03-02T10:00:00+00:00",
        timezone="UTC",
        alert_sinks=[FAST | sink for sink in sinks],
        **changes,
    )


def alert(second: int, state: str = "raised", severity: Severity = "warning", value: float = 6.0) -> Alert:
    return Alert(START_US + second * S, "long", state, severity, "long:till", None, "till", None, value, 5.0, "6 wait")  # type: ignore[arg-type]


class Committer:
    """Publishes epochs of a run as the job does, and tells the sinks."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan, self.epoch, self.notices = plan, 0, list[str]()
        self.sinks = AlertSinks(plan, self.notices.append)

    def commit(self, *alerts: Alert) -> None:
        """Alerts about a camera are written by the camera, as those of its view are."""
        entries = []
        for writer in ("door", "site"):
            mine = [alert for alert in alerts if (alert.camera_id or "site") == writer]
            entries += self.plan.stage(writer).write_records("alerts", mine, self.epoch)
        self.sinks.committed(publish(self.plan.lake, self.plan.context, self.epoch, entries))
        self.epoch += 1


def keys(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["idempotency_key"] for body in bodies]


def key(second: int) -> str:
    return f"long:till@{START_US + second * S}"


def test_a_webhook_gets_every_committed_alert_in_order(tmp_path: Path) -> None:
    with Webhook() as hook:
        sink = {"id": "hook", "url": f"http://127.0.0.1:{hook.port}/alerts?token=s3cret", "headers": {"X-Shop": "1"}}
        job = Committer(RunPlan(site_with(tmp_path, sink), "live1", live=True))
        with job.sinks.at_work():
            job.commit(alert(2), alert(1, value=float("nan")))
            job.commit()
            job.commit(alert(9, "cleared"), replace(alert(5), camera_id="door", dedup_key="camera_moved:door"))
        (status,) = job.sinks.statuses
        assert (status.delivered, status.failures, status.waiting, job.notices) == (4, 0, 0, [])
        moved = f"camera_moved:door@{START_US + 5 * S}"
        assert keys(hook.taken.items) == [key(1), key(2), moved, key(9)]
        _, body, headers = hook.asked.items[0]
        assert headers["Idempotency-Key"] == key(1)
        assert headers["X-Shop"] == "1"
        assert body == {
            "idempotency_key": key(1), "site_id": "shop", "run_id": "live1", "time": "2026-03-02T10:00:01+00:00",
            "rule_id": "long", "state": "raised", "severity": "warning", "dedup_key": "long:till", "zone_id": None,
            "lane_id": "till", "camera_id": None, "value": None, "threshold": 5.0, "message": "6 wait",
        }  # fmt: skip


def test_a_server_that_fails_first_gets_them_all_in_the_end_and_is_told_of_once(tmp_path: Path) -> None:
    with Webhook(answers=(503, 500, 429, 204, 302, 401)) as hook:
        job = Committer(
            RunPlan(site_with(tmp_path, {"id": "hook", "url": f"http://127.0.0.1:{hook.port}"}), "live1", live=True)
        )
        with job.sinks.at_work():
            job.commit(alert(1), alert(2))
            hook.taken.wait_for(2)
            job.commit(alert(3))
        assert keys(hook.taken.items) == [key(1), key(2), key(3)]
        assert job.sinks.statuses[0].failures == 5
        # One word when it fails and one when it is well again, twice.
        assert [("answers with status" in notice, "delivers again" in notice) for notice in job.notices] == [
            (True, False), (False, True), (True, False), (False, True),
        ]  # fmt: skip


def test_a_message_that_is_refused_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with Webhook(answers=(422, 400)) as hook:
        job = Committer(
            RunPlan(site_with(tmp_path, {"id": "hook", "url": f"http://127.0.0.1:{hook.port}"}), "live1", live=True)
        )
        with job.sinks.at_work():
            job.commit(alert(1), alert(2), alert(3))
        assert keys(hook.taken.items) == [key(3)]
        status = job.sinks.statuses[0]
        assert (status.delivered, status.refused, status.waiting) == (1, 2, 0)
        assert len(job.notices) == 1


def test_what_hangs_or_is_dead_neither_holds_up_the_run_nor_the_other_sink(tmp_path: Path) -> None:
    """The run ends with the alerts of the hanging one undelivered; the next run of the site sends them."""
    port = free_port()
    with Webhook(answers=(0,) * 50) as hanging, Webhook() as well:
        sinks = [
            {"id": "hanging", "url": f"http://127.0.0.1:{hanging.port}/T0/s3cret", "timeout_s": 0.2, "drain_s": 0},
            {"id": "dead", "url": f"http://user:s3cret@127.0.0.1:{port}/T0/s3cret", "drain_s": 0},
            {"id": "well", "url": f"http://127.0.0.1:{well.port}"},
        ]
        site = site_with(tmp_path, *sinks)
        first = Committer(RunPlan(site, "live1", live=True))
        with first.sinks.at_work():
            first.commit(alert(1), alert(2))
            first.commit(alert(3, "cleared"))
            hanging.asked.wait_for(2)  # it has been tried more than once
        waiting = {status.sink_id: status.waiting for status in first.sinks.statuses}
        assert waiting == {"hanging": 3, "dead": 3, "well": 0}
        assert "no answer within 0.2 s" in "".join(first.notices)
        assert "s3cret" not in "".join(first.notices)
        assert keys(well.taken.items) == [key(1), key(2), key(3)]
    with Webhook(hanging.port) as cured, Webhook(port) as alive, Webhook(well.port) as again:
        patient = [{**sink, "drain_s": 40, "timeout_s": 20} for sink in sinks]
        second = Committer(RunPlan(site_with(tmp_path, *patient), "live2", live=True))
        with second.sinks.at_work():
            second.commit(alert(20))
        for hook in (cured, alive):
            assert keys(hook.taken.items) == [key(1), key(2), key(3), key(20)]
            assert [body["run_id"] for body in hook.taken.items] == ["live1"] * 3 + ["live2"]
        assert keys(again.taken.items) == [key(20)]


def test_severity_and_recorded_runs_can_be_left_out(tmp_path: Path) -> None:
    with Webhook() as hook:
        url = f"http://127.0.0.1:{hook.port}"
        sinks = [{"id": "pager", "url": f"{url}/pager", "min_severity": "critical", "only_live": True}]
        for run_id, live in (("r1", False), ("live1", True)):
            job = Committer(RunPlan(site_with(tmp_path, *sinks), run_id, live=live))
            with job.sinks.at_work():
                job.commit(alert(1, severity="critical"), alert(2), alert(3, severity="info"))
        assert [(body["run_id"], body["severity"]) for body in hook.taken.items] == [("live1", "critical")]


def test_a_sink_that_is_added_later_gets_no_history_and_a_damaged_record_is_left_out(tmp_path: Path) -> None:
    with Webhook() as hook:
        job = Committer(RunPlan(site_with(tmp_path), "r1", live=False))
        with job.sinks.at_work():
            job.commit(alert(1))
        sink = {"id": "hook", "url": f"http://127.0.0.1:{hook.port}"}
        later = Committer(RunPlan(site_with(tmp_path, sink), "r1", live=False))
        later.epoch = job.epoch
        with later.sinks.at_work():
            later.commit(alert(2))
        assert keys(hook.taken.items) == [key(2)]
        (tmp_path / "lake" / "_alerts" / "shop" / "hook.json").write_text("[[1]]")
        damaged = Committer(RunPlan(site_with(tmp_path, sink), "r2", live=False))
        with damaged.sinks.at_work():
            damaged.commit(alert(3))
        assert "hook.json: not the record of an alert sink" in damaged.notices[0]
        assert len(hook.taken.items) == 1


def without_run(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The two lakes lie at different addresses, so their runs have different names."""
    return [{name: value for name, value in body.items() if name != "run_id"} for body in bodies]


def crowd(cut_at: int | None = None) -> Callable[[int, object], None]:
    def before_commit(commits: int, _gallery: object) -> None:
        if commits == cut_at:
            raise PowerCutError

    return before_commit


def visit_run(
    folder: Path, sink: dict[str, Any], cut_at: int | None, rules: list[dict[str, Any]], **changes: Any
) -> Outcome:
    """Two people in the zone from 12 s to 38 s of a minute in epochs of 10 s."""
    site = site_with(folder, sink, alerts=rules, **changes)
    seen = [row for n in (1, 2) for row in person(n, n, 12, 38, lambda t, n=n: (2.0 + n, 6.0), START_US)]
    plan = RunPlan(site, site.run_id(), live=False)
    crew = ScriptedCrew(plan, {"door": seen}, (START_US, START_US + 60 * S), crowd(cut_at))
    return Attempt(plan, crew, JobOptions(), threading.Event()).run()


@pytest.mark.parametrize("cut_at", [1, 2, 4, 5])
def test_a_run_cut_off_anywhere_sends_what_was_committed_and_nothing_else(tmp_path: Path, cut_at: int) -> None:
    rules = [{"id": "busy", "metric": "zone_occupancy", "threshold": 2, "for_s": 5, "severity": "critical"}]
    with Webhook() as hook:
        sink = {"id": "hook", "url": f"http://127.0.0.1:{hook.port}"}
        undisturbed = visit_run(tmp_path / "a", sink, None, rules)
        expected = without_run(hook.taken.items)
        assert [(body["state"], body["zone_id"]) for body in expected] == [("raised", "bread"), ("cleared", "bread")]
        assert undisturbed.sinks[0].delivered == 2
        with pytest.raises(PowerCutError):
            visit_run(tmp_path / "b", sink, cut_at, rules)
        # Raised in the second epoch, cleared in the fifth: an epoch that is not committed tells nothing.
        sent = without_run(hook.taken.items[2:])
        assert sent == expected[: (cut_at >= 2) + (cut_at >= 5)]
        visit_run(tmp_path / "b", sink, None, rules)
        assert without_run(hook.taken.items[2:]) == expected


def test_a_broker_gets_them_with_its_topics_also_after_it_died(tmp_path: Path) -> None:
    port = free_port()
    sink = {"id": "mqtt", "url": f"mqtt://user:s3cret@127.0.0.1:{port}", "topic": "shops/{site}/{rule}/{state}"}
    with Webhook() as hook:
        both = site_with(tmp_path, sink, {"id": "hook", "url": f"http://127.0.0.1:{hook.port}"})
        job = Committer(RunPlan(both, "live1", live=True))
        with ExitStack() as working:
            working.enter_context(job.sinks.at_work())
            with broker(tmp_path, port) as process, subscriber(port, "shops/#") as inbox:
                job.commit(alert(1))
                inbox.wait_for(1)
                process.kill()
                process.wait()
            job.commit(alert(2), alert(3, "cleared"))
            hook.taken.wait_for(3)  # the other sink does not wait for the broker
            assert len(inbox.items) == 1
            deadline_s = time.monotonic() + 60
            while not job.notices and time.monotonic() < deadline_s:
                threading.Event().wait(0.05)
            with broker(tmp_path, port), subscriber(port, "shops/#") as revived:
                job.commit(alert(4))
                assert keys([body for _, body in revived.wait_for(1)])[-1] in {key(2), key(3), key(4)}
                working.close()
        found = inbox.items
    assert found[0][0] == "shops/shop/long/raised"
    assert found[0][1]["idempotency_key"] == key(1)
    assert job.sinks.statuses[0].delivered == 4
    assert job.sinks.statuses[0].failures > 0
    assert "s3cret" not in "".join(job.notices)


def test_the_command_tries_each_sink_and_sends_what_waits(tmp_path: Path) -> None:
    port, site_path = free_port(), tmp_path / "site.yaml"
    document = {
        "site": "shop", "timezone": "UTC", "lake": "lake", "cameras": [{"id": "door", "uri": "door.mp4"}],
        "alert_sinks": [FAST | {"id": "hook", "url": f"http://127.0.0.1:{port}/s3cret", "drain_s": 0.2}],
    }  # fmt: skip
    site_path.write_text(yaml.safe_dump(document))
    site = parse_site(site_path.read_text(), site_path, {})
    job = Committer(RunPlan(site, "live1", live=True))
    with job.sinks.at_work():
        job.commit(alert(1))
    runner = CliRunner()
    dead = runner.invoke(main, ["alerts", "test", "--site", str(site_path)])
    assert (dead.exit_code, "s3cret" in dead.output) == (1, False)
    assert "no connection" in dead.output
    waits = runner.invoke(main, ["alerts", "send", "--site", str(site_path)])
    assert waits.exit_code == 1
    assert "0 delivered, 0 refused, 1 waiting" in waits.output
    with Webhook(port) as hook:
        well = runner.invoke(main, ["alerts", "test", "--site", str(site_path)])
        assert (well.exit_code, "took the test alert" in well.output) == (0, True)
        assert hook.taken.items[0]["rule_id"] == "test"
        sent = runner.invoke(main, ["alerts", "send", "--site", str(site_path)])
        assert (sent.exit_code, "1 delivered" in sent.output) == (0, True)
        assert keys(hook.taken.items[1:]) == [key(1)]
    document.pop("alert_sinks")
    site_path.write_text(yaml.safe_dump(document))
    none = runner.invoke(main, ["alerts", "test", "--site", str(site_path)])
    assert (none.exit_code, "alert_sinks: none are given" in none.output) == (2, True)


def test_the_worked_example_of_the_documentation_is_true(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    shown = json.loads(text.split("```json\n")[1].split("```")[0])
    secrets = {"HOOK_TOKEN": "s3cret", "MQTT_PASSWORD": "s3cret"}
    document = yaml.safe_dump({"site": "shop", "timezone": "UTC", "cameras": [{"id": "a", "uri": "a.mp4"}], **example})
    document = document.replace("bread", "shelf") + "zones: [{id: shelf, camera: a, px: [[0, 0], [9, 0], [9, 9]]}]\n"
    assert [sink.kind for sink in parse_site(document, tmp_path / "site.yaml", secrets).alert_sinks] == [
        "webhook",
        "mqtt",
    ]
    with Webhook() as hook:
        sink = {"id": "guard", "url": f"http://127.0.0.1:{hook.port}", "min_severity": "critical"}
        visit_run(tmp_path, sink, None, example["alerts"], opening_hours=example["opening_hours"])
        raised, cleared = without_run(hook.taken.items)
    assert raised == shown
    assert (cleared["state"], cleared["dedup_key"]) == ("cleared", shown["dedup_key"])
    for name, metric in ALERT_METRICS.items():
        about = "the site" if metric.subject == "site" else f"each {metric.subject}"
        assert f"| `{name}` | {about} | {metric.unit} | {metric.meaning} |" in text
    assert all(f"`{rule_id}`" in text for rule_id in CAMERA_RULE_IDS)
