from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_MINUTE, US_PER_S
from retail_ray.lake import deletion_target
from retail_ray.lake.check import check
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.compaction import compact
from retail_ray.lake.deletion import affected, delete, finish, unfinished_deletions
from retail_ray.lake.deletion_target import Interval, Target
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.runs import finish_run
from retail_ray.lake.views import open_lake
from tests.lake.maintained import BOXES, DAY, EPOCHS_A_DAY, NAN, SITE, START_US, all_rows, epoch_us, files, write_days

ASKED_US = 1_800_000_000_000_000
SUMS = ("occupancy", "queue_metrics", "heat")
Rows = dict[str, list[dict[str, Any]]]


def visit(root: Path, session: str, identity: int) -> Target:
    with open_lake(root) as lake:
        return deletion_target.visit(lake, session, identity)


def interval(root: Path, start_us: int, end_us: int, camera: str | None = None) -> Target:
    with open_lake(root) as lake:
        return deletion_target.interval(lake, SITE, Interval(start_us, end_us, camera))


def deleted(root: Path, target: Target) -> dict[str, Any]:
    with maintenance(root):
        receipt = delete(root, target, ASKED_US)
        empty_aside(root)
        assert check(root).faults == []
    return dict(json.loads(receipt.read_text()))


def without(before: Rows, who: int) -> Rows:
    """What is left when person `who` was never there; sums stay."""
    keys = ("local_id", "identity_id")
    return {
        table: [row for row in rows if table in SUMS or all(row.get(key) != who for key in keys)]
        for table, rows in before.items()
    }


@pytest.mark.parametrize("compacted_first", [False, True])
def test_a_visit_goes_everywhere_and_nobody_else_does(tmp_path: Path, *, compacted_first: bool) -> None:
    write_days(tmp_path, 2)
    before = all_rows(tmp_path)
    if compacted_first:
        with maintenance(tmp_path):
            compact(tmp_path)
            empty_aside(tmp_path)
    receipt = deleted(tmp_path, visit(tmp_path, f"{SITE}-0", 2))
    after = all_rows(tmp_path)
    rest = without(before, 2)
    rest["detections"] = after["detections"]
    assert after == rest
    assert len(before["detections"]) - len(after["detections"]) == 2 * (BOXES - 1)  # a box without tracklet is nobody's
    assert all(row["local_id"] != 2 for row in after["detections"])
    counts = {table: len(before[table]) - len(after[table]) for table in before}
    assert receipt["rows_deleted"] == counts
    assert receipt["sums_kept"] == list(SUMS)
    assert receipt["asked_us"] == ASKED_US


def test_a_receipt_names_nobody_and_proves_the_files(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    count = len(files(tmp_path))
    receipt = deleted(tmp_path, visit(tmp_path, f"{SITE}-0", 2))
    text = json.dumps(receipt)
    assert f"{SITE}-0" not in text
    assert "local_id" not in text
    assert set(receipt["scope"]) == {"what", "visit_sha256"}
    assert all(part["sha256_before"] for part in receipt["files"])
    assert count > len(receipt["files"])


def test_asking_twice_changes_nothing(tmp_path: Path) -> None:
    write_days(tmp_path, 2)
    target = visit(tmp_path, f"{SITE}-0", 2)
    first = deleted(tmp_path, target)
    names = files(tmp_path)
    assert deleted(tmp_path, target) == first
    assert files(tmp_path) == names
    with pytest.raises(QueryError, match="no tracklet is of this identity"):
        visit(tmp_path, f"{SITE}-0", 2)


def test_an_identity_takes_those_that_it_absorbed_with_it(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    session, at = f"{SITE}-0", epoch_us(EPOCHS_A_DAY)
    merge = IdentityEvent(at, 99, "merge", session, 1, 2, None, None, NAN, NAN, "same")
    stage = Stage(tmp_path, RowContext(SITE, "r1", "c1"), "gallery", DAY)
    publish(tmp_path, stage._context, EPOCHS_A_DAY, stage.write_records("identity_events", [merge], EPOCHS_A_DAY))
    finish_run(tmp_path, "r1", START_US)
    with pytest.raises(QueryError, match="found to be identity 1: ask for that one"):
        visit(tmp_path, session, 2)
    deleted(tmp_path, visit(tmp_path, session, 1))
    after = all_rows(tmp_path)
    assert {row["local_id"] for row in after["tracklets"]} == {3}
    assert {row["identity_id"] for row in after["journeys"]} == {3}
    assert {row["identity_id"] for row in after["identity_events"]} == {3, None}


def test_an_interval_goes_with_its_sums_and_coverage_says_so(tmp_path: Path) -> None:
    """The middle minute of the first day: person 2 alone was there."""
    write_days(tmp_path, 2)
    before = all_rows(tmp_path)
    start_us = epoch_us(1)
    receipt = deleted(tmp_path, interval(tmp_path, start_us, start_us + US_PER_MINUTE))
    after = all_rows(tmp_path)
    gone = {table: len(before[table]) - len(after[table]) for table in before}
    assert gone == receipt["rows_deleted"]
    assert gone == {
        "detections": 2 * BOXES,
        "tracklets": 2,
        "identity_events": 2,
        "line_crossings": 1,
        "zone_visits": 1,
        "occupancy": 1,
        "queue_visits": 1,
        "queue_metrics": 1,
        "heat": EPOCHS_A_DAY,  # their hour
        "journeys": 1,
        "occupancy_corrections": 1,
        "transactions": 1,
        "conversions": 1,
        "alerts": 1,
        "coverage": 0,
        "sites": 0,
    }
    assert all(row["local_id"] != 2 for row in after["tracklets"])
    marked = [row for row in after["coverage"] if row["reason"] == "deleted"]
    assert [(row["camera_id"], row["processed_frames"], row["dropped_frames"]) for row in marked] == [
        ("door", 0, 600),
        ("till", 0, 600),
    ]
    assert receipt["sums_kept"] == []
    names = files(tmp_path)
    deleted(tmp_path, interval(tmp_path, start_us, start_us + US_PER_MINUTE))
    assert files(tmp_path) == names


def test_a_tracklet_that_reaches_into_the_interval_goes_as_a_whole(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    start_us = epoch_us(1) + (BOXES - 1) * US_PER_S
    deleted(tmp_path, interval(tmp_path, start_us, start_us + US_PER_S, "door"))
    after = all_rows(tmp_path)
    left = {(row["camera_id"], row["local_id"]) for row in after["detections"] if row["local_id"] is not None}
    assert left == {(row["camera_id"], row["local_id"]) for row in after["tracklets"]}
    assert ("door", 2) not in left
    assert ("till", 2) in left
    assert len(after["occupancy"]) == EPOCHS_A_DAY  # of no single camera


def test_a_dry_run_says_what_would_go(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    names = files(tmp_path)
    parts = affected(tmp_path, visit(tmp_path, f"{SITE}-0", 2))
    assert {part.partition.table: part.rows for part in parts} == {
        "detections": 2 * (BOXES - 1),
        "tracklets": 2,
        "identity_events": 2,
        "line_crossings": 1,
        "zone_visits": 1,
        "queue_visits": 1,
        "conversions": 1,
        "journeys": 1,
    }
    assert files(tmp_path) == names


def test_a_deletion_that_was_cut_off_is_finished_with_one_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_days(tmp_path / "whole", 1)
    whole = deleted(tmp_path / "whole", visit(tmp_path / "whole", f"{SITE}-0", 2))
    root = tmp_path / "lake"
    write_days(root, 1)
    target = visit(root, f"{SITE}-0", 2)
    from retail_ray.lake import deletion

    original, left = deletion.replace, [0, 0, 0]

    def cut(*args: Any) -> Any:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return original(*args)

    monkeypatch.setattr(deletion, "replace", cut)
    with pytest.raises(KeyboardInterrupt), maintenance(root):
        delete(root, target, ASKED_US)
    monkeypatch.setattr(deletion, "replace", original)
    with maintenance(root):
        (plan,) = unfinished_deletions(root)
        assert "unfinished" in {fault.kind for fault in check(root).faults}
        receipt = json.loads(finish(root, plan).read_text())
        empty_aside(root)
        assert check(root).faults == []
    assert receipt == whole
    assert all_rows(root) == all_rows(tmp_path / "whole")
    assert unfinished_deletions(root) == []


def test_a_day_that_is_being_written_is_refused(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    with maintenance(tmp_path), pytest.raises(LakeError, match="still writes this business day"):
        delete(tmp_path, visit(tmp_path, f"{SITE}-0", 2), ASKED_US)


def test_an_empty_interval_is_refused(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    with pytest.raises(QueryError, match="the interval is empty"):
        interval(tmp_path, 5, 5)
