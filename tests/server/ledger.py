"""A provider in a folder: every process sees the same truth, and a test can make it slow, deaf or stubborn.

The kind `ledger` is found by the entry point of a made-up distribution, as anybody's adapter is.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import Field

from bot.backends.settings import Frozen
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Lease, Mark, Order

ENTRY_POINTS = "[breakglass.backends]\nledger = tests.server.ledger\n"


class Settings(Frozen):
    """Where the entries are."""

    folder: str = Field(description="A folder.")


@dataclass(frozen=True)
class Truth:
    """What really exists there, whatever our tables say, and how it behaves."""

    folder: Path

    def marks(self) -> list[str]:
        """Every access that exists now."""
        return sorted(file.stem for file in self.folder.glob("*.json"))

    def put(self, mark: str, until: datetime | None = None) -> None:
        """An access that nobody asked us for."""
        end = until.isoformat() if until else None
        (self.folder / f"{mark}.json").write_text(json.dumps({"who": "somebody", "until": end}))

    def take(self, mark: str) -> None:
        """Somebody removes it by hand."""
        (self.folder / f"{mark}.json").unlink()

    def is_slow_at(self, verb: str, seconds: float) -> None:
        """From now on `verb` takes that long."""
        (self.folder / f"slow-{verb}").write_text(str(seconds))

    def is_deaf(self, deaf: bool = True) -> None:
        """From now on it does not answer, or does again."""
        file = self.folder / "deaf"
        file.touch() if deaf else file.unlink(missing_ok=True)

    def calls(self, verb: str) -> int:
        """How often it was told to do that."""
        log = self.folder / "log"
        return log.read_text().split().count(verb) if log.exists() else 0


@dataclass(frozen=True)
class Ledger:
    """The adapter. Only we end access there."""

    folder: Path
    installation: str

    def ending(self, order: Order) -> Ending:
        if not order.principal:
            raise BackendRefused("You have no account there.")
        return Ending(EndedBy.BOT)

    async def grant(self, order: Order) -> Lease:
        await self._behave("grant")
        aside = self.folder / f".{order.mark}"
        aside.write_text(json.dumps({"who": order.principal, "until": order.expires_at.isoformat()}))
        aside.replace(self._entry(order.mark))
        return Lease(order.mark, order.principal, order.scope, order.expires_at)

    async def revoke(self, order: Order) -> None:
        await self._behave("revoke")
        with suppress(FileNotFoundError):
            self._entry(order.mark).unlink()

    async def live(self) -> Sequence[Lease]:
        await self._behave("live")
        found = []
        for file in self.folder.glob(f"bg-{self.installation}-*.json"):
            entry = json.loads(file.read_text())
            until = datetime.fromisoformat(entry["until"]) if entry["until"] else None
            found.append(Lease(Mark(file.stem), entry["who"], {}, until))
        return found

    def by_hand(self, order: Order) -> str:
        return f"rm {order.mark}.json"

    def _entry(self, mark: str) -> Path:
        return self.folder / f"{mark}.json"

    async def _behave(self, verb: str) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(f"{verb} ")
        with suppress(FileNotFoundError):
            await asyncio.sleep(float((self.folder / f"slow-{verb}").read_text()))
        if (self.folder / "deaf").exists():
            raise BackendUnavailable("The provider gave no answer.")


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> Ledger:
    del name, env
    folder = Path(settings.folder)
    folder.mkdir(exist_ok=True)
    return Ledger(folder, installation)
