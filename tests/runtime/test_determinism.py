"""The demo's store with Ray, on one core and on all: the same identities, byte by byte."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.determinism import identity_bytes, run, shortened

pytestmark = [pytest.mark.ray, pytest.mark.long]


@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset of util-linux to choose cores")
def test_one_core_and_all_cores_give_the_same_identities(tmp_path: Path) -> None:
    site = shortened(tmp_path / "store", 6)
    usable = sorted(os.sched_getaffinity(0))
    everywhere = ",".join(map(str, usable))
    rows = [
        run(site, tmp_path / f"lake-{number}", cores)
        for number, cores in enumerate((str(usable[0]), everywhere, everywhere))
    ]
    assert rows[0]["tracklets"] >= 2
    assert rows[0]["files"] >= 1
    assert len({row["sha256"] for row in rows}) == 1
    # The comparison sees other bytes.
    damaged = next((tmp_path / "lake-0" / "identity_events").rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes() + b"\0")
    assert identity_bytes(tmp_path / "lake-0")[0] != rows[0]["sha256"]
