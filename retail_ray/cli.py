"""`retail-ray`: run, stream, serve, validate, schema, sql, models."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.alerts_cli import alerts
from retail_ray.audit_cli import audit
from retail_ray.calibrate_cli import calibrate
from retail_ray.config import Site, lake_folder
from retail_ray.config_file import json_schema, load_site, place
from retail_ray.core.errors import ConfigError, TrackerError
from retail_ray.core.uris import mask_credentials
from retail_ray.evaluate_cli import evaluate
from retail_ray.export_cli import export
from retail_ray.figures_cli import figures
from retail_ray.lake_cli import lake as lake_group
from retail_ray.metrics_cli import metrics
from retail_ray.pos_cli import pos
from retail_ray.recount_cli import recount
from retail_ray.refusals import refusals as _refusals
from retail_ray.simulate_cli import simulate
from retail_ray.site_notes import not_there, switched_off
from retail_ray.train_cli import train_demo_models

if TYPE_CHECKING:
    from retail_ray.runtime.local_job import JobResult

SOME_CAMERA_FAILED = 1

_site_option = click.option(
    "--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file."
)
_lake_option = click.option("--lake", help="Folder of the lake, instead of the site's own setting.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
_address_option = click.option(
    "--ray-address", help="Ray cluster to use; default RAY_ADDRESS, else a Ray of this process's own."
)
_replace_option = click.option(
    "--replace", is_flag=True, help="Supersede earlier runs that hold the same camera-minutes."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="retail-ray")
def main() -> None:
    """Multi-camera retail video analytics on Ray."""


def _job_options(command: Any) -> Any:
    for option in (_site_option, _lake_option, _json_option, _address_option, _replace_option):
        command = option(command)
    return command


@main.command()
@_job_options
@click.option("--in-process", is_flag=True, help="Without Ray, one camera after the other, for debugging.")
def run(**arguments: Any) -> None:
    """Analyse recorded video to the end; a second start resumes where the first was cut off."""
    _run_job(**arguments, live=False)


@main.command()
@_job_options
@click.option("--duration-s", type=click.FloatRange(min=1), help="End after this many seconds; default: never.")
def stream(**arguments: Any) -> None:
    """Analyse live cameras; files are played at their own pace as if live. Ctrl-C ends after the open epoch."""
    _run_job(**arguments, live=True)


@main.command()
@_site_option
@_lake_option
@_address_option
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="HTTP port, loopback.")
def serve(site_path: Path, lake: str | None, ray_address: str | None, port: int) -> None:
    """Answer over HTTP and show the page at / until Ctrl-C."""
    from ray import serve as ray_serve

    from retail_ray.runtime.apps import query_service
    from retail_ray.runtime.session import ray_session

    site = _load(site_path, lake)
    with _refusals(), ray_session(ray_address, http_port=port):
        ray_serve.run(query_service(site), name="query", route_prefix="/")
        click.echo(f"page http://127.0.0.1:{port}/  API http://127.0.0.1:{port}/openapi.json  (Ctrl-C ends)")
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        try:
            ended.wait()
        except KeyboardInterrupt:
            click.echo("ending")


@main.command()
@click.argument("site_path", type=click.Path(path_type=Path))
def validate(site_path: Path) -> None:
    """Check a site's YAML file; notes on stderr say what it goes without, and what a run would miss here."""
    from retail_ray.tracking.tracker import check_options

    site = _load(site_path, None)
    with _refusals():
        try:
            check_options(site.tracker.name, frame_rate=10.0, options=site.tracker.options)
        except TrackerError as error:
            raise ConfigError(f"{place(site_path, ('tracker',))}: {error}") from error
    for note in (*not_there(site), *switched_off(site)):
        click.echo(f"note: {mask_credentials(note)}", err=True)
    click.echo(
        f"{site_path}: valid; {len(site.cameras)} cameras, {len(site.lines)} lines, {len(site.zones)} zones, "
        f"{len(site.queues)} queues; config version {site.config_version}"
    )


@main.command()
def schema() -> None:
    """Print the JSON Schema of the site's YAML file."""
    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@click.option("--lake", required=True, help="Folder of the lake, or s3://… where one was pushed to.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--max-rows", type=click.IntRange(1, 10_000_000), default=1000, show_default=True)
@click.argument("query")
def sql(lake: str, form: str, max_rows: int, query: str) -> None:
    """Ask the lake one SELECT in DuckDB's SQL, e.g. "SELECT * FROM zone_visits LIMIT 5"."""
    from retail_ray.console import print_answer
    from retail_ray.lake.sql_guard import user_sql

    with _refusals():
        print_answer(user_sql(lake, query, max_rows=max_rows), form)


@main.group()
def models() -> None:
    """Weights: which are known, where they lie, and how to get them."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects as JSON.")
def models_list(*, as_json: bool) -> None:
    """All known weights: purpose, size, sha256, licence, address, and where they lie on this machine."""
    from retail_ray.console import models_text
    from retail_ray.vision.weights import default_cache_dir, default_models_dir, models_table

    rows = models_table(default_models_dir(), default_cache_dir())
    click.echo(json.dumps([row.as_json() for row in rows], indent=2) if as_json else models_text(rows))


@models.command("fetch")
@click.argument("name")
def models_fetch(name: str) -> None:
    """Download weights, resumed and verified."""
    from retail_ray.vision.weights import default_cache_dir, default_models_dir, fetch

    with _refusals():
        click.echo(fetch(name, default_models_dir(), default_cache_dir()))


@models.command("where")
@click.argument("name")
def models_where(name: str) -> None:
    """Print the path of weights on this machine."""
    from retail_ray.vision.weights import default_cache_dir, default_models_dir, locate

    with _refusals():
        click.echo(locate(name, default_models_dir(), default_cache_dir()))


def _load(site_path: Path, lake: str | None) -> Site:
    with _refusals():
        site = load_site(site_path)
        if lake is not None:
            _require_folder(lake)
            site = site.model_copy(update={"lake": str(Path(lake).expanduser().resolve())})
        if "runtime_resources" in Path(site.lake).parts:
            raise ConfigError(
                f"the lake {site.lake} lies in the job's temporary copy of the working directory and would be lost; "
                "give --lake with an absolute path"
            )
    return site


def _require_folder(lake: str) -> None:
    try:
        lake_folder(lake)
    except ValueError as error:
        raise ConfigError(f"--lake '{lake}': {error}") from error


def _run_job(site_path: Path, lake: str | None, *, as_json: bool, **how: Any) -> None:
    from retail_ray.console import print_summary
    from retail_ray.runtime.summary import summarise

    site = _load(site_path, lake)
    with _refusals():
        summary = summarise(Path(site.lake), site, _work(site, **how))
    if as_json:
        click.echo(json.dumps(summary, indent=2, default=str))
    else:
        print_summary(summary)
    if summary["errors"]:
        sys.exit(SOME_CAMERA_FAILED)


def _work(site: Site, *, ray_address: str | None, in_process: bool = False, **how: Any) -> JobResult:
    from retail_ray.console import Progress
    from retail_ray.runtime.local_job import run_in_process
    from retail_ray.runtime.options import JobOptions

    with ExitStack() as stack:
        progress = stack.enter_context(Progress())
        for note in switched_off(site):
            progress.notice(note)
        command = mask_credentials(shlex.join(sys.argv))
        options = JobOptions(command=command, on_status=progress.status, on_notice=progress.notice, **how)
        if in_process:
            return run_in_process(site, options)
        from retail_ray.runtime.job import Job
        from retail_ray.runtime.session import deployed_models, ray_session

        # Ray tells of dead workers on stdout, which belongs to the summary alone.
        stack.enter_context(redirect_stdout(sys.stderr))
        with ray_session(ray_address) as own_ray, deployed_models(site, own_ray=own_ray) as handles:
            job = Job(site, handles, options)
            if options.live:
                _on_interrupt(job.stop)
            return job.run()


def _on_interrupt(stop: Any) -> None:
    """First Ctrl-C or SIGTERM ends in order; a second one kills."""

    def handle(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


main.add_command(alerts)
main.add_command(audit)
main.add_command(calibrate)
main.add_command(evaluate)
main.add_command(export)
main.add_command(figures)
main.add_command(metrics)
main.add_command(pos)
main.add_command(lake_group)
main.add_command(recount)
main.add_command(simulate)
main.add_command(train_demo_models)

if __name__ == "__main__":
    main()
