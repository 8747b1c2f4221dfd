"""Greedy batching: whenever the device is free, take all that waits.

`serve.batch` cuts a batch before it waits for the device, so small batches pile up behind a busy GPU and
never merge; here the batch is cut at the moment the device becomes free.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Runs `work` on lists of waiting items, in threads, at most `lanes` at a time.

    size: cost of an item (frames); a batch takes items while their sizes sum to at most `max_size`, at least one.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        size: Callable[[Item], int],
        max_size: int,
        lanes: int = 1,
    ) -> None:
        self._work, self._size, self._max_size, self._lanes = work, size, max_size, lanes
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._busy: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """The result of this item; an error of its batch is raised to every item of the batch."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._dispatch()
        return await future

    def _dispatch(self) -> None:
        while self._waiting and len(self._busy) < self._lanes:
            task = asyncio.ensure_future(self._run(self._cut()))
            self._busy.add(task)
            task.add_done_callback(self._lane_is_free)

    def _lane_is_free(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._dispatch()

    def _cut(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = [self._waiting.popleft()]
        total = self._size(batch[0][0])
        while self._waiting and total + self._size(self._waiting[0][0]) <= self._max_size:
            batch.append(self._waiting.popleft())
            total += self._size(batch[-1][0])
        return batch

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await asyncio.to_thread(self._work, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - every waiting caller gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
