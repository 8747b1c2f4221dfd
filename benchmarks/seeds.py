"""The frozen scenarios of the accuracy figures; nothing is trained or tuned on their seeds (simulation/seeds.py)."""

from __future__ import annotations

from dataclasses import dataclass

from retail_ray.simulation.seeds import TEST


@dataclass(frozen=True)
class Case:
    """A layout by name, and the seed of people, ways and camera faults."""

    layout: str
    seed: int

    def __str__(self) -> str:
        return f"{self.layout.split(':')[0]}-{self.seed}"


_READY = ("convenience", "corner-shop", "boutique", "two-rooms")


def _case(number: int) -> Case:
    """Every second one is a random layout of its own, the others are the ready ones with four cameras."""
    seed = TEST.seed(9_000 + number)
    return Case(f"random:{seed}" if number % 2 == 0 else _READY[number // 2 % len(_READY)], seed)


TEST_CASES = tuple(_case(number) for number in range(20))
