"""The contract of a backend: one suite, every adapter, each test one sentence of `bot.backends.Backend`.

An adapter's tests subclass `Contract` and give a `rig`: the adapter, one person, and the provider's own truth
behind the adapter's back. Effects are always judged there, as that person, never by what the adapter says.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from bot.backends import Backend, Manual
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Lease, Mark, Order


class Rig(Protocol):
    """One provider, one person, one backend of a fresh installation."""

    backend: Backend
    installation: str
    secrets: Sequence[str]
    """What must never be seen: our credentials there."""
    principal: str
    scope: dict[str, str]
    no_sessions: str = ""
    """Why "sessions are cut" does not apply; empty: it does."""
    no_preexisting: str = ""
    """Why the adapter cannot see access that was there before; empty: it can."""

    def again(self, patience: float | None = None) -> Backend:
        """The adapter as a new process would build it: it remembers nothing. `patience`: its deadline."""
        ...

    async def works(self, order: Order, lease: Lease | None, /) -> bool:
        """Whether the person gets in, with this access, right now."""
        ...

    async def open_session(self, lease: Lease, /) -> Callable[[], Awaitable[bool]]:
        """Opens a session of the person; the answer tells whether it still lives."""
        ...

    async def give_before(self) -> None:
        """The person has the same access already, for other reasons."""
        ...

    async def standing_works(self) -> bool:
        """Whether the access of `give_before` works."""
        ...

    async def plant(self, name: str) -> None:
        """Somebody else makes an object of the same kind with this name."""
        ...

    async def names(self) -> set[str]:
        """Names of all such objects, seen by the provider's administrator."""
        ...

    async def refuse(self) -> None:
        """From now on the provider does not let us grant."""
        ...

    def cut(self) -> None:
        """From now on the provider is down."""
        ...

    def pause(self) -> None:
        """From now on nothing is answered."""
        ...

    def swallow(self) -> None:
        """The next change takes effect, and its answer is lost, with every other from then on."""
        ...

    def heal(self) -> None:
        """The network works again."""
        ...


def order_for(rig: Rig, id: str = "7k3q2m", minutes: float = 30) -> Order:
    """An order for the rig's person."""
    return Order(
        Mark(f"bg-{rig.installation}-{id}"),
        rig.principal,
        rig.scope,
        datetime.now(UTC) + timedelta(minutes=minutes),
        f"BG-{id.upper()} for a test",
    )


async def marks(backend: Backend) -> list[str]:
    return [lease.mark for lease in await backend.live()]


class CutsSessions:
    """Beside `Contract`, where a provider keeps sessions."""

    async def test_a_live_session_is_cut_at_revoke(self, rig: Rig) -> None:
        assert not rig.no_sessions
        order = order_for(rig)
        alive = await rig.open_session(await rig.backend.grant(order))
        assert await alive()
        await rig.backend.revoke(order)
        assert not await alive()


class SaysByHand:
    """Beside `Contract`, for an adapter that is `Manual`."""

    async def test_what_ends_it_by_hand_is_one_line_that_names_the_mark_and_no_secret(self, rig: Rig) -> None:
        """Asked when the provider does not answer, and knowing only the mark, the principal and the scope."""
        assert isinstance(rig.backend, Manual)
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        rig.cut()
        for asked in (order, lease.as_order()):
            said = rig.backend.by_hand(asked)
            assert order.mark in said
            assert said == said.strip() != ""
            assert len(said.splitlines()) == 1
            assert not [secret for secret in rig.secrets if secret in said]


class Contract:
    """Subclass it and give a `rig` fixture."""

    async def test_what_an_adapter_can_do_besides_is_held_to_its_sentences_too(self, rig: Rig) -> None:
        assert isinstance(self, CutsSessions) or rig.no_sessions, (
            "it cuts sessions, or says why there are none"
        )
        assert isinstance(self, SaysByHand) == isinstance(rig.backend, Manual)

    async def test_access_is_refused_before_works_during_and_is_refused_after(self, rig: Rig) -> None:
        order = order_for(rig)
        assert not await rig.works(order, None)
        lease = await rig.backend.grant(order)
        assert await rig.works(order, lease)
        await rig.backend.revoke(order)
        assert not await rig.works(order, lease)
        assert order.mark not in await rig.names()

    async def test_the_lease_says_what_was_ordered(self, rig: Rig) -> None:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        assert lease.mark == order.mark
        assert rig.scope.items() <= lease.scope.items()
        assert not lease.altered
        assert not lease.preexisting

    async def test_what_live_says_is_what_grant_said(self, rig: Rig) -> None:
        lease = await rig.backend.grant(order_for(rig))
        (seen,) = await rig.backend.live()
        assert (seen.mark, seen.principal, seen.scope) == (lease.mark, lease.principal, lease.scope)
        assert (seen.expires_at, seen.preexisting, seen.altered) == (lease.expires_at, False, "")
        assert seen.handoff is None

    async def test_our_mark_is_at_the_provider(self, rig: Rig) -> None:
        order = order_for(rig)
        await rig.backend.grant(order)
        assert order.mark in await rig.names()

    async def test_granting_the_same_order_twice_is_one_access(self, rig: Rig) -> None:
        order = order_for(rig)
        before = await rig.names()
        await rig.backend.grant(order)
        lease = await rig.backend.grant(order)
        assert await rig.names() == before | {order.mark}
        assert await marks(rig.backend) == [order.mark]
        assert await rig.works(order, lease)
        await rig.backend.revoke(order)
        assert not await rig.works(order, lease)

    async def test_the_same_order_at_the_same_time_is_one_access(self, rig: Rig) -> None:
        order = order_for(rig)
        outcomes = await asyncio.gather(*(rig.backend.grant(order) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(one, Lease | BackendUnavailable) for one in outcomes)
        assert any(isinstance(one, Lease) for one in outcomes)
        assert await marks(rig.backend) == [order.mark]

    async def test_the_end_at_the_provider_is_never_later_than_asked(self, rig: Rig) -> None:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        (seen,) = await rig.backend.live()
        if rig.backend.ending(order).by is EndedBy.BOT:
            assert lease.expires_at is seen.expires_at is None
        else:
            assert lease.expires_at is not None
            assert order.expires_at - timedelta(seconds=1) < lease.expires_at <= order.expires_at
            assert seen.expires_at == lease.expires_at

    async def test_revoking_twice_is_success(self, rig: Rig) -> None:
        order = order_for(rig)
        await rig.backend.grant(order)
        await rig.backend.revoke(order)
        await rig.backend.revoke(order)

    async def test_revoking_what_was_never_granted_is_success(self, rig: Rig) -> None:
        await rig.backend.revoke(order_for(rig))

    async def test_revoking_at_the_same_time_ends_it(self, rig: Rig) -> None:
        order = order_for(rig)
        await rig.backend.grant(order)
        outcomes = await asyncio.gather(
            *(rig.backend.revoke(order) for _ in range(3)), return_exceptions=True
        )
        assert all(one is None or isinstance(one, BackendUnavailable) for one in outcomes)
        assert order.mark not in await rig.names()

    async def test_live_ignores_strangers_and_other_installations(self, rig: Rig) -> None:
        ours = order_for(rig)
        for name in (
            rig.installation,
            f"stranger-{rig.installation}",
            f"bg-{rig.installation}-2-7k3q2m",
            f"bg-{rig.installation}x-7k3q2m",
            f"bg-{rig.installation}-7k3q2mm",
            f"xbg-{rig.installation}-7k3q2m",
            f"BG-{rig.installation}-7K3Q2M",
        ):
            await rig.plant(name)
        assert await marks(rig.backend) == []
        await rig.backend.grant(ours)
        assert await marks(rig.backend) == [ours.mark]

    async def test_an_order_of_another_installation_is_not_touched(self, rig: Rig) -> None:
        name = f"bg-{rig.installation}-2-7k3q2m"
        await rig.plant(name)
        order = order_for(rig)
        foreign = Order(Mark(name), order.principal, order.scope, order.expires_at)
        with pytest.raises(BackendRefused):
            await rig.backend.revoke(foreign)
        with pytest.raises(BackendRefused):
            await rig.backend.grant(foreign)
        assert name in await rig.names()

    async def test_access_that_was_there_before_survives_and_is_reported(self, rig: Rig) -> None:
        await rig.give_before()
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        (seen,) = await rig.backend.live()
        assert lease.preexisting is seen.preexisting is (not rig.no_preexisting)
        await rig.backend.revoke(order)
        assert await rig.standing_works()

    async def test_the_end_of_one_grant_leaves_another_of_the_same_person_working(self, rig: Rig) -> None:
        first, second = order_for(rig, "aaaaaa"), order_for(rig, "bbbbbb")
        await rig.backend.grant(first)
        lease = await rig.backend.grant(second)
        assert not lease.preexisting, "our other grant is not access from before"
        await rig.backend.revoke(first)
        assert await rig.works(second, lease)
        await rig.backend.revoke(second)
        assert not await rig.works(second, lease)

    async def test_a_refusal_is_told_as_refused_and_nothing_exists(self, rig: Rig) -> None:
        await rig.refuse()
        order = order_for(rig)
        with pytest.raises(BackendRefused):
            await rig.backend.grant(order)
        assert order.mark not in await rig.names()

    async def test_a_scope_outside_the_settings_is_refused_before_anything_is_asked(self, rig: Rig) -> None:
        rig.cut()
        order = order_for(rig)
        for scope in ({}, {"role": "x"}, {"policy": "x"}, {**rig.scope, "more": "x"}):
            wrong = Order(order.mark, order.principal, scope, order.expires_at)
            with pytest.raises(BackendRefused):
                rig.backend.ending(wrong)
            with pytest.raises(BackendRefused):
                await rig.backend.grant(wrong)

    async def test_a_provider_that_is_down_is_told_as_unavailable(self, rig: Rig) -> None:
        order = order_for(rig)
        rig.cut()
        for attempt in (rig.backend.grant(order), rig.backend.revoke(order), rig.backend.live()):
            with pytest.raises(BackendUnavailable):
                await attempt

    async def test_an_answer_that_never_comes_is_unavailable_within_the_deadline(self, rig: Rig) -> None:
        impatient = rig.again(patience=0.3)
        rig.pause()
        start = time.monotonic()
        with pytest.raises(BackendUnavailable):
            await impatient.grant(order_for(rig))
        assert time.monotonic() - start < 3

    async def test_a_grant_that_took_effect_unanswered_is_found_and_ended(self, rig: Rig) -> None:
        order = order_for(rig)
        rig.swallow()
        with pytest.raises(BackendUnavailable):
            await rig.again(patience=2).grant(order)
        assert order.mark in await rig.names(), "the test itself: it must have taken effect"
        rig.heal()
        (lease,) = await rig.backend.live()
        assert lease.mark == order.mark
        await rig.backend.revoke(order)
        assert order.mark not in await rig.names()

    async def test_a_revoke_that_took_effect_unanswered_is_success_the_next_time(self, rig: Rig) -> None:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        rig.swallow()
        with pytest.raises(BackendUnavailable):
            await rig.again(patience=2).revoke(order)
        rig.heal()
        await rig.backend.revoke(order)
        assert not await rig.works(order, lease)
        assert order.mark not in await rig.names()

    async def test_with_our_database_lost_what_live_says_is_enough_to_end_it(self, rig: Rig) -> None:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        stranger_to_it = rig.again()
        (found,) = await stranger_to_it.live()
        await stranger_to_it.revoke(found.as_order())
        assert not await rig.works(order, lease)
        assert await marks(stranger_to_it) == []

    async def test_no_secret_is_in_any_text_repr_or_log(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        renewed = await rig.backend.grant(order)
        texts = [repr(rig.backend), str(rig.backend), repr(lease), repr(renewed)]
        await rig.refuse()
        texts += [await _trouble(rig.backend.grant(order_for(rig, "cccccc")))]
        rig.cut()
        texts += [await _trouble(rig.backend.revoke(order)), await _trouble(rig.backend.live())]
        texts += [repr(record.__dict__) for record in caplog.records] + [caplog.text]
        handed = [
            secret.reveal()
            for one in (lease, renewed)
            for label, secret in (one.handoff.fields if one.handoff else ())
            if "password" in label
        ]
        for secret in (*rig.secrets, *handed):
            assert not [text for text in texts if secret in text]


async def _trouble(attempt: Awaitable[object]) -> str:
    """Everything an error could carry into a log: its text, its arguments, and what it came from."""
    with pytest.raises(BackendError) as caught:
        await attempt
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(f"{one!r} {one} {vars(one)}" for one in chain)
