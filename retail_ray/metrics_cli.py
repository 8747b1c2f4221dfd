"""`retail-ray metrics`: which metrics there are, what they mean, and their values."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.config import Site
    from retail_ray.lake.metric_answers import MetricRow
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake

_GRAINS = ("minute", "hour", "day")


@click.group()
def metrics() -> None:
    """Metrics: which there are, what they mean, and their values."""


@metrics.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_(*, as_json: bool) -> None:
    """All metrics: id, name, grains and groups."""
    from retail_ray.api.metrics import described
    from retail_ray.lake.metrics import METRICS

    if as_json:
        click.echo(json.dumps([described(metric).model_dump() for metric in METRICS], indent=2))
        return
    for metric in METRICS:
        click.echo(f"{metric.id:16} {metric.name:22} {metric.basis:10} by {', '.join(metric.groups)}")


@metrics.command()
@click.argument("metric_id", metavar="METRIC")
def show(metric_id: str) -> None:
    """One metric: formula, values, grains, groups and SQL."""
    from retail_ray.lake.metric_answers import sql_of
    from retail_ray.lake.metrics import metric

    with refusals():
        found = metric(metric_id)
    click.echo(f"{found.id} (version {found.version}): {found.name}\n{found.formula}\n")
    for value in found.values:
        click.echo(f"  {value.name:26} {value.unit:8} {value.meaning}")
    staff = "can be left out" if found.staff else "cannot be left out"
    click.echo(
        f"\n{found.basis}; {'additive' if found.additive else 'not additive'}; grain {', '.join(found.grains)}; "
        f"by {', '.join(found.groups)}; staff {staff}; reads {', '.join(found.tables)}\n\n{sql_of(found)}"
    )


@metrics.command()
@click.argument("metric_id", metavar="METRIC")
@click.option("--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file.")
@click.option("--lake", type=click.Path(path_type=Path), help="Folder of the lake, instead of the site's own.")
@click.option("--from", "begin", metavar="TIME", help="ISO time or business day; default: the newest day on record.")
@click.option("--to", "end", metavar="TIME", help="End, excluded; a business day is included whole.")
@click.option("--by", default="", help="Groups with commas between, e.g. zone,hour; `metrics show` lists them.")
@click.option("--grain", type=click.Choice(_GRAINS), help="One row per minute, local hour or business day.")
@click.option("--staff", type=click.Choice(["include", "exclude"]), default="include", show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def ask(
    metric_id: str, site_path: Path, lake: Path | None, *, begin: str | None, end: str | None, form: str, **how: Any
) -> None:
    """Values of one metric by time and group, with the share of the camera-minutes that each row rests on."""
    from retail_ray.config_file import load_site
    from retail_ray.lake.metric_answers import ask as asked
    from retail_ray.lake.views import open_lake

    with refusals():
        site = load_site(site_path)
        how["by"] = [group for group in how["by"].split(",") if group]
        with open_lake(lake or Path(site.lake)) as opened:
            rows = asked(opened, _question(opened, site, begin, end), metric_id, **how)
    _print([_flat(row, site.timezone) for row in rows], form)


def _question(lake: Lake, site: Site, begin: str | None, end: str | None) -> Question:
    """The same interval that the HTTP API would understand."""
    from retail_ray.api.params import IntervalQuery, interval_us
    from retail_ray.api.site import SiteInfo
    from retail_ray.core.errors import QueryError
    from retail_ray.lake.questions import Question, latest_day

    day = site.business_day
    newest = latest_day(lake, site.site)
    if begin is None and end is None and newest is None:
        raise QueryError(f"{lake.root}: nothing is recorded of site '{site.site}'; give --from and --to")
    whole = (0, 1) if newest is None else (day.start_us(newest), day.end_us(newest))
    info = SiteInfo(site.site, site.site, site.timezone, site.day_start)
    start_us, end_us = interval_us(IntervalQuery(from_=begin, to=end), info, whole)
    return Question(site.site, day, start_us, end_us, tuple(camera.id for camera in site.cameras))


def _flat(row: MetricRow, timezone: str) -> dict[str, Any]:
    from zoneinfo import ZoneInfo

    from retail_ray.core.time import from_us

    start, end = (from_us(time_us).astimezone(ZoneInfo(timezone)).isoformat() for time_us in (row.start_us, row.end_us))
    return {"from": start, "to": end, **row.group, **row.values, "interval_share": row.interval_share}


def _print(rows: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
    elif form == "csv" and rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif form == "table":
        _print_table(rows)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from retail_ray.console import wide_console

    table = Table()
    columns = [name for name in (rows[0] if rows else ()) if name != "to"]
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(row["from"][:16], *(_cell(row[name]) for name in columns[1:]))
    wide_console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
