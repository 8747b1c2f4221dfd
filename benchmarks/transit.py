"""Links over blind ways between cameras, and how many people they make: what it is worth to learn on the site.

python -m benchmarks.transit   ->  benchmarks/results/transit.json
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, describe
from benchmarks.identity_streams import resolved
from benchmarks.transit_stores import ARRIVALS_PER_HOUR, HOURS, Store, stores
from benchmarks.transit_times import FIRST, placed_first
from benchmarks.visitor_estimate import VISITORS, estimate, spans_of
from retail_ray.core.records import IdentityEvent
from retail_ray.evaluation.links import merges_and_splits, pairs_of_tracklets
from retail_ray.evaluation.measures import bootstrap, flat
from retail_ray.evaluation.tracks import floor_positions
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings

VARIANTS = {
    "product": GallerySettings(),
    "without learnt ways": GallerySettings(transit_prior_pairs=math.inf),
    "without the site's own share of newcomers": GallerySettings(newcomer_prior_tracklets=math.inf),
}
MEASURES = {
    "IDF1 on the floor": "floor.idf1",
    "link precision": "links.precision",
    "link recall": "links.recall",
    "false merges": "false_merges",
    "false splits": "false_splits",
}


def main() -> None:
    rows: list[dict[str, Any]] = []
    for store in stores():
        found = {name: scores(store, play(store, settings)) for name, settings in VARIANTS.items()}
        size = {"people": len(np.unique(store.person)), "tracklets": len(store.keys)}
        rows.append({"store": store.name, **size, "links": found, "first": placed_first(store)})
        print(json.dumps(rows[-1]), flush=True)
        write(rows)


def play(store: Store, settings: GallerySettings) -> list[IdentityEvent]:
    gallery = Gallery(settings, "shop", "run", store.cameras, store.entrances)
    events: list[IdentityEvent] = []
    for message in store.messages:
        gallery.submit(message)
        events += gallery.advance(store.end_us)
    return events + gallery.finish(store.end_us)


def scores(store: Store, events: Sequence[IdentityEvent]) -> dict[str, float]:
    """As they are after revision."""
    known = resolved(events)
    identity = np.array([known.get(key, -1 - row) for row, key in enumerate(store.keys)], np.int64)
    sections = {
        "links": pairs_of_tracklets(store.person, identity),
        **merges_and_splits(store.person, identity),
        "floor": floor_positions(
            (store.seen_us, store.person[store.seen], store.true_m), (store.seen_us, identity[store.seen], store.seen_m)
        ),
    }
    found = flat(sections)
    # Nobody here is a trolley, and who only passes the door is seen for a moment: everybody counts.
    counted = estimate(events, spans_of(store.messages), len(np.unique(store.person)), min_presence_s=0.0)
    return {label: float(found[name].value or 0.0) for label, name in MEASURES.items()} | counted


def write(rows: Sequence[Mapping[str, Any]]) -> None:
    content = {
        "environment": describe(),
        "conditions": {"minutes": round(HOURS * 60), "arrivals_per_hour": ARRIVALS_PER_HOUR, "stores": len(rows)},
        "links": {
            name: {label: _mean([row["links"][name][label] for row in rows]) for label in (*MEASURES, *VISITORS)}
            for name in VARIANTS
        },
        "first": {name: _mean([row["first"][name] for row in rows]) for name in FIRST},
        "cases": list(rows),
    }
    (RESULTS / "transit.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _mean(values: Sequence[float]) -> dict[str, float]:
    """With a 95 % bootstrap over stores."""
    low, high = bootstrap(values, np.random.default_rng(len(values)))
    return {"value": round(float(np.mean(values)), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


if __name__ == "__main__":
    main()
