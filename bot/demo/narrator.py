"""Says what happens, when, and how long it took; and when something takes long, that it goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE: Final = 4.0
"""Seconds without a word after which people wonder."""


class Narrator:
    """The terminal's side of a story."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.steps = 0

    def say(self, text: str) -> None:
        """Progress."""
        self._line("…", text)

    def chapter(self, text: str) -> None:
        """A heading."""
        print(f"\n{text}", flush=True)

    @asynccontextmanager
    async def step(self, text: str) -> AsyncIterator[None]:
        """One step: told once it is done, and meanwhile if it takes long."""
        before = time.monotonic()
        still = asyncio.create_task(self._still(text, before))
        try:
            yield
        except Exception:
            self._line("✗", text)
            raise
        finally:
            still.cancel()
        self.steps += 1
        self._line("✓", f"{text}  ({time.monotonic() - before:.2f} s)")

    async def _still(self, text: str, since: float) -> None:
        while True:
            await asyncio.sleep(PATIENCE)
            self._line("…", f"still: {text} ({time.monotonic() - since:.0f} s)")

    def _line(self, sign: str, text: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s]   {sign} {text}", flush=True)
