"""The table of how long a recount takes, from recount.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def recount_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    machine, days = report["measured_on"], report["days"]
    told = (
        f"{days} day{'s' * (days > 1)} of {report['cameras']} cameras, {report['detections']:,} tracked boxes, on "
        f"{machine['cores_usable']} cores ({machine['cpu']}). A month is extrapolated: {report['month_days']} times one "
        "day.\n\n"
    )
    rows = (
        [name, f"{way['wall_s'] / days:.0f}", f"{way['cpu_s'] / days:.0f}", f"{way['load_1min_at_start']:g}",
         f"{way['month_extrapolated_min']:.0f}"]
        for name, way in report["ways"].items()
    )  # fmt: skip
    headings = ["how", "a day, s", "CPU of it, s", "load when it began", "a month, extrapolated, minutes"]
    return {"recount": told + table(headings, rows)}
