"""Numbering frames by presentation time, and choosing the packets that must be decoded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.video.nal import is_random_access
from retail_ray.video.timeline import HIDDEN, Timeline, TimelineBuilder, packets_needed


def build(pts: list[int | None], keys: list[int], hidden: list[int] | None = None, dts: bool = True) -> Timeline:
    builder = TimelineBuilder(Fraction(1, 10), Fraction(10))
    for i, time in enumerate(pts):
        builder.add((time, i if dts else None, 100 * i), entry=i in keys, shown=i not in (hidden or []))
    return builder.build()


def test_b_frames_are_numbered_as_they_are_shown() -> None:
    timeline = build([5, 8, 6, 7], keys=[0])
    assert timeline.frame_of_packet.tolist() == [0, 3, 1, 2]
    assert timeline.elapsed_us.tolist() == [0, 100_000, 200_000, 300_000]
    assert timeline.end_us == 400_000


def test_variable_frame_rate_keeps_its_times() -> None:
    assert build([0, 1, 7, 8], keys=[0]).elapsed_us.tolist() == [0, 100_000, 700_000, 800_000]


def test_a_packet_without_a_time_takes_its_decode_time() -> None:
    assert build([0, None, 2, 3], keys=[0]).elapsed_ticks.tolist() == [0, 1, 2, 3]
    assert build([0, None, 2, 3], keys=[0], dts=False).elapsed_ticks.tolist() == [0, 1, 2, 3]


def test_without_any_times_the_decoders_order_counts() -> None:
    timeline = build([None] * 4, keys=[0], dts=False)
    assert not timeline.timed
    assert timeline.elapsed_us.tolist() == [0, 100_000, 200_000, 300_000]


def test_a_clock_that_jumps_back_goes_on_one_frame_later() -> None:
    timeline = build([10, 11, 12, 0, 1, 2], keys=[0, 3])
    assert timeline.elapsed_ticks.tolist() == [0, 1, 2, 3, 4, 5]
    assert timeline.frame_of_packet.tolist() == [0, 1, 2, 3, 4, 5]


def test_equal_times_become_strictly_increasing() -> None:
    assert build([0, 1, 1, 1, 2], keys=[0]).elapsed_us.tolist() == [0, 100_000, 100_001, 100_002, 200_000]


def test_hidden_packets_have_no_number() -> None:
    timeline = build([0, 1, 2], keys=[0], hidden=[0])
    assert timeline.frame_of_packet.tolist() == [HIDDEN, 0, 1]
    assert len(timeline) == 2


def test_nothing_is_needed_behind_the_last_wanted_frame_of_a_group() -> None:
    timeline = build(list(range(9)), keys=[0, 3, 6])
    wanted = np.isin(np.arange(9), [1, 6])
    assert packets_needed(timeline, wanted).tolist() == [True, True] + [False] * 4 + [True, False, False]


def test_frames_shown_before_their_keyframe_need_the_group_before() -> None:
    # decode order: I0 P1 P2 | I5 B3 B4 P6; B3 and B4 are shown before I5 and refer to P2
    timeline = build([0, 1, 2, 5, 3, 4, 6], keys=[0, 3])
    assert packets_needed(timeline, np.arange(7) == 3).tolist() == [True, True, True, True, True, False, False]
    assert packets_needed(timeline, np.arange(7) == 6).tolist() == [False] * 3 + [True] * 4


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.data())
def test_every_wanted_frame_has_its_whole_group_up_to_it(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    keys = [0, *np.cumsum(sizes)[:-1].tolist()]
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)))
    needed = packets_needed(build(list(range(total)), keys), wanted)
    for packet in np.flatnonzero(wanted):
        key = max(k for k in keys if k <= packet)
        assert needed[key : packet + 1].all()
    for key, stop in zip(keys, [*keys[1:], total], strict=True):
        assert needed[key:stop].any() == wanted[key:stop].any()


def test_only_idr_pictures_are_entry_points_of_h264() -> None:
    recovery_point = b"\x00\x00\x01\x06\x06" + b"\x00\x00\x01\x41\x9a"
    assert is_random_access("h264", b"", b"\x00\x00\x00\x01\x67\x42" + b"\x00\x00\x01\x65\x88")
    assert not is_random_access("h264", b"", recovery_point)
    with_lengths = b"\x00\x00\x00\x02\x06\x05" + b"\x00\x00\x00\x02\x65\x88"
    assert is_random_access("h264", b"\x01\x64\x00\x1f\xff", with_lengths)
    assert is_random_access("hevc", b"", b"\x00\x00\x01\x26\x01")
    assert not is_random_access("hevc", b"", b"\x00\x00\x01\x02\x01")


@given(st.binary(max_size=64), st.binary(max_size=64), st.sampled_from(["h264", "hevc"]))
def test_garbage_is_never_more_than_no_entry_point(extradata: bytes, packet: bytes, codec: str) -> None:
    assert is_random_access(codec, extradata, packet) in {True, False}
