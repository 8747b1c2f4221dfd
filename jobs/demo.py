"""`make demo`: a simulated store from video to answers, held against what really happened, then its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from retail_ray.cli import main as retail_ray
from retail_ray.config_file import load_site
from retail_ray.console import print_comparison, print_summary
from retail_ray.evaluation.comparison import compare
from retail_ray.evaluation.evaluation import load_scene
from retail_ray.runtime.contact_sheet import contact_sheet

STORE = Path(__file__).with_name("demo_store")


@click.command()
@click.option("--store", type=click.Path(path_type=Path), default=STORE, help="Folder with site.yaml and truth.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/demo"), show_default=True)
@click.option("--page/--no-page", default=True, help="Show the page at the end, until Ctrl-C.")
@click.option("--port", default=8000, show_default=True)
def demo(store: Path, out: Path, page: bool, port: int) -> None:
    """Analyse the store's cameras, compare with the truth, draw a contact sheet, serve the page."""
    lake, site_path = (out / "lake").resolve(), store / "site.yaml"
    where = ["--site", str(site_path), "--lake", str(lake)]
    run_id = _run(where)
    print_comparison(compare(load_scene(lake, store / "truth", run_id)))
    sheet = out / "contact_sheet.png"
    contact_sheet(load_site(site_path), lake, run_id, sheet)
    click.echo(f"\nWhat the cameras saw and who was who: {sheet}")
    if page:
        retail_ray.main(["serve", *where, "--port", str(port)], standalone_mode=False)


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
