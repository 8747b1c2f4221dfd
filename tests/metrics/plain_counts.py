"""Metrics counted straight from their definitions, in plain Python over the rows of a lake."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

Row = dict[str, Any]
Rows = list[Row]
Values = dict[str, float | int | None]


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def kaplan_meier(rows: Rows, length: str, ended: Callable[[Row], bool], quantile: float) -> float | None:
    """Straight from the definition: at each length, those who ended there of those who got there."""
    rows = [row for row in rows if row[length] is not None]
    left = 1.0
    for at in sorted({row[length] for row in rows}):
        reached = sum(row[length] >= at for row in rows)
        left *= 1 - sum(row[length] == at and ended(row) for row in rows) / reached
        if left <= 1 - quantile + 1e-9:
            return float(at)
    return None


def crossings(rows: Rows) -> Values:
    kinds = [("back" if row["turned_back"] else row["direction"]) for row in rows]
    return {"entries": kinds.count("in"), "exits": kinds.count("out"), "turned_back": kinds.count("back")}


def stays(rows: Rows) -> Values:
    lengths = [row["dwell_s"] for row in rows]
    return {
        "stays": len(rows),
        "censored": sum(row["censored"] for row in rows),
        "observed_median_s": statistics.median(lengths) if rows else None,
        "observed_p90_s": float(np.quantile(lengths, 0.9)) if rows else None,
        "median_stay_s": kaplan_meier(rows, "dwell_s", lambda row: not row["censored"], 0.5),
        "p90_stay_s": kaplan_meier(rows, "dwell_s", lambda row: not row["censored"], 0.9),
    }


def visits(rows: Rows) -> Values:
    whole = [row["duration_s"] for row in rows if not row["censored"]]
    return {
        "visits": len(rows),
        "censored": len(rows) - len(whole),
        "median_duration_s": statistics.median(row["duration_s"] for row in rows) if rows else None,
        "whole_median_duration_s": statistics.median(whole) if whole else None,
    }


def bounce(rows: Rows) -> Values:
    whole = [row["duration_s"] for row in rows if not row["censored"]]
    short = sum(length < 60 for length in whole)
    return {"whole_visits": len(whole), "bounces": short, "bounce_share": share(short, len(whole))}


def groups(rows: Rows) -> Values:
    parties = {row["journey_id"] if row["group_id"] is None else row["group_id"] for row in rows}
    grouped = sum(row["group_id"] is not None for row in rows)
    return {
        "visits": len(rows),
        "parties": len(parties),
        "grouped_share": share(grouped, len(rows)),
        "party_size": len(rows) / len(parties) if parties else None,
    }


def staff_share(rows: Rows) -> Values:
    staff = sum(row["staff_probability"] >= 0.5 for row in rows)
    return {"visits": len(rows), "staff_visits": staff, "unassessed": 0, "staff_share": share(staff, len(rows))}


def dwell(rows: Rows) -> Values:
    times: dict[tuple[str, str], Row] = {}
    for row in rows:
        for stay in row["stays"]:
            found = times.setdefault((row["journey_id"], stay["zone_id"]), {"dwell_s": 0.0, "cut": False})
            found["dwell_s"] += stay["dwell_s"]
            at_an_end = stay["enter_us"] <= row["enter_us"] + 1e6 or stay["exit_us"] >= row["exit_us"] - 1e6
            found["cut"] |= row["censored"] and at_an_end
    found = list(times.values())
    total = sum(row["dwell_s"] for row in found)
    return {
        "visits": len(found),
        "censored": sum(row["cut"] for row in found),
        "total_s": total,
        "mean_s": total / len(found) if found else None,
        "median_dwell_s": kaplan_meier(found, "dwell_s", lambda row: not row["cut"], 0.5),
        "p90_dwell_s": kaplan_meier(found, "dwell_s", lambda row: not row["cut"], 0.9),
    }


def wait(rows: Rows) -> Values:
    served = [row["wait_s"] for row in rows if row["service_time"] is not None]

    def began(row: Row) -> bool:
        return row["service_time"] is not None

    return {
        "joined": len(rows),
        "services": len(served),
        "median_wait_s": kaplan_meier(rows, "wait_s", began, 0.5),
        "p90_wait_s": kaplan_meier(rows, "wait_s", began, 0.9),
        "observed_mean_s": statistics.mean(served) if served else None,
    }


def service(rows: Rows) -> Values:
    def ended(row: Row) -> bool:
        return bool(row["outcome"] == "served")

    return {
        "served": sum(map(ended, rows)),
        "median_service_s": kaplan_meier(rows, "service_s", ended, 0.5),
        "p90_service_s": kaplan_meier(rows, "service_s", ended, 0.9),
    }


def abandonment(rows: Rows) -> Values:
    ends = [row["outcome"] for row in rows]
    left, served = ends.count("abandoned"), ends.count("served")
    return {
        "abandoned": left,
        "served": served,
        "censored": ends.count("censored"),
        "abandonment_share": share(left, left + served),
    }


def queue_length(rows: Rows) -> Values:
    return {
        "mean": statistics.mean(row["queue_length_mean"] for row in rows) if rows else None,
        "max": max((row["queue_length_max"] for row in rows), default=None),
    }


def inside(rows: Rows) -> Values:
    ordered = [row["inside"] for row in sorted(rows, key=lambda row: row["at_us"])]
    if not rows:
        return {"max": None, "mean": None, "at_end": None}
    return {"max": max(ordered), "mean": statistics.mean(ordered), "at_end": ordered[-1]}


def frames(rows: Rows) -> Values:
    names = ("expected_frames", "processed_frames", "dropped_frames")
    expected, processed, dropped = (sum(row[name] for row in rows) for name in names)
    counts = dict(zip(names, (expected, processed, dropped), strict=True))
    return {**counts, "share": share(processed, expected)}


def heat(rows: Rows) -> Values:
    return {"presence_s": sum(row["presence_s"] for row in rows)}


def conversion(rows: Rows) -> Values:
    converted = sum(row["converted"] for row in rows)
    return {
        "visits": len(rows),
        "transactions": 0,
        "without_visit": 0,
        "converted_visits": converted,
        "conversion": share(converted, len(rows)),
    }


QUEUE = "SELECT *, epoch_us(join_time) AS at_us FROM queue_visits"
JOURNEYS = """SELECT * EXCLUDE (stays), epoch_us(enter_time) AS at_us, epoch_us(enter_time) AS enter_us,
    epoch_us(exit_time) AS exit_us, [{'zone_id': s.zone_id, 'dwell_s': s.dwell_s, 'enter_us': epoch_us(s.enter_time),
    'exit_us': epoch_us(s.exit_time)} FOR s IN stays] AS stays FROM journeys"""
BY_TIME = "SELECT *, epoch_us(time) AS at_us FROM "
STAYS = "SELECT *, epoch_us(enter_time) AS at_us FROM zone_visits WHERE zone_id <> 'pavement'"
BRUTE: dict[str, tuple[str, Callable[[Rows], Values]]] = {
    "line_in": (BY_TIME + "line_crossings", lambda rows: {"line_in": crossings(rows)["entries"]}),
    "line_out": (BY_TIME + "line_crossings", lambda rows: {"line_out": crossings(rows)["exits"]}),
    "footfall": (BY_TIME + "line_crossings", crossings),
    "occupancy": (BY_TIME + "occupancy", inside),
    "visits": (JOURNEYS, visits),
    "bounce": (JOURNEYS, bounce),
    "groups": (JOURNEYS, groups),
    "staff_share": (JOURNEYS, staff_share),
    "conversion": (JOURNEYS, conversion),
    "zone_visits": (STAYS, stays),
    "dwell": (JOURNEYS, dwell),
    "queue_length": (BY_TIME + "queue_metrics", queue_length),
    "wait": (QUEUE, wait),
    "service": (QUEUE, service),
    "abandonment": (QUEUE, abandonment),
    "heat": (BY_TIME + "heat", heat),
    "coverage": (BY_TIME + "coverage", frames),
}
