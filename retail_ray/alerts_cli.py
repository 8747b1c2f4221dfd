"""`retail-ray alerts`: try the sinks of a site, and send what they have not had."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_ray.config_file import load_site
from retail_ray.core.errors import ConfigError, DeliveryError
from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.config import Site

_NOT_DELIVERED = 1
_site_option = click.option(
    "--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file."
)


@click.group()
def alerts() -> None:
    """Alert sinks: try them, or send what is left over."""


@alerts.command("test")
@_site_option
def test_sinks(site_path: Path) -> None:
    """Send one test alert to each sink, once; it is not written to the lake. Exit code 1 where one did not take it."""
    from retail_ray.runtime.sink_trial import try_sink

    failed = False
    site = _site_with_sinks(site_path)
    for sink in site.alert_sinks:
        try:
            took_s = try_sink(sink, site.site)
        except DeliveryError as error:
            click.echo(str(error), err=True)
            failed = True
        else:
            click.echo(f"alert sink '{sink.id}': took the test alert, {took_s:.2f} s")
    sys.exit(_NOT_DELIVERED if failed else 0)


@alerts.command("send")
@_site_option
@click.option("--lake", help="Folder of the lake, instead of the site's own setting.")
def send(site_path: Path, lake: str | None) -> None:
    """Send committed alerts that a run could not deliver. Exit code 1 where some still wait."""
    from retail_ray.runtime.sink_trial import send_waiting

    site = _site_with_sinks(site_path)
    if lake is not None:
        site = site.model_copy(update={"lake": str(Path(lake).expanduser().resolve())})
    with refusals():
        statuses = send_waiting(site, lambda text: click.echo(text, err=True))
    for status in statuses:
        click.echo(
            f"alert sink '{status.sink_id}': {status.delivered} delivered, {status.refused} refused, "
            f"{status.waiting} waiting"
        )
    sys.exit(_NOT_DELIVERED if any(status.waiting for status in statuses) else 0)


def _site_with_sinks(site_path: Path) -> Site:
    with refusals():
        site = load_site(site_path)
        if not site.alert_sinks:
            raise ConfigError(f"{site_path}: alert_sinks: none are given; add one, as docs/alerts.md shows")
    return site
