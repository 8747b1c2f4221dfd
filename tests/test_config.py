"""site.yaml: what is refused, and that the message names file, line and key and says what would be right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from retail_ray.config import Site
from retail_ray.config_file import json_schema, load_site, parse_site
from retail_ray.core.errors import ConfigError

VALID = """\
site: town
timezone: Europe/London
day_start: "12:00"
cameras:
  - id: door
    uri: clips/door.mp4
    recorded_at: 2026-03-02T10:00:00+01:00
    floor:
      points:
        - {px: [0, 0], m: [0, 0]}
        - {px: [100, 0], m: [1, 0]}
        - {px: [100, 100], m: [1, 1]}
        - {px: [0, 100], m: [0, 1]}
lines:
  - id: entrance
    camera: door
    px: [[0, 50], [100, 50]]
    inside_px: [50, 90]
zones:
  - id: shelf
    m: [[0, 0], [1, 0], [1, 1]]
"""

# (text to replace, its replacement, line of the fault, what the message must say)
FAULTS = [
    ("    recorded_at:", "    recordd_at:", 7, "cameras[0].recordd_at: unknown key; did you mean 'recorded_at'?"),
    ("timezone: Europe/London", "timezone: Europe/Londn", 2, "timezone: 'Europe/Londn' is no IANA timezone"),
    ("site: town", "site: My Town", 1, "site: write lower-case letters, digits, - and _"),
    (
        "2026-03-02T10:00:00+01:00",
        "2026-03-02T10:00:00",
        7,
        "write date and time with UTC offset, e.g. 2026-03-02T10:00:00+01:00",
    ),
    ("camera: door", "camera: back", 16, "lines[0].camera: there is no such camera; known are door (found 'back')"),
    ("inside_px: [50, 90]", "inside_px: [50, 50]", 15, "the inside point lies on the line"),
    ("px: [[0, 50], [100, 50]]", "px: [[5, 50], [5, 50]]", 15, "a line needs two different ends"),
    ("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 1], [1, 0], [0, 1]]", 20, "crosses itself (edge 1 meets edge 3)"),
    ("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0]]", 20, "at least 3 corners"),
    ("[[0, 0], [1, 0], [1, 1]]", "[[0, 0], [1, 0], [2, 0]]", 20, "no area"),
    ("m: [1, 1]}", "m: [1, 0]}", 8, "the homography is degenerate"),
    ("        - {px: [0, 100], m: [0, 1]}\n", "", 9, "at least 4 items are needed, found 3"),
    ("id: shelf", "id: shelf\n    camera: door", 20, "give either m, or camera with px"),
    ('day_start: "12:00"', "day_start: noon", 3, "day_start"),
    ("uri: clips/door.mp4", "uri: rtsp://u:${DOOR_PASSWORD}@cam/1", 6, "DOOR_PASSWORD is not set"),
    ('day_start: "12:00"', "day_start: 12:00", 3, "write the time in quotes"),
    ("site: town", "identity: {tick_s: 0.7}\nsite: town", 1, "identity.tick_s: must divide runtime.epoch_s (60 s)"),
    ("zones:\n", "lines: []\nzones:\n", 19, "key 'lines' stands twice"),
    ("inside_px: [50, 90]", "inside_px: [50, 90]\n    m: [[0, 0], [1, 1]]", 15, "give either px with inside_px"),
    ("site: town", "lake: s3://bucket/lake\nsite: town", 1, "lake: the lake must be a folder"),
    ("cameras:\n", "cameras: [\n", 5, "not valid YAML"),
    ("  - id: door\n", "  - id: gallery\n", 5, "cameras[0].id: a part of the system has this name"),
    ("lines:\n", "  - {id: door, uri: x.mp4}\nlines:\n", 14, "cameras[1].id: cameras[0] has this id already"),
    ("    recorded_at:", "    segmentation: true\n    recorded_at:", 7, "models: {segmenter: {}}"),
    ("uri: clips/door.mp4", "uri: ftp://a:b@nas/door.mp4", 6, "'ftp' addresses are not supported; use a file"),
    ("uri: clips/door.mp4", "uri: rtsp:/10.0.0.7/1", 6, "an address begins with rtsp://"),
    ("    uri: clips/door.mp4\n", "", 5, "cameras[0].uri: this key is missing; write `uri: …` (video file"),
    ("px: [[0, 50], [100, 50]]", "px: [[0, 50], [100]]", 17, "lines[0].px[1][1]: this value is missing"),
    ("px: [[0, 50], [100, 50]]", "px: 7", 17, "lines[0].px: write a list (found '7'); meaning: both ends"),
    (
        "    camera: door",
        "    camera: door\n    min_inside_s: -1",
        17,
        "min_inside_s: must be 0.0 or more (found '-1')",
    ),
    ("site: town", "runtime: {chunk_frames: 2.5}\nsite: town", 1, "runtime.chunk_frames: write a whole number"),
    ("site: town", "simulated: perhaps\nsite: town", 1, "simulated: write true or false (found 'perhaps')"),
    ("site: town", "models: {detector: 5}\nsite: town", 1, "models.detector: write a mapping with some of the keys"),
    (
        "zones:\n",
        "alerts:\n  - {id: a, metric: zone_occupancy, threshold: 1, subjects: [shelf, till]}\nzones:\n",
        20,
        "alerts[0].subjects[1]: there is no such zone; known are shelf (found 'till')",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: wait_s, threshold: 60}]\nsite: town",
        1,
        "alerts[0].metric: this site has no queues, so that this rule could never speak",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 60, subjects: [x]}]\nsite: town",
        1,
        "alerts[0].subjects: metric occupancy is about the whole site",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 1, when: closed}]\nsite: town",
        1,
        "alerts[0].when: this site has no opening_hours",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 5, clear: 6}]\nsite: town",
        1,
        "clear (6) must lie at or below the threshold (5)",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 5, per_s: 6}]\nsite: town",
        1,
        "alerts[0].per_s: metric occupancy counts no events",
    ),
    (
        "site: town",
        "alerts: [{id: camera_moved, metric: occupancy, threshold: 5}]\nsite: town",
        1,
        "alerts[0].id: every watched camera has this rule by itself",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 5, message: '{people} in'}]\nsite: town",
        1,
        "the template knows {rule}, {subject}, {metric}, {severity}, {value}, {threshold}, not {people}",
    ),
    (
        "site: town",
        "alerts: [{id: a, metric: occupancy, threshold: 5, message: '{value:x}'}]\nsite: town",
        1,
        "alerts[0].message: the template cannot be filled",
    ),
    ("site: town", "alert_sinks: [{id: a, url: 'smtp://x'}]\nsite: town", 1, "alert_sinks[0].url: write an http://"),
    ("site: town", "alert_sinks: [{id: a, url: 'mqtt://'}]\nsite: town", 1, "the address names no host"),
    (
        "site: town",
        "alert_sinks: [{id: a, url: 'http://x', headers: {A: 'é'}}]\nsite: town",
        1,
        "header 'A': write printable ASCII",
    ),
    (
        "site: town",
        "alert_sinks: [{id: a, url: 'mqtt://x', topic: 'shop/#'}]\nsite: town",
        1,
        "an MQTT topic holds no +, # or NUL",
    ),
    (
        "site: town",
        "opening_hours: {week: [{days: [mon], opens: 10:00, closes: '20:00'}]}\nsite: town",
        1,
        "opening_hours.week[0].opens: write the time in quotes",
    ),
    (
        "site: town",
        "occupancy: {inside_cameras: [back]}\nsite: town",
        1,
        "occupancy.inside_cameras[0]: there is no such camera; known are door",
    ),
    ("site: town", "models: {detector: {backend: tf}}\nsite: town", 1, "choose 'auto', 'openvino', 'onnxruntime' or"),
    ("site: town", "tracker: {options: {a: [1]}}\nsite: town", 1, "tracker.options.a: write a number, true, false or"),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), FAULTS, ids=[fault[3][:40] for fault in FAULTS])
def test_a_fault_is_named_with_its_place(old: str, new: str, line: int, message: str) -> None:
    assert VALID.count(old) == 1
    with pytest.raises(ConfigError) as refusal:
        parse_site(VALID.replace(old, new), Path("shop.yaml"), {})
    told = str(refusal.value)
    assert message in told
    assert f"shop.yaml:{line}:" in told
    # pydantic's own words say what is wrong, and not what would be right.
    assert not re.search("Input should|should match|Field required|: file:", told)


def test_geometry_on_a_floor_that_no_camera_has() -> None:
    """Both faults at once, each at the key that is drawn on the floor."""
    start, end = VALID.index("    floor:"), VALID.index("lines:")
    text = (VALID[:start] + VALID[end:]).replace("px: [[0, 50], [100, 50]]", "m: [[0, 5], [9, 5]]")
    with pytest.raises(ConfigError) as refusal:
        parse_site(text.replace("inside_px", "inside_m"), Path("shop.yaml"), {})
    line, zone = str(refusal.value).splitlines()
    assert line.startswith("shop.yaml:11: lines[0].m: drawn on the floor, but camera 'door' has no floor calibration;")
    assert zone.startswith("shop.yaml:15: zones[0].m: drawn on the floor, but no camera has a floor calibration;")


def test_all_faults_are_told_at_once() -> None:
    text = VALID.replace("site: town", "site: My Town").replace("Europe/London", "Mars")
    with pytest.raises(ConfigError) as refusal:
        parse_site(text, Path("shop.yaml"), {})
    assert [line.split(":")[1] for line in str(refusal.value).splitlines()] == ["1", "2"]


@pytest.mark.parametrize(
    "matrix", ["[[1,0,0],[2,0,0],[3,0,0]]", "[[0,0,0],[0,0,0],[0,0,0]]", "[[1,0,0],[0,1,0],[1,1,0]]"]
)
def test_degenerate_homography(matrix: str) -> None:
    start, end = VALID.index("      points:"), VALID.index("lines:")
    text = f"{VALID[:start]}      homography: {matrix}\n{VALID[end:]}"
    with pytest.raises(ConfigError, match=r"shop.yaml:8: cameras\[0\].floor.*(degenerate|horizon)"):
        parse_site(text, Path("shop.yaml"), {})


def test_a_password_comes_from_the_environment_and_is_not_shown() -> None:
    text = VALID.replace("clips/door.mp4", "rtsp://u:${DOOR_PASSWORD}@cam/1")
    site = parse_site(text, Path("shop.yaml"), {"DOOR_PASSWORD": "s3cret"})
    assert site.cameras[0].uri == "rtsp://u:s3cret@cam/1"
    assert site.cameras[0].shown_uri == "rtsp://***@cam/1"
    assert "s3cret" not in json.dumps(site.settings())


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(VALID)
    site = load_site(path, {})
    assert site.cameras[0].uri == str(tmp_path / "clips/door.mp4")
    assert site.lake == str(tmp_path / "lake")
    assert site.models.detector.weights == "yolo11n.pt"


def test_the_version_follows_what_changes_results_and_nothing_else() -> None:
    site = parse_site(VALID, Path("shop.yaml"), {})

    def version(old: str, new: str) -> str:
        return parse_site(VALID.replace(old, new), Path("shop.yaml"), {}).config_version

    assert version("clips/door.mp4", "moved/door.mp4") == site.config_version
    assert version("site: town", "lake: /data\nruntime: {decoder_threads: 4}\nsite: town") == site.config_version
    assert version("[0, 50], [100, 50]", "[0, 51], [100, 50]") != site.config_version
    assert version("site: town", "runtime: {chunk_frames: 4}\nsite: town") != site.config_version
    assert parse_site(VALID.replace("clips/", "moved/"), Path("shop.yaml"), {}).run_id() != site.run_id()


def test_the_published_schema_agrees_with_the_models() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads(json.dumps(yaml.safe_load(VALID), default=str))
    jsonschema.validate(content, schema)
    content["cameras"][0]["recordd_at"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_every_setting_is_described() -> None:
    """A setting that nobody can look up is a setting that nobody can use."""

    def undescribed(model: type[BaseModel], at: str, seen: set[type]) -> list[str]:
        missing: list[str] = []
        for name, field in model.model_fields.items():
            nested = [m for m in _models_in(field.annotation) if m not in seen]
            if not nested and field.description is None and not _is_named_in(field):
                missing.append(f"{at}.{name}")
            for inner in nested:
                missing += undescribed(inner, f"{at}.{name}", seen | {inner})
        return missing

    assert undescribed(Site, "site", {Site}) == []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _is_named_in(field: Any) -> bool:
    return any(getattr(item, "description", None) for item in field.metadata)


def test_sinks_change_no_version_and_show_no_secret() -> None:
    sinks = "alert_sinks: [{id: a, url: 'https://u:s3cret@hooks/T0', headers: {Authorization: s3cret}}]\n"
    plain, with_sinks = parse_site(VALID, Path("x"), {}), parse_site(sinks + VALID, Path("x"), {})
    assert with_sinks.config_version == plain.config_version
    assert "s3cret" not in f"{with_sinks!r} {json.dumps(with_sinks.settings())}"
    rules = parse_site("alerts: [{id: a, metric: occupancy, threshold: 5}]\n" + VALID, Path("x"), {})
    assert rules.config_version != plain.config_version
