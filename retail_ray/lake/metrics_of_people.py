"""Metrics of visits: they rest on recognising people."""

from __future__ import annotations

from typing import Final

from retail_ray.lake.metric_types import TIME_GROUPS, Metric, Value

BOUNCE_S: Final = 60
"""A whole visit that is shorter is a bounce."""

_PEOPLE: Final = "people"
_VISITS: Final = Value("visits", "count(*)", "visits", "visits that began", 0)

PEOPLE_METRICS: Final = (
    Metric(
        "unique_visitors",
        "Unique visitors",
        "identities of a business day that were there for 3 s or crossed a line, as a range: each decision about a "
        "tracklet is wrong with its own probability, and a wrong one may hide a person or counts one twice",
        ("tracklets", "line_crossings", "identity_events"),
        None,
        (
            Value("visitors", "", _PEOPLE, "identities that were there long enough", 0),
            Value("expected", "", _PEOPLE, "people they are expected to be", 0),
            Value("low", "", _PEOPLE, "lower end of the 95 % interval", 0),
            Value("high", "", _PEOPLE, "upper end of the 95 % interval", 0),
        ),
        "estimated",
        additive=False,
        groups=("day",),
        grains=("day",),
        default_grain="day",
        version=4,
    ),
    Metric(
        "visits",
        "Visits",
        "from entry to exit of one identity; an absence above visit_gap_s or the end of the identity session ends it",
        ("journeys",),
        "visits",
        (
            _VISITS,
            Value("censored", "count(*) FILTER (censored)", "visits", "without a seen entry or exit", 0),
            Value(
                "median_duration_s", "quantile_cont(duration_s, 0.5)", "s", "median; too short as far as visits are cut"
            ),
            Value(
                "whole_median_duration_s",
                "quantile_cont(duration_s, 0.5) FILTER (NOT censored)",
                "s",
                "median of visits with entry and exit",
            ),
        ),
        "estimated",
        additive=False,
        groups=TIME_GROUPS,
    ),
    Metric(
        "bounce",
        "Bounces",
        f"whole visits shorter than {BOUNCE_S} s ÷ whole visits (entry and exit seen)",
        ("journeys",),
        "visits",
        (
            Value("whole_visits", "count(*) FILTER (NOT censored)", "visits", "with entry and exit", 0),
            Value(
                "bounces",
                f"count(*) FILTER (NOT censored AND duration_s < {BOUNCE_S})",
                "visits",
                f"of these shorter than {BOUNCE_S} s",
                0,
            ),
            Value(
                "bounce_share",
                f"count(*) FILTER (NOT censored AND duration_s < {BOUNCE_S}) "
                "/ nullif(count(*) FILTER (NOT censored), 0)",
                "share",
                "bounces ÷ whole visits",
            ),
        ),
        "estimated",
        additive=False,
        groups=TIME_GROUPS,
    ),
    Metric(
        "conversion",
        "Conversion",
        "pos: transactions ÷ visits, on days with imported transactions; zone_inferred: visits that were served ÷ "
        "visits. Each row says which: conversion_source",
        ("journeys", "conversions", "queue_visits", "identity_events"),
        "sales",
        (
            Value("visits", "count(*) FILTER (is_visit)", "visits", "visits that began", 0),
            Value("transactions", "count(*) FILTER (NOT is_visit)", "sales", "transactions, by the cameras' clock", 0),
            Value(
                "without_visit",
                "count(*) FILTER (NOT is_visit AND NOT fulfilled)",
                "sales",
                "transactions that found no visit",
                0,
            ),
            Value(
                "converted_visits",
                "count(*) FILTER (is_visit AND fulfilled)",
                "visits",
                "visits with a transaction (pos), or served (zone_inferred)",
                0,
            ),
            Value(
                "conversion",
                "CASE conversion_source WHEN 'pos' THEN count(*) FILTER (NOT is_visit) "
                "WHEN 'zone_inferred' THEN count(*) FILTER (is_visit AND fulfilled) END "
                "/ nullif(count(*) FILTER (is_visit), 0)",
                "share",
                "transactions ÷ visits (pos), or served visits ÷ visits (zone_inferred)",
            ),
        ),
        "inferred",
        additive=False,
        groups=TIME_GROUPS,
        always=("conversion_source",),
    ),
    Metric(
        "groups",
        "Groups",
        "visits that came together, and parties: groups and everybody who came alone",
        ("journeys",),
        "visits",
        (
            _VISITS,
            Value("parties", "count(DISTINCT (run_id, date, party))", "parties", "groups, and each one alone", 0),
            Value(
                "grouped_share",
                "count(group_id) / nullif(count(*), 0)",
                "share",
                "visits that came in a group ÷ visits",
            ),
            Value(
                "party_size",
                "count(*) / nullif(count(DISTINCT (run_id, date, party)), 0)",
                _PEOPLE,
                "visits ÷ parties",
            ),
        ),
        "estimated",
        additive=False,
        groups=TIME_GROUPS,
    ),
    Metric(
        "staff_share",
        "Share of staff",
        "visits of identities whose staff probability reaches 0.5 ÷ visits",
        ("journeys",),
        "visits",
        (
            _VISITS,
            Value("staff_visits", "count(*) FILTER (staff)", "visits", "visits of staff", 0),
            Value("unassessed", "count(*) FILTER (staff_probability IS NULL)", "visits", "taken for no staff", 0),
            Value("staff_share", "count(*) FILTER (staff) / nullif(count(*), 0)", "share", "staff visits ÷ visits"),
        ),
        "inferred",
        additive=False,
        groups=TIME_GROUPS,
        staff=False,
    ),
)
