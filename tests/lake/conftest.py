"""Records, file-system steps that can fail, and small disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def on_each_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Call a function with the number of every file-system step, counted from 1, just before the step is taken."""
    current: list[Callable[[int], None]] = []
    count = 0

    def watched(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            for hook in current:
                hook(count)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, step)

    for name in ("rename", "write_bytes", "unlink", "mkdir"):
        watched(Path, name)
    watched(os, "fsync")
    watched(shutil, "rmtree")

    def install(hook: Callable[[int], None]) -> None:
        nonlocal count
        current[:], count = [hook], 0

    return install


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this user may not mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
