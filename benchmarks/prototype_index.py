"""FAISS indexes for prototypes: recall, latency, adding, removing and memory, up to a million vectors.

python -m benchmarks.prototype_index [--sizes 10000 100000 1000000] [--only plain|product]

writes benchmarks/results/prototype_index.json; sizes and parts that are not asked for stay as they are there.

Vectors are those of tests/support/embeddings.py, 10 views a person; a query is a new view of a person who is in the
index. "owner" is how often the best neighbour is of the right person, "exact" how many of the 10 best neighbours of
an exact search are found. Every index is trained, and filled, with what it holds; seeds are fixed.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from tests.support.embeddings import DIMENSION, Looks

# Its stubs lack much of what it has.
_FAISS: Any = faiss

PROTOTYPES = 10
NEIGHBOURS = 10
QUERIES = 256
BATCHES = (1, 16)
THREADS = (1, 2)
_GENERATED_AT_ONCE = 50_000
_BIG = 500_000
_TIMED_S = 3.0

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Kind:
    """One way to keep vectors. probes: lists, or nodes of the graph, that a query looks at; 0 where it has none."""

    name: str
    description: str
    probes: tuple[int, ...] = (0,)
    removes: bool = True


def kinds(size: int) -> Iterator[Kind]:
    """What is measured at this size.

    For a million vectors not all: the graph takes too long to build and cannot forget, and lists of whole vectors
    are found to differ from those of half precision in cost alone.
    """
    yield Kind("flat", "Flat")
    yield Kind("flat fp16", "SQfp16")
    if size < _BIG:
        yield Kind("flat 8 bit", "SQ8")
    for lists in list_counts(size):
        probes = tuple(p for p in (8, 16, 32, 64, 128, 256) if p * 64 >= lists and p * 2 <= lists)
        if size < _BIG:
            yield Kind(f"IVF {lists}", f"IVF{lists},Flat", probes)
        if lists == list_counts(size)[-1]:
            yield Kind(f"IVF {lists} fp16", f"IVF{lists},SQfp16", probes)
            yield Kind(f"IVF {lists} 8 bit", f"IVF{lists},SQ8", probes)
    if size < _BIG:
        yield Kind("HNSW 32", "HNSW32,Flat", (32, 64, 128), removes=False)


def list_counts(size: int) -> tuple[int, ...]:
    root = 2 ** round(np.log2(np.sqrt(size)))
    return (root,) if size >= _BIG else (root, 2 * root)


@dataclass(frozen=True)
class Population:
    """vectors: (N, D), 10 in a row of each person. queries: (Q, D), of the people in owner. spare: more to add."""

    vectors: Vectors
    queries: Vectors
    owner: Ids
    spare: Vectors
    best: Ids

    @staticmethod
    def draw(size: int) -> Population:
        rng = np.random.default_rng(size)
        looks = Looks.draw(size // PROTOTYPES, rng)
        vectors = np.empty((size, DIMENSION), np.float32)
        for low in range(0, size, _GENERATED_AT_ONCE):
            rows = np.arange(low, min(low + _GENERATED_AT_ONCE, size))
            vectors[rows] = looks.views(rows // PROTOTYPES, rng)
        owner = rng.integers(0, size // PROTOTYPES, QUERIES)
        queries = looks.views(owner, rng)
        spare = looks.views(rng.integers(0, size // PROTOTYPES, 4_000), rng)
        best = _FAISS.knn(queries, vectors, NEIGHBOURS, metric=_FAISS.METRIC_INNER_PRODUCT)[1]
        return Population(vectors, queries, owner, spare, best)


def likeness(population: Population) -> dict[str, float]:
    """Cosines of a query with prototypes of its own person and of others: how hard the task is."""
    cosine = population.queries @ population.vectors[: 10 * _GENERATED_AT_ONCE : 7].T
    others = np.arange(0, len(population.vectors), 7)[: cosine.shape[1]] // PROTOTYPES
    different = cosine[others[None] != population.owner[:, None]]
    own = population.vectors.reshape(-1, PROTOTYPES, DIMENSION)[population.owner]
    same = np.einsum("qd,qpd->qp", population.queries, own)
    return {
        "same_mean": round(float(same.mean()), 3),
        "same_std": round(float(same.std()), 3),
        "different_mean": round(float(different.mean()), 3),
        "different_std": round(float(different.std()), 3),
    }


def build(kind: Kind, vectors: Vectors) -> tuple[Any, float]:
    """The index with ids 0 … N - 1, and the seconds it took."""
    began = time.perf_counter()
    index = _FAISS.index_factory(DIMENSION, kind.description, _FAISS.METRIC_INNER_PRODUCT)
    if kind.description.startswith("IVF"):
        index.cp.niter, index.cp.max_points_per_centroid = 10, 64
    elif kind.description.startswith("HNSW"):
        index.hnsw.efConstruction = 80
    else:
        index = _FAISS.IndexIDMap2(index)
    index.train(vectors)
    ids = np.arange(len(vectors), dtype=np.int64)
    for low in range(0, len(vectors), _GENERATED_AT_ONCE):
        part = slice(low, low + _GENERATED_AT_ONCE)
        index.add(vectors[part]) if not kind.removes else index.add_with_ids(vectors[part], ids[part])
    if kind.description.startswith("IVF"):
        index.set_direct_map_type(_FAISS.DirectMap.Hashtable)
    return index, time.perf_counter() - began


def parameters(kind: Kind, probes: int) -> Any:
    if kind.description.startswith("IVF"):
        return _FAISS.SearchParametersIVF(nprobe=probes)
    return _FAISS.SearchParametersHNSW(efSearch=probes) if probes else None


def latency_ms(search: Callable[[Vectors], object], queries: Vectors, batch: int, threads: int) -> dict[str, float]:
    """Milliseconds a query over batches of fresh queries, for at most three seconds; cpu: mean of all threads' time."""
    _FAISS.omp_set_num_threads(threads)
    search(queries[:batch])
    taken: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    for low in range(0, len(queries) - batch + 1, batch):
        before = time.perf_counter()
        search(queries[low : low + batch])
        taken.append((time.perf_counter() - before) * 1e3 / batch)
        if time.perf_counter() - began > _TIMED_S and len(taken) >= 5:
            break
    cpu_ms = (time.process_time() - cpu) * 1e3 / (batch * len(taken))
    p50, p95 = np.percentile(taken, [50, 95])
    return {"p50": round(float(p50), 4), "p95": round(float(p95), 4), "cpu": round(cpu_ms, 4), "batches": len(taken)}


def recall(found: Ids, population: Population) -> dict[str, float]:
    """found: (Q, K) rows of the vectors, best first."""
    owner = found[:, 0] // PROTOTYPES == population.owner
    hits = [len(np.intersect1d(f, b)) for f, b in zip(found[:, :NEIGHBOURS], population.best, strict=True)]
    return {
        "owner_at_1": round(float(owner.mean()), 4),
        "exact_at_10": round(float(np.sum(hits)) / population.best.size, 4),
    }


def changes(kind: Kind, index: Any, population: Population) -> dict[str, Any]:
    """Microseconds a vector: a person's ten prototypes come, then go, again and again, with a search in between."""
    _FAISS.omp_set_num_threads(1)
    adding, removing = [], []
    size = len(population.vectors)
    settings = parameters(kind, kind.probes[-1])
    for turn in range(5 if size >= _BIG else 40):
        part = slice(PROTOTYPES * turn, PROTOTYPES * (turn + 1))
        ids = np.arange(part.start, part.stop, dtype=np.int64) + size
        before = time.perf_counter()
        index.add(population.spare[part]) if not kind.removes else index.add_with_ids(population.spare[part], ids)
        adding.append(time.perf_counter() - before)
        index.search(population.queries[:1], NEIGHBOURS, params=settings)
        if kind.removes:
            before = time.perf_counter()
            index.remove_ids(_FAISS.IDSelectorArray(np.arange(part.start, part.stop, dtype=np.int64) * 7 % size))
            removing.append(time.perf_counter() - before)
    return {
        "add_us": round(float(np.median(adding)) * 1e6 / PROTOTYPES, 1),
        "remove_us": round(float(np.median(removing)) * 1e6 / PROTOTYPES, 1) if removing else None,
    }


def bytes_a_vector(index: Any, size: int) -> float | None:
    return None if size >= _BIG else len(_FAISS.serialize_index(index)) / size


def measure(kind: Kind, population: Population) -> list[dict[str, Any]]:
    """One row for each number of probes."""
    _FAISS.omp_set_num_threads(2)
    index, built_s = build(kind, population.vectors)
    rows = []
    for probes in kind.probes:
        settings = parameters(kind, probes)

        def search(queries: Vectors, settings: Any = settings) -> Any:
            return index.search(queries, NEIGHBOURS, params=settings)

        _FAISS.omp_set_num_threads(2)
        rows.append(
            {
                "size": len(population.vectors),
                "kind": kind.name,
                "probes": probes,
                **recall(search(population.queries)[1], population),
                "build_s": round(built_s, 2),
                "ms_a_query": {
                    f"batch {batch}, {threads} thread{'s' * (threads > 1)}": latency_ms(
                        search, population.queries, batch, threads
                    )
                    for batch in BATCHES
                    for threads in THREADS
                },
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    size = len(population.vectors)
    kept = bytes_a_vector(index, size)
    shared = changes(kind, index, population)
    shared["mib_per_1000_people"] = None if kept is None else round(kept * 1000 * PROTOTYPES / 2**20, 1)
    print(kind.name, json.dumps(shared), flush=True)
    return [row | shared for row in rows]


def measure_product(population: Population) -> dict[str, Any]:
    """The index as the gallery uses it, exact answers, checks and all."""
    from retail_ray.identity.index import PrototypeIndex

    size = len(population.vectors)
    index = PrototypeIndex()
    before = time.perf_counter()
    for low in range(0, size, PROTOTYPES):
        index.add(low // PROTOTYPES, population.vectors[low : low + PROTOTYPES])
    built_s = time.perf_counter() - before
    people = np.array([index.search(query[None], NEIGHBOURS)[0][0] for query in population.queries])
    truth = population.best // PROTOTYPES
    same = [len(np.intersect1d(f, t)) / len(np.unique(t)) for f, t in zip(people, truth, strict=True)]
    row: dict[str, Any] = {
        "size": size,
        "form": index.form,
        "owner_at_1": round(float((people[:, 0] == population.owner).mean()), 4),
        "people_of_exact_at_10": round(float(np.mean(same)), 4),
        "build_s": round(built_s, 2),
        "ms_a_query": {
            f"batch {batch}, 1 thread": latency_ms(
                lambda queries: index.search(queries, NEIGHBOURS), population.queries, batch, 1
            )
            for batch in BATCHES
        },
    }
    adding, removing, searching = [], [], []
    for turn in range(40):
        part = slice(PROTOTYPES * turn, PROTOTYPES * (turn + 1))
        begin = time.perf_counter()
        index.add(10**9 + turn, population.spare[part])
        added = time.perf_counter()
        index.remove([(PROTOTYPES * turn + i) * 7 % size for i in range(PROTOTYPES)])
        removed = time.perf_counter()
        index.search(population.queries[turn : turn + 1], NEIGHBOURS)
        adding.append(added - begin)
        removing.append(removed - added)
        searching.append(time.perf_counter() - removed)
    row["add_us"] = round(float(np.median(adding)) * 1e6 / PROTOTYPES, 1)
    row["remove_us"] = round(float(np.median(removing)) * 1e6 / PROTOTYPES, 1)
    row["ms_a_query"]["batch 1, between changes"] = {
        "p50": round(float(np.median(searching)) * 1e3, 4),
        "p95": round(float(np.percentile(searching, 95)) * 1e3, 4),
    }
    if size < _BIG:
        row["mib_per_1000_people"] = round(len(index.snapshot()) * 1000 * PROTOTYPES / len(index) / 2**20, 1)
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--only", choices=("plain", "product"), help="the rest stays as it was measured before")
    options = parser.parse_args()
    path = RESULTS / "prototype_index.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for size in options.sizes:
        population = Population.draw(size)
        one = report.setdefault(str(size), {})
        one["likeness"] = likeness(population)
        if options.only != "product":
            one["plain"] = {"environment": describe(), "rows": []}
            for kind in kinds(size):
                one["plain"]["rows"] += measure(kind, population)
                path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
                gc.collect()
        if options.only != "plain":
            one["product"] = {"environment": describe(), **measure_product(population)}
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
