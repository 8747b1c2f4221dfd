"""The commonest counting errors of systems like this one, each by its name: none of them may come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import numpy as np

from retail_ray.analytics.lines import LineSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.site import SiteOperators, SiteRows
from retail_ray.analytics.zones import ZoneSettings
from retail_ray.core.boxes import clip, foot_points
from retail_ray.core.event_time import CameraView
from retail_ray.core.records import LineCrossing, OccupancyRow
from retail_ray.core.time import BusinessDay, to_us
from retail_ray.core.types import Detections, Image, Observations
from retail_ray.lake.codecs import Record
from retail_ray.lake.epochs import publish
from retail_ray.runtime.build_site import build_site_host
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.rows import Embeddings, FrameResult, locate, observations
from retail_ray.tracking.feet import FootFinder, FootMemory
from tests.runtime.scripted import scripted_site
from tests.support.bodies import FRAME_HW, boxes_of, camera, tracks_of
from tests.support.scenes import S, Sighting, chunks, walk

MINUTE = 60 * S
LINE = LineSettings("door", "cam", (0.0, 0.0), (10.0, 0.0), (5.0, 5.0), space="floor")
SHELF = ZoneSettings("shelf", ((0.0, 1.0), (10.0, 1.0), (10.0, 9.0), (0.0, 9.0)))
DAY = BusinessDay("UTC", time(0))


def shop(inside: tuple[str, ...] = (), zone: ZoneSettings = SHELF) -> SiteOperators:
    return SiteOperators([LINE], [zone], OccupancySettings(DAY, inside), [CameraView("cam", True)])


def count(seen: Sequence[Sighting], until_s: float = 120) -> SiteRows:
    return work(shop(), chunks("cam", seen, round(until_s * S)), until_s)


def work(operators: SiteOperators, messages: Sequence[Observations], until_s: float) -> SiteRows:
    rows = SiteRows()
    for one in messages:
        operators.submit(one)
        rows.extend(operators.advance(10**12))
    rows.extend(operators.finish(round(until_s * S)))
    return rows


def ways(rows: SiteRows) -> list[str]:
    return [crossing.direction for crossing in rows.line_crossings if not crossing.turned_back]


def test_counts_lost_at_restart_of_a_process() -> None:
    """Stopped at each half second of a walk through the door into the shelf, and gone on from the saved state."""
    seen = walk(1, lambda t: (5.0, min(t - 5, 4.0)), 0, 30) + walk(2, lambda t: (3.0, 4.0 - t / 4), 0, 30)
    whole = count(seen, 60)
    assert (ways(whole), [row.inside for row in whole.occupancy], len(whole.zone_visits)) == (["in", "out"], [0], 2)
    for stop in range(1, 119):
        before, after = shop(), shop()
        messages = chunks("cam", seen, 60 * S)
        before.submit(messages[0])
        rows = before.advance(stop * S // 2)
        after.restore(before.state())
        rows.extend(work(after, messages, 60))
        assert rows == whole


def test_counts_lost_at_restart_of_a_live_run(tmp_path: Path) -> None:
    """A live run that crashed is followed by another run: the day's count goes on, the day before does not."""
    site = scripted_site(tmp_path, ["cam"], "2026-03-02T10:00:00+00:00", timezone="UTC")
    ten_us = to_us(datetime(2026, 3, 2, 10, tzinfo=UTC))
    crashed, following = RunPlan(site, "live1", live=True), RunPlan(site, "live2", live=True)
    in_at = [-13 * 60, 0, 1, 2, 5, 6]  # minutes; the first was yesterday, the last two have no row of occupancy yet
    crossings = [LineCrossing("entrance", "cam", n, ten_us + at * MINUTE, "in", False) for n, at in enumerate(in_at)]
    crossings.append(LineCrossing("entrance", "cam", 9, ten_us + 3 * MINUTE, "out", False))
    crossings.append(LineCrossing("entrance", "cam", 9, ten_us + 4 * MINUTE, "in", True))
    minutes = [
        OccupancyRow(ten_us + at * MINUTE, *row) for at, row in enumerate([(1, 0, 3), (2, 0, 4), (3, 0, 5), (3, 1, 4)])
    ]
    tables: dict[str, list[Record]] = {"line_crossings": [*crossings], "occupancy": [*minutes]}
    stage = crashed.stage("site")
    entries = [entry for table, rows in tables.items() for entry in stage.write_records(table, rows, 1)]
    publish(crashed.lake, crashed.context, 1, entries)
    live = build_site_host(following, {"cam": ten_us + 8 * MINUTE}).live()
    # Two were added by corrections before the crash: they are inside all the same.
    assert (live.entries_today, live.exits_today, live.inside, live.correction) == (5, 1, 6, 2)
    tomorrow = build_site_host(following, {"cam": ten_us + 24 * 60 * MINUTE}).live()
    assert (tomorrow.entries_today, tomorrow.inside) == (0, 0)
    # A recorded run counts its own videos only, whatever else the lake holds.
    recorded = build_site_host(RunPlan(site, "r1", live=False), {"cam": ten_us + 8 * MINUTE}).live()
    assert (recorded.entries_today, recorded.inside) == (0, 0)


def test_missing_tracker_id_counted_as_minus_one() -> None:
    """Boxes that no tracklet took are nobody: at the line, in the zone, and in the count of those seen."""
    untracked = walk(-1, lambda t: (5.0, t - 5), 0, 20)
    operators = shop(inside=("cam",))
    rows = work(operators, chunks("cam", untracked, 120 * S), 120)
    assert (rows.line_crossings, rows.zone_visits) == ([], [])
    assert [row.inside for row in rows.occupancy] == [0]
    assert operators.live().counts.untracked == len(untracked)
    # Control: the same walk with a tracklet counts.
    tracked = work(shop(inside=("cam",)), chunks("cam", walk(0, lambda t: (5.0, t - 5), 0, 20), 120 * S), 120)
    assert (ways(tracked), len(tracked.zone_visits)) == (["in"], 1)


def test_flickering_box_counted_twice() -> None:
    """A walk through the door whose tracklet breaks at the line, whose box jumps about it, and shows now and then."""
    rng = np.random.default_rng(3)
    enters = walk(1, lambda t: (5.0, 0.5 * t - 3), 0, 20)
    broken = [Sighting(s.time_us, 1 + (s.time_us // (S * 6 // 10)) % 100, s.x_m, s.y_m) for s in enters]
    lingers = walk(1, lambda t: (5.0, float(np.clip(0.5 * t - 3, -3, rng.uniform(-0.25, 0.25)))), 0, 30)
    lingers += walk(1, lambda t: (5.0, 0.5 * (t - 30)), 30.1, 45)
    sparse = [sighting for sighting in enters if sighting.time_us // (S // 10) % 3 != 1]
    for seen in (enters, broken, lingers, sparse):
        rows = count(seen)
        assert ways(rows) == ["in"]
        assert rows.occupancy[-1].inside == 1
    # A second box of the same person that shows for two frames on either side of the line counts nobody.
    ghost = [
        Sighting(s.time_us, 7, s.x_m + 3, -0.5 if s.time_us < 5 * S else 0.5)
        for s in enters
        if 4.8 * S <= s.time_us < 5.2 * S
    ]
    assert len(ghost) == 4
    assert ways(count([*enters, *ghost])) == ["in"]


def test_flickering_box_is_one_stay() -> None:
    """Somebody at the shelf for 20 s who is seen now and then: one stay, of the same length."""
    stands = walk(1, lambda t: (5.0, 0.0 if t < 2 or t >= 22 else 3.0), 0, 24)
    flickering = [
        s for s in stands if s.time_us // (S // 10) % 50 < 15 or abs(s.time_us / S - 2) < 0.3 or s.time_us > 21 * S
    ]
    for seen in (stands, flickering):
        (visit,) = count(seen).zone_visits
        assert abs(visit.dwell_s - 20.0) < 0.1
    assert len(flickering) < len(stands) / 2


@dataclass(frozen=True)
class Frame:
    index: int
    time_us: int
    native_hw: tuple[int, int] = FRAME_HW

    def native(self) -> Image:
        raise AssertionError("no picture is needed")

    def letterboxed(self, letterbox: object) -> Image:
        raise AssertionError("no picture is needed")


def test_box_clipped_before_its_foot_point_is_taken() -> None:
    """Somebody walks up to the camera until the picture ends at the knees, and stands in a zone below the picture."""
    view = camera(pitch=0.35)
    far_m, near_m, still = 6.0, 2.3, 120
    depth_m = np.concatenate([np.linspace(far_m, near_m, 60), np.full(still, near_m), np.linspace(near_m, far_m, 60)])
    boxes_px = clip(boxes_of(view, np.column_stack([np.full(len(depth_m), 0.3), depth_m])), FRAME_HW)
    sure, person = np.ones(1, np.float32), np.zeros(1, np.int32)
    results = [
        FrameResult(Frame(n, n * S // 10), Detections(box[None], sure, person), tracks_of(box[None]))
        for n, box in enumerate(boxes_px)
    ]
    locate(results, FootFinder(view, FRAME_HW, FootMemory()))
    zone = ZoneSettings("below", ((-2.0, 1.5), (2.0, 1.5), (2.0, 2.8), (-2.0, 2.8)))
    rows = work(shop(zone=zone), [observations("cam", results, Embeddings.none())], 60)
    (visit,) = rows.zone_visits
    inside_s = (depth_m < 2.8).sum() / 10
    assert abs(visit.dwell_s - inside_s) < 1.5
    # Control: the middle of the clipped box's lower edge never comes into the zone.
    clipped_m = view.to_floor(foot_points(boxes_px))
    assert boxes_px[:, 3].max() == FRAME_HW[0]
    assert clipped_m[:, 1].min() > 2.8


def test_semantics_changed_by_an_update() -> None:
    """Hand-made walks and what they have always meant, with every default: another row here is another history."""
    seen = [
        *walk(1, lambda t: (1.0, t - 10), 5, 20.8),  # in at 10 s, at the shelf from 11 s on
        *walk(2, lambda t: (2.0, 0.5 - abs(t - 30.25)), 28, 32.5),  # out after a moment inside: a turn-back
        *walk(3, lambda t: (3.0, min(t - 40, 0.25)), 35, 50),  # never leaves the dead band of 0.3 m
        *walk(4, lambda t: (4.0, 62 - t), 55, 65),  # out at 62 s, from the shelf until 61 s
        *walk(5, lambda t: (5.0, 0.5 if t < 71 or t >= 75.8 else 1.5), 70, 78),  # at the shelf for 4.8 s: no visit
        *walk(6, lambda t: (6.0, 0.5 if t < 81 or t >= 86.1 else 1.5), 80, 88),  # for 5.1 s: a visit
        *[s for s in walk(7, lambda _: (7.0, 3.0), 90, 110) if not 94 * S < s.time_us < 103 * S],  # a gap of 9 s: one
        *[s for s in walk(8, lambda _: (8.0, 5.0), 90, 114) if not 96 * S < s.time_us < 107 * S],  # of 11 s: two
    ]  # fmt: skip
    rows = count(seen, 120)
    assert [(c.local_id, c.time_us / S, c.direction, c.turned_back) for c in rows.line_crossings] == [
        (1, 10.0, "in", False), (2, 29.75, "in", True), (2, 30.75, "out", True), (4, 62.0, "out", False),
    ]  # fmt: skip
    visits = sorted(
        (v.local_id, v.enter_us / S, v.dwell_s, v.observed_s, v.bridged_s, v.censored) for v in rows.zone_visits
    )
    assert visits == [
        (1, 11.0, 8.0, 8.0, 0.0, False),
        (4, 55.0, 6.0, 6.0, 0.0, True),
        (6, 80.95, 5.1, 5.1, 0.0, False),
        (7, 90.0, 20.0, 11.0, 9.0, True),
        (8, 90.0, 6.0, 6.0, 0.0, True),
        (8, 107.0, 7.0, 7.0, 0.0, True),
    ]
    assert [(row.entries, row.exits, row.inside) for row in rows.occupancy] == [(1, 0, 1), (1, 1, 0)]
