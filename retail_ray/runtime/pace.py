"""When an epoch of one camera is over: recorded, when its video has passed it; live, when the clock has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Pace(Protocol):
    """How long a camera waits for its next chunk, and what silence means."""

    @property
    def patience_s(self) -> float | None:
        """Longest wait for a chunk at a time; None: until there is one or the video ends."""
        ...

    def is_over(self, epoch: int) -> bool:
        """Whether no further chunk of this epoch is waited for."""
        ...

    def silent_until_us(self) -> int | None:
        """While no chunk comes: the watermark that may be announced."""
        ...

    def epoch_after(self, epoch: int | None, waiting: int | None, ended: bool) -> int | None:
        """The epoch to work next; `waiting` is that of a chunk already here."""
        ...


class RecordedPace:
    """Waits for every frame; epochs without frames are skipped."""

    patience_s: float | None = None

    def is_over(self, epoch: int) -> bool:  # noqa: ARG002 - the video alone decides
        return False

    def silent_until_us(self) -> int | None:
        return None

    def epoch_after(self, epoch: int | None, waiting: int | None, ended: bool) -> int | None:  # noqa: ARG002
        return waiting


def wall_clock_us() -> int:
    """The arrival clock of live cameras."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class LivePace:
    """Goes with the clock: waits at most `lateness_us` for frames of an epoch that is over."""

    epoch_us: int
    lateness_us: int
    clock_us: Callable[[], int] = wall_clock_us
    stopped: threading.Event = field(default_factory=threading.Event)
    patience_s: float | None = 0.2

    def is_over(self, epoch: int) -> bool:
        return self.stopped.is_set() or self.clock_us() >= (epoch + 1) * self.epoch_us + self.lateness_us

    def silent_until_us(self) -> int | None:
        return self.clock_us() - self.lateness_us

    def epoch_after(self, epoch: int | None, waiting: int | None, ended: bool) -> int | None:
        if epoch is None:
            return self.clock_us() // self.epoch_us
        if waiting is None and (ended or self.stopped.is_set()):
            return None
        return epoch + 1
