"""Time to resolve identities over many decisions: python -m benchmarks.identity_resolution [--events N]

Prints JSON: seconds of a fresh question (median of five) by relation, over one day of random decisions with chains
of merges and splits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import time as clock
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.environment import describe
from retail_ray.core.identity_map import IdentityMap
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.views import open_lake

NAN = float("nan")


def decisions(count: int, seed: int = 1) -> list[IdentityEvent]:
    """Two new identities in ten decisions, one merge and one split in twenty each; the rest are links."""
    rng = np.random.default_rng(seed)
    events: list[IdentityEvent] = []
    identities, tracklets = 1, 0
    for sequence in range(count):
        draw = rng.random()
        if draw < 0.1 and identities > 2:
            one, other = rng.choice(np.arange(1, identities), 2, replace=False).tolist()
            kind, local_id = ("merge", None) if draw < 0.05 else ("split", int(rng.integers(1, tracklets + 1)))
            event = IdentityEvent(sequence, sequence, kind, "s1", one, other, "door", local_id, 3.0, 1.0, "", 0.9)  # type: ignore[arg-type]
        else:
            tracklets += 1
            new = draw < 0.3 or identities == 1
            identity = identities if new else int(rng.integers(1, identities))
            identities += new
            kind = "create" if new else "assign"
            event = IdentityEvent(sequence, sequence, kind, "s1", identity, None, "door", tracklets, NAN, NAN, "", 0.9)  # type: ignore[arg-type]
        events.append(event)
    return events


def chain(count: int) -> list[IdentityEvent]:
    """Identities that are absorbed one into the next: the longest way from a decision to its result."""
    half = count // 2
    made = [IdentityEvent(i, i, "create", "s1", i, None, "door", i, NAN, NAN, "", 0.9) for i in range(half)]
    merged = [
        IdentityEvent(half + i, half + i, "merge", "s1", i + 1, i, None, None, 3.0, 1.0, "", 0.9)
        for i in range(half - 1)
    ]
    return [*made, *merged]


def measure(events: Sequence[IdentityEvent]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        root, context = Path(folder), RowContext("shop", "r1", "c1")
        stage = Stage(root, context, "gallery", BusinessDay("UTC", clock(0)))
        publish(root, context, 0, stage.write_records("identity_events", events, 0))
        with open_lake(root) as lake:
            asked = {
                "tracklet_identity": "tracklet_identity",
                "tracklet_identity_at": f"tracklet_identity_at({len(events) // 2})",
                "tracklet_identity_emitted": "tracklet_identity_emitted",
            }
            seconds = {
                name: _median_s(partial(lake.sql, f"SELECT * FROM {relation}")) for name, relation in asked.items()
            }
    return seconds | {"IdentityMap": _median_s(lambda: IdentityMap().apply_all(events))}


def _median_s(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return round(statistics.median(spent), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    count = parser.parse_args().events
    answer = {
        "environment": describe(),
        "events": count,
        "random_s": measure(decisions(count)),
        "chain_of_1000_s": measure(chain(2000)),
    }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
