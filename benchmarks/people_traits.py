"""Staff probability and groups on hours of simulated stores with exact truth, on development seeds.

python -m benchmarks.people_traits        ->  benchmarks/results/people_traits.json, from the stores held out
python -m benchmarks.people_traits --fit  prints weights fitted on the other stores, and writes nothing

Positions and crossings come from the truth, exact, or as a tracker would give them; no video is involved.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from benchmarks.people_cases import CASES_EACH, HOURS, People, cases, fragmented, noisy, shuffled_entries
from benchmarks.people_weights import fitted_groups, fitted_staff
from retail_ray.analytics.groups import ALONE, count_entries, find_groups
from retail_ray.analytics.staff import STAFF_FROM, StaffAreas, StaffWeights, assess_staff, staff_signals
from retail_ray.evaluation.classification import classification, f1
from retail_ray.evaluation.evaluation import SEED
from retail_ray.evaluation.measures import Measure, as_json, share

MINUTES = (5, 15, 60, round(HOURS * 60))
Change = Callable[[People, np.random.Generator], People]
CONDITIONS: Mapping[str, Change] = {
    "exact": lambda people, _rng: people,
    "noisy": noisy,
    "fragmented": fragmented,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print weights fitted on the calibration stores")
    if parser.parse_args().fit:
        stores = conditioned(list(cases(held_out=False)))
        print(fitted_staff([people for some in stores.values() for people in some], MINUTES))
        print(fitted_groups([people for name in ("exact", "noisy") for people in stores[name]]))
        return
    report = measured(conditioned(list(cases(held_out=True))))
    path = RESULTS / "people_traits.json"
    path.write_text(json.dumps({"environment": describe(), **report}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def conditioned(stores: Sequence[People]) -> dict[str, list[People]]:
    """The stores under each condition."""
    return {
        name: [change(people, np.random.default_rng([SEED, people.seed])) for people in stores]
        for name, change in CONDITIONS.items()
    }


def measured(stores: Mapping[str, Sequence[People]]) -> dict[str, Any]:
    exact = stores["exact"]
    of = {
        "stores": CASES_EACH,
        "hours_each": HOURS,
        "layouts": [p.layout for p in exact],
        "seeds": [p.seed for p in exact],
    }
    rng = np.random.default_rng(SEED)
    controls = {
        "entries given to other people": [shuffled_entries(people, rng) for people in exact],
        "co-entry alone": exact,
    }
    return {
        **of,
        "staff": {name: {str(m): staff(some, m) for m in MINUTES} for name, some in stores.items()},
        "staff_without_areas": {str(m): staff(exact, m, areas=False) for m in MINUTES},
        "staff_control": staff(exact, MINUTES[-1], shuffled=True),
        "groups": {name: groups(some) for name, some in stores.items()}
        | {name: groups(some, co_entry_alone=name == "co-entry alone") for name, some in controls.items()},
    }


def staff(stores: Sequence[People], minutes: int, *, areas: bool = True, shuffled: bool = False) -> dict[str, Any]:
    """Scores after so many minutes; visitors raw and without staff. shuffled: truth given to other identities."""
    rng = np.random.default_rng(SEED)
    probability, is_staff, visitors, raw, kept = [], [], 0, 0, 0
    for people in (whole.until(minutes * 60) for whole in stores):
        p, truth = staff_of(people, areas=areas)
        truth = rng.permutation(truth) if shuffled else truth
        probability.append(p)
        is_staff.append(truth)
        seen = np.unique(people.person[people.seen()])
        visitors += int((~people.staff[seen]).sum())
        raw += len(p)
        kept += int((p < STAFF_FROM).sum())
    scores = classification(np.concatenate(probability), np.concatenate(is_staff), "identities", rng, STAFF_FROM)
    counts = {"people_without_staff": visitors, "identities": raw, "identities_without_staff": kept}
    errors = {"raw_error": round(raw / visitors - 1, 4), "staff_excluded_error": round(kept / visitors - 1, 4)}
    return as_json(scores) | counts | errors


def staff_of(people: People, *, areas: bool = True) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability and truth of everybody seen."""
    known = people.areas if areas else StaffAreas()
    signals = staff_signals(people.paths, people.crossings, people.identities, known)
    seen = people.seen()
    return assess_staff(signals, StaffWeights()).probability[seen], people.staff[people.person[seen]]


def groups(stores: Sequence[People], *, co_entry_alone: bool = False) -> dict[str, Any]:
    """Pairs of persons who share a group; true pairs are those who both entered while the store was watched."""
    right = found = true = persons = parties = true_parties = 0
    for people in stores:
        result = find_groups(people.paths, people.crossings, people.identities)
        pairs = same_group(result.group, people.person)
        if co_entry_alone:
            pairs = {_pair(people.person, a, b) for a, b in zip(result.pairs.first, result.pairs.second, strict=True)}
        entered = set(people.person[people.crossings.identity[people.crossings.inwards]].tolist())
        truth = {pair for pair in same_group(people.group, np.arange(len(people.group))) if entered.issuperset(pair)}
        right, found, true = right + len(pairs & truth), found + len(pairs), true + len(truth)
        counted = count_entries(people.crossings, result.group)
        really = count_entries(people.crossings, people.group[people.person])
        persons, parties, true_parties = (
            persons + counted.persons,
            parties + counted.groups,
            true_parties + really.groups,
        )
    scores: dict[str, Measure] = {
        "precision": share(right, found, "pairs found"),
        "recall": share(right, true, "true pairs"),
        "f1": f1(right, found, true, "pairs"),
    }
    entries = {"entries_of_persons": persons, "entries_of_groups": parties, "true_entries_of_groups": true_parties}
    return as_json(scores) | entries


def same_group(group: NDArray[np.int64], person: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Pairs of different persons who share a group."""
    pairs = set()
    for number in np.unique(group[group != ALONE]):
        members = sorted(set(person[group == number].tolist()))
        pairs |= {(a, b) for i, a in enumerate(members) for b in members[i + 1 :]}
    return pairs


def _pair(person: NDArray[np.int64], first: int, second: int) -> tuple[int, int]:
    a, b = int(person[first]), int(person[second])
    return min(a, b), max(a, b)


if __name__ == "__main__":
    main()
