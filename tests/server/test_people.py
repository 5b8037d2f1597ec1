"""Whoever loses a role or an account loses their say: at once if Slack tells, soon if its event is lost."""

import pytest

from bot.core import events as e
from bot.core.model import SYSTEM, State, Why
from bot.sandbox import Persona
from tests.server.rig import ALICE, BOB, CAROL, LEADS, OVER_BOTH, Rig


async def refused(it: Rig, who: Persona) -> str:
    """Why this person, who presses Approve on a request that waits, is refused. Nothing was granted."""
    request = await it.asks()
    card = await it.card(request.id, "Waiting for approval")
    heard = len(it.hears(who))
    if not who.user.deleted:
        await it.presses(who, card, "Approve")
    else:  # a stolen session outlives the account
        button = next(one for one in card.elements() if one["text"]["text"] == "Approve")
        press = {key: button[key] for key in ("type", "action_id", "block_id", "value")}
        await it.sandbox.interactions.act_on_message(who.user, it.app, card, press, {})

    async def noted() -> bool:
        attempts = [record.event for record in await it.told(e.AttemptRefused)]
        return any(attempt.actor == who.id for attempt in attempts)

    await it.until(noted)
    assert (await it.store.get(request.id)).state is State.AWAITING_APPROVAL
    assert it.truth.marks() == []
    if who.user.deleted:
        return ""
    await it.until(lambda: len(it.hears(who)) > heard)
    return it.hears(who)[-1]


async def test_an_approver_who_was_taken_out_of_the_group_is_refused_at_once(it: Rig) -> None:
    await it.start()
    it.sandbox.set_usergroup(LEADS, [])
    await it.until(lambda: it.sandbox.wire_log.events("subteam_members_changed"))
    await it.sandbox.quiet()
    assert "may decide" in await refused(it, it.carol)


@OVER_BOTH
async def test_an_approver_whose_account_was_closed_is_refused_at_once_and_security_hears(it: Rig) -> None:
    await it.start()
    it.sandbox.deactivate(BOB)
    await it.until(lambda: it.sandbox.wire_log.events("user_change"))
    await it.sandbox.quiet()
    await refused(it, it.bob)
    await it.alarmed("the account is deactivated")


@pytest.mark.parametrize("lost", ["group", "account"])
async def test_when_slacks_event_is_lost_the_next_refresh_finds_out(it: Rig, lost: str) -> None:
    await it.start()
    it.sandbox.faults.lose_events(5)
    if lost == "group":
        it.sandbox.set_usergroup(LEADS, [])
    else:
        it.sandbox.deactivate(CAROL)
    assert it.server is not None

    def known() -> bool:
        assert it.server is not None
        roster = it.server.people.known()
        person = roster.people.get(CAROL)
        return CAROL not in roster.roles["leads"] or (person is not None and not person.active)

    await it.until(known)
    it.sandbox.faults.clear()
    await refused(it, it.carol)


async def test_a_requester_whose_account_was_closed_is_not_let_in_by_a_late_yes(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    card = await it.card(request.id)
    it.sandbox.deactivate(request.requester)
    await it.until(lambda: it.sandbox.wire_log.events("user_change"))
    await it.sandbox.quiet()
    await it.presses(it.bob, card, "Approve")
    await it.reaches(request.id, State.LAPSED)
    assert it.truth.calls("grant") == 0


async def test_a_guest_and_a_stranger_have_no_say_whatever_group_they_are_in(it: Rig) -> None:
    guest = it.sandbox.add_user("gil", is_restricted=True)
    stranger = it.sandbox.add_user("sam", is_stranger=True)
    for user in (guest, stranger):
        it.sandbox.invite("C0REQUEST1", user.id)
    it.sandbox.set_usergroup(LEADS, [guest.id, stranger.id])
    await it.start()
    request = await it.asks()
    card = await it.card(request.id)
    for user in (guest, stranger):
        await it.presses(it.sandbox.persona(user.id), card, "Approve")
    await it.alarmed("as a guest")
    await it.alarmed("from another organisation")
    assert it.truth.calls("grant") == 0


async def test_while_slack_does_not_say_who_is_who_nobody_is_let_in(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    card = await it.card(request.id)
    it.sandbox.faults.add(method="usergroups.list", kind="503", times=10_000)
    it.sandbox.set_usergroup(LEADS, [CAROL, BOB])
    await it.until(lambda: it.sandbox.wire_log.events("subteam_members_changed"))
    await it.sandbox.quiet()
    await it.presses(it.bob, card, "Approve")
    await it.until(lambda: any("does not answer who is who" in text for text in it.hears(it.bob)))
    assert (await it.store.get(request.id)).state is State.AWAITING_APPROVAL


# --- who holds something --------------------------------------------------------------------------------


async def ended_for(it: Rig, because: str) -> None:
    """Alice's access is gone at the provider, the history says why, and security hears of it."""
    await it.until(lambda: it.truth.marks() == [])
    (record,) = await it.told(e.RevokeOrdered)
    assert isinstance(record.event, e.RevokeOrdered)
    assert (record.event.actor, record.event.why, record.event.detail) == (SYSTEM, Why.REVOKED, because)
    await it.reaches((await it.store.of_person(ALICE))[0].id, State.AWAITING_REVIEW)
    await it.alarmed("Access of somebody who left", because)
    await it.keeps_its_promises()


@OVER_BOTH
async def test_whose_account_is_closed_loses_at_once_what_they_hold(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what Slack says, and not at the next look."""
    server = await it.start()
    request = await it.active()

    async def nothing(_persons: object) -> None: ...

    monkeypatch.setattr(server.keeper, "see_who_left", nothing)
    it.sandbox.deactivate(ALICE)
    await ended_for(it, "The requester's account is deactivated.")
    await it.card(request.id, "no active, full member of the workspace any more")


async def test_whose_account_was_closed_loses_what_they_hold_although_slacks_event_is_lost(it: Rig) -> None:
    """Also when nobody counts them to any role any more, as Slack does with whoever is deactivated."""
    await it.start()
    await it.active()
    it.sandbox.faults.lose_events(5)
    it.sandbox.deactivate(ALICE)
    await ended_for(it, "The requester's account is deactivated.")


async def test_whose_account_was_closed_while_no_server_ran_loses_what_they_hold_at_the_next_start(
    it: Rig,
) -> None:
    await it.start()
    await it.active()
    await it.crash()
    it.sandbox.faults.lose_events(5)
    it.sandbox.deactivate(ALICE)
    assert len(it.truth.marks()) == 1
    await it.start()
    await ended_for(it, "The requester's account is deactivated.")


async def test_what_somebody_who_left_asked_for_waits_for_nobody(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    await it.card(request.id, "Waiting for approval")
    it.sandbox.deactivate(ALICE)
    await it.card(request.id, "The requester's account is deactivated. Nothing was granted.")
    assert (await it.store.get(request.id)).state is State.LAPSED


async def test_who_loses_the_role_alone_keeps_what_was_granted_to_its_end(it: Rig) -> None:
    """A shift that ends at nine must not end the repair; whoever may revoke it still can."""
    config = it.home / "breakglass.toml"
    text = config.read_text().replace('[roles.on-call]\nusers = ["U0ALICE01"]', ON_CALL)
    config.write_text(text)
    it.sandbox.add_usergroup("on-call", [ALICE], id="S0ONCALL1")
    await it.start()
    request = await it.active()
    it.sandbox.set_usergroup("S0ONCALL1", [])
    assert it.server is not None
    people = it.server.people
    await it.until(lambda: ALICE not in people.known().roles["on-call"])
    await it.server.keeper.see_who_left({ALICE})
    assert (await it.store.get(request.id)).state is State.ACTIVE
    it.sandbox.faults.lose_events(5)
    it.sandbox.deactivate(ALICE)
    await ended_for(it, "The requester's account is deactivated.")


ON_CALL = '[roles.on-call]\ngroups = ["S0ONCALL1"]'
