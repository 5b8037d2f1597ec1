"""Two people in the same instant, and one person's click delivered thrice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from bot.core import events as e
from bot.core.errors import Refused, Stale
from bot.core.model import Mfa, Request, RequestId, State, Tier, Verdict, Why
from bot.store import Due, Duplicate, tables
from tests.core.samples import ANNA, BEN, CARA, DORA, MINUTE, TERMS, policy_of
from tests.desk.pretend import Mood
from tests.desk.rig import Rig, rig


async def both(*verbs: Awaitable[object]) -> list[object]:
    return await asyncio.gather(*verbs, return_exceptions=True)


async def test_two_approvals_in_the_same_instant_give_one_grant_where_one_is_enough(it: Rig) -> None:
    request = await it.asked()
    results = await both(*(it.desk.approve(request.id, who, it.key()) for who in (BEN, CARA)))
    await it.settled()
    assert sorted(type(result).__name__ for result in results) == ["Request", "Stale"]
    active = await it.store.get(request.id)
    assert (active.state, len(active.approvals), len(it.vault.puts)) == (State.ACTIVE, 1, 1)
    await it.keeps_its_promises()


async def test_two_approvals_in_the_same_instant_are_the_quorum_of_two(tmp_path: Path) -> None:
    async with rig(tmp_path, policy_of(replace(TERMS, tiers=(Tier(("leads",), 2),)))) as it:
        request = await it.asked()
        results = await both(*(it.desk.approve(request.id, who, it.key()) for who in (BEN, CARA)))
        await it.settled()
        assert all(isinstance(result, Request) for result in results)
        active = await it.store.get(request.id)
        assert active.state is State.ACTIVE
        assert {approval.by for approval in active.approvals} == {BEN, CARA}
        assert len(it.vault.puts) == 1
        await it.keeps_its_promises()


async def test_the_same_person_twice_in_the_same_instant_is_one_vote(tmp_path: Path) -> None:
    """Two different clicks: from the phone and from the desk."""
    async with rig(tmp_path, policy_of(replace(TERMS, tiers=(Tier(("leads",), 2),)))) as it:
        request = await it.asked()
        results = await both(*(it.desk.approve(request.id, BEN, it.key()) for _ in range(3)))
        refused = [result.code for result in results if isinstance(result, Refused)]
        assert refused == ["second_vote"] * 2
        assert len((await it.store.get(request.id)).approvals) == 1
        assert it.vault.calls == []
        await it.keeps_its_promises()


async def test_of_approve_and_deny_together_the_first_commit_wins_and_the_other_is_told(it: Rig) -> None:
    request = await it.asked()
    results = await both(
        it.desk.approve(request.id, BEN, it.key()), it.desk.deny(request.id, CARA, "not now", it.key())
    )
    await it.settled()
    assert sorted(type(result).__name__ for result in results) == ["Request", "Stale"]
    approved = isinstance(results[0], Request)
    assert await it.state(request.id) is (State.ACTIVE if approved else State.DENIED)
    assert bool(it.vault.ledger) is approved
    await it.keeps_its_promises()


async def test_of_withdraw_and_approve_together_one_holds(it: Rig) -> None:
    request = await it.asked()
    await both(it.desk.withdraw(request.id, ANNA, it.key()), it.desk.approve(request.id, BEN, it.key()))
    await it.settled()
    state = await it.state(request.id)
    assert (state, bool(it.vault.ledger)) in [(State.WITHDRAWN, False), (State.ACTIVE, True)]
    await it.keeps_its_promises()


async def test_of_an_approval_and_the_lapse_together_one_holds(it: Rig) -> None:
    request = await it.asked()
    it.clock.now = request.lapses_at
    await both(it.desk.approve(request.id, BEN, it.key()), it.keeper.sweep())
    await it.settled()
    assert (await it.state(request.id), it.vault.ledger) == (State.LAPSED, {})


async def test_what_was_due_and_is_no_longer_when_its_turn_comes_is_left_alone(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Approved at the last moment, while the sweep was busy with another: not taken for expired."""
    request = await it.active()

    async def earlier(*_now: object) -> list[Due]:
        return [Due(request.id, State.ACTIVE, "vault", tables.microseconds(it.clock.now))]

    monkeypatch.setattr(it.store, "due", earlier)
    await it.sweep()
    assert (await it.state(request.id), set(it.vault.ledger)) == (State.ACTIVE, {request.mark})


async def test_of_hand_back_revoke_and_expiry_together_one_end_is_recorded(it: Rig) -> None:
    request = await it.active()
    it.clock.forward(15 * MINUTE)
    await both(
        it.desk.revoke(request.id, ANNA, "", it.key()),
        it.desk.revoke(request.id, DORA, "", it.key()),
        it.keeper.sweep(),
        it.keeper.sweep(),
    )
    await it.settled()
    assert len(await it.told(e.RevokeOrdered)) == len(await it.told(e.AccessEnded)) == 1
    assert (await it.state(request.id), it.vault.ledger) == (State.AWAITING_REVIEW, {})
    await it.keeps_its_promises()


async def test_two_sweeps_at_once_call_the_provider_once(it: Rig) -> None:
    await it.active()
    it.clock.forward(15 * MINUTE)
    await both(*(it.keeper.sweep() for _ in range(5)))
    await it.settled()
    assert it.vault.of("revoke") == 1


async def test_who_looked_before_another_ended_it_does_not_call_the_provider_again(it: Rig) -> None:
    request = await it.active()
    ordered = await it.store.record(request, e.RevokeOrdered(why=Why.EXPIRED))
    for _ in range(2):
        assert (await it.access.take(ordered)).state is State.AWAITING_REVIEW
    assert it.vault.of("revoke") == 1


async def test_a_database_that_does_not_answer_keeps_no_access_from_ending(it: Rig) -> None:
    request = await it.active()
    ordered = await it.store.record(request, e.RevokeOrdered(why=Why.EXPIRED))
    with (
        mock.patch.object(it.store, "look", side_effect=ConnectionRefusedError),
        mock.patch.object(it.store, "record", side_effect=ConnectionRefusedError),
        pytest.raises(ConnectionRefusedError),
    ):
        await it.access.take(ordered)
    assert it.vault.ledger == {}


async def test_the_same_code_in_the_same_instant_proves_one_of_two_requests(it: Rig) -> None:
    first, second = [await it.desk.ask(it.form()) for _ in range(2)]
    code = it.code(ANNA)
    results = await both(*(it.desk.prove(each.id, ANNA, code, it.key()) for each in (first, second)))
    (refusal,) = [result for result in results if isinstance(result, Refused)]
    assert refusal.code == "replayed"
    states = {await it.state(each.id) for each in (first, second)}
    assert states == {State.AWAITING_APPROVAL, State.AWAITING_MFA}
    assert len(await it.told(e.ProofRefused)) == 1
    await it.keeps_its_promises()


async def test_a_credential_is_revealed_to_one_of_two_clicks(it: Rig) -> None:
    it.vault.with_handoff = True
    request = await it.active()
    results = await both(*(it.desk.reveal(request.id, ANNA, it.key()) for _ in range(3)))
    assert [result.code for result in results if isinstance(result, Refused)] == ["already_shown"] * 2
    assert len(await it.told(e.HandoffShown)) == 1


async def test_a_report_is_filed_by_one_of_two_clicks(it: Rig) -> None:
    request = await it.active()
    await it.revoked(request.id)
    results = await both(
        *(it.desk.report(request.id, ANNA, f"I restarted replica {n}.", it.key()) for n in range(2))
    )
    assert [result.code for result in results if isinstance(result, Refused)] == ["already_reported"]
    await it.keeps_its_promises()


# --- one click, delivered thrice ------------------------------------------------------------------------

Verb = Callable[[Rig, Request], Awaitable[object]]
WAITING: dict[str, Verb] = {
    "approve": lambda it, request: it.desk.approve(request.id, BEN, "click"),
    "deny": lambda it, request: it.desk.deny(request.id, BEN, "not now", "click"),
    "withdraw": lambda it, request: it.desk.withdraw(request.id, ANNA, "click"),
    "refused approval": lambda it, request: it.desk.approve(request.id, ANNA, "click"),
    "refused denial": lambda it, request: it.desk.deny(request.id, ANNA, "not now", "click"),
    "ask": lambda it, _: it.desk.ask(replace(it.form(), keys=("click", "form"))),
    "wrong code": lambda it, _: it.desk.ask(replace(it.form(code="000000"), keys=("click", "form"))),
    "forbidden question": lambda it, _: it.desk.ask(replace(it.form(BEN), keys=("click", "form"))),
}
HELD: dict[str, Verb] = {
    "revoke": lambda it, request: it.desk.revoke(request.id, DORA, "", "click"),
    "reveal": lambda it, request: it.desk.reveal(request.id, ANNA, "click"),
}
OVER: dict[str, Verb] = {
    "report": lambda it, request: it.desk.report(request.id, ANNA, "I did what I said.", "click"),
    "review": lambda it, request: it.desk.review(
        request.id, CARA, verdict=Verdict.DRILL, less_was_possible=False, follow_ups="nothing", key="click"
    ),
}


async def thrice(it: Rig, request: Request, verb: Verb) -> None:
    before = (await it.store.head()).size
    await both(verb(it, request))
    await it.settled()
    once, calls = (await it.store.head()).size, list(it.vault.calls)
    assert once > before, "the first delivery had its effect"
    late = [*await both(verb(it, request), verb(it, request))]
    await it.settled()
    assert all(isinstance(result, Duplicate) for result in late)
    assert (await it.store.head()).size == once, "and the others left no trace"
    assert it.vault.calls == calls


@pytest.mark.parametrize("verb", WAITING)
async def test_a_click_that_is_delivered_thrice_has_one_effect_before_the_grant(it: Rig, verb: str) -> None:
    await thrice(it, await it.asked(), WAITING[verb])


@pytest.mark.parametrize("verb", HELD)
async def test_a_click_that_is_delivered_thrice_has_one_effect_during_it(it: Rig, verb: str) -> None:
    it.vault.with_handoff = True
    await thrice(it, await it.active(), HELD[verb])


@pytest.mark.parametrize("verb", OVER)
async def test_a_click_that_is_delivered_thrice_has_one_effect_after_it(it: Rig, verb: str) -> None:
    request = await it.active()
    await it.forward(15 * MINUTE + TERMS.report_within)
    await thrice(it, request, OVER[verb])


async def test_a_delivery_that_comes_again_after_a_crash_has_no_effect(it: Rig) -> None:
    request = await it.asked()
    form = it.form()
    await it.desk.ask(form)
    await it.crash()
    with pytest.raises(Duplicate):
        await it.desk.ask(form)
    assert {each.id for each in await it.store.unfinished()} > {request.id}
    assert len(await it.store.unfinished()) == 2


async def test_a_form_that_was_mended_and_sent_again_is_filed_once(it: Rig) -> None:
    """Every delivery has its own key, the form one for all: a wrong code does not use the form up."""
    it.clock.forward(MINUTE)
    form = replace(it.form(code="000000"), keys=("delivery-1", "form"))
    with pytest.raises(Refused):
        await it.desk.ask(form)
    await it.desk.ask(replace(form, code=it.code(ANNA), keys=("delivery-2", "form")))
    with pytest.raises(Duplicate):
        await it.desk.ask(replace(form, code="", keys=("delivery-3", "form")))
    assert len(await it.store.unfinished()) == 1


async def test_a_lost_race_does_not_use_up_the_click_or_the_code(tmp_path: Path) -> None:
    terms = replace(TERMS, tiers=(Tier(("leads",), 2),), approver_mfa=Mfa.TOTP)
    async with rig(tmp_path, policy_of(terms)) as it:
        await it.enrol(BEN, CARA)
        request = await it.asked()
        results = await both(
            *(it.desk.approve(request.id, who, it.key(), it.code(who)) for who in (BEN, CARA))
        )
        await it.settled()
        assert all(isinstance(result, Request) for result in results)
        assert await it.state(request.id) is State.ACTIVE


async def test_whoever_loses_every_race_is_told_what_is_true(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And hears it as Stale, not as a fault of the machine."""
    request = await it.active()
    look = it.store.look

    async def behind(id: RequestId) -> Request:
        seen = await look(id)
        await it.store.record(seen, e.LeaseAltered(what=f"version {seen.version}"))
        return seen

    monkeypatch.setattr(it.store, "look", behind)
    with pytest.raises(Stale, match="is active"):
        await it.desk.revoke(request.id, DORA, "", it.key())
    monkeypatch.undo()
    assert set(it.vault.ledger) == {request.mark}
    await it.revoked(request.id)
    assert it.vault.ledger == {}


async def test_a_revoke_under_way_and_the_provider_hanging_do_not_stop_a_second_desk(it: Rig) -> None:
    """Two processes on one file: the command line revokes while the server is busy."""
    first = await it.active()
    second = await it.active()
    it.vault.will("revoke", Mood.WORKS_LATE)
    await it.desk.revoke(first.id, DORA, "", it.key())
    await asyncio.wait_for(it.vault.asked.wait(), 5)
    other = Rig(it.engine, it.policy, it.clock, it.people, it.backends)
    await other.desk.revoke(second.id, DORA, "", "other-click")
    await other.settled()
    assert set(it.vault.ledger) == {first.mark}
    it.vault.gate.set()
    await it.settled()
    assert it.vault.ledger == {}
    await it.keeps_its_promises()
