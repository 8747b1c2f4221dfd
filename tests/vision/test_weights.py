"""Known weights and their download, from a loopback server that misbehaves."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from retail_ray.core.errors import WeightsError
from retail_ray.vision import weights as weights_module
from retail_ray.vision.download import ATTEMPTS, Asset, download
from retail_ray.vision.weights import (
    default_cache_dir,
    default_models_dir,
    downloads_dir,
    fetch,
    known_weights,
    locate,
    models_table,
)

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@dataclass
class Behaviour:
    """What the server serves, and how it fails; `requested` keeps the Range header of every request."""

    content: bytes = CONTENT
    cut_after_bytes: int | None = None
    ignores_range: bool = False
    status: int = 200
    requested: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        behaviour = self.behaviour
        wanted = self.headers.get("Range")
        behaviour.requested.append(wanted)
        if behaviour.status != 200:
            self.send_error(behaviour.status)
            return
        start = 0
        if wanted and not behaviour.ignores_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(behaviour.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(behaviour.content) - 1}/{len(behaviour.content)}")
        else:
            self.send_response(200)
        body = behaviour.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: behaviour.cut_after_bytes])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[Behaviour, Asset]]:
    behaviour = Behaviour()
    handler = type("BehavingHandler", (Handler,), {"behaviour": behaviour})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{http.server_address[1]}/model.pt"
    try:
        yield behaviour, Asset("model.pt", url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def get(asset: Asset, folder: Path) -> Path:
    return download(asset, folder, show_progress=False, retry_wait_s=0)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_comes_whole_and_only_once(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    for _ in range(2):
        path = download(asset, tmp_path / "new" / "folder", show_progress=True, retry_wait_s=0)
        assert path.read_bytes() == CONTENT
    assert behaviour.requested == [None]
    assert files(path.parent) == ["model.pt"]


def test_a_connection_cut_midway_goes_on_where_it_stopped(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    behaviour.cut_after_bytes = 1_100_000
    assert get(asset, tmp_path).read_bytes() == CONTENT
    starts = [int(r.removeprefix("bytes=").rstrip("-")) for r in behaviour.requested[1:] if r is not None]
    assert len(starts) == 2
    assert starts == sorted(set(starts))


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    (tmp_path / "model.pt.part").write_bytes(CONTENT[:1_234_567])
    assert get(asset, tmp_path).read_bytes() == CONTENT
    assert behaviour.requested == ["bytes=1234567-"]
    assert files(tmp_path) == ["model.pt"]


def test_a_server_without_ranges_starts_again_from_the_first_byte(
    server: tuple[Behaviour, Asset], tmp_path: Path
) -> None:
    behaviour, asset = server
    behaviour.ignores_range = True
    (tmp_path / "model.pt.part").write_bytes(b"x" * 1000)
    assert get(asset, tmp_path).read_bytes() == CONTENT


def test_a_connection_that_never_gives_a_byte_is_given_up(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    behaviour.cut_after_bytes = 0
    with pytest.raises(WeightsError, match="put it at"):
        get(asset, tmp_path)
    assert len(behaviour.requested) == ATTEMPTS
    assert "model.pt" not in files(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CONTENT[:-1] + b"?", "sha256"),
        (CONTENT + b"more", "3000001 bytes|3000004 bytes|gave another file"),
        (b"<html>no such model</html>", "no further bytes"),
    ],
)
def test_another_file_is_thrown_away(
    content: bytes, reason: str, server: tuple[Behaviour, Asset], tmp_path: Path
) -> None:
    behaviour, asset = server
    behaviour.content = content
    behaviour.ignores_range = True
    with pytest.raises(WeightsError, match=reason):
        get(asset, tmp_path)
    assert "model.pt" not in files(tmp_path)
    behaviour.content = CONTENT
    assert get(asset, tmp_path).read_bytes() == CONTENT


def test_a_remainder_of_another_file_is_found_out(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    _, asset = server
    (tmp_path / "model.pt.part").write_bytes(b"y" * 1000)
    with pytest.raises(WeightsError, match="gave another file than expected"):
        get(asset, tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_refusal_names_file_address_and_place(status: int, server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    behaviour.status = status
    with pytest.raises(WeightsError, match=str(status)) as raised:
        get(asset, tmp_path)
    assert asset.url in str(raised.value)
    assert asset.sha256 in str(raised.value)
    assert str(tmp_path / "model.pt") in str(raised.value)


def test_without_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    asset = Asset("model.pt", "http://127.0.0.1:9/model.pt", 10, "0" * 64)
    with pytest.raises(WeightsError, match=r"on a machine with network get http://127\.0\.0\.1:9/model\.pt"):
        get(asset, tmp_path)


def test_several_at_once_download_once(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    behaviour, asset = server
    with ThreadPoolExecutor(6) as pool:
        paths = set(pool.map(lambda _: get(asset, tmp_path), range(6)))
    assert len(paths) == 1
    assert paths.pop().read_bytes() == CONTENT
    assert len(behaviour.requested) == 1


def test_a_folder_that_cannot_be_written_is_named(server: tuple[Behaviour, Asset], tmp_path: Path) -> None:
    _, asset = server
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WeightsError, match="cannot be written"):
        get(asset, tmp_path / "file" / "weights")


def test_known_weights_are_complete() -> None:
    known = known_weights()
    assert {"yolo11n.pt", "yolo11x.pt", "osnet_x0_25_msmt17.pt", "sam_vit_b_01ec64.pth"} <= set(known)
    for name, entry in known.items():
        assert entry.name == name
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert entry.url is None or entry.url.startswith("https://")
        assert entry.size_bytes > 500_000
        assert entry.task in {"detector", "embedder", "segmenter"}
        assert entry.licence


def test_weights_that_come_with_the_package_are_there_and_small(tmp_path: Path) -> None:
    shipped = {name: entry for name, entry in known_weights().items() if entry.url is None}
    assert {entry.task for entry in shipped.values()} == {"detector", "embedder", "segmenter"}
    assert sum(entry.size_bytes for entry in shipped.values()) < 20_000_000
    for name, entry in shipped.items():
        assert entry.size_bytes < 8_000_000
        assert entry.shipped_path is not None
        content = entry.shipped_path.read_bytes()
        assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert locate(name, None, tmp_path) == entry.shipped_path == fetch(name, None, tmp_path, show_progress=False)
        assert {row.weights.name: row.path for row in models_table(None, tmp_path)}[name] == entry.shipped_path


def test_shipped_weights_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "SHIPPED_DIR", tmp_path)
    with pytest.raises(WeightsError, match="missing or changed"):
        locate("demo_detector.pt", None, tmp_path)
    (tmp_path / "demo_detector.pt").write_bytes(b"other")
    with pytest.raises(WeightsError, match="install retail_ray again"):
        fetch("demo_detector.pt", None, tmp_path)


def test_weights_for_simulated_people_are_told_by_their_content(tmp_path: Path) -> None:
    copied = tmp_path / "yolo11n.pt"
    copied.write_bytes(locate("demo_detector.pt", None, tmp_path).read_bytes())
    found = weights_module.simulated_only(copied)
    assert found is not None
    assert (found.name, found.instead) == ("demo_detector.pt", "yolo11n.pt")
    copied.write_bytes(copied.read_bytes()[:-1] + b"?")
    assert weights_module.simulated_only(copied) is None
    assert weights_module.simulated_only(tmp_path) is None


def test_the_osnet_entry_describes_the_shared_file(shared_data: Path) -> None:
    content = (shared_data / "weights/osnet_x0_25_msmt17.pth").read_bytes()
    entry = known_weights()["osnet_x0_25_msmt17.pt"]
    assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def small_known(server: tuple[Behaviour, Asset], monkeypatch: pytest.MonkeyPatch) -> str:
    """`yolo11n.pt` as the loopback server has it."""
    _, asset = server
    entry = known_weights()["yolo11n.pt"]
    small = replace(entry, url=asset.url, size_bytes=asset.size_bytes, sha256=asset.sha256)
    table = {**known_weights(), "yolo11n.pt": small}
    monkeypatch.setattr(weights_module, "known_weights", lambda: table)
    return "yolo11n.pt"


def test_weights_are_looked_for_as_path_then_models_folder_then_cache(small_known: str, tmp_path: Path) -> None:
    models, cache = tmp_path / "models", tmp_path / "cache"
    assert fetch(small_known, models, cache, show_progress=False) == downloads_dir(cache) / small_known
    assert locate(small_known, models, cache) == downloads_dir(cache) / small_known
    models.mkdir()
    (models / small_known).write_bytes(CONTENT)
    assert locate(small_known, models, cache) == models / small_known
    assert fetch(small_known, models, cache, show_progress=False) == models / small_known
    direct = tmp_path / "own.pt"
    direct.write_bytes(b"mine")
    assert locate(direct, models, cache) == direct
    assert {row.weights.name: row.path for row in models_table(models, cache)}[small_known] == models / small_known


def test_missing_weights_say_where_to_get_and_put_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as raised:
        locate("yolo11n.pt", tmp_path / "models", tmp_path)
    message = str(raised.value)
    assert "retail-ray models fetch yolo11n.pt" in message
    assert known_weights()["yolo11n.pt"].url in message
    assert f"put it into {tmp_path / 'models'}" in message
    with pytest.raises(WeightsError, match=r"known are yolo11n\.pt, yolo11s\.pt"):
        locate("yolo12n.pt", None, tmp_path)
    with pytest.raises(WeightsError, match="not a known name"):
        fetch("yolo12n.pt", None, tmp_path, show_progress=False)


def test_a_truncated_copy_is_refused(small_known: str, tmp_path: Path) -> None:
    (tmp_path / small_known).write_bytes(CONTENT[:1000])
    with pytest.raises(WeightsError, match="has 1000 bytes instead of 3000000"):
        locate(small_known, tmp_path, tmp_path / "cache")


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_RAY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("RETAIL_RAY_CACHE", str(tmp_path / "cache"))
    assert (default_models_dir(), default_cache_dir()) == (tmp_path / "models", tmp_path / "cache")
    monkeypatch.delenv("RETAIL_RAY_MODELS")
    monkeypatch.delenv("RETAIL_RAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert (default_models_dir(), default_cache_dir()) == (None, tmp_path / "xdg/retail-ray")
