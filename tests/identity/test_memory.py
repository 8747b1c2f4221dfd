"""What the gallery holds in a crowd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from tests.identity.streams import Store, every, identities, in_step, store

LONG_US = 10**12


def played(crowd: Store, most: int) -> tuple[dict[tuple[str, int], int], int, int]:
    """Identities of tracklets, people counted, bytes of the state."""
    box = Gallery(replace(GallerySettings(), memory_tracklets=most), "shop", "run", crowd.views)
    events = []
    for message in in_step([every(2.0, seen, crowd.end_us) for seen in crowd.whole.values()]):
        box.submit(message)
        events += box.advance(LONG_US)
    return identities(events), box.live().identities, len(box.state())


def test_in_a_crowd_the_oldest_ended_tracklets_leave_memory_and_their_people_stay_known() -> None:
    crowd = store(11, people=12, cameras=3, seconds=60.0)
    whole, people, whole_bytes = played(crowd, 2500)
    fewer, fewer_people, fewer_bytes = played(crowd, 60)
    assert whole.keys() == fewer.keys()
    assert fewer_bytes < 0.9 * whole_bytes
    assert abs(fewer_people - people) <= 2
    held = [key for key in whole if whole[key] == fewer[key]]
    assert len(held) > 0.8 * len(whole)


def test_a_bound_that_is_not_reached_changes_nothing() -> None:
    crowd = store(12, people=6, cameras=3, seconds=20.0)
    assert played(crowd, 2500) == played(crowd, 10**9)


def test_no_tracklet_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="memory_tracklets must be above zero, found 0"):
        GallerySettings(memory_tracklets=0)
