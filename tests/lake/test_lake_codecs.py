from __future__ import annotations

import dataclasses
import io
from datetime import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retail_ray.core.errors import DataError, LakeError
from retail_ray.core.records import (
    CoverageRow,
    DetectionRows,
    IdentityEvent,
    LineCrossing,
    OccupancyCorrection,
    OccupancyRow,
    TrackletRow,
    ZoneVisit,
)
from retail_ray.core.retail_records import (
    Alert,
    Conversion,
    HeatCell,
    Journey,
    JourneyStay,
    QueueMinute,
    QueueVisit,
    Transaction,
)
from retail_ray.core.time import BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext, SiteRow, decode, encode, split_by_day, to_parquet
from retail_ray.lake.schemas import DAY_COLUMN, META_TABLE, META_VERSION, SCHEMA_VERSION, TABLES

CONTEXT = RowContext("shop-1", "r1", "c1")
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.integers(0, 1 << 62)
instants = st.integers(0, 4_102_444_800_000_000)
numbers = st.floats(allow_nan=False)
or_nan = st.floats()
maybe = {"word": st.none() | words, "id": st.none() | ids, "instant": st.none() | instants}
by_tracklet = st.tuples(words, ids, maybe["word"], maybe["id"])
by_identity = st.tuples(maybe["word"], maybe["id"], words, ids)
severities = st.sampled_from(["info", "warning", "critical"])

ROWS: dict[str, st.SearchStrategy[Any]] = {
    "tracklets": st.builds(
        TrackletRow, words, ids, instants, instants, ids, numbers, path_m=or_nan, embedded_crops=ids,
        best_crop_quality=or_nan,
    ),
    "identity_events": st.builds(
        IdentityEvent, instants, ids, st.sampled_from(["session", "create", "assign", "merge", "split"]), words,
        st.none() | ids, st.none() | ids, st.none() | words, st.none() | ids, or_nan, or_nan, words, or_nan,
    ),
    "line_crossings": st.builds(
        LineCrossing, words, words, ids, instants, st.sampled_from(["in", "out"]), st.booleans(),
    ),
    "zone_visits": st.builds(ZoneVisit, words, words, ids, instants, instants, numbers, numbers, st.booleans()),
    "occupancy": st.builds(OccupancyRow, instants, ids, ids, st.integers(-50, 50)),
    "occupancy_corrections": st.builds(
        OccupancyCorrection, instants, st.sampled_from(["seen_inside", "below_zero", "closed", "day_start"]), ids, ids,
    ),
    "queue_visits": st.builds(
        lambda lane, who, *rest: QueueVisit(lane, *who, *rest), words, by_tracklet | by_identity, instants,
        maybe["instant"], instants, st.sampled_from(["served", "abandoned", "censored"]),
    ),
    "queue_metrics": st.builds(QueueMinute, words, instants, numbers, ids, ids, ids, ids, or_nan, or_nan, numbers),
    "heat": st.builds(HeatCell, instants, numbers, numbers, numbers, numbers, ids),
    "journeys": st.builds(
        Journey, words, maybe["word"], maybe["id"], instants, instants, st.booleans(),
        st.lists(st.builds(JourneyStay, words, instants, instants), max_size=4).map(tuple), numbers,
        st.none() | st.booleans(), st.none() | st.sampled_from(["pos", "zone_inferred"]), maybe["id"], or_nan,
    ),
    "alerts": st.builds(
        Alert, instants, words, st.sampled_from(["raised", "cleared"]), severities, words, maybe["word"],
        maybe["word"], maybe["word"], numbers, numbers, words,
    ),
    "transactions": st.builds(Transaction, instants, maybe["word"], words, or_nan, maybe["word"]),
    "conversions": st.builds(
        Conversion, instants, instants, maybe["word"], words, or_nan, or_nan, maybe["word"], maybe["word"],
        maybe["word"], maybe["id"], maybe["word"], maybe["id"], maybe["instant"], maybe["instant"], ids,
    ),
    "coverage": st.builds(CoverageRow, words, instants, ids, ids, ids, words),
    "sites": st.builds(SiteRow, instants, words, words, words, words),
}  # fmt: skip


def rle_counts() -> st.SearchStrategy[bytes]:
    return st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=20).map(str.encode)


@st.composite
def detection_rows(draw: st.DrawFn) -> DetectionRows:
    n = draw(st.integers(0, 6))

    def floats(shape: Any, dtype: Any, **options: Any) -> Any:
        elements = st.floats(width=np.dtype(dtype).itemsize * 8, allow_subnormal=False, **options)
        return draw(hnp.arrays(dtype, shape, elements=elements))

    masks = tuple(draw(st.lists(st.none() | rle_counts(), min_size=n, max_size=n)))
    has_mask = any(mask is not None for mask in masks)
    return DetectionRows(
        camera_id=draw(st.sampled_from(["door", "aisle"])),
        frame_index=draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1 << 40))),
        time_us=draw(hnp.arrays(np.int64, n, elements=instants)),
        xyxy_px=floats((n, 4), np.float32, allow_nan=False, allow_infinity=False),
        confidence=floats(n, np.float32, min_value=0, max_value=1),
        local_id=draw(hnp.arrays(np.int64, n, elements=st.integers(-1, 1 << 40))),
        foot_px=floats((n, 2), np.float32, allow_nan=False, allow_infinity=False),
        foot_source=draw(hnp.arrays(np.int8, n, elements=st.integers(0, 2))),
        floor_xy_m=floats((n, 2), np.float64),
        visible_share=draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32) | st.just(np.nan))),
        mask_rle=masks,
        mask_hw=(draw(st.integers(1, 5000)), 720) if has_mask else (0, 0),
    )


def reread(data: pa.Table) -> pa.Table:
    return pq.read_table(io.BytesIO(to_parquet(data)))


@pytest.mark.parametrize("table", ROWS)
def test_rows_come_back_from_parquet(table: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(ROWS[table], max_size=12))
    def check(records: list[Record]) -> None:
        data = encode(table, records, CONTEXT)
        assert data.schema.equals(TABLES[table], check_metadata=True)
        back = decode(table, reread(data))
        assert repr(back) == repr(records)  # repr: NaN equals itself, and 0.0 does not equal -0.0

    check()


@settings(max_examples=80, deadline=None)
@given(st.lists(detection_rows(), max_size=4))
def test_detections_come_back_from_parquet(records: list[DetectionRows]) -> None:
    back = decode("detections", reread(encode("detections", records, CONTEXT)))
    merged: dict[str, list[np.ndarray[Any, Any]]] = {}
    for side, rows in (("before", records), ("after", back)):
        for field in ("frame_index", "time_us", "xyxy_px", "confidence", "local_id", "foot_px", "foot_source",
                      "floor_xy_m", "visible_share"):  # fmt: skip
            parts = [getattr(row, field) for row in rows if len(row)]
            merged.setdefault(field, []).append(np.concatenate(parts) if parts else np.zeros(0))
        flat = [(row.camera_id, counts, counts and row.mask_hw) for row in rows for counts in row.mask_rle]
        merged.setdefault("masks", []).append(np.array([repr(item) for item in flat], dtype=object))
        assert side in ("before", "after")
    for field, (before, after) in merged.items():
        assert before.dtype == after.dtype, field
        np.testing.assert_array_equal(before, after, err_msg=field)


def test_one_batch_comes_back_as_one() -> None:
    rows = DetectionRows(
        "door", np.array([3], np.int64), np.array([7], np.int64), np.array([[1, 2, 3, 4]], np.float32),
        np.array([0.5], np.float32), np.array([-1], np.int64), np.array([[2, 4]], np.float32), np.array([1], np.int8),
        np.array([[np.nan, np.nan]]), np.array([1], np.float32), (b"0PaA",), (720, 1280),
    )  # fmt: skip
    (back,) = decode("detections", reread(encode("detections", [rows], CONTEXT)))
    assert isinstance(back, DetectionRows)
    assert (back.mask_hw, back.mask_rle, back.local_id.tolist()) == ((720, 1280), (b"0PaA",), [-1])
    stored = encode("detections", [rows], CONTEXT).to_pylist()[0]
    assert stored["mask"] == {"size": [720, 1280], "counts": "0PaA"}
    assert stored["local_id"] is None
    assert stored["floor_x_m"] is None
    assert stored["foot_source"] == "mask"


def test_same_rows_give_same_bytes_and_other_rows_do_not() -> None:
    rows = [OccupancyRow(60_000_000 * i, i, i // 2, i - i // 2) for i in range(500)]
    one = to_parquet(encode("occupancy", rows, CONTEXT))
    in_parts = pa.concat_tables([encode("occupancy", part, CONTEXT) for part in (rows[:123], rows[123:])])
    assert one == to_parquet(encode("occupancy", list(rows), CONTEXT)) == to_parquet(in_parts)
    rows[7] = dataclasses.replace(rows[7], inside=99)
    assert one != to_parquet(encode("occupancy", rows, CONTEXT))


def test_every_column_says_what_it_means_also_in_the_file() -> None:
    for name, schema in TABLES.items():
        stored = pq.read_schema(io.BytesIO(to_parquet(encode(name, [], CONTEXT))))
        assert stored.metadata[META_TABLE].decode() == name
        assert int(stored.metadata[META_VERSION]) == SCHEMA_VERSION
        for field in schema:
            assert stored.field(field.name).metadata[b"meaning"], (name, field.name)
            suffix = field.name.rsplit("_", 1)[-1]
            if suffix in ("px", "m", "s"):
                assert stored.field(field.name).metadata[b"unit"].decode() == suffix, (name, field.name)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Europe/Berlin", "America/St_Johns"])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=20), st.times())
def test_each_row_goes_to_its_business_day(zone: str, minutes: list[int], starts: time) -> None:
    from datetime import UTC, datetime

    day = BusinessDay(zone, starts)
    base = to_us(datetime(2026, 3, 28, tzinfo=UTC))  # the night in which Berlin's clocks change
    rows = [LineCrossing("l", "c", i, base + minute * 60_000_000, "in", False) for i, minute in enumerate(minutes)]
    split = split_by_day("line_crossings", encode("line_crossings", rows, CONTEXT), day)
    assert list(split) == sorted(split)
    back = {row.local_id: date for date, part in split.items() for row in decode("line_crossings", part)}  # type: ignore[union-attr]
    assert back == {row.local_id: day.date_of(row.time_us) for row in rows}


def test_a_stay_belongs_to_the_day_it_began() -> None:
    assert DAY_COLUMN["zone_visits"] == "enter_time"
    assert DAY_COLUMN["tracklets"] == "first_time"
    day = BusinessDay("UTC", time(0))
    stay = ZoneVisit("z", "c", 1, 86_400_000_000 - 1, 86_400_000_000 + 5, 0.0, 0.0, False)
    (date,) = split_by_day("zone_visits", encode("zone_visits", [stay], CONTEXT), day)
    assert date.isoformat() == "1970-01-01"


def test_waits_services_and_stays_are_stored_as_lengths_too() -> None:
    served = QueueVisit("lane-1", "till", 4, None, None, 0, 30_000_000, 90_500_000, "served")
    gone = QueueVisit("lane-1", None, None, "s1", 9, 10_000_000, None, 25_000_000, "abandoned")
    rows = encode("queue_visits", [served, gone], CONTEXT).to_pylist()
    assert [(row["wait_s"], row["service_s"], row["service_time"] is None) for row in rows] == [
        (30.0, 60.5, False),
        (15.0, None, True),
    ]
    stay = JourneyStay("bread", 5_000_000, 47_500_000)
    visit = Journey("s1-9-1", "s1", 9, 0, 60_000_000, False, (stay,), 0.9, True, "zone_inferred", None, float("nan"))
    (row,) = encode("journeys", [visit], CONTEXT).to_pylist()
    assert (row["duration_s"], row["stays"][0]["dwell_s"], row["staff_probability"]) == (60.0, 42.5, None)


@pytest.mark.parametrize("who", [(None, None, None, None), ("till", None, "s1", None), (None, 4, None, 9)])
def test_a_queue_visit_of_nobody_is_refused(who: tuple[Any, Any, Any, Any]) -> None:
    with pytest.raises(DataError, match="lane 'lane-1' at 7 us names no tracklet or identity"):
        QueueVisit("lane-1", *who, 7, None, 9, "abandoned")


def test_an_instant_that_must_be_there_is_asked_for() -> None:
    with pytest.raises(DataError, match=r"line_crossings.*time has no value"):
        encode("line_crossings", [LineCrossing("l", "c", 1, None, "in", False)], CONTEXT)  # type: ignore[arg-type]


def test_mistakes_are_named() -> None:
    with pytest.raises(DataError, match="'occupancy' takes OccupancyRow, found LineCrossing"):
        encode("occupancy", [LineCrossing("l", "c", 1, 1, "in", False)], CONTEXT)
    with pytest.raises(LakeError, match="no table 'visits'; it has detections"):
        encode("visits", [], CONTEXT)
    with pytest.raises(DataError, match=r"line_crossings.*cannot be stored"):
        encode("line_crossings", [LineCrossing(None, "c", 1, 1, "in", False)], CONTEXT)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"coverage.*reason.*missing"):
        decode("coverage", encode("coverage", [], CONTEXT).drop_columns(["reason"]))
