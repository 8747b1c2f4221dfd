"""A gate: many readers or one writer at a time, and writes from one thread alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from retail_ray.core.errors import WriterError


class OneWriter:
    """The first thread that writes is the writer until it hands over; a write waits for the readers inside.

    name: of what is guarded, for the message. A writer may read while it writes; a reader must not write.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._writing = 0
        self._readers = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """WriterError when another thread that still runs is the writer."""
        ours = threading.current_thread()
        with self._changed:
            if self._writer is not None and self._writer is not ours and self._writer.is_alive():
                raise WriterError(
                    f"{self._name}: thread '{ours.name}' wants to write, its writer is thread '{self._writer.name}': "
                    "there is one writer; let it do the change, or call hand_over() in it first"
                )
            self._writer = ours
            self._writing += 1
            self._changed.wait_for(lambda: self._readers == 0)
        try:
            yield
        finally:
            with self._changed:
                self._writing -= 1
                self._changed.notify_all()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Beside other readers; waits for the end of a write of another thread."""
        if self._writing and self._writer is threading.current_thread():
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: self._writing == 0)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    def hand_over(self) -> None:
        """The next thread that writes becomes the writer; WriterError unless called by the present one."""
        with self.writing():
            pass
        with self._changed:
            self._writer = None
