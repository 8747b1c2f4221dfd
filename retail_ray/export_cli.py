"""`retail-ray export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from retail_ray.refusals import refusals


@click.command()
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--from", "begin", help="ISO date and time, local where it has no offset; default: all that is recorded.")
@click.option("--to", "end", help="ISO date and time up to which, itself not included.")
@click.option("--site", "site_id", help="Id of the site, where the lake holds several.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["interchange", "csv", "mot", "coco"]),
    default="interchange",
    show_default=True,
    help="interchange: five JSON files; mot, coco: the detections.",
)
@click.option("--table", help="Table or view to write as CSV.")
def export(
    *, lake: Path, out: Path, begin: str | None, end: str | None, site_id: str | None, form: str, table: str | None
) -> None:
    """Write detections, journeys, queue metrics, heat map and alerts as other tools read them, or a table as CSV."""
    from retail_ray.lake.exports import EXPORTS, export_csv
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
        if (form == "csv") != (table is not None):
            raise click.UsageError("--format csv and --table belong together")
        if table is not None:
            written = export_csv(opened, interval, table, out)
        else:
            written = EXPORTS.get(form, export_files)(opened, interval, out)
        for name, count in written.items():
            click.echo(f"{out / name}: {count:,}")
