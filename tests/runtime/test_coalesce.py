"""Greedy batching: what waits while the device is busy goes in one batch, answers reach their askers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from retail_ray.runtime.coalesce import Coalescer


class Device:
    """A device that works when told to, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def work(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.release()
        self.free.acquire()
        if 13 in items:
            raise ValueError("13 is refused")
        return [item * 10 for item in items]


async def asked(coalescer: Coalescer[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(coalescer.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


def test_all_that_waits_becomes_one_batch() -> None:
    async def scenario() -> list[int]:
        coalescer = Coalescer(device.work, lambda _: 1, max_size=8)
        tasks = await asked(coalescer, [1, 2, 3, 4])
        await asyncio.to_thread(device.begun.acquire)
        tasks += await asked(coalescer, [5])
        device.free.release(2)
        return list(await asyncio.gather(*tasks))

    device = Device()
    assert asyncio.run(scenario()) == [10, 20, 30, 40, 50]
    assert device.batches == [[1], [2, 3, 4, 5]]


def test_a_batch_is_limited_by_size_and_holds_at_least_one() -> None:
    async def scenario() -> None:
        coalescer = Coalescer(device.work, lambda item: item, max_size=6)
        tasks = await asked(coalescer, [1, 9, 2, 4, 1])
        device.free.release(10)
        await asyncio.gather(*tasks)

    device = Device()
    asyncio.run(scenario())
    assert device.batches == [[1], [9], [2, 4], [1]]


def test_an_error_reaches_its_batch_only() -> None:
    async def scenario() -> list[int | BaseException]:
        coalescer = Coalescer(device.work, lambda _: 1, max_size=2)
        tasks = await asked(coalescer, [1, 13, 2, 3])
        device.free.release(10)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    device = Device()
    first, *refused, last = asyncio.run(scenario())
    assert (first, last) == (10, 30)
    assert all(isinstance(error, ValueError) for error in refused)


def test_a_caller_that_gave_up_disturbs_nobody() -> None:
    async def scenario() -> int:
        coalescer = Coalescer(device.work, lambda _: 1, max_size=2)
        first, gone, last = await asked(coalescer, [1, 2, 3])
        gone.cancel()
        device.free.release(10)
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first + await last

    device = Device()
    assert asyncio.run(scenario()) == 40


def test_lanes_work_at_the_same_time() -> None:
    async def scenario() -> None:
        coalescer = Coalescer(device.work, lambda _: 1, max_size=1, lanes=2)
        tasks = await asked(coalescer, [1, 2, 3])
        await asyncio.to_thread(device.begun.acquire)
        await asyncio.to_thread(device.begun.acquire)
        assert device.batches == [[1], [2]]
        device.free.release(10)
        await asyncio.gather(*tasks)

    device = Device()
    asyncio.run(scenario())
