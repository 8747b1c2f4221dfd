"""Counting by keys: i in, o out, u undo, n next, q pause. The system's own count is never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retail_ray.audit.folder import Count, read_audit, read_counts, write_counts


@dataclass(slots=True)
class Counting:
    """Goes on where an earlier one stopped; each finished clip is on disk before the next one begins."""

    folder: Path
    done: list[Count] = field(init=False)
    left: list[tuple[str, str]] = field(init=False)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        clips = read_audit(self.folder).clips
        self.done = read_counts(self.folder, [clip_id for clip_id, _ in clips])
        counted = {count.clip_id for count in self.done}
        self.left = [clip for clip in clips if clip[0] not in counted]

    @property
    def clip(self) -> Path:
        """The clip to look at; there is one as long as `left` is not empty."""
        return self.folder / "clips" / f"{self.left[0][0]}.gif"

    @property
    def entries(self) -> int:
        return self.keys.count("i")

    @property
    def exits(self) -> int:
        return self.keys.count("o")

    def press(self, key: str) -> bool:
        """False for a key that means nothing here. Undo on an untouched clip goes back to the one before."""
        if key in ("i", "o"):
            self.keys.append(key)
        elif key == "u" and self.keys:
            self.keys.pop()
        elif key == "u" and self.done:
            self._back()
        elif key == "n":
            self._next()
        else:
            return False
        return True

    def _next(self) -> None:
        clip_id, _ = self.left[0]
        counts = [*self.done, Count(clip_id, self.entries, self.exits)]
        write_counts(self.folder, counts)
        self.done, self.left, self.keys = counts, self.left[1:], []

    def _back(self) -> None:
        before, lines = self.done[-1], dict(read_audit(self.folder).clips)
        write_counts(self.folder, self.done[:-1])
        self.done, self.left = self.done[:-1], [(before.clip_id, lines[before.clip_id]), *self.left]
        self.keys = ["i"] * before.entries + ["o"] * before.exits
