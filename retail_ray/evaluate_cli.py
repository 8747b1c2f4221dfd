"""`retail-ray evaluate`: a lake against the exact truth of its simulated clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from rich.table import Table

    from retail_ray.evaluation.evaluation import Evaluation
    from retail_ray.evaluation.measures import Section
    from retail_ray.lake.identity_views import IdentityVersion

TITLES = {
    "coverage": "Coverage: what the numbers rest on",
    "detector": "Detector",
    "cameras": "Tracking within cameras",
    "across_cameras": "Identity over all cameras",
    "floor": "Identity on the floor, within 1 m",
    "links": "Links between tracklets",
    "doors": "Door events",
    "visitors": "Unique visitors",
    "occupancy": "Occupancy",
    "dwell": "Dwell in zones",
    "queues": "Queues",
    "staff": "Staff probability",
    "groups": "Groups",
}


def _version(text: str) -> IdentityVersion:
    if text == "emitted":
        return "emitted"
    if text == "revised":
        return "revised"
    if text.isdecimal():
        return int(text)
    raise click.BadParameter(f"{text!r}; give emitted, revised or the sequence number of a decision")


@click.command()
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--truth", required=True, type=click.Path(path_type=Path), help="Folder with truth.json.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON; see docs/evaluation.md.")
@click.option("--run", "run_id", help="Score this run only; default: all runs of the truth's site and time.")
@click.option(
    "--identities",
    default="revised",
    show_default=True,
    metavar="emitted|revised|N",
    callback=lambda _context, _option, text: _version(text),
    help="Identities as first decided, after all corrections, or as of decision N (its sequence).",
)
@click.option("--all", "every", is_flag=True, help="Also the tables by camera, line, zone, height and visibility.")
def evaluate(
    lake: Path, truth: Path, *, as_json: bool, run_id: str | None, identities: IdentityVersion, every: bool
) -> None:
    """Score a lake against the truth of the simulated store it was made from."""
    from retail_ray.evaluation.evaluation import evaluate as evaluated

    with refusals():
        result = evaluated(lake, truth, run_id, identities=identities)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        print_evaluation(result, every=every)


def print_evaluation(result: Evaluation, *, every: bool = False) -> None:
    """Tables on stdout: value, 95 % interval, and what it was counted over."""
    from rich.console import Console

    console, of = Console(), result.truth
    console.print(
        f"\nSite {of.site_id}, layout {of.layout}, seed {of.seed}, {(of.end_us - of.start_us) / 1e6:.0f} s; "
        f"run {', '.join(result.run_ids)}; identities {result.identities}; lake {result.lake}",
        soft_wrap=True,
        highlight=False,
    )
    for name, section in result.sections.items():
        console.print(_table(TITLES[name], section, every=every))


def _table(title: str, section: Section, *, every: bool) -> Table:
    from rich.table import Table

    from retail_ray.evaluation.measures import flat

    table = Table(title=title, title_justify="left")
    for heading, justify in (("", "left"), ("value", "right"), ("95 % interval", "right"), ("counted over", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for name, measure in flat(section if every else _summary(section)).items():
        if measure.value is None and "_by_" in name:
            continue
        if measure.value is None:
            table.add_row(_words(name), "not measured", "", measure.why)
            continue
        interval = "" if measure.low is None or measure.high is None else f"{measure.low:.3f} to {measure.high:.3f}"
        table.add_row(_words(name), _number(measure.value), interval, f"{measure.n} {measure.of}")
    return table


def _summary(section: Section) -> Section:
    """Where all parts stand together, those; else everything that is not a breakdown."""
    if "all" in section:
        return {"all": section["all"]}
    return {name: item for name, item in section.items() if "_by_" not in name}


def _words(name: str) -> str:
    return name.removeprefix("all.").replace(".", ", ").replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3f}"
