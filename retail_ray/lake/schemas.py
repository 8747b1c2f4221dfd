"""One Arrow schema per table of the lake; unit and meaning stand in the metadata of each field.

Decided once, for every table:
- An instant is `timestamp[us, UTC]`, named `time` or `…_time`: the same integer as the records' `…_us`.
- "None" is NULL: a NaN of a record (no calibration, no score) and `UNTRACKED` become NULL and come back.
- Text that repeats (ids, kinds, reasons) is dictionary-encoded.
- `date` (the business day) and `site` are no columns of the files but their folders' names.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 3
META_TABLE: Final = b"retail_ray.table"
META_VERSION: Final = b"retail_ray.schema_version"

_EVENT_TIME: Final = "us since 1970-01-01 UTC, event time"
_INSTANT = pa.timestamp("us", tz="UTC")
_WORD = pa.dictionary(pa.int32(), pa.string())
_STAYS = pa.list_(
    pa.struct(
        [
            pa.field("zone_id", pa.string(), nullable=False),
            pa.field("enter_time", _INSTANT, nullable=False),
            pa.field("exit_time", _INSTANT, nullable=False),
            pa.field("dwell_s", pa.float64(), nullable=False),
        ]
    )
)
MASK = pa.struct([pa.field("size", pa.list_(pa.int32())), pa.field("counts", pa.string())])


def _column(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, nullable: bool = False) -> pa.Field:
    metadata = {"meaning": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def _instant(name: str, meaning: str) -> pa.Field:
    return _column(name, _INSTANT, meaning, _EVENT_TIME)


def _camera() -> pa.Field:
    return _column("camera_id", _WORD, "camera that saw it")


def _local_id(*, nullable: bool = False) -> pa.Field:
    meaning = "tracklet of this camera and run" + ("; NULL where none took the box" if nullable else "")
    return _column("local_id", pa.int64(), meaning, nullable=nullable)


def _edge(name: str) -> pa.Field:
    meaning = "lower end of what is seen, native frame; NULL where it is the middle of the box's lower edge"
    return _column(name, pa.float32(), meaning, "px", nullable=True)


def _table(name: str, meaning: str, *columns: pa.Field) -> pa.Schema:
    common = [
        _column("site_id", _WORD, "site"),
        _column("run_id", _WORD, "run that wrote the row"),
        _column("config_version", _WORD, "version of geometry and settings, see table sites"),
    ]
    metadata = {META_TABLE: name, META_VERSION: str(SCHEMA_VERSION), "meaning": meaning}
    return pa.schema([*common, *columns], metadata=metadata)


TABLES: Final[dict[str, pa.Schema]] = {
    "detections": _table(
        "detections",
        "every person box of every analysed frame",
        _camera(),
        _column("frame_index", pa.int64(), "frame of the source, counted from 0, analysed or not"),
        _instant("time", "presentation time of the frame"),
        _column("x1_px", pa.float32(), "left edge in the native frame", "px"),
        _column("y1_px", pa.float32(), "upper edge in the native frame", "px"),
        _column("x2_px", pa.float32(), "right edge in the native frame", "px"),
        _column("y2_px", pa.float32(), "lower edge in the native frame", "px"),
        _column("confidence", pa.float32(), "the detector's confidence, 0 to 1"),
        _local_id(nullable=True),
        _column("foot_x_px", pa.float32(), "where the person touches the floor, native frame", "px"),
        _column("foot_y_px", pa.float32(), "where the person touches the floor, native frame", "px"),
        _column("foot_source", _WORD, "box, mask, or estimated where the feet are hidden"),
        _column("floor_x_m", pa.float64(), "foot point on the floor; NULL without calibration", "m", nullable=True),
        _column("floor_y_m", pa.float64(), "foot point on the floor; NULL without calibration", "m", nullable=True),
        _column(
            "visible_share",
            pa.float32(),
            "estimated share of the person not hidden, 0 to 1; NULL for a box without tracklet",
            nullable=True,
        ),
        _column("mask", MASK, "COCO run-length mask of key frames: size [height, width], counts", nullable=True),
        _edge("edge_x_px"),
        _edge("edge_y_px"),
    ),
    "tracklets": _table(
        "tracklets",
        "one camera's unbroken track of one person, written when it has ended",
        _camera(),
        _local_id(),
        _instant("first_time", "first frame of the tracklet; decides the business day"),
        _instant("last_time", "last frame of the tracklet"),
        _column("frames", pa.int64(), "analysed frames with a box of this tracklet"),
        _column("mean_confidence", pa.float64(), "mean confidence of its boxes, 0 to 1"),
        _column("path_m", pa.float64(), "length of its way on the floor; NULL without calibration", "m", nullable=True),
        _column("embedded_crops", pa.int64(), "crops that were described for identification"),
        _column("best_crop_quality", pa.float64(), "quality of its best crop, 0 to 1", nullable=True),
    ),
    "identity_events": _table(
        "identity_events",
        "append-only decisions of the gallery; the view tracklet_identity resolves them",
        _instant("time", "event time of the decision"),
        _column("sequence", pa.int64(), "order of the decisions of one run"),
        _column(
            "kind", _WORD, "session, create, assign, merge (identity absorbs other), split (tracklet leaves other)"
        ),
        _column("session_id", _WORD, "identity session; identities are numbered within it"),
        _column("identity_id", pa.int64(), "identity that the decision is about", nullable=True),
        _column(
            "other_identity_id",
            pa.int64(),
            "merge: the absorbed one; split: the one that the tracklet leaves",
            nullable=True,
        ),
        _column("camera_id", _WORD, "camera of the tracklet", nullable=True),
        _column("local_id", pa.int64(), "tracklet of that camera", nullable=True),
        _column(
            "score",
            pa.float64(),
            "log-likelihood ratio of the link; files of version 1: similarity, -1 to 1",
            "nats",
            nullable=True,
        ),
        _column(
            "margin",
            pa.float64(),
            "lead of the score over the next best alternative; files of version 1: of similarity",
            "nats",
            nullable=True,
        ),
        _column(
            "p_same",
            pa.float64(),
            "the gallery's probability that the link is right, 0 to 1; of a create, that nobody known is this person",
            nullable=True,
        ),
        _column("reason", _WORD, "why"),
    ),
    "line_crossings": _table(
        "line_crossings",
        "completed crossings of counting lines",
        _column("line_id", _WORD, "counting line"),
        _camera(),
        _local_id(),
        _instant("time", "interpolated instant of the crossing"),
        _column("direction", _WORD, "in or out"),
        _column("turned_back", pa.bool_(), "came back within min_inside_s: not counted as an entry or exit"),
    ),
    "zone_visits": _table(
        "zone_visits",
        "one stay of one tracklet in one zone, stamped at the first and last crossing of its border",
        _column("zone_id", _WORD, "zone"),
        _camera(),
        _local_id(),
        _instant("enter_time", "first crossing inwards; decides the business day"),
        _instant("exit_time", "last crossing outwards"),
        _column("dwell_s", pa.float64(), "exit_time - enter_time", "s"),
        _column("observed_s", pa.float64(), "part of the stay that was seen", "s"),
        _column("bridged_s", pa.float64(), "part of the stay that was bridged over gaps", "s"),
        _column("censored", pa.bool_(), "cut off by the start or end of the track or data: the true stay is longer"),
    ),
    "occupancy": _table(
        "occupancy",
        "people inside at the end of each minute, from the counting lines since the start of the day",
        _instant("time", "start of the minute"),
        _column("entries", pa.int64(), "entries since the start of the day", "people"),
        _column("exits", pa.int64(), "exits since the start of the day", "people"),
        _column("inside", pa.int64(), "entries - exits + corrections since the start of the day", "people"),
    ),
    "occupancy_corrections": _table(
        "occupancy_corrections",
        "every time the count of people inside was set to another number",
        _instant("time", "start of the minute whose end is the first with the new number"),
        _column("reason", _WORD, "seen_inside, below_zero, closed (left over after closing) or day_start"),
        _column("before", pa.int64(), "people inside by the count", "people"),
        _column("after", pa.int64(), "people inside from then on", "people"),
    ),
    "queue_visits": _table(
        "queue_visits",
        "one stay in a checkout lane, from joining the queue to leaving the lane",
        _column("lane_id", _WORD, "checkout lane"),
        _column("camera_id", _WORD, "camera of the tracklet that joined", nullable=True),
        _column("local_id", pa.int64(), "tracklet that joined; NULL where an identity alone is known", nullable=True),
        _column("session_id", _WORD, "identity session; NULL where one tracklet saw the whole stay", nullable=True),
        _column("identity_id", pa.int64(), "identity whose tracklets saw the stay together", nullable=True),
        _instant("join_time", "joined the queue; decides the business day"),
        _column("service_time", _INSTANT, "service began; NULL where it never did", _EVENT_TIME, nullable=True),
        _instant("leave_time", "left the lane, or was last seen there where censored"),
        _column("wait_s", pa.float64(), "join_time to service_time, to leave_time where never served", "s"),
        _column("service_s", pa.float64(), "service_time to leave_time; NULL where never served", "s", nullable=True),
        _column("outcome", _WORD, "served, abandoned (left while waiting) or censored (lost, or data ended)"),
    ),
    "queue_metrics": _table(
        "queue_metrics",
        "each lane in each covered minute, from its queue visits",
        _column("lane_id", _WORD, "checkout lane"),
        _instant("time", "start of the minute"),
        _column("queue_length_mean", pa.float64(), "mean number of people waiting over the minute", "people"),
        _column("queue_length_max", pa.int64(), "most people waiting at once in the minute", "people"),
        _column("joined", pa.int64(), "people who joined in the minute", "people"),
        _column("served", pa.int64(), "services that ended in the minute", "people"),
        _column("abandoned", pa.int64(), "people who left while waiting in the minute", "people"),
        _column("avg_wait_s", pa.float64(), "mean wait of services begun in it; NULL without", "s", nullable=True),
        _column("max_wait_s", pa.float64(), "longest wait reached in it, by those waiting on too", "s", nullable=True),
        _column("service_rate_per_h", pa.float64(), "services that ended in the minute times 60", "people/h"),
    ),
    "heat": _table(
        "heat",
        "presence per square of the floor and local hour; squares without presence have no row",
        _instant("time", "start of the local hour"),
        _column("x0_m", pa.float64(), "lower x of the square", "m"),
        _column("y0_m", pa.float64(), "lower y of the square", "m"),
        _column("cell_m", pa.float64(), "side of the square", "m"),
        _column("presence_s", pa.float64(), "time spent there by all people; one in several cameras counts once", "s"),
        _column("people", pa.int64(), "people followed over cameras; who comes back counts again", "people"),
    ),
    "journeys": _table(
        "journeys",
        "visits with their zone stays in order; of one identity and day the newest version holds, as a whole",
        _column("journey_id", pa.string(), "name of the visit, unique within site and run"),
        _column("session_id", _WORD, "identity session; NULL where the visit is no identity's", nullable=True),
        _column("identity_id", pa.int64(), "whose visit it is, as resolved when written", nullable=True),
        _instant("enter_time", "entry, or first sight where censored; decides the business day"),
        _instant("exit_time", "exit, or last sight where censored"),
        _column("duration_s", pa.float64(), "exit_time - enter_time", "s"),
        _column("censored", pa.bool_(), "entry or exit was not seen: the true visit is longer"),
        _column("stays", _STAYS, "zone stays in order of entering: zone_id, enter_time, exit_time, dwell_s"),
        _column(
            "p_same",
            pa.float64(),
            "probability that all its tracklets are one person, 0 to 1; NULL where a link has none",
            nullable=True,
        ),
        _column("converted", pa.bool_(), "bought something; NULL where nothing tells", nullable=True),
        _column("conversion_source", _WORD, "pos: a transaction; zone_inferred: was served", nullable=True),
        _column("group_id", pa.int64(), "visits of a day with the same number came together", nullable=True),
        _column("staff_probability", pa.float64(), "probability of being staff; NULL: not assessed", nullable=True),
        _column("version", pa.int64(), "epoch that derived the row"),
        _column("withdrawn", pa.bool_(), "the identity has no such visit any more"),
    ),
    "transactions": _table(
        "transactions",
        "sales as the tills wrote them, from imported files",
        _instant("time", "instant by the till's own clock; decides the business day"),
        _column("lane_id", _WORD, "checkout lane; NULL where the file names none", nullable=True),
        _column("transaction_id", pa.string(), "the till's number of the sale; once per lane and business day"),
        _column("amount", pa.float64(), "what was paid; NULL where not told", "currency", nullable=True),
        _column("currency", _WORD, "of the amount; NULL where not told", nullable=True),
    ),
    "conversions": _table(
        "conversions",
        "each transaction with the stay in a lane that it was joined with; of one day the newest version holds",
        _instant("till_time", "instant by the till's own clock; decides the business day"),
        _instant("time", "instant by the clock of the cameras; till_time where the offset is unknown"),
        _column("lane_id", _WORD, "checkout lane that the file names", nullable=True),
        _column("transaction_id", pa.string(), "the till's number of the sale"),
        _column("offset_s", pa.float64(), "till's clock minus cameras'; NULL: not found", "s", nullable=True),
        _column("uncertainty_s", pa.float64(), "standard error of offset_s", "s", nullable=True),
        _column("visit_run_id", _WORD, "run of the stay; NULL where no stay was found", nullable=True),
        _column("visit_lane_id", _WORD, "lane of the stay", nullable=True),
        _column("camera_id", _WORD, "as in the stay's row of queue_visits", nullable=True),
        _column("local_id", pa.int64(), "as in the stay's row of queue_visits", nullable=True),
        _column("session_id", _WORD, "as in the stay's row of queue_visits", nullable=True),
        _column("identity_id", pa.int64(), "as in the stay's row of queue_visits", nullable=True),
        _column("join_time", _INSTANT, "when the stay began", _EVENT_TIME, nullable=True),
        _column("leave_time", _INSTANT, "when the stay ended", _EVENT_TIME, nullable=True),
        _column("version", pa.int64(), "number of the import that joined it"),
    ),
    "alerts": _table(
        "alerts",
        "changes of state of alert rules: raised, cleared",
        _instant("time", "event time of the change"),
        _column("rule_id", _WORD, "rule"),
        _column("state", _WORD, "raised or cleared"),
        _column("severity", _WORD, "info, warning or critical"),
        _column("dedup_key", pa.string(), "one open alert per key; cleared ends the one that was raised"),
        _column("zone_id", _WORD, "zone that it is about", nullable=True),
        _column("lane_id", _WORD, "checkout lane that it is about", nullable=True),
        _column("camera_id", _WORD, "camera that it is about", nullable=True),
        _column("value", pa.float64(), "what was measured, in the rule's unit"),
        _column("threshold", pa.float64(), "what it was compared with, in the rule's unit"),
        _column("message", pa.string(), "the alert in words"),
    ),
    "coverage": _table(
        "coverage",
        "how much of each camera-minute was analysed; rows of one camera-minute add up",
        _camera(),
        _instant("time", "start of the minute"),
        _column("expected_frames", pa.int64(), "frames that should have been analysed", "frames"),
        _column("processed_frames", pa.int64(), "frames that were analysed", "frames"),
        _column("dropped_frames", pa.int64(), "frames that were dropped", "frames"),
        _column("reason", _WORD, "why frames are missing; empty when none is"),
    ),
    "sites": _table(
        "sites",
        "versioned geometry and settings",
        _instant("time", "event time from which a run used this version"),
        _column("name", pa.string(), "name for people"),
        _column("timezone", _WORD, "IANA timezone"),
        _column("day_start", _WORD, "local time at which a business day begins, HH:MM[:SS]"),
        _column("settings_json", pa.string(), "cameras, lines, zones and settings as JSON; no credentials"),
    ),
}

DAY_COLUMN: Final = {
    name: next(field.name for field in schema if pa.types.is_timestamp(field.type)) for name, schema in TABLES.items()
}
"""The instant of each table that decides a row's business day."""
