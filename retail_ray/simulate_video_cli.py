"""`retail-ray simulate video`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.core.errors import ConfigError
from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.simulation.recipe import Recipe


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file with all settings; options override it.")
@click.option("--layout", help="Ready name, random:SEED, or a plan file.  [default: convenience]")
@click.option("--seed", type=click.IntRange(0), help="Decides people, ways and camera faults.  [default: 1]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for clips, truth, site.yaml.")
@click.option("--duration-s", type=float, help="[default: 90]")
@click.option("--width", type=int, help="Pixels.  [default: 1280]")
@click.option("--height", type=int, help="Pixels.  [default: 720]")
@click.option("--fps", type=float, help="Frames per second of the clips.  [default: 10]")
@click.option("--severity", type=float, help="Camera faults: 0 none, 1 usual, 2 bad.  [default: 1]")
@click.option("--start", help="Beginning as ISO date and time with UTC offset.")
@click.option("--site-id", help="Id of the store; default from layout and seed.")
@click.option("--renderer", type=click.Choice(["auto", "gl", "software"]), help="gl needs OpenGL.  [default: auto]")
def video(recipe: Path | None, out: Path, **options: Any) -> None:
    """Render a store's cameras as clips, with exact truth and a site.yaml that analyses them."""
    from retail_ray.simulation.layout_files import plan_by_name
    from retail_ray.simulation.recipe import Recipe, load_recipe
    from retail_ray.simulation.video import simulate_video

    with refusals():
        wanted = _changed(Recipe() if recipe is None else load_recipe(recipe), **options)
        made = simulate_video(
            plan_by_name(wanted.layout), wanted.scenario, wanted.video, wanted.seed, out, site_id=wanted.site_id,
            segmented=wanted.segmentation,
            on_clip=lambda camera, done, of: click.echo(f"{done} of {of}: {camera}", err=True),
        )  # fmt: skip
    click.echo(
        f"{made.people} people on {len(made.clips)} clips (drawn by {made.renderer}); "
        f"next: retail-ray run --site {made.site_path}"
    )


def _changed(
    recipe: Recipe, *, duration_s: float | None, width: int | None, height: int | None, start: str | None, **same: Any
) -> Recipe:
    filmed = {name: same.pop(name) for name in ("fps", "severity", "renderer")}
    filmed |= {"width_px": width, "height_px": height, "start": None if start is None else _instant(start)}
    return recipe.changed(scenario={"duration_s": duration_s}, video=filmed, **same)


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--start {text!r} is no ISO date and time, e.g. 2026-03-02T11:00:00+01:00") from error
