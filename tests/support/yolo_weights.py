"""Rebuilds a float YOLO11n `.pt` from the shared INT8 OpenVINO model, for tests and benchmarks.

The weights of the INT8 model are int8 with one scale per output channel and already hold their batch norms. They are
multiplied out, and the batch norms of a fresh ultralytics model become identities that only add the bias.
Nothing of it may be committed.

    python -m tests.support.yolo_weights --shared /work/shared --out /tmp/yolo11n.pt
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import yaml
from numpy.typing import NDArray

IR_FOLDER = Path("data/weights/yolo11n_int8_openvino_model")


def build_yolo11n(shared: Path, out: Path) -> Path:
    """Write a checkpoint in ultralytics' own format (half-precision module, `model` key) to `out`."""
    import torch
    import ultralytics
    from ultralytics.nn.tasks import DetectionModel

    folder = shared / IR_FOLDER
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    model = DetectionModel("yolo11n.yaml", ch=3, nc=len(metadata["names"]), verbose=False)
    model.names = metadata["names"]
    layers = _float_layers(folder / "yolo11n.xml")
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d) and not name.endswith(".dfl.conv"):
            weight, bias = layers.pop(name)
            _fill(model, name, torch.from_numpy(weight), torch.from_numpy(bias))
    if layers:
        raise ValueError(f"{folder}: layers that a YOLO11n does not have: {sorted(layers)}")
    model.args = {"imgsz": 640, "task": "detect", "model": "yolo11n.yaml"}
    model.task = "detect"
    checkpoint = {
        "epoch": -1,
        "best_fitness": None,
        "model": model.half().eval(),
        "ema": None,
        "updates": None,
        "optimizer": None,
        "train_args": model.args,
        "date": datetime(2026, 1, 1).isoformat(),
        "version": ultralytics.__version__,
        "license": "AGPL-3.0",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, out)
    return out


def _fill(model: Any, name: str, weight: Any, bias: Any) -> None:
    import torch

    conv = model.get_submodule(name)
    if conv.weight.shape != weight.shape:
        raise ValueError(f"{name}: expected weights {tuple(conv.weight.shape)}, found {tuple(weight.shape)}")
    conv.weight.data = weight
    if conv.bias is not None:
        conv.bias.data = bias
        return
    norm = model.get_submodule(name.removesuffix(".conv") + ".bn")
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.data = torch.ones_like(bias)
    norm.bias.data = bias


def _float_layers(xml: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Module name -> float32 weights (out, in/groups, kh, kw) and bias (out,)."""
    layers = {}
    for node in ov.Core().read_model(xml).get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        if kind not in {"Convolution", "GroupConvolution"} or ".dfl." in name:
            continue
        weight = _evaluate(node.input_value(1).get_node())
        if kind == "GroupConvolution":  # (groups, out / groups, in / groups, kh, kw)
            weight = weight.reshape(-1, *weight.shape[2:])
        (target,) = node.output(0).get_target_inputs()
        add = target.get_node()
        bias = next(v.get_node() for v in add.input_values() if v.get_node().get_type_name() == "Constant")
        module = name.split("/")[0].removeprefix("__module.")
        layers[module] = (np.ascontiguousarray(weight, np.float32), np.array(bias.data, np.float32).reshape(-1))
    return layers


def _evaluate(node: Any) -> NDArray[np.float32]:
    """The value of a small tree of Constant, Convert and Multiply."""
    kind = node.get_type_name()
    if kind == "Constant":
        return np.array(node.data, np.float32)
    values = [_evaluate(value.get_node()) for value in node.input_values()]
    if kind == "Multiply":
        return values[0] * values[1]
    if kind in {"Convert", "Reshape"}:
        return values[0]
    raise ValueError(f"{node.get_friendly_name()}: unexpected {kind} above the weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/weights")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(build_yolo11n(arguments.shared, arguments.out))


if __name__ == "__main__":
    main()
