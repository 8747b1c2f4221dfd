"""`retail-ray lake rollup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.lake.rollups import Saved


@click.command()
@click.option("--lake", "root", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--site", "site_id", help="Id of the site; default: every site of the lake.")
def rollup(root: Path, site_id: str | None) -> None:
    """Sum up every business day ahead of questions. Only new and changed days are read; facts stay as they are."""
    from retail_ray.lake.rollup_kinds import kinds
    from retail_ray.lake.views import open_lake
    from retail_ray.lake.visitors import save_visitor_days

    with refusals(), open_lake(root) as lake:
        found = lake.rows("SELECT DISTINCT site_id FROM sites ORDER BY site_id")
        for site in [site_id] if site_id is not None else [row["site_id"] for row in found]:
            for kind in kinds():
                _tell(f"{site} {kind.name}", lake.rollups.save(kind, site))
            _tell(f"{site} unique_visitors", save_visitor_days(lake, site))


def _tell(what: str, saved: Saved) -> None:
    click.echo(f"{what}: {saved.days:,} days, {saved.summed_up:,} read, {saved.bytes:,} bytes")
