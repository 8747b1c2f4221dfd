"""`retail-ray lake rollup`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_ray.refusals import refusals


@click.command()
@click.option("--lake", "root", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--site", "site_id", help="Id of the site; default: every site of the lake.")
def rollup(root: Path, site_id: str | None) -> None:
    """Sum up every business day ahead of questions. Only new and changed days are read; facts stay as they are."""
    from retail_ray.lake.rollup_kinds import kinds
    from retail_ray.lake.views import open_lake

    with refusals(), open_lake(root) as lake:
        found = lake.rows("SELECT DISTINCT site_id FROM sites ORDER BY site_id")
        for site in [site_id] if site_id is not None else [row["site_id"] for row in found]:
            for kind in kinds():
                saved = lake.rollups.save(kind, site)
                click.echo(f"{site} {kind.name}: {saved.days:,} days, {saved.summed_up:,} read, {saved.bytes:,} bytes")
