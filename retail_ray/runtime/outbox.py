"""Which committed alerts a sink has had: `<lake>/_alerts/<site>/<sink>.json`. The lake itself is the queue.

Every run enters itself when it begins. An epoch is crossed off once all its alerts are delivered, so that after a
crash they are sent again, and never an alert of an epoch that was rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from retail_ray.core.errors import LakeError
from retail_ray.core.retail_records import Alert
from retail_ray.lake.epochs import Commit, commits_after, last_commit
from retail_ray.lake.files import lake_errors, read_json, write_json
from retail_ray.lake.going_on import read_rows

RUNS_KEPT: Final = 200
_LIVE: Final = "live"


class Outbox:
    """One sink's place in the commits of its site. only_live: recorded runs are left out."""

    def __init__(self, lake: Path, site_id: str, sink_id: str, *, only_live: bool = False) -> None:
        self._lake, self._only_live = lake, only_live
        self._path = lake / "_alerts" / site_id / f"{sink_id}.json"
        self._done = self._read()

    def begin(self, run_id: str) -> None:
        """Enter a run: of a new one everything is to be sent, of one that went on without this sink only the rest."""
        if self._only_live and not run_id.startswith(_LIVE):
            return
        last = last_commit(self._lake, run_id)
        reached = -1 if last is None else last.epoch
        self._done[run_id] = min(self._done.pop(run_id, reached), reached)
        self._done = dict(list(self._done.items())[-RUNS_KEPT:])
        self._write()

    def pending(self) -> Iterator[Commit]:
        """Commits with alerts that are not crossed off, in the order of runs and epochs."""
        for run_id in list(self._done):
            for commit in commits_after(self._lake, run_id, self._done[run_id]):
                if self.is_pending(commit):
                    yield commit

    def is_pending(self, commit: Commit) -> bool:
        done = self._done.get(commit.run_id)
        return done is not None and commit.epoch > done and any(entry.table == "alerts" for entry in commit.files)

    def alerts(self, commit: Commit) -> list[Alert]:
        """The alerts of all writers, in order of time."""
        files = [entry.path for entry in commit.files if entry.table == "alerts"]
        found = [row for path in files for row in cast("list[Alert]", read_rows("alerts", self._lake / path))]
        return sorted(found, key=lambda alert: (alert.time_us, alert.dedup_key))

    def cross_off(self, commit: Commit) -> None:
        self._done[commit.run_id] = commit.epoch
        self._write()

    def _read(self) -> dict[str, int]:
        with lake_errors("read", self._path):
            content = read_json(self._path) if self._path.exists() else []
        try:
            return {str(run_id): int(epoch) for run_id, epoch in content}
        except (TypeError, ValueError) as error:
            raise LakeError(
                f"{self._path}: not the record of an alert sink ({error}); remove it to begin anew"
            ) from error

    def _write(self) -> None:
        with lake_errors("write", self._path):
            write_json(self._path, list(self._done.items()))
