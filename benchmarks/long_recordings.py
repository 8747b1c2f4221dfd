"""Identities and visitors in ten minutes of video: what holds of the figures of a minute when a store goes on.

python -m benchmarks.long_recordings [--cases N] [--processes N] [--work DIR]

writes benchmarks/results/long_recordings.json. The first frozen cases of `benchmarks.identity`, drawn for ten
minutes. Drawing and detecting takes about half an hour a case and core; what the networks said is kept in the folder of
work.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, describe
from benchmarks.identity import MEASURES, WEIGHTS, conditions, gallery_of, measures, true_identities
from benchmarks.identity_rivals import agglomerative, greedy_gallery
from benchmarks.identity_streams import Stream, record, resolved
from benchmarks.seeds import TEST_CASES, Case
from benchmarks.studio import ARRIVALS_PER_HOUR, FPS, rendered
from benchmarks.visitor_estimate import VISITORS, estimate, spans_of
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_MINUTE
from retail_ray.evaluation.visitors import people_seen
from retail_ray.identity.settings import GallerySettings
from retail_ray.runtime.build_models import limit_threads

SECONDS = 600.0
CASES = 2
MINUTES = (1, 2, 5, 10)
SHIPPED_SHARE = GallerySettings(newcomer_prior_tracklets=math.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES, help="the first N frozen cases")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/long_recordings"))
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(partial(case_result, work=asked.work), TEST_CASES[: asked.cases]))
    write(results)


def case_result(case: Case, work: Path) -> dict[str, Any]:
    limit_threads(1)
    stream = record(rendered(case, work / str(case), WEIGHTS, SECONDS), "identity")
    events, counted = followed(stream, GallerySettings())
    identities = {
        "product, revised": resolved(events),
        "product, as emitted": resolved(events, emitted=True),
        "greedy nearest embedding": greedy_gallery(stream),
        "agglomerative clustering of looks": agglomerative(stream),
        "true identities of the tracklets": true_identities(stream),
    }
    found = {
        "case": str(case),
        "people": len(people_seen(stream.scene)),
        "tracklets": len(stream.keys()),
        "cameras": len(stream.cameras),
        "identity": {
            name: measures(stream.scored(identity_of), whole=True) for name, identity_of in identities.items()
        },
        "visitors": counted,
        "visitors, shipped share": followed(stream, SHIPPED_SHARE)[1],
    }
    print(json.dumps(found), flush=True)
    return found


def followed(stream: Stream, settings: GallerySettings) -> tuple[list[IdentityEvent], dict[str, dict[str, float]]]:
    """All events of a gallery that hears the recording; and by minutes the visitors, as if it had ended then."""
    messages = sorted(stream.messages, key=lambda message: message.watermark_us)
    begin_us = min(int(message.time_us[0]) for message in messages if len(message.time_us))
    ends_us = [begin_us + minutes * US_PER_MINUTE for minutes in MINUTES]
    gallery, events, counted, heard = gallery_of(stream, settings), list[IdentityEvent](), list[dict[str, float]](), 0
    for end_us in ends_us:
        while heard < len(messages) and (messages[heard].watermark_us <= end_us or end_us == ends_us[-1]):
            gallery.submit(messages[heard])
            heard += 1
            events += gallery.advance(stream.end_us)
        ended = gallery_of(stream, settings)
        ended.restore(gallery.state())
        people = people_until(stream, end_us)
        decided = [*events, *ended.finish(ended.watermark_us)]
        counted.append({"people": people, **estimate(decided, spans_of(messages[:heard]), people)})
    events += gallery.finish(stream.end_us)
    return events, {str(minutes): at for minutes, at in zip(MINUTES, counted, strict=True)}


def people_until(stream: Stream, until_us: int) -> int:
    """Persons who had to be found for a second or more before then, over all cameras."""
    scene = stream.scene
    true = scene.true
    frame = true.frame[true.required]
    early = scene.frames.stamp_us[frame] < until_us
    _, frames = np.unique(true.person[true.required][early], return_counts=True)
    return int((frames >= scene.rules.min_person_s * FPS).sum())


def write(results: Sequence[dict[str, Any]]) -> None:
    names = results[0]["identity"]
    content = {
        "environment": describe(),
        "conditions": conditions(SECONDS) | {"arrivals_per_hour": ARRIVALS_PER_HOUR},
        "cases": list(results),
        "identity": {
            name: {
                label: _mean([one["identity"][name][label] for one in results])
                for label in MEASURES
                if all(label in one["identity"][name] for one in results)
            }
            for name in names
        },
        **{
            way: {
                str(minutes): {
                    label: _mean([one[way][str(minutes)][label] for one in results]) for label in ("people", *VISITORS)
                }
                for minutes in MINUTES
            }
            for way in ("visitors", "visitors, shipped share")
        },
    }
    path = RESULTS / "long_recordings.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


if __name__ == "__main__":
    main()
