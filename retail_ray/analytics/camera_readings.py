"""What alert rules can say of cameras: how long one has been silent, and how much of each minute was analysed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retail_ray.analytics.alerts import Reading
from retail_ray.core.event_time import CameraView
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, minute_of


@dataclass(slots=True)
class CameraReadings:
    """Readings of all cameras, from the frames of each tick. A camera whose video is over is not silent."""

    cameras: Sequence[CameraView]
    analysis_fps: Mapping[str, float]
    _last_us: dict[str, int] = field(default_factory=dict)
    _frames: dict[tuple[str, int], int] = field(default_factory=dict)
    _minute_us: int | None = None

    def update(
        self, ticks: Ticks, names: Sequence[str], is_over: Callable[[str, int], bool]
    ) -> Iterator[list[Reading]]:
        """As of the end of each tick; exhaust it. `names` are the sorted cameras that frames point into."""
        frames = self._by_tick(ticks, names)
        for tick, end_us in enumerate(ticks.end_us.tolist()):
            for name, minute_us, last_us, count in frames[tick]:
                self._last_us[name] = last_us
                self._frames[name, minute_us] = self._frames.get((name, minute_us), 0) + count
            over = {camera.camera_id for camera in self.cameras if is_over(camera.camera_id, end_us)}
            working = [camera for camera in self.cameras if camera.camera_id not in over]
            silent = [self._silence(camera, end_us) for camera in working]
            silent += [Reading("camera_silent_s", c.camera_id, 0.0) for c in self.cameras if c.camera_id in over]
            yield [*silent, *self._coverage(working, minute_of(end_us))]

    def wake_us(self) -> int | None:
        """The end of the minute that is next to be told."""
        return None if self._minute_us is None else self._minute_us + US_PER_MINUTE

    def state(self) -> Any:
        return self._minute_us, sorted(self._last_us.items()), sorted((*key, n) for key, n in self._frames.items())

    def restore(self, state: Any) -> None:
        self._minute_us, last_us, frames = state
        self._last_us = dict(last_us)
        self._frames = {(name, minute_us): n for name, minute_us, n in frames}

    def _by_tick(self, ticks: Ticks, names: Sequence[str]) -> list[list[tuple[str, int, int, int]]]:
        """(camera, minute, time of its last frame in it, how many frames) of each tick, a camera's minutes in order."""
        found: list[list[tuple[str, int, int, int]]] = [[] for _ in range(len(ticks))]
        for index, name in enumerate(names):
            times_us = ticks.data.frame_time_us[ticks.data.frame_camera == index]
            tick, minute_us = ticks.number(times_us), times_us - times_us % US_PER_MINUTE
            ends = np.append((np.diff(tick) != 0) | (np.diff(minute_us) != 0), np.ones(min(1, len(times_us)), np.bool_))
            last = np.flatnonzero(ends)
            counts = np.diff(last, prepend=-1).tolist()
            columns = tick[last].tolist(), minute_us[last].tolist(), times_us[last].tolist(), counts
            for number, minute, last_us, count in zip(*columns, strict=True):
                found[number].append((name, minute, last_us, count))
        return found

    def _silence(self, camera: CameraView, now_us: int) -> Reading:
        since_us = self._last_us.get(camera.camera_id, camera.start_us)
        silent_s = max(0, now_us - since_us) / US_PER_S
        return Reading("camera_silent_s", camera.camera_id, silent_s, grows=now_us >= camera.start_us)

    def _coverage(self, working: Sequence[CameraView], minute_us: int) -> list[Reading]:
        """Of the last minute, when a new one (that of `minute_us`) has begun."""
        told_us, self._minute_us = self._minute_us, minute_us
        if told_us is None or minute_us <= told_us:
            return []
        last_us = minute_us - US_PER_MINUTE
        counts = {key: n for key, n in self._frames.items() if key[1] == last_us}
        self._frames = {key: n for key, n in self._frames.items() if key[1] >= minute_us}
        readings = []
        for camera in working:
            covered_s = min(US_PER_MINUTE, minute_us - camera.start_us) / US_PER_S
            expected = self.analysis_fps.get(camera.camera_id, 0.0) * covered_s
            if expected >= 1:
                share = min(1.0, counts.get((camera.camera_id, last_us), 0) / expected)
                readings.append(Reading("coverage", camera.camera_id, share))
        return readings
