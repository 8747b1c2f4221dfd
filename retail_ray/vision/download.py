"""Downloads a file whole or not at all: resumed, verified, moved into place in one step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from retail_ray.core.errors import WeightsError
from retail_ray.core.uris import mask_credentials
from retail_ray.vision.networks import file_sha256
from retail_ray.vision.process_lock import locked

ATTEMPTS = 5
BLOCK_BYTES = 1 << 20
TIMEOUT_S = 30.0
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file somewhere on the network, and what it must turn out to be."""

    name: str
    url: str
    size_bytes: int
    sha256: str


def download(asset: Asset, folder: Path, *, show_progress: bool = True, retry_wait_s: float = 1.0) -> Path:
    """`folder / asset.name`, downloaded unless it is there already.

    An interrupted download goes on where it stopped, also in a later call. Processes that ask for the same file at
    once wait for the first. Raises WeightsError; the file itself exists only whole and verified.
    """
    path = folder / asset.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{asset.name}.lock")):
            if not path.is_file() or path.stat().st_size != asset.size_bytes:
                part = path.with_name(f"{asset.name}.part")
                with _progress(asset, show_progress) as progress:
                    _fill(asset, part, progress, retry_wait_s)
                _verify(asset, part)
                part.replace(path)
    except requests.RequestException as error:
        raise WeightsError(_by_hand(asset, folder, mask_credentials(str(error)))) from error
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: cannot be written ({error}); free space or choose another folder") from error
    return path


def _fill(asset: Asset, part: Path, progress: Progress, retry_wait_s: float) -> None:
    """Append to `part` until it has the asset's size; gives up after `ATTEMPTS` tries without a new byte."""
    failures = 0
    while _size(part) < asset.size_bytes:
        before = _size(part)
        try:
            _request_rest(asset, part, progress)
            if _size(part) <= before:
                raise requests.ConnectionError("the server sent no further bytes")
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
            failures = 0 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise
            time.sleep(retry_wait_s * failures)


def _request_rest(asset: Asset, part: Path, progress: Progress) -> None:
    start = _size(part)
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {"Accept-Encoding": "identity"}
    with requests.get(asset.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise WeightsError(f"{asset.name}: {asset.url} is shorter than {start} bytes; it is another file now")
        response.raise_for_status()
        resumed = response.status_code == PARTIAL_CONTENT and _starts_at(response, start)
        with part.open("ab" if resumed else "wb") as file:
            _copy(asset, response, file, progress)


def _copy(asset: Asset, response: requests.Response, file: BinaryIO, progress: Progress) -> None:
    for block in response.iter_content(BLOCK_BYTES):
        file.write(block)
        if file.tell() > asset.size_bytes:
            break
        progress(file.tell())
    file.flush()
    os.fsync(file.fileno())


def _starts_at(response: requests.Response, start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _verify(asset: Asset, part: Path) -> None:
    found_bytes, found_sha256 = _size(part), file_sha256(part)
    if found_bytes != asset.size_bytes or found_sha256 != asset.sha256:
        part.unlink()
        raise WeightsError(
            f"{asset.name}: {asset.url} gave another file than expected and was thrown away: "
            f"{found_bytes} bytes, sha256 {found_sha256} instead of {asset.size_bytes} bytes, sha256 {asset.sha256}"
        )


def _by_hand(asset: Asset, folder: Path, reason: str) -> str:
    return (
        f"{asset.name} cannot be downloaded ({reason}); on a machine with network get {asset.url} "
        f"({asset.size_bytes} bytes, sha256 {asset.sha256}) and put it at {folder / asset.name}"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _progress(asset: Asset, show: bool) -> Iterator[Progress]:
    if not show:
        yield lambda _done_bytes: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(asset.name, total=asset.size_bytes)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)
