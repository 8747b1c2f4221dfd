"""A folder of an audit: what the person sees, what is sealed from them, and what they counted.

`audit.json` and `clips/` are for the person, `sealed.json` holds the system's counts until the report, `counts.csv`
grows clip by clip and may be filled in with any other tool.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from retail_ray.audit.sample import Clip
from retail_ray.core.errors import DataError, LakeError
from retail_ray.lake.files import lake_errors, read_json, write_atomically, write_json

FORMAT: Final = "retail_ray audit 1"
COLUMNS: Final = ("clip", "entries", "exits")


@dataclass(frozen=True, slots=True)
class Audit:
    """basis: 'boxes' shows what the detector found, so misses of the detector stay hidden; 'video' shows all."""

    site_id: str
    basis: str
    seed: int
    clip_s: float
    clips: tuple[tuple[str, str], ...]
    """(clip id, line id) in the order of counting."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a person saw in one clip."""

    clip_id: str
    entries: int
    exits: int


def write_audit(folder: Path, audit: Audit, clips: Sequence[Clip]) -> None:
    write_json(folder / "audit.json", {"format": FORMAT} | asdict(audit))
    write_json(folder / "sealed.json", {"format": FORMAT, "clips": [asdict(clip) for clip in clips]})


def read_audit(folder: Path) -> Audit:
    """What the person may know. LakeError where this is no folder of an audit."""
    content = _record(folder, "audit.json")
    try:
        clips = tuple((clip_id, line_id) for clip_id, line_id in content.pop("clips"))
        return Audit(**content, clips=clips)
    except (TypeError, ValueError, KeyError) as error:
        raise LakeError(f"{folder / 'audit.json'}: damaged ({error}); draw the sample anew") from error


def read_sealed(folder: Path) -> list[Clip]:
    """What the system counted; for the report alone."""
    content = _record(folder, "sealed.json")
    try:
        return [Clip(**entry) for entry in content["clips"]]
    except (TypeError, KeyError) as error:
        raise LakeError(f"{folder / 'sealed.json'}: damaged ({error}); draw the sample anew") from error


def write_counts(folder: Path, counts: Sequence[Count]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((count.clip_id, count.entries, count.exits) for count in counts)
    with lake_errors("write", folder):
        write_atomically(folder / "counts.csv", text.getvalue().encode())


def read_counts(folder: Path, known: Sequence[str]) -> list[Count]:
    """Counts so far, in the order of the file. DataError that names the line of a row that is none."""
    path = folder / "counts.csv"
    if not path.exists():
        return []
    with lake_errors("read", path):
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise DataError(f"{path}: line 1 must be {','.join(COLUMNS)}, found {','.join(rows[0]) if rows else 'nothing'}")
    counts: dict[str, Count] = {}
    for number, row in enumerate(rows[1:], start=2):
        count = _count(row, f"{path}: line {number}", known)
        if count.clip_id in counts:
            raise DataError(f"{path}: line {number}: {count.clip_id} was counted before; keep one of the two rows")
        counts[count.clip_id] = count
    return list(counts.values())


def _count(row: list[str], place: str, known: Sequence[str]) -> Count:
    if len(row) != len(COLUMNS) or not all(cell.strip().isdecimal() for cell in row[1:]):
        raise DataError(f"{place}: {','.join(row)!r} must be a clip and two whole numbers, e.g. clip-001,1,0")
    if row[0] not in known:
        raise DataError(f"{place}: there is no clip {row[0]!r} in this audit")
    return Count(row[0], int(row[1]), int(row[2]))


def _record(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = read_json(folder / name)
    except FileNotFoundError as error:
        raise LakeError(f"{folder / name}: no audit here; begin with `retail-ray audit sample`") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise LakeError(f"{folder / name}: not written by `retail-ray audit sample`")
    return content
