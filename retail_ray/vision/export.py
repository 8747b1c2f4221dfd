"""Exports PyTorch networks to OpenVINO IR, once per weights, shape and versions.

The export runs in a process of its own, so that an actor that infers with OpenVINO never imports PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.networks import file_sha256
from retail_ray.vision.process_lock import locked

Kind = Literal["yolo", "reid"]
FORMAT = 1
PACKAGES = ("openvino", "torch", "ultralytics", "boxmot")
REFUSED = 3


def exported_ir(kind: Kind, weights: Path, input_hw: tuple[int, int], cache_dir: Path) -> Path:
    """Path of the cached `model.xml` (float32 weights) for these weights and this input, exporting it if need be.

    Safe with several processes at once: one exports under a lock, the others wait; the folder appears whole.
    """
    key = cache_key(kind, weights, input_hw)
    folder = cache_dir / "openvino" / f"{weights.stem}-{input_hw[0]}x{input_hw[1]}-{key}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(folder.name + ".lock")):
            if not folder.is_dir():
                _export_into(folder, kind, weights, input_hw)
    return folder / "model.xml"


def cache_key(kind: Kind, weights: Path, input_hw: tuple[int, int]) -> str:
    """Names an export by everything that its bytes depend on."""
    parts = [FORMAT, kind, file_sha256(weights), *input_hw, *(f"{name}={version(name)}" for name in PACKAGES)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _export_into(folder: Path, kind: Kind, weights: Path, input_hw: tuple[int, int]) -> None:
    # Nobody else holds the lock, so whatever lies here is left from a process that died. Its child may still be
    # writing: a name of our own keeps the two apart.
    for left in folder.parent.glob(f"{folder.name}.part-*"):
        shutil.rmtree(left, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    command = [sys.executable, "-m", "retail_ray.vision.export", kind, str(weights), *map(str, input_hw)]
    environment = {**os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "False"}
    package_root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, str(unfinished / "model.xml")], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if done.returncode == REFUSED:
            raise WeightsError(reason)
        raise ModelError(f"{weights}: the export to OpenVINO failed (exit {done.returncode}): {reason}")
    unfinished.rename(folder)


def _export(kind: Kind, weights: Path, input_hw: tuple[int, int], xml: Path) -> None:
    import openvino
    import torch

    if kind == "yolo":
        from retail_ray.vision.checkpoints import load_yolo

        module = load_yolo(weights)
        module.model[-1].export = True
    else:
        from retail_ray.vision.reid_model import load_reid

        module = load_reid(weights)
    example = torch.zeros(1, 3, *input_hw)
    with torch.inference_mode():
        module(example)
        model = openvino.convert_model(module, example_input=example, input=[1, 3, *input_hw])
    openvino.save_model(model, xml, compress_to_fp16=False)


def _main(arguments: list[str]) -> int:
    kind, weights, height, width, xml = arguments
    try:
        _export("yolo" if kind == "yolo" else "reid", Path(weights), (int(height), int(width)), Path(xml))
    except WeightsError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
