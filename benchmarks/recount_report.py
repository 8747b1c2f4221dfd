"""The table of how long a recount takes, from recount.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def recount_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    machine = report["measured_on"]
    told = (
        f"{report['hours']} hours of {report['cameras']} cameras, {report['open_hours']} of them open, with "
        f"{report['detections']:,} tracked boxes, on {machine['cores_usable']} cores ({machine['cpu']}). A month is "
        f"extrapolated by its {report['month_open_hours']} opening hours.\n\n"
    )
    month = report["month_open_hours"] / report["open_hours"]
    rows = (
        [name, f"{way['wall_s']:.0f}", f"{way['cpu_s']:.0f}", f"{way['load_1min_at_start']:g}",
         f"{way['month_extrapolated_min']:.0f}", f"{way['cpu_s'] * month / 60:.0f}"]
        for name, way in report["ways"].items()
    )  # fmt: skip
    headings = ["how", "s", "CPU of it, s", "load when it began", "a month, minutes", "CPU of a month, minutes"]
    return {"recount": told + table(headings, rows)}
