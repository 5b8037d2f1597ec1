"""What wakes the keeper: a commit, the next due moment, a heartbeat; and that nothing ends it but us."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from bot import keeper as module
from bot.core import events as e
from bot.core.model import State
from tests.core.samples import MINUTE
from tests.desk.pretend import Mood
from tests.desk.rig import Rig

SOON = timedelta(seconds=0.02)
LONG = timedelta(hours=1)


class Bell(asyncio.Event):
    """Remembers from which threads it was rung."""

    def __init__(self) -> None:
        super().__init__()
        self.rung_in: list[int] = []

    def set(self) -> None:
        self.rung_in.append(threading.get_ident())
        super().set()


@asynccontextmanager
async def running(it: Rig) -> AsyncIterator[Bell]:
    bell = it.keeper._wake = Bell()
    task = asyncio.create_task(it.keeper.run())
    await it.until(lambda: it.keeper.is_fresh(it.clock.now))
    try:
        yield bell
        assert not task.done(), "nothing ends the keeper but us"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_commit_wakes_the_keeper(it: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", LONG)
    request = await it.active()
    async with running(it):
        it.clock.forward(15 * MINUTE)
        await it.store.note(e.ServerStopped())
        await it.until_left(State.ACTIVE, request.id)
        await it.until_left(State.REVOKING, request.id)
    assert it.vault.ledger == {}


async def test_the_heartbeat_finds_what_another_process_wrote_and_rings_in_our_own_thread(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """APScheduler runs plain functions in threads of its own; a bell of asyncio must not be rung there."""
    monkeypatch.setattr(module, "HEARTBEAT", SOON)
    request = await it.active()
    async with running(it) as bell:
        it.clock.forward(15 * MINUTE)
        await it.until_left(State.ACTIVE, request.id)
        await it.until(lambda: len(bell.rung_in) > 2)
    assert set(bell.rung_in) == {threading.get_ident()}


async def test_the_next_due_moment_wakes_the_keeper(it: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In real time, a fifth of a second long: that is the clock APScheduler has."""
    monkeypatch.setattr(module, "HEARTBEAT", LONG)
    it.clock.now = datetime.now(UTC) - 10 * MINUTE + timedelta(seconds=0.2)
    request = await it.desk.ask(it.form())
    it.clock.now = datetime.now(UTC)
    async with running(it):
        it.clock.now = request.lapses_at
        await it.until_left(State.AWAITING_MFA, request.id)
    assert await it.state(request.id) is State.LAPSED


async def test_what_comes_due_while_a_sweep_is_under_way_is_acted_on_at_once(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later than the sweep's look at the schedule, and earlier than the look at what comes next."""
    monkeypatch.setattr(module, "HEARTBEAT", LONG)
    request = await it.active()
    due, looks = it.store.due, 0

    async def slow(now: datetime, attempts: int) -> object:
        nonlocal looks
        found = await due(now, attempts)
        looks += 1
        if looks == 1:
            it.clock.forward(15 * MINUTE)
        return found

    monkeypatch.setattr(it.store, "due", slow)
    task = asyncio.create_task(it.keeper.run())
    try:
        async with asyncio.timeout(5):
            await it.until_left(State.ACTIVE, request.id)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await it.settled()
    assert it.vault.ledger == {}


async def test_a_database_that_fails_for_a_moment_does_not_end_the_keeper(
    it: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", SOON)
    request = await it.active()
    async with running(it):
        due, failures = it.store.due, 0

        async def failing(now: datetime, attempts: int) -> object:
            nonlocal failures
            if failures < 3:
                failures += 1
                raise OSError("disk I/O error")
            return await due(now, attempts)

        monkeypatch.setattr(it.store, "due", failing)
        it.clock.forward(15 * MINUTE)
        await it.until(lambda: failures == 3)
        await it.until_left(State.ACTIVE, request.id)
    assert [record.levelno for record in caplog.records if record.name == "bot.keeper"] == [logging.ERROR] * 3
    await it.settled()
    assert it.vault.ledger == {}


async def test_a_first_sweep_that_fails_keeps_no_server_from_starting(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_asked: object) -> object:
        raise OSError("disk I/O error")

    monkeypatch.setattr(it.store, "due", failing)
    await it.boot()
    assert not it.keeper.is_fresh(it.clock.now), "and it is not ready"


async def test_it_is_fresh_only_for_a_while_after_a_sweep(it: Rig) -> None:
    assert not it.keeper.is_fresh(it.clock.now)
    await it.keeper.sweep()
    assert it.keeper.is_fresh(it.clock.now)
    it.clock.forward(module.FRESH)
    assert not it.keeper.is_fresh(it.clock.now)


async def test_it_looks_at_the_providers_by_itself(it: Rig) -> None:
    it.vault.foreign("bg-acme-zzzzzz")
    it.keeper._reconcile_every = SOON
    async with running(it):
        await it.until(lambda: not it.vault.ledger)
        await it.until(lambda: it.vault.of("live") > 2)
    assert len(await it.told(e.OrphanFound)) == 1


async def test_a_look_at_the_providers_that_is_under_way_is_finished_before_leaving(it: Rig) -> None:
    """The scheduler would cancel it in the middle of a commit and wait for nothing."""
    it.vault.foreign("bg-acme-zzzzzz")
    it.vault.will("live", Mood.WORKS_LATE)
    it.keeper._reconcile_every = SOON
    async with running(it):
        await asyncio.wait_for(it.vault.asked.wait(), 5)
    it.vault.gate.set()
    await it.keeper.drain(timedelta(seconds=5))
    assert (it.vault.ledger, it.vault.of("live")) == ({}, 1)
