"""Sinks outside of a run: one test alert, or what is left over."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from retail_ray.config import Site
from retail_ray.config_alerts import AlertSink
from retail_ray.core.retail_records import Alert
from retail_ray.lake.runs import exclusive
from retail_ray.runtime.alert_messages import AlertMessage
from retail_ray.runtime.pace import wall_clock_us
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.sink_clients import open_client
from retail_ray.runtime.sinks import SinkStatus, couriers


def try_sink(sink: AlertSink, site_id: str) -> float:
    """Seconds until the sink took a test alert; DeliveryError where it did not, without a second try."""
    alert = Alert(
        time_us=wall_clock_us(),
        rule_id="test",
        state="raised",
        severity="info",
        dedup_key="test",
        zone_id=None,
        lane_id=None,
        camera_id=None,
        value=0.0,
        threshold=0.0,
        message=f"test of alert sink '{sink.id}': nothing has happened",
    )
    client, began = open_client(sink, site_id), time.monotonic()
    try:
        client.send(AlertMessage(site_id, "test", alert))
    finally:
        client.close()
    return time.monotonic() - began


def send_waiting(site: Site, notice: Callable[[str], None]) -> list[SinkStatus]:
    """Deliver what earlier runs left over; LakeError while a job works on this site, which does so itself."""
    with exclusive(Path(site.lake), site.site):
        working = couriers(RunPlan(site, "", live=False), site.alert_sinks, notice, run_id=None)
        for courier in working:
            courier.start()
        return [courier.close() for courier in working]
