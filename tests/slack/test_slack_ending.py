"""What people do once access exists: see the credential, end it, report, review, ask again."""

import pytest

from bot.core import events as e
from bot.core.model import HandoffState, State
from bot.slack.views.guide import CLOSED_TOO_EARLY, TOO_SLOW, USED_UP
from tests.core.samples import ANNA, BEN, CARA, DORA, EMIL, MINUTE
from tests.desk.pretend import Mood
from tests.slack.bench import LEADS, Bench

# --- ending ---------------------------------------------------------------------------------------------


async def test_the_holder_hands_it_back(it: Bench) -> None:
    request = await it.active()
    await it.presses(it.anna, await it.card(request.id), "Hand back")
    card = await it.card(request.id)
    assert await it.state(request.id) is State.AWAITING_REVIEW
    assert "@anna handed it back." in card.human_text()
    assert card.buttons() == ["Report", "Review"]


async def test_an_approver_revokes_it_and_a_stranger_does_not(it: Bench) -> None:
    request = await it.active()
    card = await it.card(request.id)
    await it.presses(it.emil, card, "Revoke")
    assert "Only the holder, leads or security may end this access." in it.hears(it.emil)[-1]
    assert await it.refused(EMIL) == ["may_not_revoke"]
    assert await it.state(request.id) is State.ACTIVE
    await it.presses(it.dora, card, "Revoke")
    assert await it.state(request.id) is State.AWAITING_REVIEW


async def test_revoke_waits_for_no_answer_of_slack(it: Bench) -> None:
    request = await it.active()
    card = await it.card(request.id)
    await it.people.roster(DORA)  # as the server does every minute
    it.sandbox.faults.add(method="*", kind="500", times=99)
    await it.presses(it.dora, card, "Revoke")
    assert await it.state(request.id) is State.AWAITING_REVIEW


async def test_a_member_of_a_group_revokes_while_slack_is_silent_although_the_group_just_changed(
    it: Bench,
) -> None:
    """Slack's event says that it changed, not how: what is remembered is enough to take access away."""
    request = await it.active()
    card = await it.card(request.id)
    await it.people.roster(CARA)  # as the server does every minute
    it.people.regrouped(LEADS)
    it.sandbox.faults.add(method="*", kind="500", times=99)
    await it.presses(it.cara, card, "Revoke")
    assert await it.state(request.id) is State.AWAITING_REVIEW
    assert it.sandbox.wire_log.calls("usergroups.list"), "Slack was asked first"


async def test_a_revoke_that_comes_too_late_is_told_and_recorded(it: Bench) -> None:
    request = await it.active()
    card = await it.card(request.id)
    await it.presses(it.anna, card, "Hand back")
    await it.presses(it.dora, card, "Revoke")
    assert it.hears(it.dora) == [f"{request.id} has ended and waits for its review."]
    assert await it.refused(DORA) == ["stale"]


async def test_an_access_that_will_not_end_is_shown_loudly(it: Bench) -> None:
    request = await it.active()
    it.rig.vault.will("revoke", *[Mood.REFUSES] * 20)
    await it.presses(it.dora, await it.card(request.id), "Revoke")
    await it.rig.forward(2 * MINUTE)
    card = await it.card(request.id)
    assert "NOT ENDED YET" in card.human_text()
    assert "NOT ENDED YET" in card.spoken()
    assert card.buttons() == []


async def test_one_revoke_delivered_three_times_orders_one_end(it: Bench) -> None:
    request = await it.active()
    await it.presses(it.dora, await it.card(request.id), "Revoke")
    await it.reconnect()
    await it.again()
    assert await it.events(e.RevokeOrdered) == 1
    assert it.hears(it.dora) == []


# --- the credential -------------------------------------------------------------------------------------


async def test_the_credential_is_shown_once_to_the_requester_alone(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    card = await it.card(request.id)
    assert card.buttons() == ["Show credential", "Hand back", "Revoke"]

    await it.presses(it.ben, card, "Show credential")
    refusal = await it.window(it.ben, "Nothing was changed")
    assert "belongs to the person who asked" in refusal.text()
    assert await it.refused(BEN) == ["not_yours"]

    await it.presses(it.anna, card, "Show credential")
    window = await it.window(it.anna, "Your credential")
    assert f"hunter2 {request.mark}" in window.text()
    assert "forgets it" in window.text()

    await window.close()
    await it.presses(it.anna, card, "Show credential")
    assert "already shown once" in (await it.window(it.anna, "Nothing was changed")).text()
    assert (await it.rig.store.get(request.id)).handoff is HandoffState.SHOWN
    assert "Show credential" not in (await it.card(request.id)).buttons()


async def test_the_credential_stands_in_no_message(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    await it.presses(it.anna, await it.card(request.id), "Show credential")
    await it.card(request.id)
    calls = [call for call in it.sandbox.wire_log.calls() if call.method.startswith("chat.")]
    assert calls
    assert "hunter2" not in str([call.args for call in calls])


async def test_a_window_that_does_not_open_uses_up_no_credential(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    it.sandbox.faults.add(method="views.open", kind="error", error="expired_trigger_id")
    card = await it.card(request.id)
    await it.presses(it.anna, card, "Show credential")
    assert it.hears(it.anna) == [TOO_SLOW]
    assert await it.refused(ANNA) == ["expired_trigger"]
    assert (await it.rig.store.get(request.id)).handoff is HandoffState.WAITING
    await it.presses(it.anna, card, "Show credential")
    assert "hunter2" in (await it.window(it.anna, "Your credential")).text()


async def test_a_window_whose_answer_was_lost_still_shows_it(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    it.sandbox.faults.add(method="views.open", kind="cut_after_store")
    await it.presses(it.anna, await it.card(request.id), "Show credential")
    assert "hunter2" in (await it.window(it.anna, "Your credential")).text()


async def test_a_used_click_without_a_window_uses_up_no_credential(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    it.sandbox.faults.add(method="views.open", kind="error", error="exchanged_trigger_id")
    await it.presses(it.anna, await it.card(request.id), "Show credential")
    assert it.hears(it.anna) == [USED_UP]
    assert await it.refused(ANNA) == ["used_trigger"]
    assert (await it.rig.store.get(request.id)).handoff is HandoffState.WAITING


@pytest.mark.parametrize("kind", ["500", "cut_before", "cut_after_store", "html"])
async def test_trouble_while_the_window_is_filled_does_not_lose_the_credential(it: Bench, kind: str) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    it.sandbox.faults.add(method="views.update", kind=kind)  # type: ignore[arg-type]  # the kinds above
    await it.presses(it.anna, await it.card(request.id), "Show credential")
    assert "hunter2" in (await it.window(it.anna, "Your credential")).text()


async def test_who_closed_the_window_too_early_is_told_what_to_do(it: Bench) -> None:
    it.rig.vault.with_handoff = True
    request = await it.active()
    it.sandbox.faults.add(method="views.update", kind="error", error="not_found")
    await it.presses(it.anna, await it.card(request.id), "Show credential")
    assert it.hears(it.anna) == [CLOSED_TOO_EARLY]


async def test_an_access_without_credential_says_so(it: Bench) -> None:
    request = await it.active()
    await it.card(request.id)
    await it.forged(it.anna, "show_credential", request.id)
    assert "has no credential to show" in (await it.window(it.anna, "Nothing was changed")).text()


# --- afterwards -----------------------------------------------------------------------------------------


async def test_the_report_and_the_review_close_the_case(it: Bench) -> None:
    request = await it.active()
    await it.presses(it.anna, await it.card(request.id), "Hand back")
    card = await it.card(request.id)

    await it.presses(it.ben, card, "Report")
    assert it.hears(it.ben) == ["Only the person who held the access can report on it."]
    await it.presses(it.cara, card, "Review")
    assert "has not reported yet" in it.hears(it.cara)[-1]

    await it.presses(it.anna, card, "Report")
    window = await it.window(it.anna, "Report")
    window.fill("What did you do with this access?", "I restarted the replica.")
    assert await window.submit() is None
    assert await it.refused(CARA) == ["no_report_yet"]

    await it.presses(it.ben, await it.card(request.id), "Review")
    assert "You alone approved this" in it.hears(it.ben)[-1]

    await it.presses(it.cara, await it.card(request.id), "Review")
    window = await it.window(it.cara, "Review")
    assert "I restarted the replica." in window.text()
    window.fill("Outcome", "Real emergency")
    window.fill("Was less access possible?", "No, it fitted")
    window.fill("Follow-ups", "nothing")
    assert await window.submit() is None
    done = await it.card(request.id)
    assert await it.state(request.id) is State.REVIEWED
    assert "@cara judged: Real emergency. Less access was not possible." in done.human_text()
    assert done.buttons() == []


async def test_a_report_that_says_nothing_is_not_filed(it: Bench) -> None:
    request = await it.active()
    await it.presses(it.anna, await it.card(request.id), "Hand back")
    await it.presses(it.anna, await it.card(request.id), "Report")
    window = await it.window(it.anna, "Report")
    window.fill("What did you do with this access?", "\u200b" * 30)
    said = await window.submit()
    assert said is not None
    assert "Please say what you did" in " ".join(said.values())


async def test_a_failed_grant_offers_the_same_request_again_filled_in(it: Bench) -> None:
    it.rig.vault.will("grant", Mood.REFUSES)
    request = await it.asks(reason="The replica lags by an hour.")
    await it.presses(it.ben, await it.card(request.id), "Approve")
    card = await it.card(request.id)
    assert await it.state(request.id) is State.FAILED
    assert card.buttons() == ["Ask again"]

    await it.presses(it.anna, card, "Ask again")
    form = await it.window(it.anna, "Break-glass access")
    assert form.value("Reason") == "The replica lags by an hour."
    form.fill("Criteria", form.options("Criteria"))
    form.fill("Code", it.fresh_code(ANNA))
    assert await form.submit() is None
    assert (await it.newest()).id != request.id


async def test_somebody_else_does_not_get_the_words_with_it(it: Bench) -> None:
    it.rig.vault.will("grant", Mood.REFUSES)
    request = await it.asks(reason="The replica lags by an hour.")
    await it.presses(it.ben, await it.card(request.id), "Approve")
    await it.presses(it.emil, await it.card(request.id), "Ask again")
    assert "open to: oncall" in it.hears(it.emil)[-1]


async def test_a_slow_approval_needs_a_fresh_code_and_then_lets_in(it: Bench) -> None:
    request = await it.asks()
    await it.rig.forward(11 * MINUTE)
    await it.presses(it.ben, await it.card(request.id), "Approve")
    card = await it.card(request.id)
    assert await it.state(request.id) is State.APPROVED_STALE
    await it.presses(it.ben, card, "Enter code")
    assert it.hears(it.ben) == ["Only the person who asked can prove this request."]
    await it.presses(it.anna, card, "Enter code")
    window = await it.window(it.anna, "Enter your code")
    assert "It is approved" in window.text()
    window.fill("Code", it.fresh_code(ANNA))
    assert await window.submit() is None
    await it.settle()
    assert await it.state(request.id) is State.ACTIVE


# --- Slack is unwell ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["500", "503", "html", "cut_before", "cut_after_store"])
async def test_a_note_that_slack_does_not_take_is_said_in_a_direct_message(it: Bench, kind: str) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    times = 2 if kind.startswith("cut") else 1  # a cut connection is tried once more by the client
    it.sandbox.faults.add(method="chat.postEphemeral", kind=kind, times=times)  # type: ignore[arg-type]  # the kinds above
    await it.presses(it.emil, card, "Approve")
    assert "Only leads may decide this." in [m.human_text() for m in it.emil.direct_messages()]
    assert await it.refused(EMIL) == ["may_not_decide"]


async def test_a_rate_limit_is_waited_out(it: Bench) -> None:
    request = await it.asks()
    card = await it.card(request.id)
    it.sandbox.faults.add(method="chat.postEphemeral", kind="ratelimited", retry_after=0)
    await it.presses(it.emil, card, "Approve")
    assert it.hears(it.emil) == ["Only leads may decide this."]


async def test_a_request_is_filed_while_every_call_to_slack_fails(it: Bench) -> None:
    form = await it.form()
    await it.fill(form)
    it.sandbox.faults.add(method="*", kind="500", times=99)
    assert await form.submit() is None
    assert (await it.newest()).state is State.AWAITING_APPROVAL
