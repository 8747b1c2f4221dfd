"""Sites over the real clips, and lakes compared byte by byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

STREET_FLOOR = {
    "camera": {
        "focal_px": [2696.35888671875, 2696.35888671875],
        "principal_px": [959.5, 539.5],
        "distortion": [-0.6015060544, 4.7020373344, -0.0004745212, -0.0078228982],
        "rotation_wxyz": [0.49527896681, 0.69724917918, -0.43029624469, 0.28876888503],
        "translation_m": [-0.05988363921642303, 3.83331298828125, 12.391121864318848],
    }
}


def street(data: Path, **changes: Any) -> dict[str, Any]:
    """The street camera with true calibration."""
    return {
        "id": "street",
        "uri": str(data / "clips/towncentre/video.mp4"),
        "recorded_at": "2026-03-02T10:00:00+00:00",
        "analysis_fps": 5,
        "floor": STREET_FLOOR,
        **changes,
    }


def lab(data: Path, number: int, **changes: Any) -> dict[str, Any]:
    """One of the two views of a room; they do not have the same length."""
    name = {1: "cam1_Double1.mp4", 2: "cam2_Single1.mp4"}[number]
    return {
        "id": f"lab-{number}",
        "uri": str(data / "clips/unlabelled/lab_pair" / name),
        "recorded_at": "2026-03-02T10:00:00+00:00",
        "analysis_fps": 5,
        **changes,
    }


def write_site(folder: Path, data: Path, cameras: list[dict[str, Any]], **changes: Any) -> Path:
    """A site.yaml over these cameras with the shared weights and short epochs."""
    site = {
        "site": "town",
        "timezone": "Europe/London",
        "lake": str(folder / "lake"),
        "cameras": cameras,
        "models": {
            "detector": {"weights": str(data / "weights/yolo11n_int8_openvino_model")},
            "embedder": {"weights": str(data / "weights/osnet_x0_25_msmt17.onnx")},
        },
        "runtime": {"epoch_s": 2},
        **changes,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site))
    return path


ON_FLOOR = {
    "lines": [{"id": "pavement", "camera": "street", "m": [[0, 8], [14, 8]], "inside_m": [6, 4]}],
    "zones": [{"id": "window", "m": [[2, 2], [10, 2], [10, 8], [2, 8]], "min_dwell_s": 1}],
}


def rows_of(lake: Path) -> dict[str, str]:
    """sha256 of every Parquet file by its path in the lake."""
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.glob("[a-z]*/**/*.parquet"))
    }


def commits_of(lake: Path) -> int:
    return len(list(lake.glob("_commits/*/*.json")))
