from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_ray.lake.check import CheckReport, check, repair
from retail_ray.lake.compaction import compact
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.schemas import META_VERSION
from tests.lake.maintained import CAMERAS, EPOCHS_A_DAY, all_rows, begin, files, publish_epoch, write_days


def checked(root: Path) -> CheckReport:
    with maintenance(root):
        return check(root)


def first(root: Path, table: str) -> Path:
    return min((root / table).rglob("*.parquet"))


def orphan(root: Path) -> None:
    shutil.copy(first(root, "heat"), first(root, "heat").with_name("door-r9-000000.parquet"))


def foreign(root: Path) -> None:
    pq.write_table(pa.table({"price": [1]}), first(root, "heat").with_name("prices.parquet"))


def no_parquet(root: Path) -> None:
    first(root, "heat").with_name("door-r1-000099.parquet").write_bytes(b"PAR1 half")


def other_file(root: Path) -> None:
    (root / "heat/notes.txt").write_text("hello")


def future(root: Path) -> None:
    path = first(root, "heat")
    data = pq.read_table(path, partitioning=None)
    newer = data.replace_schema_metadata(data.schema.metadata | {META_VERSION: b"99"})
    pq.write_table(newer, path.with_name("door-r9-000001.parquet"))


def damaged(root: Path) -> None:
    path = first(root, "heat")
    blob = bytearray(path.read_bytes())
    blob[10] ^= 1
    path.write_bytes(blob)


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (orphan, "orphan"),
        (foreign, "foreign"),
        (no_parquet, "foreign"),
        (other_file, "foreign"),
        (future, "future_schema"),
        (damaged, "damaged"),
    ],
)
@pytest.mark.parametrize("compacted_first", [False, True])
def test_a_bad_file_is_found_and_moved_away(
    tmp_path: Path, harm: Callable[[Path], None], kind: str, *, compacted_first: bool
) -> None:
    write_days(tmp_path, 1)
    if compacted_first:
        with maintenance(tmp_path):
            compact(tmp_path)
            empty_aside(tmp_path)
    assert checked(tmp_path).is_sound
    blobs = {path.read_bytes() for path in files(tmp_path)}
    harm(tmp_path)
    blobs |= {path.read_bytes() for path in files(tmp_path)} if kind != "damaged" else set()
    faults = checked(tmp_path).faults
    assert kind in {fault.kind for fault in faults}
    with maintenance(tmp_path):
        (moved,) = repair(tmp_path, faults)
    assert (tmp_path / "_quarantine" / moved).is_file()
    assert not (tmp_path / moved).exists()
    left = checked(tmp_path).faults
    assert {fault.kind for fault in left} == ({"missing"} if kind == "damaged" else set())
    all_rows(tmp_path)  # every table can be read again


def test_a_missing_file_and_a_row_without_its_tracklet(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    first(tmp_path, "tracklets").unlink()
    faults = checked(tmp_path).faults
    assert [fault.kind for fault in faults if fault.kind != "reference"] == ["missing"]
    assert {fault.place.split()[0] for fault in faults if fault.kind == "reference"} == {
        "detections",
        "identity_events",
        "line_crossings",
    }


def test_open_tracklets_of_a_run_at_work_are_no_fault(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    begin(tmp_path)
    publish_epoch(tmp_path, EPOCHS_A_DAY)
    for path in (tmp_path / "tracklets" / "date=2026-03-03").rglob("*.parquet"):
        path.unlink()
    assert {fault.kind for fault in checked(tmp_path).faults} == {"missing"}


def test_two_runs_over_the_same_minutes_are_told(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    begin(tmp_path, "r2", ("aisle",))
    assert checked(tmp_path).is_sound
    record = tmp_path / "_runs/r2.json"
    record.write_text(record.read_text().replace("aisle", CAMERAS[0]))
    (fault,) = checked(tmp_path).faults
    assert (fault.kind, "count twice" in fault.text) == ("doubled", True)


def test_minutes_without_coverage_are_noted(tmp_path: Path) -> None:
    begin(tmp_path)
    for epoch in (0, 2):
        publish_epoch(tmp_path, epoch)
    report = checked(tmp_path)
    assert report.is_sound
    assert [(note.kind, note.text) for note in report.notes] == [
        ("gap", f"camera '{camera}': 1 minutes") for camera in CAMERAS
    ]


def test_files_of_a_run_with_a_damaged_record_are_not_moved(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    record = tmp_path / "_commits/r1/000001.json"
    record.write_text(record.read_text()[:50])
    faults = checked(tmp_path).faults
    assert [fault.kind for fault in faults] == ["record"]
    assert "000001.json: the record is damaged" in faults[0].text
    with maintenance(tmp_path):
        assert repair(tmp_path, faults) == []


def test_a_report_as_json_says_all(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    sizes = [path.stat().st_size for path in files(tmp_path)]
    report = checked(tmp_path).as_json()
    assert (report["files"], report["bytes"]) == (len(sizes), sum(sizes))
    assert report["rows"] == sum(map(len, all_rows(tmp_path).values()))
    assert report["is_sound"]
