"""Providers that fail and processes that die: whatever happens, no access is left and none is adopted."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.access import LONGEST_RETRY, STUCK_AFTER_TRIES, retry_after
from bot.core import events as e
from bot.core import machine
from bot.core.errors import Stale
from bot.core.model import HELD, TERMINAL, Request, RequestId, State, Why
from tests.core.samples import ANNA, BEN, DORA, HOUR, MINUTE
from tests.desk.pretend import Mood
from tests.desk.rig import Rig

SECOND = timedelta(seconds=1)
AT_ONCE = timedelta(0)


async def granting(it: Rig) -> Request:
    """Approved, and the provider has been asked: the grant is under way and waits for `gate`."""
    request = await it.asked()
    await it.desk.approve(request.id, BEN, it.key())
    await asyncio.wait_for(it.vault.asked.wait(), 5)
    return await it.store.get(request.id)


async def failed(it: Rig, id: RequestId, why: Why) -> None:
    """It came to rest as FAILED, the card offers it again, and nothing is left at the provider."""
    request = await it.store.get(id)
    assert request.state is State.FAILED
    assert request.end is not None
    assert request.end.why is why
    assert machine.failed_without_a_grant(request)
    assert await it.told(e.AccessGranted) == []
    assert it.vault.ledger == {}
    await it.keeps_its_promises(late=AT_ONCE)


# --- granting -------------------------------------------------------------------------------------------


async def test_what_the_provider_refuses_is_revoked_all_the_same_and_failed(it: Rig) -> None:
    it.vault.will("grant", Mood.REFUSES)
    request = await it.active()
    await failed(it, request.id, Why.FAILED)
    assert [verb for verb, _ in it.vault.calls] == ["grant", "revoke"]
    assert request.end is not None
    assert request.end.last_error == "The provider said no."


async def test_a_grant_without_an_answer_is_tried_again_and_can_still_work(it: Rig) -> None:
    it.vault.will("grant", Mood.IS_SILENT, Mood.WORKS_SILENTLY)
    request = await it.active()
    assert request.state is State.ACTIVE
    assert len(it.vault.puts) == 1, "the same order again is no second access"
    await it.keeps_its_promises()


@pytest.mark.parametrize(
    "moods",
    [
        [Mood.IS_SILENT] * 3,
        [Mood.WORKS_SILENTLY] * 3,
        [Mood.WORKS_SILENTLY, Mood.REFUSES],
        [Mood.HANGS],
        [Mood.WORKS_AND_HANGS],
        [Mood.BREAKS] * 3,
        [Mood.WORKS_SILENTLY, Mood.BREAKS, Mood.HANGS],
    ],
    ids=lambda moods: " then ".join(mood.name for mood in moods),
)
async def test_a_grant_that_is_never_answered_is_revoked_and_never_adopted(
    it: Rig, moods: list[Mood]
) -> None:
    """Whether or not it worked."""
    it.impatient()
    it.vault.will("grant", *moods)
    request = await it.active()
    await failed(it, request.id, Why.FAILED if moods[-1] is Mood.REFUSES else Why.UNANSWERED)
    again = await it.active()
    assert again.state is State.ACTIVE, "the same request can be made again"


async def test_an_adapters_bug_tells_its_kind_and_never_its_text(it: Rig) -> None:
    it.vault.will("grant", *[Mood.BREAKS] * 3)
    it.vault.will("revoke", Mood.BREAKS)
    request = await it.active()
    (failure,) = await it.told(e.RevokeFailed)
    assert isinstance(failure.event, e.RevokeFailed)
    assert failure.event.error == "The adapter failed with RuntimeError."
    assert "hunter2" not in repr(await it.history()) + repr(request)


async def test_an_answer_after_the_end_lets_nobody_in(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    request = await granting(it)
    it.clock.forward(15 * MINUTE)
    it.vault.gate.set()
    await it.settled()
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert (ended.state, ended.end.why, it.vault.ledger) == (State.FAILED, Why.EXPIRED, {})


async def test_a_sweep_leaves_a_grant_alone_while_its_answer_is_waited_for(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    request = await granting(it)
    it.clock.forward(61 * SECOND)
    await it.keeper.sweep()
    assert await it.state(request.id) is State.GRANTING
    it.vault.gate.set()
    await it.settled()
    assert await it.state(request.id) is State.ACTIVE


@pytest.mark.parametrize("late", [Mood.WORKS_LATE, Mood.LATE_AND_SILENT])
async def test_a_grant_that_is_not_answered_by_its_end_is_ended_then_and_not_when_it_is_answered(
    it: Rig, late: Mood
) -> None:
    it.vault.will("grant", late)
    request = await granting(it)
    assert request.expires_at is not None
    it.clock.now = request.expires_at
    await it.keeper.sweep()
    await it.until_left(State.REVOKING, request.id)
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert (ended.state, ended.end.why, it.vault.puts) == (State.FAILED, Why.EXPIRED, [])
    it.vault.will("grant", Mood.REFUSES)
    it.vault.gate.set()
    await it.settled()
    assert len(it.vault.puts) == 1, "it did land"
    assert it.vault.ledger == {}
    await it.keeps_its_promises(late=AT_ONCE)


@pytest.mark.parametrize("late", [Mood.WORKS_LATE, Mood.LATE_AND_SILENT])
@pytest.mark.parametrize("who", [ANNA, BEN, DORA])
async def test_what_arrives_after_it_was_revoked_is_taken_away_again(it: Rig, who: str, late: Mood) -> None:
    """Revoked while the provider worked, and proved absent before the grant landed: answered or not."""
    it.vault.will("grant", late)
    request = await granting(it)
    await it.desk.revoke(request.id, type(ANNA)(who), "", it.key())
    await it.until_left(State.REVOKING, request.id)
    assert await it.state(request.id) is State.FAILED
    assert it.vault.puts == []
    it.vault.will("grant", Mood.REFUSES)
    it.vault.gate.set()
    await it.settled()
    assert len(it.vault.puts) == 1, "it did land"
    assert it.vault.ledger == {}
    assert await it.state(request.id) is State.FAILED
    await it.keeps_its_promises(late=AT_ONCE)


async def test_what_lands_after_both_its_end_and_a_revoke_is_taken_away_again(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    request = await granting(it)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until_left(State.REVOKING, request.id)
    it.clock.forward(15 * MINUTE)
    it.vault.gate.set()
    await it.settled()
    assert len(it.vault.puts) == 1
    assert it.vault.ledger == {}


@pytest.mark.parametrize("late", [Mood.WORKS_LATE, Mood.LATE_AND_SILENT])
async def test_what_lands_late_and_cannot_be_taken_away_is_tried_until_it_is_gone_and_told(
    it: Rig, late: Mood
) -> None:
    """Its card says already that nobody was let in; so what is left is named and ended like an orphan."""
    it.vault.will("grant", late, Mood.REFUSES)
    it.vault.will("revoke", *[Mood.LIES, Mood.IS_SILENT, Mood.IS_SILENT, Mood.REFUSES, Mood.IS_SILENT])
    request = await granting(it)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until_left(State.REVOKING, request.id)
    it.vault.gate.set()
    await it.settled()
    assert len(it.vault.puts) == 1, "it did land"
    assert it.vault.ledger == {}
    orphan = [r for r in await it.history() if isinstance(r.event, e.OrphanFound | e.OrphanEnded)]
    assert [type(record.event) for record in orphan] == [e.OrphanFound, e.OrphanEnded]
    assert orphan[0].request == request.id
    for wait, whole in zip(it.pauses, (5, 10, 20, 40), strict=True):
        assert 0.8 * whole <= wait <= whole
    await it.keeper.reconcile()
    assert len(await it.told(e.OrphanFound)) == 1
    await it.keeps_its_promises(late=AT_ONCE)


async def test_what_lands_late_while_its_end_is_still_tried_is_no_orphan(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    it.vault.will("revoke", *[Mood.IS_SILENT] * 3)
    request = await granting(it)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until(lambda: it.vault.of("revoke") == 1)
    it.vault.gate.set()
    await it.settled()
    assert (await it.state(request.id), it.vault.ledger) == (State.REVOKING, {})
    await it.forward(5 * SECOND)
    assert await it.state(request.id) is State.FAILED
    assert await it.told(e.OrphanFound) == []


async def test_what_lands_late_and_is_found_by_the_look_at_the_providers_is_told_once(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who try it at the same time: who goes on trying, and the reconciler."""

    async def meanwhile(_seconds: float) -> None:
        await it.keeper.reconcile()

    monkeypatch.setattr(it.access, "_pause", meanwhile)
    it.vault.will("grant", Mood.WORKS_LATE)
    it.vault.will("revoke", Mood.LIES, Mood.IS_SILENT, Mood.IS_SILENT)
    request = await granting(it)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until_left(State.REVOKING, request.id)
    it.vault.gate.set()
    await it.settled()
    assert it.vault.ledger == {}
    assert [len(await it.told(kind)) for kind in (e.OrphanFound, e.OrphanRemains, e.OrphanEnded)] == [1, 1, 1]


async def test_what_lands_late_is_tried_until_it_is_gone_although_the_database_fails_meanwhile(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the look at the request nor the record of what was found may end the trying."""
    it.vault.will("grant", Mood.WORKS_LATE)
    it.vault.will("revoke", Mood.LIES, Mood.IS_SILENT, Mood.IS_SILENT)
    request = await granting(it)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until_left(State.REVOKING, request.id)
    fails_once(it, monkeypatch, "get", lambda *_asked: len(it.pauses) == 1)
    fails_once(it, monkeypatch, "note", lambda fact: isinstance(fact, e.OrphanFound))
    it.vault.gate.set()
    await it.settled()
    assert it.vault.ledger == {}
    assert [len(await it.told(kind)) for kind in (e.OrphanFound, e.OrphanEnded)] == [1, 1]


def fails_once(it: Rig, monkeypatch: pytest.MonkeyPatch, verb: str, which: Callable[..., bool]) -> None:
    """The first call of the store's `verb` that is such a one fails, as when the database restarts."""
    real, failed = getattr(it.store, verb), False

    async def failing(*args: object, **more: object) -> object:
        nonlocal failed
        if not failed and which(*args):
            failed = True
            raise OSError("disk I/O error")
        return await real(*args, **more)

    monkeypatch.setattr(it.store, verb, failing)


# --- revoking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 8])
@pytest.mark.parametrize("mood", [Mood.IS_SILENT, Mood.REFUSES, Mood.BREAKS, Mood.WORKS_SILENTLY])
async def test_a_revoke_is_tried_until_it_has_worked_with_longer_pauses_and_louder(
    it: Rig, times: int, mood: Mood
) -> None:
    request = await it.active()
    it.vault.will("revoke", *[mood] * times)
    await it.forward(15 * MINUTE)
    for _ in range(times):
        due = await it.store.next_due(it.clock.now)
        assert due is not None
        await it.forward(due - it.clock.now)
    ended = await it.store.get(request.id)
    assert ended.state is State.AWAITING_REVIEW
    assert ended.end is not None
    assert (ended.end.attempts, it.vault.of("revoke")) == (times, times + 1)
    failures = [record.event for record in await it.told(e.RevokeFailed)]
    waits = [
        failure.next_try_at - record.at
        for record, failure in zip(await it.told(e.RevokeFailed), failures, strict=True)
        if isinstance(failure, e.RevokeFailed)
    ]
    for number, wait in enumerate(waits):
        whole = min(5 * SECOND * 2**number, 5 * MINUTE)
        assert whole * 0.8 <= wait <= whole
    assert it.vault.ledger == {}
    await it.keeps_its_promises(late=HOUR)


async def test_what_cannot_be_revoked_is_stuck_after_half_a_minute_and_never_given_up(it: Rig) -> None:
    request = await it.active()
    it.vault.will("revoke", *[Mood.IS_SILENT] * 400)
    await it.forward(15 * MINUTE)
    assert request.expires_at is not None
    while it.clock.now <= request.expires_at + 30 * SECOND:
        held = await it.store.get(request.id)
        assert held.end is not None
        assert held.end.stuck_since is None
        due = await it.store.next_due(it.clock.now)
        assert due is not None
        await it.forward(due - it.clock.now)
    stuck = await it.store.get(request.id)
    assert stuck.end is not None
    assert stuck.end.stuck_since == it.clock.now
    await it.forward(6 * HOUR)
    still = await it.store.get(request.id)
    assert still.state is State.REVOKING
    assert still.end is not None
    assert still.end.attempts > 6 * HOUR / LONGEST_RETRY, "it was tried every five minutes all night"
    assert still.end.stuck_since == stuck.end.stuck_since
    it.vault._moods.clear()
    await it.forward(5 * MINUTE)
    done = await it.store.get(request.id)
    assert done.end is not None
    assert (done.state, done.end.stuck_since, it.vault.ledger) == (State.AWAITING_REVIEW, None, {})


async def test_six_tries_are_stuck_however_short_the_time(it: Rig) -> None:
    """A clock that stands still must not keep it quiet."""
    request = await it.active()
    it.vault.will("revoke", *[Mood.IS_SILENT] * 6)
    request = await it.revoked(request.id)
    stuck = [request.end.stuck_since is not None] if request.end else []
    for _ in range(5):
        request = await it.access.take(request)
        assert request.end is not None
        stuck.append(request.end.stuck_since is not None)
    assert stuck == [False] * 5 + [True]


async def test_a_revoke_that_hangs_does_not_hold_up_another(it: Rig) -> None:
    first, second = await it.active(), await it.active()
    it.vault.will("revoke", Mood.WORKS_LATE)
    await it.desk.revoke(first.id, DORA, "", it.key())
    await asyncio.wait_for(it.vault.asked.wait(), 5)
    await it.desk.revoke(second.id, DORA, "", it.key())
    await it.until_left(State.REVOKING, second.id)
    assert set(it.vault.ledger) == {first.mark}
    await it.keeper.sweep()
    it.vault.gate.set()
    await it.settled()
    assert it.vault.ledger == {}
    assert it.vault.of("revoke") == 2, "what is under way is not started a second time"


def test_pauses_double_to_five_minutes_and_are_not_all_the_same() -> None:
    assert max(retry_after(1) for _ in range(50)) <= 5 * SECOND
    assert all(4 * MINUTE <= retry_after(tries) <= 5 * MINUTE for tries in (7, 20, 10_000))
    assert len({retry_after(STUCK_AFTER_TRIES) for _ in range(50)}) > 1


# --- crashes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("worked", [False, True])
async def test_a_crash_while_granting_is_revoked_at_boot(it: Rig, worked: bool) -> None:
    """Before the provider did it and after: a handoff may be lost, so nothing is adopted."""
    it.vault.will("grant", Mood.WORKS_AND_HANGS if worked else Mood.HANGS)
    request = await it.asked()
    await it.desk.approve(request.id, BEN, it.key())
    await it.until(lambda: bool(it.vault.ledger) if worked else it.vault.of("grant") == 1)
    await it.crash()
    assert await it.state(request.id) is State.GRANTING
    assert bool(it.vault.ledger) is worked
    await it.boot()
    await failed(it, request.id, Why.UNANSWERED)


async def test_a_crash_between_the_commit_and_the_first_call_is_revoked_by_the_sweep(it: Rig) -> None:
    """Also without a boot: whoever was to carry it out is lost a minute later."""
    request = await it.asked()
    it.desk._start = lambda _request: None
    await it.desk.approve(request.id, BEN, it.key())
    await it.forward(59 * SECOND)
    assert await it.state(request.id) is State.GRANTING
    await it.forward(SECOND)
    await failed(it, request.id, Why.UNANSWERED)


async def test_a_crash_while_active_loses_nothing(it: Rig) -> None:
    request = await it.active()
    await it.crash()
    await it.boot()
    assert await it.state(request.id) is State.ACTIVE
    await it.forward(15 * MINUTE)
    assert it.vault.ledger == {}
    await it.keeps_its_promises(late=AT_ONCE)


async def test_what_came_due_while_nobody_ran_ends_at_boot(it: Rig) -> None:
    request = await it.active()
    await it.crash()
    it.clock.forward(3 * HOUR)
    await it.boot()
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert (ended.state, ended.end.why, it.vault.ledger) == (State.AWAITING_REVIEW, Why.EXPIRED, {})


@pytest.mark.parametrize("mood", [Mood.HANGS, Mood.WORKS_AND_HANGS, Mood.IS_SILENT, Mood.WORKS_SILENTLY])
async def test_a_crash_while_revoking_goes_on_at_boot(it: Rig, mood: Mood) -> None:
    """Before the provider was called, after it had worked, and between two attempts; ended once."""
    request = await it.active()
    it.vault.will("revoke", mood)
    await it.desk.revoke(request.id, DORA, "", it.key())
    await it.until(lambda: it.vault.of("revoke") == 1)
    if mood in {Mood.IS_SILENT, Mood.WORKS_SILENTLY}:
        await it.settled()
    await it.crash()
    assert await it.state(request.id) is State.REVOKING
    await it.boot()
    await it.forward(5 * SECOND)
    assert (await it.state(request.id), it.vault.ledger) == (State.AWAITING_REVIEW, {})
    assert len(await it.told(e.AccessEnded)) == 1
    await it.keeps_its_promises()


async def test_a_crash_at_every_step_of_a_life_leaves_no_access_that_is_not_on_the_schedule(it: Rig) -> None:
    """Boot after boot: every restart makes progress and none undoes what was decided."""
    request = await it.asked()
    await it.crash()
    await it.boot()
    assert await it.state(request.id) is State.AWAITING_APPROVAL
    request = await it.approved(request.id)
    for _ in range(3):
        await it.crash()
        await it.boot()
    assert await it.state(request.id) is State.ACTIVE
    await it.desk.revoke(request.id, ANNA, "", it.key())
    await it.crash()
    await it.boot()
    assert await it.state(request.id) is State.AWAITING_REVIEW
    await it.crash()
    await it.boot()
    await it.reviewed(request.id)
    await it.crash()
    await it.boot()
    assert await it.state(request.id) in TERMINAL
    await it.keeps_its_promises()


async def test_one_request_that_cannot_be_acted_on_does_not_keep_the_others_from_ending(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most overdue one fails in a way nobody foresaw; the rest end on time, at a sweep and at boot."""
    requests = [await it.active() for _ in range(3)]
    it.clock.forward(HOUR)
    record, record_all = it.store.record, it.store.record_all

    async def poisoned(request: Request, *events: e.Event, **more: object) -> Request:
        if request.id == requests[0].id:
            raise RuntimeError("nobody foresaw this")
        return await record(request, *events, **more)  # type: ignore[arg-type]  # passed on as they came

    async def poisoned_together(together: Sequence[Request], event: e.Event) -> list[Request]:
        if requests[0].id in {request.id for request in together}:
            raise RuntimeError("nobody foresaw this")
        return await record_all(together, event)

    monkeypatch.setattr(it.store, "record", poisoned)
    monkeypatch.setattr(it.store, "record_all", poisoned_together)
    await it.boot()
    assert set(it.vault.ledger) == {requests[0].mark}
    assert not it.keeper.is_fresh(it.clock.now), "and somebody hears of it"
    monkeypatch.undo()
    await it.sweep()
    assert it.vault.ledger == {}
    assert it.keeper.is_fresh(it.clock.now)


async def test_one_request_that_cannot_be_read_does_not_keep_the_others_from_ending(it: Rig) -> None:
    """Of another version, or damaged: the rest end on time, and readiness says that not all is well."""
    broken, sound = await it.active(), await it.active()
    async with it.engine.begin() as connection:
        damage = "UPDATE requests SET body = '{}' WHERE id = :id"
        await connection.execute(text(damage), {"id": broken.id})
    it.clock.forward(HOUR)
    await it.boot()
    assert set(it.vault.ledger) == {broken.mark}
    assert await it.state(sound.id) is State.AWAITING_REVIEW
    assert not it.keeper.is_fresh(it.clock.now)


async def test_a_crash_of_one_grant_at_boot_does_not_keep_the_other_from_ending(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.vault.will("grant", Mood.WORKS_AND_HANGS, Mood.WORKS_AND_HANGS)
    requests = [await it.asked(), await it.asked()]
    for request in requests:
        await it.desk.approve(request.id, BEN, it.key())
    await it.until(lambda: len(it.vault.ledger) == 2)
    await it.crash()
    record = it.store.record

    async def raced(request: Request, *events: e.Event, **more: object) -> Request:
        if request.id == requests[0].id:
            raise Stale("somebody was faster")
        return await record(request, *events, **more)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(it.store, "record", raced)
    await it.boot()
    assert set(it.vault.ledger) == {requests[0].mark}


async def test_leaving_in_good_order_waits_for_what_is_under_way(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    request = await granting(it)
    asyncio.get_running_loop().call_soon(it.vault.gate.set)
    await it.keeper.drain(timedelta(seconds=5))
    assert await it.state(request.id) is State.ACTIVE


async def test_leaving_does_not_wait_for_ever(it: Rig) -> None:
    it.vault.will("grant", Mood.WORKS_LATE)
    request = await granting(it)
    await it.keeper.drain(timedelta(0))
    assert await it.state(request.id) in HELD
    it.vault.gate.set()
