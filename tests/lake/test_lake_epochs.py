from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from retail_ray.core.errors import LakeError
from retail_ray.core.records import CoverageRow, LineCrossing
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import (
    Commit,
    FileEntry,
    Stage,
    commits,
    last_commit,
    load_states,
    publish,
    recover,
)
from tests.support.killed import kill_at

CONTEXT = RowContext("shop-1", "r1", "c1")
DAY = BusinessDay("Asia/Kolkata", time(12, 0))
NOON_US = 1_767_249_000_000_000  # 2026-01-01 12:00 in Kolkata
MINUTE_US = 60_000_000


def stage_epoch(root: Path, epoch: int, context: RowContext = CONTEXT) -> list[FileEntry]:
    """Two cameras; epoch 1 straddles the start of a business day; 'aisle' writes a state in even epochs only."""
    entries = []
    for camera in ("door", "aisle"):
        stage = Stage(root, context, camera, DAY)
        times = [NOON_US + (epoch - 1) * MINUTE_US + shift for shift in (-20_000_000, 20_000_000)]
        rows = [LineCrossing("main", camera, 10 * epoch + i, t, "in", False) for i, t in enumerate(times)]
        entries += stage.write_records("line_crossings", rows, epoch)
        minutes = [CoverageRow(camera, NOON_US + epoch * MINUTE_US, 600, 600, 0, "")]
        entries += stage.write_records("coverage", minutes, epoch)
        if camera == "door" or epoch % 2 == 0:
            entries.append(stage.write_state(epoch, f"{camera} after {epoch}".encode()))
    return entries


def run_epochs(root: Path, count: int) -> None:
    """What the runtime does: recover, then go on behind the last commit."""
    last = recover(root, CONTEXT.run_id)
    for epoch in range(0 if last is None else last.epoch + 1, count):
        publish(root, CONTEXT, epoch, stage_epoch(root, epoch), {"end_us": NOON_US + epoch * MINUTE_US})


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read_all(root: Path) -> int:
    """What any reader may do at any time; raises on a partial file."""
    return sum(pq.read_table(path).num_rows for path in root.glob("[!_]*/date=*/site=*/*.parquet"))


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    run_epochs(tmp_path / "undisturbed", 3)
    return tree(tmp_path / "undisturbed")


def test_layout_and_record(tmp_path: Path) -> None:
    run_epochs(tmp_path, 2)
    names = [name for name in tree(tmp_path) if name.startswith("line_crossings")]
    folder = "line_crossings/date={}/site=shop-1/{}-r1-{}.parquet"
    assert names == [
        folder.format("2025-12-31", "aisle", "000000"),
        folder.format("2025-12-31", "aisle", "000001"),
        folder.format("2025-12-31", "door", "000000"),
        folder.format("2025-12-31", "door", "000001"),
        folder.format("2026-01-01", "aisle", "000001"),
        folder.format("2026-01-01", "door", "000001"),
    ]
    record = json.loads((tmp_path / "_commits/r1/000001.json").read_text())
    assert {entry["path"]: entry["rows"] for entry in record["files"] if entry["table"] == "line_crossings"} == {
        name: 1 for name in names if "000001" in name
    }
    assert not (tmp_path / "_staging/r1/000001").exists()
    commit = last_commit(tmp_path, "r1")
    assert commit is not None
    assert commit.extra == {"end_us": NOON_US + MINUTE_US}
    assert commits(tmp_path, "r1")[-1] == commit


def test_states_are_carried_forward_and_old_ones_go(tmp_path: Path) -> None:
    run_epochs(tmp_path, 4)
    commit = last_commit(tmp_path, "r1")
    assert commit is not None
    assert load_states(tmp_path, commit) == {"door": b"door after 3", "aisle": b"aisle after 2"}
    before = commits(tmp_path, "r1")[-2]
    assert load_states(tmp_path, before) == {"door": b"door after 2", "aisle": b"aisle after 2"}
    kept = sorted(path.name for path in (tmp_path / "_states/r1").iterdir())
    assert kept == ["aisle-000002.state", "door-000002.state", "door-000003.state"]


def test_a_damaged_state_is_not_loaded(tmp_path: Path) -> None:
    run_epochs(tmp_path, 1)
    commit = last_commit(tmp_path, "r1")
    assert commit is not None
    (tmp_path / "_states/r1/door-000000.state").write_bytes(b"door after 9")
    with pytest.raises(LakeError, match=r"door-000000\.state: the state is damaged"):
        load_states(tmp_path, commit)
    (tmp_path / "_states/r1/door-000000.state").unlink()
    with pytest.raises(LakeError, match=r"cannot read .*door-000000\.state: it is missing"):
        load_states(tmp_path, commit)


def test_publishing_again_changes_nothing(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    root = tmp_path / "lake"
    for epoch in range(3):
        entries = stage_epoch(root, epoch)
        extra = {"end_us": NOON_US + epoch * MINUTE_US}
        first = publish(root, CONTEXT, epoch, entries, extra)
        assert publish(root, CONTEXT, epoch, entries, extra) == first
        assert publish(root, CONTEXT, epoch, stage_epoch(root, epoch), extra) == first
    assert tree(root) == undisturbed


@pytest.mark.parametrize("committed", [0, 2])
def test_a_crash_before_any_step_is_mended(
    tmp_path: Path, on_each_step: Callable[[Callable[[int], None]], None], committed: int
) -> None:
    """One more epoch on an empty lake, and on one from which states are dropped."""
    start, undisturbed = tmp_path / "start", tmp_path / "undisturbed"
    start.mkdir()
    run_epochs(start, committed)
    steps = 0

    def look(_step: int) -> None:
        nonlocal steps
        steps += 1
        read_all(undisturbed)

    shutil.copytree(start, undisturbed)
    on_each_step(look)
    run_epochs(undisturbed, committed + 1)
    on_each_step(lambda _step: None)

    class Crash(BaseException):
        pass

    def crash(step: int) -> None:
        if step == at:
            raise Crash

    for at in range(1, steps + 1):
        root = tmp_path / f"crash-{at}"
        shutil.copytree(start, root)
        on_each_step(crash)
        with pytest.raises(Crash):
            run_epochs(root, committed + 1)
        on_each_step(lambda _step: None)
        read_all(root)
        run_epochs(root, committed + 1)
        assert tree(root) == tree(undisturbed), f"crash before step {at}"
    assert steps > 30  # the hook does see staging, publishing and tidying


def test_a_second_crash_during_recovery_is_mended(
    tmp_path: Path, on_each_step: Callable[[Callable[[int], None]], None], undisturbed: dict[str, bytes]
) -> None:
    entries = stage_epoch(tmp_path / "half", 0)
    publish(tmp_path / "half", CONTEXT, 0, entries, {"end_us": NOON_US})
    for entry in stage_epoch(tmp_path / "half", 1)[:3]:  # an epoch published half
        staged = tmp_path / "half/_staging/r1/000001" / entry.writer / entry.path.replace("/", "~")
        (tmp_path / "half" / entry.path).parent.mkdir(parents=True, exist_ok=True)
        staged.rename(tmp_path / "half" / entry.path)

    class Crash(BaseException):
        pass

    target = 0

    def hook(_step: int) -> None:
        nonlocal target
        target -= 1
        if target == 0:
            raise Crash

    on_each_step(hook)
    for at in (1, 2, 3):
        target = at
        with pytest.raises(Crash):
            recover(tmp_path / "half", "r1")
    target = 0
    run_epochs(tmp_path / "half", 3)
    assert tree(tmp_path / "half") == undisturbed


JOB = """
from tests.lake.test_lake_epochs import run_epochs
watched(Path, "rename", "write_bytes", "unlink")
run_epochs(root, 3)
"""


@pytest.mark.parametrize("step", [3, 9, 13, 16, 24, 31])
def test_a_killed_process_leaves_a_lake_that_ends_the_same(
    tmp_path: Path, undisturbed: dict[str, bytes], step: int
) -> None:
    killed = kill_at(JOB, tmp_path / "lake", step)
    assert killed.returncode == -signal.SIGKILL
    read_all(tmp_path / "lake")
    run_epochs(tmp_path / "lake", 3)
    assert tree(tmp_path / "lake") == undisturbed


def test_an_epoch_is_not_committed_with_other_contents(tmp_path: Path) -> None:
    run_epochs(tmp_path, 2)
    before = tree(tmp_path)
    other = Stage(tmp_path, CONTEXT, "door", DAY).write_records(
        "coverage", [CoverageRow("door", NOON_US, 5, 5, 0, "")], 1
    )
    for epoch in (0, 1):
        with pytest.raises(LakeError, match=f"epoch {epoch} of run 'r1' is already committed .the last is 1.*epoch 2"):
            publish(tmp_path, CONTEXT, epoch, other)
    recover(tmp_path, "r1")
    assert tree(tmp_path) == before


def test_what_was_not_staged_is_not_published(tmp_path: Path) -> None:
    entries = stage_epoch(tmp_path, 0)
    staged = next((tmp_path / "_staging").rglob("door/*line_crossings*"))
    staged.write_bytes(staged.read_bytes()[:-10])
    with pytest.raises(LakeError, match=r"expected \d+ bytes, found \d+; stage it again"):
        publish(tmp_path, CONTEXT, 0, entries)
    staged.unlink()
    with pytest.raises(LakeError, match="neither staged nor published"):
        publish(tmp_path, CONTEXT, 0, entries)
    assert last_commit(tmp_path, "r1") is None
    with pytest.raises(LakeError, match="would be written twice"):
        publish(tmp_path, CONTEXT, 0, [*entries, entries[0]])


def test_recovery_touches_no_other_run(tmp_path: Path) -> None:
    """Writer and run names that look alike: 'door-r1' of run '7', and run 'xr1'."""
    for context, writer in (("7", "door-r1"), ("xr1", "door"), ("r11", "door")):
        other = RowContext("shop-1", context, "c1")
        entries = Stage(tmp_path, other, writer, DAY).write_records(
            "coverage", [CoverageRow("d", NOON_US, 5, 5, 0, "")], 0
        )
        publish(tmp_path, other, 0, entries)
    before = tree(tmp_path)
    entries = stage_epoch(tmp_path, 0)
    publish(tmp_path, CONTEXT, 0, entries)
    (tmp_path / "_commits/r1/000000.json").unlink()
    assert recover(tmp_path, "r1") is None
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("context", "writer", "message"),
    [
        (RowContext("shop-1", "a-b", "c1"), "door", "run id 'a-b' cannot name a file"),
        (RowContext("shop/1", "r1", "c1"), "door", "site id 'shop/1' cannot name a file"),
        (RowContext("shop-1", "..", "c1"), "door", "run id '..' cannot name a file"),
        (CONTEXT, "../door", "writer id '../door' cannot name a file"),
        (CONTEXT, "", "writer id '' cannot name a file"),
    ],
)
def test_ids_that_cannot_be_file_names(tmp_path: Path, context: RowContext, writer: str, message: str) -> None:
    with pytest.raises(LakeError, match=message.replace(".", r"\.")):
        Stage(tmp_path, context, writer, DAY)


def test_damaged_commit_record_is_named(tmp_path: Path) -> None:
    run_epochs(tmp_path, 1)
    path = tmp_path / "_commits/r1/000000.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(LakeError, match=r"_commits/r1/000000\.json: the record is damaged"):
        last_commit(tmp_path, "r1")
    path.write_text('{"epoch": 0}')
    with pytest.raises(LakeError, match="not a commit record"):
        recover(tmp_path, "r1")


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_full_disk(small_disk: Path, undisturbed: dict[str, bytes]) -> None:
    root = small_disk / "lake"
    run_epochs(root, 2)
    rows, before = read_all(root), tree(root)
    ballast = fill(small_disk)
    with pytest.raises(LakeError, match=r"cannot (write|publish into) .*disk.*the disk is full: free space"):
        run_epochs(root, 3)
    assert read_all(root) == rows
    committed = {name: blob for name, blob in tree(root).items() if not name.startswith("_staging")}
    assert committed == before
    ballast.unlink()
    run_epochs(root, 3)
    assert tree(root) == undisturbed


def test_full_disk_while_publishing(small_disk: Path, undisturbed: dict[str, bytes]) -> None:
    root = small_disk / "lake"
    run_epochs(root, 2)
    entries = stage_epoch(root, 2)
    ballast = fill(small_disk)
    with pytest.raises(LakeError, match="the disk is full"):
        publish(root, CONTEXT, 2, entries)
    read_all(root)
    ballast.unlink()
    run_epochs(root, 3)
    assert tree(root) == undisturbed


def test_read_only_disk(small_disk: Path) -> None:
    root = small_disk / "lake"
    run_epochs(root, 1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(LakeError, match=r"cannot write .*: the file system is read-only"):
        stage_epoch(root, 1)
    assert read_all(root) == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user for this test")
def test_no_permission(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.mkdir(mode=0o755)
    for parent in root.parents:  # the other user must get as far as the lake
        if parent != Path("/tmp") and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    here = Path(__file__).resolve()
    script = f"""
import os, sys
sys.path[:0] = [{str(here.parent)!r}, {str(here.parents[2])!r}]
import test_lake_epochs as run
from retail_ray.core.errors import LakeError
os.setuid(65534)
try:
    run.stage_epoch(run.Path({str(root)!r}), 0)
except LakeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith(f"cannot write {root}/_staging")
    assert "no permission: run as the folder's owner" in done.stdout


def test_lake_address_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    with pytest.raises(LakeError, match=r"cannot write .*lake.*a part of this path is a file"):
        stage_epoch(tmp_path / "lake", 0)


def test_an_epoch_without_rows_is_committed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CONTEXT, "door", DAY)
    assert stage.write_records("coverage", [], 0) == []
    assert publish(tmp_path, CONTEXT, 0, []) == Commit("shop-1", "r1", "c1", 0, (), {}, {})
    assert recover(tmp_path, "r1") == last_commit(tmp_path, "r1")
