"""DuckDB over the lake: one view per table, also where no file exists yet; nothing outside the tables is reachable."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from pathlib import Path
from threading import Lock, local
from types import TracebackType
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.lake import locks
from retail_ray.lake.conversion_views import CONVERSION_VIEWS
from retail_ray.lake.file_checks import first_line, has_current_columns
from retail_ray.lake.files import lake_errors
from retail_ray.lake.identity_views import IDENTITY_VIEWS, journeys_select
from retail_ray.lake.listing import WORD, Listed, Listing, Partition, tables_behind
from retail_ray.lake.locks import deletions
from retail_ray.lake.recounts import RECOUNTABLE, Recounts, all_recounts, in_force, record_paths
from retail_ray.lake.rollups import Rollups
from retail_ray.lake.schemas import TABLES
from retail_ray.lake.view_statements import glob_literal, literal, reading, view_selects
from retail_ray.lake.visitor_days import VisitorDays

_DEFINITIONS: Final = """
SELECT view_name, sql FROM duckdb_views() WHERE NOT internal
UNION ALL SELECT function_name, macro_definition FROM duckdb_functions()
WHERE NOT internal AND macro_definition IS NOT NULL
"""
"""Of every view and macro: the SQL behind its name."""

_RAW_NAMES: Final = {"journeys": "journey_versions", "conversions": "conversion_versions"}
"""Views of all rows of a table whose own name gives those that hold."""
_NAMED_OTHERWISE: Final = {f"{table}_all": table for table in RECOUNTABLE} | {
    name: table for table, name in _RAW_NAMES.items()
}
_JOURNEYS: Final = journeys_select([f'"{field.name}"' for field in TABLES["journeys"]])
_RECORDS: Final = "_recounts"
"""Stands among the tables for the records of recounts."""
_TRIES: Final = 4
_MOST_NAMED_FILES: Final = 500
"""So many files are named in a statement; a pattern stands for more."""
_Answer = TypeVar("_Answer")
SiteDays = tuple[str, Collection[date]]
"""A site and business days of its."""


class _VanishedError(LakeError):
    """A file was taken away between listing and reading: compaction or retention did, and asking again helps."""


_IN_FORCE: Final = """CREATE OR REPLACE TABLE versions_in_force (
    site_id VARCHAR, run_id VARCHAR, date DATE, table_name VARCHAR, version VARCHAR)"""
"""Of days that were counted anew: the config version that holds, by table. Views `<table>_all` have every version."""


class Lake:
    """A locked DuckDB over the tables of one lake; threads may ask at the same time.

    Every question first looks for new files of its tables (names only) and checks the footers of those, so that a
    foreign or half-written file is a LakeError with its name instead of wrong numbers. A question whose files are
    exchanged meanwhile is asked again, in the end with exchanges held off.
    """

    def __init__(self, root: Path, *, threads: int = 2, memory_limit: str = "1GB", max_execution_s: float = 30) -> None:
        self.root = self._located(root)
        self._lock = Lock()
        self._listing = self._list()
        self._listed: dict[str, Mapping[tuple[str, str], Partition]] = {}
        self._days: dict[tuple[str, str], tuple[Any, dict[date, Partition]]] = {}
        self._looked = local()
        self.rollups = Rollups(self)
        self.visitor_days = VisitorDays(self)
        self._files: dict[str, dict[str, bool]] = {}
        self._shapes: dict[str, tuple[str | list[str] | None, bool, bool]] = {}
        self._recounts_seen: Hashable = ()
        self._versions: dict[tuple[str, str, date], tuple[tuple[str, str], ...]] = {}
        self._connection = duckdb.connect(":memory:")
        self._attach(self._connection)
        settings: dict[str, str | list[str]] = {
            "threads": str(threads),
            "memory_limit": memory_limit,
            "max_execution_time": str(int(max_execution_s * 1000)),
            "temp_directory": "",
            "TimeZone": "UTC",
            "parquet_metadata_cache": "true",
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allowed_directories": [f"{folder}/{table}/" for folder in self._folders() for table in TABLES],
            "enable_external_access": "false",
            "lock_configuration": "true",
        }
        for name, value in settings.items():
            self._connection.execute(f"SET GLOBAL {name} = {literal(value)}")
        self._connection.execute(_IN_FORCE)
        self._undisturbed(lambda: self._refresh(TABLES))
        for statement in (*IDENTITY_VIEWS, *CONVERSION_VIEWS):
            self._connection.execute(statement)
        behind = self._connection.execute(_DEFINITIONS).fetchall()
        self._definitions = {name: f"{text} {_NAMED_OTHERWISE.get(name, '')}" for name, text in behind}

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sql(self, query: str, params: Mapping[str, Any] | None = None, of: SiteDays | None = None) -> pa.Table:
        """Answer of one statement as Arrow; `$name` in the query takes its value from `params`.

        of: the statement is about nothing else, so the tables that it names are read on these days alone; all but
        `sites`, whose rows hold until there are newer ones.
        """

        def answer(cursor: duckdb.DuckDBPyConnection, text: str) -> pa.Table:
            return _relation(cursor.sql(text, params=dict(params or {}))).to_arrow_table()

        return self._ask(query, answer, of)

    def rows(
        self, query: str, params: Mapping[str, Any] | None = None, of: SiteDays | None = None
    ) -> list[dict[str, Any]]:
        """Answer of one statement as plain values, one dict per row; parameters as in `sql`."""

        def answer(cursor: duckdb.DuckDBPyConnection, text: str) -> list[dict[str, Any]]:
            cursor.execute(text, dict(params or {}))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self._ask(query, answer, of)

    def head(self, query: str, max_rows: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and the first rows of a statement that gives rows."""

        def answer(cursor: duckdb.DuckDBPyConnection, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            relation = _relation(cursor.sql(text))
            return list(relation.columns), relation.limit(max_rows).fetchall()

        return self._ask(query, answer)

    def days(self, table: str, site_id: str) -> Mapping[date, Partition]:
        """The files behind each business day of a table; the same object as before while none changed."""
        self._refresh([table])
        with self._lock:
            return self._listed_days(table, site_id)

    def versions(self) -> Mapping[tuple[str, str, date], tuple[tuple[str, str], ...]]:
        """By site, table and day that were counted anew: (run_id, config version in force) of its runs; the same
        object as before while no recount has changed."""
        with self._lock, lake_errors("read", self.root):
            self._learn_versions()
            return self._versions

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor for what is kept in memory beside the tables' views."""
        return self._connection.cursor()

    @contextmanager
    def looking_once(self) -> Iterator[None]:
        """Look for new files of each table once, however many statements this thread asks within."""
        if getattr(self._looked, "tables", None) is not None:
            yield
            return
        self._looked.tables = set()
        try:
            yield
        finally:
            self._looked.tables = None

    def close(self) -> None:
        self._connection.close()

    def _ask(
        self, query: str, answer: Callable[[duckdb.DuckDBPyConnection, str], _Answer], of: SiteDays | None = None
    ) -> _Answer:
        def once() -> _Answer:
            with self._cursor(query) as cursor:
                return answer(cursor, query if of is None else self._reading_days(query, *of))

        def watched() -> _Answer:
            before = deletions(self.root)
            found = once()
            if deletions(self.root) != before:
                raise _VanishedError(f"{self.root}: files were deleted while they may have been listed: ask again")
            return found

        return self._undisturbed(once, watched)

    def _undisturbed(self, once: Callable[[], _Answer], watched: Callable[[], _Answer] | None = None) -> _Answer:
        """The answer of `watched` (default `once`), which raises where it was disturbed; in the end with quiet kept."""
        for _ in range(_TRIES):
            with suppress(_VanishedError):
                return (watched or once)()
            if getattr(self._looked, "tables", None) is not None:
                self._looked.tables = set()
        with locks.reading(self.root):
            return once()

    @contextmanager
    def _cursor(self, query: str) -> Iterator[duckdb.DuckDBPyConnection]:
        self._refresh(tables_behind(query, self._definitions))
        cursor = self._connection.cursor()
        try:
            yield cursor
        except duckdb.InterruptException as error:
            raise QueryError("the question took too long and was stopped: ask for a shorter interval") from error
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise self._file_error(error, query) from error
        except duckdb.OutOfMemoryException as error:
            raise QueryError("the question needs more memory than it may use: ask for a shorter interval") from error
        except duckdb.Error as error:
            unnamed = type(error) is duckdb.Error  # the Parquet decoder's own errors have no class
            raise self._file_error(error, query) if unnamed else QueryError(str(error)) from error
        finally:
            cursor.close()

    def _listed_days(self, table: str, site_id: str) -> dict[date, Partition]:
        listed, days = self._listed[table], self._days.get((table, site_id))
        if days is None or days[0] is not listed:
            found = {date.fromisoformat(day): files for (day, site), files in listed.items() if site == site_id}
            days = self._days[table, site_id] = (listed, found)
        return days[1]

    def _reading_days(self, query: str, site_id: str, days: Collection[date]) -> str:
        """The statement with the files of these days in place of all: binding a pattern over a year takes longer than
        reading a day."""
        selects = []
        with self._lock:
            for table in sorted((TABLES.keys() - {"sites"}) & set(WORD.findall(query))):
                by_day = self._listed_days(table, site_id)
                files = [
                    self._listing.path(table, (day.isoformat(), site_id), name)
                    for day in sorted(days) if day in by_day for name, *_ in by_day[day]
                ]  # fmt: skip
                if len(files) <= _MOST_NAMED_FILES:
                    selects += self._selects(table, files, mixed=not all(map(self._files[table].get, files)))
        return reading(query, selects)

    def _selects(self, table: str, source: str | list[str] | None, *, mixed: bool) -> list[tuple[str, str]]:
        name = _RAW_NAMES.get(table, table)
        selects = view_selects(table, source, mixed=mixed, name=name, recounted=bool(self._versions))
        return [*selects, ("journeys", _JOURNEYS)] if table == "journeys" else selects

    def _file_error(self, error: Exception, query: str) -> LakeError | QueryError:
        """The file behind a reading error, if one is: damaged or vanished after its check."""
        named = re.search(r"""["']([^"']+\.parquet)["']""", str(error))
        path = Path(named.group(1)) if named else self._damaged_file(query)
        if path is None:
            return QueryError(str(error))
        if not path.exists():
            return _VanishedError(f"{path}: vanished while it was read: ask again ({first_line(error)})")
        return LakeError(f"{path}: is damaged: restore it or remove it ({first_line(error)})")

    def _damaged_file(self, query: str) -> Path | None:
        """The first file that cannot be read whole, among the tables that the question names."""
        for table, files in self._files.items():
            for name in files if table in query else ():
                try:
                    pq.read_table(name, partitioning=None)
                except FileNotFoundError:
                    return Path(name)
                except (OSError, pa.ArrowInvalid):
                    return Path(name)
        return None

    def _located(self, root: Path) -> Path:
        found = Path(root).resolve()
        if not found.is_dir():
            raise LakeError(f"{found}: no lake here; start a run that writes to it, or correct the address")
        return found

    def _list(self) -> Listed:
        """Which files the tables have."""
        return Listing(self.root)

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing to attach: DuckDB reads folders itself."""

    def _folders(self) -> tuple[str, ...]:
        """Where the tables' folders lie, in every form in which DuckDB may name them."""
        return str(self.root), glob_literal(self.root)

    def _source(self, table: str) -> str | list[str] | None:
        """What DuckDB reads of a table that has files: a pattern finds later files by itself."""
        return f"{glob_literal(self.root / table)}/date=*/site=*/*.parquet" if self._files[table] else None

    def _recounts(self) -> tuple[Hashable, Callable[[], list[Recounts]]]:
        """What tells that a recount has changed, and how to read them all."""
        stats = [(path, path.stat()) for path in record_paths(self.root)]
        stamp = tuple((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats)
        return stamp, partial(all_recounts, self.root)

    def _refresh(self, tables: Iterable[str]) -> None:
        looked = getattr(self._looked, "tables", None)
        with self._lock, lake_errors("read", self.root):
            self._learn_versions()
            for table in tables if looked is None else set(tables) - looked:
                listed = self._listing.partitions(table)
                if listed is not self._listed.get(table):
                    self._files[table] = self._checked_files(table, listed)
                    self._define_view(table)
                    self._listed[table] = listed
        if looked is not None:
            looked.update(tables)

    def _learn_versions(self) -> None:
        """Read the records of recounts anew where one has changed."""
        looked = getattr(self._looked, "tables", None)
        if looked is not None and _RECORDS in looked:
            return
        stamp, read = self._recounts()
        if looked is not None:
            looked.add(_RECORDS)
        if stamp == self._recounts_seen:
            return
        rows = list(in_force(read()))
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM versions_in_force")
            if rows:
                cursor.executemany("INSERT INTO versions_in_force VALUES (?, ?, ?, ?, ?)", rows)
            cursor.execute("COMMIT")
        versions = defaultdict(list)
        for site_id, run_id, day, table, version in rows:
            versions[site_id, table, date.fromisoformat(day)].append((run_id, version))
        self._versions = {key: tuple(sorted(found)) for key, found in versions.items()}
        self._recounts_seen = stamp
        for table in self._shapes:
            self._define_view(table)

    def _checked_files(self, table: str, listed: Mapping[tuple[str, str], Partition]) -> dict[str, bool]:
        known, found = self._files.get(table, {}), {}
        for partition, files in listed.items():
            for name, *_ in files:
                path = self._listing.path(table, partition, name)
                try:
                    found[path] = known[path] if path in known else has_current_columns(Path(path), table)
                except FileNotFoundError as error:
                    raise _VanishedError(f"{path}: vanished while the lake was listed: ask again") from error
        return found

    def _define_view(self, table: str) -> None:
        """Views are bound to a way of reading: anew when the first file comes, or files of another version."""
        source, mixed = self._source(table), not all(self._files[table].values())
        shape = (source, mixed, bool(self._versions))
        if self._shapes.get(table) != shape:
            for name, select in self._selects(table, source, mixed=mixed):
                self._connection.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")
            self._shapes[table] = shape


def open_lake(root: Path | str, *, threads: int = 2, memory_limit: str = "1GB", max_execution_s: float = 30) -> Lake:
    """Open a lake for reading: a folder, or an address such as s3://bucket/folder where one was pushed to.

    LakeError where there is none, or where a file in it is foreign or damaged.
    """
    if "://" in str(root):
        from retail_ray.lake.remote import RemoteLake

        return RemoteLake(root, threads=threads, memory_limit=memory_limit, max_execution_s=max_execution_s)
    root = Path(root)
    return Lake(root, threads=threads, memory_limit=memory_limit, max_execution_s=max_execution_s)


def _relation(relation: duckdb.DuckDBPyRelation | None) -> duckdb.DuckDBPyRelation:
    if relation is None:
        raise QueryError("the statement has no answer; ask with SELECT")
    return relation
