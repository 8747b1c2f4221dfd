"""Questions to a lake in an object store, through pyarrow's client and fsspec; DuckDB's httpfs is not needed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
from fsspec.implementations.arrow import ArrowFSWrapper

from retail_ray.lake.listing import Listed, Partition
from retail_ray.lake.object_store import Manifest, ObjectStore, shown
from retail_ray.lake.recounts import Recounts, is_record, recounts_of
from retail_ray.lake.views import Lake

_SCHEME: Final = "retailstore"


class _StoreFiles(ArrowFSWrapper):
    """The store's files under a scheme of our own, so that DuckDB asks nobody else for them."""

    protocol = _SCHEME

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{_SCHEME}://")


class _Listed:
    """The files that a manifest names, as `Listing` gives those of a folder."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.manifest = Manifest()
        self._tables: dict[str, dict[tuple[str, str], Partition]] = {}

    def look(self) -> None:
        """Read the manifest anew."""
        manifest = self._store.manifest()
        if manifest == self.manifest:
            return
        found: dict[str, dict[tuple[str, str], list[tuple[str, int, int]]]] = defaultdict(lambda: defaultdict(list))
        for entry in sorted(manifest.files.values(), key=lambda entry: entry.path):
            day, site, name = entry.path.split("/")[1:]
            known = (name, entry.bytes, int(entry.sha256[:15], 16))
            found[entry.table][day.removeprefix("date="), site.removeprefix("site=")].append(known)
        self._tables = {table: {key: tuple(files) for key, files in days.items()} for table, days in found.items()}
        self.manifest = manifest

    def partitions(self, table: str) -> Mapping[tuple[str, str], Partition]:
        return self._tables.setdefault(table, {})

    def path(self, table: str, partition: tuple[str, str], name: str) -> str:
        return f"{_SCHEME}://{self._store.path(f'{table}/date={partition[0]}/site={partition[1]}/{name}')}"


class RemoteLake(Lake):
    """The files that the store's manifest names, read anew for every question."""

    def __init__(self, address: Path | str, **limits: Any) -> None:
        self._store = ObjectStore(str(address))
        super().__init__(Path(shown(str(address))), **limits)

    def _located(self, root: Path) -> Path:
        return root

    def _list(self) -> Listed:
        self._named = _Listed(self._store)
        return self._named

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(_StoreFiles(self._store.files))

    def _folders(self) -> tuple[str, ...]:
        return (f"{_SCHEME}://{self._store.folder}",)

    def _source(self, table: str) -> str | list[str] | None:
        return sorted(self._files[table]) or None

    def _recounts(self) -> tuple[Hashable, Callable[[], list[Recounts]]]:
        records = {path: digest for path, digest in self._named.manifest.records.items() if is_record(path)}
        return tuple(sorted(records.items())), lambda: [
            recounts_of(json.loads(self._store.read(path)), path) for path in sorted(records)
        ]

    def _refresh(self, tables: Iterable[str]) -> None:
        self._named.look()
        super()._refresh(tables)

    def _checked_files(self, table: str, listed: Mapping[tuple[str, str], Partition]) -> dict[str, bool]:
        """Pushed files were checked before; their columns are not looked at, so they are matched by name."""
        paths = [self._named.path(table, key, name) for key, files in listed.items() for name, *_ in files]
        return dict.fromkeys(paths, False)
