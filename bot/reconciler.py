"""Compares what providers say with what we know, and ends what nothing explains.

Rule: no answer is no proof of anything, and an answer is as old as the question. Only marks of our own
installation are touched; adapters show no others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from bot.access import TOLERANCE, Access, Provider
from bot.core import events as e
from bot.core.errors import BackendError, Stale
from bot.core.model import HELD, Lease, Request, RequestId, Why
from bot.store import Store

log = logging.getLogger(__name__)

SETTLING: Final = timedelta(seconds=30)
"""A provider's list may lag behind its own answer (eventual consistency); so long nothing counts as gone."""

LIVE_DEADLINE: Final = timedelta(seconds=30)


class Reconciler:
    """Looks at every provider.

    Args:
        store: what we know.
        access: the acts.
        providers: whose leases are compared with the store.
        order_end: orders the end of a request, for a reason and with a sentence about it.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        providers: Mapping[str, Provider],
        order_end: Callable[[Request, Why, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._access = access
        self._providers = providers
        self._order_end = order_end
        self._silent: set[str] = set()

    async def reconcile(self) -> None:
        """Compares all providers at once: one that is silent, or fails, holds up no other."""
        async with asyncio.TaskGroup() as group:
            for name in self._providers:
                group.create_task(self._survive(self._reconcile(name), name))

    async def _survive(self, work: Coroutine[Any, Any, object], what: str) -> None:
        try:
            with suppress(Stale):  # somebody was faster; the next look sees what they did
                await work
        except Exception:
            log.exception("The look at %s could not be finished; the next one comes soon.", what)

    async def _reconcile(self, name: str) -> None:
        expected: list[Request] = []
        for id in await self._store.ids_active_at(name):
            await self._survive(self._read(id, expected), id)
        held = await self._store.marks_held()
        try:
            async with asyncio.timeout(LIVE_DEADLINE.total_seconds()):
                leases = await self._providers[name].backend.live()
        except (BackendError, TimeoutError) as error:
            await self._is_silent(name, str(error) or "no answer in time")
            return
        except Exception as error:  # noqa: BLE001  an adapter's bug is a silence too; its text may carry a secret
            await self._is_silent(name, f"The adapter failed with {type(error).__name__}.")
            return
        if name in self._silent:
            self._silent.discard(name)
            await self._store.note(e.BackendAnswers(backend=name))
        # What was held when the provider was asked may have ended since: the next round looks again.
        await self._end_unexplained(name, [lease for lease in leases if lease.mark not in held])
        found = {lease.mark: lease for lease in leases}
        for request in expected:
            await self._survive(self._compare(request, found.get(request.mark)), request.id)

    async def _read(self, id: RequestId, into: list[Request]) -> None:
        into.append(await self._store.get(id))

    async def _is_silent(self, name: str, error: str) -> None:
        if name not in self._silent:
            self._silent.add(name)
            await self._store.note(e.BackendSilent(backend=name, error=error))

    async def _end_unexplained(self, name: str, leases: Sequence[Lease]) -> None:
        known = await self._store.by_marks(name, [lease.mark for lease in leases])
        for lease in leases:
            held = known.get(lease.mark)
            if held is not None and held.state in HELD:
                continue
            await self._access.end_unexplained(name, lease.as_order(), held.id if held else None)

    async def _compare(self, request: Request, lease: Lease | None) -> None:
        current = await self._store.get(request.id)
        if current.version != request.version:
            return  # it changed while the provider was asked; the next round looks again
        assert current.expires_at is not None
        assert current.granted_at is not None
        now = self._store.now()
        if lease is None and (now >= current.expires_at or now - current.granted_at < SETTLING):
            return  # ended on time, and the sweep says so; or so new that its list may not show it yet
        if lease is None:
            await self._order_end(current, Why.GONE, "The provider no longer has it, and we did not end it.")
            return
        altered = lease.altered
        if lease.expires_at is not None and lease.expires_at > current.expires_at + TOLERANCE:
            altered = f"its end was moved to {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC. {altered}".strip()
        if altered and altered != current.altered:
            await self._store.record(current, e.LeaseAltered(what=altered))
