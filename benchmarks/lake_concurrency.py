"""Writers, compaction, retention and readers at once: `python -m benchmarks.lake_concurrency [--seconds 600]`.

Every epoch has the same rows, so each answer can be judged: it must hold all epochs that were published before the
question, none that began after the answer, and no row twice; a finished day is there whole or, once retention took it,
not at all. A plain reader of the folders (pyarrow's dataset) runs beside, to say what other engines see.
Writes benchmarks/results/lake_concurrency.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from datetime import time as time_of_day
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from benchmarks.environment import RESULTS, describe
from retail_ray.core.errors import RetailRayError
from retail_ray.core.records import CoverageRow, DetectionRows, LineCrossing, TrackletRow
from retail_ray.core.time import US_PER_S, BusinessDay
from retail_ray.lake.check import check
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.compaction import compact, merges
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.partitions import empty_aside, files_aside
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.retention import expired, retain
from retail_ray.lake.runs import CameraSpan, RunRecord, begin_run
from retail_ray.lake.views import open_lake

SITE: Final = "shop"
DAY: Final = BusinessDay("UTC", time_of_day(0))
FIRST_DAY: Final = date(2026, 3, 2)
START_US: Final = DAY.start_us(FIRST_DAY)
EPOCHS_A_DAY: Final = 40
EPOCH_US: Final = 86_400 * US_PER_S // EPOCHS_A_DAY
BOXES: Final = 50
WRITERS: Final = ("north", "south")
KEPT_DAYS: Final = 3
GRACE_S: Final = 1.0


def run_together(folder: Path, seconds: float, readers: int, least_epochs: int = 0) -> dict[str, Any]:
    """Counts of epochs, merges, removed days, answers, failures and wrong answers, and whether the lake is sound.

    least_epochs: go on behind `seconds` until each writer has published so many.
    """
    context = multiprocessing.get_context("spawn")
    shared = _Shared(context, 2 + readers + len(WRITERS), least_epochs)
    for writer in WRITERS:
        spans = (CameraSpan(writer, START_US, None),)
        begin_run(folder, RunRecord(f"run{writer}", SITE, "c1", "benchmark", spans, START_US))
        _publish(folder, writer, 0)
    jobs: list[tuple[Callable[..., object], tuple[Any, ...]]] = [
        *((_write, (folder, number, seconds)) for number in range(len(WRITERS))),
        (_maintain, (folder, seconds)),
        *((_read, (folder, seconds)) for _ in range(readers)),
        (_read_plainly, (folder, seconds)),
    ]
    processes = [context.Process(target=job, args=(shared, *arguments)) for job, arguments in jobs]
    for process in processes:
        process.start()
    found = Counter[str]()
    problems: list[str] = []
    for _ in processes:
        counts, texts = shared.results.get()
        found.update(counts)
        problems += texts
    for process in processes:
        process.join()
    with maintenance(folder):
        report = check(folder)
    with open_lake(folder) as lake:
        (total,) = lake.rows("SELECT count(*) AS n FROM line_crossings")
    lost = sum(2 * published for published in shared.published[:]) - total["n"]
    return {
        "seconds": seconds,
        "readers": readers,
        "counts": dict(sorted(found.items())),
        "problems": problems[:10],
        "rows_lost_or_doubled_at_the_end": lost,
        "faults": [f"{fault.kind}: {fault.place}: {fault.text}" for fault in report.faults],
    }


class _Shared:
    """What the processes know of each other: epochs begun and published by each writer."""

    def __init__(self, context: SpawnContext, parties: int, least_epochs: int) -> None:
        self.least_epochs = least_epochs
        self.begun = context.Array("q", [1] * len(WRITERS))
        self.published = context.Array("q", [1] * len(WRITERS))
        self.ready = context.Barrier(parties)
        self.results: Any = context.Queue()

    def goes_on(self, end_s: float) -> bool:
        return time.monotonic() < end_s or min(self.published[:]) <= self.least_epochs


def _publish(folder: Path, writer: str, epoch: int) -> None:
    """Two crossings, a coverage row and some boxes."""
    context = RowContext(SITE, f"run{writer}", "c1")
    stage, at = Stage(folder, context, writer, DAY), START_US + epoch * EPOCH_US
    number = np.arange(BOXES)
    edges = np.stack([number, number, number + 9.0, number + 9.0], axis=1)
    boxes = DetectionRows(
        writer, epoch * BOXES + number, at + number, edges.astype(np.float32), np.full(BOXES, 0.9, np.float32),
        np.full(BOXES, -1, np.int64), edges[:, :2].astype(np.float32), np.zeros(BOXES, np.int8), edges[:, :2],
        np.full(BOXES, np.nan, np.float32), (None,) * BOXES, (1080, 1920),
    )  # fmt: skip
    crossings = [LineCrossing("main", writer, 2 * epoch + i, at + i, "in", turned_back=False) for i in range(2)]
    entries = stage.write_records("detections", [boxes], epoch)
    tracks = [TrackletRow(writer, 2 * epoch + i, at, at + i, 1, 0.9, 1.0, 0, 0.5) for i in range(2)]
    entries += stage.write_records("tracklets", tracks, epoch)
    entries += stage.write_records("line_crossings", crossings, epoch)
    entries += stage.write_records("coverage", [CoverageRow(writer, at, 600, 600, 0, "")], epoch)
    publish(folder, context, epoch, entries)


def _write(shared: _Shared, folder: Path, number: int, seconds: float) -> None:
    shared.ready.wait()
    end_s, epoch = time.monotonic() + seconds, 1
    while shared.goes_on(end_s):
        if epoch > min(shared.published[:]) + EPOCHS_A_DAY // 4:  # no writer falls days behind the other
            time.sleep(0.001)
            continue
        shared.begun[number] = epoch + 1
        _publish(folder, WRITERS[number], epoch)
        shared.published[number] = epoch + 1
        epoch += 1
    shared.results.put(({"epochs": epoch}, []))


def _maintain(shared: _Shared, folder: Path, seconds: float) -> None:
    counts, problems = Counter[str](), list[str]()
    shared.ready.wait()
    end_s = time.monotonic() + seconds
    while shared.goes_on(end_s):
        with maintenance(folder):
            done = compact(folder, merges(folder, open_day_files=8))
            gone = expired(folder, {"detections": KEPT_DAYS})
            retain(folder, gone)
            problems += [f"merge left out: {part.problem}" for part in done if part.problem]
            counts.update(merges=len(done), merged_files=sum(len(p.merge.inputs) for p in done), days_removed=len(gone))
            if any(files_aside(folder)):
                time.sleep(GRACE_S)
                empty_aside(folder)
    shared.results.put((counts, problems))


def _read(shared: _Shared, folder: Path, seconds: float) -> None:
    counts, problems = Counter[str](), list[str]()
    with open_lake(folder, threads=1, max_execution_s=600) as lake:  # the proof is of files, not of time
        shared.ready.wait()
        end_s = time.monotonic() + seconds
        while shared.goes_on(end_s):
            published = shared.published[:]
            least = 2 * sum(published)
            counts["answers"] += 2
            try:
                (row,) = lake.rows("SELECT count(*) AS n, count(DISTINCT (run_id, local_id)) AS d FROM line_crossings")
                wrong = _judge(row, least, 2 * sum(shared.begun[:]))
                days = lake.rows(
                    "SELECT date, run_id, count(*) AS n, count(DISTINCT frame_index) AS d FROM detections GROUP BY ALL"
                )
                wrong += [text for day in days for text in _judge_day(day, published)]
            except RetailRayError as error:
                counts["failed_reads"] += 1
                problems.append(str(error))
                continue
            counts["wrong_answers"] += len(wrong)
            problems += wrong
    shared.results.put((counts, problems))


def _judge(row: dict[str, int], least: int, most: int) -> list[str]:
    if row["n"] == row["d"] and least <= row["n"] <= most:
        return []
    return [f"{row['n']} crossings, {row['d']} different ones; {least} to {most} were published"]


def _judge_day(day: dict[str, Any], published: list[int]) -> list[str]:
    """A day that its writer had not left when the question was asked may be there in part."""
    whole = EPOCHS_A_DAY * BOXES
    left = (published[WRITERS.index(day["run_id"].removeprefix("run"))] - 1) // EPOCHS_A_DAY
    growing = (day["date"] - FIRST_DAY).days >= left
    if day["n"] == day["d"] and (day["n"] == whole or (growing and day["n"] < whole)):
        return []
    return [f"{day['date']} {day['run_id']}: {day['n']} boxes, {day['d']} different ones, of {whole}"]


def _read_plainly(shared: _Shared, folder: Path, seconds: float) -> None:
    counts = Counter[str]()
    shared.ready.wait()
    end_s = time.monotonic() + seconds
    while shared.goes_on(end_s):
        least = 2 * sum(shared.published[:])
        counts["plain_answers"] += 1
        try:
            rows = ds.dataset(folder / "line_crossings", partitioning="hive").count_rows()
        except (OSError, pa.ArrowInvalid):
            counts["plain_failed_reads"] += 1
            continue
        counts["plain_wrong_answers"] += not least <= rows <= 2 * sum(shared.begun[:])
    shared.results.put((counts, []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS / "lake_concurrency.json")
    arguments = parser.parse_args()
    measured_on = describe()
    with tempfile.TemporaryDirectory() as folder:
        found = run_together(Path(folder), arguments.seconds, arguments.readers)
    print(json.dumps(found, indent=1))
    arguments.out.write_text(json.dumps(found | {"measured_on": measured_on}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
