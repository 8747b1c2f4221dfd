"""`retail-ray pos`: sales of tills, joined with the visits that were served."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.core.errors import ConfigError
from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retail_ray.config import Site
    from retail_ray.lake.pos_file import BrokenRow
    from retail_ray.pos import LaneClock

_SHOWN_ROWS = 20

_common = (
    click.option("--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file."),
    click.option("--lake", type=click.Path(path_type=Path), help="Folder of the lake, instead of the site's own."),
    click.option(
        "--max-offset-s", type=click.FloatRange(1, 7200), default=600.0, show_default=True,
        help="Clocks of tills and cameras that differ by more are refused.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON."),
)  # fmt: skip


def _options(command: Any) -> Any:
    for option in reversed(_common):
        command = option(command)
    return command


@click.group()
def pos() -> None:
    """Sales of tills: imported from files and joined with visits."""


@pos.command("import")
@click.argument("path", metavar="FILE.CSV", type=click.Path(path_type=Path))
@_options
@click.option("--delimiter", help="Between cells; default: what the first line has most of: , ; tab |")
@click.option("--timezone", help="Of times without UTC offset; default: the site's.")
@click.option("--time-format", help="As of strptime, e.g. '%d.%m.%Y %H:%M:%S'; default: ISO 8601.")
@click.option("--till", "tills", multiple=True, metavar="NAME=LANE", help="Lane of a till's name; repeat it.")
def import_(path: Path, site_path: Path, lake: Path | None, *, max_offset_s: float, as_json: bool, **how: Any) -> None:
    """Store the sales of a file, find how far the tills' clocks are off, and join each sale with its visit."""
    from retail_ray.analytics.till_clock import ClockSettings
    from retail_ray.lake.pos_file import read_pos_file
    from retail_ray.pos import import_transactions

    with refusals():
        site = _site(site_path)
        read = read_pos_file(path, _format(site, **how))
        done = import_transactions(
            lake or Path(site.lake), site, read, ClockSettings(max_offset_s), shlex.join(sys.argv[1:])
        )
    if as_json:
        click.echo(json.dumps(asdict(done) | {"joined": done.joined}, indent=2, default=str))
        return
    click.echo(f"{done.imported} imported, {done.known} known already, {len(done.doubled)} doubled, "
               f"{len(done.broken)} broken; {done.joined} joined with a visit")  # fmt: skip
    _print_rows(path, [*done.broken, *done.doubled])
    _print_clocks(done.clocks)


@pos.command("join")
@_options
@click.option("--from", "first", metavar="DAY", help="First business day; default: of all transactions.")
@click.option("--to", "last", metavar="DAY", help="Last business day, itself included.")
def join(
    site_path: Path, lake: Path | None, *, max_offset_s: float, as_json: bool, first: str | None, last: str | None
) -> None:
    """Join stored sales with visits anew, after more video, a recount or corrected identities."""
    from retail_ray.analytics.till_clock import ClockSettings
    from retail_ray.pos import rejoin

    with refusals():
        site = _site(site_path)
        days = {"first": _day("--from", first), "last": _day("--to", last)}
        clocks = rejoin(lake or Path(site.lake), site, ClockSettings(max_offset_s), shlex.join(sys.argv[1:]), **days)
    if as_json:
        click.echo(json.dumps([asdict(clock) for clock in clocks], indent=2, default=str))
    else:
        _print_clocks(clocks)


def _site(path: Path) -> Site:
    from retail_ray.config_file import load_site

    return load_site(path)


def _format(
    site: Site, *, delimiter: str | None, timezone: str | None, time_format: str | None, tills: Sequence[str]
) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from retail_ray.lake.pos_file import PosFormat

    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ConfigError(f"--delimiter {delimiter!r}: give one character, e.g. ';'")
    try:
        ZoneInfo(timezone or site.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"--timezone {timezone!r} is no IANA timezone, e.g. 'Europe/Rome'") from error
    lanes = [lane.id for lane in site.queues]
    lane_of = {}
    for till in tills:
        name, equals, lane = till.rpartition("=")
        if not equals or lane not in lanes:
            raise ConfigError(f"--till {till!r}: write NAME=LANE with a lane of {', '.join(lanes) or 'the site'}")
        lane_of[name] = lane
    return PosFormat(timezone or site.timezone, lanes, lane_of, delimiter, time_format)


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is no day, e.g. 2026-03-02") from error


def _print_rows(path: Path, rows: Sequence[BrokenRow]) -> None:
    for row in sorted(rows, key=lambda row: row.line)[:_SHOWN_ROWS]:
        click.echo(f"{path}, line {row.line}: {row.why}", err=True)
    if len(rows) > _SHOWN_ROWS:
        click.echo(f"… and {len(rows) - _SHOWN_ROWS} more rows; --json lists all", err=True)


def _print_clocks(clocks: Sequence[LaneClock]) -> None:
    for clock in clocks:
        lane = "no lane told" if clock.lane_id is None else clock.lane_id
        told = f"{clock.day} {lane}: {clock.joined} of {clock.transactions} joined"
        if clock.offset_s is None:
            click.echo(f"{told}; offset refused: {clock.why}")
        else:
            click.echo(f"{told}; till is {clock.offset_s:+.1f} s off the cameras (± {clock.uncertainty_s:.1f} s)")
