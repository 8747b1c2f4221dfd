from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from retail_ray.cli import main
from retail_ray.core.errors import LakeError, QueryError
from retail_ray.lake import deletion_target
from retail_ray.lake.check import check
from retail_ray.lake.commit_days import put_together
from retail_ray.lake.compaction import compact
from retail_ray.lake.deletion import delete
from retail_ray.lake.epochs import commits
from retail_ray.lake.object_store import MANIFEST, ObjectStore, pull, push
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.queries import tracks
from retail_ray.lake.questions import Question
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.sql_guard import user_sql
from retail_ray.lake.views import open_lake
from tests.lake.maintained import (
    CAMERAS,
    DAY,
    DAY_US,
    EPOCHS_A_DAY,
    FIRST_DAY,
    SITE,
    all_rows,
    files,
    publish_epoch,
    rows,
    write_days,
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 that is this machine's own."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    yield f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    moto.stop()


@pytest.fixture
def address(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    bucket = f"b{abs(hash(str(tmp_path)))}"
    found = f"s3://{bucket}/lakes/one?{server}"
    pyarrow.fs.FileSystem.from_uri(found)[0].create_dir(bucket)
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Compacted, so that few objects need to be sent."""
    root = tmp_path / "lake"
    write_days(root, 1)
    with maintenance(root):
        compact(root)
        empty_aside(root)
    return root


def pushed(root: Path, address: str) -> int:
    with maintenance(root):
        return push(root, address)


def pulled(address: str, root: Path) -> int:
    root.mkdir(exist_ok=True)
    with maintenance(root):
        count = pull(address, root)
        empty_aside(root)
        report = check(root)
    assert report.faults == []
    return count


def test_questions_have_the_same_answers_from_the_store(lake: Path, address: str) -> None:
    pushed(lake, address)
    begin_us = DAY.start_us(FIRST_DAY)
    asked = Question(SITE, DAY, begin_us, begin_us + DAY_US, CAMERAS)
    with open_lake(address) as remote, open_lake(lake) as local:
        assert rows(remote) == all_rows(lake)
        assert tracks(remote, asked, 9) == tracks(local, asked, 9)
    answer = user_sql(address, "SELECT count(*) FROM tracklet_identity")
    assert answer.rows == [(2 * EPOCHS_A_DAY,)]
    done = CliRunner().invoke(main, ["sql", "--lake", address, "--format", "csv", "SELECT count(*) AS n FROM heat"])
    assert done.output.split() == ["n", "3"]


def test_nothing_but_the_tables_can_be_read(lake: Path, address: str) -> None:
    pushed(lake, address)
    folder = ObjectStore(address).folder
    for path in (f"retailstore://{folder}/{MANIFEST}", "/etc/passwd"):
        with pytest.raises(QueryError, match="disabled by configuration"):
            user_sql(address, f"SELECT * FROM read_text('{path}')")


def test_a_push_sends_only_what_is_new_and_a_pull_gives_the_lake_back(lake: Path, address: str, tmp_path: Path) -> None:
    assert pushed(lake, address) > len(files(lake))
    assert pushed(lake, address) == 0
    copy = tmp_path / "copy"
    assert pulled(address, copy) == len(files(lake))
    assert all_rows(copy) == all_rows(lake)
    assert pulled(address, copy) == 0


def test_commit_records_of_a_day_take_the_place_of_those_in_them(address: str, tmp_path: Path) -> None:
    lake, copy, fresh = tmp_path / "lake", tmp_path / "copy", tmp_path / "fresh"
    write_days(lake, 1, complete=False)
    publish_epoch(lake, EPOCHS_A_DAY)
    publish_epoch(lake, EPOCHS_A_DAY + 1)
    with maintenance(lake):
        compact(lake)
        empty_aside(lake)
    pushed(lake, address)
    pulled(address, copy)
    with maintenance(lake):
        assert [len(day.records) for day in put_together(lake)] == [EPOCHS_A_DAY]
    assert pushed(lake, address) == 1
    assert [name for name in ObjectStore(address).manifest().records if name.startswith("_commits/")] == [
        "_commits/r1/000000-000002.json.gz"
    ]
    for root in (copy, fresh):
        pulled(address, root)
        assert commits(root, "r1") == commits(lake, "r1")[:EPOCHS_A_DAY]
        with maintenance(root):
            assert put_together(root) == []
        assert [path.name for path in (root / "_commits/r1").iterdir()] == ["000000-000002.json.gz"]


def test_compaction_and_deletion_reach_the_store_and_its_copies(address: str, tmp_path: Path) -> None:
    lake, copy = tmp_path / "lake", tmp_path / "copy"
    write_days(lake, 1)
    pushed(lake, address)
    pulled(address, copy)
    with maintenance(lake):
        compact(lake)
    with open_lake(lake) as opened:
        target = deletion_target.visit(opened, f"{SITE}-0", 2)
    with maintenance(lake):
        delete(lake, target, 1)
        empty_aside(lake)
    pushed(lake, address)
    with open_lake(address) as remote:
        assert rows(remote) == all_rows(lake)
    pulled(address, copy)
    assert all_rows(copy) == all_rows(lake)
    store = ObjectStore(address)
    selector = pyarrow.fs.FileSelector(store.folder, recursive=True)
    stored = {info.path for info in store.files.get_file_info(selector) if info.path.endswith(".parquet")}
    assert stored == {store.path(str(path.relative_to(lake))) for path in files(lake)}


def test_an_upload_that_was_cut_off_is_invisible_and_goes_on(lake: Path, address: str) -> None:
    def stop(name: str) -> None:
        if "heat" in name:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), maintenance(lake):
        push(lake, address, stop)
    with open_lake(address) as remote:
        assert remote.rows("SELECT count(*) AS n FROM detections") == [{"n": 0}]
    sent: list[str] = []
    with maintenance(lake):
        push(lake, address, sent.append)
    assert not [name for name in sent if name.startswith("detections")]
    with open_lake(address) as remote:
        assert rows(remote) == all_rows(lake)


def test_the_day_that_is_being_written_waits(tmp_path: Path, address: str) -> None:
    root = tmp_path / "lake"
    write_days(root, 1, complete=False)
    publish_epoch(root, EPOCHS_A_DAY)
    pushed(root, address)
    with open_lake(address) as remote:
        assert remote.rows("SELECT DISTINCT date::VARCHAR AS day FROM coverage") == [{"day": "2026-03-02"}]
    pulled(address, tmp_path / "copy")


def test_a_damaged_object_is_not_taken(lake: Path, address: str, tmp_path: Path) -> None:
    pushed(lake, address)
    store = ObjectStore(address)
    name = next(iter(store.manifest().files))
    store.write(name, b"PAR1")
    (tmp_path / "copy").mkdir()
    with maintenance(tmp_path / "copy"), pytest.raises(LakeError, match="is damaged: remove it there and push again"):
        pull(address, tmp_path / "copy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"schema_version": 99, "files": [], "records": {}}, "newer program"),
        ({"schema_version": 2, "files": [], "records": {"../x": "0"}}, "outside of the lake"),
        ({"files": 3}, "not a manifest"),
    ],
)
def test_a_bad_manifest_is_refused(address: str, content: object, message: str) -> None:
    ObjectStore(address).write(MANIFEST, json.dumps(content).encode())
    with pytest.raises(LakeError, match=message):
        open_lake(address)


def test_addresses_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no address of a store"):
        open_lake("ftp://somewhere/lake")
    with maintenance(tmp_path), pytest.raises(LakeError, match="no manifest with files"):
        pull((tmp_path / "nothing").as_uri(), tmp_path)
