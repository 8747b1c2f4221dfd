"""Loads PyTorch checkpoints without running what a pickle may hold."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retail_ray.core.errors import WeightsError


def load_state_dict(path: Path) -> dict[str, Any]:
    """Tensors by name, on the CPU, loaded with `weights_only`. Raises WeightsError naming the file."""
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise WeightsError(_unreadable(path, error, "a checkpoint of plain tensors")) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(f"{path}: expected tensors by name (a state dict), found {_describe(loaded)}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def load_yolo(path: Path) -> Any:
    """A fused float32 ultralytics DetectionModel in eval mode.

    Ultralytics pickles whole modules; its restricted loader (`weights_only` with an allow-list of its own and
    PyTorch's layer classes) builds them and refuses everything else.
    """
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    from ultralytics.nn.modules.head import Detect
    from ultralytics.nn.tasks import DetectionModel, torch_safe_load

    try:
        checkpoint, _ = torch_safe_load(str(path.resolve()), safe_only=True)
    except (TypeError, RuntimeError, EOFError, ImportError, pickle.UnpicklingError, OSError, AttributeError) as error:
        raise WeightsError(_unreadable(path, error, "an ultralytics YOLO11 detection checkpoint")) from error
    candidate: Any = checkpoint.get("ema") or checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if type(candidate) is not DetectionModel or type(candidate.model[-1]) is not Detect:
        found = _describe(checkpoint) if candidate is None else type(candidate).__name__
        raise WeightsError(
            f"{path}: expected a YOLO11 detection network, found {found}; for people use for example yolo11n.pt"
        )
    if candidate.end2end:
        raise WeightsError(f"{path}: its head is end-to-end (no NMS); expected a YOLO11 detection network")
    model = candidate.float()
    model.fuse(verbose=False)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = True
    return model.eval()


def _unreadable(path: Path, error: Exception, expected: str) -> str:
    reason = str(error).strip().splitlines()
    return (
        f"{path} ({path.stat().st_size} bytes): expected {expected}, which is loaded without running code from it; "
        f"found something else ({type(error).__name__}: {reason[0][:200] if reason else ''}); fetch it again"
    )


def _describe(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        return f"a dict with keys {[str(key) for key in list(loaded)[:5]]}"
    return type(loaded).__name__
