"""What `retail-ray calibrate check` and `points` find out; no printing here."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from retail_ray.config import Camera, Floor, Site
from retail_ray.core.errors import ConfigError, GeometryError, SourceError
from retail_ray.core.floor_scale import near_and_far
from retail_ray.core.homography import FloorCalibration, Points, from_points
from retail_ray.core.point_pairs import PairErrors, leave_one_out, on_a_line, outlier, pair_errors
from retail_ray.core.pose import look_at, quaternion_of

ASSUMED_HW = (1080, 1920)
_FITS_BETTER = 0.5


@dataclass(slots=True)
class CameraReport:
    """One camera's calibration. errors: by name, mean and largest in px and m."""

    camera_id: str
    kind: str
    near_m_per_px: float | None = None
    far_m_per_px: float | None = None
    size_note: str = ""
    errors: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Result:
    """A `floor:` section as YAML, its figures, and what to know of it."""

    section: str
    facts: dict[str, Any]
    notes: list[str]


def check_site(site: Site, lake: Path | None = None) -> list[CameraReport]:
    """A report for each camera. With a lake, calibrations are exchanged to see whether another one fits better."""
    reports = [_check(camera) for camera in site.cameras]
    by_id = {report.camera_id: report for report in reports}
    for a, b in combinations([camera for camera in site.cameras if camera.floor is not None], 2):
        if a.floor == b.floor:
            by_id[b.id].warnings.append(f"has the same calibration as camera '{a.id}': one of them is copied")
        for one, other in ((a, b), (b, a)):
            _fits_other(one, other, by_id[one.id])
    if lake is not None:
        from retail_ray.calibrate_overlap import exchanged

        for camera_id, warning in exchanged(site, lake).items():
            by_id[camera_id].warnings.append(warning)
    return reports


def pairs_of(floor: Floor) -> tuple[Points, Points]:
    """(N, 2) pixels and (N, 2) metres of a calibration by points."""
    pairs = floor.points or []
    return np.array([pair.px for pair in pairs], np.float64), np.array([pair.m for pair in pairs], np.float64)


def native_size(camera: Camera, size: str | None = None) -> tuple[tuple[int, int], str]:
    """(height, width), and a note where it is only assumed."""
    if size is not None:
        try:
            width, height = (int(part) for part in size.lower().split("x"))
        except ValueError as error:
            raise ConfigError(f"--size {size!r}: expected WIDTHxHEIGHT, e.g. 1920x1080") from error
        if min(width, height) < 16:
            raise ConfigError(f"--size {size!r}: a picture has at least 16 x 16 pixels")
        return (height, width), ""
    if (known := _recorded_size(camera)) is not None:
        return known, ""
    if camera.floor is not None and camera.floor.camera is not None:
        x, y = camera.floor.camera.principal_px
        return (round(2 * y + 1), round(2 * x + 1)), ""
    return ASSUMED_HW, f" (picture assumed {ASSUMED_HW[1]} x {ASSUMED_HW[0]})"


def from_points_or_model(site: Site, camera_id: str, *, size: str | None, lens: bool, **given: Any) -> Result:
    """The section for pairs or for a camera model. ConfigError names the option that is missing or malformed."""
    camera = camera_of(site, camera_id)
    if given["focal_px"] is not None:
        if given["pairs"] or given["csv_path"] is not None or lens:
            raise ConfigError("give either pairs or a camera model (--focal-px), not both")
        return _from_model(camera, native_size(camera, size)[0], given)
    pixels, metres = _read_pairs(given["pairs"], given["csv_path"])
    return _from_pairs(camera, pixels, metres, native_size(camera, size) if lens else None)


def camera_of(site: Site, camera_id: str) -> Camera:
    known = [camera.id for camera in site.cameras]
    if camera_id not in known:
        raise ConfigError(f"camera '{camera_id}' is not in the site file; cameras are {', '.join(known)}")
    return site.camera(camera_id)


def camera_section(focal_px: float, principal_px: Points, distortion: Points, pose: tuple[Points, Points]) -> str:
    """YAML of a `floor:` with a camera. pose: rotation (3, 3), translation (3,)."""
    rotation, translation = pose
    content = {
        "focal_px": [round(focal_px, 3)] * 2,
        "principal_px": [round(float(v), 3) for v in principal_px],
        "distortion": [round(float(v), 6) for v in distortion],
        "rotation_wxyz": [round(float(v), 9) for v in quaternion_of(rotation)],
        "translation_m": [round(float(v), 6) for v in translation],
    }
    return _section({"camera": content})


def _check(camera: Camera) -> CameraReport:
    if camera.floor is None:
        return CameraReport(camera.id, "none", warnings=["not calibrated: no floor positions"])
    kind = next(name for name in ("homography", "points", "camera") if getattr(camera.floor, name) is not None)
    hw, note = native_size(camera)
    calibration = camera.floor.calibration(hw)
    near, far = near_and_far(calibration, hw)
    report = CameraReport(camera.id, kind, near, far, note)
    if camera.floor.points is not None:
        _check_pairs(*pairs_of(camera.floor), calibration, report)
    return report


def _check_pairs(pixels: Points, metres: Points, calibration: FloorCalibration, report: CameraReport) -> None:
    report.errors["reprojection"] = _summary(pair_errors(calibration, pixels, metres))
    left_out = leave_one_out(pixels, metres)
    if left_out is not None:
        report.errors["leave-one-out"] = _summary(left_out)
    else:
        report.warnings.append("four pairs always fit exactly: their error is unknown; measure two more")
    report.warnings += _pair_warnings(pixels, metres)


def _pair_warnings(pixels: Points, metres: Points) -> list[str]:
    warnings = []
    if on_a_line(metres) or on_a_line(pixels):
        warnings.append("all points but at most one lie on a line: places beside it are guessed; measure some there")
    wrong = outlier(pixels, metres)
    if wrong is not None:
        warnings.append(
            f"pair {wrong + 1} ({_words(pixels[wrong])} px = {_words(metres[wrong])} m) contradicts all others: "
            "measure it again"
        )
    return warnings


def _fits_other(one: Camera, other: Camera, report: CameraReport) -> None:
    """Whether one camera's pairs agree better with another camera's calibration than with their own."""
    if one.floor is None or other.floor is None or one.floor.points is None or one.floor == other.floor:
        return
    pixels, metres = pairs_of(one.floor)
    own = leave_one_out(pixels, metres)
    if own is None:
        return
    theirs = pair_errors(other.floor.calibration(native_size(other)[0]), pixels, metres)
    if float(np.median(theirs.m)) < _FITS_BETTER * float(np.median(own.m)):
        report.warnings.append(f"its pairs fit the calibration of camera '{other.id}' better: are they exchanged?")


def _summary(errors: PairErrors) -> dict[str, float]:
    return {
        "mean_px": float(errors.px.mean()),
        "max_px": float(errors.px.max()),
        "mean_m": float(errors.m.mean()),
        "max_m": float(errors.m.max()),
    }


def _from_pairs(camera: Camera, pixels: Points, metres: Points, size: tuple[tuple[int, int], str] | None) -> Result:
    try:
        calibration = from_points(pixels, metres)
    except GeometryError as error:
        raise GeometryError(f"camera '{camera.id}': {error}") from error
    report = CameraReport(camera.id, "points")
    _check_pairs(pixels, metres, calibration, report)
    notes = [
        f"{name}: mean {errors['mean_px']:.2f} px, {errors['mean_m']:.3f} m; largest {errors['max_px']:.2f} px, "
        f"{errors['max_m']:.3f} m"
        for name, errors in report.errors.items()
    ] + [f"warning: {warning}" for warning in report.warnings]
    facts: dict[str, Any] = {"camera": camera.id, "errors": report.errors, "outlier": outlier(pixels, metres)}
    if size is not None:
        from retail_ray.video.lens_fit import fit_lens

        fitted = fit_lens(pixels, metres, size[0])
        facts["lens"] = {"fold_px": fitted.fold_px, "homography_fold_px": fitted.homography_fold_px, "k1": fitted.k1}
        notes.append(
            f"pairs left out: {fitted.fold_px:.2f} px with a lens, {fitted.homography_fold_px:.2f} px without{size[1]}"
        )
        if fitted.better_than_homography:
            pose = fitted.rotation, fitted.translation_m
            lens = np.array([fitted.k1, 0, 0, 0, 0])
            return Result(camera_section(fitted.focal_px, fitted.principal_px, lens, pose), facts, notes)
        notes.append("the lens brings nothing: the points alone are given")
    listed = [{"px": px, "m": m} for px, m in zip(pixels.tolist(), metres.tolist(), strict=True)]
    return Result(_section({"points": listed}), facts, notes)


def _from_model(camera: Camera, hw: tuple[int, int], given: dict[str, Any]) -> Result:
    focal_px = float(given["focal_px"])
    if not focal_px > 0:
        raise ConfigError(f"--focal-px {focal_px:g}: must be above 0")
    position = _numbers("--position-m", given["position_m"], (3,))
    target = _numbers("--look-at-m", given["look_at_m"], (2, 3))
    target = [*target, 0.0][:3]
    pose = look_at(np.array(position), np.array(target), float(np.radians(given["roll_deg"])))
    principal = np.array([(hw[1] - 1) / 2, (hw[0] - 1) / 2])
    section = camera_section(focal_px, principal, np.array([given["k1"], 0, 0, 0, 0]), pose)
    floor = Floor.model_validate(yaml.safe_load(section)["floor"])
    near, far = near_and_far(floor.calibration(hw), hw)
    notes = [f"picture {hw[1]} x {hw[0]}; a pixel is {near:.3f} m near, {far:.3f} m far"]
    return Result(section, {"camera": camera.id, "near_m_per_px": near, "far_m_per_px": far}, notes)


def _read_pairs(given: Sequence[str], csv_path: Path | None) -> tuple[Points, Points]:
    rows = [_pair(text) for text in given]
    if csv_path is not None:
        rows += _csv_pairs(csv_path)
    if len(rows) < 4:
        raise ConfigError(f"at least 4 pairs are needed, found {len(rows)}; give --pair or --csv, or a camera model")
    values = np.array(rows, np.float64)
    return values[:, :2], values[:, 2:]


def _pair(text: str) -> list[float]:
    left, equals, right = text.partition("=")
    if not equals:
        raise ConfigError(f'--pair {text!r}: expected "x,y=X,Y"')
    return [*_numbers(f"--pair {text!r}", left, (2,)), *_numbers(f"--pair {text!r}", right, (2,))]


def _csv_pairs(path: Path) -> list[list[float]]:
    names = ("x_px", "y_px", "x_m", "y_m")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is None or not set(names) <= set(reader.fieldnames):
                raise ConfigError(f"{path}:1: the heading must name {', '.join(names)}; found {reader.fieldnames}")
            return [
                _numbers(f"{path}:{number}", ",".join(str(row[name]) for name in names), (4,))
                for number, row in enumerate(reader, 2)
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _numbers(name: str, text: str | None, counts: tuple[int, ...]) -> list[float]:
    if text is None:
        raise ConfigError(f"{name} is missing")
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{name}: {text!r} are no numbers separated by commas") from error
    if len(values) not in counts or not np.isfinite(values).all():
        raise ConfigError(f"{name}: expected {' or '.join(map(str, counts))} finite numbers, found {text!r}")
    return values


def _recorded_size(camera: Camera) -> tuple[int, int] | None:
    if not Path(camera.uri).is_file():
        return None
    from retail_ray.video.sources import probe

    try:
        return probe(camera.id, camera.uri, 0, camera.analysis_fps, decoder_threads=1).native_hw
    except SourceError:
        return None


def _words(point: Points) -> str:
    return ", ".join(f"{value:g}" for value in point)


def _section(content: dict[str, Any]) -> str:
    return str(yaml.safe_dump({"floor": content}, sort_keys=False, default_flow_style=None, width=110))
