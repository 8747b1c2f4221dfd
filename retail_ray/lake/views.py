"""DuckDB over the lake: one view per table, also where no file exists yet; nothing outside the tables is reachable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.lake.files import lake_errors
from retail_ray.lake.identity_views import IDENTITY_VIEWS, journeys_view
from retail_ray.lake.locks import reading
from retail_ray.lake.schemas import META_TABLE, META_VERSION, SCHEMA_VERSION, TABLES

_RAW_NAMES: Final = {"journeys": "journey_versions"}
"""Views of all rows of a table whose own name gives those that hold."""
_TRIES: Final = 4
_Answer = TypeVar("_Answer")


class _VanishedError(LakeError):
    """A file was taken away between listing and reading: compaction or retention did, and asking again helps."""


class Lake:
    """A locked DuckDB over the tables of one lake; threads may ask at the same time.

    Every question first looks for new files (names only) and checks the footers of those, so that a foreign or
    half-written file is a LakeError with its name instead of wrong numbers. A question whose files are exchanged
    meanwhile is asked again, in the end with exchanges held off.
    """

    def __init__(self, root: Path, *, threads: int = 2, memory_limit: str = "1GB", max_execution_s: float = 30) -> None:
        self.root = self._located(root)
        self._lock = Lock()
        self._files: dict[str, dict[str, int]] = {}
        self._shapes: dict[str, tuple[bool, bool]] = {}
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
            self._connection.execute(f"SET GLOBAL {name} = {_literal(value)}")
        self._undisturbed(self._refresh)
        for statement in (*IDENTITY_VIEWS, journeys_view([f'"{field.name}"' for field in TABLES["journeys"]])):
            self._connection.execute(statement)

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sql(self, query: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """Answer of one statement as Arrow; `$name` in the query takes its value from `params`."""

        def answer(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
            return _relation(cursor.sql(query, params=dict(params or {}))).to_arrow_table()

        return self._ask(query, answer)

    def rows(self, query: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answer of one statement as plain values, one dict per row."""

        def answer(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
            cursor.execute(query, dict(params or {}))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self._ask(query, answer)

    def head(self, query: str, max_rows: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and the first rows of a statement that gives rows."""

        def answer(cursor: duckdb.DuckDBPyConnection) -> tuple[list[str], list[tuple[Any, ...]]]:
            relation = _relation(cursor.sql(query))
            return list(relation.columns), relation.limit(max_rows).fetchall()

        return self._ask(query, answer)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, query: str, answer: Callable[[duckdb.DuckDBPyConnection], _Answer]) -> _Answer:
        def once() -> _Answer:
            with self._cursor(query) as cursor:
                return answer(cursor)

        return self._undisturbed(once)

    def _undisturbed(self, once: Callable[[], _Answer]) -> _Answer:
        for _ in range(_TRIES):
            with suppress(_VanishedError):
                return once()
        with reading(self.root):
            return once()

    @contextmanager
    def _cursor(self, query: str) -> Iterator[duckdb.DuckDBPyConnection]:
        self._refresh()
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

    def _file_error(self, error: Exception, query: str) -> LakeError | QueryError:
        """The file behind a reading error, if one is: damaged or vanished after its check."""
        named = re.search(r"""["']([^"']+\.parquet)["']""", str(error))
        path = Path(named.group(1)) if named else self._damaged_file(query)
        if path is None:
            return QueryError(str(error))
        if not path.exists():
            return _VanishedError(f"{path}: vanished while it was read: ask again ({_first_line(error)})")
        return LakeError(f"{path}: is damaged: restore it or remove it ({_first_line(error)})")

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

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing to attach: DuckDB reads folders itself."""

    def _folders(self) -> tuple[str, ...]:
        """Where the tables' folders lie, in every form in which DuckDB may name them."""
        return str(self.root), _glob_literal(self.root)

    def _refresh(self) -> None:
        with self._lock, lake_errors("read", self.root):
            for table in TABLES:
                self._files[table] = self._checked_files(table, self._files.get(table, {}))
                self._define_view(table)

    def _checked_files(self, table: str, known: dict[str, int]) -> dict[str, int]:
        found = {}
        try:
            for partition in (self.root / table).glob("date=*/site=*"):
                for path in partition.glob("*.parquet"):
                    name = str(path)
                    found[name] = known[name] if name in known else file_schema_version(path, table)
        except FileNotFoundError as error:
            raise _VanishedError(f"{error.filename}: vanished while the lake was listed: ask again") from error
        return found

    def _define_view(self, table: str) -> None:
        """Views are bound to a way of reading: anew when the first file comes, or files of another version."""
        versions = set(self._files[table].values())
        shape = (bool(versions), versions not in (set(), {SCHEMA_VERSION}))
        if self._shapes.get(table) != shape:
            pattern = f"{_glob_literal(self.root / table)}/date=*/site=*/*.parquet" if shape[0] else None
            self._connection.execute(view_statement(table, pattern, mixed=shape[1]))
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


def file_schema_version(path: Path, table: str) -> int:
    """Version of a file's schema; LakeError where it is no Parquet file, not of this table, or from the future."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the file system's own; a damaged footer has none
            raise
        raise LakeError(
            f"{path}: not a whole Parquet file, so not written by retail-ray: remove it ({_first_line(error)})"
        ) from error
    if metadata.get(META_TABLE, b"").decode(errors="replace") != table:
        raise LakeError(f"{path}: not written by retail-ray for table '{table}'; move it out of the lake")
    version = int(metadata.get(META_VERSION, b"0"))
    if version > SCHEMA_VERSION:
        raise LakeError(f"{path}: schema version {version} is newer than this program's {SCHEMA_VERSION}; update it")
    return version


def view_statement(table: str, files: str | list[str] | None, *, mixed: bool) -> str:
    """Defines a table's view over files, or a pattern of files; None: there is none. mixed: of several versions."""
    columns = [f'"{field.name}"' for field in TABLES[table]]
    empty = ", ".join(
        f"NULL::{_sql_type(field.type)} AS {name}" for field, name in zip(TABLES[table], columns, strict=True)
    )
    source = f"SELECT {empty}, NULL::DATE AS date WHERE false"
    if files:
        read = f"""SELECT * EXCLUDE (site) FROM read_parquet({_literal(files)}, hive_partitioning = true,
            hive_types = {{'date': DATE, 'site': VARCHAR}}, union_by_name = {str(mixed).lower()})"""
        source = f"{source} UNION ALL BY NAME {read}"
    name = _RAW_NAMES.get(table, table)
    return f"CREATE OR REPLACE VIEW {name} AS SELECT {', '.join(columns)}, date FROM ({source})"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _sql_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind) + ")"
    names = {
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.int32(): "INTEGER",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
    }
    return names[kind]


def _literal(value: str | list[str]) -> str:
    """A SQL literal; statements that define settings and views take no parameters."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return "'" + value.replace("'", "''") + "'"


def _glob_literal(path: Path) -> str:
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
