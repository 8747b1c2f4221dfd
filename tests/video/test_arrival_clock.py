"""Event time of live streams."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.video.arrival_clock import ArrivalClock

START_US = 1_700_000_000_000_000


def stamps(clock: ArrivalClock, arrivals: list[int], stream: list[int | None]) -> list[int]:
    return [clock.stamp(arrival, time) for arrival, time in zip(arrivals, stream, strict=True)]


@given(st.lists(st.integers(0, 300_000), min_size=2, max_size=80))
def test_jitter_is_taken_out(delays_us: list[int]) -> None:
    """Frames held up by up to 0.3 s keep the camera's own spacing, but for the drift that is allowed."""
    stream = [i * 40_000 for i in range(len(delays_us))]
    arrivals = [START_US + t + d for t, d in zip(stream, [0, *delays_us[1:]], strict=True)]
    times = stamps(ArrivalClock(), arrivals, list(stream))
    spacing = np.diff(times)
    assert (np.abs(spacing - 40_000) <= 0.001 * stream[-1] + 1).all()


@given(st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(-5_000_000, 5_000_000)), min_size=1, max_size=60))
def test_whatever_the_stream_says_time_goes_on_and_stays_near_the_arrivals(steps: list[tuple[int, int]]) -> None:
    clock, arrival, stream, last = ArrivalClock(), START_US, 0, 0
    for passed_us, jump_us in steps:
        arrival, stream = arrival + passed_us, stream + jump_us
        time_us = clock.stamp(arrival, stream)
        assert time_us > last
        assert arrival - 2_000_000 <= time_us <= max(arrival, last + 1)
        last = time_us


def test_a_slower_camera_clock_is_followed() -> None:
    """A camera whose crystal loses 0.05 % stays within 20 ms of the arrival clock for an hour."""
    clock = ArrivalClock()
    arrivals = [START_US + i * 40_020 for i in range(90_000)]
    times = stamps(clock, arrivals, [i * 40_000 for i in range(90_000)])
    assert max(abs(a - t) for a, t in zip(arrivals, times, strict=True)) < 20_000


def test_a_faster_camera_clock_never_runs_ahead_of_the_arrivals() -> None:
    arrivals = [START_US + i * 39_980 for i in range(10_000)]
    times = stamps(ArrivalClock(), arrivals, [i * 40_000 for i in range(10_000)])
    assert all(t <= a for a, t in zip(arrivals, times, strict=True))


def test_a_burst_that_was_pulled_keeps_the_streams_spacing() -> None:
    clock = ArrivalClock()
    clock.begin(pulls=True)
    times = stamps(clock, [START_US] * 50, [i * 40_000 for i in range(50)])
    assert np.diff(times).tolist() == [40_000] * 49


def test_after_a_reconnection_the_stream_time_starts_anew() -> None:
    clock = ArrivalClock()
    first = stamps(clock, [START_US, START_US + 40_000], [9_000_000, 9_040_000])
    clock.begin(pulls=False)
    assert clock.stamp(START_US + 5_000_000, 0) == START_US + 5_000_000 > first[-1]


def test_without_stream_time_the_arrival_counts() -> None:
    assert stamps(ArrivalClock(), [START_US, START_US, START_US + 5], [None, None, None]) == [
        START_US,
        START_US + 1,
        START_US + 5,
    ]
