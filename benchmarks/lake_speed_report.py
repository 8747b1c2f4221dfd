"""Tables of how fast a lake answers, from lake_speed.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def lake_speed_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; what was measured."""
    if report is None:
        return {}
    parts = {
        "year": ("rows", rows), "questions": ("questions", questions), "scans": ("scans", scans),
        "writes": ("writes", writes), "row_store": ("row store", row_store), "cost": ("cost", cost),
    }  # fmt: skip
    return {f"lake speed, {name}": made(report) for key, (name, made) in parts.items() if key in report}


def rows(report: Mapping[str, Any]) -> str:
    year, machine = report["year"], report["measured_on"]
    lines = [
        [name, f"{count:,}", f"{year['files'][name]:,}", f"{year['bytes'][name] / 1e6:,.0f} MB"]
        for name, count in sorted(year["rows"].items(), key=lambda row: -row[1])
    ]
    cores = f"{machine['cores_usable']} cores ({machine['cpu']}, load {machine['load_1min']:g})"
    on = f"{report['threads']} threads on {cores}"
    return f"{year['days']} days of {year['cameras']} cameras; {on}.\n\n" + table(
        ["table", "rows", "files", "size"], lines
    )


def questions(report: Mapping[str, Any]) -> str:
    lines = [
        [row["question"], row["days"], *(f"{row[name]:,.0f}" for name in ("p50_ms", "p95_ms", "first_ms"))]
        for row in report["questions"]
    ]
    rollup = report["rollup"]
    size, days = rollup["bytes"] / 1e6, rollup["days_summed_up"]
    once = f"`retail-ray lake rollup`: {rollup['s']:g} s and {size:,.0f} MB for {days:,} sums"
    once += f" of days; opening the lake: {report['open_s']:g} s.\n\n"
    return once + table(["question", "days asked", "p50, ms", "p95, ms", "first time, ms"], lines)


def scans(report: Mapping[str, Any]) -> str:
    names = ("views_million_rows_per_s", "duckdb_million_rows_per_s", "time_against_duckdb")
    lines = [[row["scan"], *(f"{row[name]:g}" for name in names)] for row in report["scans"]["scans"]]
    return f"{report['scans']['rows']:,} detections.\n\n" + table(
        ["scan", "through the views, million rows/s", "DuckDB alone, million rows/s", "time, views ÷ alone"], lines
    )


def writes(report: Mapping[str, Any]) -> str:
    lines = [[row["table"], f"{row['rows']:,}", f"{row['rows_per_s']:,}"] for row in report["writes"]["tables"]]
    return table(["table", "rows written", "rows/s"], lines)


def row_store(report: Mapping[str, Any]) -> str:
    found = report["row_store"]
    lines = [
        [row["question"], *(f"{row[name]:,.1f}" for name in ("lake_ms", "facts_ms", "rows_ms", "ratio", "facts_ratio"))]
        for row in found["questions"]
    ]
    sizes = f"SQLite {found['sqlite_bytes'] / 1e6:,.0f} MB, the lake {found['parquet_bytes'] / 1e6:,.0f} MB"
    counted = ", ".join(f"{count:,} {name}" for name, count in found["rows"].items())
    return f"{found['days']} days of {found['cameras']} cameras: {counted}; {sizes}.\n\n" + table(
        ["question", "lake, ms", "lake from facts alone, ms", "row store, ms", "row store ÷ lake", "row store ÷ facts"],
        lines,
    )


def cost(report: Mapping[str, Any]) -> str:
    names = ("stats", "footfall by day", "zone dwell, all zones")
    lines = [
        [row["what"], f"{row['tracklets']:,}"]
        + [f"{row[name]['warm_ms']:,.0f} ({row[name]['first_ms']:,.0f})" for name in names]
        for some in report["cost"].values()
        for row in some
    ]
    return table(["lake", "tracklets", *(f"{name}, ms (first time)" for name in names)], lines)
