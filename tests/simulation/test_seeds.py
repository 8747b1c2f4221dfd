"""Seeds of tests, training and development never meet."""

from __future__ import annotations

from itertools import combinations

import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.seeds import DEVELOPMENT, RANGES, TEST, TRAINING, purpose_of


def test_ranges_are_apart() -> None:
    for a, b in combinations(RANGES, 2):
        assert a.end <= b.first or b.end <= a.first


@pytest.mark.parametrize(
    ("seed", "purpose"),
    [(0, "test"), (9_999, "test"), (10_000, "free"), (1_000_000, "training"), (2_000_000, "development"),
     (3_000_000, "free")],
)  # fmt: skip
def test_a_seed_says_what_it_is_for(seed: int, purpose: str) -> None:
    assert purpose_of(seed) == purpose


def test_a_range_gives_its_seeds_and_no_other() -> None:
    assert [TRAINING.seed(0), DEVELOPMENT.seed(7)] == [1_000_000, 2_000_007]
    assert TRAINING.seed(5) in TRAINING
    assert TRAINING.seed(5) not in TEST
    with pytest.raises(ConfigError, match="test has 10000 seeds; number 10000"):
        TEST.seed(10_000)
    with pytest.raises(ConfigError, match="-1"):
        TEST.seed(-1)
