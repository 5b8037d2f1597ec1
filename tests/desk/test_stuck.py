"""Where an end is overdue nothing new is granted, and people read what to do there by hand."""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.access import STUCK_AFTER_TRIES
from bot.core import events as e
from bot.core.errors import Refused
from bot.core.model import Request, State
from tests.core.samples import ANNA, MINUTE, TERMS, policy_of
from tests.desk.pretend import Mood
from tests.desk.rig import Rig, rig

SECOND = timedelta(seconds=1)


async def stuck(it: Rig) -> Request:
    """An access whose end was attempted so often that it is stuck."""
    request = await it.active()
    it.vault.will("revoke", *[Mood.IS_SILENT] * STUCK_AFTER_TRIES)
    await it.revoked(request.id)
    for _ in range(STUCK_AFTER_TRIES - 1):
        request = await it.access.take(await it.store.get(request.id))
    await it.keeper.sweep()
    return request


async def is_refused(attempt: Awaitable[object], request: Request) -> None:
    with pytest.raises(Refused) as refusal:
        await attempt
    assert (refusal.value.code, refusal.value.field) == ("backend_stuck", "access")
    assert f"No new access is granted at vault: the end of {request.id} there is overdue" in str(
        refusal.value
    )


async def test_nothing_new_is_granted_there_until_it_has_ended(it: Rig) -> None:
    waiting = await it.asked()
    slow = await it.asked()
    it.clock.forward(TERMS.mfa_max_age + SECOND)
    slow = await it.approved(slow.id)
    assert slow.state is State.APPROVED_STALE
    request = await stuck(it)
    grants = it.vault.of("grant")
    await is_refused(it.asked(), request)
    await is_refused(it.approved(waiting.id), request)
    code = it.code(ANNA)
    await is_refused(it.desk.prove(slow.id, ANNA, code, it.key()), request)
    assert it.vault.of("grant") == grants
    assert await it.state(waiting.id) is State.AWAITING_APPROVAL, "it waits; it may be approved later"
    await it.access.take(await it.store.get(request.id))
    assert await it.state(request.id) is State.AWAITING_REVIEW
    await it.desk.prove(slow.id, ANNA, code, it.key())
    await it.settled()
    assert await it.state(slow.id) is State.ACTIVE
    assert (await it.approved(waiting.id)).state is not State.AWAITING_APPROVAL


async def test_it_is_named_although_it_cannot_be_read(it: Rig) -> None:
    request = await stuck(it)
    await it.tampered("UPDATE requests SET body = '{}'")
    await is_refused(it.asked(), request)


async def test_a_failure_that_is_not_yet_stuck_refuses_nothing(it: Rig) -> None:
    request = await it.active()
    it.vault.will("revoke", Mood.IS_SILENT)
    assert (await it.revoked(request.id)).state is State.REVOKING
    assert (await it.active()).state is State.ACTIVE
    (failure,) = await it.told(e.RevokeFailed)
    assert isinstance(failure.event, e.RevokeFailed)
    assert failure.event.by_hand == ""


async def test_elsewhere_access_is_granted_all_the_same(tmp_path: Path) -> None:
    other = replace(TERMS, access="cloud", backend="cloud")
    async with rig(tmp_path, policy_of(TERMS, other), "cloud") as it:
        await stuck(it)
        assert it.keeper.stuck == {"vault"}
        there = await it.approved((await it.asked(access="cloud")).id)
        assert there.state is State.ACTIVE
        await it.forward(5 * MINUTE)
        assert it.keeper.stuck == frozenset()


async def test_what_to_do_by_hand_is_in_the_history_once_it_is_stuck(it: Rig) -> None:
    request = await stuck(it)
    failures = [record.event for record in await it.told(e.RevokeFailed)]
    told = [failure.by_hand for failure in failures if isinstance(failure, e.RevokeFailed)]
    assert told == [""] * (STUCK_AFTER_TRIES - 1) + [f"vault drop {request.mark}"]
    assert request.end is not None
    assert request.end.by_hand == told[-1]


async def test_an_adapter_that_cannot_say_what_to_do_by_hand_holds_up_nothing(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_order: object) -> str:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(it.vault, "by_hand", broken)
    request = await stuck(it)
    assert request.end is not None
    assert (request.end.stuck_since is not None, request.end.by_hand) == (True, "")
    await it.forward(5 * MINUTE)
    assert it.vault.ledger == {}
    assert "hunter2" not in repr(await it.history())
