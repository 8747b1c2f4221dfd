"""A job in a process of its own, which kills itself at one of the steps that it is watched in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_WATCHED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{repository!r}]
root, left = Path(sys.argv[1]), int(sys.argv[2])
def watched(owner, *names):
    for name in names:
        watch(owner, name)
def watch(owner, name):
    original = getattr(owner, name)
    def step(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(owner, name, step)
"""
_COUNTED = "\nprint(int(sys.argv[2]) - left)\n"


def kill_at(job: str, root: Path, step: int) -> subprocess.CompletedProcess[str]:
    """Run a script that works on `root` and calls `watched(owner, *names)`; killed at the step with this number.

    A job with fewer steps ends by itself and prints how many it took.
    """
    script = _WATCHED.format(repository=str(_REPOSITORY)) + job + _COUNTED
    command = [sys.executable, "-c", script, str(root), str(step)]
    return subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)
