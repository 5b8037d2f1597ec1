"""Whole lives in virtual time, judged by the provider's own ledger and by a replay of the history."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core import events as e
from bot.core.errors import Refused, Stale
from bot.core.model import (
    OPERATOR,
    Deny,
    HandoffState,
    Mfa,
    PersonId,
    Policy,
    RequestId,
    State,
    Tier,
    Verdict,
    Why,
)
from bot.desk import mark_of, new_request_id
from tests.core.samples import ANNA, BEN, CARA, DORA, EMIL, HOUR, MINUTE, SCENARIO, TERMS, policy_of
from tests.desk.rig import INSTALLATION, Rig, rig

SECOND = timedelta(seconds=1)


async def test_from_the_question_to_the_review(it: Rig) -> None:
    request = await it.asked()
    assert request.state is State.AWAITING_APPROVAL
    assert it.vault.puts == []
    request = await it.approved(request.id)
    assert request.state is State.ACTIVE
    assert set(it.vault.ledger) == {request.mark}
    assert request.expires_at == it.clock.now + 15 * MINUTE
    await it.forward(15 * MINUTE)
    assert it.vault.ledger == {}
    assert (await it.reviewed(request.id)).state is State.REVIEWED
    assert [type(record.event) for record in await it.history() if record.request == request.id] == [
        e.RequestOpened,
        e.ProofAccepted,
        e.ApprovalGiven,
        e.QuorumReached,
        e.AccessGranted,
        e.ExpiryNear,
        e.RevokeOrdered,
        e.AccessEnded,
        e.ReportFiled,
        e.ReviewSigned,
    ]
    await it.keeps_its_promises(late=timedelta(0))


async def test_an_access_lives_until_its_end_and_not_a_moment_longer(it: Rig) -> None:
    request = await it.active()
    await it.forward(15 * MINUTE - SECOND)
    assert await it.state(request.id) is State.ACTIVE
    assert set(it.vault.ledger) == {request.mark}
    await it.forward(SECOND)
    ended = await it.store.get(request.id)
    assert ended.state is State.AWAITING_REVIEW
    assert ended.end is not None
    assert (ended.end.why, ended.end.ended_at) == (Why.EXPIRED, request.expires_at)
    await it.keeps_its_promises(late=timedelta(0))


async def test_five_minutes_before_its_end_the_holder_is_told_once(it: Rig) -> None:
    request = await it.active()
    assert request.expires_at is not None
    await it.forward(10 * MINUTE - SECOND)
    assert await it.told(e.ExpiryNear) == []
    await it.forward(4 * MINUTE)
    (warning,) = await it.told(e.ExpiryNear)
    assert (warning.at, warning.request) == (request.expires_at - 5 * MINUTE, request.id)
    assert warning.event == e.ExpiryNear(expires_at=request.expires_at)
    assert set(it.vault.ledger) == {request.mark}, "and still has it"
    await it.forward(HOUR)
    ended = await it.store.get(request.id)
    assert ended.end is not None
    assert ended.end.ended_at == request.expires_at
    assert len(await it.told(e.ExpiryNear)) == 1
    await it.keeps_its_promises(late=timedelta(0))


async def test_a_warning_that_is_late_is_given_and_one_that_is_too_late_is_not(it: Rig) -> None:
    """The server was down at that moment; or until the end."""
    for minutes, told in ((12, 1), (20, 1)):
        await it.active()
        await it.crash()
        it.clock.forward(minutes * MINUTE)
        await it.boot()
        assert len(await it.told(e.ExpiryNear)) == told
        await it.forward(HOUR)
        assert it.vault.ledger == {}
    await it.keeps_its_promises(late=HOUR)


async def test_a_short_access_ends_without_a_warning(tmp_path: Path) -> None:
    short = replace(TERMS, durations=(10 * MINUTE, 15 * MINUTE))
    async with rig(tmp_path, policy_of(short)) as it:
        it.clock.forward(30 * SECOND)
        form = replace(it.form(code=it.code(ANNA)), duration=10 * MINUTE)
        await it.approved((await it.desk.ask(form)).id)
        await it.forward(10 * MINUTE)
        assert (it.vault.ledger, await it.told(e.ExpiryNear)) == ({}, [])


@pytest.mark.parametrize(
    ("who", "why"),
    [(ANNA, Why.HANDED_BACK), (BEN, Why.REVOKED), (DORA, Why.REVOKED), (OPERATOR, Why.REVOKED)],
)
async def test_the_holder_the_approvers_security_and_the_operator_end_it_at_once(
    it: Rig, who: PersonId, why: Why
) -> None:
    request = await it.active()
    it.clock.forward(MINUTE)
    ended = await it.revoked(request.id, who)
    assert it.vault.ledger == {}
    assert ended.end is not None
    assert (ended.state, ended.end.why, ended.end.by) == (State.AWAITING_REVIEW, why, who)
    await it.keeps_its_promises(late=timedelta(0))


async def test_a_request_that_nobody_answers_lapses_and_nobody_gets_in(it: Rig) -> None:
    """Silence never approves, however long it lasts."""
    with_code = await it.asked()
    without = await it.desk.ask(it.form())
    await it.forward(10 * MINUTE)
    assert (await it.state(without.id), await it.state(with_code.id)) == (
        State.LAPSED,
        State.AWAITING_APPROVAL,
    )
    await it.forward(30 * 24 * HOUR)
    assert await it.state(with_code.id) is State.LAPSED
    assert it.vault.calls == []
    await it.keeps_its_promises()


async def test_an_approval_after_the_lapse_is_told_so(it: Rig) -> None:
    request = await it.asked()
    await it.forward(TERMS.lapse_after)
    with pytest.raises(Stale, match="lapsed: nobody decided in time"):
        await it.approved(request.id)
    assert it.vault.calls == []


async def test_an_approval_after_the_lapse_does_not_count_even_while_the_keeper_sleeps(it: Rig) -> None:
    """A late keeper must not turn a late yes into access."""
    request = await it.asked()
    it.clock.forward(TERMS.lapse_after)
    with pytest.raises(Stale, match="lapsed: nobody decided in time"):
        await it.approved(request.id)
    assert await it.state(request.id) is State.LAPSED
    assert it.vault.calls == []
    await it.keeps_its_promises()


async def test_a_code_after_the_challenge_does_not_count_even_while_the_keeper_sleeps(it: Rig) -> None:
    request = await it.desk.ask(it.form())
    it.clock.forward(10 * MINUTE)
    with pytest.raises(Stale, match="lapsed"):
        await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    assert await it.state(request.id) is State.LAPSED


async def test_the_requester_withdraws_and_an_approval_after_that_changes_nothing(it: Rig) -> None:
    request = await it.asked()
    await it.desk.withdraw(request.id, ANNA, it.key())
    with pytest.raises(Stale, match="was withdrawn"):
        await it.approved(request.id)
    await it.keeps_its_promises()


async def test_one_no_ends_it_also_after_a_yes(tmp_path: Path) -> None:
    terms = replace(TERMS, tiers=(Tier(("leads",), 2),))
    async with rig(tmp_path, policy_of(terms)) as it:
        request = await it.asked()
        await it.approved(request.id, BEN)
        await it.desk.deny(request.id, BEN, "I read it again: use the runbook.", it.key())
        with pytest.raises(Stale, match="was denied"):
            await it.approved(request.id, CARA)
        denied = await it.store.get(request.id)
        assert denied.denial is not None
        assert str(denied.denial.reason) == "I read it again: use the runbook."
        assert it.vault.calls == []
        await it.keeps_its_promises()


async def test_several_tiers_fill_in_order_with_distinct_humans(tmp_path: Path) -> None:
    terms = replace(TERMS, tiers=(Tier(("leads",), 2), Tier(("security", "leads"))))
    async with rig(tmp_path, policy_of(terms)) as it:
        request = await it.asked()
        with pytest.raises(Refused) as early:
            await it.approved(request.id, DORA)
        assert early.value.code == "not_your_tier"
        await it.approved(request.id, BEN, CARA)
        assert it.vault.calls == []
        with pytest.raises(Refused) as twice:
            await it.approved(request.id, BEN)
        assert twice.value.code == "second_vote"
        assert (await it.approved(request.id, DORA)).state is State.ACTIVE
        await it.keeps_its_promises()


# --- proof ----------------------------------------------------------------------------------------------


async def test_a_request_without_a_code_waits_for_it(it: Rig) -> None:
    request = await it.desk.ask(it.form())
    assert request.state is State.AWAITING_MFA
    with pytest.raises(Refused) as early:
        await it.approved(request.id)
    assert early.value.code == "no_proof_yet"
    await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    assert (await it.approved(request.id)).state is State.ACTIVE
    await it.keeps_its_promises()


async def test_after_a_slow_approval_one_fresh_code_lets_in(it: Rig) -> None:
    request = await it.asked()
    it.clock.forward(TERMS.mfa_max_age + SECOND)
    stale = await it.approved(request.id)
    assert (stale.state, it.vault.calls) == (State.APPROVED_STALE, [])
    it.clock.forward(MINUTE)
    await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    await it.settled()
    active = await it.store.get(request.id)
    assert active.state is State.ACTIVE
    assert active.expires_at == it.clock.now + 15 * MINUTE
    await it.forward(15 * MINUTE)
    await it.keeps_its_promises(late=timedelta(0))


async def test_a_stale_approval_that_no_code_follows_lapses(it: Rig) -> None:
    request = await it.asked()
    it.clock.forward(TERMS.mfa_max_age + SECOND)
    await it.approved(request.id)
    await it.forward(10 * MINUTE)
    assert await it.state(request.id) is State.LAPSED
    assert it.vault.calls == []


async def test_an_approver_who_left_before_the_fresh_code_voids_the_approval(it: Rig) -> None:
    request = await it.asked()
    it.clock.forward(TERMS.mfa_max_age + SECOND)
    await it.approved(request.id)
    it.people.put("leads", CARA)
    with pytest.raises(Refused) as refusal:
        await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    assert refusal.value.code == "approval_void"
    assert (await it.state(request.id), it.vault.calls) == (State.LAPSED, [])
    await it.keeps_its_promises()


async def test_an_access_that_asks_for_no_proof_says_so_in_the_history(tmp_path: Path) -> None:
    async with rig(tmp_path, policy_of(replace(TERMS, mfa=Mfa.NONE))) as it:
        request = await it.desk.ask(it.form())
        it.clock.forward(20 * MINUTE)
        assert (await it.approved(request.id)).state is State.ACTIVE
        assert len(await it.told(e.MfaNotRequired)) == 1
        await it.keeps_its_promises()


async def test_approvers_prove_themselves_where_policy_says(tmp_path: Path) -> None:
    async with rig(tmp_path, policy_of(replace(TERMS, approver_mfa=Mfa.TOTP))) as it:
        request = await it.asked()
        for code, refusal in (("", "not_enrolled"), ("000000", "not_enrolled")):
            with pytest.raises(Refused) as refused:
                await it.desk.approve(request.id, BEN, it.key(), code)
            assert refused.value.code == refusal
        await it.enrol(BEN)
        with pytest.raises(Refused) as refused:
            await it.desk.approve(request.id, BEN, it.key())
        assert refused.value.code == "no_code"
        await it.desk.approve(request.id, BEN, it.key(), it.code(BEN))
        await it.settled()
        active = await it.store.get(request.id)
        assert active.state is State.ACTIVE
        assert active.approvals[0].proof is not None
        await it.keeps_its_promises()


async def test_one_code_does_not_serve_for_two_requests(it: Rig) -> None:
    it.clock.forward(30 * SECOND)
    code = it.code(ANNA)
    await it.desk.ask(it.form(code=code))
    with pytest.raises(Refused) as refusal:
        await it.desk.ask(it.form(code=code))
    assert refusal.value.code == "replayed"
    assert len(await it.store.unfinished()) == 1
    assert [record.event.code for record in await it.told(e.ProofRefused)] == ["replayed"]  # type: ignore[attr-defined]  # told() gives that kind


# --- what changed in between ----------------------------------------------------------------------------

CHANGES: dict[str, tuple[Policy, str]] = {
    "another scope": (policy_of(replace(TERMS, scope={"role": "prod_rw"})), "policy_changed"),
    "another quorum": (policy_of(replace(TERMS, tiers=(Tier(("leads",), 2),))), "policy_changed"),
    "a new rule on the deny-list": (
        policy_of(deny=(Deny("Not now.", environments=("production",)),)),
        "denied",
    ),
    "the scenario is gone": (policy_of(scenarios={}), "no_scenario"),
    "a criterion that nobody confirmed": (
        policy_of(scenarios={SCENARIO.key: replace(SCENARIO, criteria=("The director agrees.",))}),
        "policy_changed",
    ),
    "an incident rule that it does not meet": (
        policy_of(scenarios={SCENARIO.key: replace(SCENARIO, incident_pattern=r"INC-\d+")}),
        "policy_changed",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_request_lapses_when_the_policy_changed_underneath(it: Rig, change: str) -> None:
    request = await it.asked()
    it.policy, code = CHANGES[change]
    await it.crash()
    await it.boot()
    with pytest.raises(Refused) as refusal:
        await it.approved(request.id)
    assert refusal.value.code == code
    assert (await it.state(request.id), it.vault.calls) == (State.LAPSED, [])
    await it.keeps_its_promises()


async def test_a_request_lapses_when_the_requester_left_before_the_approval(it: Rig) -> None:
    request = await it.asked()
    it.people.deactivate(ANNA)
    with pytest.raises(Refused) as refusal:
        await it.approved(request.id)
    assert refusal.value.code == "deactivated"
    assert (await it.state(request.id), it.vault.calls) == (State.LAPSED, [])


async def test_an_earlier_approver_who_left_voids_the_quorum_that_the_last_one_completes(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, policy_of(replace(TERMS, tiers=(Tier(("leads",), 2),)))) as it:
        request = await it.asked()
        await it.approved(request.id, BEN)
        it.people.deactivate(BEN)
        with pytest.raises(Refused):
            await it.approved(request.id, CARA)
        assert (await it.state(request.id), it.vault.calls) == (State.LAPSED, [])


async def test_while_the_audit_channel_is_lost_nothing_is_granted_and_everything_still_ends(it: Rig) -> None:
    active = await it.active()
    waiting = await it.asked()
    it.closed = "the audit channel is gone."
    for attempt in (it.asked(), it.approved(waiting.id)):
        with pytest.raises(Refused, match="the audit channel is gone") as refusal:
            await attempt
        assert refusal.value.code == "closed"
    await it.revoked(active.id)
    assert it.vault.ledger == {}
    assert await it.state(waiting.id) is State.AWAITING_APPROVAL, "it waits; it may be approved later"
    it.closed = None
    third = await it.approved(waiting.id)
    it.closed = "it is gone again."
    await it.forward(15 * MINUTE)
    assert (await it.state(third.id), it.vault.ledger) == (State.AWAITING_REVIEW, {})
    await it.keeps_its_promises(late=timedelta(0))


async def test_a_stale_approval_waits_while_granting_is_closed(it: Rig) -> None:
    request = await it.asked()
    it.clock.forward(TERMS.mfa_max_age + SECOND)
    await it.approved(request.id)
    it.closed = "the audit channel is gone."
    code = it.code(ANNA)
    with pytest.raises(Refused):
        await it.desk.prove(request.id, ANNA, code, it.key())
    assert it.vault.calls == []
    it.closed = None
    await it.desk.prove(request.id, ANNA, code, it.key())
    await it.settled()
    assert await it.state(request.id) is State.ACTIVE, "the code was not used up by the refusal"


# --- the credential -------------------------------------------------------------------------------------


async def test_a_credential_is_revealed_once_to_the_requester_alone(it: Rig) -> None:
    it.vault.with_handoff = True
    request = await it.active()
    assert request.handoff is HandoffState.WAITING
    for other in (BEN, DORA, EMIL, OPERATOR):
        with pytest.raises(Refused) as refusal:
            await it.desk.reveal(request.id, other, it.key())
        assert refusal.value.code == "not_yours"
    handoff = await it.desk.reveal(request.id, ANNA, it.key())
    assert [(label, secret.reveal()) for label, secret in handoff.fields] == [
        ("Password", f"hunter2 {request.mark}")
    ]
    with pytest.raises(Refused) as again:
        await it.desk.reveal(request.id, ANNA, it.key())
    assert again.value.code == "already_shown"
    assert len(await it.told(e.HandoffShown)) == 1
    await it.keeps_its_promises()


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_a_credential_rests_sealed_and_stands_nowhere_else(it: Rig, tmp_path: Path) -> None:
    it.vault.with_handoff = True
    request = await it.active()
    assert await it.store.handoff(request.id)
    assert b"hunter2" not in everything_in(tmp_path)
    await it.revoked(request.id)
    assert await it.store.handoff(request.id) is None
    with pytest.raises(Stale):
        await it.desk.reveal(request.id, ANNA, it.key())


# --- afterwards -----------------------------------------------------------------------------------------


async def test_a_review_that_nobody_signs_is_overdue_once(it: Rig) -> None:
    request = await it.active()
    await it.forward(15 * MINUTE + TERMS.review_within)
    assert (await it.store.get(request.id)).review_overdue
    await it.forward(30 * 24 * HOUR)
    assert len(await it.told(e.ReviewOverdue)) == 1
    assert (await it.reviewed(request.id)).state is State.REVIEWED


async def test_another_human_reviews_once_the_requester_reported_or_their_time_is_over(it: Rig) -> None:
    request = await it.active()
    await it.forward(15 * MINUTE)
    for person, code in ((ANNA, "self_review"), (BEN, "sole_approver"), (CARA, "no_report_yet")):
        with pytest.raises(Refused) as refusal:
            await it.desk.may_review(request.id, person, it.key())
        assert refusal.value.code == code
    await it.forward(TERMS.report_within)
    reviewed = await it.desk.review(
        request.id, CARA, verdict=Verdict.MISUSE, less_was_possible=True, follow_ups="talk", key=it.key()
    )
    assert reviewed.review is not None
    assert (reviewed.review.verdict, reviewed.review.less_was_possible) == (Verdict.MISUSE, True)
    await it.keeps_its_promises()


# --- more than one --------------------------------------------------------------------------------------


async def test_two_grants_of_one_person_end_each_at_its_own_time(it: Rig) -> None:
    first = await it.active()
    await it.forward(5 * MINUTE)
    second = await it.active()
    assert set(it.vault.ledger) == {first.mark, second.mark}
    await it.forward(10 * MINUTE)
    assert set(it.vault.ledger) == {second.mark}
    await it.forward(10 * MINUTE)
    assert it.vault.ledger == {}
    await it.keeps_its_promises(late=timedelta(0))


async def test_whoever_was_away_for_hours_ends_everything_at_once(it: Rig) -> None:
    """Twenty grants, then nobody sweeps for a day."""
    requests = [await it.active() for _ in range(20)]
    it.clock.forward(24 * HOUR)
    assert len(it.vault.ledger) == 20
    await it.crash()
    await it.boot()
    assert it.vault.ledger == {}
    assert {await it.state(request.id) for request in requests} == {State.AWAITING_REVIEW}
    await it.keeps_its_promises(late=24 * HOUR)


async def test_what_one_may_ask_for_says_how_it_would_end(it: Rig) -> None:
    (offer,) = await it.desk.offers(ANNA)
    assert [(terms.access, ending.by.value) for terms, ending in offer.accesses] == [("prod-db", "bot")]
    assert await it.desk.offers(EMIL) == []


async def test_what_the_provider_cannot_grant_to_somebody_is_not_offered_to_them(it: Rig) -> None:
    stranger = PersonId("U0NEW")
    it.people.roster_now = replace(
        it.people.roster_now,
        people={
            **it.people.roster_now.people,
            stranger: replace(it.people.roster_now.people[ANNA], id=stranger),
        },
    )
    it.people.put("oncall", ANNA, stranger)
    assert await it.desk.offers(stranger) == []
    with pytest.raises(Refused, match="You have no account there") as refusal:
        await it.desk.ask(it.form(stranger))
    assert (refusal.value.code, refusal.value.field) == ("cannot_be_granted", "access")


def test_an_id_is_short_easy_to_say_and_never_the_same() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == 9 and id.startswith("BG-") and not set(id[3:]) & set("ILOU") for id in ids)
    assert mark_of(INSTALLATION, RequestId("BG-7K3Q2M")) == "bg-acme-7k3q2m"
