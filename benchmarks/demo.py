"""How long the demo takes after set-up: `python -m benchmarks.demo [--out FILE] [--offline]`  ->  results/demo.json.

Starts `jobs.demo` as a user does, waits until its page and its API answer, and ends it by its process id. --offline
does all of it in a network namespace of its own that has the loopback alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.environment import RESULTS, describe

OUTSIDE = ("192.0.2.1", 443)
"""An address of documentation (RFC 5737): nobody answers there; only without any network is there no way to it."""
LIMIT_S = 900.0
ENDS_WITHIN_S = 60.0
POLL_S = 0.5
INSIDE = "--inside-the-namespace"


def offline_command() -> list[str] | None:
    """What puts a command into a network of its own with loopback; None where this machine does not allow it."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if unshare is None or ip is None:
        return None
    prefix = [unshare, "--user", "--map-root-user", "--net", "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else None


def watched_demo(folder: Path) -> dict[str, Any]:
    """Seconds by part, and what page and API answered."""
    port, began = _free_port(), time.monotonic()
    command = [sys.executable, "-m", "jobs.demo", "--out", str(folder), "--port", str(port)]
    told = folder.parent / "demo.log"
    with told.open("w", encoding="utf-8") as log:
        started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            answered = _first_answers(started, port, began)
        except RuntimeError:
            sys.stderr.write(told.read_text(encoding="utf-8"))
            raise
        finally:
            _end(started)
    parts: dict[str, float] = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    total_s = answered["total_s"]
    return {
        "parts_s": parts | {"start of Python, and of the page": round(total_s - sum(parts.values()), 2)},
        **answered,
        "exit_code": started.returncode,
        "network_within_reach": _reaches(OUTSIDE),
    }


def _first_answers(started: subprocess.Popen[bytes], port: int, began: float) -> dict[str, Any]:
    stats = json.loads(_answer(started, f"http://127.0.0.1:{port}/v1/stats"))
    page = _answer(started, f"http://127.0.0.1:{port}/").decode()
    return {"total_s": round(time.monotonic() - began, 2), "stats": stats, "page_is_html": "<html" in page.lower()}


def _answer(started: subprocess.Popen[bytes], url: str) -> bytes:
    """The body, as soon as there is one. RuntimeError where the demo ended before, or does not answer in time."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if started.poll() is not None:
            raise RuntimeError(f"the demo ended with code {started.returncode} before {url} answered")
        try:
            with urlopen(url, timeout=10) as response:
                body: bytes = response.read()
                return body
        except (OSError, HTTPException):
            time.sleep(POLL_S)
    raise RuntimeError(f"{url} did not answer within {LIMIT_S:g} s")


def _end(started: subprocess.Popen[bytes]) -> None:
    """As a service manager does; killed where it does not end."""
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
    try:
        started.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _reaches(address: tuple[str, int]) -> bool:
    """Whether this process has a way out at all; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "demo.json")
    parser.add_argument("--offline", action="store_true", help="without any network")
    parser.add_argument(INSIDE, dest="inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.offline and not arguments.inside:
        prefix = offline_command()
        if prefix is None:
            parser.error("this machine does not let a user make a network namespace (unshare --user --net)")
        again = [*prefix, sys.executable, "-m", "benchmarks.demo", "--out", str(arguments.out), "--offline", INSIDE]
        sys.exit(subprocess.run(again, check=False).returncode)
    measured_on = describe()
    with tempfile.TemporaryDirectory() as folder:
        found = watched_demo(Path(folder) / "demo") | {"measured_on": measured_on}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: found[key] for key in ("parts_s", "total_s", "network_within_reach")}, indent=1))


if __name__ == "__main__":
    main()
