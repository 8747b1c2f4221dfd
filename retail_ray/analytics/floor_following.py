"""Who is who on the floor, tick by tick: compiled loops over tables of people and of their tracklets.

The steps of one tick stand in `follow`, in their order.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from retail_ray.analytics.compiled import INTS, POINTS, array_of, compiled, part
from retail_ray.analytics.floor_tables import NEAR, NEVER_US, NOBODY, PERSON, RULES, SAMPLE, VIEW
from retail_ray.analytics.sights import KEY_STEP

_SEVERAL: Final = -2
_TAKEN: Final = -3
_Pair = tuple[float, int, int]
_RULE, _PERSON, _VIEW, _NEAR = (array_of(kind) for kind in (RULES, PERSON, VIEW, NEAR))


@part
def _insert(ordered: Any, new: Any) -> None:
    """Into a list in its order. Few are sorted here, and numba's own sorting takes seconds to compile."""
    ordered.append(new)
    at = len(ordered) - 1
    while at > 0 and ordered[at - 1] > new:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = new


@part
def _by_person(own: Any, views: Any) -> Any:
    """Sights in order of their people; those of one person stay in their order."""
    order = np.empty(len(own), np.int64)
    for sight in range(len(own)):
        at = sight
        while at > 0 and views[own[order[at - 1]]].person > views[own[sight]].person:
            order[at] = order[at - 1]
            at -= 1
        order[at] = sight
    return order


@part
def _sights_of(begin: int, first: Any, time_us: Any, points: Any, n: int) -> Any:
    """Times of the first and last row, and mean places, of the n sights of a tick."""
    times_us, means_m = np.empty((n, 2), np.int64), np.empty((n, 2))
    for sight in range(n):
        start, stop = first[begin + sight], first[begin + sight + 1]
        times_us[sight, 0], times_us[sight, 1] = time_us[start], time_us[stop - 1]
        x_m, y_m = points[start]
        for row in range(start + 1, stop):
            x_m, y_m = x_m + points[row, 0], y_m + points[row, 1]
        means_m[sight, 0], means_m[sight, 1] = x_m / (stop - start), y_m / (stop - start)
    return times_us, means_m


@part
def _move(own: Any, sights: Any, views: Any, people: Any) -> int:
    """Known tracklets move; how many are nobody's yet."""
    times_us, means_m = sights
    fresh = 0
    for sight in range(len(own)):
        view = views[own[sight]]
        view.last_us, view.x_m, view.y_m = times_us[sight, 1], means_m[sight, 0], means_m[sight, 1]
        if view.person == NOBODY:
            view.first_us, view.apart_us = times_us[sight, 0], NEVER_US
            fresh += 1
        else:
            people[view.person].last_us = max(people[view.person].last_us, view.last_us)
    return fresh


@part
def _go_on(own: Any, views: Any, people: Any, counts: Any, rule: Any) -> None:
    """New tracklets take up the people who were lost near by, the nearest pairs first."""
    lost = [(0.0, 0, 0) for _ in range(0)]
    watched = np.full(counts[0], NOBODY)
    for sight in range(len(own)):
        person, camera = views[own[sight]].person, views[own[sight]].key // KEY_STEP
        if person != NOBODY:
            watched[person] = camera if watched[person] in (NOBODY, camera) else _SEVERAL
    for sight in range(len(own)):
        if views[own[sight]].person == NOBODY:
            _add_lost_near(own[sight], own, watched, views, people, counts, rule, lost)
    for _, person, view in lost:
        if views[view].person == NOBODY and watched[person] != _TAKEN:
            watched[person] = _TAKEN
            views[view].person = person


@part
def _add_lost_near(
    new: int,
    own: Any,
    watched: Any,
    views: Any,
    people: Any,
    counts: Any,
    rule: Any,
    lost: list[tuple[float, int, int]],
) -> None:
    """Who may go on in a new tracklet; nobody farther away than somebody whom other cameras see meanwhile."""
    view, camera, nearest_m = views[new], views[new].key // KEY_STEP, rule.near_m
    found = [(0.0, 0, 0) for _ in range(0)]
    within_m = max(rule.near_m, rule.reach_m + max(0.0, rule.reach_m_s * rule.walk_gap_s))
    for person in range(counts[0]):
        if not people[person].here:
            continue
        away_m = math.hypot(view.x_m - people[person].x_m, view.y_m - people[person].y_m)
        if away_m > within_m:
            continue
        gap_s = (view.first_us - people[person].last_us) / 1_000_000
        if watched[person] not in (NOBODY, camera) and not _is_watched_by(camera, person, own, views):
            nearest_m = min(nearest_m, away_m)
        elif watched[person] != _SEVERAL and gap_s > 0 and _within_reach(away_m, gap_s, rule):
            found.append((away_m, person, new))
    for pair in found:
        if nearest_m == rule.near_m or pair[0] < nearest_m:
            _insert(lost, pair)


@part
def _is_watched_by(camera: int, person: int, own: Any, views: Any) -> bool:
    for sight in range(len(own)):
        if views[own[sight]].person == person and views[own[sight]].key // KEY_STEP == camera:
            return True
    return False


@part
def _within_reach(away_m: float, gap_s: float, rule: Any) -> bool:
    reach_m = rule.reach_m
    if gap_s <= rule.walk_gap_s:
        reach_m += rule.reach_m_s * gap_s
    return bool(gap_s <= rule.max_gap_s and away_m <= reach_m)


@part
def _begin(view: int, views: Any, people: Any, counts: Any) -> None:
    person = people[counts[0]]
    person.number, person.here, person.last_us = counts[1], True, views[view].last_us
    person.x_m, person.y_m = views[view].x_m, views[view].y_m
    views[view].person, views[view].apart_us = counts[0], NEVER_US
    counts[0] += 1
    counts[1] += 1


@part
def _part(own: Any, views: Any, people: Any, counts: Any, rule: Any) -> bool:
    """A tracklet that walks away from its person's others begins a person of its own; whether any did."""
    before, begin = counts[0], 0
    for at in range(1, len(own) + 1):
        if at < len(own) and views[own[at]].person == views[own[begin]].person:
            continue
        eldest, away = own[begin], [(0, 0) for _ in range(0)]
        for view in own[begin + 1 : at]:
            if views[view].first_us < views[eldest].first_us:
                eldest = view
        for view in own[begin:at]:
            if view != eldest and _walks_away(views[view], views[eldest], rule):
                _insert(away, (views[view].first_us, view))
        for _, view in away:
            _begin(view, views, people, counts)
        begin = at
    return bool(counts[0] > before)


@part
def _walks_away(view: Any, eldest: Any, rule: Any) -> bool:
    """Whether the tracklet has been far from its person's eldest for long enough."""
    if math.hypot(view.x_m - eldest.x_m, view.y_m - eldest.y_m) <= rule.apart_m:
        view.apart_us = NEVER_US
    elif view.apart_us == NEVER_US:
        view.apart_us = view.last_us
    else:
        return bool(view.last_us - view.apart_us >= rule.apart_us)
    return False


@part
def _place(own: Any, views: Any, people: Any) -> Any:
    """Everybody in sight stands at the mean of their tracklets; (people, where each one's tracklets begin in `own`)."""
    in_sight, begin = np.empty(len(own), np.int64), np.zeros(len(own) + 1, np.int64)
    n = start = 0
    while start < len(own):
        view, stop = views[own[start]], start + 1
        person = people[view.person]
        x_m, y_m, last_us = view.x_m, view.y_m, view.last_us
        while stop < len(own) and views[own[stop]].person == view.person:
            other = views[own[stop]]
            x_m, y_m, last_us = x_m + other.x_m, y_m + other.y_m, max(last_us, other.last_us)
            stop += 1
        person.x_m, person.y_m, person.last_us = x_m / (stop - start), y_m / (stop - start), last_us
        in_sight[n], begin[n + 1] = view.person, stop
        n, start = n + 1, stop
    return in_sight[:n], begin


@part
def _seen_since(since_us: int, views: Any, many: int) -> Any:
    """(last tracklet of each person that was seen since then or NOBODY, the one before it of each tracklet)."""
    last, before = np.full(many, NOBODY), np.full(len(views), NOBODY)
    for at in range(len(views)):
        view = views[at]
        if view.person != NOBODY and view.last_us >= since_us:
            before[at], last[view.person] = last[view.person], at
    return last, before


@part
def _share_no_camera(one: int, other: int, seen: Any, views: Any) -> bool:
    """Whether no camera has seen both."""
    last, before = seen
    mine = last[one]
    while mine != NOBODY:
        theirs = last[other]
        while theirs != NOBODY:
            if views[mine].key // KEY_STEP == views[theirs].key // KEY_STEP:
                return False
            theirs = before[theirs]
        mine = before[mine]
    return True


@part
def _compare(in_sight: Any, views: Any, people: Any, near: Any, rule: Any) -> Any:
    """Who in sight is at the same place as somebody earlier, seen by other cameras; pairs whose younger one is not in
    sight stay as they are, and so do those whose elder one is hidden."""
    found = np.empty(len(near) + len(in_sight) * (len(in_sight) - 1) // 2, NEAR)
    seen_us, n = NEVER_US, 0
    shown = np.zeros(len(people), np.bool_)
    for person in in_sight:
        seen_us, shown[person] = max(seen_us, people[person].last_us), True
    for pair in near:
        if not shown[pair.younger] or (people[pair.elder].here and not shown[pair.elder]):
            found[n] = pair
            n += 1
    seen = _seen_since(seen_us - 1_000_000, views, len(people))
    for column in range(1, len(in_sight)):
        for row in range(column):
            elder, younger = people[in_sight[row]], people[in_sight[column]]
            if abs(elder.x_m - younger.x_m) > rule.near_m:
                continue
            away_m = math.hypot(elder.x_m - younger.x_m, elder.y_m - younger.y_m)
            if away_m <= rule.near_m and _share_no_camera(in_sight[row], in_sight[column], seen, views):
                _note(found[n], in_sight[row], in_sight[column], away_m, people, near)
                n += 1
    return found[:n].copy()


@part
def _note(pair: Any, elder: int, younger: int, away_m: float, people: Any, near: Any) -> None:
    pair.younger, pair.elder = younger, elder
    pair.since_us, pair.ticks, pair.sum_m = people[younger].last_us, 1, away_m
    for former in near:
        if former.younger == younger and former.elder == elder:
            pair.since_us, pair.ticks, pair.sum_m = former.since_us, former.ticks + 1, former.sum_m + away_m


@part
def _ripe(in_sight: Any, people: Any, near: Any, rule: Any) -> Any:
    """(person, earlier one) who have been together for long enough, the nearest on average first, nobody twice."""
    ripe = [(0.0, 0, 0) for _ in range(0)]
    shown, touched = np.zeros(len(people), np.bool_), np.zeros(len(people), np.bool_)
    for person in in_sight:
        shown[person] = True
    for pair in near:
        if shown[pair.younger] and people[pair.younger].last_us - pair.since_us >= rule.together_us:
            _insert(ripe, (pair.sum_m / pair.ticks, pair.elder, pair.younger))
    found = [(0, 0) for _ in range(0)]
    for _, elder, younger in ripe:
        if not touched[elder] and not touched[younger]:
            touched[elder] = touched[younger] = True
            found.append((younger, elder))
    return found


@part
def _merge(younger: int, elder: int, views: Any, people: Any) -> None:
    own = others = 0
    for at in range(len(views)):
        own += views[at].person == elder
        others += views[at].person == younger
    gone, stays, share = people[younger], people[elder], others / (own + others)
    stays.x_m += (gone.x_m - stays.x_m) * share
    stays.y_m += (gone.y_m - stays.y_m) * share
    stays.last_us, gone.here = max(stays.last_us, gone.last_us), False
    for at in range(len(views)):
        if views[at].person == younger:
            views[at].person = elder


@part
def _forget(now_us: int, views: Any, people: Any, rule: Any) -> Any:
    """People and tracklets that have been unseen for too long; the former."""
    gone = [0 for _ in range(0)]
    for person in range(len(people)):
        if people[person].here and people[person].last_us < now_us - rule.max_gap_us:
            people[person].here = False
            gone.append(person)
    for at in range(len(views)):
        view = views[at]
        if view.person != NOBODY and (not people[view.person].here or view.last_us < now_us - rule.max_gap_us):
            view.person = NOBODY
    return gone


@part
def _sample(sample: Any, seen: Any, own: Any, sights: Any, views: Any) -> None:
    """seen: the sights of one person."""
    times_us, _ = sights
    longest, middle_us = own[seen[0]], 0
    for sight in seen:
        middle_us += (times_us[sight, 0] + times_us[sight, 1]) // 2
        if views[own[sight]].first_us < views[longest].first_us:
            longest = own[sight]
    sample.time_us, sample.track = middle_us // len(seen), views[longest].key


@part
def _stand(sample: Any, who: int, people: Any, near: Any) -> None:
    person, sample.alone = people[who], True
    sample.person, sample.x_m, sample.y_m = person.number, person.x_m, person.y_m
    for pair in near:
        if pair.younger == who:
            sample.alone = False


@compiled(INTS, INTS, INTS, POINTS, INTS, INTS, _VIEW, _PERSON, types.int64, types.int64, _NEAR, _RULE)
def follow(
    begins: NDArray[np.int64],
    first: NDArray[np.int64],
    time_us: NDArray[np.int64],
    points: NDArray[np.float64],
    place: NDArray[np.int64],
    end_us: NDArray[np.int64],
    views: Any,
    people: Any,
    many: int,
    number: int,
    near: Any,
    rules: Any,
) -> Any:
    """(samples, first sample of each tick, merged, gone, people, next number, near pairs) after all ticks.

    begins, first, time_us, points, end_us: those of Sights. place: (G,) row in `views` of each sight. views, people:
    tables with room for all who may come, changed in place; `many` people are known, the next one gets `number`.
    merged, gone: [(tick, person who is no more, person who stays)], [(tick, person)].
    """
    rule = rules[0]
    samples = np.empty(len(place), SAMPLE)
    sampled = np.zeros(len(end_us) + 1, np.int64)
    merged, gone = [(0, 0, 0) for _ in range(0)], [(0, 0) for _ in range(0)]
    counts = np.array([many, number, 0])
    for tick in range(len(end_us)):
        own = place[begins[tick] : begins[tick + 1]]
        sights = _sights_of(begins[tick], first, time_us, points, len(own))
        fresh = _move(own, sights, views, people)
        if fresh:
            _go_on(own, views, people, counts, rule)
            for sight in range(len(own)):
                if views[own[sight]].person == NOBODY:
                    _begin(own[sight], views, people, counts)
        by_person = _by_person(own, views)
        if _part(own[by_person], views, people, counts, rule):
            by_person = _by_person(own, views)
        known = people[: counts[0]]
        in_sight, begin = _place(own[by_person], views, known)
        near = _compare(in_sight, views, known, near, rule)
        for younger, elder in _ripe(in_sight, known, near, rule):
            merged.append((tick, known[younger].number, known[elder].number))
            _merge(younger, elder, views, known)
        for person in _forget(end_us[tick], views, known, rule):
            gone.append((tick, known[person].number))
        for at in range(len(in_sight)):
            if known[in_sight[at]].here:
                sample = samples[counts[2]]
                counts[2] += 1
                _sample(sample, by_person[begin[at] : begin[at + 1]], own, sights, views)
                _stand(sample, in_sight[at], known, near)
        sampled[tick + 1] = counts[2]
    return samples[: counts[2]], sampled, merged, gone, people[: counts[0]], counts[1], near
