"""A year of a store, without video: `python -m benchmarks.year_lake [--days 365] [--cameras 16]`  ->  build/year-…/

Some days are simulated whole (`retail-ray simulate events`, quiet to busy), then repeated over the year with shifted
times and run ids and sessions of their own, so that schemas, partitions, identities and revisions are real. Detections
are kept for the last days alone, as retention leaves them. One file per table and day, as compaction leaves them;
`--files` splits each into so many, as epochs write them. Made once, then used again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.environment import ROOT
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Commit, Stage, last_commit, publish
from retail_ray.lake.schemas import DAY_COLUMN, TABLES

FIRST: Final = date(2025, 3, 1)
SIMULATED: Final = date(2026, 3, 2)
DAY: Final = BusinessDay("Europe/Rome", time(4))
VISITORS: Final = (900, 1500, 2100)
"""Of the simulated days. Their order over a week: quiet days, usual ones, and a busy Saturday."""
WEEK: Final = (0, 0, 1, 1, 1, 2, 0)


@dataclass(frozen=True, slots=True)
class YearSettings:
    """days: how many, the last ones `detection_days` with detections. files: into how many each table of a day is cut.
    visitors: factor on the visitors of every day."""

    days: int = 365
    cameras: int = 16
    detection_days: int = 7
    files: int = 1
    visitors: float = 1.0
    layout: str = "superstore"

    @property
    def name(self) -> str:
        return f"year-{self.days}d-{self.cameras}c-{self.files}f" + ("" if self.visitors == 1 else f"-{self.visitors}v")


@dataclass(frozen=True, slots=True)
class YearLake:
    """rows, file_bytes, files: by table."""

    root: Path
    site_id: str
    days: tuple[date, ...]
    cameras: tuple[str, ...]
    zones: tuple[str, ...]
    rows: dict[str, int]
    file_bytes: dict[str, int]
    files: dict[str, int]


def year_lake(settings: YearSettings, build: Path = ROOT / "build") -> YearLake:
    """The lake, made if it is not there; one that was begun is gone on with."""
    root = build / settings.name
    made = root / "made.json"
    if not made.is_file() or json.loads(made.read_text(encoding="utf-8"))["settings"] != asdict(settings):
        simulated = [_simulated(round(n * settings.visitors), settings, build) for n in VISITORS]
        begun = root.with_name(f"{root.name}.part")
        shutil.rmtree(root, ignore_errors=True)
        content = {"settings": asdict(settings)} | _written(begun / "lake", settings, simulated)
        (begun / "made.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        begun.rename(root)
    found = json.loads(made.read_text(encoding="utf-8"))
    return YearLake(
        root=root / "lake",
        site_id=found["site_id"],
        days=tuple(_days(settings)),
        cameras=tuple(found["cameras"]),
        zones=tuple(found["zones"]),
        rows=found["rows"],
        file_bytes=found["bytes"],
        files=found["files"],
    )


def _days(settings: YearSettings) -> Iterator[date]:
    return (FIRST + timedelta(days=n) for n in range(settings.days))


def _simulated(visitors: int, settings: YearSettings, build: Path) -> Path:
    """The lake of one simulated day."""
    folder = build / "simulated-days" / f"{settings.layout}-{settings.cameras}-{visitors}"
    if not (folder / "sizes.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        words = [
            "simulate", "events", "--out", str(folder), "--seed", str(visitors), "--cameras", str(settings.cameras),
            "--visitors", str(visitors), "--layout", settings.layout, "--sizes-as-json",
        ]  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "retail_ray.cli", *words], stdout=subprocess.PIPE, check=True)
        (folder / "sizes.json").write_bytes(done.stdout)
    return folder / "lake"


def _written(root: Path, settings: YearSettings, simulated: list[Path]) -> dict[str, Any]:
    rows, sizes, files = Counter[str](), Counter[str](), Counter[str]()
    days = list(_days(settings))
    detected = set(days[-settings.detection_days :]) if settings.detection_days else set()
    known = {name: [_table(lake, name) for lake in simulated] for name in TABLES if name != "detections"}
    cameras = sorted(pc.unique(known["coverage"][0]["camera_id"]).to_pylist())
    zones = sorted(pc.unique(known["zone_visits"][0]["zone_id"]).to_pylist())
    site_id = known["sites"][0]["site_id"][0].as_py()
    for day in days:
        kind = WEEK[day.weekday()]
        tables = {name: variants[kind] for name, variants in known.items()}
        if day in detected:
            tables["detections"] = _table(simulated[kind], "detections")
        context = RowContext(site_id, f"run{day:%Y%m%d}", "year")
        commit = last_commit(root, context.run_id) or _write_day(root, context, day, tables, settings.files)
        for entry in commit.files:
            rows[entry.table] += entry.rows
            sizes[entry.table] += entry.bytes
            files[entry.table] += 1
        print(f"{day} {len(commit.files)} files", file=sys.stderr)
    counted = {"rows": dict(rows), "bytes": dict(sizes), "files": dict(files)}
    return {"site_id": site_id, "cameras": cameras, "zones": zones} | counted


def _write_day(root: Path, context: RowContext, day: date, tables: dict[str, pa.Table], files: int) -> Commit:
    entries = []
    for name, data in tables.items():
        moved = _moved(name, data, day, context)
        step = -(-len(moved) // files) or 1
        for number, start in enumerate(range(0, len(moved), step)):
            stage = Stage(root, context, f"part{number:03d}", DAY)
            entries.append(stage.write(name, day, 0, moved.slice(start, step)))
    return publish(root, context, 0, entries)


def _table(lake: Path, name: str) -> pa.Table:
    """All rows of one table in order of time."""
    paths = sorted((lake / name).glob("date=*/site=*/*.parquet"))
    parts = [pq.read_table(path, partitioning=None) for path in paths] or [TABLES[name].empty_table()]
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks().sort_by(DAY_COLUMN[name])


def _moved(name: str, data: pa.Table, day: date, context: RowContext) -> pa.Table:
    """The rows as of another day: everything that names a moment, the run and the session. What a shorter day (clocks
    put forward) does not hold is left out."""
    shift_us = DAY.start_us(day) - DAY.start_us(SIMULATED)
    columns = []
    for field, column in zip(data.schema, data.columns, strict=True):
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        columns.append(_moved_column(field, array, shift_us, day, context))
    moved = pa.Table.from_arrays(columns, schema=TABLES[name])
    times = moved[DAY_COLUMN[name]].cast(pa.int64())
    return moved.filter(pc.less(times, DAY.end_us(day)))


def _moved_column(field: pa.Field, array: pa.Array, shift_us: int, day: date, context: RowContext) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        return pc.add(array.cast(pa.int64()), shift_us).cast(field.type)
    if field.name == "stays":
        return _moved_stays(array, shift_us)
    if pa.types.is_dictionary(field.type) and field.name in ("run_id", "site_id", "config_version", "session_id"):
        words = array.dictionary.to_pylist()
        if field.name == "session_id":
            named = [word.replace(f"{SIMULATED:%Y%m%d}", f"{day:%Y%m%d}") for word in words]
        else:
            named = [getattr(context, field.name)] * len(words)
        return pa.DictionaryArray.from_arrays(array.indices, pa.array(named, pa.string()))
    return array


def _moved_stays(array: pa.ListArray, shift_us: int) -> pa.Array:
    kind = array.type.value_type
    stays = array.flatten()
    parts = [
        pc.add(part.cast(pa.int64()), shift_us).cast(member.type) if pa.types.is_timestamp(member.type) else part
        for member, part in zip(kind, stays.flatten(), strict=True)
    ]
    offsets = pc.subtract(array.offsets, array.offsets[0])
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(parts, fields=list(kind)), type=array.type)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in asdict(YearSettings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    made = year_lake(YearSettings(**vars(parser.parse_args())))
    print(json.dumps({"lake": str(made.root), "rows": made.rows, "bytes": made.file_bytes, "files": made.files}))


if __name__ == "__main__":
    main()
