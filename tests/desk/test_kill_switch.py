"""Ending everything at once by the operator's hand: nothing that happens to one keeps another from ending."""

import asyncio
from copy import copy
from dataclasses import replace

import pytest
from sqlalchemy import text

from bot.access import Access, Provider
from bot.backends.outside import SENTENCE, Outside
from bot.core import events as e
from bot.core.model import OPERATOR, PersonId, Request, RequestId, State, Why
from bot.operate.ending import KillSwitch, RevokedRow
from tests.core.samples import ANNA, BEN, DORA
from tests.desk.pretend import Mood
from tests.desk.rig import INSTALLATION, Rig


def switch(it: Rig) -> KillSwitch:
    """As the command line has it: with a desk of its own that starts nothing beside it."""
    desk = copy(it.desk)
    desk._start = lambda _request: None
    return KillSwitch(it.office, desk, INSTALLATION, "The laptop is stolen.")


async def killed(
    it: Rig, person: PersonId | None = None, pressed: KillSwitch | None = None
) -> dict[str, RevokedRow]:
    """What became of each, by id."""
    pressed = pressed or switch(it)
    await pressed.order(person)
    return {row["id"]: row for row in await pressed.attempt()}


async def test_it_ends_what_one_person_or_anybody_holds_and_the_history_says_that_it_was_the_kill_switch(
    it: Rig,
) -> None:
    request = await it.active()
    assert await killed(it, BEN) == {}
    rows = await killed(it, ANNA)
    assert rows[request.id]["ended"]
    assert it.vault.ledger == {}
    (record,) = await it.told(e.RevokeOrdered)
    assert isinstance(record.event, e.RevokeOrdered)
    assert (record.event.actor, record.event.why) == (OPERATOR, Why.KILLED)
    assert str(record.event.reason) == "The laptop is stolen."
    await it.active()
    assert [row["ended"] for row in (await killed(it)).values()] == [True]
    assert it.vault.ledger == {}
    await it.keeps_its_promises()


async def test_every_order_is_committed_before_any_provider_is_asked(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [await it.active() for _ in range(3)]
    revoke, states = it.vault.revoke, []

    async def looking(order: object) -> None:
        states.append([await it.state(request.id) for request in requests])
        await revoke(order)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(it.vault, "revoke", looking)
    await killed(it)
    assert states[0] == [State.REVOKING] * 3
    assert it.vault.ledger == {}


async def test_all_are_attempted_at_the_same_time_however_long_one_takes(it: Rig) -> None:
    for _ in range(3):
        await it.active()
    it.vault.will("revoke", *[Mood.WORKS_LATE] * 3)
    pressed = switch(it)
    await pressed.order(None)
    attempts = asyncio.create_task(pressed.attempt())
    await it.until(lambda: it.vault.of("revoke") == 3)
    it.vault.gate.set()
    assert [row["ended"] for row in await attempts] == [True] * 3


async def test_one_that_ends_or_is_ended_by_another_meanwhile_keeps_none_from_ending(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what is held and the order for it; and at every look that follows a lost race."""
    gone, ending, last = [await it.active() for _ in range(3)]
    pressed = switch(it)
    revoke = pressed._desk.revoke

    async def raced(id: RequestId, *args: str, **kwargs: bool) -> Request:
        if id == gone.id:
            await it.revoked(id, ANNA)
        if id == ending.id:
            it.vault.will("revoke", Mood.IS_SILENT)
            await it.revoked(id, DORA)
        return await revoke(id, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pressed._desk, "revoke", raced)
    rows = await killed(it, pressed=pressed)
    assert {id: (row["state"], row["ended"]) for id, row in rows.items()} == {
        request.id: ("awaiting_review", True) for request in (gone, ending, last)
    }
    assert it.vault.ledger == {}
    await it.keeps_its_promises()


async def test_what_is_granted_meanwhile_is_ended_too(it: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await it.active()
    waiting = await it.asked()
    pressed = switch(it)
    revoke = pressed._desk.revoke

    async def meanwhile(id: RequestId, *args: str, **kwargs: bool) -> Request:
        if await it.state(waiting.id) is State.AWAITING_APPROVAL:
            await it.approved(waiting.id)
        return await revoke(id, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pressed._desk, "revoke", meanwhile)
    assert len(await killed(it, pressed=pressed)) == 2
    assert it.vault.ledger == {}


async def test_one_that_cannot_be_read_or_ordered_is_listed_and_the_others_end(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, unordered, sound = [await it.active() for _ in range(3)]
    async with it.engine.begin() as connection:
        damage = "UPDATE requests SET body = '{}' WHERE id = :id"
        await connection.execute(text(damage), {"id": damaged.id})
    pressed = switch(it)
    revoke = pressed._desk.revoke

    async def failing(id: RequestId, *args: str, **kwargs: bool) -> Request:
        if id == unordered.id:
            raise OSError("disk I/O error")
        return await revoke(id, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pressed._desk, "revoke", failing)
    rows = await killed(it, pressed=pressed)
    assert rows[sound.id]["ended"]
    for request in (damaged, unordered):
        row = rows[request.id]
        assert not row["ended"]
        assert row["sentence"].startswith("NOT ordered (")
        assert f"end {request.mark} by hand" in row["sentence"]
    assert set(it.vault.ledger) == {damaged.mark, unordered.mark}


async def test_an_outcome_that_cannot_be_recorded_is_said_and_the_others_are_told(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await it.active(), await it.active()
    record = it.store.record

    async def failing(request: Request, *events: e.Event, **more: object) -> Request:
        if request.id == first.id and isinstance(events[0], e.AccessEnded):
            raise OSError("disk I/O error")
        return await record(request, *events, **more)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(it.store, "record", failing)
    rows = await killed(it)
    assert (rows[first.id]["state"], rows[first.id]["ended"]) == ("revoking", False)
    assert "the outcome is not recorded (OSError)" in rows[first.id]["sentence"]
    assert rows[second.id]["ended"]


@pytest.mark.parametrize("provider", ["not configured here", "inside the server"])
async def test_where_nothing_can_be_asked_from_here_no_failure_is_recorded_and_the_server_ends_it_at_once(
    it: Rig, provider: str
) -> None:
    """A failure would put off the server's own attempt, and count towards an end that is stuck."""
    request = await it.active()
    there = {} if provider == "not configured here" else {"vault": Provider(Outside(), {})}
    here = Access(it.store, there, it.office.vault, it.grant_deadline)
    pressed = KillSwitch(replace(it.office, access=here), switch(it)._desk, INSTALLATION, "Stolen.")
    row = (await killed(it, pressed=pressed))[request.id]
    because = SENTENCE if there else "The backend vault cannot be reached from here: put it back, or end "
    assert (row["state"], row["ended"]) == ("revoking", False)
    assert row["sentence"].startswith(f"ordered, but not confirmed ({because}")
    assert await it.told(e.RevokeFailed) == []
    await it.sweep()
    assert it.vault.ledger == {}
    assert await it.state(request.id) is State.AWAITING_REVIEW


async def test_a_proof_that_it_is_gone_counts_although_another_process_failed_meanwhile(it: Rig) -> None:
    """The server and the command line attempt the same end; the one that fails is recorded first."""
    request = await it.active()
    it.vault.will("revoke", Mood.WORKS_LATE, Mood.IS_SILENT)
    attempt = asyncio.create_task(killed(it))
    await asyncio.wait_for(it.vault.asked.wait(), 5)
    server = Rig(it.engine, it.policy, it.clock, it.people, it.backends)
    await server.sweep()
    assert len(await it.told(e.RevokeFailed)) == 1
    it.vault.gate.set()
    assert (await attempt)[request.id]["ended"]
    assert await it.state(request.id) is State.AWAITING_REVIEW
    await it.keeps_its_promises()
