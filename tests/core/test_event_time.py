from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import CameraView, WatermarkBuffer, pack_state, unpack_state
from retail_ray.core.ticks import Tick, Ticks
from tests.support.scenes import S, Sighting, chunks, message, unit

CAMERAS = [CameraView("b", True), CameraView("a", True)]
TICK_US = S // 2


def rows_of(ticks: list[Tick]) -> list[tuple[int, int, int, float, float]]:
    """(time, camera, local id, x, first number of the embedding or -1) of every row."""
    told = []
    for tick in ticks:
        looks = dict(zip(tick.embedding_row.tolist(), tick.embedding.tolist(), strict=True))
        columns = (tick.time_us, tick.camera, tick.local_id, tick.floor_xy_m[:, 0])
        keys = zip(*(column.tolist() for column in columns), strict=True)
        told += [(*key, looks[i][0] if i in looks else -1.0) for i, key in enumerate(keys)]
    return told


def sightings(seed: int, n: int = 40) -> list[Sighting]:
    rng = np.random.default_rng(seed)
    keys = sorted({(int(t) * 100_000, int(i)) for t, i in rng.integers((0, 0), (60, 4), (n, 2))})
    return [
        Sighting(t, i, float(rng.uniform()), 0.0, unit(rng.normal(size=3)) if rng.random() < 0.4 else None)
        for t, i in keys
    ]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 8), st.integers(0, 10**6))
def test_ticks_hold_every_row_once_in_canonical_order_with_its_embedding(seed: int, cuts: int, shuffle: int) -> None:
    seen, rng = {"a": sightings(seed), "b": sightings(seed + 1)}, np.random.default_rng(shuffle)
    parts = [p for n, rows in seen.items() for p in chunks(n, rows, 10 * S, rng.integers(0, 6 * S, cuts).tolist())]
    buffer = WatermarkBuffer(CAMERAS, TICK_US)
    for i in rng.permutation(len(parts)):
        buffer.submit(parts[i])
    ticks = [t for until in (*sorted(rng.integers(0, 9 * S, 3).tolist()), 10 * S) for t in buffer.ticks(until)]
    expected = sorted(
        (s.time_us, "ab".index(n), s.local_id, s.x_m, np.float32(s.embedding[0]) if s.embedding else -1.0)
        for n, rows in seen.items()
        for s in rows
    )
    found = rows_of(ticks)
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    assert [row[4] for row in found] == pytest.approx([row[4] for row in expected], abs=1e-6)
    for tick in ticks:
        assert tick.start_us % TICK_US == 0
        assert tick.end_us == tick.start_us + TICK_US
        assert ((tick.start_us <= tick.time_us) & (tick.time_us < tick.end_us)).all()
        assert sorted(set(tick.frame_time_us.tolist())) == sorted(set(tick.time_us.tolist()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.lists(st.integers(0, 7 * S), max_size=3))
def test_ticks_worked_at_once_are_those_that_follow_each_other(seed: int, longest: int, wakes: list[int]) -> None:
    """The same ticks as one by one, cut where nothing was seen for longer than a tick, with the same wakes."""
    rows = [replace(row, time_us=row.time_us * 3) for row in sightings(seed, 12)]

    def blocks(at_once: int) -> list[Ticks]:
        buffer, waiting = WatermarkBuffer([CameraView("a", True)], TICK_US), sorted(wakes)
        buffer.submit(message("a", rows, 60 * S))
        found = []
        for ticks in buffer.blocks(30 * S, at_once, lambda: waiting[0] if waiting else None):
            waiting[:] = [wake for wake in waiting if wake > ticks.data.end_us]
            found.append(ticks)
        return found

    alone, together = blocks(1), blocks(longest)
    assert [end for ticks in together for end in ticks.end_us.tolist()] == [ticks.data.end_us for ticks in alone]
    assert rows_of([ticks.data for ticks in together]) == rows_of([ticks.data for ticks in alone])
    assert all(1 <= len(ticks) <= longest for ticks in together)
    for ticks in together:
        begins = ticks.begins(ticks.number(ticks.data.time_us))
        alike = [one for one in alone if ticks.data.start_us < one.data.end_us <= ticks.data.end_us]
        assert np.diff(begins).tolist() == [len(one.data) for one in alike]
        assert ticks.frame_minutes() == [minutes for one in alike for minutes in one.frame_minutes()]


def test_contradicting_rows_are_settled_by_their_contents_not_by_arrival() -> None:
    one, other = ([Sighting(100_000, 1, x, 0.0)] for x in (1.0, 2.0))
    told = []
    for order in ((one, other), (other, one)):
        buffer = WatermarkBuffer([CameraView("a", True)], TICK_US)
        for rows in order:
            buffer.submit(message("a", rows, S))
        told.append(rows_of(list(buffer.ticks(S))))
        assert buffer.counts.duplicate == 1
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_nothing_is_given_out_before_every_camera_has_passed_it() -> None:
    buffer = WatermarkBuffer(CAMERAS, TICK_US)
    buffer.submit(message("a", [Sighting(0, 1, 0, 0)], 2 * S))
    assert list(buffer.ticks(10 * S)) == []  # b has not begun
    buffer.submit(message("b", [], S + 1))
    assert len(list(buffer.ticks(10 * S))) == 1
    assert buffer.worked_until_us == S
    buffer.submit(message("b", [], 10))  # a lower watermark changes nothing
    assert buffer.watermark_us == S + 1
    buffer.end("b")
    list(buffer.ticks(10 * S))
    assert buffer.worked_until_us == 2 * S


def test_idle_days_cost_nothing_but_wakes_are_kept() -> None:
    buffer = WatermarkBuffer([CameraView("a", True)], TICK_US)
    year_us = 365 * 86_400 * S
    buffer.submit(message("a", [Sighting(0, 1, 0, 0), Sighting(year_us, 1, 0, 0)], 2 * year_us))
    assert [t.start_us for t in buffer.ticks(2 * year_us)] == [0, year_us]
    buffer.end("a")
    wakes = [3 * year_us + 1, 3 * year_us + 5 * S]
    woken = []
    for tick in buffer.ticks(2**62, lambda: wakes[0] if wakes else None):
        woken.append(tick.end_us)
        wakes.pop(0)
    assert woken == [3 * year_us + TICK_US, 3 * year_us + 5 * S]


def test_times_before_1970_have_ticks_too() -> None:
    buffer = WatermarkBuffer([CameraView("a", True, start_us=-10 * S)], TICK_US)
    buffer.submit(message("a", [Sighting(-S - 1, 1, 0, 0)], 0))
    assert [t.start_us for t in buffer.ticks(0)] == [-3 * TICK_US]


def test_the_callers_arrays_are_not_changed() -> None:
    sent = message("a", sightings(5), 10 * S)
    sent.embedding[:] *= 3
    copy = replace(sent, embedding=sent.embedding.copy(), floor_xy_m=sent.floor_xy_m.copy())
    buffer = WatermarkBuffer([CameraView("a", True)], TICK_US)
    buffer.submit(sent)
    ticks = list(buffer.ticks(10 * S))
    assert np.array_equal(sent.embedding, copy.embedding)
    norms = np.concatenate([np.linalg.norm(t.embedding, axis=1) for t in ticks if len(t.embedding_row)])
    assert np.allclose(norms, 1, atol=1e-6)


def test_wrong_cameras_are_refused() -> None:
    with pytest.raises(DataError, match="different names"):
        WatermarkBuffer([CameraView("a", True), CameraView("a", False)], TICK_US)
    with pytest.raises(DataError, match="at least one"):
        WatermarkBuffer([], TICK_US)
    with pytest.raises(DataError, match="at least 1 us"):
        WatermarkBuffer(CAMERAS, 0)
    with pytest.raises(DataError, match="camera 'x' is not of this site"):
        WatermarkBuffer(CAMERAS, TICK_US).end("x")


def test_packed_state_depends_on_values_not_on_identity() -> None:
    shared, array = ("x" * 40, 1.5, float("nan")), np.arange(6.0).reshape(2, 3)
    apart = [("x" * 20 + "x" * 20, 1.5, float("nan")), tuple(shared)]
    assert pack_state([shared, shared, array]) == pack_state([*apart, array.copy()])
    again = unpack_state(pack_state([shared, shared, array]))
    assert pack_state(again) == pack_state([shared, shared, array])
