"""Questions that people write themselves: one SELECT, over the views of one lake, with limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from retail_ray.core.errors import QueryError
from retail_ray.lake.views import open_lake


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """`truncated`: there are more rows than were asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


def user_sql(
    root: Path | str,
    query: str,
    *,
    max_rows: int = 10_000,
    max_execution_s: float = 30,
    memory_limit: str = "1GB",
) -> SqlAnswer:
    """Answer one SELECT on a connection of its own; QueryError where it is no SELECT, wrong or too costly."""
    check_select(query)
    with open_lake(root, max_execution_s=max_execution_s, memory_limit=memory_limit) as lake:
        columns, rows = lake.head(query, max_rows + 1)
    return SqlAnswer(columns, rows[:max_rows], len(rows) > max_rows)


def check_select(query: str) -> None:
    """QueryError unless `query` is exactly one SELECT (also DESCRIBE, SHOW TABLES, FROM …)."""
    with duckdb.connect(":memory:") as parser:
        try:
            statements = parser.extract_statements(query)
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
    if len(statements) != 1:
        raise QueryError(f"ask one question at a time: found {len(statements)} statements")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(f"only SELECT is allowed here, found {kind.name}; the lake is written by runs alone")
