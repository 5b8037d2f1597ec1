"""Time, passed in: the sandbox never asks the machine what time it is.

Every expiry, retry, rate window and timestamp uses one `Clock`. A virtual clock makes "five minutes later" a
line in a test instead of a wait. Only the signature of an HTTP request uses real time, because its receiver
checks it against a clock of its own.
"""

import asyncio
import heapq
import time
from collections.abc import Coroutine
from itertools import count
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What the sandbox needs of time: seconds since 1970, and to wait."""

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds of this clock have passed."""
        ...


class WallClock:
    """Real time: for the demo, and for tests that never wait."""

    def now(self) -> float:
        """Seconds since 1970, by the machine."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)


class VirtualClock:
    """Time that stands still until `advance` moves it; it starts at the present, or where it is told."""

    def __init__(self, start: float | None = None) -> None:
        self._now = time.time() if start is None else start
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since 1970, as far as this clock has been moved."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed this moment."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers in their order and letting each do its work first."""
        target = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, waiting = heapq.heappop(self._sleepers)
            if waiting.done():  # its task was cancelled
                continue
            self._now = due
            waiting.set_result(None)
            await self._settle()
        self._now = target
        await self._settle()

    async def _settle(self) -> None:
        """A few turns of the loop, enough for local sockets to deliver what was just sent."""
        for _ in range(30):
            await asyncio.sleep(0)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; TimeoutError, and `work` cancelled, once `seconds` have passed."""
    working = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({working, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise TimeoutError(f"no answer within {seconds:g} s")
    finally:
        for task in (working, alarm):
            task.cancel()
