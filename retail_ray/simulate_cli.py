"""`retail-ray simulate`: stores with exact truth, as clips or as a lake."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import click

from retail_ray.core.errors import ConfigError
from retail_ray.core.time import from_us, to_us
from retail_ray.refusals import refusals
from retail_ray.simulate_video_cli import video

if TYPE_CHECKING:
    from retail_ray.simulation.event_lake import SiteOfLake
    from retail_ray.simulation.event_settings import EventSettings
    from retail_ray.simulation.store import StorePlan

TIMEZONE: Final = "Europe/Rome"
DAY_START: Final = "04:00"


@click.group()
def simulate() -> None:
    """Stores with exact truth."""


simulate.add_command(video)


@simulate.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for lake, truth, site.yaml.")
@click.option("--hours", type=float, default=24.0, show_default=True, help="How much time; the shop opens 8 to 21.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides everything by chance.")
@click.option(
    "--layout", default="superstore", show_default=True, help="Name of the store's plan, random:SEED, or a plan file."
)
@click.option("--cameras", type=int, default=16, show_default=True, help="More than the plan has hang at the ceiling.")
@click.option("--visitors", type=int, default=1500, show_default=True, help="Visitors of a day, about.")
@click.option("--start", default=f"2026-03-02T{DAY_START}", show_default=True, help="ISO date and time.")
@click.option(
    "--json",
    "json_out",
    type=click.Path(path_type=Path),
    help="Write the five interchange files of all of it here too.",
)
@click.option("--sizes-as-json", is_flag=True, help="Print rows and bytes per table as JSON.")
def events(
    *,
    out: Path,
    hours: float,
    seed: int,
    layout: str,
    cameras: int,
    visitors: int,
    start: str,
    json_out: Path | None,
    sizes_as_json: bool,
) -> None:
    """Write a lake as a store's cameras would have filled it, without video, and the truth of it."""
    from retail_ray.lake.interchange import require_free
    from retail_ray.simulation.event_lake import write_lake
    from retail_ray.simulation.event_settings import EventSettings
    from retail_ray.simulation.event_store import plan_with_cameras

    with refusals():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out}: not an empty folder; give a new one, or delete it first")
        if json_out is not None:
            require_free(json_out)
        settings = EventSettings(_instant_us(start), hours, visitors, TIMEZONE)
        plan = plan_with_cameras(layout, cameras)
        site = _write_site(out, plan, settings, f"sim-{plan.name}-{seed}".replace(":", "-"))
        written = write_lake(
            plan, settings, site, seed=seed, lake=out / "lake", truth=out / "truth", command=shlex.join(sys.argv[1:]),
            on_progress=lambda what: click.echo(what, err=True),
        )  # fmt: skip
        objects = {} if json_out is None else _export(out / "lake", json_out)
    if sizes_as_json:
        click.echo(json.dumps({"rows": written.rows, "bytes": written.file_bytes, "objects": objects}, indent=2))
        return
    for table, rows in sorted(written.rows.items()):
        click.echo(f"{table:16}{rows:>12,} rows {written.file_bytes[table] / 1e6:>9.1f} MB")
    for name, count in objects.items():
        click.echo(f"{name:20}{count:>12,} objects")
    click.echo(f"{written.people} people; {written.missed_crossings} door crossings were not seen")
    click.echo(f"next: retail-ray serve --site {out / 'site.yaml'}")


def _export(lake: Path, json_out: Path) -> dict[str, int]:
    """All of the lake as interchange files; how many objects each holds."""
    from retail_ray.lake.interchange import export, recorded
    from retail_ray.lake.views import open_lake

    with open_lake(lake) as opened:
        return export(opened, recorded(opened), json_out)


def _write_site(out: Path, plan: StorePlan, settings: EventSettings, site_id: str) -> SiteOfLake:
    """`site.yaml` of the store, and what the lake must know of it."""
    from retail_ray.config_file import load_site
    from retail_ray.simulation.event_lake import SiteOfLake
    from retail_ray.simulation.site_file import site_document, write_site

    begins = from_us(settings.start_us).astimezone(ZoneInfo(settings.timezone))
    recordings = {camera.id: (f"simulated://{camera.id}", begins) for camera in plan.cameras}
    no_models: dict[str, Any] = {"embedder": None, "segmenter": None}
    document = site_document(
        plan, site_id, settings.frame_hw_px, recordings,
        timezone=settings.timezone, analysis_fps=float(settings.fps), models=no_models,
    )  # fmt: skip
    document |= {"day_start": DAY_START, "runtime": {"epoch_s": settings.epoch_s}}
    out.mkdir(parents=True, exist_ok=True)
    write_site(out / "site.yaml", document)
    site = load_site(out / "site.yaml")
    return SiteOfLake(
        site_id=site.site,
        run_id=site.run_id(),
        config_version=site.config_version,
        settings_json=json.dumps(site.settings()),
        day=site.business_day,
        line_cameras={line.id: line.camera for line in site.lines},
    )


def _instant_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--start {text!r} is no ISO date and time, e.g. 2026-03-02T04:00") from error
    return to_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(TIMEZONE)))
