"""Puts rows of a simulated lake into the epochs in which they would have been written, and commits them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.records import DetectionRows
from retail_ray.core.time import US_PER_S, BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import FileEntry, Stage, publish
from retail_ray.simulation.event_settings import EventSettings
from retail_ray.simulation.event_sightings import Sightings

COORDINATOR, GALLERY, SITE = "coordinator", "gallery", "site"
_WRITTEN_AT: Final = {
    "tracklets": "last_us",
    "identity_events": "time_us",
    "line_crossings": "time_us",
    "zone_visits": "exit_us",
    "queue_visits": "leave_us",
    "journeys": "exit_us",
    "alerts": "time_us",
    "occupancy": "minute_us",
    "queue_metrics": "minute_us",
    "coverage": "minute_us",
    "heat": "time_us",
    "sites": "time_us",
}


@dataclass(slots=True)
class EpochWriter:
    """Stages as it goes, so that memory holds one camera's day; `publish` makes everything visible, epoch by epoch.

    Cameras may stage from several threads: the files of an epoch are sorted by name when it is committed.
    """

    lake: Path
    context: RowContext
    day: BusinessDay
    settings: EventSettings
    _entries: dict[int, list[FileEntry]] = field(default_factory=lambda: defaultdict(list))

    def stage(self, writer: str, table: str, records: Sequence[Any]) -> None:
        """Rows of any table but detections."""
        first_us, last_us = self.settings.start_us, self.settings.end_us - 1
        epochs = defaultdict(list)
        for record in records:
            at_us = min(max(getattr(record, _WRITTEN_AT[table]), first_us), last_us)
            epochs[at_us // self._epoch_us].append(record)
        stage = Stage(self.lake, self.context, writer, self.day)
        for epoch, rows in epochs.items():
            self._entries[epoch] += stage.write_records(table, rows, epoch)

    def stage_detections(
        self, camera_id: str, sightings: Sightings, local_id: NDArray[np.int64], first_tick: int
    ) -> None:
        """Boxes of one camera in order of time; first_tick: where their tick 0 lies in the whole simulated time."""
        settings, stage = self.settings, Stage(self.lake, self.context, camera_id, self.day)
        tick = sightings.tick.astype(np.int64) + first_tick
        time_us = settings.start_us + tick * settings.frame_us
        for epoch in np.unique(time_us // self._epoch_us).tolist():
            rows = slice(*np.searchsorted(time_us, [epoch * self._epoch_us, (epoch + 1) * self._epoch_us]).tolist())
            part = sightings[rows]
            record = DetectionRows(
                camera_id,
                tick[rows] * (settings.source_fps // settings.fps),
                time_us[rows],
                part.xyxy_px,
                part.confidence,
                local_id[rows],
                part.foot_px,
                part.foot_source,
                part.floor_xy_m,
                part.visible_share,
                (None,) * len(part),
                settings.frame_hw_px,
            )
            self._entries[epoch] += stage.write_records("detections", [record], epoch)

    def publish(self) -> tuple[dict[str, int], dict[str, int]]:
        """Commit all epochs in order; rows and bytes by table."""
        rows: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for epoch in sorted(self._entries):
            end_us = min((epoch + 1) * self._epoch_us, self.settings.end_us)
            commit = publish(self.lake, self.context, epoch, self._entries[epoch], {"end_us": end_us})
            for entry in commit.files:
                rows[entry.table] += entry.rows
                sizes[entry.table] += entry.bytes
        return dict(sorted(rows.items())), dict(sorted(sizes.items()))

    @property
    def _epoch_us(self) -> int:
        return self.settings.epoch_s * US_PER_S
