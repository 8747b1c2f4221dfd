"""Commit records of a day in one file: the same commits for every reader, at every moment, and after every crash."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.core.errors import LakeError
from retail_ray.lake.check import check
from retail_ray.lake.commit_days import commit_days, put_together
from retail_ray.lake.epochs import commit_records, commits, commits_after, last_commit, load_states, publish, recover
from retail_ray.lake.replacements import current_files, maintenance
from retail_ray.lake.runs import supersede
from tests.lake.maintained import EPOCHS_A_DAY, SITE, RowContext, publish_epoch, stage_epoch, write_days
from tests.support.killed import kill_at

N = EPOCHS_A_DAY


def joined(root: Path) -> int:
    with maintenance(root):
        return len(put_together(root))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "_commits" / "r1").iterdir())


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two finished days of a run that goes on, and an epoch of the third."""
    write_days(tmp_path / "lake", 2, complete=False)
    publish_epoch(tmp_path / "lake", 2 * N)
    return tmp_path / "lake"


def test_finished_days_become_one_file_each_and_the_newest_records_stay(lake: Path) -> None:
    before, files = commits(lake, "r1"), current_files(lake, "r1")
    assert joined(lake) == 2
    assert names(lake) == ["000000-000002.json.gz", "000003-000004.json.gz", "000005.json", "000006.json"]
    assert commits(lake, "r1") == before
    assert [commit.epoch for commit in before] == list(range(2 * N + 1))
    assert current_files(lake, "r1") == files
    for epoch in range(-1, 2 * N + 1):
        assert list(commits_after(lake, "r1", epoch)) == before[epoch + 1 :]
    assert joined(lake) == 0
    with maintenance(lake):
        report = check(lake)
    assert (report.faults, report.notes) == ([], [])


def test_a_day_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    write_days(tmp_path, 1, complete=False)
    assert commit_days(tmp_path) == []
    write_days(tmp_path / "complete", 1)
    assert [len(day.records) for day in commit_days(tmp_path / "complete")] == []  # two of three are the newest
    write_days(tmp_path / "longer", 2)
    assert [len(day.records) for day in commit_days(tmp_path / "longer")] == [3]


def test_a_run_goes_on_and_takes_its_records_with_it(lake: Path) -> None:
    joined(lake)
    assert recover(lake, "r1") == last_commit(lake, "r1") == commits(lake, "r1")[-1]
    publish_epoch(lake, 2 * N + 1)
    publish(lake, RowContext(SITE, "r1", "c1"), 2 * N + 1, stage_epoch(lake, 2 * N + 1))  # again changes nothing
    with pytest.raises(LakeError, match="epoch 1 of run 'r1' is already committed"):
        publish(lake, RowContext(SITE, "r1", "c1"), 1, stage_epoch(lake, 1))
    assert [commit.epoch for commit in commits(lake, "r1")] == list(range(2 * N + 2))
    last = last_commit(lake, "r1")
    assert last is not None
    assert load_states(lake, last).keys() == last.states.keys()
    supersede(lake, "r1", by="r2")
    assert commits(lake, "r1") == []
    assert joined(lake) == 0


def test_a_reader_in_the_middle_misses_nothing(lake: Path) -> None:
    before = commits(lake, "r1")
    reader = commits_after(lake, "r1", -1)
    found = [next(reader), next(reader)]
    joined(lake)
    assert [*found, *reader] == before


def test_where_an_epoch_is_in_both_it_counts_once(lake: Path) -> None:
    before, saved = commits(lake, "r1"), shutil.copytree(lake / "_commits", lake / "copy")
    joined(lake)
    shutil.copytree(saved, lake / "_commits", dirs_exist_ok=True)
    assert commits(lake, "r1") == before
    assert len(names(lake)) == 2 * N + 3
    joined(lake)
    assert len(names(lake)) == 4
    assert commits(lake, "r1") == before


def test_the_command_says_what_it_does(lake: Path) -> None:
    said = [
        CliRunner().invoke(main, ["lake", "compact", "--lake", str(lake), *more]).output.splitlines()[-1]
        for more in (["--dry-run"], [], [])
    ]
    assert said == [
        "5 commit records would become 2 files", "5 commit records became 2 files", "0 commit records became 0 files"
    ]  # fmt: skip


def test_a_damaged_file_is_named(lake: Path) -> None:
    joined(lake)
    path = commit_records(lake, "r1")[0].path
    for blob in (path.read_bytes()[:-9], b"no gzip", b""):
        path.write_bytes(blob)
        with pytest.raises(LakeError, match=r"000000-000002\.json\.gz: not the commit records of a day"):
            commits(lake, "r1")
        with maintenance(lake):
            assert [fault.kind for fault in check(lake, rows=False).faults] == ["record"]


JOB = """
from retail_ray.lake import commit_days, files
from retail_ray.lake.replacements import maintenance
with maintenance(root):
    watched(Path, "rename", "write_bytes", "unlink")
    watched(os, "fsync")
    commit_days.put_together(root)
"""


def test_a_killed_job_loses_no_commit_and_the_next_one_ends_the_same(lake: Path, tmp_path: Path) -> None:
    before = commits(lake, "r1")
    whole = shutil.copytree(lake, tmp_path / "whole")
    steps = int(kill_at(JOB, whole, 1_000_000).stdout)
    assert steps == 2 * 5 + 5  # write, sync, rename and two folders of each day; five records that go
    for step in range(1, steps + 1):
        root = shutil.copytree(lake, tmp_path / f"killed-{step}")
        assert kill_at(JOB, root, step).returncode == -signal.SIGKILL
        assert commits(root, "r1") == before, step
        assert recover(root, "r1") == before[-1]
        joined(root)
        assert names(root) == names(whole), step
        assert commits(root, "r1") == before, step
        shutil.rmtree(root)
