"""The two acts at a provider: give access, and take it away. The only code that calls a backend's verbs.

Rule: whatever `give` cannot confirm is taken away. An answer that comes too late finds the request in
REVOKING, and whoever received it takes the access away again, until it is gone: no order of answers leaves
any behind.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.backends import Backend, Manual
from bot.backends.outside import SENTENCE, Outside
from bot.core import events as e
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable, Stale
from bot.core.model import HELD, Handoff, Lease, Mark, Order, PersonId, Request, RequestId, Secret, State, Why
from bot.mfa import Vault
from bot.store import Store
from bot.store.also import Step, keep_handoff

log = logging.getLogger(__name__)

FIRST_RETRY: Final = timedelta(seconds=5)
LONGEST_RETRY: Final = timedelta(minutes=5)
STUCK_AFTER_TRIES: Final = 6
STUCK_AFTER: Final = timedelta(seconds=30)
"""The promise: access is gone this long after its end. Beyond it, or after so many tries, it is stuck."""

TOLERANCE: Final = timedelta(seconds=1)
"""By how much a provider may round the end that it was told."""

GRANT_TRIES: Final = 3
REVOKE_DEADLINE: Final = timedelta(seconds=30)

AT_ONCE: Final = 50
"""Attempts to end access that are under way at one backend at a time: more would only wait for connections,
theirs or ours."""

Pause = Callable[[float], Awaitable[None]]
"""Waits that many seconds: `asyncio.sleep`, unless a test is in a hurry."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured backend, and who people are there."""

    backend: Backend
    principals: Mapping[PersonId, str]


def order_for(request: Request) -> Order:
    """The order a request stands for. Built from the request alone: the policy file may have changed."""
    assert request.expires_at is not None
    return Order(
        mark=request.mark,
        principal=request.principal,
        scope=request.terms.scope,
        expires_at=request.expires_at,
        note=f"{request.id} {request.requester}",
    )


class Access:
    """Carries out what the history has decided.

    Args:
        store: where the intention stands and the outcome is recorded.
        providers: by the name a request's terms give.
        vault: seals one-time credentials until they are shown.
        grant_deadline: how long a provider is waited for before the grant counts as unanswered.
        pause: waits before what landed late is taken away once more.
    """

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        vault: Vault,
        grant_deadline: timedelta,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._store = store
        self._providers = providers
        self._vault = vault
        self._grant_deadline = grant_deadline
        self._pause = pause
        self._giving: set[RequestId] = set()
        self._taking: set[RequestId] = set()
        self._unexplained: dict[Mark, str] = {}
        """Each with the last error that was said of it."""

    def is_giving(self, id: RequestId) -> bool:
        """Whether this process waits for the provider's answer to this grant right now."""
        return id in self._giving

    def taking(self) -> frozenset[RequestId]:
        """Those whose end this process attempts right now."""
        return frozenset(self._taking)

    async def give(self, request: Request) -> Request:
        """Carries out the grant of a request in GRANTING. Returns it ACTIVE, or on its way out."""
        self._giving.add(request.id)
        try:
            return await self._give(request)
        finally:
            self._giving.discard(request.id)

    async def _give(self, request: Request) -> Request:
        order = order_for(request)
        backend = self._providers[request.terms.backend].backend
        try:
            async with asyncio.timeout(self._grant_deadline.total_seconds()):
                lease = await _persistently(backend, order)
        except BackendRefused as error:
            return await self._abandon(request, Why.FAILED, str(error))
        except (BackendUnavailable, TimeoutError) as error:
            return await self._abandon(request, Why.UNANSWERED, str(error) or "It did not answer in time.")
        assert request.expires_at is not None
        later = lease.expires_at is not None and lease.expires_at > request.expires_at + TOLERANCE
        if lease.mark != order.mark or later:
            return await self._abandon(request, Why.FAILED, "The provider granted other than was ordered.")
        if self._store.now() >= request.expires_at:
            return await self._abandon(request, Why.EXPIRED, "The provider answered after the end.")
        granted = e.AccessGranted(
            lease_expires_at=lease.expires_at,
            handoff=lease.handoff is not None,
            preexisting=lease.preexisting,
        )
        kept: list[Step] = []
        if lease.handoff is not None:
            kept.append(keep_handoff(request.id, self._vault.seal(_packed(lease.handoff))))
        try:
            return await self._store.record(request, granted, also=kept)
        except Stale:
            return await self._take_again(request)  # revoked while the provider was working

    async def _abandon(self, request: Request, why: Why, detail: str) -> Request:
        try:
            ordered = await self._store.record(request, e.RevokeOrdered(why=why, detail=detail))
        except Stale:
            return await self._take_again(request)  # revoked meanwhile
        return await self.take(ordered, just_ordered=True)

    async def _take_again(self, request: Request) -> Request:
        """Takes away what was answered after its end was ordered, until it is gone.

        It may have taken effect after it was proved absent, and then nobody else goes on trying: its card
        says already that nobody was let in. Not for longer than this process lives: the next one looks at
        what the providers hold.
        """
        backend, order = request.terms.backend, order_for(request)
        tries, gone = 1, await self._revoke(backend, order) is None
        while not gone:
            await self._pause(retry_after(tries).total_seconds())
            request = await self._as_it_is(request)
            if request.state in HELD:  # its own failed attempts are told
                gone = await self._revoke(backend, order) is None
            else:
                gone = await self._is_ended_late(order, request)
            tries += 1
        return await self._as_it_is(request)

    async def _is_ended_late(self, order: Order, request: Request) -> bool:
        """Whether it is gone and told. A database that fails for a moment must not end the trying."""
        try:
            return await self.end_unexplained(request.terms.backend, order, request.id)
        except Exception:
            log.exception("What landed late of %s could not be told; it is tried again.", request.id)
            return False

    async def take(self, request: Request, *, just_ordered: bool = False) -> Request:
        """One attempt to end the access of a request in REVOKING, and the record of how it went.

        It is looked at again first, unless it was ordered a moment ago: nobody can have attempted it before.
        """
        if request.state is not State.REVOKING or request.id in self._taking:
            return request
        self._taking.add(request.id)
        try:
            current = request if just_ordered else await self._as_it_is(request)
            if current.version != request.version:
                return current  # an attempt came between the caller's look and this one, and was recorded
            error = await self._revoke(request.terms.backend, order_for(request))
            while request.state is State.REVOKING:
                outcome = self._proved(request) if error is None else self._failed(request, error)
                try:
                    return await self._store.record(request, outcome)
                except Stale:
                    # Another process attempts it too. What it recorded holds, unless that was a failure and
                    # this is the proof.
                    request = await self._store.look(request.id)
                    if error is not None:
                        break
            return request
        finally:
            self._taking.discard(request.id)

    async def _as_it_is(self, request: Request) -> Request:
        """As it stands now; or as it was, while the database does not answer: ending waits for nothing."""
        try:
            return await self._store.look(request.id)
        except Exception as error:  # noqa: BLE001  whatever is wrong there, the provider is another place
            log.warning("%s is ended without another look at it: %s", request.id, type(error).__name__)
            return request

    async def end_unexplained(self, backend: str, order: Order, about: RequestId | None) -> bool:
        """One attempt to end what no grant in force explains. Returns whether it is gone.

        That it was found is recorded once, and an error when it is another than before.
        """
        mark = order.mark
        if mark not in self._unexplained:
            await self._tell(mark, "", e.OrphanFound(backend=backend, mark=mark, about=about))
        error = await self._revoke(backend, order)
        if error is None:
            if mark in self._unexplained:  # else another attempt was faster, and said so
                await self._tell(mark, None, e.OrphanEnded(backend=backend, mark=mark))
        elif error != self._unexplained.get(mark, error):
            await self._tell(mark, error, e.OrphanRemains(backend=backend, mark=mark, error=error))
        return mark not in self._unexplained

    async def _tell(self, mark: Mark, now: str | None, fact: e.Event) -> None:
        """Records a fact once, however many find it. What could not be recorded, the next attempt tells."""
        before = self._unexplained.get(mark)
        self._remember(mark, now)
        try:
            await self._store.note(fact)
        except Exception:
            self._remember(mark, before)
            raise

    def _remember(self, mark: Mark, error: str | None) -> None:
        if error is None:
            self._unexplained.pop(mark, None)
        else:
            self._unexplained[mark] = error

    def out_of_reach(self, request: Request) -> str | None:
        """Why nothing can be asked of the provider from this process; None where it can."""
        provider = self._providers.get(request.terms.backend)
        if provider is None:
            return _unreachable(request.terms.backend, request.mark)
        return SENTENCE if isinstance(provider.backend, Outside) else None

    async def _revoke(self, name: str, order: Order) -> str | None:
        provider = self._providers.get(name)
        if provider is None:
            return _unreachable(name, order.mark)
        try:
            async with asyncio.timeout(REVOKE_DEADLINE.total_seconds()):
                await provider.backend.revoke(order)
        except BackendError as error:
            return str(error)
        except TimeoutError:
            return "The provider did not answer in time."
        except Exception as error:  # noqa: BLE001  an adapter's bug must not stop the retrying
            # Only the kind: the text of a foreign exception may carry a secret.
            return f"The adapter failed with {type(error).__name__}."
        return None

    @staticmethod
    def _proved(request: Request) -> e.Event:
        return e.GrantAbandoned() if request.granted_at is None else e.AccessEnded()

    def _failed(self, request: Request, error: str) -> e.Event:
        assert request.end is not None
        now = self._store.now()
        tries = request.end.attempts + 1
        stuck = tries >= STUCK_AFTER_TRIES or now - request.end.ordered_at > STUCK_AFTER
        return e.RevokeFailed(
            error=error,
            next_try_at=now + retry_after(tries),
            stuck=stuck,
            by_hand=self._by_hand(request) if stuck else "",
        )

    def _by_hand(self, request: Request) -> str:
        provider = self._providers.get(request.terms.backend)
        if provider is None or not isinstance(provider.backend, Manual):
            return ""
        try:
            return provider.backend.by_hand(order_for(request))
        except Exception as error:  # noqa: BLE001  it is a help; without it the retrying goes on
            log.warning("%s cannot say what to do by hand: %s", request.terms.backend, type(error).__name__)
            return ""

    def unpack(self, sealed: bytes) -> Handoff:
        """The credential that `give` kept."""
        fields = json.loads(self._vault.open(sealed).reveal())
        return Handoff(tuple((label, Secret(text)) for label, text in fields))


def _unreachable(backend: str, mark: Mark) -> str:
    return f"The backend {backend} cannot be reached from here: put it back, or end {mark} by hand."


def retry_after(tries: int) -> timedelta:
    """5 s, 10 s, 20 s ... at most 5 min, with up to a fifth taken off so that many do not come together."""
    wait: timedelta = min(FIRST_RETRY * 2 ** min(tries - 1, 10), LONGEST_RETRY)
    return wait * (1 - random.random() / 5)  # noqa: S311  spreads load; nothing secret depends on it


async def _persistently(backend: Backend, order: Order) -> Lease:
    """`grant`, again when there was no answer: the same order can never give a second access."""
    for _ in range(GRANT_TRIES - 1):
        with suppress(BackendUnavailable):
            return await _granted(backend, order)
    return await _granted(backend, order)


async def _granted(backend: Backend, order: Order) -> Lease:
    try:
        return await backend.grant(order)
    except (BackendError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001  a bug in an adapter is an unknown effect
        raise BackendUnavailable(f"The adapter failed with {type(error).__name__}.") from None


def _packed(handoff: Handoff) -> Secret:
    return Secret(json.dumps([[label, secret.reveal()] for label, secret in handoff.fields]))
