"""Thousands at once: each ends, no provider holds up another, and ends come before all that can wait."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from bot import keeper as module
from bot.access import AT_ONCE
from bot.audit import canonical
from bot.core import events as e
from bot.core import machine
from bot.core.model import Request, State, Terms
from bot.store import tables
from tests.core.samples import HOUR, MINUTE, REVOKE, TERMS, lived, opened, policy_of
from tests.desk.pretend import Mood
from tests.desk.rig import Rig, rig
from tests.desk.test_keeper_wakes import LONG, running

ELSEWHERE = replace(TERMS, access="cloud", backend="cloud")
GRANTED = (
    e.MfaNotRequired(),
    e.ApprovalGiven(tier=0),
    e.QuorumReached(expires_at=opened().lapses_at),
    e.AccessGranted(),
)


async def planted(
    it: Rig, count: int, *events: e.Event, terms: Terms = TERMS, **more: datetime
) -> list[Request]:
    """So many requests with this life behind them, all alike; their history is left out, to save time."""
    requests = []
    for number in range(count):
        id = f"BG-{number:05X}{terms.backend[0]}".upper()
        requests.append(lived(events, opened(id, terms=terms, **more)))
    rows = [
        {
            "id": request.id,
            "version": request.version,
            "state": request.state,
            "requester": request.requester,
            "backend": request.terms.backend,
            "mark": request.mark,
            "due_at": machine.due_at(request),
            "opened_at": request.opened_at,
            "body": canonical.dumps(canonical.encode(request)).decode(),
        }
        for request in requests
    ]
    async with it.engine.begin() as connection:
        await connection.execute(insert(tables.requests), rows)
    return requests


async def test_whatever_hangs_at_one_provider_another_ends_on_time(tmp_path: Path) -> None:
    """More than a thousand attempts under way, or waiting: they are all due, and hide nothing."""
    async with rig(tmp_path, policy_of(TERMS, ELSEWHERE), "cloud") as it:
        await planted(it, 1100, *GRANTED, REVOKE)
        (there,) = await planted(it, 1, *GRANTED, terms=ELSEWHERE)
        it.backends["cloud"].foreign(there.mark)
        it.vault.will("revoke", *[Mood.HANGS] * 1100)
        it.clock.forward(HOUR)
        await it.keeper.sweep()
        await it.keeper.sweep()
        await it.until_left(State.ACTIVE, there.id)
        await it.until_left(State.REVOKING, there.id)
        assert it.backends["cloud"].ledger == {}
        assert it.vault.of("revoke") == AT_ONCE, "so many attempts at a time, and no more"
        await it.crash()


async def test_all_that_ends_at_once_ends_and_so_many_attempts_are_under_way_at_a_time(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", LONG)
    requests = await planted(it, 2 * AT_ONCE + 1, *GRANTED)
    for request in requests:
        it.vault.foreign(request.mark)
    it.vault.will("revoke", *[Mood.WORKS_LATE] * len(requests))
    it.clock.forward(HOUR)
    async with running(it):

        async def all_are_ordered() -> bool:
            return await it.store.ids_in({State.ACTIVE}) == []

        await it.until(all_are_ordered)
        await it.until(lambda: it.vault.of("revoke") == AT_ONCE)
        await it.keeper.sweep()
        await it.keeper.reconcile()
        assert it.vault.of("revoke") == AT_ONCE
        it.vault.gate.set()
        await it.until(lambda: not it.vault.ledger)
        await it.settled()
    assert await it.store.ids_in({State.REVOKING}) == []
    assert len(await it.told(e.AccessEnded)) == it.vault.of("revoke") == len(requests)


async def test_a_hand_that_is_free_again_takes_what_waited_for_it_and_not_at_the_next_heartbeat(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the sweep that its last commit caused came a moment too early to see it free."""
    monkeypatch.setattr(module, "HEARTBEAT", LONG)
    for request in await planted(it, AT_ONCE + 1, *GRANTED):
        it.vault.foreign(request.mark)
    take, taken, all_taken = it.access.take, 0, asyncio.Event()

    async def lingering(request: Request, *, just_ordered: bool = False) -> Request:
        nonlocal taken
        ended = await take(request, just_ordered=just_ordered)
        taken += 1
        if taken == AT_ONCE:
            all_taken.set()
        await all_taken.wait()
        await it.until(lambda: not it.keeper._wake.is_set())
        for _ in range(20):
            await it.store.last_seq()  # and whoever looks at this moment has looked
        return ended

    async def nothing() -> None: ...

    monkeypatch.setattr(it.access, "take", lingering)
    monkeypatch.setattr(it.keeper, "reconcile", nothing)  # it would find what waits by itself
    it.clock.now = datetime.now(UTC) + HOUR  # the reviews that follow are due later than in this test
    async with running(it):
        async with asyncio.timeout(10):
            await it.until(lambda: it.vault.of("revoke") == AT_ONCE + 1)
        await it.store.note(e.ServerStopped())
        await it.settled()
    assert it.vault.ledger == {}


async def test_ends_come_before_what_can_wait_and_again_between_portions_of_it(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lapses that were due long before, and an end that comes due in the middle of them."""
    await planted(it, 3 * module.PORTION)
    first, second = await it.active(), await it.active()
    assert second.expires_at is not None
    await it.revoked(first.id)
    it.clock.now = second.expires_at - timedelta(seconds=1)
    record, lapses = it.store.record, 0

    async def slowly(request: Request, *events: e.Event, **more: object) -> Request:
        nonlocal lapses
        lapses += isinstance(events[0], e.RequestLapsed)
        if lapses == 1:
            it.clock.forward(MINUTE)
        return await record(request, *events, **more)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(it.store, "record", slowly)
    await it.sweep()
    kinds = [
        type(r.event) for r in await it.history() if isinstance(r.event, e.RequestLapsed | e.RevokeOrdered)
    ]
    assert kinds.count(e.RequestLapsed) == 3 * module.PORTION
    assert kinds.index(e.RevokeOrdered) == 0
    assert kinds[1:].index(e.RevokeOrdered) <= module.PORTION
    assert it.vault.ledger == {}


async def test_what_was_warned_in_a_sweep_ends_on_time_although_that_sweep_is_not_over(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is warned, and its end comes, while lapses are worked through."""
    request = await it.active()
    assert request.expires_at is not None
    warning = request.expires_at - machine.WARNING
    await planted(it, 4 * module.PORTION, lapses_at=warning + timedelta(seconds=1))
    it.clock.now = warning + MINUTE
    assert await lapses_after_an_end_that_comes_with(e.ExpiryNear, it, monkeypatch) >= 2 * module.PORTION
    assert it.vault.ledger == {}


async def test_a_sweep_that_finds_nothing_over_commits_nothing_and_so_wakes_nobody(it: Rig) -> None:
    """Somebody moved the row's moment to the front: it is due at every sweep, and none may cause the next."""
    request = await it.active()
    await it.tampered(f"UPDATE requests SET due_at = 1 WHERE id = '{request.id}'")
    woken: list[int] = []
    it.store.on_commit(lambda: woken.append(1))
    await it.keeper.sweep()
    assert (woken, await it.state(request.id)) == ([], State.ACTIVE)


async def test_a_grant_under_way_ends_by_its_end_although_a_sweep_saw_it_before(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await it.granting()
    await planted(it, 4 * module.PORTION)
    assert request.expires_at is not None
    it.clock.now = request.expires_at - MINUTE
    assert await lapses_after_an_end_that_comes_with(e.RequestLapsed, it, monkeypatch) >= 2 * module.PORTION
    it.vault.gate.set()
    await it.settled()
    assert it.vault.ledger == {}


async def lapses_after_an_end_that_comes_with(
    kind: type[e.Event], it: Rig, monkeypatch: pytest.MonkeyPatch
) -> int:
    """How much of what can wait is done after the end that is ordered in one sweep.

    Time passes the end once the first fact of this kind is recorded in that sweep.
    """
    record, record_all, passed = it.store.record, it.store.record_all, False
    seen: list[type[e.Event]] = []

    async def slowly(request: Request, *events: e.Event, **more: object) -> Request:
        nonlocal passed
        recorded = await record(request, *events, **more)  # type: ignore[arg-type]  # passed on as they came
        seen.append(type(events[0]))
        if isinstance(events[0], kind) and not passed:
            passed = True
            it.clock.forward(15 * MINUTE)
        return recorded

    async def together(requests: Sequence[Request], event: e.Event) -> list[Request]:
        seen.extend(type(event) for _ in requests)
        return await record_all(requests, event)

    monkeypatch.setattr(it.store, "record", slowly)
    monkeypatch.setattr(it.store, "record_all", together)
    await it.keeper.sweep()
    assert e.RevokeOrdered in seen, "in this sweep, not in the next one"
    return seen[seen.index(e.RevokeOrdered) :].count(e.RequestLapsed)
