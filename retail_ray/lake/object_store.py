"""A lake in an object store: finished business days are published there, read from there, and fetched back.

    <address>/<table>/date=…/site=…/<file>.parquet   one PUT per file
    <address>/_commits/… _replacements/… _runs/…      the records that belong to them
    <address>/_manifest.json                          written last: names every file with its checksum

Readers go by the manifest alone, so an upload that was cut off is invisible; the next one sends what is missing.
Addresses are pyarrow's: `s3://bucket/folder?endpoint_override=localhost:9000&scheme=http&region=eu-south-1`;
credentials come from the environment, as for every AWS tool.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs

from retail_ray.core.errors import LakeError
from retail_ray.core.uris import mask_credentials
from retail_ray.lake.compaction import verify
from retail_ray.lake.epochs import FileEntry, commit_records, read_record
from retail_ray.lake.files import make_folders, sha256, sync_file, write_atomically
from retail_ray.lake.locks import exchanging
from retail_ray.lake.partitions import draft_folder, exchange, link_others, newest_days, partitions
from retail_ray.lake.recounts import jobs_of
from retail_ray.lake.replacements import current_files, digest_of, run_of
from retail_ray.lake.runs import runs
from retail_ray.lake.schemas import SCHEMA_VERSION

MANIFEST: Final = "_manifest.json"
_RECORDS: Final = ("_runs", "_commits", "_replacements", "_receipts", "_recounts")
_FLAGS: Final = {"allow_bucket_creation", "allow_bucket_deletion", "anonymous", "force_virtual_addressing"}
_CHUNK: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an object store holds: files with rows, and records by path with their checksums."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)


class ObjectStore:
    """Files below one address of an object store, or of anything else that pyarrow has an address for."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self.files, folder = _opened(address)
        except (pa.ArrowInvalid, OSError, TypeError) as error:
            raise LakeError(f"{shown(address)}: no address of a store ({error}); e.g. s3://bucket/folder") from error
        self.folder = folder.rstrip("/")

    def path(self, name: str) -> str:
        """Within the store, with the bucket."""
        return f"{self.folder}/{name}"

    def read(self, name: str) -> bytes:
        with self._errors("read", name), self.files.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def write(self, name: str, blob: bytes) -> None:
        """The object appears whole, or not at all."""
        with self._errors("write", name), self.files.open_output_stream(self.path(name)) as stream:
            stream.write(blob)

    def send(self, name: str, path: Path) -> None:
        """A file of any size; the object appears whole, when all of it has come."""
        with (
            self._errors("write", name),
            path.open("rb") as file,
            self.files.open_output_stream(self.path(name)) as stream,
        ):
            while chunk := file.read(_CHUNK):
                stream.write(chunk)

    def fetch(self, entry: FileEntry, path: Path) -> None:
        """Into a new file; LakeError where its bytes are not the recorded ones."""
        with (
            self._errors("read", entry.path),
            path.open("wb") as file,
            self.files.open_input_stream(self.path(entry.path)) as stream,
        ):
            while chunk := stream.read(_CHUNK):
                file.write(chunk)
        sync_file(path)
        if digest_of(path) != entry.sha256:
            raise LakeError(f"{shown(self.address)}: {entry.path} is damaged: remove it there and push again")

    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Bytes of each object, None where there is none."""
        wanted = list(names)
        with self._errors("look at", ""):
            infos = self.files.get_file_info([self.path(name) for name in wanted])
        return {
            name: info.size if info.type == pa.fs.FileType.File else None
            for name, info in zip(wanted, infos, strict=True)
        }

    def remove(self, name: str) -> None:
        with self._errors("remove", name):
            self.files.delete_file(self.path(name))

    def manifest(self) -> Manifest:
        """Empty where nothing was published."""
        if self.sizes([MANIFEST])[MANIFEST] is None:
            return Manifest()
        try:
            content = json.loads(self.read(MANIFEST))
            if content["schema_version"] > SCHEMA_VERSION:
                raise LakeError(f"{shown(self.address)}: written by a newer program; update this one")
            entries = [FileEntry(**entry) for entry in content["files"]]
            for path in [*(entry.path for entry in entries), *content["records"]]:
                _check_inside(path)
            return Manifest({entry.path: entry for entry in entries}, dict(content["records"]))
        except (ValueError, TypeError, KeyError) as error:
            raise LakeError(f"{shown(self.address)}/{MANIFEST}: not a manifest ({error}); push anew") from error

    def _errors(self, doing: str, name: str) -> _StoreErrors:
        return _StoreErrors(f"cannot {doing} {shown(self.address)} {name}".rstrip())


class _StoreErrors:
    """Turns what the store's client raises into a LakeError."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | pa.ArrowException) and not isinstance(error, LakeError):
            raise LakeError(f"{self._text}: {error}; check address, credentials and network") from error


def push(lake_root: Path, address: str, on_sent: Callable[[str], None] = lambda _: None) -> int:
    """Publish finished days; the number of objects sent. Call under `maintenance`.

    What is there already is not sent again. Objects that this lake has given up (compacted, deleted, out of retention)
    are removed after the new manifest stands; those of runs that this lake does not know stay.
    """
    root, store = Path(lake_root), ObjectStore(address)
    before = store.manifest()
    mine = {job for run in runs(root) for job in jobs_of(root, run.run_id)}
    kept = {path: entry for path, entry in before.files.items() if run_of(path) not in mine}
    files = finished_files(root)
    records = _records(root, files)
    sent = 0
    sizes = store.sizes(files)
    for path, entry in files.items():
        if sizes[path] != entry.bytes or (path in before.files and before.files[path].sha256 != entry.sha256):
            store.send(path, verify(root, entry))
            on_sent(path)
            sent += 1
    for path in records:
        blob = (root / path).read_bytes()
        if before.records.get(path) != sha256(blob):
            store.write(path, blob)
            sent += 1
    folders = tuple(f"_commits/{job}/" for job in mine)
    gone = {path for path in before.records if path.startswith(folders) and not (root / path).exists()}
    others = {path: digest for path, digest in before.records.items() if path not in gone}
    after = Manifest(kept | files, others | {path: digest_of(root / path) for path in records})
    content = {
        "schema_version": SCHEMA_VERSION,
        "files": [asdict(entry) for entry in after.files.values()],
        "records": after.records,
    }
    store.write(MANIFEST, json.dumps(content, sort_keys=True).encode())
    for path in sorted((before.files.keys() - after.files.keys()) | gone):
        store.remove(path)
    return sent


def pull(address: str, lake_root: Path, on_fetched: Callable[[str], None] = lambda _: None) -> int:
    """Bring a lake's folder to what the store holds; the number of files fetched. Call under `maintenance`.

    A folder of one table, day and site changes as a whole; files of runs that the store does not know stay.
    """
    root, store = Path(lake_root), ObjectStore(address)
    manifest = store.manifest()
    if not manifest.files:
        raise LakeError(f"{shown(address)}: no manifest with files there; push a lake first, or correct the address")
    known = {run_of(path) for path in manifest.files}
    by_folder: dict[str, list[FileEntry]] = {}
    for entry in manifest.files.values():
        by_folder.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    for part in partitions(root):
        by_folder.setdefault(part.folder, [])
    fetched = 0
    for folder, entries in by_folder.items():
        for path in _pull_folder(store, root, folder, entries, known):
            on_fetched(path)
            fetched += 1
    for path, digest in manifest.records.items():
        _pull_record(store, root, path, digest)
    return fetched


def finished_files(root: Path) -> dict[str, FileEntry]:
    """Files of all days but those that a run still writes."""
    newest = newest_days(partitions(root))
    found: dict[str, FileEntry] = {}
    for run in runs(root):
        for path, entry in (item for job in jobs_of(root, run.run_id) for item in current_files(root, job).items()):
            _, day, site, _ = path.split("/")
            ended = run.status == "complete" or date.fromisoformat(day[5:]) < newest.get(site[5:], date.min)
            if ended and (root / path).exists():
                found[path] = entry
    return dict(sorted(found.items()))


def _records(root: Path, files: dict[str, FileEntry]) -> list[str]:
    """All records but those of epochs whose files are not all finished."""
    open_files = {
        entry.path
        for run in runs(root)
        for entry in current_files(root, run.run_id).values()
        if entry.path not in files and (root / entry.path).exists()
    }
    left_out = {
        str(record.path.relative_to(root))
        for run in runs(root)
        for job in jobs_of(root, run.run_id)
        for record in commit_records(root, job)
        if any(entry.path in open_files for commit in read_record(record.path) for entry in commit.files)
    }
    paths = [path for folder in _RECORDS for path in sorted((root / folder).rglob("[!.]*.json*"))]
    names = [str(path.relative_to(root)) for path in paths] + ["_retention.json"]
    return [name for name in names if name not in left_out and (root / name).exists()]


def _pull_folder(store: ObjectStore, root: Path, folder: str, entries: list[FileEntry], known: set[str]) -> list[str]:
    """Exchange one partition for what the manifest says; the files fetched."""
    target = root / folder
    wanted = {Path(entry.path).name: entry for entry in entries}
    present = {path.name for path in target.glob("*.parquet")} if target.is_dir() else set()
    gone = {name for name in present - set(wanted) if run_of(name) in known}
    new = [entry for name, entry in wanted.items() if name not in present or digest_of(target / name) != entry.sha256]
    if not new and not gone:
        return []
    draft = draft_folder(root)
    for entry in new:
        store.fetch(entry, draft / Path(entry.path).name)
    make_folders(target)
    with exchanging(root):
        link_others(target, draft, gone | {Path(entry.path).name for entry in new})
        exchange(target, draft)
    return [entry.path for entry in new]


def _pull_record(store: ObjectStore, root: Path, name: str, digest: str) -> None:
    path = root / name
    if path.exists() and digest_of(path) == digest:
        return
    blob = store.read(name)
    if sha256(blob) != digest:
        raise LakeError(f"{shown(store.address)}: {name} is not what the manifest says; push the lake again")
    write_atomically(path, blob)


def _opened(address: str) -> tuple[pa.fs.FileSystem, str]:
    """S3 with small objects in one PUT, instead of an upload in parts."""
    parts = urlsplit(address)
    if parts.scheme != "s3":
        files, folder = pa.fs.FileSystem.from_uri(address)
        return files, str(folder)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    for name in _FLAGS & set(options):
        options[name] = options[name] == "true"
    return pa.fs.S3FileSystem(**options, allow_delayed_open=True), unquote(parts.netloc + parts.path)


def _check_inside(path: str) -> None:
    """ValueError where a path of a manifest leads out of the lake."""
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path} lies outside of the lake")


def shown(address: str) -> str:
    """Without what follows '?', where keys may stand."""
    return mask_credentials(address.partition("?")[0])
