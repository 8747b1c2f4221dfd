"""Metrics of zones, lanes and floor, and how much of it all was seen."""

from __future__ import annotations

from typing import Final

from retail_ray.lake.metric_types import TIME_GROUPS, Metric, Survival, Value

_PEOPLE: Final = "people"


def _median_and_p90(name: str, unit: str = "s") -> tuple[Value, Value]:
    return (
        Value(f"median_{name}_s", "", unit, "Kaplan-Meier median; none where too many are cut off"),
        Value(f"p90_{name}_s", "", unit, "Kaplan-Meier 90th percentile; none where too many are cut off"),
    )


PLACE_METRICS: Final = (
    Metric(
        "zone_visits",
        "Stays in zones",
        "stays of one tracklet in one zone of at least min_dwell_s, from the first crossing of its border to the last; "
        "zones of kind outside are left out",
        ("zone_visits", "sites"),
        "stays",
        (
            Value("stays", "count(*)", "stays", "stays that began", 0),
            Value("censored", "count(*) FILTER (censored)", "stays", "cut off by track or data: truly longer", 0),
            Value("observed_median_s", "quantile_cont(dwell_s, 0.5)", "s", "median as seen; too short where cut off"),
            Value("observed_p90_s", "quantile_cont(dwell_s, 0.9)", "s", "90th percentile as seen"),
            *_median_and_p90("stay"),
        ),
        "measured",
        additive=False,
        groups=("zone", "camera", *TIME_GROUPS),
        survival=Survival("dwell_s", "NOT censored", {"median_stay_s": 0.5, "p90_stay_s": 0.9}),
    ),
    Metric(
        "dwell",
        "Dwell",
        "sum of the stays of one visit in one zone, by the beginning of the visit; cut off where the visit was, at the "
        "stay that touches its seen end",
        ("journeys",),
        "visit_dwells",
        (
            Value("visits", "count(*)", "visits", "visits with a stay in the zone", 0),
            Value("censored", "count(*) FILTER (cut)", "visits", "whose dwell is cut off", 0),
            Value("total_s", "sum(dwell_s)", "s", "time of all visits in the zone together", 0),
            Value("mean_s", "avg(dwell_s)", "s", "mean as seen"),
            *_median_and_p90("dwell"),
        ),
        "estimated",
        additive=False,
        groups=("zone", *TIME_GROUPS),
        survival=Survival("dwell_s", "NOT cut", {"median_dwell_s": 0.5, "p90_dwell_s": 0.9}),
    ),
    Metric(
        "queue_length",
        "Queue length",
        "people of a lane who have joined and are neither served nor gone, over the minutes on record; without "
        "grouping by lane: per lane",
        ("queue_metrics",),
        "queue_minutes",
        (
            Value("mean", "avg(queue_length_mean)", _PEOPLE, "mean over lanes and minutes"),
            Value("max", "max(queue_length_max)", _PEOPLE, "most in one lane at once"),
        ),
        "measured",
        additive=False,
        groups=("lane", *TIME_GROUPS),
        staff=False,
    ),
    Metric(
        "wait",
        "Wait",
        "from joining a queue to the beginning of the service, by the time of joining; Kaplan-Meier, where those who "
        "left or were lost before waited at least so long",
        ("queue_visits",),
        "queue_visits",
        (
            Value("joined", "count(*)", "stays", "stays that began", 0),
            Value("services", "count(*) FILTER (service_began)", "stays", "whose service began", 0),
            *_median_and_p90("wait"),
            Value(
                "observed_mean_s", "avg(wait_s) FILTER (service_began)", "s", "mean wait of those whose service began"
            ),
        ),
        "measured",
        additive=False,
        groups=("lane", *TIME_GROUPS),
        survival=Survival("wait_s", "service_began", {"median_wait_s": 0.5, "p90_wait_s": 0.9}),
    ),
    Metric(
        "service",
        "Service",
        "from the beginning of the service to leaving the lane; Kaplan-Meier, where those lost from sight were served "
        "at least so long",
        ("queue_visits",),
        "queue_visits",
        (
            Value("served", "count(*) FILTER (outcome = 'served')", "stays", "services that ended", 0),
            *_median_and_p90("service"),
        ),
        "measured",
        additive=False,
        groups=("lane", *TIME_GROUPS),
        survival=Survival("service_s", "outcome = 'served'", {"median_service_s": 0.5, "p90_service_s": 0.9}),
    ),
    Metric(
        "abandonment",
        "Abandonment",
        "stays that left the queue while waiting ÷ (those and the ones served); a lost track is neither",
        ("queue_visits",),
        "queue_visits",
        (
            Value("abandoned", "count(*) FILTER (outcome = 'abandoned')", "stays", "left while waiting", 0),
            Value("served", "count(*) FILTER (outcome = 'served')", "stays", "were served", 0),
            Value("censored", "count(*) FILTER (outcome = 'censored')", "stays", "lost from sight", 0),
            Value(
                "abandonment_share",
                "count(*) FILTER (outcome = 'abandoned') / nullif(count(*) FILTER (outcome <> 'censored'), 0)",
                "share",
                "abandoned ÷ (abandoned + served)",
            ),
        ),
        "measured",
        additive=False,
        groups=("lane", *TIME_GROUPS),
    ),
    Metric(
        "heat",
        "Heat",
        "time that people spent in each square of the floor; who is in several cameras counts once",
        ("heat",),
        "heat",
        (Value("presence_s", "sum(presence_s)", "s", "time of all people together", 0),),
        "measured",
        additive=True,
        groups=("cell", *TIME_GROUPS),
        grains=("hour", "day"),
        staff=False,
    ),
    Metric(
        "coverage",
        "Coverage",
        "analysed ÷ expected frames of the camera-minutes on record",
        ("coverage",),
        "coverage",
        (
            Value("expected_frames", "sum(expected_frames)", "frames", "that should have been analysed", 0),
            Value("processed_frames", "sum(processed_frames)", "frames", "that were analysed", 0),
            Value("dropped_frames", "sum(dropped_frames)", "frames", "that were dropped", 0),
            Value(
                "share",
                "sum(processed_frames) / nullif(sum(expected_frames), 0)",
                "share",
                "analysed ÷ expected; minutes without record are not in it",
            ),
        ),
        "measured",
        additive=False,
        groups=("camera", *TIME_GROUPS),
        staff=False,
    ),
)
