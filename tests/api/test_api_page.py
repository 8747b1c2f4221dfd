from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from retail_ray.api.app import STATIC, create_app
from retail_ray.api.site import SiteInfo

END_US = 1_772_386_200_000_000  # 23:00 in Kolkata on the day of the lake
FILES = sorted(path.name for path in STATIC.iterdir())
NAMESPACES = {"http://www.w3.org/2000/svg"}  # a name, never fetched


def test_the_page_and_its_files_are_served_with_a_policy(client: TestClient) -> None:
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    referred = set(re.findall(r'(?:href|src)="(static/[^"]+)"', page.text))
    assert {name.removeprefix("static/") for name in referred} == set(FILES) - {"index.html"}
    for name in referred:
        assert client.get(f"/{name}").status_code == 200, name


@pytest.mark.parametrize("name", FILES)
def test_no_address_outside_the_machine(name: str) -> None:
    text = (STATIC / name).read_text()
    addresses = set(re.findall(r"(?:https?:|wss?:)?//[\w.-]+[^\s\"'`)<]*", re.sub(r"(?m)(^|\s)//\s.*$", "", text)))
    assert addresses <= NAMESPACES
    assert "@import" not in text
    assert not re.search(r"\beval\(|innerHTML|document\.write|new Function", text)


def test_the_page_keeps_to_its_policy() -> None:
    """No inline script, style or handler: the policy would block them."""
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_every_element_that_the_script_wants_is_there() -> None:
    page, script = (STATIC / "index.html").read_text(), (STATIC / "page.js").read_text()
    wanted = set(re.findall(r'(?:byId|setText|showEmpty)\(\s*"([\w-]+)"', script))
    present = re.findall(r'\sid="([\w-]+)"', page)
    assert len(wanted) > 20
    assert wanted <= set(present)
    assert len(present) == len(set(present))


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)


def rendered(url: str, profile: Path) -> str:
    """The page as a browser has drawn it, its text without the markup."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine to draw the page with")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"]
    flags += ["--virtual-time-budget=4000", "--window-size=1280,900", "--dump-dom"]
    done = subprocess.run([browser, *flags, url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def text_of(page: str, element: str) -> str:
    found = re.search(rf'<(\w+)[^>]*\sid="{element}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found is not None, element
    return re.sub(r"<[^>]+>", " ", found.group(2)).strip()


def test_a_browser_draws_the_numbers(lake_root: Path, site: SiteInfo, running: object, tmp_path: Path) -> None:
    app = create_app(lake_root, site, running, now_us=lambda: END_US)  # type: ignore[arg-type]
    with served(app) as url:
        page = rendered(url, tmp_path)
    assert text_of(page, "site-name") == "Harbour Street"
    assert (text_of(page, "now"), text_of(page, "entries"), text_of(page, "exits")) == ("14", "3", "1")
    assert text_of(page, "people") == "3"
    hours = re.findall(r"<title>(\d\d:\d\d–\d\d:\d\d: [^<]+)</title>", page)
    assert "10:00–11:00: 2 in, 0 out (coverage 50.0 %)" in hours
    assert "08:00–09:00: no video" in hours
    assert re.sub(r"\s+", " ", text_of(page, "zone-rows")).startswith("Checkout 3 20 s 52 s")
    assert "failed" in text_of(page, "camera-rows")
    assert 'id="notice" class="notice" role="alert" hidden' in page


def test_a_browser_draws_an_empty_lake_and_says_what_to_do(tmp_path: Path, site: SiteInfo) -> None:
    (tmp_path / "lake").mkdir()
    with served(create_app(tmp_path / "lake", site)) as url:
        page = rendered(url, tmp_path / "profile")
    assert "The lake is still empty" in text_of(page, "notice")
    assert "retail-ray run" in text_of(page, "notice")
    assert text_of(page, "entries") == "–"
    assert text_of(page, "coverage-share") == "0 %"
