"""What it is worth that two cameras place two tracklets together: counted on the frozen simulated stores.

python -m benchmarks.pair_evidence [--cases N] [--processes 2] [--work DIR]   ->  benchmarks/results/pair_evidence.json

Pairs of tracklets of two cameras that see somebody at once, by the mean of what their ticks say and by how many ticks
there are. Counted nats: log of how many times likelier such a pair is among those of one person than among those of
two. DIR is that of `benchmarks.identity`, whose clips and detections are used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from benchmarks.identity import WEIGHTS, asked
from benchmarks.identity_streams import Stream, record
from benchmarks.seeds import TEST_CASES, Case
from benchmarks.studio import rendered
from retail_ray.core.event_time import WatermarkBuffer
from retail_ray.core.identity_map import TrackletKey
from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.identity.pairs import PairTable
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import sightings
from retail_ray.lake.scored_rows import NOBODY
from retail_ray.runtime.build_models import limit_threads

Counts = NDArray[np.int64]

UNBOUNDED = 1e9
# The mean tick alone, as no setting changes it.
PLAIN = GallerySettings(tick_weight=0.0, place_lenience=0.0, floor_limit=UNBOUNDED, floor_doubt=UNBOUNDED)
MEANS = (-4.0, -2.75, -1.5, -0.5, 0.5, 1.5, 2.5, 6.0)
TICKS = (1, 3, 9, 33, 10**6)
_SHAPE = (2, len(MEANS) - 1, len(TICKS) - 1)


def main() -> None:
    arguments = asked(__doc__)
    cases = TEST_CASES[: arguments.cases]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        counts = sum(pool.map(partial(counted, work=arguments.work), cases), np.zeros(_SHAPE, np.int64))
    content = {"environment": describe(), "cases": len(cases), "rows": list(rows(counts))}
    path = RESULTS / "pair_evidence.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def counted(case: Case, work: Path) -> Counts:
    """(2, means, ticks) pairs of two people and of one."""
    limit_threads(1)
    return pairs(record(rendered(case, work / str(case), WEIGHTS), "pair evidence"))


def pairs(stream: Stream) -> Counts:
    keys, table = _compared(stream)
    people = dict(zip(stream.keys(), people_of_tracklets(stream.scene).person.tolist(), strict=True))
    person = np.array([people.get(key, NOBODY) for key in keys])
    mean, ticks = table.floor_evidence(np.arange(len(keys))), table.ticks
    known = (person != NOBODY)[:, None] & (person != NOBODY) & (table.camera[:, None] != table.camera) & (ticks > 0)
    i, j = np.nonzero(np.triu(known, 1))
    counts = np.zeros(_SHAPE, np.int64)
    one = (person[i] == person[j]).astype(np.intp)
    at = [np.searchsorted(edges, values, "right") - 1 for edges, values in ((MEANS, mean[i, j]), (TICKS, ticks[i, j]))]
    np.add.at(counts, (one, *at), 1)
    return counts


def rows(counts: Counts) -> Iterator[dict[str, object]]:
    """One for each class of means."""
    two_people, one_person = counts
    for number, (low, high) in enumerate(pairwise(MEANS)):
        by_ticks = {
            name: _nats(one_person[number, k], two_people[number, k], counts)
            for k, name in enumerate(("1 or 2", "3 to 8", "9 to 32", "33 or more"))
        }
        both = int(one_person[number].sum()), int(two_people[number].sum())
        yield {
            "mean": f"{low:g} to {high:g}" if number else f"below {high:g}",
            "of one person": both[0],
            "of two": both[1],
            "nats": _nats(*both, counts),
            "by ticks": by_ticks,
        }


def _nats(one_person: int, two_people: int, counts: Counts) -> float | None:
    """None below twenty pairs."""
    if one_person + two_people < 20:
        return None
    before = np.log(counts[1].sum() / counts[0].sum())
    return round(float(np.log((one_person + 0.5) / (two_people + 0.5)) - before), 2)


def _compared(stream: Stream) -> tuple[Sequence[TrackletKey], PairTable]:
    """(camera, local id) of each row, and the pairs."""
    buffer = WatermarkBuffer(stream.cameras, round(PLAIN.tick_s * US_PER_S))
    for message in sorted(stream.messages, key=lambda one: one.watermark_us):
        buffer.submit(message)
    for camera_id in buffer.camera_ids:
        buffer.end(camera_id)
    table, row_of = PairTable(PLAIN, len(buffer.camera_ids)), dict[TrackletKey, int]()
    for tick in buffer.ticks(buffer.ceil(stream.end_us), lambda: None):
        seen = [
            ((buffer.camera_ids[camera], local_id), (first_us, last_us), place)
            for camera, local_id, first_us, last_us, place in sightings(tick)
        ]
        for (camera_id, local_id), (first_us, _), _ in seen:
            if (camera_id, local_id) not in row_of:
                row_of[camera_id, local_id] = table.add(buffer.camera_ids.index(camera_id), first_us)
        if seen:
            at = np.array([row_of[key] for key, _, _ in seen], np.intp)
            spans_us, places = (np.array(part) for part in ([one[1] for one in seen], [one[2] for one in seen]))
            table.see(at, spans_us, places)
    return list(row_of), table


if __name__ == "__main__":
    main()
