"""How a simulated store is filmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, get_args

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.render.renderer import Prefer

DEFAULT_START: Final = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


RENDERERS: Final = get_args(Prefer)
"""gl needs OpenGL; software runs anywhere; auto takes gl where it can."""


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How the store is filmed; `severity` 0 is ideal cameras, 1 usual ones, 2 bad ones. Raises ConfigError."""

    width_px: int = 1280
    height_px: int = 720
    fps: float = 10.0
    severity: float = 1.0
    mask_every_s: float = 1.0
    renderer: Prefer = "auto"
    start: datetime = DEFAULT_START
    timezone: str = "Europe/Rome"
    processes: int = 0

    def __post_init__(self) -> None:
        for name in ("width_px", "height_px"):
            size = getattr(self, name)
            if not isinstance(size, int) or not 64 <= size <= 3840 or size % 2:
                raise ConfigError(f"video: {name} is {size!r}; it must be even and from 64 to 3840")
        for name, low, high in (("fps", 1, 60), ("severity", 0, 2), ("mask_every_s", 0, 3600)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigError(f"video: {name} is {value!r}; it must be from {low} to {high}")
        if self.renderer not in RENDERERS:
            raise ConfigError(f"video: renderer is {self.renderer!r}; it must be one of {', '.join(RENDERERS)}")
        if not isinstance(self.start, datetime) or self.start.tzinfo is None:
            raise ConfigError(f"video: start is {self.start!s}; it must be a date and time with UTC offset")
