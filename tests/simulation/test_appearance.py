from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.simulation.appearance import Appearance, draw_appearances


def draw(seed: int, staff: list[bool], twin_share: float, first_id: int = 1) -> list[Appearance]:
    ids = range(first_id, first_id + len(staff))
    return draw_appearances(np.random.default_rng(seed), ids, staff=staff, uniform=1, twin_share=twin_share)


@given(st.integers(0, 2**31), st.integers(2, 40), st.floats(0, 0.5))
def test_as_many_near_twins_as_asked_for(seed: int, number: int, share: float) -> None:
    looks = draw(seed, [False] * number, share, first_id=100)
    twins = [look for look in looks if look.twin_of is not None]
    assert len(twins) >= min(np.ceil(share * number), number // 2)
    for twin in twins:
        assert twin.twin_of is not None
        model = looks[twin.twin_of - 100]
        assert model.twin_of is None, "a twin's model has a look of its own"
        assert twin is not model
        assert (twin.cluster, twin.top_pattern, twin.legs) == (model.cluster, model.top_pattern, model.legs)
        assert np.allclose(twin.top, model.top, rtol=0.1)
        assert np.allclose(twin.bottom, model.bottom, rtol=0.1)
        assert abs(twin.height_m / model.height_m - 1) < 0.02


def test_staff_wear_one_uniform_and_nobody_else_does() -> None:
    looks = draw(3, [True] * 6 + [False] * 60, 0.2)
    assert len({(look.cluster, look.top, look.bottom, look.top_pattern) for look in looks[:6]}) == 1
    assert looks[0].cluster not in {look.cluster for look in looks[6:]}
    assert all(look.twin_of is None for look in looks[:6])


def test_clothes_come_from_few_clusters_and_heights_are_human() -> None:
    looks = draw(4, [False] * 400, 0.2)
    assert 6 <= len({look.cluster for look in looks}) <= 8
    heights = np.array([look.height_m for look in looks])
    assert 1.0 < heights.min() < 1.4, "there are children"
    assert heights.max() < 2.0
    assert 1.6 < np.median(heights) < 1.75


def test_same_seed_same_looks_other_seed_others() -> None:
    staff = [True] + [False] * 9
    assert draw(5, staff, 0.3) == draw(5, staff, 0.3)
    assert draw(5, staff, 0.3) != draw(6, staff, 0.3)


@pytest.mark.parametrize("share", [-0.1, 0.6, float("nan")])
def test_an_impossible_twin_share_is_refused(share: float) -> None:
    with pytest.raises(DataError, match=r"twin_share is .*from 0 to 0\.5"):
        draw(0, [False] * 4, share)


def test_marks_for_other_people_are_refused() -> None:
    with pytest.raises(DataError, match="3 people and 2 staff marks"):
        draw_appearances(np.random.default_rng(0), [1, 2, 3], staff=[True, False], uniform=0, twin_share=0.2)


def test_one_shopper_has_nobody_to_be_alike() -> None:
    assert draw(0, [False], 0.5)[0].twin_of is None
    assert draw(0, [], 0.2) == []
