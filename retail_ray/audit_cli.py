"""`retail-ray audit`: how right the door counts are, by a person's own count of a random sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.core.errors import ConfigError
from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.audit.counting import Counting

_folder = click.argument("folder", type=click.Path(path_type=Path))
_KEYS = "Count who crosses the line with the feet.  i in   o out   u undo   n next clip   r show again   q pause"


@click.group()
def audit() -> None:
    """Count a random sample by eye, and hold the door counts against it."""


@audit.command()
@click.option("--lake", "root", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder for the clips.")
@click.option("--site-id", help="The store, where the lake holds several.")
@click.option("--from", "since", help="Day or moment of the store's time, e.g. 2026-03-02; default: all on record.")
@click.option("--to", "until", help="Last day (included) or moment (excluded); default: the day of --from.")
@click.option("--clips", default=60, show_default=True, type=click.IntRange(1, 10_000), help="Clips per counting line.")
@click.option("--clip-s", default=10.0, show_default=True, type=click.FloatRange(1, 600), help="Seconds to count.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Decides which clips are drawn.")
@click.option("--video", "videos", multiple=True, metavar="CAMERA=FILE", help="Recording; shown coarsely pixelated.")
def sample(
    *, root: Path, out: Path, site_id: str | None, since: str | None, until: str | None, clips: int, clip_s: float,
    seed: int, videos: tuple[str, ...],
) -> None:  # fmt: skip
    """Draw clips: from stored boxes as silhouettes, or from recordings."""
    from retail_ray.analyst.opened import open_store
    from retail_ray.audit.drawing import sample as drawn

    with refusals():
        if since is None and until is not None:
            raise ConfigError("--to needs --from")
        when = since if since is None or until is None else (since, until)
        with open_store(root, site_id) as lake:
            made = drawn(lake, out, when, clips_per_line=clips, clip_s=clip_s, seed=seed, videos=_by_camera(videos))
    click.echo(f"{len(made.clips)} clips of {clip_s:g} s in {out / 'clips'}, drawn with seed {seed}")
    if made.basis == "boxes":
        click.echo("They show what the detector found: what it missed, you cannot see. --video shows everything.")
    click.echo(f"next: retail-ray audit count {out}")


@audit.command()
@_folder
@click.option("--open", "show", is_flag=True, help="Open each clip with this machine's viewer.")
def count(folder: Path, *, show: bool) -> None:
    """Count clip by clip with keys; a second start goes on where the first one stopped."""
    from retail_ray.audit.counting import Counting

    with refusals():
        counting = Counting(folder)
        click.echo(_KEYS)
        _show(counting, show=show)
        while counting.left:
            key = click.getchar().lower()
            if key == "q":
                break
            before = len(counting.left)
            if key == "r" or not counting.press(key) or len(counting.left) != before:
                _show(counting, show=show)
            elif counting.left:
                click.echo(f"  in {counting.entries}  out {counting.exits}")
    click.echo(f"{len(counting.done)} clips counted, {len(counting.left)} left; {folder / 'counts.csv'}")


def _show(counting: Counting, *, show: bool) -> None:
    if not counting.left:
        return
    clip_id, line_id = counting.left[0]
    click.echo(f"{clip_id}, line {line_id}, {len(counting.left)} left: {counting.clip}")
    click.echo(f"  in {counting.entries}  out {counting.exits}")
    if show:
        click.launch(str(counting.clip))


@audit.command()
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def report(folder: Path, *, as_json: bool) -> None:
    """Precision, recall and retail accuracy per counting line, with 95 % intervals."""
    from retail_ray.audit.folder import read_audit, read_counts, read_sealed
    from retail_ray.audit.report import report as reported

    with refusals():
        made = read_audit(folder)
        counts = read_counts(folder, [clip_id for clip_id, _ in made.clips])
        section = reported(read_sealed(folder), counts)
    if as_json:
        click.echo(json.dumps({"site_id": made.site_id, "basis": made.basis, "lines": _plain(section)}, indent=2))
        return
    _print(section)
    click.echo(f"{len(counts)} of {len(made.clips)} clips counted, from {made.basis}")


def _plain(section: Any) -> Any:
    return section.as_dict() if hasattr(section, "as_dict") else {name: _plain(part) for name, part in section.items()}


def _print(section: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Door counts against a person's", title_justify="left")
    for heading in ("line", "", "value", "95 % interval", "counted over"):
        table.add_column(heading)
    for line, measures in section.items():
        for name, measure in measures.items():
            if measure.value is None:
                table.add_row(line, name.replace("_", " "), "–", "", measure.why)
                continue
            interval = "" if measure.low is None else f"{measure.low:.3f} to {measure.high:.3f}"
            value = f"{measure.value:.0f}" if name == "clips" else f"{measure.value:.3f}"
            table.add_row(line, name.replace("_", " "), value, interval, f"{measure.n} {measure.of}")
    Console().print(table)


def _by_camera(videos: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for video in videos:
        camera_id, sign, path = video.partition("=")
        if not (camera_id and sign and path):
            raise ConfigError(f"--video {video!r}: give CAMERA=FILE, e.g. door=recordings/door.mp4")
        found[camera_id] = Path(path)
    return found
