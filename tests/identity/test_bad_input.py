"""What a broken camera tells the gallery is refused or contained, named and counted. Public surface only."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import CameraView
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Observations
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from tests.identity.streams import S, Store, every, identities, in_step, silence, store, told

LONG_US = 10**12
STEP_S = 2.0
BROKEN = "camera-01"

Streams = dict[str, list[Observations]]
Key = tuple[str, int]


def gallery(views: Sequence[CameraView]) -> Gallery:
    return Gallery(GallerySettings(), "shop", "run", views)


@functools.cache
def shop() -> Store:
    return store(7, people=8, cameras=4)


def streams() -> Streams:
    return {name: every(STEP_S, whole, shop().end_us) for name, whole in shop().whole.items()}


def run(messages: Streams, box: Gallery | None = None) -> tuple[list[IdentityEvent], Gallery]:
    box = box or gallery(shop().views)
    events: list[IdentityEvent] = []
    for message in in_step(list(messages.values())):
        box.submit(message)
        events += box.advance(LONG_US)
    return events + box.finish(shop().end_us), box


def rows_of(messages: Sequence[Observations]) -> int:
    return sum(len(message) for message in messages)


def pair_f1(found: Mapping[Key, int], truth: Mapping[Key, int]) -> float:
    """Of pairs of tracklets said to be one person."""
    right = claimed = true = 0
    for a, b in itertools.combinations(sorted(truth), 2):
        said, is_so = found[a] == found[b], truth[a] == truth[b]
        right, claimed, true = right + (said and is_so), claimed + said, true + is_so
    return 2 * right / max(claimed + true, 1)


def test_a_vector_that_is_no_number_is_refused_at_the_camera() -> None:
    message = streams()[BROKEN][3]
    assert len(message.embedding)
    damaged = message.embedding.copy()
    damaged[0, 5] = np.nan
    with pytest.raises(DataError, match=f"camera '{BROKEN}': an embedding is not finite"):
        replace(message, embedding=damaged)


def test_vectors_of_length_zero_are_counted_and_say_nothing() -> None:
    without, zero = streams(), streams()
    for number, message in enumerate(zero[BROKEN]):
        zero[BROKEN][number] = replace(message, embedding=np.zeros_like(message.embedding))
        without[BROKEN][number] = replace(
            message,
            embedding=message.embedding[:0],
            embedding_row=message.embedding_row[:0],
            embedding_quality=message.embedding_quality[:0],
        )
    events, box = run(zero)
    assert told(events) == told(run(without)[0])
    assert box.live().counts.invalid == sum(len(message.embedding) for message in zero[BROKEN])


def test_an_observation_told_twice_is_counted_and_changes_nothing() -> None:
    twice = streams()
    repeated = rows_of(twice[BROKEN])
    twice[BROKEN] = [message for message in twice[BROKEN] for _ in range(2)]
    events, box = run(twice)
    assert told(events) == told(run(streams())[0])
    counts = box.live().counts
    # Those that come when their tick is over are late, and as harmless.
    assert counts.duplicate + counts.late == repeated
    assert counts.duplicate > 0


def test_two_tracks_of_one_camera_with_one_number_at_once_stay_in_order() -> None:
    """A second row for the same tracklet and frame, elsewhere: one of them wins, the same one in any order."""
    ways = []
    for flip in (False, True):
        messages = streams()
        moved = [replace(m, floor_xy_m=m.floor_xy_m + 1.5) for m in messages[BROKEN]]
        pairs = zip(messages[BROKEN], moved, strict=True)
        messages[BROKEN] = [one for pair in pairs for one in (reversed(pair) if flip else pair)]
        box = gallery(shop().views)
        for message in (one for stream in messages.values() for one in stream):
            box.submit(message)
        ways.append((told(box.finish(shop().end_us)), box.live().counts.duplicate))
    assert ways[0] == ways[1]
    assert ways[0][1] == rows_of(streams()[BROKEN])


def test_a_camera_that_jumps_forward_is_as_one_that_ended() -> None:
    """Its clock runs a year ahead from the middle on: it holds nobody back, and nobody loses an identity."""
    year_us = 365 * 86_400 * S
    jumped, ended = streams(), streams()
    half = len(jumped[BROKEN]) // 2
    jumped[BROKEN][half:] = [
        replace(
            m,
            watermark_us=m.watermark_us + year_us,
            time_us=m.time_us + year_us,
            frame_time_us=m.frame_time_us + year_us,
        )
        for m in jumped[BROKEN][half:]
    ]
    ended[BROKEN] = [*ended[BROKEN][: half - 1], replace(ended[BROKEN][half - 1], watermark_us=2**60)]
    one = gallery(shop().views)
    assert told(run(jumped, one)[0]) == told(run(ended)[0])
    assert one.worked_until_us == shop().end_us


def test_a_camera_that_jumps_back_is_counted_and_changes_nothing() -> None:
    back = streams()
    again = [replace(message, watermark_us=0) for message in back[BROKEN][:5]]
    one = gallery(shop().views)
    events: list[IdentityEvent] = []
    for message in in_step(list(back.values())):
        one.submit(message)
        events += one.advance(LONG_US)
        if message.camera_id == BROKEN and message.watermark_us == 20 * S:
            for repeated in again:
                one.submit(repeated)
    assert told(events + one.finish(shop().end_us)) == told(run(streams())[0])
    assert one.live().counts.late == rows_of(again)


def mirrored(message: Observations) -> Observations:
    """The floor as a camera on the other side of the shop would place it."""
    side_m = 3.0 * np.sqrt(8)
    return replace(message, floor_xy_m=side_m - message.floor_xy_m)


def shifted(message: Observations) -> Observations:
    return replace(message, floor_xy_m=message.floor_xy_m + np.array([4.0, -3.0]))


def nowhere(message: Observations) -> Observations:
    return replace(message, floor_xy_m=np.full_like(message.floor_xy_m, 1e9))


@pytest.mark.parametrize("damage", [mirrored, shifted, nowhere])
def test_another_cameras_homography_hardly_harms_the_others(damage: Callable[[Observations], Observations]) -> None:
    """Links among the other cameras are about as good as if the broken one had not been there."""
    wrong, without = streams(), streams()
    wrong[BROKEN] = [damage(message) for message in wrong[BROKEN]]
    without[BROKEN] = [silence(shop().whole[BROKEN], shop().end_us)]
    truth = {key: person for key, person in shop().truth.items() if key[0] != BROKEN}
    events, _ = run(wrong)
    assert identities(events).keys() == shop().truth.keys()  # everybody has an identity all the same
    assert pair_f1(identities(events), truth) > pair_f1(identities(run(without)[0]), truth) - 0.15


def test_what_cannot_be_understood_is_refused_by_name_and_leaves_no_trace() -> None:
    box = gallery(shop().views)
    messages = streams()
    good = messages[BROKEN][3]
    cut = int(good.embedding.shape[1]) - 1
    for stream in messages.values():
        box.submit(stream[0])
    before = box.state()
    with pytest.raises(DataError, match="camera 'cellar' is not of this site; known: camera-00"):
        box.submit(replace(good, camera_id="cellar"))
    with pytest.raises(DataError, match="camera 'cellar' is not of this site"):
        box.end_camera("cellar")
    with pytest.raises(DataError, match=f"camera '{BROKEN}': embeddings have {cut} numbers, those of before {cut + 1}"):
        box.submit(replace(good, embedding=np.ascontiguousarray(good.embedding[:, :cut])))
    with pytest.raises(DataError, match=f"camera '{BROKEN}': embedding_row holds"):
        box.submit(replace(good, embedding_row=good.embedding_row + len(good)))
    assert box.state() == before
    rest = {name: stream[1:] for name, stream in messages.items()}
    assert told(run(rest, box)[0]) == told(run(streams())[0])


def test_a_gallery_restored_from_another_site_or_with_other_cameras_is_refused() -> None:
    state = run(streams())[1].state()
    with pytest.raises(DataError, match="site 'shop'"):
        Gallery(GallerySettings(), "other", "run", shop().views).restore(state)
    with pytest.raises(DataError, match="the saved state is of cameras"):
        gallery(shop().views[:2]).restore(state)
