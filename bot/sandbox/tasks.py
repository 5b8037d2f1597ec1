"""Background work that ends with the sandbox, and whose mistakes are seen."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Keeps references, collects errors; `close` cancels what is left and raises the first error."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self.errors: list[BaseException] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def close(self) -> None:
        """Cancel what still waits; a sandbox with a fault of its own must not look healthy."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        own = [error for error in self.errors if not isinstance(error, ConnectionError)]
        if own:
            raise own[0]
