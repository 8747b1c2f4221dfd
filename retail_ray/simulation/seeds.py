"""Which seeds are for what: layouts, scenarios and people drawn from different ranges never meet.

Numbers measured on test seeds stay comparable because nothing was trained or tuned on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retail_ray.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SeedRange:
    """Seeds from `first` up to, but without, `end`."""

    purpose: str
    first: int
    end: int

    def __contains__(self, seed: object) -> bool:
        return isinstance(seed, int) and self.first <= seed < self.end

    def seed(self, index: int) -> int:
        """The seed number `index` of this range, from 0. Raises ConfigError beyond the end."""
        if not 0 <= index < self.end - self.first:
            raise ConfigError(f"{self.purpose} has {self.end - self.first} seeds; number {index} is not among them")
        return self.first + index


TEST: Final = SeedRange("test", 0, 10_000)
TRAINING: Final = SeedRange("training", 1_000_000, 2_000_000)
DEVELOPMENT: Final = SeedRange("development", 2_000_000, 3_000_000)
RANGES: Final = (TEST, TRAINING, DEVELOPMENT)


def purpose_of(seed: int) -> str:
    """'test', 'training', 'development', or 'free' for seeds that no number of this project was measured on."""
    return next((seeds.purpose for seeds in RANGES if seed in seeds), "free")
