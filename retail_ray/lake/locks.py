"""Locks between the processes of one lake: empty files under `<lake>/_locks`, held with flock.

publish      a writer moves an epoch into place and records it; nobody exchanges a folder meanwhile
readers      held together by readers that were disturbed too often; held alone to exchange a folder
maintenance  one job that rewrites, removes or checks files at a time

The file `deletions` there grows by a byte before files that were put aside are deleted: a reader that may have been
listing them, however slow it is, looks at its size before and behind its question.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

from retail_ray.core.errors import LakeError
from retail_ray.lake.files import lake_errors


def deletions(lake_root: Path) -> int:
    """How often files that were put aside have been deleted."""
    with suppress(FileNotFoundError):
        return (Path(lake_root) / "_locks" / "deletions").stat().st_size
    return 0


def announce_deletion(lake_root: Path) -> None:
    """Call under `maintaining`, before the first file goes."""
    path = Path(lake_root) / "_locks" / "deletions"
    with lake_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as counted:
            counted.write(b".")


@contextmanager
def publishing(lake_root: Path) -> Iterator[None]:
    """Wait until no folder is being exchanged, and keep it so."""
    with _held(lake_root, "publish", LOCK_EX):
        yield


@contextmanager
def reading(lake_root: Path) -> Iterator[None]:
    """Keep folders from being exchanged. Writes nothing: where there is no lock, none ever was."""
    path = Path(lake_root) / "_locks" / "readers"
    with lake_errors("lock", path), ExitStack() as stack:
        if path.exists():
            flock(stack.enter_context(path.open("rb")), LOCK_SH)
        yield


@contextmanager
def exchanging(lake_root: Path) -> Iterator[None]:
    """Keep out writers, and readers that asked for quiet."""
    with _held(lake_root, "readers", LOCK_EX), publishing(lake_root):
        yield


@contextmanager
def maintaining(lake_root: Path) -> Iterator[None]:
    """LakeError where another job of maintenance is at work."""
    with _held(lake_root, "maintenance", LOCK_EX | LOCK_NB):
        yield


@contextmanager
def _held(lake_root: Path, name: str, how: int) -> Iterator[None]:
    path = Path(lake_root) / "_locks" / name
    with lake_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        try:
            flock(handle, how)
        except BlockingIOError as error:
            raise LakeError(f"{path}: another job maintains this lake; wait until it has ended") from error
        yield
