from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from retail_ray.core.errors import LakeError
from retail_ray.lake.check import check
from retail_ray.lake.compaction import compact, merges
from retail_ray.lake.epochs import publish, recover
from retail_ray.lake.file_checks import has_current_columns
from retail_ray.lake.files import sha256
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.replacements import current_files, maintenance
from retail_ray.lake.runs import supersede
from retail_ray.lake.schemas import META_VERSION, TABLES
from retail_ray.lake.views import open_lake
from tests.lake.maintained import (
    EPOCHS_A_DAY,
    SITE,
    RowContext,
    all_rows,
    files,
    publish_epoch,
    rows,
    stage_epoch,
    write_days,
)
from tests.support.killed import kill_at


def compacted(root: Path, **how: int) -> int:
    with maintenance(root):
        done = compact(root, merges(root, **how))
        assert [part.problem for part in done if part.problem] == []
        empty_aside(root)
    return len(done)


def require_sound(root: Path) -> None:
    with maintenance(root):
        report = check(root)
    assert (report.faults, report.notes) == ([], [])


def test_one_file_per_table_day_and_run_with_the_same_rows(tmp_path: Path) -> None:
    write_days(tmp_path, 2)
    before = all_rows(tmp_path)
    assert compacted(tmp_path) == 2 * len(TABLES)
    assert len(files(tmp_path)) == 2 * len(TABLES)
    assert all_rows(tmp_path) == before
    require_sound(tmp_path)
    names = files(tmp_path)
    assert compacted(tmp_path) == 0
    assert files(tmp_path) == names


def test_a_compacted_file_is_sorted_and_written_as_others_are(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    plain = pq.read_schema(next((tmp_path / "detections").rglob("*.parquet")))
    compacted(tmp_path)
    (path,) = (tmp_path / "detections").rglob("*.parquet")
    data = pq.read_table(path, partitioning=None)
    assert data.schema.equals(plain, check_metadata=True)
    keys = list(zip(data["camera_id"].to_pylist(), data["time"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_an_open_day_waits_for_enough_files_and_only_new_ones_are_merged(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    assert merges(tmp_path) == []
    detections = len(list((tmp_path / "detections").rglob("*.parquet")))
    wanted = merges(tmp_path, open_day_files=detections)
    assert {merge.partition.table for merge in wanted} == {"detections", "tracklets", "coverage"}
    with maintenance(tmp_path):
        compact(tmp_path, wanted)
    assert merges(tmp_path, open_day_files=2 * EPOCHS_A_DAY) == []
    publish_epoch(tmp_path, EPOCHS_A_DAY)  # the next day begins: the first is finished
    assert {merge.partition.day.day for merge in merges(tmp_path)} == {2}
    compacted(tmp_path)
    require_sound(tmp_path)


def test_what_no_commit_names_is_left_alone(tmp_path: Path) -> None:
    """The files of a half-published epoch stay where the run's recovery finds them."""
    write_days(tmp_path, 1, complete=False)
    publish_epoch(tmp_path, EPOCHS_A_DAY)
    before = all_rows(tmp_path)
    left = files(tmp_path)[0]
    half = left.with_name(f"door-r1-{99:06d}.parquet")
    shutil.copy(left, half)
    compacted(tmp_path)
    assert half.exists()
    recover(tmp_path, "r1")
    assert not half.exists()
    assert all_rows(tmp_path) == before
    require_sound(tmp_path)


def test_a_run_goes_on_after_compaction_and_takes_all_its_rows_with_it(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    publish_epoch(tmp_path, EPOCHS_A_DAY)
    compacted(tmp_path)
    recover(tmp_path, "r1")
    publish_epoch(tmp_path, EPOCHS_A_DAY + 1)
    entries = stage_epoch(tmp_path, EPOCHS_A_DAY + 1)
    publish(tmp_path, RowContext(SITE, "r1", "c1"), EPOCHS_A_DAY + 1, entries)
    assert len(all_rows(tmp_path)["line_crossings"]) == EPOCHS_A_DAY + 2
    supersede(tmp_path, "r1", by="r2")
    assert files(tmp_path) == []
    assert current_files(tmp_path, "r1") == {}


def test_a_damaged_file_is_not_laundered(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    bad = next((tmp_path / "occupancy").rglob("*.parquet"))
    bad.write_bytes(bad.read_bytes()[:-1] + b"x")
    names = sorted((tmp_path / "occupancy").rglob("*.parquet"))
    with maintenance(tmp_path):
        problems = [part.problem for part in compact(tmp_path) if part.problem]
        empty_aside(tmp_path)
    assert len(problems) == 1
    assert f"{bad}: damaged" in problems[0]
    assert sorted((tmp_path / "occupancy").rglob("*.parquet")) == names


def test_one_maintenance_at_a_time(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    with (
        maintenance(tmp_path),
        pytest.raises(LakeError, match="another job maintains this lake"),
        maintenance(tmp_path),
    ):
        pass
    with pytest.raises(LakeError, match="no lake here"), maintenance(tmp_path / "nowhere"):
        pass


def test_a_reader_is_undisturbed_by_an_exchange_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange all folders between a reader's listing and its reading, more often than it tries by itself."""
    write_days(tmp_path, 2)
    before = all_rows(tmp_path)
    with open_lake(tmp_path) as lake:
        refresh, left = lake._refresh, [1]

        def disturbed(tables: Iterable[str]) -> None:
            refresh(tables)
            if left:
                left.pop()
                compacted(tmp_path)

        monkeypatch.setattr(lake, "_refresh", disturbed)
        assert rows(lake) == before
    assert left == []


def test_a_reader_that_may_have_listed_deleted_files_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a listing may outlast any time that is waited before deleting: files are missed silently."""
    write_days(tmp_path, 2)
    with open_lake(tmp_path) as lake:
        refresh, asked = lake._refresh, list[int]()

        def disturbed(tables: Iterable[str]) -> None:
            refresh(tables)
            asked.append(1)
            if len(asked) == 1:
                compacted(tmp_path)  # deletes what it put aside

        monkeypatch.setattr(lake, "_refresh", disturbed)
        assert lake.rows("SELECT count(*) AS n FROM heat")[0]["n"] == 2 * EPOCHS_A_DAY
    assert len(asked) == 2


JOB = """
from retail_ray.lake import partitions, replacements
from retail_ray.lake.compaction import compact
watched(Path, "rename", "write_bytes", "unlink", "chmod", "mkdir")
watched(os, "fsync", "link", "unlink", "rmdir")
watched(partitions, "sync_folder")
with replacements.maintenance(root):
    compact(root)
    partitions.empty_aside(root)
"""


def test_a_killed_compaction_changes_no_row_and_the_next_one_ends_the_same(tmp_path: Path) -> None:
    write_days(tmp_path / "lake", 1)
    for table in set(TABLES) - {"coverage", "heat"}:
        shutil.rmtree(tmp_path / "lake" / table)  # two tables suffice; the check below speaks of files alone
    before = all_rows(tmp_path / "lake")
    whole = shutil.copytree(tmp_path / "lake", tmp_path / "whole")
    steps = int(kill_at(JOB, whole, 1_000_000).stdout)
    final = [path.relative_to(whole) for path in files(whole)]
    assert steps > 20
    for step in range(1, steps + 1, max(1, steps // 9)):
        root = shutil.copytree(tmp_path / "lake", tmp_path / f"killed-{step}")
        assert kill_at(JOB, root, step).returncode == -signal.SIGKILL
        assert all_rows(root) == before, step
        compacted(root)
        assert all_rows(root) == before, step
        assert [path.relative_to(root) for path in files(root)] == final
        with maintenance(root):
            assert {fault.kind for fault in check(root, rows=False).faults} == {"missing"}  # the tables left out
        assert not any((root / "_maintenance").iterdir())
        shutil.rmtree(root)


def age(root: Path) -> None:
    """Make the detections those of schema version 2, which had no lower edges, with records that say so."""
    for record in (root / "_commits").rglob("*.json"):
        content = json.loads(record.read_text())
        for entry in content["files"]:
            if entry["table"] == "detections":
                path = root / entry["path"]
                data = pq.read_table(path, partitioning=None).drop_columns(["edge_x_px", "edge_y_px"])
                pq.write_table(data.replace_schema_metadata({**data.schema.metadata, META_VERSION: b"2"}), path)
                entry |= {"sha256": sha256(path.read_bytes()), "bytes": path.stat().st_size}
        record.write_text(json.dumps(content))


def test_files_of_an_older_schema_are_merged_into_one_of_this(tmp_path: Path) -> None:
    write_days(tmp_path, 1)
    age(tmp_path)
    before = all_rows(tmp_path)
    assert {row["edge_x_px"] for row in before["detections"]} == {None}
    assert compacted(tmp_path) == len(TABLES)
    assert all_rows(tmp_path) == before
    assert has_current_columns(next((tmp_path / "detections").rglob("*.parquet")), "detections")
    require_sound(tmp_path)
