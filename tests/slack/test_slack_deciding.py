"""Approving and denying from Slack: by the right people, once each, and never on an old button."""

import asyncio

import pytest

from bot.core import events as e
from bot.core.model import State
from bot.slack.views.guide import TOO_SLOW
from tests.core.samples import ANNA, BEN, CARA, DORA, EMIL, MINUTE
from tests.slack.bench import LEADS, Bench

WRITE = "Production database, write"
ROOT = "Production root"


async def test_one_press_of_a_lead_lets_the_requester_in(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    assert card.buttons() == ["Approve", "Deny", "Take back"]
    outcome = await it.presses(it.ben, card, "Approve")
    assert outcome.ok
    assert await it.state(request.id) is State.ACTIVE
    after = await it.card(request.id)
    assert after.buttons() == ["Hand back", "Revoke"]
    assert "is in until" in after.human_text()


async def test_the_question_before_approving_says_what_happens(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    button = next(one for one in card.elements() if one["action_id"] == "approve")
    assert "last approval" in button["confirm"]["text"]["text"]
    assert "for 15 min, at once" in button["confirm"]["text"]["text"]
    assert (await it.ben.press(card, "Approve", confirm=False)).cancelled
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_no_call_to_slack_stands_between_the_press_and_the_grant(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    await it.people.roster(ANNA, BEN)  # as the server does every minute
    it.sandbox.wire_log.clear()
    for method in ("chat.postMessage", "chat.postEphemeral", "users.info", "auth.test", "chat.update"):
        it.sandbox.faults.add(method=method, kind="500", times=99)
    await it.presses(it.ben, card, "Approve")
    assert await it.state(request.id) is State.ACTIVE
    assert it.sandbox.wire_log.calls() == []


async def test_an_approver_with_a_code_reads_what_it_does_and_enters_it(it: Bench) -> None:
    request = await it.asks(access=WRITE)
    await it.presses(it.ben, await it.card(request.id), "Approve")
    window = await it.window(it.ben, "Approve")
    assert "last approval" in window.text()
    assert "The replica lags by an hour." in window.text()
    window.fill("Code", it.fresh_code(BEN))
    assert await window.submit() is None
    await it.settle()
    assert await it.state(request.id) is State.ACTIVE


async def test_an_approvers_wrong_code_is_said_at_its_field_and_recorded(it: Bench) -> None:
    request = await it.asks(access=WRITE)
    await it.presses(it.ben, await it.card(request.id), "Approve")
    window = await it.window(it.ben, "Approve")
    window.fill("Code", "123456")
    said = await window.submit()
    assert said is not None
    assert "not right" in said["Code"]
    assert await it.refused(BEN) == ["wrong"]
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_an_approvers_code_works_once(it: Bench) -> None:
    code = ""
    for number in range(2):
        request = await it.asks(access=WRITE)
        await it.presses(it.ben, await it.card(request.id), "Approve")
        window = await it.window(it.ben, "Approve")
        code = code or it.fresh_code(BEN)
        window.fill("Code", code)
        said = await window.submit()
        assert (said is None) == (number == 0)
    assert await it.refused(BEN) == ["replayed"]


# --- who may not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("admin", [False, True])
async def test_nobody_approves_their_own_request_whatever_groups_and_powers(it: Bench, admin: bool) -> None:
    """Anna is in the approvers' group, and an admin of the workspace too."""
    it.sandbox.change_user(ANNA, is_admin=admin, is_owner=admin)
    request = await it.asks()
    await it.presses(it.anna, await it.card(request.id), "Approve")
    assert it.hears(it.anna) == ["You asked for this yourself; someone else must approve it."]
    assert await it.refused(ANNA) == ["self_approval"]
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_one_human_counts_once(it: Bench) -> None:
    request = await it.asks(access=ROOT)
    card = await it.card(request.id)
    await it.presses(it.ben, card, "Approve")
    await it.presses(it.ben, card, "Approve")
    assert it.hears(it.ben) == ["Your approval already counts, once. Another person must add theirs."]
    assert await it.refused(BEN) == ["second_vote"]
    assert await it.state(request.id) is State.AWAITING_APPROVAL
    await it.presses(it.cara, await it.card(request.id), "Approve")
    assert await it.state(request.id) is State.ACTIVE


@pytest.mark.parametrize("label", ["Approve", "Deny"])
async def test_a_stranger_to_the_roles_is_told_whose_it_is(it: Bench, label: str) -> None:
    request = await it.asks()
    await it.presses(it.emil, await it.card(request.id), label)
    assert it.hears(it.emil) == ["Only leads may decide this."]
    assert await it.refused(EMIL) == ["may_not_decide"]
    assert it.emil.modal is None, "nobody writes a reason for nothing"


@pytest.mark.parametrize(
    ("facts", "code", "says"),
    [
        ({"is_restricted": True}, "guest", "Guest accounts"),
        ({"is_bot": True}, "bot", "humans only"),
        ({"is_stranger": True}, "stranger", "other organisations"),
        ({"deleted": True}, "deactivated", "deactivated"),
    ],
)
async def test_an_approver_who_is_no_colleague_any_more_has_no_say(
    it: Bench, facts: dict[str, object], code: str, says: str
) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    screen = it.ben.on(card)
    it.sandbox.change_user(BEN, **facts)
    await it.knows(BEN)
    await screen.press("Approve", confirm=True)
    await it.settle()
    assert says in it.hears(it.ben)[-1]
    assert await it.refused(BEN) == [code]
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_who_left_the_group_has_no_say_a_moment_later(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    it.sandbox.set_usergroup(LEADS, [CARA])
    await it.sandbox.wait_for(lambda: it.sandbox.wire_log.events("subteam_members_changed"))
    it.people.regrouped(LEADS)
    await it.presses(it.ben, card, "Approve")
    assert await it.refused(BEN) == ["may_not_decide"]


async def test_before_the_requesters_code_nobody_decides(it: Bench) -> None:
    request = await it.asks(code="")
    card = await it.card(request.id)
    assert "Approve" not in card.buttons()
    await it.forged(it.ben, "approve", request.id)
    assert "has not proved who they are yet" in it.hears(it.ben)[-1]
    assert await it.refused(BEN) == ["no_proof_yet"]


# --- old buttons, twice, at once ------------------------------------------------------------------------


async def test_a_button_on_an_old_card_is_answered_with_what_is_true_now(it: Bench) -> None:
    request = await it.asks()
    old = await it.card(request.id)
    await it.presses(it.ben, old, "Approve")
    await it.presses(it.cara, old, "Approve")
    assert it.hears(it.cara) == [f"{request.id} is active."]
    assert await it.events(e.ApprovalGiven) == 1
    assert await it.refused(CARA) == ["stale"]


async def test_a_no_that_comes_after_the_grant_is_told_and_recorded(it: Bench) -> None:
    request = await it.asks()
    old = await it.card(request.id)
    await it.presses(it.ben, old, "Approve")
    await it.presses(it.cara, old, "Deny")
    assert it.hears(it.cara) == [f"{request.id} is active."]
    assert await it.refused(CARA) == ["stale"]


async def test_a_window_that_was_sent_too_late_says_what_is_true_and_is_recorded(it: Bench) -> None:
    request = await it.asks(access=WRITE)
    await it.presses(it.ben, await it.card(request.id), "Approve")
    window = await it.window(it.ben, "Approve")
    await it.rig.desk.deny(request.id, CARA, "not now", it.rig.key())
    window.fill("Code", it.fresh_code(BEN))
    assert await window.submit() is None
    assert window.title == "Nothing was changed"
    assert f"{request.id} was denied." in window.text()
    assert await it.refused(BEN) == ["stale"]


async def test_a_button_pressed_after_the_lapse_grants_nothing(it: Bench) -> None:
    request = await it.asks()
    old = await it.card(request.id)
    await it.rig.forward(31 * MINUTE)
    await it.presses(it.ben, old, "Approve")
    assert it.hears(it.ben) == [f"{request.id} lapsed: nobody decided in time."]
    assert await it.state(request.id) is State.LAPSED
    assert await it.refused(BEN) == ["stale"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_one_approval_delivered_three_times_counts_once(it: Bench, restarted: bool) -> None:
    request = await it.asks(access=ROOT)
    await it.presses(it.ben, await it.card(request.id), "Approve")
    if restarted:
        await it.reconnect()
    await it.again()
    assert await it.events(e.ApprovalGiven) == 1
    assert it.hears(it.ben) == [], "an echo is not scolded"
    assert await it.refused(BEN) == []


async def test_the_last_approval_delivered_again_after_a_restart_is_silent(it: Bench) -> None:
    request = await it.asks()
    await it.presses(it.ben, await it.card(request.id), "Approve")
    await it.reconnect()
    await it.again()
    assert it.hears(it.ben) == []
    assert await it.refused(BEN) == []
    assert await it.state(request.id) is State.ACTIVE


async def test_two_approvers_at_the_same_moment_are_both_answered(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    both = [it.ben.press(card, "Approve", confirm=True), it.cara.press(card, "Approve", confirm=True)]
    outcomes = await asyncio.gather(*both)
    await it.settle()
    assert all(outcome.ok for outcome in outcomes)
    assert await it.state(request.id) is State.ACTIVE
    assert await it.events(e.QuorumReached) == 1
    assert len(it.hears(it.ben) + it.hears(it.cara)) == 1, "who was second is told what is true"
    assert await it.refused(BEN) + await it.refused(CARA) == ["stale"]


async def test_a_request_that_does_not_exist_is_told_so(it: Bench) -> None:
    await it.card((await it.asks()).id)
    await it.forged(it.ben, "approve", "BG-000000")
    assert "There is no request BG-000000" in it.hears(it.ben)[-1]
    assert await it.refused(BEN) == ["unknown_request"]


async def test_an_expired_trigger_approves_nothing_and_is_told(it: Bench) -> None:
    request = await it.asks(access=WRITE)
    it.sandbox.faults.add(method="views.open", kind="error", error="expired_trigger_id")
    await it.presses(it.ben, await it.card(request.id), "Approve")
    assert it.hears(it.ben) == [TOO_SLOW]
    assert await it.state(request.id) is State.AWAITING_APPROVAL
    assert await it.refused(BEN) == ["expired_trigger"]


# --- denying, taking back -------------------------------------------------------------------------------


async def test_a_no_has_a_reason_and_ends_it(it: Bench) -> None:
    request = await it.asks()
    await it.presses(it.ben, await it.card(request.id), "Deny")
    window = await it.window(it.ben, "Deny")
    window.fill("Reason", "  ")
    said = await window.submit()
    assert said is not None
    assert "why not" in said["Reason"]
    window.fill("Reason", "<!channel> The replica catches up by itself.")
    assert await window.submit() is None
    card = await it.card(request.id)
    assert await it.state(request.id) is State.DENIED
    assert "<!channel> The replica catches up by itself." in card.human_text()
    assert "!channel" not in card.mentions
    assert card.buttons() == []


async def test_a_no_delivered_again_changes_nothing(it: Bench) -> None:
    request = await it.asks()
    await it.presses(it.ben, await it.card(request.id), "Deny")
    window = await it.window(it.ben, "Deny")
    window.fill("Reason", "The replica catches up by itself.")
    await window.submit()
    await it.reconnect()
    await it.again()
    assert await it.events(e.RequestDenied) == 1
    assert await it.state(request.id) is State.DENIED


async def test_only_the_requester_takes_it_back(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    await it.presses(it.ben, card, "Take back")
    assert it.hears(it.ben) == ["Only the person who asked can withdraw this."]
    assert await it.refused(BEN) == ["not_yours"]
    await it.presses(it.anna, card, "Take back")
    assert await it.state(request.id) is State.WITHDRAWN


async def test_security_has_no_say_before_its_step(it: Bench) -> None:
    request = await it.asks()
    await it.presses(it.dora, await it.card(request.id), "Approve")
    assert await it.refused(DORA) == ["may_not_decide"]
