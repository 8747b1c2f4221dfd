"""`retail-ray export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from retail_ray.refusals import refusals


@click.command()
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the five JSON files.")
@click.option("--from", "begin", help="ISO date and time, local where it has no offset; default: all that is recorded.")
@click.option("--to", "end", help="ISO date and time up to which, itself not included.")
@click.option("--site", "site_id", help="Id of the site, where the lake holds several.")
def export(lake: Path, out: Path, begin: str | None, end: str | None, site_id: str | None) -> None:
    """Write detections, journeys, queue metrics, heat map and alerts as JSON that other tools read."""
    from retail_ray.lake.interchange import export as export_files
    from retail_ray.lake.interchange import local_instant, recorded
    from retail_ray.lake.views import open_lake

    with refusals(), open_lake(lake) as opened:
        whole = recorded(opened, site_id)
        interval = replace(
            whole,
            start_us=whole.start_us if begin is None else local_instant(opened, whole.site_id, begin),
            end_us=whole.end_us if end is None else local_instant(opened, whole.site_id, end),
        )
        for name, count in export_files(opened, interval, out).items():
            click.echo(f"{out / name}: {count:,}")
