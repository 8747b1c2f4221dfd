"""Counting lines against walkers whose crossings are known exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.lines import LineCounter, LineSettings
from retail_ray.core.errors import GeometryError
from retail_ray.core.event_time import CameraView, WatermarkBuffer
from retail_ray.core.records import LineCrossing
from retail_ray.core.types import Observations
from tests.support.scenes import PX_PER_M, S, Sighting, message, walk

# The door: from (0, 0) to (4, 0); inside is y > 0.
FLOOR = LineSettings("door", "cam", (0.0, 0.0), (4.0, 0.0), (2.0, 5.0), space="floor")
PIXELS = LineSettings("door", "cam", (0.0, 0.0), (400.0, 0.0), (200.0, 500.0), dead_band=30.0)

Path = Callable[[float], tuple[float, float]]


def worked(buffer: WatermarkBuffer, counter: LineCounter, until_us: int) -> list[LineCrossing]:
    blocks = buffer.blocks(until_us, 50, counter.wake_us)
    return [crossing for ticks in blocks for tick in counter.update(ticks, 0) for crossing in tick]


def count(line: LineSettings, sightings: Sequence[Sighting], calibrated: bool = True) -> list[LineCrossing]:
    buffer, counter = WatermarkBuffer([CameraView("cam", True)], S // 2), LineCounter(line)
    buffer.submit(message("cam", sightings, 0, calibrated=calibrated))
    buffer.end("cam")
    final = worked(buffer, counter, 10**12)
    return final + counter.finish()


def signs(crossings: Sequence[LineCrossing]) -> list[str]:
    return [("turned " if c.turned_back else "") + c.direction for c in crossings]


def along_y(y: Callable[[float], float], x: float = 2.0) -> Path:
    return lambda t: (x, y(t))


CASES = {
    # walks straight in at 1 m/s, on the line at 3 s
    "in": (along_y(lambda t: t - 3), 10, ["in"]),
    "out": (along_y(lambda t: 3 - t), 10, ["out"]),
    # in at 3 s, stays 4 s, out again
    "in and out later": (along_y(lambda t: min(t - 3, 7 - t)), 12, ["in", "out"]),
    # over the line for 1 s: looks in and goes
    "turns back": (along_y(lambda t: 1.5 * (0.5 - abs(t - 3))), 8, ["turned in", "turned out"]),
    # back over the line after 1.9 s, but on the outer side for three frames only after 2 s
    "turns back just in time": (along_y(lambda t: min(t - 3, 4.9 - t)), 8, ["turned in", "turned out"]),
    # steps out for 1 s and comes back
    "steps out": (along_y(lambda t: 1.5 * (abs(t - 3) - 0.5)), 8, ["turned out", "turned in"]),
    # comes only into the dead band on the far side
    "u-turn in the dead band": (along_y(lambda t: 0.25 - abs(t - 3)), 8, []),
    # stands in the dead band and sways over the line
    "loiters on the line": (along_y(lambda t: 0.2 * np.sin(5 * t)), 30, []),
    # walks along the line on the outer side, 0.4 m away
    "along the line": (lambda t: (t - 1, -0.4), 8, []),
    # goes in beside the door's end, where the infinite line is crossed but not the segment
    "beside the line": (along_y(lambda t: t - 3, x=5.0), 10, []),
    # appears inside: a fragment of somebody counted before, or staff
    "appears inside": (along_y(lambda t: 1 + t), 10, []),
    "appears in the dead band and goes in": (along_y(lambda t: t - 0.2), 10, []),
    # runs in at 5 m/s
    "runs": (along_y(lambda t: 5 * (t - 3)), 6, ["in"]),
    # in, is turned back, and goes in for good
    "in after a turn-back": (
        along_y(lambda t: 1.5 * (0.5 - abs(t - 3)) if t < 4 else 1.0 * (t - 4) - 0.75), 12,
        ["turned in", "turned out", "in"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("line", [FLOOR, PIXELS], ids=["floor", "px"])
def test_walks(name: str, line: LineSettings) -> None:
    path, until_s, expected = CASES[name]
    crossings = count(line, walk(1, path, 0, until_s))
    assert signs(crossings) == expected
    entries = sum(c.direction == "in" and not c.turned_back for c in crossings)
    exits = sum(c.direction == "out" and not c.turned_back for c in crossings)
    assert entries - exits == ["in" in expected, "out" in expected][0] - ("out" in expected)


@pytest.mark.parametrize("inside_y", [5.0, -5.0])
@pytest.mark.parametrize("flip", [False, True])
def test_inside_is_where_the_inside_point_is_however_the_line_is_drawn(inside_y: float, flip: bool) -> None:
    line = replace(FLOOR, inside_point=(2.0, inside_y))
    if flip:
        line = replace(line, start=line.end, end=line.start)
    assert signs(count(line, walk(1, along_y(lambda t: t - 3), 0, 8))) == ["in" if inside_y > 0 else "out"]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.6, 2.5),
    st.sampled_from([5.0, 8.0, 12.5]),
    st.sampled_from([0.0, 0.03, 0.08]),
)
def test_noisy_walkers_are_counted_once_at_the_right_instant(seed: int, speed: float, fps: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    crosses = 20 * rng.permutation(12) + rng.uniform(8, 12, 12)
    rows, truth = [], []
    for local_id, at in enumerate(crosses.tolist()):
        inwards = bool(rng.random() < 0.5)
        x, sign = float(rng.uniform(0.3, 3.7)), 1 if inwards else -1
        rows += walk(
            local_id, lambda t, k=(x, sign, at): (k[0], k[1] * speed * (t - k[2])), at - 5, at + 5, fps, noise, rng
        )
        truth.append((local_id, "in" if inwards else "out", at))
    found = {c.local_id: c for c in count(FLOOR, rows)}
    assert len(found) == len(truth)
    for local_id, direction, at in truth:
        assert (found[local_id].direction, found[local_id].turned_back) == (direction, False)
        # within a frame, plus what the noise moves the crossing by
        assert abs(found[local_id].time_us - at * S) <= S / fps + 4 * noise / speed * S + 2


def test_interpolated_instant_is_exact_without_noise() -> None:
    (crossing,) = count(FLOOR, walk(1, along_y(lambda t: 0.7 * (t - 3.037)), 0, 8, fps=5))
    assert abs(crossing.time_us - 3.037 * S) <= 1


def test_fast_runner_at_low_fps_needs_three_frames_on_each_side() -> None:
    runner = along_y(lambda t: 4 * (t - 3))
    assert signs(count(FLOOR, walk(1, runner, 1.5, 4.5, fps=2))) == ["in"]
    assert count(FLOOR, walk(1, runner, 2.0, 4.0, fps=2)) == []
    assert signs(count(replace(FLOOR, min_frames=1), walk(1, runner, 2.0, 4.0, fps=2))) == ["in"]


def test_a_missing_tracker_id_is_not_counted_as_minus_one() -> None:
    assert count(FLOOR, walk(-1, along_y(lambda t: t - 3), 0, 8)) == []


def test_a_flickering_box_is_not_counted_twice() -> None:
    """A wide box jumps 0.6 m up and down for single frames while the person walks in."""
    rows = walk(1, along_y(lambda t: 0.8 * (t - 3)), 0, 9)
    rows = [replace(row, y_m=row.y_m - 0.6) if i % 4 == 0 else row for i, row in enumerate(rows)]
    assert signs(count(FLOOR, rows)) == ["in"]


def test_single_frames_on_alternating_sides_are_no_crossing() -> None:
    rows = walk(1, along_y(lambda t: -1.0), 0, 10)
    rows = [replace(row, y_m=0.5) if i % 2 and i > 20 else row for i, row in enumerate(rows)]
    assert count(FLOOR, rows) == []


def test_a_crossing_in_a_gap_of_the_track_counts_once() -> None:
    rows = [r for r in walk(1, along_y(lambda t: t - 5), 0, 12) if not 3 * S < r.time_us < 8 * S]
    (crossing,) = count(FLOOR, rows)
    assert crossing.direction == "in"
    assert abs(crossing.time_us - 5 * S) <= 1


def test_frames_without_a_floor_point_are_no_evidence() -> None:
    rows = walk(1, along_y(lambda t: t - 3), 0, 8)
    lost = [replace(row, x_m=float("nan")) if 25 < i < 34 and i % 2 else row for i, row in enumerate(rows)]
    assert signs(count(FLOOR, lost)) == ["in"]
    assert count(FLOOR, rows, calibrated=False) == []
    assert signs(count(PIXELS, rows, calibrated=False)) == ["in"]


def test_final_only_when_it_can_no_longer_be_undone() -> None:
    buffer, counter = WatermarkBuffer([CameraView("cam", True)], S // 2), LineCounter(FLOOR)
    rows = walk(1, along_y(lambda t: t - 3), 0, 4.9)
    buffer.submit(message("cam", rows, 5 * S))
    assert worked(buffer, counter, 10**12) == []
    buffer.submit(message("cam", walk(1, along_y(lambda t: t - 3), 5.0, 5.4), round(5.5 * S)))
    final = worked(buffer, counter, 10**12)
    assert signs(final) == ["in"]


def test_a_track_lost_right_behind_the_line_counts_and_coming_back_out_later_counts_too() -> None:
    lost = walk(1, along_y(lambda t: t - 3), 0, 4)
    again = walk(1, along_y(lambda t: 30 - t), 28, 33)
    assert signs(count(FLOOR, lost)) == ["in"]
    assert signs(count(FLOOR, lost + again)) == ["in", "out"]


def test_ids_of_two_lines_and_cameras_do_not_mix() -> None:
    buffer, counter = WatermarkBuffer([CameraView("cam", True), CameraView("other", True)], S), LineCounter(FLOOR)
    outside, inside = walk(7, along_y(lambda t: -2), 0, 5), walk(7, along_y(lambda t: 2), 6, 9)
    buffer.submit(message("cam", outside, 99 * S))
    buffer.submit(message("other", inside, 99 * S))
    assert worked(buffer, counter, 99 * S) + counter.finish() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"end": (0.0, 0.0)}, "start and end are the same point"),
        ({"inside_point": (9.0, 0.0)}, "lies on the line itself"),
        ({"start": (float("nan"), 0.0)}, "must be finite"),
        ({"min_frames": 0}, "min_frames at least 1"),
        ({"dead_band": -1.0}, "must not be negative"),
    ],
)
def test_impossible_lines_are_refused_by_name(change: dict[str, object], fault: str) -> None:
    with pytest.raises(GeometryError, match=f"line 'door': .*{fault}"):
        replace(FLOOR, **change)


def test_default_dead_bands() -> None:
    assert FLOOR.band == 0.3
    assert replace(PIXELS, dead_band=None).band == 10.0
    assert PX_PER_M * FLOOR.band == PIXELS.band


@pytest.mark.parametrize(("line", "gap_s"), [(FLOOR, 0.1), (FLOOR, 0.5), (FLOOR, 0.9), (PIXELS, 0.1), (PIXELS, 0.5)])
def test_a_walk_whose_tracklet_breaks_at_the_line_is_counted_once(line: LineSettings, gap_s: float) -> None:
    """Tracklet 1 ends just before the line; the same person is tracklet 2 behind the gap."""
    path = along_y(lambda t: t - 3)
    rows = [*walk(1, path, 0, 2.9), *walk(2, path, 2.9 + gap_s, 8)]
    (crossing,) = count(line, rows)
    assert (crossing.direction, crossing.turned_back, crossing.local_id) == ("in", False, 2)
    assert crossing.time_us == round((2.9 + gap_s) * S)  # seen again at once behind the line


def test_a_crossing_stays_with_the_tracklet_that_was_seen_to_cross() -> None:
    path = along_y(lambda t: t - 3)
    (crossing,) = count(FLOOR, [*walk(1, path, 0, 4), *walk(2, path, 4.3, 8)])
    assert (crossing.local_id, abs(crossing.time_us - 3 * S) <= 1) == (1, True)


def test_tracklets_too_late_or_too_far_are_somebody_else() -> None:
    path = along_y(lambda t: t - 3)
    assert count(FLOOR, [*walk(1, path, 0, 2.9), *walk(2, path, 4.5, 8)]) == []
    away = along_y(lambda t: t - 3, x=3.9)
    assert count(FLOOR, [*walk(1, along_y(lambda t: t - 3, x=0.1), 0, 2.9), *walk(2, away, 3.1, 8)]) == []


def test_of_two_who_were_lost_the_nearest_goes_on() -> None:
    """One is lost before the line and one behind it; what begins behind the line is whoever was lost nearer to it."""
    lost = [*walk(1, along_y(lambda t: t - 3), 0, 2.8), *walk(2, lambda _: (2.0, 1.0), 0, 2.8)]
    assert signs(count(FLOOR, [*lost, *walk(3, lambda t: (2.0, t - 2.9), 3.1, 8)])) == ["in"]
    assert count(FLOOR, [*lost, *walk(3, lambda t: (2.0, t - 2.2), 3.1, 8)]) == []


def test_two_who_are_lost_side_by_side_and_found_behind_the_line_count_once_each() -> None:
    """Who is who does not matter to a count, but nobody comes in twice: a third one who begins there counts nothing."""
    path, beside = along_y(lambda t: t - 3), along_y(lambda t: t - 3, x=2.4)
    found = [*walk(1, path, 0, 2.9), *walk(2, beside, 0, 2.9), *walk(3, path, 3.2, 8), *walk(4, beside, 3.4, 8)]
    assert signs(count(FLOOR, found)) == ["in", "in"]
    third = along_y(lambda t: t - 3, x=2.2)
    assert signs(count(FLOOR, [*found, *walk(5, third, 3.6, 8)])) == ["in", "in"]


def test_a_tracklet_that_goes_on_while_a_new_one_begins_keeps_its_own_way() -> None:
    """Somebody waits before the line while somebody else appears behind it: nobody crossed."""
    rows = [*walk(1, lambda _: (2.0, -0.6), 0, 8), *walk(2, lambda _: (2.0, 0.5), 4.05, 8)]
    assert count(FLOOR, rows) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_wherever_a_walk_breaks_it_is_counted_once(seed: int, breaks: int) -> None:
    rng = np.random.default_rng(seed)
    path = along_y(lambda t: 0.8 * (t - 6))
    cuts = np.sort(rng.choice(np.arange(8, 112), breaks, replace=False)) / 10
    rows, begin = [], 0.0
    for local_id, end in enumerate([*cuts.tolist(), 12.0]):
        rows += walk(local_id, path, begin, end, noise_m=0.03, rng=rng)
        begin = end + float(rng.uniform(0.1, 0.5))
    assert signs(count(FLOOR, rows)) == ["in"]


def test_a_line_goes_by_the_lower_end_of_what_is_seen_and_not_by_an_estimate_that_jumps() -> None:
    """The foot point jumps over the line while somebody waits before it; the lower edge of the box does not."""

    def counted(told: Observations) -> list[LineCrossing]:
        buffer, counter = WatermarkBuffer([CameraView("cam", True)], S // 2), LineCounter(FLOOR)
        buffer.submit(told)
        buffer.end("cam")
        return worked(buffer, counter, 10**12) + counter.finish()

    steady = message("cam", walk(1, lambda _: (2.0, -1.0), 0, 6), 0)
    jumps = steady.floor_xy_m.copy()
    jumps[20:, 1] = 1.5
    told = replace(steady, floor_xy_m=jumps)
    assert counted(told) == []
    assert signs(counted(replace(told, edge_xy_m=jumps))) == ["in"]


@pytest.mark.parametrize(("line", "space"), [(FLOOR, "m"), (PIXELS, "px")])
def test_who_comes_in_as_another_goes_out_is_no_turn_back(line: LineSettings, space: str) -> None:
    """The first is lost behind the door, and half a second later the second is seen there and walks in."""
    goes = walk(1, along_y(lambda t: 3 - t), 0, 3.8)
    comes = walk(2, along_y(lambda t: t - 4.8), 4.1, 9)
    assert signs(count(line, [*goes, *comes])) == ["out", "in"], space
    same = walk(1, along_y(lambda t: t - 4.8 if t > 3.9 else 3 - t), 0, 9)
    assert signs(count(line, same)) == ["turned out", "turned in"], space


def test_three_frames_on_a_side_are_enough_when_one_of_them_is_beyond_the_band() -> None:
    """Somebody who is first seen half a metre before the line, at 1 m/s and 10 frames/s."""
    assert signs(count(FLOOR, walk(1, along_y(lambda t: t - 0.45), 0, 5))) == ["in"]
    assert signs(count(FLOOR, walk(1, along_y(lambda t: t - 0.25), 0, 5))) == []
    assert signs(count(FLOOR, walk(1, along_y(lambda t: 2 * t - 0.35), 0, 5))) == []


def waited(seed: int, off_m: float) -> list[str]:
    """What is counted, turn-backs aside, of somebody who waits for a minute; feet are seen now 12 cm nearer and now
    farther."""
    rng = np.random.default_rng(seed)
    found = count(FLOOR, walk(1, lambda _: (2.0, off_m + float(rng.normal(0, 0.12))), 0, 60))
    return signs([crossing for crossing in found if not crossing.turned_back])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.3]))
def test_somebody_who_waits_beside_the_line_is_not_counted_in_and_out(seed: int, off_m: float) -> None:
    assert waited(seed, off_m) == []


def test_somebody_who_waits_nearly_on_the_line_is_seldom_counted_and_then_both_ways() -> None:
    """Nearer than their feet are known, they can stay on the other side for as long as somebody who went there."""
    minutes = [waited(seed, 0.1) for seed in range(400)]
    counted_ = [some for some in minutes if some]
    assert 0 < len(counted_) < 0.03 * len(minutes)
    assert all(some == ["out", "in"] for some in counted_)
