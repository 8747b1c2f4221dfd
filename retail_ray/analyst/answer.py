"""An answer of the lake: a table with its coverage, in the form that its reader works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from math import isnan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from retail_ray.analyst.store import Store
from retail_ray.lake.questions import Coverage

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

SHOWN_ROWS: Final = 12
WIDEST: Final = 48
"""Longer cells are cut when an answer is shown."""

ENOUGH: Final = 0.95
"""Below this share of the asked camera-minutes an answer says that it is incomplete."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """table: one row per thing asked for; instants in the store's timezone. coverage: None where nothing tells.

    notes: what a reader must know to read the numbers. estimates: columns that are estimated, not counted.
    """

    title: str
    table: pa.Table
    store: Store
    coverage: Coverage | None
    notes: tuple[str, ...] = ()
    estimates: frozenset[str] = frozenset()

    def pandas(self) -> pd.DataFrame:
        return self.table.to_pandas()

    def polars(self) -> pl.DataFrame:
        import polars

        return polars.from_arrow(self.table)

    def arrow(self) -> pa.Table:
        """Estimated columns carry {"estimate": "true"} in their metadata."""
        marked = [field.with_metadata({"estimate": "true"}) if field.name in self.estimates else field
                  for field in self.table.schema]  # fmt: skip
        return self.table.cast(pa.schema(marked))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        rows = self._head().to_string(index=False) if len(self) else f"no rows of {', '.join(self.table.column_names)}"
        return "\n".join([f"{self.title} – {_words(self.coverage, self.store)}", rows, *self._remarks()])

    def _repr_html_(self) -> str:
        table = self._head().to_html(index=False, border=0, na_rep="–", escape=True)
        little = self.coverage is not None and (self.coverage.interval_share or 0.0) < ENOUGH
        colour = "#b34700" if little else "#555555"
        remarks = "".join(f"<div style='color:#555555'>{escape(remark)}</div>" for remark in self._remarks())
        return (
            f"<div><b>{escape(self.title)}</b> "
            f"<span style='color:{colour}'>{escape(_words(self.coverage, self.store))}</span>{table}{remarks}</div>"
        )

    def _head(self) -> pd.DataFrame:
        frame = replace(self, table=self.table.slice(0, SHOWN_ROWS)).pandas()
        for name in frame.columns:
            if str(frame[name].dtype).startswith("datetime"):
                frame[name] = frame[name].dt.strftime("%Y-%m-%d %H:%M:%S")
            elif not str(frame[name].dtype).startswith(("int", "bool")):
                frame[name] = frame[name].map(_shown)
        return frame.rename(columns={name: f"≈ {name}" for name in self.estimates})

    def _remarks(self) -> list[str]:
        more = len(self) - SHOWN_ROWS
        remarks = [f"… and {more:,} more rows"] if more > 0 else []
        if self.estimates:
            remarks.append("≈ estimated")
        return remarks + list(self.notes)


def table_of(rows: list[dict[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Plain rows as a table that has its columns even without rows."""
    return pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))


def localised(table: pa.Table, timezone: str) -> pa.Table:
    """The same instants, shown in the store's timezone."""
    fields = [
        pa.field(field.name, pa.timestamp("us", tz=timezone)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _shown(value: Any) -> str:
    """One cell for people: lists in a row, numbers with four digits, nothing as a dash."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, np.ndarray):
        value = ", ".join(map(_shown, value.tolist()))
    text = str(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _words(coverage: Coverage | None, store: Store) -> str:
    if coverage is None:
        return "coverage unknown: see lake.coverage()"
    instants = pa.array([coverage.start_us, coverage.end_us], pa.timestamp("us", tz=store.timezone)).to_pylist()
    span = " to ".join(f"{instant:%Y-%m-%d %H:%M}" for instant in instants)
    if coverage.interval_share is None:
        return f"{span}; no camera is on record"
    return f"{span}; {coverage.interval_share:.1%} of the asked camera-minutes were analysed"
