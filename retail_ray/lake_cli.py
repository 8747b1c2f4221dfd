"""`retail-ray lake`: what keeps a lake in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from retail_ray.refusals import refusals
from retail_ray.rollup_cli import rollup

if TYPE_CHECKING:
    from retail_ray.lake.compaction import Merged
    from retail_ray.lake.deletion_target import Target

FOUND_FAULTS: Final = 1
_LISTING_S: Final = 2.0
"""Longer than anybody takes to list a folder that was just exchanged."""

_lake_option = click.option(
    "--lake", "root", required=True, type=click.Path(path_type=Path), help="Folder of the lake."
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@click.group()
def lake() -> None:
    """Keep a lake in order: compact, sum up, retain, check, repair, delete. Safe beside runs and readers."""


@lake.command()
@_lake_option
@_dry_run_option
def compact(root: Path, *, dry_run: bool) -> None:
    """Make one file of the many of each run, table, business day and site. Exit code 1 where some were left out."""
    from retail_ray.lake.commit_days import commit_days, put_together
    from retail_ray.lake.compaction import compact as compact_files
    from retail_ray.lake.compaction import merges

    with refusals(), _maintained(root):
        wanted = merges(root)
        done = [] if dry_run else compact_files(root, wanted, _say_merged)
        days = commit_days(root) if dry_run else put_together(root)
    if dry_run:
        for merge in wanted:
            click.echo(
                f"{merge.partition.folder} run {merge.run_id}: {len(merge.inputs):,} files, {merge.bytes:,} bytes"
            )
    merged = [part for part in done if not part.problem]
    files, size = sum(len(part.merge.inputs) for part in merged), sum(part.merge.bytes for part in merged)
    click.echo(
        f"{files:,} files of {size:,} bytes became {len(merged):,} of {sum(p.bytes_after for p in merged):,} bytes"
    )
    would = "would become" if dry_run else "became"
    click.echo(f"{sum(len(day.records) for day in days):,} commit records {would} {len(days):,} files")
    if len(merged) < len(done):
        raise SystemExit(FOUND_FAULTS)


@lake.command()
@_lake_option
@_dry_run_option
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="The site's YAML file, for its `retention`.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Count from here; default: each site's newest day.")
def retain(root: Path, site_path: Path | None, today: datetime | None, *, dry_run: bool) -> None:
    """Remove the business days that are older than what is kept of each table."""
    from retail_ray.config_file import load_site
    from retail_ray.config_retention import Retention
    from retail_ray.lake.retention import Expired, expired
    from retail_ray.lake.retention import retain as remove

    def say(item: Expired) -> None:
        click.echo(f"{item.partition.folder}: {item.files:,} files, {item.bytes:,} bytes")

    with refusals(), _maintained(root):
        kept = Retention() if site_path is None else load_site(site_path).retention
        gone = expired(root, kept.days(), _day(today))
        if dry_run:
            for item in gone:
                say(item)
        else:
            remove(root, gone, say)
    would = "would be removed" if dry_run else "removed"
    click.echo(f"{len(gone):,} days of tables {would}, {sum(item.bytes for item in gone):,} bytes")


@lake.command()
@_lake_option
@_json_option
@click.option("--quick", is_flag=True, help="Compare files by their size, and look at no rows.")
def check(root: Path, *, as_json: bool, quick: bool) -> None:
    """Compare all files with the commit records, and rows with each other. Exit code 1 where there are faults."""
    from retail_ray.lake.check import check as checked

    with refusals(), _maintained(root):
        report = checked(root, checksums=not quick, rows=not quick)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        for word, findings in (("fault", report.faults), ("note", report.notes)):
            for finding in findings:
                click.echo(f"{word}: {finding.kind}: {finding.place}: {finding.text}")
        click.echo(
            f"{report.files:,} files, {report.rows:,} rows, {report.bytes:,} bytes sound; "
            f"{len(report.faults)} faults, {len(report.notes)} notes"
        )
    if not report.is_sound:
        raise SystemExit(FOUND_FAULTS)


@lake.command()
@_lake_option
@click.option("--apply", is_flag=True, help="Do it; without it, only say what would be moved.")
def repair(root: Path, *, apply: bool) -> None:
    """Move orphans and unusable files to _quarantine. Nothing is deleted."""
    from retail_ray.lake.check import QUARANTINED
    from retail_ray.lake.check import check as checked
    from retail_ray.lake.check import repair as moved_away

    with refusals(), _maintained(root):
        faults = checked(root, rows=False).faults
        moved = moved_away(root, faults) if apply else [f.place for f in faults if f.kind in QUARANTINED]
    for place in moved:
        click.echo(f"{place}: {'moved to _quarantine' if apply else 'would be moved to _quarantine'}")
    left = [fault for fault in faults if fault.kind not in QUARANTINED]
    for fault in left:
        click.echo(f"left: {fault.kind}: {fault.place}: {fault.text}", err=True)
    click.echo(f"{len(moved)} files; {len(left)} faults that moving files does not mend")


@lake.command()
@_lake_option
@_dry_run_option
@click.option("--visit", metavar="SESSION/IDENTITY", help="A person's visit, as in the view tracklet_identity.")
@click.option("--from", "begin", help="ISO date and time, local where it has no offset.")
@click.option("--to", "end", help="ISO date and time up to which, itself not included.")
@click.option("--camera", "camera_id", help="With --from and --to: rows of this camera alone.")
@click.option("--site", "site_id", help="Id of the site, where the lake holds several.")
@click.option("--finish", is_flag=True, help="Finish deletions that were cut off.")
def delete(root: Path, *, finish: bool, dry_run: bool, **asked: str | None) -> None:
    """Delete a person's visit or an interval everywhere; prints the receipt's path."""
    from retail_ray.lake import deletion

    with refusals(), _maintained(root):
        for plan in deletion.unfinished_deletions(root) if finish else ():
            click.echo(deletion.finish(root, plan))
        if finish:
            return
        target = _target(root, **asked)
        if dry_run:
            for part in deletion.affected(root, target):
                where = f"{part.partition.folder} run {part.run_id}"
                click.echo(f"{where}: {part.rows:,} rows would go, {part.marked:,} minutes of coverage be marked")
        else:
            click.echo(deletion.delete(root, target, time.time_ns() // 1000))
    if (root / "_quarantine").exists():
        click.echo("note: files in _quarantine are not searched", err=True)


def _target(
    root: Path, *, visit: str | None, begin: str | None, end: str | None, camera_id: str | None, site_id: str | None
) -> Target:
    from retail_ray.lake import deletion_target
    from retail_ray.lake.interchange import local_instant, recorded
    from retail_ray.lake.views import open_lake

    is_interval = begin is not None and end is not None
    if (visit is not None) == is_interval or (visit is not None and (begin or end or camera_id)):
        raise click.UsageError("give either --visit, or --from and --to")
    with open_lake(root) as opened:
        if visit is not None:
            session, _, number = visit.rpartition("/")
            if not session or not number.isdecimal():
                raise click.UsageError(f"--visit {visit!r}: give SESSION/IDENTITY, e.g. shop-20260302/17")
            return deletion_target.visit(opened, session, int(number))
        site = recorded(opened, site_id).site_id
        limits = [local_instant(opened, site, str(text)) for text in (begin, end)]
        return deletion_target.interval(opened, site, deletion_target.Interval(limits[0], limits[1], camera_id))


@lake.command()
@_lake_option
@click.option("--to", "address", required=True, help="Address of an object store, e.g. s3://bucket/folder.")
def push(root: Path, address: str) -> None:
    """Publish finished days in an object store; an upload that was cut off goes on where it was."""
    from retail_ray.lake.object_store import push as publish

    with refusals(), _maintained(root):
        click.echo(f"{publish(root, address, click.echo):,} objects sent")


@lake.command()
@click.option("--lake", "root", required=True, type=click.Path(path_type=Path), help="Folder of the lake; may be new.")
@click.option("--from", "address", required=True, help="Address of an object store, e.g. s3://bucket/folder.")
def pull(root: Path, address: str) -> None:
    """Bring a lake's folder to what an object store holds."""
    from retail_ray.lake.object_store import pull as fetch

    root.mkdir(parents=True, exist_ok=True)
    with refusals(), _maintained(root):
        click.echo(f"{fetch(address, root, click.echo):,} files fetched")


@contextmanager
def _maintained(root: Path) -> Iterator[None]:
    """One job of maintenance; what it put aside is deleted when nobody can be listing it any more."""
    from retail_ray.lake.partitions import empty_aside, files_aside
    from retail_ray.lake.replacements import maintenance

    with maintenance(root):
        yield
        if any(files_aside(root)):
            time.sleep(_LISTING_S)
            empty_aside(root)


def _say_merged(part: Merged) -> None:
    where = f"{part.merge.partition.folder} run {part.merge.run_id}"
    if part.problem:
        click.echo(f"left out {where}: {part.problem}", err=True)
    else:
        click.echo(f"{where}: {len(part.merge.inputs):,} files, {part.merge.bytes:,} -> {part.bytes_after:,} bytes")


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


lake.add_command(rollup)
