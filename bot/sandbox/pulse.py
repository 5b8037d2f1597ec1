"""One heartbeat for every change, so that nobody has to poll."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Pulse:
    """Wakes everybody who waits for something to become true, at each change of state."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Something changed: let all who wait look again."""
        self._next.set()
        self._next = asyncio.Event()

    def coming(self) -> asyncio.Event:
        """Set by the next beat. Take it BEFORE you look, and no change is missed between look and wait."""
        return self._next

    async def wait_for(self, predicate: Callable[[], T | None], *, timeout: float) -> T:  # noqa: ASYNC109 - the deadline of a test, in real time
        """The first true value of `predicate`; TimeoutError after `timeout` real seconds."""
        async with asyncio.timeout(timeout):
            while True:
                if value := predicate():
                    return value
                await self._next.wait()
