"""SQL that defines the view of a table over its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pyarrow as pa

from retail_ray.lake.recounts import RECOUNTABLE
from retail_ray.lake.schemas import TABLES

_WITH: Final = re.compile(r"^\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)
_HOLDS: Final = """LEFT JOIN (FROM versions_in_force WHERE table_name = '{table}') known
    ON rows.run_id = known.run_id AND rows.date = known.date AND rows.site_id = known.site_id
WHERE known.version IS NULL OR known.version = rows.config_version"""


def view_selects(
    table: str, files: str | list[str] | None, *, mixed: bool, name: str, recounted: bool
) -> list[tuple[str, str]]:
    """Name and SELECT of a table's views; a later one reads those before it.

    files: these, or a pattern of files; None: there is none. mixed: of several schema versions. name: of the view
    whose rows hold. recounted: there may be rows of several config versions; `<table>_all` has those of every one.
    """
    if table not in RECOUNTABLE:
        return [(name, _select(table, files, mixed=mixed))]
    columns = ", ".join(f'rows."{field.name}"' for field in TABLES[table])
    holds = _HOLDS.format(table=table) if recounted else ""
    return [
        (f"{table}_all", _select(table, files, mixed=mixed)),
        (name, f"SELECT {columns}, rows.date FROM {table}_all rows {holds}"),
    ]


def reading(query: str, selects: list[tuple[str, str]]) -> str:
    """The same statement with views of its own in place of those of these names; `query`: SELECT, FROM or WITH."""
    if not selects:
        return query
    own = ", ".join(f"{name} AS NOT MATERIALIZED ({select})" for name, select in selects)
    if begun := _WITH.match(query):
        return f"{begun.group()}{own}, {query[begun.end() :]}"
    return f"WITH {own} {query}"


def _select(table: str, files: str | list[str] | None, *, mixed: bool) -> str:
    columns = [f'"{field.name}"' for field in TABLES[table]]
    empty = ", ".join(
        f"NULL::{_sql_type(field.type)} AS {column}" for field, column in zip(TABLES[table], columns, strict=True)
    )
    source = f"SELECT {empty}, NULL::DATE AS date WHERE false"
    if files:
        read = f"""SELECT * EXCLUDE (site) FROM read_parquet({literal(files)}, hive_partitioning = true,
            hive_types = {{'date': DATE, 'site': VARCHAR}}, union_by_name = {str(mixed).lower()})"""
        source = f"{source} UNION ALL BY NAME {read}"
    return f"SELECT {', '.join(columns)}, date FROM ({source})"


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


def literal(value: str | list[str]) -> str:
    """A SQL literal; statements that define settings and views take no parameters."""
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return "'" + value.replace("'", "''") + "'"


def glob_literal(path: Path) -> str:
    return re.sub(r"([*?\[])", r"[\1]", str(path))
