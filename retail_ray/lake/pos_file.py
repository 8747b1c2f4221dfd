"""Sales as a till's program exports them: a CSV file, read row by row so that one broken row costs one row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from retail_ray.core.errors import DataError
from retail_ray.core.retail_records import Transaction
from retail_ray.core.time import from_us, to_us

COLUMNS: Final = {
    "time": ("time", "timestamp", "datetime"),
    "lane": ("lane", "till", "register"),
    "transaction_id": ("transaction_id", "transaction", "id", "receipt"),
    "amount": ("amount", "total"),
    "currency": ("currency",),
}
"""Column -> headings that are understood, in any case."""

DELIMITERS: Final = ",;\t|"
_LONGEST_ID: Final = 200
_EARLIEST, _LATEST = 1970, 2200


@dataclass(frozen=True, slots=True)
class PosFormat:
    """timezone: of times without offset. lanes: known lane ids. lane_of: a till's name -> lane id.

    delimiter None: the one that the heading has most of. time_format: as of strptime; None: ISO 8601.
    """

    timezone: str
    lanes: Sequence[str] = ()
    lane_of: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    time_format: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """line: in the file, counted from 1."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class PosFile:
    """transactions: whole rows in the order of the file, each with its line."""

    transactions: list[tuple[int, Transaction]]
    broken: list[BrokenRow]


def read_pos_file(path: Path, form: PosFormat) -> PosFile:
    """DataError where the file as a whole cannot be used: missing, no text, or without the columns it needs."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    lines = text.splitlines(keepends=True)
    delimiter = form.delimiter or _delimiter(lines)
    rows = _rows(lines, delimiter)
    _, heading = next(rows, (1, []))
    places = _places(path, heading if isinstance(heading, list) else [], delimiter)
    found = PosFile([], [])
    for line, row in rows:
        try:
            if isinstance(row, csv.Error):
                raise ValueError(f"no row of a CSV file: {row}")  # noqa: TRY004 - the file is wrong, not a type
            if any(map(str.strip, row)):
                found.transactions.append((line, _transaction(_cells(row, places), form, delimiter)))
        except ValueError as error:
            found.broken.append(BrokenRow(line, str(error)))
    return found


def _delimiter(lines: Sequence[str]) -> str:
    heading = lines[0] if lines else ""
    return max(DELIMITERS, key=heading.count)


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Line at which each row begins, and its cells or what is wrong with it."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error


def _places(path: Path, heading: Sequence[str], delimiter: str) -> dict[str, int]:
    names = [name.strip().lower().replace(" ", "_") for name in heading]
    places = {}
    for column, known in COLUMNS.items():
        found = [place for place, name in enumerate(names) if name in known]
        if len(found) > 1:
            raise DataError(f"{path}, line 1: {len(found)} columns could be the {column}; rename all but one")
        if found:
            places[column] = found[0]
    missing = [column for column in ("time", "transaction_id") if column not in places]
    if missing:
        raise DataError(
            f"{path}, line 1: no column for {' and '.join(missing)} among {names} (delimiter {delimiter!r}); the first "
            f"line must name the columns: {', '.join('/'.join(known) for known in COLUMNS.values())}"
        )
    return places


def _cells(row: Sequence[str], places: Mapping[str, int]) -> dict[str, str]:
    short = [column for column, place in places.items() if place >= len(row)]
    if short:
        raise ValueError(f"has {len(row)} cells; missing: {', '.join(short)}")
    cells = {column: row[place].strip() for column, place in places.items()}
    for column, cell in cells.items():
        if not cell.isprintable():
            raise ValueError(f"{column}: not readable as UTF-8 text")
    return cells


def _transaction(cells: Mapping[str, str], form: PosFormat, delimiter: str) -> Transaction:
    name = cells["transaction_id"]
    if not 0 < len(name) <= _LONGEST_ID:
        raise ValueError(f"transaction_id: {'missing' if not name else f'longer than {_LONGEST_ID} letters'}")
    return Transaction(
        _time_us(cells["time"], form),
        _lane(cells.get("lane", ""), form),
        name,
        _amount(cells.get("amount", ""), delimiter),
        cells.get("currency") or None,
    )


def _time_us(text: str, form: PosFormat) -> int:
    hint = f"as in '{form.time_format}'" if form.time_format else "2026-03-01T10:00:00+01:00, or --time-format"
    try:
        moment = datetime.strptime(text, form.time_format) if form.time_format else datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"time: '{text[:60]}' is no time; write {hint}") from error
    if not _EARLIEST <= moment.year < _LATEST:
        raise ValueError(f"time: '{text[:60]}' is not between the years {_EARLIEST} and {_LATEST}")
    if moment.tzinfo is not None:
        return to_us(moment)
    zone = ZoneInfo(form.timezone)
    early, late = (to_us(moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early != late:
        twice = from_us(early).astimezone(zone).replace(tzinfo=None) == moment
        why = "happened twice" if twice else "did not happen"
        raise ValueError(f"time: '{text[:60]}' {why} in {form.timezone}, clocks were changed; write its UTC offset")
    return early


def _lane(text: str, form: PosFormat) -> str | None:
    if not text:
        return None
    lane = form.lane_of.get(text, text)
    if lane not in form.lanes:
        raise ValueError(f"lane: '{text[:60]}' is none of {', '.join(form.lanes) or 'no lanes'}; map it with --till")
    return lane


def _amount(text: str, delimiter: str) -> float:
    if not text:
        return math.nan
    plain = text.replace(",", ".") if delimiter != "," and "." not in text else text
    try:
        amount = float(plain)
    except ValueError as error:
        raise ValueError(f"amount: '{text[:60]}' is no number, e.g. 12.50") from error
    if not math.isfinite(amount):
        raise ValueError(f"amount: '{text[:60]}' is no amount")
    return amount
