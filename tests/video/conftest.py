"""One set of generated clips for the whole room; they take about a second to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.video import clips


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in clips.KINDS:
        clips.write_kind(folder, name)
    return folder
