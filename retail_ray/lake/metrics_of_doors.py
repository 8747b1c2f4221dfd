"""Metrics of doors: crossings, people inside, and who passed on."""

from __future__ import annotations

from typing import Final

from retail_ray.lake.metric_types import TIME_GROUPS, Metric, Value

_PEOPLE: Final = "people"
_ENTRIES: Final = "count(*) FILTER (direction = 'in' AND NOT turned_back)"
_EXITS: Final = "count(*) FILTER (direction = 'out' AND NOT turned_back)"

DOOR_METRICS: Final = (
    Metric(
        "line_in",
        "Crossings inwards",
        "tracklets that completed outside → inside of a counting line and did not turn back within min_inside_s",
        ("line_crossings",),
        "crossings",
        (Value("line_in", _ENTRIES, _PEOPLE, "crossings inwards", 0),),
        "measured",
        additive=True,
        groups=("line", "camera", *TIME_GROUPS),
    ),
    Metric(
        "line_out",
        "Crossings outwards",
        "tracklets that completed inside → outside of a counting line and did not turn back within min_inside_s",
        ("line_crossings",),
        "crossings",
        (Value("line_out", _EXITS, _PEOPLE, "crossings outwards", 0),),
        "measured",
        additive=True,
        groups=("line", "camera", *TIME_GROUPS),
    ),
    Metric(
        "footfall",
        "Footfall",
        "entries over all counting lines: events, not people; who comes again counts again",
        ("line_crossings",),
        "crossings",
        (
            Value("entries", _ENTRIES, _PEOPLE, "crossings inwards", 0),
            Value("exits", _EXITS, _PEOPLE, "crossings outwards", 0),
            Value(
                "turned_back",
                "count(*) FILTER (turned_back)",
                _PEOPLE,
                "crossings that turned back: neither entries nor exits",
                0,
            ),
        ),
        "measured",
        additive=True,
        groups=("line", "camera", *TIME_GROUPS),
    ),
    Metric(
        "occupancy",
        "People inside",
        "entries − exits of all counting lines since the start of the business day, never below zero, at the end of "
        "each minute",
        ("occupancy",),
        "occupancy",
        (
            Value("max", "greatest(max(inside), 0)", _PEOPLE, "most at the end of a minute"),
            Value("mean", "avg(greatest(inside, 0))", _PEOPLE, "mean over the minutes on record"),
            Value(
                "at_end", "greatest(last(inside ORDER BY at_us, run_id), 0)", _PEOPLE, "at the end of the newest minute"
            ),
        ),
        "measured",
        additive=False,
        groups=TIME_GROUPS,
        staff=False,
    ),
    Metric(
        "capture_rate",
        "Capture rate",
        "entries ÷ passers-by at the door; passers-by are the entries and those who passed on: passages of one person "
        "through zones of kind outside, sights within 60 s taken together, without a crossing of that person within "
        "10 s of it",
        ("line_crossings", "zone_visits", "identity_events", "sites"),
        "door",
        (
            Value("entries", "count(*) FILTER (entered)", _PEOPLE, "crossings inwards", 0),
            Value("passers_by", "count(*)", _PEOPLE, "entries and those who passed on", 0),
            Value("capture_rate", "count(*) FILTER (entered) / nullif(count(*), 0)", "share", "entries ÷ passers-by"),
        ),
        "estimated",
        additive=False,
        groups=TIME_GROUPS,
    ),
)
