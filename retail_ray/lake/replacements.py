"""The ledger of rewritten files: which files of a run stand for those that its commit records name.

    <lake>/_replacements/<run>/<table>~<date>~<site>~<digest>.json

Written before the folder is exchanged, so a record whose inputs are still there has not happened: the next job of
maintenance removes it. Commit records are never changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from retail_ray.core.errors import LakeError
from retail_ray.lake.epochs import FileEntry, commits
from retail_ray.lake.files import check_name, lake_errors, read_json, sync_file, write_json
from retail_ray.lake.locks import exchanging, maintaining
from retail_ray.lake.partitions import draft_folder, drop_drafts, empty_aside, exchange, link_others

LEDGER: Final = "_replacements"
MERGED: Final = "all."
"""Begins the writer's part of a rewritten file's name: no camera's id holds a dot."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Files of one run in one partition that gave way to others; `inputs` are names within `folder`.

    cause: the receipt of a deletion.
    """

    kind: Literal["compaction", "deletion"]
    run_id: str
    folder: str
    inputs: tuple[str, ...]
    outputs: tuple[FileEntry, ...]
    rows_before: int
    cause: str = ""

    @property
    def rows_after(self) -> int:
        return sum(entry.rows for entry in self.outputs)

    def happened(self, lake_root: Path) -> bool:
        """Whether the folder was exchanged: no input is left."""
        folder = Path(lake_root) / self.folder
        return not any((folder / name).exists() for name in self.inputs)


@contextmanager
def maintenance(lake_root: Path) -> Iterator[None]:
    """One job of maintenance, after tidying up what an earlier one left when it was cut off."""
    root = Path(lake_root)
    if not root.is_dir():
        raise LakeError(f"{root}: no lake here; correct the address")
    with maintaining(root):
        tidy_up(root)
        yield


def tidy_up(lake_root: Path) -> None:
    """Remove drafts, what was put aside, and records of exchanges that did not happen. Call under `maintaining`."""
    drop_drafts(lake_root)
    empty_aside(lake_root)
    for path in _record_paths(lake_root):
        if not read_replacement(path).happened(lake_root):
            path.unlink()


def replacements(lake_root: Path, run_id: str | None = None) -> list[Replacement]:
    """Those that happened, of one run or all."""
    found = (read_replacement(path) for path in _record_paths(lake_root, run_id))
    return [replacement for replacement in found if replacement.happened(lake_root)]


def unfinished(lake_root: Path) -> list[Path]:
    """Records of exchanges that did not happen."""
    return [path for path in _record_paths(lake_root) if not read_replacement(path).happened(lake_root)]


def read_replacement(path: Path) -> Replacement:
    """LakeError where the record is damaged."""
    with lake_errors("read", path):
        content = read_json(path)
    try:
        outputs = tuple(FileEntry(**entry) for entry in content["outputs"])
        return Replacement(**content | {"inputs": tuple(content["inputs"]), "outputs": outputs})
    except (TypeError, KeyError) as error:
        raise LakeError(f"{path}: not a record of replaced files ({error}); restore it from a copy") from error


def current_files(lake_root: Path, run_id: str) -> dict[str, FileEntry]:
    """By path, the files with rows that a run should have now: committed, or written in the place of such.

    Files that retention took away stand here too.
    """
    done = replacements(lake_root, run_id)
    entries = all_files(lake_root, run_id)
    gone = {f"{replacement.folder}/{name}" for replacement in done for name in replacement.inputs}
    return {path: entry for path, entry in entries.items() if entry.kind == "rows" and path not in gone}


def all_files(lake_root: Path, run_id: str) -> dict[str, FileEntry]:
    """By path, every file that a run has or ever had."""
    entries = {entry.path: entry for commit in commits(lake_root, run_id) for entry in commit.files}
    done = replacements(lake_root, run_id)
    return entries | {entry.path: entry for replacement in done for entry in replacement.outputs}


def replace(
    lake_root: Path,
    kind: Literal["compaction", "deletion"],
    inputs: Sequence[FileEntry],
    rewrite: Rewrite,
    cause: str = "",
) -> Replacement:
    """Exchange files of one run and partition for what `rewrite` makes of them. Call under `maintenance`.

    `rewrite` gets a path and writes one Parquet file there, or none, and returns the rows written.
    LakeError where an input vanished meanwhile (its run was superseded): nothing has changed then.
    """
    root, first = Path(lake_root), inputs[0]
    folder, run_id = first.path.rpartition("/")[0], run_of(first.path)
    draft = draft_folder(root)
    names = tuple(sorted(Path(entry.path).name for entry in inputs))
    with lake_errors("rewrite", root / folder):
        outputs = _outputs(draft, first.table, folder, f"{run_id}-{max(map(epoch_of, names)):06d}", rewrite)
        record = Replacement(kind, run_id, folder, names, outputs, sum(entry.rows for entry in inputs), cause)
        digest = hashlib.sha256("\n".join([kind, *names]).encode()).hexdigest()[:12]
        ledger = root / LEDGER / check_name("run", run_id) / f"{folder.replace('/', '~')}~{digest}.json"
        with exchanging(root):
            vanished = [name for name in names if not (root / folder / name).exists()]
            if vanished:
                raise LakeError(f"{root / folder / vanished[0]}: it vanished while it was rewritten; ask again")
            link_others(root / folder, draft, names)
            write_json(ledger, asdict(record))
            exchange(root / folder, draft)
    return record


Rewrite = Callable[[Path], int]


def run_of(path: str) -> str:
    """The run in a file's name; LakeError where it is not of the form <writer>-<run>-<epoch>.parquet."""
    return _parts(path)[-2]


def epoch_of(path: str) -> int:
    return int(_parts(path)[-1])


def _parts(path: str) -> list[str]:
    parts = Path(path).stem.split("-")
    if len(parts) < 3 or not parts[-1].isdecimal():
        raise LakeError(f"{path}: not named <writer>-<run>-<epoch>.parquet; move it out of the lake")
    return parts


def _outputs(draft: Path, table: str, folder: str, ending: str, rewrite: Rewrite) -> tuple[FileEntry, ...]:
    made = draft / ".new"
    rows = rewrite(made)
    if not rows:
        made.unlink(missing_ok=True)
        return ()
    sync_file(made)
    digest = digest_of(made)
    name = f"{MERGED}{digest[:12]}-{ending}.parquet"
    made.rename(draft / name)
    writer = name.partition("-")[0]
    return (FileEntry("rows", writer, table, f"{folder}/{name}", digest, rows, (draft / name).stat().st_size),)


def digest_of(path: Path) -> str:
    """sha256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record_paths(lake_root: Path, run_id: str | None = None) -> list[Path]:
    ledger = Path(lake_root) / LEDGER
    return sorted(ledger.glob(f"{run_id or '*'}/[!.]*.json"))
