"""Rows of the lake that speak of visits, queues, heat and alerts; see `core/records.py` for what cameras report.

A person is named by a tracklet (camera_id, local_id), which the identity map resolves, by an identity
(session_id, identity_id), or by both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S

QueueOutcome = Literal["served", "abandoned", "censored"]
ConversionSource = Literal["pos", "zone_inferred"]
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class QueueVisit:
    """One stay in a lane, from joining the queue to leaving the lane.

    service_us: when the service began, None where it never did. outcome: 'abandoned' left while waiting, 'censored'
    was lost or still there when the data ended, so that wait or service lasted longer than what was seen.
    """

    lane_id: str
    camera_id: str | None
    local_id: int | None
    session_id: str | None
    identity_id: int | None
    join_us: int
    service_us: int | None
    leave_us: int
    outcome: QueueOutcome

    def __post_init__(self) -> None:
        if (self.camera_id is None or self.local_id is None) and (self.session_id is None or self.identity_id is None):
            raise DataError(f"queue visit of lane '{self.lane_id}' at {self.join_us} us names no tracklet or identity")

    @property
    def wait_s(self) -> float:
        """From joining to the service, or to leaving where there was none."""
        until_us = self.leave_us if self.service_us is None else self.service_us
        return (until_us - self.join_us) / US_PER_S

    @property
    def service_s(self) -> float | None:
        return None if self.service_us is None else (self.leave_us - self.service_us) / US_PER_S


@dataclass(frozen=True, slots=True)
class QueueMinute:
    """One lane in one minute, from its queue visits.

    queue_length_mean, _max: people who have joined and are neither served nor gone, over the minute's time.
    avg_wait_s: mean wait of those whose service began in the minute. max_wait_s: the longest wait anybody had
    reached in the minute, those who wait on included. NaN where nobody did. service_rate_per_h: services
    that ended in the minute, times 60.
    """

    lane_id: str
    minute_us: int
    queue_length_mean: float
    queue_length_max: int
    joined: int
    served: int
    abandoned: int
    avg_wait_s: float
    max_wait_s: float
    service_rate_per_h: float


@dataclass(frozen=True, slots=True)
class HeatCell:
    """Presence in one square of the floor in one local hour; a person seen by several cameras counts once.

    x0_m, y0_m: corner with the smallest coordinates. people: different people as far as they were followed.
    """

    time_us: int
    x0_m: float
    y0_m: float
    cell_m: float
    presence_s: float
    people: int


@dataclass(frozen=True, slots=True)
class JourneyStay:
    """One stay in a zone during a journey."""

    zone_id: str
    enter_us: int
    exit_us: int

    @property
    def dwell_s(self) -> float:
        return (self.exit_us - self.enter_us) / US_PER_S


@dataclass(frozen=True, slots=True)
class Journey:
    """One visit with its zone stays in order of entering.

    censored: entry or exit was not seen, so enter_us or exit_us is only the first or last sight. p_same: probability
    that all tracklets of the journey are one person, NaN where some link has none. converted: None where nothing
    tells; conversion_source says what does. group_id: visits with the same number on one day came together.
    staff_probability: NaN where not assessed. version: the epoch that derived the row; of one identity and business
    day the newest version holds, as a whole. withdrawn: the identity has no such visit any more.
    """

    journey_id: str
    session_id: str | None
    identity_id: int | None
    enter_us: int
    exit_us: int
    censored: bool
    stays: tuple[JourneyStay, ...]
    p_same: float
    converted: bool | None
    conversion_source: ConversionSource | None
    group_id: int | None
    staff_probability: float
    version: int = 0
    withdrawn: bool = False

    @property
    def duration_s(self) -> float:
        return (self.exit_us - self.enter_us) / US_PER_S


@dataclass(frozen=True, slots=True)
class Transaction:
    """One sale as a till wrote it. time_us: by the till's clock. amount: NaN where not told. lane_id: None where no
    lane is told.
    """

    time_us: int
    lane_id: str | None
    transaction_id: str
    amount: float
    currency: str | None


@dataclass(frozen=True, slots=True)
class Conversion:
    """One transaction and the stay in a lane that it was joined with, as of import `version`.

    till_us: by the till's clock; time_us: by that of the cameras, the same where the offset is unknown. offset_s: till
    minus cameras, with its standard error uncertainty_s; both NaN where no offset was found. visit_run_id,
    visit_lane_id, join_us, leave_us and camera_id, local_id or session_id, identity_id name the stay; all None where
    none was found.
    """

    till_us: int
    time_us: int
    lane_id: str | None
    transaction_id: str
    offset_s: float
    uncertainty_s: float
    visit_run_id: str | None
    visit_lane_id: str | None
    camera_id: str | None
    local_id: int | None
    session_id: str | None
    identity_id: int | None
    join_us: int | None
    leave_us: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule's change of state. dedup_key: one open alert per key; 'cleared' ends the one that 'raised' it.

    zone_id, lane_id, camera_id: what it is about, where it is one of these. value, threshold: in the rule's unit.
    """

    time_us: int
    rule_id: str
    state: Literal["raised", "cleared"]
    severity: Severity
    dedup_key: str
    zone_id: str | None
    lane_id: str | None
    camera_id: str | None
    value: float
    threshold: float
    message: str
