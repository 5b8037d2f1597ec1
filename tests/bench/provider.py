"""A provider that takes its time and notes, for another process, when it was asked and when it had acted.

It is the memory backend with a slower other side. The server finds it as it finds anybody's: by an entry
point of the group `breakglass.backends` (see `scene.published`).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import Field

from bot.backends import memory
from bot.backends.marks import Marks

JOURNAL: Final = "BENCH_JOURNAL"
"""The environment variable that names the journal's file. Without it nothing is noted."""


class Settings(memory.Settings):
    """A memory backend that is slow to grant."""

    takes_ms: int = Field(ge=0, description="How long a grant takes.")


@dataclass
class SlowProvider(memory.MemoryProvider):
    """Grants after a while; revokes at once."""

    takes: float = 0.0
    note: Callable[[str, str], None] = lambda _what, _name: None

    async def put(self, name: str, principal: str, role: str, until: datetime) -> None:
        """Makes the entry, once `takes` seconds have passed."""
        await asyncio.sleep(self.takes)
        await super().put(name, principal, role, until)
        self.note(f"granted {until.timestamp()}", name)

    async def drop(self, name: str) -> None:
        """Removes the entry."""
        self.note("revoking", name)
        await super().drop(name)


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> memory.Memory:
    """The adapter of the memory backend, unchanged, with the slow provider behind it."""
    del name
    provider = SlowProvider(set(settings.principals), lambda: datetime.now(UTC))
    provider.takes = settings.takes_ms / 1000
    if JOURNAL in env:
        provider.note = _writes_to(Path(env[JOURNAL]))
    return memory.Memory(provider, settings.roles, Marks(installation))


def _writes_to(path: Path) -> Callable[[str, str], None]:
    file = path.open("a", buffering=1)

    def note(what: str, name: str) -> None:
        file.write(f"{name} {time.time()} {what}\n")

    return note


@dataclass(frozen=True)
class Journal:
    """What providers noted, read from outside. Moments are seconds since 1970."""

    path: Path

    def granted(self) -> dict[str, tuple[float, float]]:
        """For every mark: since when the provider has the lease, and until when it should."""
        lines = [line for line in self._lines() if line[2] == "granted"]
        return {mark: (float(at), float(until)) for mark, at, _, until in lines}

    def revoking(self) -> dict[str, float]:
        """For every mark: when the provider was first told to end it."""
        found: dict[str, float] = {}
        for mark, at, what, *_ in self._lines():
            if what == "revoking":
                found.setdefault(mark, float(at))
        return found

    def _lines(self) -> list[list[str]]:
        text = self.path.read_text() if self.path.exists() else ""
        return [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
