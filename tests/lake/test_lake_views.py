from __future__ import annotations

import threading
from datetime import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.records import CoverageRow, LineCrossing
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext, decode, encode
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.schemas import META_VERSION, TABLES
from retail_ray.lake.sql_guard import user_sql
from retail_ray.lake.views import open_lake

CONTEXT = RowContext("shop-1", "r1", "c1")
DAY = BusinessDay("UTC", time(0))


def fill(root: Path, table: str, rows: list[Record], epoch: int = 0, context: RowContext = CONTEXT) -> Path:
    entries = Stage(root, context, "site", DAY).write_records(table, rows, epoch)
    publish(root, context, epoch, entries)
    return root / entries[0].path


def crossings(count: int, start: int = 0) -> list[Record]:
    return [LineCrossing("main", "door", i, 60_000_000 * i, "in", i % 5 == 0) for i in range(start, start + count)]


def test_views_have_the_tables_types_with_and_without_files(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        empty = {table: lake.sql(f"SELECT * FROM {table}") for table in TABLES}
        assert lake.rows("SELECT * FROM tracklet_identity") == lake.rows("SELECT * FROM detections_identity") == []
    for epoch, (table, schema) in enumerate(TABLES.items()):
        Stage(tmp_path, CONTEXT, "site", DAY)
        path = tmp_path / table / "date=2026-01-01" / "site=shop-1" / f"site-r1-{epoch:06d}.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(encode(table, [], CONTEXT), path)
        assert empty[table].num_rows == 0
        assert empty[table].column_names == [*schema.names, "date"]
    with open_lake(tmp_path) as lake:
        for table, before in empty.items():
            after = lake.sql(f"SELECT * FROM {table}")
            assert after.schema.equals(before.schema), table


def test_rows_come_back_through_a_view_and_new_files_are_seen(tmp_path: Path) -> None:
    tmp_path = tmp_path / "it's [a] lake?*"
    tmp_path.mkdir()
    rows = crossings(40)
    with open_lake(tmp_path) as lake:
        assert lake.rows("SELECT count(*) AS n FROM line_crossings") == [{"n": 0}]
        fill(tmp_path, "line_crossings", rows[:25])
        assert lake.rows("SELECT count(*) AS n FROM line_crossings") == [{"n": 25}]
        fill(tmp_path, "line_crossings", rows[25:], epoch=1)
        found = lake.sql("SELECT * FROM line_crossings ORDER BY time")
        assert decode("line_crossings", found) == rows
        assert set(found["date"].to_pylist()) == {DAY.date_of(0)}
        bound = lake.rows("SELECT local_id FROM line_crossings WHERE line_id = $line", {"line": "x' OR true --"})
        assert bound == []


def test_only_the_asked_days_are_read(tmp_path: Path) -> None:
    day_us = 86_400_000_000
    for epoch in range(3):
        fill(tmp_path, "coverage", [CoverageRow("door", epoch * day_us, 9, 9, 0, "")], epoch)
    with open_lake(tmp_path) as lake:
        plan = lake.rows("EXPLAIN SELECT * FROM coverage WHERE date = DATE '1970-01-02'")[0]["explain_value"]
        assert "Scanning Files: 1/3" in plan


def test_half_written_and_foreign_files_are_named(tmp_path: Path) -> None:
    whole = fill(tmp_path, "line_crossings", crossings(10))
    with open_lake(tmp_path) as lake:
        for blob in (whole.read_bytes()[:-20], b"", b"PAR1", b"hello"):
            half = whole.with_name("half.parquet")
            half.write_bytes(blob)
            with pytest.raises(LakeError, match=r"half\.parquet: not a whole Parquet file.*remove it"):
                lake.rows("SELECT * FROM line_crossings")
            half.unlink()
            assert len(lake.rows("SELECT * FROM line_crossings")) == 10
        foreign = whole.with_name("foreign.parquet")
        pq.write_table(pa.table({"price": [1]}), foreign)
        with pytest.raises(LakeError, match=r"foreign\.parquet: not written by retail-ray for table 'line_crossings'"):
            lake.rows("SELECT * FROM line_crossings")
        foreign.unlink()
        wrong = tmp_path / "occupancy/date=2026-01-01/site=shop-1/site-r1-000000.parquet"
        wrong.parent.mkdir(parents=True)
        wrong.write_bytes(whole.read_bytes())
        with pytest.raises(LakeError, match="for table 'occupancy'; move it out"):
            lake.rows("SELECT * FROM occupancy")


def test_damage_inside_a_file_is_named(tmp_path: Path) -> None:
    path = fill(tmp_path, "line_crossings", [*crossings(3000)])
    blob = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(TABLES["line_crossings"].get_field_index("local_id"))
    where = slice(column.data_page_offset, column.data_page_offset + column.total_compressed_size)
    blob[where] = bytes(column.total_compressed_size)
    path.write_bytes(blob)
    with open_lake(tmp_path) as lake, pytest.raises(LakeError, match=rf"{path.name}: is damaged"):
        lake.rows("SELECT sum(local_id), any_value(line_id), max(time), max(camera_id) FROM line_crossings")


def test_a_damaged_footer_is_named(tmp_path: Path) -> None:
    path = fill(tmp_path, "line_crossings", [*crossings(3000)])
    blob = bytearray(path.read_bytes())
    blob[-400:-8] = bytes(392)
    path.write_bytes(blob)
    with pytest.raises(LakeError, match=rf"{path.name}: not a whole Parquet file"):
        open_lake(tmp_path)


def test_older_and_newer_schema_versions(tmp_path: Path) -> None:
    newest = fill(tmp_path, "line_crossings", crossings(4))
    old = encode("line_crossings", crossings(3, start=50), CONTEXT).drop_columns(["turned_back"])
    older = newest.with_name("site-r0-000000.parquet")
    pq.write_table(old.replace_schema_metadata(old.schema.metadata | {META_VERSION: b"0"}), older)
    with open_lake(tmp_path) as lake:
        found = lake.rows("SELECT count(*) AS n, count(turned_back) AS known FROM line_crossings")
        assert found == [{"n": 7, "known": 4}]
        pq.write_table(
            old.replace_schema_metadata(old.schema.metadata | {META_VERSION: b"99"}), older.with_name("z.parquet")
        )
        with pytest.raises(LakeError, match=r"z\.parquet: schema version 99 is newer"):
            lake.rows("SELECT 1 FROM line_crossings")


def test_no_lake_is_not_an_empty_lake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("nowhere", "file"):
        with pytest.raises(LakeError, match=f"{place}: no lake here"):
            open_lake(tmp_path / place)


def test_threads_may_ask_while_epochs_are_published(tmp_path: Path) -> None:
    counts: list[list[int]] = [[], []]
    failures: list[Exception] = []
    done = threading.Event()
    with open_lake(tmp_path) as lake:

        def ask(mine: list[int]) -> None:
            try:
                while not done.is_set():
                    mine.append(lake.rows("SELECT count(*) AS n FROM line_crossings")[0]["n"])
            except (LakeError, QueryError) as error:
                failures.append(error)

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in counts]
        for thread in threads:
            thread.start()
        for epoch in range(20):
            fill(tmp_path, "line_crossings", crossings(5, start=5 * epoch), epoch)
        done.set()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert all(mine == sorted(mine) and set(mine) <= set(range(0, 101, 5)) for mine in counts)
        assert lake.rows("SELECT count(*) AS n FROM line_crossings") == [{"n": 100}]


# --- identities


# --- questions of users

REFUSED = {
    "COPY (SELECT 1) TO '{lake}/line_crossings/x.csv'": "only SELECT is allowed here, found COPY",
    "ATTACH '{lake}/x.db'": "only SELECT",
    "INSTALL httpfs": "only SELECT",
    "LOAD httpfs": "only SELECT",
    "PRAGMA version": "only SELECT",
    "CREATE TABLE t (a INT)": "only SELECT",
    "DROP VIEW line_crossings": "only SELECT",
    "DELETE FROM line_crossings": "only SELECT",
    "SET threads = 64": "only SELECT",
    "RESET lock_configuration": "only SELECT",
    "CALL pragma_version()": "only SELECT",
    "EXPORT DATABASE '{lake}/x'": "only SELECT",
    "EXPLAIN ANALYZE SELECT 1": "only SELECT",
    "SELECT 1; SELECT 2": "one question at a time: found 2",
    "SELECT 1; DROP VIEW coverage": "one question at a time",
    "": "one question at a time: found 0",
    "-- nothing": "found 0",
    "SELEC 1": "syntax error",
    "SELECT * FROM nothing": "nothing does not exist",
    "SELECT * FROM read_csv('/etc/passwd')": "disabled by configuration",
    "SELECT * FROM read_text('/etc/passwd')": "disabled by configuration",
    "SELECT * FROM '/etc/passwd'": "does not exist",
    "SELECT * FROM glob('/etc/*')": "disabled by configuration",
    "SELECT * FROM read_blob('{lake}/_states/r1/gallery-000000.state')": "disabled by configuration",
    "SELECT * FROM read_text('{lake}/line_crossings/../_commits/r1/000000.json')": "disabled by configuration",
    "SELECT * FROM read_json('{lake}/_commits/r1/000000.json')": "disabled by configuration",
    "SELECT * FROM enable_logging()": "locked",
    "WITH x AS (INSERT INTO coverage VALUES (1) RETURNING *) SELECT * FROM x": "",
    "SELECT * FROM sqlite_scan('/etc/passwd', 't')": "sqlite_scan",
    "SELECT * FROM secret": "secret does not exist",
}


@pytest.mark.parametrize("query", REFUSED)
def test_a_user_may_only_ask(tmp_path: Path, query: str) -> None:
    secret = [1, 2, 3]  # a variable of the program is no table either
    fill(tmp_path, "line_crossings", crossings(3))
    state = tmp_path / "_states/r1/gallery-000000.state"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"embeddings")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(QueryError) as refused:
        user_sql(tmp_path, query.replace("{lake}", str(tmp_path)))
    assert REFUSED[query] in str(refused.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert secret


def test_a_user_gets_answers(tmp_path: Path) -> None:
    fill(tmp_path, "line_crossings", crossings(30))
    answer = user_sql(tmp_path, "SELECT direction, count(*) AS n FROM line_crossings GROUP BY 1;")
    assert (answer.columns, answer.rows, answer.truncated) == (["direction", "n"], [("in", 30)], False)
    many = user_sql(tmp_path, "FROM line_crossings", max_rows=10)
    assert (len(many.rows), many.truncated) == (10, True)
    tables = {row[0] for row in user_sql(tmp_path, "SHOW TABLES").rows}
    views = {"journey_versions", "tracklet_identity", "tracklet_identity_emitted", "detections_identity"}
    views |= {"conversion_versions", "journey_conversions"}
    assert tables == {*TABLES, *views}
    assert user_sql(tmp_path, "DESCRIBE coverage").rows[0][0] == "site_id"


def test_a_user_cannot_take_all_time_or_memory(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="took too long"):
        user_sql(tmp_path, "SELECT count(*) FROM range(200000000000) t WHERE range % 7 = 3", max_execution_s=0.3)
    with pytest.raises(QueryError, match="more memory"):
        user_sql(
            tmp_path, "SELECT list(range::VARCHAR || 'xxxxxxxxxxxxxxxxxxxx') FROM range(50000000)", memory_limit="50MB"
        )
