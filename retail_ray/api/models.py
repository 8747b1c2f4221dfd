"""Bodies of the answers. Instants are ISO 8601 with the site's offset."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class HealthBody(_Body):
    """The process answers."""

    status: Literal["ok", "ready"]


class CoverageBody(_Body):
    """How much of the asked interval the answer rests on."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    expected_frames: int
    processed_frames: int
    dropped_frames: int
    share: Share | None = Field(description="Processed ÷ expected frames of the minutes on record; null: none is.")
    asked_camera_minutes: int
    recorded_camera_minutes: int
    interval_share: Share | None = Field(
        description="Share of all asked camera-minutes that was analysed, minutes without record counting 0."
    )


class _Answer(_Body):
    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: CoverageBody


class CrossingsBody(_Body):
    """Completed crossings; those that turned back are neither entries nor exits."""

    entries: int
    exits: int
    turned_back: int


class BucketBody(CrossingsBody):
    """Crossings of one minute, hour or business day."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    interval_share: Share | None = Field(description="Coverage of this bucket, as in `coverage`.")


class LineBody(CrossingsBody):
    """Crossings of one counting line."""

    line_id: str
    buckets: list[BucketBody]


class FootfallAnswer(_Answer):
    """Entries and exits per bucket, of all asked lines together and of each line with crossings."""

    by: Literal["minute", "hour", "day"]
    total: CrossingsBody
    buckets: list[BucketBody]
    lines: list[LineBody]


class OccupancyBody(_Body):
    """People inside at the end of one minute: entries - exits since the start of the day."""

    time: datetime
    entries: int
    exits: int
    inside: int


class SetAsideBody(_Body):
    """Rows of this run that identities do without; the lake has their boxes all the same."""

    late: int = Field(description="Came after their time was worked: more than `allowed_lateness_s` behind.")
    duplicate: int = Field(description="Told twice.")
    untracked: int = Field(description="Without a track.")
    invalid: int = Field(description="Without a finite foot point, or an embedding of length zero.")


class LiveBody(_Body):
    """The running site."""

    time: datetime
    people_now: int
    session_id: str
    set_aside: SetAsideBody


class StatsAnswer(_Answer):
    """Totals of the interval. identities: different people recognised across cameras."""

    entries: int
    exits: int
    turned_back: int
    tracklets: int
    identities: int
    unidentified_tracklets: int
    zone_visits: int
    occupancy: OccupancyBody | None = Field(description="Newest minute of the interval; null where none is on record.")
    live: LiveBody | None = Field(description="null while no site is running.")


class ZoneBody(_Body):
    """Stays in one zone. Medians and P90 are of observed lengths; the survival estimates allow for cut-off stays."""

    zone_id: str
    name: str
    visits: int
    censored: int = Field(description="Stays cut off by the start or end of a track or of the data.")
    people: int
    median_dwell_s: float | None
    p90_dwell_s: float | None
    survival_median_dwell_s: float | None
    survival_p90_dwell_s: float | None


class ZonesAnswer(_Answer):
    """A summary of every zone of the site."""

    zones: list[ZoneBody]


class IdentityBody(_Body):
    """A person within one identity session."""

    session_id: str
    identity_id: int


class _TrackletBody(_Body):
    camera_id: str
    run_id: str
    local_id: int
    identity: IdentityBody | None


class VisitBody(_TrackletBody):
    """One stay of one tracklet."""

    enter_time: datetime
    exit_time: datetime
    dwell_s: float
    observed_s: float
    bridged_s: float
    censored: bool


class VisitsAnswer(_Answer):
    """Stays in one zone in order of entering, and their summary over the whole interval."""

    zone: ZoneBody
    visits: list[VisitBody]
    next_cursor: str | None


class TrackBody(_TrackletBody):
    """One camera's unbroken track of one person."""

    first_time: datetime
    last_time: datetime
    frames: int
    mean_confidence: float
    path_m: float | None


class TracksAnswer(_Answer):
    """Tracklets in order of their beginning."""

    tracks: list[TrackBody]
    next_cursor: str | None


class StayBody(_Body):
    """One stay in a zone during a journey; several cameras and tracklets may have seen it."""

    zone_id: str
    enter_time: datetime
    exit_time: datetime
    dwell_s: float


class JourneyBody(_Body):
    """One visit of one identity, from entry to exit."""

    journey_id: str
    run_id: str
    identity: IdentityBody | None
    enter_time: datetime
    exit_time: datetime
    duration_s: float
    censored: bool = Field(description="Entry or exit was not seen: the true visit is longer.")
    p_same: float | None = Field(description="Probability that all its tracklets are one person; null: not known.")
    converted: bool | None
    conversion_source: str | None
    group_id: int | None
    staff_probability: float | None = Field(description="null: not assessed.")
    stays: list[StayBody]


class JourneysAnswer(_Answer):
    """Journeys that begin in the interval, in order of entering; the totals are of all pages."""

    journeys_total: int
    censored: int
    median_duration_s: float | None = Field(description="Of observed lengths: a lower bound as far as cut off.")
    whole_median_duration_s: float | None = Field(description="Of the journeys with entry and exit.")
    journeys: list[JourneyBody]
    next_cursor: str | None


class PeopleRangeBody(_Body):
    """A number of people that is estimated: expected value, and 95 % interval."""

    expected: float
    low: int
    high: int
    estimated: Literal[True] = True


class VisitorsBody(_Body):
    """Different people of one business day."""

    day: date
    visitors: int = Field(description="Identities seen for 3 s or more, or that crossed a counting line.")
    too_short: int = Field(description="Identities that were seen for less, and left out.")
    people: PeopleRangeBody = Field(description="How many people the visitors are, as links may be wrong.")
    links: int = Field(description="Decisions that put tracklets together.")
    unassessed_links: int = Field(description="Those without a probability; they are taken as right.")


class HeadcountBody(_Body):
    """Journeys that begin in the interval, raw and without staff side by side."""

    visits: int
    visits_without_staff: int
    people: int = Field(description="Identities of these journeys.")
    people_without_staff: int
    parties: int = Field(description="Groups that came together, and everybody who came alone.")
    parties_without_staff: int
    unassessed: int = Field(description="Journeys without a staff probability, as in a run that has not ended.")
    staff_from: float = Field(description="Probability from which on an identity is held for staff.")


class VisitorsAnswer(_Answer):
    """Unique visitors of each business day that the interval touches and that has any."""

    days: list[VisitorsBody]
    headcount: HeadcountBody


class LiveCameraBody(_Body):
    """A camera of the running site."""

    status: Literal["running", "connecting", "ended", "failed"]
    last_frame_time: datetime | None
    processed_frames: int
    dropped_frames: int
    detail: str


class CameraBody(_Body):
    """Coverage of one camera, and its state where it runs."""

    camera_id: str
    name: str
    expected_frames: int
    processed_frames: int
    dropped_frames: int
    share: Share | None
    asked_minutes: int
    recorded_minutes: int
    interval_share: Share
    reasons: list[str] = Field(description="Why frames are missing.")
    last_minute: datetime | None
    live: LiveCameraBody | None


class CamerasAnswer(_Answer):
    """Every camera of the site."""

    cameras: list[CameraBody]


class NamedBody(_Body):
    """Something with an id and a name for people."""

    id: str
    name: str


class SiteAnswer(_Body):
    """The site, and the business days for which the lake has analysed video."""

    id: str
    name: str
    timezone: str
    day_start: str
    today: date
    default_day: date = Field(description="Business day of answers to questions without an interval.")
    days_on_record: list[date]
    cameras: list[NamedBody]
    lines: list[NamedBody]
    zones: list[NamedBody]


class ResetAnswer(_Body):
    """A new identity session has begun; no row was deleted."""

    session_id: str
    reset_time: datetime
    deleted_rows: Literal[0]
