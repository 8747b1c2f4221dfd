"""`make demo`: a simulated store from video to answers, held against what really happened, then its page."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from retail_ray.cli import main as retail_ray
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.console import print_comparison, print_summary
from retail_ray.core.errors import DataError
from retail_ray.evaluation.belonging import require_truth_of
from retail_ray.evaluation.comparison import compare
from retail_ray.evaluation.evaluation import load_scene
from retail_ray.lake.truth import read_truth
from retail_ray.refusals import refusals
from retail_ray.runtime.contact_sheet import contact_sheet

STORE = Path(__file__).with_name("demo_store")
TIMES = "times.json"


@click.command()
@click.option("--store", type=click.Path(path_type=Path), default=STORE, help="Folder with site.yaml and truth.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/demo"), show_default=True)
@click.option("--page/--no-page", default=True, help="Show the page at the end, until Ctrl-C.")
@click.option("--port", default=8000, show_default=True)
def demo(store: Path, out: Path, page: bool, port: int) -> None:
    """Analyse the store's cameras, compare with the truth, draw a contact sheet, serve the page."""
    lake, site_path, truth = (out / "lake").resolve(), store / "site.yaml", store / "truth"
    where = ["--site", str(site_path), "--lake", str(lake)]
    watch = Watch()
    with refusals():
        with watch.part("site and truth"):
            site = _load(store)
        with watch.part("analysis of the clips"):
            run_id = _run(where)
        with watch.part("comparison with the truth"):
            print_comparison(compare(load_scene(lake, truth, run_id)))
        sheet = out / "contact_sheet.png"
        with watch.part("contact sheet"):
            contact_sheet(site, lake, run_id, sheet)
    click.echo(f"\nWhat the cameras saw and who was who: {sheet}\n")
    watch.tell(out / TIMES)
    if page:
        retail_ray.main(["serve", *where, "--port", str(port)], standalone_mode=False)


class Watch:
    """Wall-clock seconds of each part of the demo."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - began

    def tell(self, path: Path) -> None:
        """To the terminal, and as JSON to `path`."""
        for name, seconds in (self._seconds | {"in all": sum(self._seconds.values())}).items():
            click.echo(f"{name:<28}{seconds:7.1f} s")
        rounded = {name: round(seconds, 2) for name, seconds in self._seconds.items()}
        path.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def _load(store: Path) -> Site:
    """The store's site; ConfigError, DataError or LakeError where its truth is another's."""
    site = load_site(store / "site.yaml")
    known = read_truth(store / "truth")
    try:
        require_truth_of(site.site, {camera.id: camera.recorded_at_us for camera in site.cameras}, known)
    except DataError as error:
        raise DataError(f"{store / 'truth'}: {error}") from error
    return site


def _run(where: list[str]) -> str:
    """The job in a process of its own, as a user would start it; its tables go to the terminal, its summary here."""
    command = [sys.executable, "-m", "retail_ray.cli", "run", *where, "--replace", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    summary = json.loads(done.stdout)
    print_summary(summary)
    return str(summary["run_id"])


if __name__ == "__main__":
    demo()
