"""`retail-ray calibrate` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.config import Floor
from retail_ray.core.homography import from_camera
from retail_ray.core.pose import look_at

CAMERA = from_camera(
    np.array([[900, 0, 639.5], [0, 900, 359.5], [0, 0, 1.0]]),
    *look_at(np.array([2.0, -1.0, 3.0]), np.array([2.5, 3.0, 0.0])),
    np.array([-0.15, 0, 0, 0, 0]),
)
FLOOR_M = np.array([[x, y] for x in (1.0, 2.0, 3.0, 4.0) for y in (1.0, 2.2, 3.5, 5.0)])
PIXELS = CAMERA.to_pixels(FLOOR_M)


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["calibrate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def site(tmp_path: Path, *floors: object) -> Path:
    cameras = [{"id": f"c{i}", "uri": "rtsp://h/1"} | ({"floor": f} if f else {}) for i, f in enumerate(floors)]
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"site": "town", "timezone": "UTC", "cameras": cameras}))
    return path


def listed(pixels: np.ndarray, metres: np.ndarray) -> dict[str, object]:
    return {"points": [{"px": p, "m": m} for p, m in zip(pixels.tolist(), metres.tolist(), strict=True)]}


def words(pixels: np.ndarray, metres: np.ndarray) -> list[str]:
    pairs = zip(pixels.tolist(), metres.tolist(), strict=True)
    return [word for p, m in pairs for word in ("--pair", f"{p[0]},{p[1]}={m[0]},{m[1]}")]


def test_check_names_what_is_suspicious(tmp_path: Path) -> None:
    wrong = FLOOR_M.copy()
    wrong[5] += (0.0, 1.5)
    good = listed(PIXELS, FLOOR_M)
    path = site(
        tmp_path, listed(PIXELS, wrong), good, good, None, listed(PIXELS[[0, 3, 12, 15]], FLOOR_M[[0, 3, 12, 15]])
    )
    code, output, _ = invoke("check", "--site", str(path), "--json")
    assert code == 0
    reports = json.loads(output)
    assert [report["kind"] for report in reports] == ["points", "points", "points", "none", "points"]
    assert any("pair 6 " in warning for warning in reports[0]["warnings"])
    assert any("same calibration as camera 'c1'" in warning for warning in reports[2]["warnings"])
    assert reports[1]["errors"]["leave-one-out"]["max_m"] > reports[1]["errors"]["reprojection"]["max_m"]
    assert "leave-one-out" not in reports[4]["errors"]
    assert reports[1]["near_m_per_px"] < reports[1]["far_m_per_px"]


def test_points_give_a_section_that_the_site_takes(tmp_path: Path) -> None:
    out = tmp_path / "floor.yaml"
    code, output, errors = invoke(
        "points", "--site", str(site(tmp_path, None)), "--camera", "c0", *words(PIXELS, FLOOR_M), "--out", str(out)
    )
    assert (code, output) == (0, out.read_text())
    assert "reprojection: mean" in errors
    floor = Floor.model_validate(yaml.safe_load(output)["floor"])
    assert np.abs(floor.calibration((720, 1280)).to_floor(PIXELS) - FLOOR_M).max() < 0.15


def test_a_lens_is_given_where_it_helps(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    rows = [f"{p[0]},{p[1]},{m[0]},{m[1]}" for p, m in zip(PIXELS.tolist(), FLOOR_M.tolist(), strict=True)]
    path.write_text("\n".join(["x_px,y_px,x_m,y_m", *rows]))
    given = ["--site", str(site(tmp_path, None)), "--camera", "c0", "--csv", str(path), "--lens", "--size", "1280x720"]
    code, output, _ = invoke("points", *given)
    assert code == 0
    content = yaml.safe_load(output)["floor"]
    assert content["camera"]["distortion"][0] == pytest.approx(-0.15, abs=0.01)
    floor = Floor.model_validate(content)
    assert np.abs(floor.calibration((720, 1280)).to_floor(PIXELS) - FLOOR_M).max() < 0.01


def test_a_camera_model(tmp_path: Path) -> None:
    given = [
        "--focal-px",
        "900",
        "--position-m",
        "2,-1,3",
        "--look-at-m",
        "2.5,3",
        "--k1",
        "-0.15",
        "--size",
        "1280x720",
    ]
    code, output, _ = invoke("points", "--site", str(site(tmp_path, None)), "--camera", "c0", *given)
    assert code == 0
    floor = Floor.model_validate(yaml.safe_load(output)["floor"])
    assert np.abs(floor.calibration((720, 1280)).to_floor(PIXELS) - FLOOR_M).max() < 1e-3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--camera", "c9"], "camera 'c9' is not in the site file; cameras are c0"),
        (["--camera", "c0"], "at least 4 pairs"),
        (["--camera", "c0", "--pair", "1,2"], 'expected "x,y=X,Y"'),
        (["--camera", "c0", "--pair", "1,b=2,3"], "are no numbers"),
        (["--camera", "c0", "--csv", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--camera", "c0", "--focal-px", "900"], "--position-m is missing"),
        (["--camera", "c0", "--focal-px", "900", "--position-m", "1,2,-3", "--look-at-m", "1,1"], "above the floor"),
        (["--camera", "c0", "--lens", "--size", "12", *words(PIXELS, FLOOR_M)], "--size '12'"),
        (["--camera", "c0", "--lens", *words(PIXELS[:5], FLOOR_M[:5])], "at least 10 pairs"),
        (["--camera", "c0", *words(PIXELS[:4], np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]]))], "one line"),
    ],
)
def test_refusals_say_what_is_wrong(tmp_path: Path, given: list[str], said: str) -> None:
    code, _, errors = invoke("points", "--site", str(site(tmp_path, None)), *given)
    assert (code, said in errors) == (2, True), errors


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--camera", "c0", "--reference", "c0"], "cannot be its own reference"),
        (["--camera", "c0", "--reference", "c1"], "camera 'c1' has no floor calibration"),
        (["--camera", "c1", "--reference", "c0"], "no lake here"),
    ],
)
def test_overlap_refuses(tmp_path: Path, given: list[str], said: str) -> None:
    path = site(tmp_path, listed(PIXELS, FLOOR_M), None)
    code, _, errors = invoke("overlap", "--site", str(path), "--lake", str(tmp_path / "none"), *given)
    assert (code, said in errors) == (2, True), errors
