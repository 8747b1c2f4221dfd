"""`retail-ray recount`: zones, lines, lanes and thresholds of a changed site file over what cameras saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.core.uris import mask_credentials
from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.config import Site
    from retail_ray.runtime.recount import Recounted
    from retail_ray.runtime.recount_day import DayResult

_site = click.option(
    "--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file."
)
_lake = click.option("--lake", help="Folder of the lake, instead of the site's own setting.")
_first = click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First business day; default: all.")
_last = click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last business day, itself included.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group(invoke_without_command=True)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="The changed site file.")
@_lake
@_first
@_last
@_json
@click.option("--activate", "activated", is_flag=True, help="Answers see the new numbers from now on.")
@click.option("--in-process", is_flag=True, help="Without Ray, one day after the other.")
@click.option("--ray-address", help="Ray cluster to use; default RAY_ADDRESS, else a Ray of this process's own.")
@click.pass_context
def recount(
    context: click.Context, *, site_path: Path | None, lake: str | None, first: datetime | None,
    last: datetime | None, as_json: bool, activated: bool, in_process: bool, ray_address: str | None,
) -> None:  # fmt: skip
    """Count stored days with a changed site file: no video, no model. Versions stay side by side."""
    if context.invoked_subcommand is not None:
        return
    if site_path is None:
        raise click.UsageError("Missing option '--site'.", context)
    from functools import partial

    from retail_ray.runtime.recount import one_after_the_other
    from retail_ray.runtime.recount import recount as counted

    count_days: Any = one_after_the_other
    if not in_process:
        from retail_ray.runtime.recount_ray import count_with_ray

        count_days = partial(count_with_ray, address=ray_address)
    with refusals():
        result = counted(
            _loaded(site_path, lake), _date(first), _date(last),
            activated=activated, count_days=count_days, on_day=_tell,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        _print(result)


@recount.command("list")
@_site
@_lake
@_json
def list_versions(site_path: Path, lake: str | None, *, as_json: bool) -> None:
    """Which days hold several versions, and which one answers see."""
    from retail_ray.lake.recounts import read_recounts

    with refusals():
        site = _loaded(site_path, lake)
        days = sorted(read_recounts(Path(site.lake), site.site).days.values(), key=lambda day: (day.date, day.run_id))
    if as_json:
        rows = [
            {"date": day.date, "run_id": day.run_id, "in_force": day.in_force, "own": day.own_version,
             "counted": {version: list(tables) for version, tables in day.counted.items()}}
            for day in days
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
        return
    for day in days:
        marked = [f"{name}{' (in force)' * (name == day.in_force)}" for name in day.versions]
        click.echo(f"{day.date}  run {day.run_id}  {', '.join(marked)}")
    click.echo(f"this site file's version is {site.config_version}; {len(days)} days were counted anew")


@recount.command()
@_site
@_lake
@_first
@_last
@click.argument("version", required=False)
def activate(
    site_path: Path, lake: str | None, first: datetime | None, last: datetime | None, version: str | None
) -> None:
    """Let answers see VERSION (default: that of the site file), all days at once. A run's own version works too."""
    from retail_ray.lake import recounts

    with refusals():
        site = _loaded(site_path, lake)
        chosen = version or site.config_version
        with recounts.recounting(Path(site.lake), site.site):
            keys = list(_having(site, chosen, first, last))
            days = recounts.activate(Path(site.lake), site.site, chosen, keys or None)
    click.echo(f"version {chosen} is in force; it was not before on {len(days)} days")


@recount.command()
@_site
@_lake
@_first
@_last
@click.argument("version")
def drop(site_path: Path, lake: str | None, first: datetime | None, last: datetime | None, version: str) -> None:
    """Delete the rows of a counted VERSION; where it was in force, the run's own holds again."""
    from retail_ray.lake import recounts

    with refusals():
        site = _loaded(site_path, lake)
        with recounts.recounting(Path(site.lake), site.site):
            keys = list(_having(site, version, first, last))
            days = recounts.drop(Path(site.lake), site.site, version, keys or None)
    click.echo(f"version {version}: dropped from {len(days)} days")


def _having(site: Site, version: str, first: datetime | None, last: datetime | None) -> Iterator[tuple[str, str]]:
    """Days of the interval that have the version; ConfigError where none has."""
    from retail_ray.core.errors import ConfigError
    from retail_ray.lake.recounts import read_recounts

    low, high = f"{_date(first) or date.min}", f"{_date(last) or date.max}"
    days = read_recounts(Path(site.lake), site.site).days
    keys = [key for key, day in days.items() if version in day.versions and low <= day.date <= high]
    if not keys and (first or last):
        raise ConfigError(f"no day from {low} to {high} has version '{version}'; see `retail-ray recount list`")
    yield from keys


def _loaded(site_path: Path, lake: str | None) -> Site:
    from retail_ray.config import lake_folder
    from retail_ray.config_file import load_site
    from retail_ray.core.errors import ConfigError

    site = load_site(site_path)
    if lake is None:
        return site
    try:
        lake_folder(lake)
    except ValueError as error:
        raise ConfigError(f"--lake '{lake}': {error}") from error
    return site.model_copy(update={"lake": str(Path(lake).expanduser().resolve())})


def _date(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _tell(day: DayResult) -> None:
    rows = sum(day.tables.values())
    click.echo(f"{day.date} of run {day.run_id}: {rows:,} rows in {day.wall_s:.1f} s", err=True)


def _print(result: Recounted) -> None:
    """Before and after on stdout, notes on stderr."""
    from rich.console import Console
    from rich.table import Table

    found = result.as_json()
    table = Table(title=f"Site {result.site_id}, version {result.version}", title_justify="left")
    table.add_column("")
    table.add_column("")
    for heading in ("before", "after", "difference"):
        table.add_column(heading, justify="right")
    for change in found["changes"]:
        numbers = [_number(change[name]) for name in ("old", "new", "difference")]
        table.add_row(f"{change['kind']} {change['name']}", change["measure"], *numbers)
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    share = found["coverage"]["share"]
    covered = "nothing is known of the cameras" if share is None else f"{share:.1%} of the owed frames were analysed"
    console.print(f"{len(result.days)} days; {covered}")
    for note in result.notes:
        click.echo(f"note: {mask_credentials(note)}", err=True)
    console.print(_state(result))


def _state(result: Recounted) -> str:
    if not result.written:
        return "The runs used this very version: compared, nothing written."
    if result.in_force:
        return "In force: answers see these numbers now."
    return f"Not in force: `retail-ray recount activate --site … {result.version}` lets answers see them."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}" if float(value).is_integer() else f"{value:.1f}"
