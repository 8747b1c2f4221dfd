"""`make demo`: the main job on the real clips, then the page over what it found."""

from __future__ import annotations

import os
from pathlib import Path

import click

from retail_ray.cli import main as retail_ray

SITE = Path(__file__).with_name("real_clips.yaml")


@click.command()
@click.option("--shared", type=click.Path(path_type=Path), required=True, help="Folder that holds data/clips.")
@click.option("--page/--no-page", default=True, help="Show the page at the end, until Ctrl-C.")
@click.option("--port", default=8000, show_default=True)
def demo(shared: Path, page: bool, port: int) -> None:
    """Run the site of real clips and serve its page."""
    if not (shared / "data" / "clips").is_dir():
        raise click.ClickException(f"no clips in {shared / 'data' / 'clips'}; name their folder with RETAIL_RAY_SHARED")
    os.environ["RETAIL_RAY_SHARED"] = str(shared.resolve())
    site = ["--site", str(SITE)]
    retail_ray.main(["run", *site, "--replace"], standalone_mode=False)
    if page:
        retail_ray.main(["serve", *site, "--port", str(port)], standalone_mode=False)


if __name__ == "__main__":
    demo()
