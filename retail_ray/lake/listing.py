"""Which files the tables have, listed anew only where a folder has changed: a year has thousands of folders.

A folder is listed again when its change time differs, and as long as that time is the newest the lake has shown:
another file may yet come within the same tick of the file system's clock. So a new file is seen at the next question.
That holds while the file system's clock does not go back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from retail_ray.lake.schemas import TABLES

WORD: Final = re.compile(r"\w+")
Partition = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and change of contents (ns) of the files of one business day and site, by name; the same object
while none changed."""


class Listed(Protocol):
    """Which files the tables have, wherever they lie."""

    def partitions(self, table: str) -> Mapping[tuple[str, str], Partition]:
        """Files by (date, site); the same object as before while nothing changed."""

    def path(self, table: str, partition: tuple[str, str], name: str) -> str:
        """A file's address, as DuckDB opens it."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What a folder held when it was listed. settled: nothing could come later under the same stamp."""

    stamp: tuple[int, int]
    settled: bool
    entries: Partition


_GONE = _Folder((0, 0), settled=True, entries=())


class Listing:
    """The Parquet files of one lake by table, date and site."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders: dict[str, _Folder] = {}
        self._tables: dict[str, tuple[dict[tuple[str, str], Partition], list[str]]] = {}
        self._newest_ns = 0

    def partitions(self, table: str) -> Mapping[tuple[str, str], Partition]:
        """Files by (date, site) as their folders' names say; the same object as before while nothing changed."""
        known, folders = self._tables.get(table, ({}, []))
        if folders and self._unchanged(folders):
            return known
        top = f"{self._root}/{table}"
        found, folders = {}, [top]
        for day in self._entries(top, "date=", ""):
            of_day = f"{top}/{day[0]}"
            folders.append(of_day)
            for site in self._entries(of_day, "site=", ""):
                folders.append(f"{of_day}/{site[0]}")
                if files := self._entries(folders[-1], "", ".parquet"):
                    found[day[0][5:], site[0][5:]] = files
        if table not in self._tables or not _same(known, found):
            known = found
        self._tables[table] = known, folders
        return known

    def _unchanged(self, folders: list[str]) -> bool:
        """Whether all of them are as they were, and nothing could have come since under the same stamp."""
        seen = self._folders
        try:
            for name in folders:
                status, known = os.stat(name), seen[name]  # noqa: PTH116  a Path costs more than the call
                if not known.settled or known.stamp != (status.st_ino, status.st_ctime_ns):
                    return False
        except (FileNotFoundError, NotADirectoryError, KeyError):
            return False
        return True

    def path(self, table: str, partition: tuple[str, str], name: str) -> str:
        return f"{self._root}/{table}/date={partition[0]}/site={partition[1]}/{name}"

    def _entries(self, folder: str, prefix: str, suffix: str) -> Partition:
        try:
            status = os.stat(folder)  # noqa: PTH116  as above
        except (FileNotFoundError, NotADirectoryError):
            self._folders.pop(folder, None)
            return ()
        known = self._folders.get(folder, _GONE)
        stamp = (status.st_ino, status.st_ctime_ns)
        if known.settled and known.stamp == stamp:
            return known.entries
        settled = status.st_ctime_ns < self._newest_ns
        self._newest_ns = max(self._newest_ns, status.st_ctime_ns)
        entries = _listed(folder, prefix, suffix)
        if entries == known.entries:
            entries = known.entries
        self._folders[folder] = _Folder(stamp, settled, entries)
        return entries


def _same(known: Mapping[tuple[str, str], Partition], found: Mapping[tuple[str, str], Partition]) -> bool:
    return len(known) == len(found) and all(known.get(key) is files for key, files in found.items())


def _listed(folder: str, prefix: str, suffix: str) -> Partition:
    """Entries by name; of folders the names alone. What has just vanished is left out."""
    found = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                with suppress(FileNotFoundError):
                    status = entry.stat() if suffix else None
                    found.append((entry.name, 0, 0) if status is None else (entry.name, *_contents(status)))
    return tuple(sorted(found))


def _contents(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def tables_behind(query: str, definitions: Mapping[str, str]) -> frozenset[str]:
    """Those of TABLES that a statement can read, by the words in it; `definitions`: the SQL of views and macros."""
    words, seen = set(WORD.findall(query.lower())), set[str]()
    while fresh := words & definitions.keys() - seen:
        seen |= fresh
        words.update(*(WORD.findall(definitions[name].lower()) for name in fresh))
    return frozenset(words & TABLES.keys())
