"""Plain files that survive a crash: names, atomic writes, and errors that say what to do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from retail_ray.core.errors import LakeError

_NAME = re.compile(r"\w[\w.-]{0,59}")
_RUN = re.compile(r"\w[\w.]{0,59}")

_ADVICE = {
    errno.ENOSPC: "the disk is full: free space (retention, older lakes) and start again; what is committed is intact",
    errno.EDQUOT: "the disk quota is used up: free space and start again; what is committed is intact",
    errno.EROFS: "the file system is read-only: mount it writable or choose another lake folder",
    errno.EACCES: "no permission: run as the folder's owner, or grant write permission",
    errno.EPERM: "no permission: run as the folder's owner, or grant write permission",
    errno.ENOTDIR: "a part of this path is a file: choose a lake address that is a folder",
    errno.EEXIST: "a part of this path is a file: choose a lake address that is a folder",
    errno.EISDIR: "a folder stands where a file belongs: remove it",
    errno.ENOENT: "it is missing: was the lake moved or cleaned while it was in use?",
    errno.ENAMETOOLONG: "the name is too long: use shorter ids",
}


def check_name(kind: str, name: str) -> str:
    """`name` if it can be part of a file name; run ids also hold no '-', which separates the parts."""
    pattern = _RUN if kind == "run" else _NAME
    if not pattern.fullmatch(name):
        allowed = "letters, digits, '_' and '.'" + ("" if kind == "run" else " and '-'")
        raise LakeError(
            f"{kind} id {name!r} cannot name a file: use 1 to 60 {allowed}, beginning with a letter or digit"
        )
    return name


@contextmanager
def lake_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a LakeError that names the path and what to do."""
    try:
        yield
    except LakeError:
        raise
    except OSError as error:
        place = error.filename or path
        advice = _ADVICE.get(error.errno or 0, str(error))
        raise LakeError(f"cannot {doing} {place}: {advice}") from error


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file for a while; LakeError with this refusal when another process holds it."""
    with lake_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise LakeError(f"{path}: {refusal}") from error
        yield


def sha256(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def make_folders(folder: Path) -> None:
    """mkdir -p whose new entries survive a power cut."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for parent in missing:
        sync_folder(parent.parent)


def sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, blob: bytes) -> None:
    """Readers see the old file, the new file or none: never a part of it."""
    make_folders(path.parent)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(blob)
    sync_file(draft)
    draft.rename(path)
    sync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Content of a record of the lake, or LakeError naming the file; FileNotFoundError stays."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise LakeError(f"{path}: the record is damaged ({error}); restore it from a copy of the lake") from error
