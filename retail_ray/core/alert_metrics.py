"""What alert rules can be about: one vocabulary for the configuration, the engine and the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SubjectKind = Literal["site", "zone", "lane", "line", "camera"]
MetricName = Literal[
    "occupancy",
    "zone_occupancy",
    "dwell_s",
    "queue_length",
    "wait_s",
    "entries",
    "exits",
    "camera_silent_s",
    "coverage",
]


@dataclass(frozen=True, slots=True)
class AlertMetric:
    """subject: what there is one value of. counted: events within the last `per_s` of the rule."""

    subject: SubjectKind
    unit: str
    meaning: str
    counted: bool = False


ALERT_METRICS: Final[dict[MetricName, AlertMetric]] = {
    "occupancy": AlertMetric("site", "people", "people inside now"),
    "zone_occupancy": AlertMetric("zone", "tracklets", "open stays; somebody whom two cameras see counts twice"),
    "dwell_s": AlertMetric("zone", "s", "how long the longest open stay has lasted"),
    "queue_length": AlertMetric("lane", "people", "people who wait now"),
    "wait_s": AlertMetric("lane", "s", "how long the longest of those who wait has waited"),
    "entries": AlertMetric("line", "crossings", "entries within the last `per_s`", counted=True),
    "exits": AlertMetric("line", "crossings", "exits within the last `per_s`", counted=True),
    "camera_silent_s": AlertMetric("camera", "s", "time since the last analysed frame, while its video goes on"),
    "coverage": AlertMetric("camera", "share", "analysed ÷ expected frames of the last whole minute, 0 to 1"),
}

CAMERA_RULE_IDS: Final = ("camera_moved", "camera_blocked", "camera_dark")
"""Rules that every watched camera has by itself; see `watch_view`."""
