"""What providers say against what we know: nothing unexplained lives, and nothing explained is harmed."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core import events as e
from bot.core.model import Lease, Mark, State, Why
from bot.reconciler import SETTLING
from tests.core.samples import ANNA, DORA, MINUTE, TERMS, policy_of
from tests.desk.pretend import Mood
from tests.desk.rig import Rig, rig

SECOND = timedelta(seconds=1)
ORPHAN = Mark("bg-acme-zzzzzz")


async def told(it: Rig, *kinds: type[e.Event]) -> list[str]:
    return [type(record.event).__name__ for record in await it.history() if isinstance(record.event, kinds)]


ORPHANS = (e.OrphanFound, e.OrphanEnded)


async def test_what_nobody_knows_is_ended_and_recorded_once(it: Rig) -> None:
    it.vault.foreign(ORPHAN)
    it.vault.will("revoke", Mood.IS_SILENT, Mood.IS_SILENT)
    for _ in range(4):
        await it.keeper.reconcile()
    assert it.vault.ledger == {}
    assert it.vault.of("revoke") == 3, "tried at every look until it worked"
    assert await told(it, *ORPHANS) == ["OrphanFound", "OrphanEnded"]
    await it.keeps_its_promises()


async def test_two_attempts_at_once_at_what_nobody_knows_are_told_once(it: Rig) -> None:
    it.vault.foreign(ORPHAN)
    it.vault.will("revoke", Mood.WORKS_LATE, Mood.WORKS_LATE)
    (lease,) = await it.vault.live()
    attempts = [
        asyncio.create_task(it.access.end_unexplained("vault", lease.as_order(), None)) for _ in range(2)
    ]
    await it.until(lambda: it.vault.of("revoke") == 2)
    it.vault.gate.set()
    assert await asyncio.gather(*attempts) == [True, True]
    assert await told(it, *ORPHANS) == ["OrphanFound", "OrphanEnded"]


async def test_one_request_that_cannot_be_read_hides_nothing_at_its_provider(it: Rig) -> None:
    """What nobody knows is ended, what is gone is ended as gone, and what cannot be read is left alone."""
    damaged, gone = await it.active(), await it.active()
    await it.tampered(f"UPDATE requests SET body = '{{}}' WHERE id = '{damaged.id}'")
    it.vault.foreign(ORPHAN)
    del it.vault.ledger[gone.mark]
    it.clock.now += SETTLING
    await it.keeper.reconcile()
    await it.settled()
    assert set(it.vault.ledger) == {damaged.mark}
    assert await it.state(gone.id) is State.AWAITING_REVIEW


async def test_what_another_installation_granted_is_left_alone(it: Rig) -> None:
    """Also one whose name begins with ours, and access without any mark."""
    for mark in ("bg-umbrella-000000", "standing-access", "anna"):
        it.vault.foreign(mark)
    before = dict(it.vault.ledger)
    active = await it.active()
    await it.keeper.reconcile()
    await it.revoked(active.id)
    await it.keeper.reconcile()
    assert it.vault.ledger == before
    assert await told(it, *ORPHANS) == []


async def test_a_database_that_was_lost_does_not_lose_the_power_to_end_access(
    tmp_path: Path, it: Rig
) -> None:
    request = await it.active()
    (tmp_path / "new").mkdir()
    async with rig(tmp_path / "new") as new:
        new.backends["vault"] = it.vault
        await new.crash()
        await new.keeper.reconcile()
        assert new.vault.ledger == {}
        assert [record.event for record in await new.told(e.OrphanEnded)] == [
            e.OrphanEnded(backend="vault", mark=request.mark)
        ]


async def test_what_is_held_is_no_orphan_whatever_stage_it_is_in(it: Rig) -> None:
    request = await it.active()
    await it.keeper.reconcile()
    assert set(it.vault.ledger) == {request.mark}
    it.vault.will("revoke", Mood.IS_SILENT)
    await it.revoked(request.id)
    await it.keeper.reconcile()
    assert await told(it, *ORPHANS) == []
    assert it.vault.of("revoke") == 1, "a revoke that waits for its next moment is the keeper's business"


async def test_what_was_put_back_after_its_end_is_taken_away_again_and_named(it: Rig) -> None:
    request = await it.active()
    await it.revoked(request.id)
    it.vault.foreign(request.mark)
    await it.keeper.reconcile()
    (found,) = await it.told(e.OrphanFound)
    assert found.request == request.id
    assert it.vault.ledger == {}


async def test_what_the_provider_no_longer_has_is_ended_as_gone(it: Rig) -> None:
    request = await it.active()
    it.vault.ledger.clear()
    it.clock.now += SETTLING
    await it.keeper.reconcile()
    await it.settled()
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert (ended.state, ended.end.why) == (State.AWAITING_REVIEW, Why.GONE)
    assert ended.end.last_error == "The provider no longer has it, and we did not end it."


async def test_a_provider_that_lied_about_the_grant_is_found_out(it: Rig) -> None:
    it.vault.will("grant", Mood.LIES)
    request = await it.active()
    assert request.state is State.ACTIVE
    it.clock.now += SETTLING
    await it.keeper.reconcile()
    await it.settled()
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert ended.end.why is Why.GONE


async def test_a_provider_that_lied_about_the_revoke_is_found_out(it: Rig) -> None:
    request = await it.active()
    it.vault.will("revoke", Mood.LIES)
    await it.revoked(request.id)
    assert set(it.vault.ledger) == {request.mark}
    await it.keeper.reconcile()
    assert it.vault.ledger == {}
    assert await told(it, *ORPHANS) == ["OrphanFound", "OrphanEnded"]


async def test_what_the_provider_ended_on_time_is_expired_and_raises_no_alarm(it: Rig) -> None:
    """Its clock or its answer came before our sweep."""
    it.vault.ends_itself = True
    request = await it.active()
    assert request.expires_at is not None
    it.clock.now = request.expires_at
    await it.keeper.reconcile()
    await it.sweep()
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert (ended.state, ended.end.why) == (State.AWAITING_REVIEW, Why.EXPIRED)


async def test_what_ended_while_the_provider_was_asked_is_no_orphan(it: Rig) -> None:
    """The answer is older than the end: it tells of an access that was ours when it was given."""
    request = await it.active()
    live = it.vault.live

    async def slow() -> list[Lease]:
        answer = await live()
        await it.revoked(request.id)
        return answer

    it.vault.live = slow  # type: ignore[method-assign]  # a provider that takes its time
    await it.keeper.reconcile()
    assert await it.state(request.id) is State.AWAITING_REVIEW
    assert await told(it, *ORPHANS) == []


async def test_what_was_granted_while_the_provider_was_asked_is_not_gone(it: Rig) -> None:
    live = it.vault.live

    async def slow() -> list[Lease]:
        answer = await live()
        await it.active()
        return answer

    it.vault.live = slow  # type: ignore[method-assign]  # a provider that takes its time
    await it.keeper.reconcile()
    await it.settled()
    assert len(it.vault.ledger) == 1
    assert await told(it, e.RevokeOrdered, *ORPHANS) == []


async def test_what_changed_while_the_provider_was_asked_is_looked_at_again_in_the_next_round(
    it: Rig,
) -> None:
    it.vault.with_handoff = True
    request = await it.active()
    live = it.vault.live

    async def slow() -> list[Lease]:
        await it.desk.reveal(request.id, ANNA, it.key())
        return []

    it.vault.live = slow  # type: ignore[method-assign]  # a provider that takes its time
    await it.keeper.reconcile()
    assert await it.state(request.id) is State.ACTIVE
    it.vault.live = live  # type: ignore[method-assign]  # and now answers at once
    await it.keeper.reconcile()
    assert await it.state(request.id) is State.ACTIVE


async def test_a_change_by_somebody_else_is_flagged_once_and_stays(it: Rig) -> None:
    request = await it.active()
    lease = it.vault.ledger[request.mark]
    it.vault.ledger[request.mark] = replace(lease, altered="may also write")
    await it.keeper.reconcile()
    await it.keeper.reconcile()
    assert (await it.store.get(request.id)).altered == "may also write"
    assert await told(it, e.LeaseAltered) == ["LeaseAltered"]
    it.vault.ledger[request.mark] = lease
    await it.keeper.reconcile()
    assert (await it.store.get(request.id)).altered == "may also write", "never cleared"
    assert (await it.revoked(request.id)).altered == "may also write", "the reviewer sees it"


@pytest.mark.parametrize("mood", [Mood.IS_SILENT, Mood.REFUSES, Mood.BREAKS])
async def test_a_provider_that_cannot_be_asked_is_named_once_and_again_when_it_answers(
    it: Rig, mood: Mood
) -> None:
    request = await it.active()
    it.vault.will("live", mood, mood)
    for _ in range(4):
        await it.keeper.reconcile()
    assert await told(it, e.BackendSilent, e.BackendAnswers) == ["BackendSilent", "BackendAnswers"]
    assert await it.state(request.id) is State.ACTIVE, "no answer is no proof of anything"
    assert "hunter2" not in repr(await it.history())


async def test_one_silent_provider_does_not_hide_another(tmp_path: Path) -> None:
    other = replace(TERMS, access="cloud", backend="cloud")
    async with rig(tmp_path, policy_of(TERMS, other), "cloud") as it:
        for backend in it.backends.values():
            backend.foreign(ORPHAN)
        it.vault.will("live", Mood.IS_SILENT)
        await it.keeper.reconcile()
        assert set(it.vault.ledger) == {ORPHAN}
        assert it.backends["cloud"].ledger == {}


async def test_a_grant_at_one_provider_is_nobodys_business_at_another(tmp_path: Path) -> None:
    other = replace(TERMS, access="cloud", backend="cloud")
    async with rig(tmp_path, policy_of(TERMS, other), "cloud") as it:
        here = await it.active()
        asked = await it.asked(access="cloud")
        there = await it.approved(asked.id)
        await it.keeper.reconcile()
        assert set(it.vault.ledger) == {here.mark}
        assert set(it.backends["cloud"].ledger) == {there.mark}
        await it.revoked(here.id, DORA)
        assert set(it.backends["cloud"].ledger) == {there.mark}
        await it.keeps_its_promises()


async def test_two_names_of_one_provider_do_not_end_each_others_grants(tmp_path: Path) -> None:
    """Two databases of one cluster, say: each lists the roles of both."""
    other = replace(TERMS, access="cloud", backend="cloud")
    async with rig(tmp_path, policy_of(TERMS, other), "cloud") as it:
        it.backends["cloud"].ledger = it.vault.ledger
        here = await it.active()
        there = await it.approved((await it.asked(access="cloud")).id)
        await it.keeper.reconcile()
        assert set(it.vault.ledger) == {here.mark, there.mark}
        assert await told(it, *ORPHANS) == []


async def test_an_end_at_the_provider_that_is_ours_too_leaves_the_keeper_nothing_to_do(it: Rig) -> None:
    it.vault.ends_itself = True
    request = await it.active()
    await it.forward(15 * MINUTE + SECOND)
    await it.keeper.reconcile()
    assert (await it.state(request.id), it.vault.ledger) == (State.AWAITING_REVIEW, {})
    assert await told(it, *ORPHANS) == []
    await it.keeps_its_promises(late=timedelta(0))
