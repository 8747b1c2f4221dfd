"""The training loop that detector, embedder and segmenter share: AdamW, warm-up and cosine, averaged weights.

Everything random comes from the seed, so the same data, settings, versions, threads and processor give the same
weights; another processor or number of threads adds in another order and gives others of the same quality, and so does
a GPU, on which two runs may differ too.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.errors import ModelError
from retail_ray.vision.training.compute import CPU, Compute

WARM_UP_SHARE = 0.05
FINAL_RATE_SHARE = 0.02
AVERAGED_SHARE = 0.05
LARGEST_GRADIENT = 10.0
LOG_LINES = 60


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with one input shape.

    zoom: range of the picture's random scale, 1 where it just fits the input's width.
    """

    steps: int
    batch: int
    input_hw: tuple[int, int]
    zoom: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 1 or min(self.input_hw) < 1 or not 0 < self.zoom[0] <= self.zoom[1]:
            raise ModelError(f"training phase {self}: steps, batch, input_hw and zoom must be positive and in order")


@dataclass(frozen=True, slots=True)
class Progress:
    """Told after every step: `step` of `steps` done, with the loss of that step."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training gave. examples: pictures or patches seen. losses: (step, mean loss since the last entry)."""

    out_file: Path
    steps: int
    examples: int
    parameters: int
    losses: tuple[tuple[int, float], ...]
    scores: dict[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]


def quiet(_progress: Progress) -> None:
    return


def generator(seed: int) -> np.random.Generator:
    """Seeds PyTorch and Python for this process, and gives the generator for everything else."""
    import torch

    torch.manual_seed(seed)
    random.seed(seed)
    return np.random.default_rng(seed)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then half a cosine down to a fiftieth."""
    warm_up = max(1, round(steps * WARM_UP_SHARE))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return peak * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))


def optimise(
    module: Any,
    losses: Iterable[Any],
    *,
    steps: int,
    peak_rate: float,
    weight_decay: float,
    on_progress: OnProgress,
    compute: Compute = CPU,
) -> tuple[Any, tuple[tuple[int, float], ...]]:
    """Step along `losses`, each computed by `module` when it is asked for: (averaged module in eval mode, log).

    The module lies on the device of `compute`; the averaged one comes back on the CPU. The average runs over about the
    last twentieth of the steps, batch-norm statistics included.
    """
    import torch

    optimiser = torch.optim.AdamW(_groups(module, weight_decay), lr=peak_rate, betas=(0.9, 0.99))
    averaged, scaler = copy.deepcopy(module).eval(), compute.scaler()
    remembered = max(0.0, 1 - 1 / max(1.0, steps * AVERAGED_SHARE))
    every, log, recent = max(1, steps // LOG_LINES), [], []
    module.train()
    for step, loss in enumerate(losses):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak_rate)
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
        _average(averaged, module, remembered if step else 0.0)
        recent.append(_finite(float(loss.detach()), step))
        on_progress(Progress(step + 1, steps, recent[-1]))
        if (step + 1) % every == 0 or step + 1 == steps:
            log.append((step + 1, round(float(np.mean(recent)), 4)))
            recent = []
    return averaged.cpu(), tuple(log)


def save(content: Any, out_file: Path) -> None:
    """Through an open file, so that the bytes do not depend on its name."""
    import torch

    out_file.parent.mkdir(parents=True, exist_ok=True)
    with out_file.open("wb") as file:
        torch.save(content, file)


def parameters_of(module: Any) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())


def _groups(module: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels, none for biases and norms."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _average(averaged: Any, module: Any, remembered: float) -> None:
    import torch

    with torch.no_grad():
        current = module.state_dict()
        for name, value in averaged.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name], 1 - remembered)
            else:
                value.copy_(current[name])


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise ModelError(f"training: the loss of step {step + 1} is {loss}; lower peak_rate")
    return loss
