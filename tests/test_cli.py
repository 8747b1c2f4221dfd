"""The command line as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.vision.weights import known_weights

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
    assert f"{path}:6: tracker: " in output
    assert "did you mean 'track_thresh'" in output


def test_validate_notes_what_a_run_would_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are no refusal; a camera that has everything is in none of them."""
    monkeypatch.setenv("RETAIL_RAY_CACHE", str(tmp_path))
    monkeypatch.delenv("RETAIL_RAY_MODELS", raising=False)
    (tmp_path / "there.mp4").touch()
    recorded = "recorded_at: 2026-03-02T10:00:00+00:00"
    path = tmp_path / "site.yaml"
    path.write_text(
        SITE + f"  - {{id: till, uri: gone.mp4, {recorded}}}\n  - {{id: back, uri: there.mp4, {recorded}}}\n"
        "models: {embedder: {weights: mine.onnx}}\n"
    )
    code, output = invoke("validate", str(path))
    assert code == 0
    assert "note: camera 'door' has no recorded_at" in output
    assert f"note: camera 'till': there is no {tmp_path / 'gone.mp4'} on this machine" in output
    assert "note: models.detector: weights 'yolo11n.pt' are not on this machine" in output
    assert "note: models.embedder: weights 'mine.onnx': neither a path" in output
    assert "note: segmentation is off" in output
    assert "camera 'back'" not in output
    assert "s3cret" not in output


def test_a_lake_in_an_object_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    code, output = invoke("run", "--site", str(path), "--lake", "s3://bucket/lake")
    assert code == 2
    assert "--lake 's3://bucket/lake': the lake must be a folder" in output


def test_a_missing_file_is_named() -> None:
    code, output = invoke("validate", "nowhere.yaml")
    assert code == 2
    assert "nowhere.yaml: no such file" in output


def test_schema_is_json() -> None:
    code, output = invoke("schema")
    assert code == 0
    assert json.loads(output)["title"] == "Site"


@pytest.fixture
def one_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without weights of its own but for one, in `$RETAIL_RAY_MODELS`."""
    monkeypatch.setenv("RETAIL_RAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAIL_RAY_MODELS", str(tmp_path))
    path = tmp_path / "yolo11n.pt"
    path.touch()
    return path


def test_models_list_cuts_nothing(one_download: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, output = invoke("models", "list")
    assert code == 0
    lines = output.splitlines()
    for known in known_weights().values():
        assert f"  sha256    {known.sha256}" in lines
        assert f"  address   {known.url or 'comes with retail_ray'}" in lines
        assert any(line.startswith(f"  size      {known.size_bytes} bytes") for line in lines)
    assert f"  found at  {one_download}" in lines
    assert "  found at  not on this machine" in lines


def test_models_list_for_machines(one_download: Path) -> None:
    code, output = invoke("models", "list", "--json")
    assert code == 0
    rows = {row.pop("name"): row for row in json.loads(output)}
    assert rows.keys() == known_weights().keys()
    assert rows["yolo11n.pt"]["path"] == str(one_download)
    assert rows["sam_vit_b_01ec64.pth"]["path"] is None
    assert rows["sam_vit_b_01ec64.pth"]["url"] == known_weights()["sam_vit_b_01ec64.pth"].url
    assert rows["demo_detector.pt"]["url"] is None


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
