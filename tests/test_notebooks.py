"""The notebook runs from its first cell to its last, over lakes written here, and shows their exact numbers."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from retail_ray.core.records import (
    CoverageRow,
)
from retail_ray.core.time import to_us
from retail_ray.lake.codecs import Record

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "start_here.ipynb"
MINUTE_US = 60_000_000
TEN_US = to_us(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))  # 10:00 in Rome
NAN = float("nan")

# jupyter's own: a selector event loop is asked for through a policy that Python 3.16 will drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq")


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the notebook over a lake with this very interpreter; `more` is code that is run behind it."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (kernel / "kernel.json").write_text(json.dumps(spec))
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))

    def run(lake: Path, more: str = "") -> NotebookNode:
        monkeypatch.setenv("RETAIL_RAY_LAKE", str(lake))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        if more:
            notebook.cells.append(nbformat.v4.new_code_cell(more))
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
        return notebook

    return run


def pictures(notebook: NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


NUMBERS = """
print(json.dumps({
    "share": dict(zip(coverage.camera_id, coverage.share)),
    "hours": [f"{at:%H}" for at in footfall.index],
    "entries": footfall.entries.tolist(), "exits": footfall.exits.tolist(),
    "dwell": dwell.reset_index().fillna(-1).values.tolist(),
    "tracks": tracks.ngroups, "people": len(people), "cameras": people.cameras.tolist(),
}))
"""


def test_exact_numbers_of_a_lake(execute: Any, tmp_path: Path) -> None:
    """The hours are those of the shop, the one without a crossing is there, turn-backs are left out."""
    notebook = execute(write_lake(tmp_path / "lake", full_tables()), NUMBERS)
    assert json.loads(notebook.cells[-1].outputs[0].text) == {
        "share": {"door": 1.0, "hall": 0.75},
        "hours": ["10", "11", "12"],
        "entries": [2, 0, 1],
        "exits": [0, 0, 1],
        "dwell": [["shelf", 2, 1, 25.0], ["till", 0, 0, -1]],
        "tracks": 2,
        "people": 1,
        "cameras": [2],
    }
    assert pictures(notebook) == 3


def test_a_site_that_saw_nobody(execute: Any, tmp_path: Path) -> None:
    tables: dict[str, list[Record]] = {
        "sites": [site_row([])],
        "coverage": [CoverageRow("door", TEN_US, 600, 0, 0, "down")],
    }
    assert pictures(execute(write_lake(tmp_path / "lake", tables))) == 3


def test_a_missing_lake_says_what_to_do(execute: Any, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"There is no lake at .*nowhere\. Run `make demo` first"):
        execute(tmp_path / "nowhere")


def test_a_lake_without_a_commit_says_so(execute: Any, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="no run has committed anything yet"):
        execute(tmp_path)


def test_no_output_is_kept_in_the_repository() -> None:
    """Outputs would carry numbers of somebody's shop, and change with every run."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
