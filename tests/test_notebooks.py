"""The notebooks run from their first cell to their last, over lakes written here; the first one's numbers are exact."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from retail_ray.core.records import CoverageRow
from retail_ray.lake.codecs import Record
from tests.support.small_lake import MINUTE_US, TEN_US, full_tables, site_row, write_lake

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PICTURES = {
    "start_here": 2,
    "footfall_and_conversion": 2,
    "journeys_and_dwell": 4,
    "queues": 3,
    "identity_and_accuracy_audit": 2,
    "recount_what_if": 1,
}

# jupyter's own: a selector event loop is asked for through a policy that Python 3.16 will drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq")


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a notebook over a lake with this very interpreter; `more` is code that is run behind it."""
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

    def run(name: str, lake: Path, more: str = "") -> NotebookNode:
        monkeypatch.setenv("RETAIL_RAY_LAKE", str(lake))
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        if more:
            notebook.cells.append(nbformat.v4.new_code_cell(more))
        resources = {"metadata": {"path": str(NOTEBOOKS)}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
        return notebook

    return run


def pictures(notebook: NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


NUMBERS = """
import json
print(json.dumps({
    "share": coverage.pandas().set_index("camera_id").coverage.to_dict(),
    "hours": [f"{at:%H}" for at in footfall.pandas().start],
    "entries": footfall.pandas().entries.tolist(), "exits": footfall.pandas().exits.tolist(),
    "dwell": dwell.pandas()[["zone_id", "visits", "censored", "median_dwell_s"]].fillna(-1).values.tolist(),
    "people": len(people), "cameras": people.pandas().cameras.tolist(),
}))
"""


def test_exact_numbers_of_a_lake(execute: Any, tmp_path: Path) -> None:
    """The hours are those of the shop, the one without a crossing is there, turn-backs are left out."""
    minutes_us = [TEN_US + number * MINUTE_US for number in range(126)]
    recorded: list[Record] = [
        CoverageRow(camera, minute_us, 600, frames, 600 - frames, reason)
        for camera, frames, reason in (("door", 600, ""), ("hall", 450, "behind"))
        for minute_us in minutes_us
    ]
    lake = write_lake(tmp_path / "lake", full_tables() | {"coverage": recorded})
    notebook = execute("start_here", lake, NUMBERS)
    assert json.loads(notebook.cells[-1].outputs[0].text) == {
        "share": {"door": 1.0, "hall": 0.75},
        "hours": ["10", "11", "12"],
        "entries": [2, 0, 1],
        "exits": [0, 0, 1],
        "dwell": [["shelf", 2, 1, 25.0], ["till", 0, 0, -1]],
        "people": 1,
        "cameras": [2],
    }
    assert pictures(notebook) == 2


def test_a_site_that_saw_nobody(execute: Any, tmp_path: Path) -> None:
    tables: dict[str, list[Record]] = {
        "sites": [site_row([])],
        "coverage": [CoverageRow("door", TEN_US, 600, 0, 0, "down")],
    }
    assert pictures(execute("start_here", write_lake(tmp_path / "lake", tables))) == 2


def test_a_missing_lake_says_what_to_do(execute: Any, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"There is no lake at .*nowhere\. Run `make demo` first"):
        execute("start_here", tmp_path / "nowhere")


def test_a_lake_without_a_commit_says_so(execute: Any, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="no run has committed anything yet"):
        execute("start_here", tmp_path)


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_every_notebook_over_a_simulated_shop(execute: Any, simulated_shop: Path, name: str) -> None:
    assert pictures(execute(name, simulated_shop / "lake")) == PICTURES[name]


@pytest.mark.ray
def test_ray_data_polars_and_sql_count_the_same(execute: Any, simulated_shop: Path) -> None:
    notebook = execute("sql_and_ray_data", simulated_shop / "lake")
    assert notebook.cells[-1].outputs[-1].text.endswith("boxes, three ways\n")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_output_is_kept_in_the_repository(path: Path) -> None:
    """Outputs would carry numbers of somebody's shop, and change with every run."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {*PICTURES, "sql_and_ray_data"}
