from __future__ import annotations

import pytest

from retail_ray.analytics.visits import Crossing, Sight, ZoneStay, cut_visits, joined_stays

S = 1_000_000
GAP_US, BRIDGE_US = 900 * S, 10 * S


def sight(camera: str, first_s: float, last_s: float, *crossings: tuple[float, str], stays: tuple[ZoneStay, ...] = ()):
    ways = tuple(Crossing(round(at * S), way) for at, way in crossings)
    return Sight((camera, 1), round(first_s * S), round(last_s * S), stays, ways)


def stay(enter_s: float, exit_s: float, *cut: str, zone: str = "bread") -> ZoneStay:
    return ZoneStay(zone, round(enter_s * S), round(exit_s * S), "begin" in cut, "end" in cut)


def cut(*sights: Sight) -> list[tuple[float, float, bool]]:
    return [(v.enter_us / S, v.exit_us / S, v.censored) for v in cut_visits(sights, GAP_US, BRIDGE_US)]


def test_nobody_has_no_visit() -> None:
    assert cut() == []


# what was seen -> visits (enter, exit, censored)
@pytest.mark.parametrize(
    ("sights", "visits"),
    [
        # whole: the way to the door and behind it is outside
        ([sight("door", 0, 20, (5, "in")), sight("till", 30, 60), sight("exit", 55, 80, (70, "out"))],
         [(5, 70, False)]),
        ([sight("till", 30, 60), sight("door", 55, 80, (70, "out"))], [(30, 70, True)]),  # entry not seen
        ([sight("door", 0, 20, (5, "in")), sight("till", 30, 60)], [(5, 60, True)]),  # exit not seen
        ([sight("till", 30, 60)], [(30, 60, True)]),
        # out first: the person was inside before; back within the gap is the same visit
        ([sight("door", 0, 9, (5, "out")), sight("exit", 100, 130, (110, "in"))], [(0, 130, True)]),
        ([sight("door", 0, 9, (2, "in"), (5, "out")), sight("exit", 905, 999, (910, "in"), (950, "out"))],
         [(2, 950, False)]),
        # an absence longer than the gap ends it
        ([sight("door", 0, 9, (2, "in"), (5, "out")), sight("exit", 910, 999, (920, "in"), (950, "out"))],
         [(2, 5, False), (920, 950, False)]),
        # a long tracklet of one camera spans the absence from another
        ([sight("a", 0, 10), sight("b", 5, 2000), sight("a", 1990, 2010)], [(0, 2010, True)]),
    ],
)  # fmt: skip
def test_visits(sights: list[Sight], visits: list[tuple[float, float, bool]]) -> None:
    assert cut(*sights) == visits
    assert cut(*sights[::-1]) == visits


@pytest.mark.parametrize(
    ("stays", "joined"),
    [
        ([stay(0, 10), stay(5, 20)], [(0, 20)]),  # two cameras at once
        ([stay(0, 30), stay(5, 20)], [(0, 30)]),
        ([stay(0, 10, "end"), stay(18, 30)], [(0, 30)]),  # lost, then found again
        ([stay(0, 10), stay(18, 30, "begin")], [(0, 30)]),
        ([stay(0, 10), stay(18, 30)], [(0, 10), (18, 30)]),  # seen leaving and coming back
        ([stay(0, 10, "end"), stay(20.1, 30, "begin")], [(0, 10), (20.1, 30)]),  # too long unseen
        ([stay(0, 30, "end"), stay(5, 20), stay(35, 40)], [(0, 40)]),  # who saw longest decides
        ([stay(0, 10, "end"), stay(12, 30, zone="milk")], [(0, 10), (12, 30)]),
        ([], []),
    ],
)
def test_stays_of_several_tracklets(stays: list[ZoneStay], joined: list[tuple[float, float]]) -> None:
    assert [(s.enter_us / S, s.exit_us / S) for s in joined_stays(stays, BRIDGE_US)] == joined
    assert [(s.enter_us / S, s.exit_us / S) for s in joined_stays(stays[::-1], BRIDGE_US)] == joined


def test_stays_lie_within_the_visit_in_order_of_entering() -> None:
    """A zone on the pavement counts from the entry on, and not at all before it."""
    before, over = stay(0, 4, zone="window"), stay(2, 9, zone="mat")
    late, early = stay(50, 60, zone="milk"), stay(40, 95, zone="bread")
    (visit,) = cut_visits(
        [sight("door", 0, 20, (5, "in"), stays=(before, over)), sight("b", 30, 99, (90, "out"), stays=(late, early))],
        GAP_US,
        BRIDGE_US,
    )
    assert [(s.zone_id, s.enter_us / S, s.exit_us / S) for s in visit.stays] == [
        ("mat", 5, 9), ("bread", 40, 90), ("milk", 50, 60),
    ]  # fmt: skip
