"""The command line as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from retail_ray.cli import main

SITE = """\
site: town
timezone: UTC
cameras:
  - id: door
    uri: rtsp://guard:s3cret@127.0.0.1/1
"""


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def test_validate(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    code, output = invoke("validate", str(path))
    assert (code, "1 cameras" in output) == (0, True)
    path.write_text(SITE + "camera: x\n")
    code, output = invoke("validate", str(path))
    assert code == 2
    assert f"{path}:6: camera: unknown key; did you mean 'cameras'?" in output


def test_validate_checks_the_tracker(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + "tracker: {name: bytetrack, options: {track_tresh: 0.5}}\n")
    code, output = invoke("validate", str(path))
    assert code == 2
    assert "did you mean 'track_thresh'" in output


def test_a_missing_file_is_named() -> None:
    code, output = invoke("validate", "nowhere.yaml")
    assert code == 2
    assert "nowhere.yaml: no such file" in output


def test_schema_is_json() -> None:
    code, output = invoke("schema")
    assert code == 0
    assert json.loads(output)["title"] == "Site"


def test_models_list_names_size_and_licence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETAIL_RAY_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    code, output = invoke("models", "list")
    assert code == 0
    for known in ("yolo11n.pt", "osnet_x0_25_msmt17", "sam_vit_b_01ec64.pth", "AGPL-3.0"):
        assert known in output


def test_missing_weights_say_where_to_get_and_put_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETAIL_RAY_CACHE", str(tmp_path))
    code, output = invoke("models", "where", "yolo11n.pt")
    assert code == 2
    assert "yolo11n.pt" in output
    assert "https://" in output
    assert str(tmp_path) in output


def test_sql_of_a_lake_that_is_none(tmp_path: Path) -> None:
    code, output = invoke("sql", "--lake", str(tmp_path / "none"), "SELECT 1")
    assert code == 2
    assert str(tmp_path / "none") in output
