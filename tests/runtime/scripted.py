"""A crew whose cameras follow a script: the real gallery, operators, journeys and commits, without any video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from retail_ray.config import Site
from retail_ray.config_file import parse_site
from retail_ray.core.identity_map import Person
from retail_ray.core.records import CoverageRow, TrackletRow
from retail_ray.core.time import minute_of
from retail_ray.lake.epochs import FileEntry
from retail_ray.runtime.build_camera import CameraFacts
from retail_ray.runtime.build_site import build_gallery_host, build_site_host
from retail_ray.runtime.camera import CameraStatus, EpochReport
from retail_ray.runtime.hosts import EpochClose, GalleryHost, SiteHost
from retail_ray.runtime.naming import GALLERY, SITE
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.uniforms import NO_UNIFORMS
from tests.support.scenes import S, Sighting, message

LOOKS = 16


class PowerCutError(Exception):
    """Ends an attempt as if the process had been killed."""


def person(
    local_id: int, look: int, first_s: float, last_s: float, path: Callable[[float], tuple[float, float]], start_us: int
) -> list[Sighting]:
    """A tracklet at 10 fps from first to last second behind `start_us`; a crop in each half second."""
    vector = tuple(np.eye(LOOKS)[look].tolist())
    return [
        Sighting(start_us + n * S // 10, local_id, *path(n / 10), embedding=vector if n % 5 == 0 else None)
        for n in range(round(first_s * 10), round(last_s * 10) + 1)
    ]


class ScriptedCrew:
    """Cameras with these sightings from start to end; `before_commit` may raise, told the number of commits so far."""

    in_turn = True

    def __init__(
        self,
        plan: RunPlan,
        seen: Mapping[str, Sequence[Sighting]],
        span_us: tuple[int, int],
        before_commit: Callable[[int, GalleryHost], None] = lambda _number, _gallery: None,
        uniforms: NDArray[np.float32] = NO_UNIFORMS,
    ) -> None:
        self._uniforms = uniforms
        self._plan, self._seen, self._span_us, self._before_commit = plan, seen, span_us, before_commit
        self._started: list[tuple[str, int]] = []
        self._commits = 0

    def open_cameras(self) -> tuple[dict[str, CameraFacts], dict[str, str]]:
        return {name: CameraFacts(*self._span_us) for name in self._seen}, {}

    def begin(self, facts: Mapping[str, CameraFacts], states: Mapping[str, bytes]) -> dict[str, int | None]:
        starts_us = {name: fact.start_us for name, fact in facts.items()}
        self.gallery = build_gallery_host(self._plan, starts_us, self._uniforms)
        self.site = build_site_host(self._plan, starts_us)
        for writer, host in ((GALLERY, self.gallery), (SITE, self.site)):
            if writer in states:
                host.restore(states[writer])
        first = self._span_us[0] // self._plan.epoch_us
        done = max((int(states[name]) for name in facts if name in states), default=first - 1)
        return dict.fromkeys(facts, self._following(done))

    def open_epoch(self, end_us: int) -> None:
        for host in self._hosts:
            host.open_epoch(end_us)

    def start(self, camera_id: str, epoch: int) -> None:
        self._started.append((camera_id, epoch))

    def finished(self, timeout_s: float) -> list[EpochReport]:
        return [self._work(*self._started.pop(0))]

    def close_epoch(self, close: EpochClose) -> list[FileEntry]:
        entries = [entry for host in self._hosts for entry in host.close_epoch(close)]
        self._before_commit(self._commits, self.gallery)
        self._commits += 1
        return entries

    def statuses(self) -> list[CameraStatus]:
        return [CameraStatus(name) for name in self._seen]

    def uniform_log_odds(self) -> dict[Person, float]:
        self._before_commit(self._commits, self.gallery)
        return self.gallery.uniform_log_odds()

    def stop(self) -> None: ...

    def end(self) -> None: ...

    @property
    def _hosts(self) -> tuple[GalleryHost | SiteHost, ...]:
        return self.gallery, self.site

    def _following(self, epoch: int) -> int | None:
        return epoch + 1 if (epoch + 1) * self._plan.epoch_us < self._span_us[1] else None

    def _work(self, camera_id: str, epoch: int) -> EpochReport:
        begin_us, end_us = epoch * self._plan.epoch_us, (epoch + 1) * self._plan.epoch_us
        rows = [row for row in self._seen[camera_id] if begin_us <= row.time_us < end_us]
        for host in self._hosts:
            host.submit(message(camera_id, rows, end_us))
            if self._following(epoch) is None:
                host.end_camera(camera_id)
        stage = self._plan.stage(camera_id)
        tracklets = [row for row in self._tracklets(camera_id) if begin_us <= row.last_us < end_us]
        entries = [
            *stage.write_records("tracklets", tracklets, epoch),
            *stage.write_records("coverage", [CoverageRow(camera_id, minute_of(begin_us), 10, 10, 0, "")], epoch),
            stage.write_state(epoch, str(epoch).encode()),
        ]
        return EpochReport(camera_id, epoch, self._following(epoch), entries)

    def _tracklets(self, camera_id: str) -> list[TrackletRow]:
        spans: dict[int, list[int]] = {}
        for row in self._seen[camera_id]:
            spans.setdefault(row.local_id, []).append(row.time_us)
        return [
            TrackletRow(camera_id, local_id, min(times), max(times), len(times), 0.9, 1.0, 2, 0.8)
            for local_id, times in sorted(spans.items())
        ]


def scripted_site(folder: Path, cameras: Sequence[str], start: str, **changes: object) -> Site:
    """A site on one calibrated floor whose pixels are 100 × metres; `start` dates the recordings."""
    floor = {"points": [{"px": [100 * x, 100 * y], "m": [x, y]} for x, y in ((0, 0), (9, 0), (9, 9), (0, 9))]}
    content = {
        "site": "shop",
        "lake": str(folder / "lake"),
        "cameras": [{"id": name, "uri": f"{name}.mp4", "recorded_at": start, "floor": floor} for name in cameras],
        "lines": [{"id": "entrance", "camera": cameras[0], "m": [[0, 1], [9, 1]], "inside_m": [4, 5]}],
        "zones": [{"id": "bread", "m": [[0, 4], [9, 4], [9, 9], [0, 9]], "min_dwell_s": 1}],
        "runtime": {"epoch_s": 10},
        **changes,
    }
    return parse_site(yaml.safe_dump(content), folder / "site.yaml", {})
