"""`retail-ray calibrate`: check, points, overlap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_ray.refusals import refusals

if TYPE_CHECKING:
    from retail_ray.calibrate import CameraReport

_site = click.option(
    "--site", "site_path", type=click.Path(path_type=Path), required=True, help="The site's YAML file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
_out = click.option("--out", type=click.Path(path_type=Path), help="Write the YAML section into this new file too.")
_size = click.option("--size", help="WIDTHxHEIGHT of the picture; default from the recording or the camera section.")


@click.group()
def calibrate() -> None:
    """How pixels of a camera become metres: check, fit, repair."""


@calibrate.command()
@_site
@click.option(
    "--lake", type=click.Path(path_type=Path), help="Also hold calibrations against people seen by two cameras."
)
@_json
def check(site_path: Path, lake: Path | None, *, as_json: bool) -> None:
    """Report each camera's calibration: errors, metres per pixel, and what is suspicious."""
    from retail_ray.calibrate import check_site
    from retail_ray.config_file import load_site

    with refusals():
        reports = check_site(load_site(site_path), lake)
    if as_json:
        click.echo(json.dumps([report.as_dict() for report in reports], indent=2))
        return
    for report in reports:
        _print_report(report)


def _print_report(report: CameraReport) -> None:
    click.echo(f"{report.camera_id}: {report.kind}")
    if report.near_m_per_px is not None:
        click.echo(f"  a pixel is {report.near_m_per_px:.3f} m near, {report.far_m_per_px:.3f} m far{report.size_note}")
    for name, errors in report.errors.items():
        click.echo(
            f"  {name}: mean {errors['mean_px']:.1f} px, {errors['mean_m']:.3f} m; "
            f"largest {errors['max_px']:.1f} px, {errors['max_m']:.3f} m"
        )
    for warning in report.warnings:
        click.echo(f"  warning: {warning}")


@calibrate.command()
@_site
@click.option("--camera", "camera_id", required=True, help="Camera of the site.")
@click.option("--pair", "pairs", multiple=True, help='"x,y=X,Y": a pixel and its place on the floor in metres.')
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="Pairs as x_px,y_px,x_m,y_m with a heading.")
@click.option("--focal-px", type=float, help="Camera model instead of pairs: focal length.")
@click.option("--position-m", help='"X,Y,Z" of the camera.')
@click.option("--look-at-m", help='"X,Y" or "X,Y,Z" shown in the middle of the picture.')
@click.option("--roll-deg", type=float, default=0.0, show_default=True, help="Clockwise turn about the axis.")
@click.option("--k1", type=float, default=0.0, show_default=True, help="Radial distortion of the camera model.")
@click.option("--lens", is_flag=True, help="Also estimate focal length and distortion, from 10 pairs on.")
@_size
@_out
@_json
def points(site_path: Path, *, out: Path | None, as_json: bool, **how: Any) -> None:
    """Fit a calibration to point pairs, or compute it from a camera model; print the section to paste."""
    from retail_ray.calibrate import from_points_or_model
    from retail_ray.config_file import load_site

    with refusals():
        result = from_points_or_model(load_site(site_path), **how)
        _give(result.section, result.facts, result.notes, out, as_json=as_json)


@calibrate.command()
@_site
@click.option("--lake", type=click.Path(path_type=Path), help="Lake with detections of both; default the site's.")
@click.option("--camera", "camera_id", required=True, help="Camera to calibrate.")
@click.option(
    "--reference", "reference_id", required=True, help="Calibrated camera that sees a part of the same floor."
)
@click.option("--anew", is_flag=True, help="Do not begin with the calibration that the camera has.")
@_size
@_out
@_json
def overlap(site_path: Path, *, out: Path | None, as_json: bool, **how: Any) -> None:
    """Calibrate a camera from people whom a calibrated one saw at the same times."""
    from retail_ray.calibrate_overlap import from_overlap
    from retail_ray.config_file import load_site

    with refusals():
        result = from_overlap(load_site(site_path), **how)
        _give(result.section, result.facts, result.notes, out, as_json=as_json)


def _give(section: str, facts: dict[str, Any], notes: list[str], out: Path | None, *, as_json: bool) -> None:
    """The section on stdout, everything said about it on stderr, so that it can be redirected."""
    from retail_ray.core.errors import ConfigError

    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(section)
        except OSError as error:
            raise ConfigError(f"--out {out}: cannot be written ({error.strerror}); name a new file") from error
    if as_json:
        click.echo(json.dumps({"section": section, "notes": notes, **facts}, indent=2))
        return
    for note in notes:
        click.echo(note, err=True)
    click.echo(section, nl=False)
