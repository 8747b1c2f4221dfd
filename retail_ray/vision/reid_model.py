"""OSNet networks of BoxMOT from `.pth` checkpoints: the only file that imports BoxMOT here.

BoxMOT's own backends are passed by on purpose: they unpickle checkpoints without `weights_only`, download
what is missing, and install packages. The networks themselves are BoxMOT's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retail_ray.core.errors import WeightsError
from retail_ray.vision.checkpoints import load_state_dict


def load_reid(path: Path) -> Any:
    """The OSNet that these tensors fit, in eval mode: (N, 3, 256, 128) ImageNet-normalised RGB -> (N, 512).

    The variant is told by the tensors' names and shapes; a file name that says another variant is refused.
    """
    import torch
    from boxmot.reid.backbones import BACKBONE_REGISTRY

    state = _without_classifier(load_state_dict(path))
    shapes = _shapes(state)
    variants = sorted((name for name in BACKBONE_REGISTRY if name.startswith("osnet")), key=len, reverse=True)
    for name in variants:
        with torch.device("meta"):
            skeleton = BACKBONE_REGISTRY[name](num_classes=1, pretrained=False)
        if _shapes(_without_classifier(skeleton.state_dict())) == shapes:
            break
    else:
        sample = {key: tuple(state[key].shape) for key in list(state)[:3]}
        raise WeightsError(f"{path}: expected an OSNet of BoxMOT ({', '.join(variants)}), found tensors like {sample}")
    named = next((variant for variant in variants if variant in path.stem.lower()), name)
    if named != name:
        raise WeightsError(f"{path}: the file's name says {named}, its tensors are of {name}; fetch or rename it")
    model = BACKBONE_REGISTRY[name](num_classes=1, pretrained=False)
    model.load_state_dict({**model.state_dict(), **state}, strict=True)
    return model.float().eval()


def build_reid(name: str, classes: int) -> Any:
    """A fresh OSNet of BoxMOT to be trained: (N, 3, h, w) -> scores of `classes` people and (N, 512) features."""
    from boxmot.reid.backbones import BACKBONE_REGISTRY

    return BACKBONE_REGISTRY[name](num_classes=classes, loss="triplet", pretrained=False)


def _without_classifier(state: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in state.items() if not name.endswith("num_batches_tracked")}
