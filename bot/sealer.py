"""Signs the history as it grows: at most `every` after a change, and at each heartbeat in any case.

A heartbeat without a change shows that nothing is missing at the end. Rule: a history that does not continue
what was signed before is never signed; new access is refused until an operator has looked.
"""

import asyncio
import logging
from datetime import timedelta

from bot.audit.checkpoint import CheckpointError, Signer, open_any
from bot.audit.tree import Frontier
from bot.core import events as e
from bot.store import Store, StoredCheckpoint

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
        self._told = ""

    def closed(self) -> str | None:
        """Why no new access may be granted, or None."""
        return self._refused

    async def run(self) -> None:
        """Signs until cancelled. Looks twice within `every`, so that none waits longer."""
        while True:
            try:
                await self.seal()
            except Exception as error:
                # Unsigned history must not grow unnoticed: nothing new is granted until it is signed again.
                self._refused = f"the history could not be signed ({type(error).__name__})."
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
            await self._remembers(last)
            checkpoint = await self._signer.sign(head.size, head.root(), self._store.leaves)
        except CheckpointError as error:
            if self._told != str(error):
                self._told = str(error)
                await self._store.note(e.SigningRefused(because=str(error)))
            self._refused = f"the history cannot be signed: {error}"
            return False
        await self._store.keep_checkpoint(checkpoint)
        self._refused = None
        return True

    async def _remembers(self, last: StoredCheckpoint | None) -> None:
        """A signer whose memory is gone takes the last checkpoint here for it, if that still holds.

        Raises:
            CheckpointError: it does not, so what was signed before cannot be continued.
        """
        if last is None or self._signer.last().size:
            return
        signed = open_any([self._signer.verifier, *self._signer.earlier()], last.note)
        tree = Frontier().extend(await self._store.leaves(0, signed.size))
        if (tree.size, tree.root()) != (signed.size, signed.root):
            raise CheckpointError(
                f"The signer's memory is gone, and the history no longer gives the {signed.size} events that "
                "were signed last."
            )
