"""What the gallery costs: time per tick against people and cameras, memory against people seen.

python -m benchmarks.gallery_cost [--short] [--label NAME]   writes benchmarks/results/gallery_cost.json

Streams are those of tests/identity/streams.py: people who walk on a floor of 9 m² each, seen by all cameras
together, 5 frames a second, an embedding of 512 numbers a second. The first ten seconds warm up. One core, one
thread; times are CPU time of the process. Memory is the growth of the state (as it is saved) and of the process with
people who come and go.
`--label` names the run; the file keeps one entry for each label, to compare before and after a change.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, describe
from retail_ray.core.types import Observations
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from tests.identity.streams import S, Store, every, in_step, store
from tests.support.embeddings import DIMENSION

WARM_S, TIMED_S = 10.0, 10.0
FPS = 5.0
LONG_US = 10**15
PEOPLE = (10, 50, 100, 200, 500)
CAMERAS = (2, 8, 32)
SHORT_PEOPLE, SHORT_CAMERAS = (10, 50, 200), (2, 8)
VISIT_S = 20.0
"""Of the memory run: so long is each crowd in the store."""
CROWD, CROWDS, SHORT_CROWDS = 25, 40, 8
_GIVE_UP_S = 120.0


def tick_cost(people: int, cameras: int) -> dict[str, Any]:
    """Milliseconds for each tick of event time while all people are in the store."""
    seen = store(1, people, cameras, WARM_S + TIMED_S, FPS, DIMENSION, whole_time=True)
    settings = GallerySettings()
    gallery = Gallery(settings, "shop", "run", seen.views)
    taken: list[float] = []
    rows = 0
    began = time.process_time()
    whole = [every(settings.tick_s, one, seen.end_us) for one in seen.whole.values()]
    for group in zip(*whole, strict=True):
        before = time.process_time()
        for message in group:
            gallery.submit(message)
        gallery.advance(LONG_US)
        if gallery.worked_until_us > WARM_S * S:
            taken.append((time.process_time() - before) * 1e3)
            rows += sum(len(message) for message in group)
        if time.process_time() - began > _GIVE_UP_S:
            break
    if not taken:
        return {"people": people, "cameras": cameras, "ms_a_tick": None, "why": f"not warm within {_GIVE_UP_S:g} s"}
    p50, p95 = np.percentile(taken, [50, 95])
    row = {
        "people": people,
        "cameras": cameras,
        "ms_a_tick": {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "worst": round(max(taken), 2)},
        "share_of_a_core": round(float(np.mean(taken)) / (settings.tick_s * 1e3), 4),
        "ticks": len(taken),
        "rows_a_tick": round(rows / len(taken), 1),
        "identities": gallery.live().identities,
        "state_mib": round(len(gallery.state()) / 2**20, 2),
    }
    print(json.dumps(row), flush=True)
    return row


def _later(message: Observations, crowd: int) -> Observations:
    """The message of a later crowd: other times and other track numbers."""
    shift_us = round(crowd * VISIT_S * S)
    return replace(
        message,
        watermark_us=message.watermark_us + shift_us,
        time_us=message.time_us + shift_us,
        frame_time_us=message.frame_time_us + shift_us,
        local_id=message.local_id + crowd * 1_000_000,
    )


def memory(crowds: int) -> dict[str, Any]:
    """Crowd after crowd of new people for 20 s each, four cameras, over one session."""
    first = store(0, CROWD, 4, VISIT_S, FPS, DIMENSION, whole_time=True)
    gallery = Gallery(GallerySettings(), "shop", "run", first.views)
    sizes: list[tuple[int, int, float]] = []
    for crowd in range(crowds):
        seen: Store = store(crowd, CROWD, 4, VISIT_S, FPS, DIMENSION, whole_time=True)
        messages = in_step([every(2.0, one, seen.end_us) for one in seen.whole.values()])

        before = time.process_time()
        for message in messages:
            gallery.submit(_later(message, crowd))
            gallery.advance(LONG_US)
        spent_s = time.process_time() - before
        del seen, messages
        gc.collect()
        sizes.append((gallery.live().identities, len(gallery.state()), spent_s))
    low, high = sizes[len(sizes) // 4], sizes[-1]
    people = CROWD * (len(sizes) - 1 - len(sizes) // 4)
    row = {
        "true_people": CROWD * crowds,
        "identities": high[0],
        "state_mib_per_1000_people": round((high[1] - low[1]) / people * 1000 / 2**20, 2),
        "peak_process_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0),
        "seconds_for_a_crowd_early": round(low[2], 2),
        "seconds_for_a_crowd_late": round(high[2], 2),
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer people, cameras and crowds")
    parser.add_argument("--label", default="now", help="name of this entry of the results")
    options = parser.parse_args()
    short = options.short
    rows = [
        tick_cost(people, cameras)
        for cameras in (SHORT_CAMERAS if short else CAMERAS)
        for people in (SHORT_PEOPLE if short else PEOPLE)
    ]
    path = RESULTS / "gallery_cost.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    report[options.label] = {
        "environment": describe(),
        "tick_s": GallerySettings().tick_s,
        "ticks": rows,
        "memory": memory(SHORT_CROWDS if short else CROWDS),
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
