"""Masks on their whole way: key frames through segment-anything's own modules into the lake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from retail_ray.config_file import load_site
from retail_ray.lake.views import open_lake
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from tests.runtime.sites import lab, rows_of, write_site
from tests.vision.test_segmenter import small_sam

# pycocotools hands its own arrays to NumPy in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_masks_of_key_frames_reach_the_lake(tmp_path: Path, shared_data: Path) -> None:
    checkpoint = tmp_path / "small_sam.pth"
    torch.save(small_sam(0).state_dict(), checkpoint)
    models = {
        "detector": {"weights": str(shared_data / "weights/yolo11n_int8_openvino_model")},
        "embedder": {"weights": str(shared_data / "weights/osnet_x0_25_msmt17.onnx")},
        "segmenter": {"weights": str(checkpoint), "every_s": 1.0, "threads": 1},
    }
    cameras = [lab(shared_data, 1, segmentation=True), lab(shared_data, 2)]
    site = load_site(write_site(tmp_path, shared_data, cameras, models=models))
    lakes = []
    for name in ("first", "second"):
        run_in_process(site.model_copy(update={"lake": str(tmp_path / name)}), JobOptions())
        lakes.append(tmp_path / name)
    assert rows_of(lakes[0]) == rows_of(lakes[1])

    with open_lake(lakes[0]) as lake:
        rows = lake.rows("SELECT camera_id, time, local_id, foot_source, foot_y_px, mask FROM detections ORDER BY ALL")
    masked = [row for row in rows if row["mask"] is not None]
    assert masked
    assert {row["camera_id"] for row in masked} == {"lab-1"}
    # One key frame a second in a clip of 3.3 s.
    assert len({row["time"] for row in masked}) <= 4
    for row in masked:
        size, counts = row["mask"]["size"], row["mask"]["counts"]
        counts = counts.encode() if isinstance(counts, str) else counts
        pixels = np.asarray(coco.decode({"size": list(size), "counts": counts}))
        assert pixels.shape == (480, 854)
        if row["foot_source"] == "mask":
            assert pixels.any()
            lines = np.flatnonzero(pixels.any(axis=1))
            assert lines.min() < row["foot_y_px"] <= lines.max() + 1
    assert all(row["foot_source"] != "mask" for row in rows if row["mask"] is None)
