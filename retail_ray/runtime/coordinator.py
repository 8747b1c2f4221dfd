"""Which camera may work, and which epoch can be committed: pure decisions over what the cameras reported."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class CameraProgress:
    """next_epoch: the next epoch this camera has data for; None once its video has ended."""

    next_epoch: int | None
    working: bool = False


@dataclass(slots=True)
class Coordinator:
    """Keeps cameras within `ahead` epochs of the slowest and commits epochs in order.

    An epoch may be committed when every camera has left it behind. Epochs in which no camera has data are skipped.
    """

    cameras: dict[str, CameraProgress]
    ahead: int = 2
    _touched: set[int] = field(default_factory=set)

    def oldest_open(self) -> int | None:
        """The lowest epoch that some camera still works on or that waits for its commit."""
        open_epochs = [c.next_epoch for c in self.cameras.values() if c.next_epoch is not None]
        return min([*open_epochs, *self._touched], default=None)

    def may_start(self) -> list[tuple[str, int]]:
        """Cameras that are idle, have data, and are not too far ahead, with their epoch; the one behind comes first."""
        oldest = self.oldest_open()
        if oldest is None:
            return []
        idle = [
            (camera.next_epoch, name)
            for name, camera in self.cameras.items()
            if not camera.working and camera.next_epoch is not None and camera.next_epoch <= oldest + self.ahead
        ]
        return [(name, epoch) for epoch, name in sorted(idle)]

    def is_working(self, name: str) -> bool:
        return name in self.cameras and self.cameras[name].working

    def started(self, name: str) -> None:
        self.cameras[name].working = True

    def finished(self, name: str, epoch: int | None, next_epoch: int | None) -> None:
        """The camera completed `epoch` (None: it found no data) and goes on with `next_epoch`."""
        camera = self.cameras[name]
        camera.working, camera.next_epoch = False, next_epoch
        if epoch is not None:
            self._touched.add(epoch)

    def ready(self) -> int | None:
        """The next epoch to commit, if every camera is past it."""
        if not self._touched:
            return None
        epoch = min(self._touched)
        behind = [c for c in self.cameras.values() if c.next_epoch is not None and c.next_epoch <= epoch]
        return None if behind else epoch

    def committed(self, epoch: int) -> None:
        self._touched.discard(epoch)

    @property
    def done(self) -> bool:
        ended = all(c.next_epoch is None and not c.working for c in self.cameras.values())
        return ended and not self._touched
