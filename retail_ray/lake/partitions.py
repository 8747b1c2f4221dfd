"""Partitions: the folder of one table, business day and site, exchanged as a whole beside readers and writers.

    <lake>/_maintenance/…     folders in the making, and what an exchange put aside

The new folder gets the rewritten files and hard links to all others; one system call (renameat2, RENAME_EXCHANGE)
puts it in the place of the old one. So whoever lists the folder sees the old files or the new ones, never both. What
was put aside is deleted later: a reader may be in the middle of listing it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from retail_ray.core.errors import LakeError
from retail_ray.lake.files import lake_errors, make_folders, sync_folder
from retail_ray.lake.locks import announce_deletion
from retail_ray.lake.schemas import TABLES

FOLDER: Final = "_maintenance"
_DRAFT, _ASIDE = "draft-", "aside-"
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100
_DAY: Final = re.compile(r"date=(\d{4}-\d\d-\d\d)")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One table, business day and site."""

    table: str
    day: date
    site_id: str

    @property
    def folder(self) -> str:
        """Relative to the lake."""
        return f"{self.table}/date={self.day.isoformat()}/site={self.site_id}"


def partitions(lake_root: Path, tables: Sequence[str] = tuple(TABLES)) -> list[Partition]:
    """All partitions that there are, in the order of the tables and days. Folders of other names are left out."""
    found = []
    for table in tables:
        for folder in sorted((Path(lake_root) / table).glob("date=*/site=*")):
            day = _DAY.fullmatch(folder.parent.name)
            with suppress(ValueError):
                if day:
                    found.append(Partition(table, date.fromisoformat(day.group(1)), folder.name.removeprefix("site=")))
    return found


def newest_days(found: Sequence[Partition]) -> dict[str, date]:
    """The newest business day of each site."""
    days: dict[str, date] = {}
    for part in found:
        days[part.site_id] = max(part.day, days.get(part.site_id, part.day))
    return days


def draft_folder(lake_root: Path) -> Path:
    """An empty folder in which to prepare a partition."""
    with lake_errors("write", Path(lake_root) / FOLDER):
        make_folders(Path(lake_root) / FOLDER)
        return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=Path(lake_root) / FOLDER))


def link_others(folder: Path, draft: Path, left_out: Collection[str]) -> None:
    """Give `draft` every file of `folder` but those that it replaces. Call under `exchanging`."""
    for path in folder.iterdir():
        if path.name not in left_out:
            os.link(path, draft / path.name)


def exchange(folder: Path, draft: Path) -> None:
    """Put `draft` in the place of `folder`, whose old content goes aside. Call under `exchanging`."""
    sync_folder(draft)
    draft.chmod(folder.stat().st_mode)
    if not any(draft.iterdir()):
        put_aside(folder, draft.parent)
        draft.rmdir()
        return
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(_AT_FDCWD, os.fsencode(folder), _AT_FDCWD, os.fsencode(draft), _RENAME_EXCHANGE)
    if failed:
        code = ctypes.get_errno()
        if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise LakeError(
                f"{folder}: this file system cannot exchange two folders (renameat2), as NFS cannot; "
                "maintain the lake on the machine whose local disk (ext4, XFS, Btrfs, tmpfs) holds it"
            )
        raise OSError(code, os.strerror(code), str(folder))
    draft.rename(draft.with_name(draft.name.replace(_DRAFT, _ASIDE, 1)))
    sync_folder(folder.parent)


def put_aside(folder: Path, maintenance: Path) -> None:
    """Take a whole partition out of the lake, and its day's folder where that is empty. Call under `exchanging`."""
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=maintenance))
    folder.rename(aside / "partition")
    with suppress(OSError):
        folder.parent.rmdir()
    sync_folder(folder.parent.parent)


def files_aside(lake_root: Path) -> Iterator[Path]:
    """Files that wait to be deleted."""
    yield from (path for path in (Path(lake_root) / FOLDER).glob(f"{_ASIDE}*/**/*") if path.is_file())


def empty_aside(lake_root: Path) -> None:
    """Delete what exchanges put aside. Readers of the product that still list it ask again; leave others time."""
    announce_deletion(lake_root)
    _remove(lake_root, _ASIDE)


def drop_drafts(lake_root: Path) -> None:
    """Delete what a crash left in the making. Call under `maintaining`."""
    _remove(lake_root, _DRAFT)


def _remove(lake_root: Path, prefix: str) -> None:
    with lake_errors("tidy up", Path(lake_root) / FOLDER):
        for folder in (Path(lake_root) / FOLDER).glob(f"{prefix}*"):
            shutil.rmtree(folder)
