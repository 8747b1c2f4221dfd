"""`retail-ray figures`: mannequins, posters and mirrors that the detector takes for people."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from retail_ray.refusals import refusals

_INSTANT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])


def _us(instant: datetime | None) -> int | None:
    from retail_ray.core.time import to_us

    return None if instant is None else to_us(instant)


@click.command()
@click.option("--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file.")
@click.option("--lake", type=click.Path(path_type=Path), help="Lake with detections; default the site's.")
@click.option("--camera", "camera_id", help="Only this camera.")
@click.option("--from", "first", type=_INSTANT, help="Look from here on, e.g. 2026-03-02T02:00+01:00.")
@click.option("--until", type=_INSTANT, help="Look until here.")
@click.option("--empty", is_flag=True, help="Nobody was there in the interval, as at night: seconds are enough.")
@click.option("--json", "as_json", is_flag=True, help="Print the boxes as JSON.")
def figures(
    site_path: Path,
    lake: Path | None,
    camera_id: str | None,
    first: datetime | None,
    until: datetime | None,
    *,
    empty: bool,
    as_json: bool,
) -> None:
    """Find boxes in stored detections that never move; print `still_figures` to paste into the site file."""
    from retail_ray.config_file import load_site
    from retail_ray.figures import section, still_figures

    with refusals():
        found = still_figures(
            load_site(site_path), lake, camera_id, from_us=_us(first), until_us=_us(until), empty=empty
        )
    if as_json:
        click.echo(json.dumps({camera: boxes.round(1).tolist() for camera, boxes in found.items()}, indent=2))
        return
    count = sum(len(boxes) for boxes in found.values())
    click.echo(f"{count} still figures in {len(found)} cameras", err=True)
    if count:
        click.echo(section(found), nl=False)
