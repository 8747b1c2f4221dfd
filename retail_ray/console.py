"""What people see in the terminal: progress while a run works, and its summary."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from retail_ray.core.time import from_us
from retail_ray.evaluation.comparison import Compared
from retail_ray.lake.sql_guard import SqlAnswer
from retail_ray.runtime.camera import CameraStatus
from retail_ray.vision.weights import ModelsRow

PLAIN_EVERY_S = 5.0

_PIPE_WIDTH = 240


class Progress:
    """A table that redraws itself in a terminal, a line each few seconds elsewhere. Writes to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def notice(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def status(self, cameras: list[CameraStatus], epoch: int | None) -> None:
        if self._console.is_terminal:
            self._live.update(self._table(cameras, epoch), refresh=True)
        elif time.monotonic() - self._printed >= PLAIN_EVERY_S:
            self._printed = time.monotonic()
            states = ", ".join(f"{c.camera_id} {c.state} {c.frames} frames" for c in cameras)
            self._console.print(f"{self._elapsed():.0f} s: {states}", highlight=False, soft_wrap=True)

    def _table(self, cameras: list[CameraStatus], epoch: int | None) -> Table:
        title = f"{self._elapsed():.0f} s, committed up to epoch {epoch if epoch is not None else '–'}"
        table = Table(title=title, title_justify="left")
        for heading, justify in (("camera", "left"), ("state", "left"), ("frames", "right"), ("frames/s", "right")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for heading in ("people now", "dropped", "video time"):
            table.add_column(heading, justify="right")
        for camera in cameras:
            seen = "–" if camera.last_frame_us is None else f"{from_us(camera.last_frame_us):%Y-%m-%d %H:%M:%S}"
            table.add_row(
                camera.camera_id,
                camera.state,
                f"{camera.frames}",
                "–" if camera.frames_per_s is None else f"{camera.frames_per_s:.1f}",
                f"{camera.people}",
                f"{camera.dropped}",
                seen,
            )
        return table

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def print_summary(summary: dict[str, Any]) -> None:
    """Tables of a run's numbers on stdout."""
    console = Console()
    coverage = summary["coverage"]
    share = "no frames expected" if coverage["share"] is None else f"{coverage['share']:.1%} of the expected frames"
    done = "was complete already" if summary["already_complete"] else f"took {summary['wall_s']:.1f} s"
    console.print(f"\nRun {summary['run_id']} {done}; coverage {share}; lake {summary['lake']}", soft_wrap=True)
    _print_rows(console, "Cameras", summary["cameras"])
    _print_rows(console, "Counting lines", summary["lines"])
    _print_rows(console, "Zones", summary["zones"])
    _print_rows(console, "Checkout lanes", summary["queues"])
    console.print(f"Identities: {summary['identities']} from {summary['tracklets']} tracklets")
    journeys = summary["journeys"]
    if journeys["journeys"]:
        console.print(
            f"Journeys: {journeys['journeys']}, {journeys['censored']} of them without entry or exit; "
            f"median {journeys['median_duration_s']:.1f} s as observed"
        )
    for row in summary["visitors"]:
        people = row["people"]
        console.print(
            f"Unique visitors {row['day']}: {row['visitors']} identities, estimated {people['low']} to "
            f"{people['high']} people (95 %); {row['unassessed_links']} of {row['links']} links without probability"
        )
    for camera_id, error in summary["errors"].items():
        console.print(f"camera '{camera_id}' failed: {error}", style="red", markup=False, soft_wrap=True)


def _print_rows(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="left" if name.endswith("_id") else "right")
    for row in rows:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else f"{value}" for value in row.values()))
    console.print(table)


def print_comparison(rows: Sequence[Compared]) -> None:
    """Counted beside true, on stdout."""
    table = Table(title="Counted against what really happened", title_justify="left")
    for heading, justify in (("", "left"), ("counted", "right"), ("true", "right"), ("unit", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        numbers = ("–" if value is None else f"{value:.1f}" if row.unit == "s" else f"{value:g}"
                   for value in (row.counted, row.true))  # fmt: skip
        table.add_row(row.what, *numbers, row.unit)
    wide_console().print(table)


def wide_console() -> Console:
    """For tables of answers: into a file or a pipe nothing is cut off."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def print_answer(answer: SqlAnswer, form: str) -> None:
    """An SQL answer on stdout as a table, CSV or JSON lines of objects."""
    if form == "json":
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print(json.dumps(rows, indent=2, default=str))  # noqa: T201 - the answer itself, to be piped
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    else:
        _print_rows(wide_console(), "", [dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    if answer.truncated:
        Console(stderr=True).print(f"only the first {len(answer.rows)} rows are shown; raise --max-rows")


def models_text(rows: Sequence[ModelsRow]) -> str:
    """The known weights as paragraphs: no address and no sha256 is cut, however narrow the terminal."""
    paragraphs = []
    for row in rows:
        known = row.weights
        facts = {
            "size": f"{known.size_bytes} bytes ({known.size_bytes / 1e6:.1f} MB)",
            "sha256": known.sha256,
            "licence": known.licence,
            "address": known.url or "comes with retail_ray",
            "found at": "not on this machine" if row.path is None else f"{row.path}",
        }
        lines = [f"  {name:<8}  {value}" for name, value in facts.items()]
        paragraphs.append("\n".join([f"{known.name} - {known.task}: {known.purpose}", *lines]))
    return "\n\n".join(paragraphs)
