from __future__ import annotations

from pathlib import Path

from benchmarks.lake_concurrency import run_together


def test_no_read_fails_and_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    """Until some files were merged; `make bench-lake-concurrency` is the long one."""
    found = run_together(tmp_path, seconds=10.0, readers=3, least_epochs=60)
    counts = found["counts"]
    assert found["problems"] == []
    assert (counts.get("failed_reads", 0), counts["wrong_answers"]) == (0, 0)
    assert found["rows_lost_or_doubled_at_the_end"] == 0
    assert found["faults"] == []
    assert min(counts["answers"], counts["epochs"], counts["merges"]) > 0
