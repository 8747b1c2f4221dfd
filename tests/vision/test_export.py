"""The cache of exported models: once per weights and shape, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from retail_ray.vision.export import cache_key, exported_ir

ROOT = Path(__file__).resolve().parents[2]
INPUT_HW = (64, 64)


def start_export(weights: Path, cache: Path) -> subprocess.Popen[str]:
    program = (
        "from pathlib import Path; from retail_ray.vision.export import exported_ir; "
        f"print(exported_ir('yolo', Path({str(weights)!r}), {INPUT_HW}, Path({str(cache)!r})))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_a_killed_export_leaves_no_model_and_two_at_once_make_one(yolo_pt: Path, tmp_path: Path) -> None:
    killed = start_export(yolo_pt, tmp_path)
    while not list(tmp_path.glob("openvino/*.part-*")):
        assert killed.poll() is None, "the export ended before it could be killed"
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not list(tmp_path.glob("openvino/*/model.xml"))

    both = [start_export(yolo_pt, tmp_path) for _ in range(2)]
    answers = {process.communicate()[0].strip() for process in both}
    assert len(answers) == 1
    xml = Path(answers.pop())
    assert sorted(path.name for path in xml.parent.iterdir()) == ["model.bin", "model.xml"]
    assert not list(tmp_path.glob("openvino/*.part-*"))

    written = xml.stat().st_mtime_ns
    assert exported_ir("yolo", yolo_pt, INPUT_HW, tmp_path) == xml
    assert xml.stat().st_mtime_ns == written


def test_an_export_belongs_to_the_bytes_and_the_shape_not_to_the_name(yolo_pt: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "renamed.pt", tmp_path / yolo_pt.name
    same.write_bytes(yolo_pt.read_bytes())
    other.write_bytes(yolo_pt.read_bytes() + b"!")
    key = cache_key("yolo", yolo_pt, INPUT_HW)
    assert cache_key("yolo", same, INPUT_HW) == key
    assert len({key, cache_key("yolo", other, INPUT_HW), cache_key("yolo", yolo_pt, (64, 96))}) == 3
