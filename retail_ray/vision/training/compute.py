"""Where a training runs, and with which numbers: a CPU, or CUDA with mixed precision."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from retail_ray.core.errors import ConfigError

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Compute:
    """device: `cpu`, `cuda` or `cuda:N`.

    mixed: networks compute in bfloat16, on cards without it in float16 with scaled gradients; losses, weights and
    the optimiser stay in float32.
    """

    device: str = "cpu"
    mixed: bool = False

    @property
    def kind(self) -> str:
        return self.device.partition(":")[0]

    def placed(self, module: Any) -> Any:
        """The module on the device; made on the CPU, so that a seed gives the same beginning everywhere."""
        return module.to(self.device)

    def moved(self, tensor: Any) -> Any:
        return tensor.to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        """Around the network's own work."""
        import torch

        if not self.mixed:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast(self.kind, dtype=self._half())
        return context

    def scaler(self) -> Any:
        """Scales gradients where float16 would lose small ones; elsewhere it changes nothing."""
        import torch

        return torch.amp.GradScaler(self.kind, enabled=self.mixed and self._half() is torch.float16)

    def described(self) -> str:
        """For the log of a training."""
        import torch

        name = torch.cuda.get_device_name(self.device) if self.kind == "cuda" else "cpu"
        return f"{name}, {str(self._half()).removeprefix('torch.') + ' mixed' if self.mixed else 'float32'}"

    def _half(self) -> Any:
        import torch

        small = self.kind == "cuda" and not torch.cuda.is_bf16_supported()
        return torch.float16 if small else torch.bfloat16


CPU = Compute()


def compute_on(device: str) -> Compute:
    """`auto` takes CUDA where there is one. ConfigError for a device that PyTorch does not find here."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not _DEVICE.fullmatch(device):
        raise ConfigError(f"device is '{device}'; it must be auto, cpu, cuda or cuda:N")
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= torch.cuda.device_count():
        raise ConfigError(
            f"device is '{device}', and PyTorch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices; "
            "take cpu or auto, or install a PyTorch with CUDA and a driver"
        )
    return Compute(device, mixed=device != "cpu")
