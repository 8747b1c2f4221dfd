"""Questions to a lake in an object store, through pyarrow's client and fsspec; DuckDB's httpfs is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import duckdb
from fsspec.implementations.arrow import ArrowFSWrapper

from retail_ray.lake.object_store import ObjectStore, shown
from retail_ray.lake.schemas import SCHEMA_VERSION
from retail_ray.lake.views import Lake, view_statement

_SCHEME: Final = "retailstore"


class _StoreFiles(ArrowFSWrapper):
    """The store's files under a scheme of our own, so that DuckDB asks nobody else for them."""

    protocol = _SCHEME

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{_SCHEME}://")


class RemoteLake(Lake):
    """The files that the store's manifest names, read anew for every question."""

    def __init__(self, address: Path | str, **limits: Any) -> None:
        self._store = ObjectStore(str(address))
        self._bound: dict[str, list[str]] = {}
        super().__init__(Path(shown(str(address))), **limits)

    def _located(self, root: Path) -> Path:
        return root

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(_StoreFiles(self._store.files))

    def _folders(self) -> tuple[str, ...]:
        return (f"{_SCHEME}://{self._store.folder}",)

    def _refresh(self) -> None:
        self._manifest = self._store.manifest()
        super()._refresh()

    def _checked_files(self, table: str, known: dict[str, int]) -> dict[str, int]:  # noqa: ARG002 - a folder's lake remembers
        paths = (entry.path for entry in self._manifest.files.values() if entry.table == table)
        return {f"{_SCHEME}://{self._store.path(path)}": SCHEMA_VERSION for path in paths}

    def _define_view(self, table: str) -> None:
        files = sorted(self._files[table])
        if self._bound.get(table) != files:
            self._connection.execute(view_statement(table, files or None, mixed=True))
            self._bound[table] = files
