from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import LakeError
from retail_ray.core.records import CoverageRow
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.runs import (
    CameraSpan,
    RunRecord,
    begin_run,
    finish_run,
    overlapping_runs,
    read_run,
    runs,
    supersede,
)

DAY = BusinessDay("UTC", time(0))


def record(run_id: str, *spans: CameraSpan, site: str = "shop-1", config: str = "c1") -> RunRecord:
    return RunRecord(run_id, site, config, "retail-ray run site.yaml", spans, started_us=1000)


def write_rows(root: Path, run_id: str, epochs: int = 2) -> None:
    context = RowContext("shop-1", run_id, "c1")
    for epoch in range(epochs):
        stage = Stage(root, context, "door", DAY)
        entries = stage.write_records("coverage", [CoverageRow("door", epoch * 60_000_000, 9, 9, 0, "")], epoch)
        publish(root, context, epoch, [*entries, stage.write_state(epoch, b"state")])


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


spans = st.builds(CameraSpan, st.sampled_from("ab"), st.integers(0, 20), st.none() | st.integers(21, 40))
short_spans = spans.map(lambda s: CameraSpan(s.camera_id, s.start_us, s.end_us and s.start_us + s.end_us % 7 + 1))


@given(short_spans, short_spans)
def test_overlap_is_a_shared_instant(one: CameraSpan, other: CameraSpan) -> None:
    def instants(span: CameraSpan) -> set[tuple[str, int]]:
        return {(span.camera_id, t) for t in range(span.start_us, span.end_us or 100)}

    assert one.overlaps(other) == other.overlaps(one) == bool(instants(one) & instants(other))


def test_the_same_camera_minutes_are_not_counted_twice(tmp_path: Path) -> None:
    begin_run(tmp_path, record("old", CameraSpan("door", 0, 120_000_000), CameraSpan("aisle", 0, 60_000_000)))
    assert begin_run(tmp_path, record("later", CameraSpan("door", 120_000_000, 200_000_000))).status == "running"
    begin_run(tmp_path, record("elsewhere", CameraSpan("door", 0, 120_000_000), site="shop-2"))
    before = files(tmp_path)
    with pytest.raises(LakeError) as refused:
        begin_run(tmp_path, record("again", CameraSpan("door", 60_000_000, 130_000_000)))
    message = str(refused.value)
    assert "run 'old' (running) holds camera 'door' 1970-01-01 00:00:00 to 1970-01-01 00:02:00 UTC" in message
    assert "run 'later'" in message
    assert "aisle" not in message
    assert "elsewhere" not in message
    assert files(tmp_path) == before


def test_a_run_goes_on_under_its_own_id(tmp_path: Path) -> None:
    first = record("r", CameraSpan("door", 0, 100))
    begin_run(tmp_path, first)
    assert begin_run(tmp_path, first) == first
    done = finish_run(tmp_path, "r", 5000)
    assert (done.status, done.finished_us) == ("complete", 5000)
    assert begin_run(tmp_path, first) == done == read_run(tmp_path, "r")
    for other in (record("r", CameraSpan("door", 0, 200)), record("r", CameraSpan("door", 0, 100), config="c2")):
        with pytest.raises(LakeError, match=r"run 'r' was started with another (cameras|config_version)"):
            begin_run(tmp_path, other)


def test_a_live_run_holds_its_cameras_until_it_is_finished(tmp_path: Path) -> None:
    begin_run(tmp_path, record("live", CameraSpan("door", 100, None)))
    tomorrow = [CameraSpan("door", 1 << 55, None)]
    assert [run.run_id for run in overlapping_runs(tmp_path, "shop-1", tomorrow)] == ["live"]
    finish_run(tmp_path, "live", 900, cameras=[CameraSpan("door", 100, 800)])
    assert overlapping_runs(tmp_path, "shop-1", tomorrow) == []
    assert overlapping_runs(tmp_path, "shop-1", [CameraSpan("door", 799, 801)]) != []


def test_replacing_takes_all_of_the_older_run_and_nothing_else(tmp_path: Path) -> None:
    for run_id, start in (("old", 0), ("other", 500)):
        begin_run(tmp_path, record(run_id, CameraSpan("door", start, start + 100)))
        write_rows(tmp_path, run_id)
    kept = {name: blob for name, blob in files(tmp_path).items() if "old" not in name}
    begin_run(tmp_path, record("new", CameraSpan("door", 50, 90)), replace_older=True)
    old = read_run(tmp_path, "old")
    assert old is not None
    assert (old.status, old.superseded_by) == ("superseded", "new")
    left = files(tmp_path)
    assert {name for name in left if "old" in name} == {"_runs/old.json"}
    assert {name: left[name] for name in kept} == kept
    assert [run.run_id for run in overlapping_runs(tmp_path, "shop-1", [CameraSpan("door", 0, 1000)])] == [
        "new",
        "other",
    ]


def test_a_crash_while_replacing_is_mended(
    tmp_path: Path, on_each_step: Callable[[Callable[[int], None]], None]
) -> None:
    start, undisturbed = tmp_path / "start", tmp_path / "undisturbed"
    begin_run(start, record("old", CameraSpan("door", 0, 100)))
    write_rows(start, "old")
    new = record("new", CameraSpan("door", 0, 100))
    shutil.copytree(start, undisturbed)
    steps = 0

    def look(_step: int) -> None:
        nonlocal steps
        steps += 1

    on_each_step(look)
    begin_run(undisturbed, new, replace_older=True)

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
            begin_run(root, new, replace_older=True)
        on_each_step(look)
        if read_run(root, "new") is None:  # nobody may take the half-removed run for a whole one
            held = overlapping_runs(root, "shop-1", new.cameras)
            whole = [name for name in files(start) if name.startswith("coverage/")]
            present = [name for name in files(root) if name.startswith("coverage/")]
            assert held == [] or held[0].status == "superseding" or present == whole
        begin_run(root, new, replace_older=True)
        drafts = {name: blob for name, blob in files(root).items() if not name.endswith(".draft")}
        assert drafts == files(undisturbed), f"crash before step {at}"
    assert steps > 15


def test_runs_in_order_and_damaged_records(tmp_path: Path) -> None:
    assert runs(tmp_path / "nothing") == []
    begin_run(tmp_path, record("b", CameraSpan("door", 0, 1)))
    begin_run(tmp_path, record("a", CameraSpan("door", 1, 2)))
    assert [run.run_id for run in runs(tmp_path)] == ["a", "b"]
    assert runs(tmp_path, "shop-9") == []
    with pytest.raises(LakeError, match="no run 'c' is recorded"):
        supersede(tmp_path, "c", by="d")
    (tmp_path / "_runs/a.json").write_text("{}")
    with pytest.raises(LakeError, match=r"_runs/a\.json: not a run record"):
        runs(tmp_path)
