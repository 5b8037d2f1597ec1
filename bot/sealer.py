"""Signs the history as it grows: at most `every` after a change, and at each heartbeat in any case.

A heartbeat without a change shows that nothing is missing at the end. Rule: a history that does not continue
what was signed before is never signed; new access is refused until an operator has looked.
"""

import asyncio
import logging
from datetime import timedelta

from bot.audit.checkpoint import CheckpointError, Signer
from bot.core import events as e
from bot.store import Store

log = logging.getLogger(__name__)


class Sealer:
    """The signer's side of the desk.

    Args:
        store: the history.
        signer: the key, and its memory outside the database.
        every: the longest that an event may stand unsigned.
        heartbeat: how often a checkpoint is signed although nothing changed.
    """

    def __init__(self, store: Store, signer: Signer, *, every: timedelta, heartbeat: timedelta) -> None:
        self._store = store
        self._signer = signer
        self._every = every
        self._heartbeat = heartbeat
        self._refused: str | None = None

    def closed(self) -> str | None:
        """Why no new access may be granted, or None."""
        return self._refused

    async def run(self) -> None:
        """Signs until cancelled. Looks twice within `every`, so that none waits longer."""
        while True:
            try:
                await self.seal()
            except Exception:
                log.exception("The history could not be signed; trying again.")
            await asyncio.sleep(self._every.total_seconds() / 2)

    async def seal(self) -> bool:
        """Signs if it is time. Returns whether it did."""
        head = await self._store.head()
        last = await self._store.last_checkpoint()
        grown = last is None or last.size != head.size
        silent = last is not None and self._store.now() - last.at >= self._heartbeat
        if not (grown or silent):
            return False
        try:
            checkpoint = await self._signer.sign(head.size, head.root(), self._store.leaves)
        except CheckpointError as error:
            if self._refused is None:
                self._refused = f"the history cannot be signed: {error}"
                await self._store.note(e.SigningRefused(because=str(error)))
            return False
        await self._store.keep_checkpoint(checkpoint)
        self._refused = None
        return True
