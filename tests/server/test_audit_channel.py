"""The audit channel: lost, it stops new access and nothing else; what others do in it is an alarm."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from unittest import mock
from unittest.mock import AsyncMock

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.core.model import Request, State
from bot.sandbox import Message
from bot.slack.channel import AuditChannel
from tests.server.rig import ALICE, AUDIT, CAROL, DANA, MANIFEST, OVER_BOTH, SECURITY, Rig

Blow = Callable[[Rig], Awaitable[None]]


async def archive(it: Rig) -> None:
    await it.olga.archive(AUDIT)


async def unarchive(it: Rig) -> None:
    await it.olga.unarchive(AUDIT)


async def kick(it: Rig) -> None:
    await it.olga.kick(AUDIT, it.app.bot_user_id)


async def invite(it: Rig) -> None:
    await it.olga.invite(AUDIT, it.app.bot_user_id)


async def restrict(it: Rig) -> None:
    await it.olga.restrict(AUDIT, only_admins_post=True)


async def lift(it: Rig) -> None:
    await it.olga.restrict(AUDIT, only_admins_post=False)


async def revoke_token(it: Rig) -> None:
    it.sandbox.revoke(it.app)


async def restore_token(it: Rig) -> None:
    it.sandbox.restore(it.app)


async def down(it: Rig) -> None:
    await it.sandbox.down()


async def up(it: Rig) -> None:
    await it.sandbox.up()


LOSSES = {
    "archived": (archive, unarchive),
    "bot kicked": (kick, invite),
    "only admins may post": (restrict, lift),
    "token revoked": (revoke_token, restore_token),
    "Slack is down": (down, up),
}
by_loss = pytest.mark.parametrize(("blow", "mend"), LOSSES.values(), ids=LOSSES.keys())


async def lost(it: Rig, blow: Blow) -> None:
    """The blow fell, and the server knows."""
    await blow(it)
    await it.until(lambda: "audit_channel" in it.trouble())


@by_loss
async def test_whatever_becomes_of_the_channel_access_ends_on_time(it: Rig, blow: Blow, mend: Blow) -> None:
    await it.start()
    request = await it.active()
    await lost(it, blow)
    await it.passes(timedelta(minutes=16))
    await it.until(lambda: it.truth.marks() == [])
    await it.reaches(request.id, State.AWAITING_REVIEW)
    await mend(it)
    await it.until(lambda: not it.trouble())
    await it.card(request.id, "the review is due")
    await it.keeps_its_promises()


@by_loss
async def test_a_lost_channel_is_in_the_history_and_in_security_and_said_once(
    it: Rig, blow: Blow, mend: Blow
) -> None:
    await it.start()
    await lost(it, blow)
    await it.until(lambda: it.told(e.AuditChannelLost))
    await mend(it)
    await it.alarmed("Audit channel lost")
    await it.alarmed("Audit channel back")
    await it.keeps_its_promises()
    assert len(await it.told(e.AuditChannelLost)) == 1, "it did not flap"
    assert len(await it.told(e.AuditChannelBack)) == 1


@pytest.mark.parametrize("blow", [archive, kick, restrict], ids=["archived", "kicked", "restricted"])
async def test_while_the_channel_is_lost_new_access_is_refused_with_the_reason_and_ready_says_so(
    it: Rig, blow: Blow
) -> None:
    await it.start()
    waiting = await it.asks()
    card = await it.card(waiting.id)
    await lost(it, blow)
    await it.alarmed("Audit channel lost")

    status, said = await it.ready()
    assert status == 503
    assert "the audit channel is lost" in said["trouble"]["audit_channel"]

    form = await it.form()
    await it.fill(form)
    wrong = await form.submit()
    assert wrong is not None
    assert "No new access is granted right now: the audit channel is lost" in " ".join(wrong.values())

    await it.presses(it.bob, card, "Approve")
    await it.until(lambda: any("No new access is granted" in text for text in it.hears(it.bob)))
    assert (await it.store.get(waiting.id)).state is State.AWAITING_APPROVAL
    assert it.truth.marks() == []


async def test_when_the_channel_is_back_granting_works_and_the_queue_stands_there_in_order(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    await lost(it, kick)
    assert it.server is not None
    await it.server.store.note(*[e.AttemptRefused(actor=ALICE, verb="approve", code="not_an_approver")] * 30)
    await invite(it)
    await it.until(lambda: not it.trouble())
    assert (await it.ready())[0] == 200
    await it.approved(request.id)
    await it.reaches(request.id, State.ACTIVE)
    await it.keeps_its_promises()


async def test_a_channel_that_only_admins_may_post_in_does_not_count_as_back(it: Rig) -> None:
    await it.start()
    await lost(it, restrict)
    assert it.server is not None
    await it.server.channel.check()
    assert "audit_channel" in it.trouble(), "it is there and we are in it, and still nothing can be posted"


async def test_slack_and_the_database_away_together_end_neither_the_looking_nor_the_server(it: Rig) -> None:
    await it.start()
    assert it.server is not None
    with mock.patch.object(it.server.store, "note", side_effect=ConnectionRefusedError):
        await it.sandbox.down()
        await it.until(lambda: "audit_channel" in it.trouble())
        await it.passes(timedelta(seconds=1))
    assert await it.told(e.AuditChannelLost) == []
    await it.until(lambda: it.told(e.AuditChannelLost))
    await it.sandbox.up()
    await it.until(lambda: not it.trouble())
    await it.alarmed("Audit channel lost")
    await it.alarmed("Audit channel back")


async def test_an_alarm_that_security_could_not_get_comes_when_it_can(it: Rig) -> None:
    await it.start()
    await it.olga.archive(SECURITY)
    assert it.server is not None
    await it.server.store.note(e.AttemptRefused(actor=ALICE, verb="approve", code="self_approval"))
    await it.told_all()
    await it.olga.unarchive(SECURITY)
    await it.alarmed("tried to approve their own request")


# --- what others do in it -------------------------------------------------------------------------------


async def told_entry(it: Rig) -> Request:
    """A request whose lines stand in the channel."""
    request = await it.asks()
    await it.told_all()
    return request


@OVER_BOTH
async def test_an_entry_that_an_admin_deletes_is_an_alarm_that_names_its_lines(it: Rig) -> None:
    await it.start()
    await told_entry(it)
    entry = it.entries()[0]
    await it.olga.delete(entry)
    await it.alarmed("Audit entry deleted", "#0 to #")
    (record,) = await it.told(e.AuditEntryDeleted)
    assert isinstance(record.event, e.AuditEntryDeleted)
    assert (record.event.ts, record.event.first_seq) == (entry.ts, 0)


async def again(it: Rig, count: int = 1, kind: str = "breakglass_audit_again") -> list[Message]:
    """What was posted again, once there are so many."""

    def seen() -> list[Message] | None:
        found = [m for m in it.audit() if (m.metadata or {}).get("event_type") == kind]
        return found if len(found) == count else None

    return await it.found(seen)


@OVER_BOTH
async def test_an_entry_that_was_deleted_is_posted_again_with_its_numbers(it: Rig) -> None:
    await it.start()
    await told_entry(it)
    entry = it.entries()[0]
    await it.olga.delete(entry)
    (posted,) = await again(it)
    (record,) = await it.told(e.AuditEntryDeleted)
    assert posted.human_text() == f"Posted again, see #{record.seq}:\n{entry.human_text()}"
    await it.told_all()
    told = it.lines_told() + [
        line for first, last in it.spans("breakglass_audit_again") for line in range(first, last + 1)
    ]
    assert sorted(told) == list(range(len(told))), "every line stands there once"
    assert await it.told(e.ForeignPost) == [], "what we post again is ours"


async def test_what_was_posted_again_and_deleted_again_is_posted_once_more(it: Rig) -> None:
    await it.start()
    await told_entry(it)
    await it.olga.delete(it.entries()[0])
    (first,) = await again(it)
    await it.told_all()
    await it.olga.delete(first)
    (second,) = await again(it)
    assert second.ts != first.ts
    facts = [record.event for record in await it.told(e.AuditEntryDeleted)]
    assert [getattr(fact, "first_seq", None) for fact in facts] == [0, 0]


async def test_a_deleted_checkpoint_is_named_as_one_and_posted_again_to_the_letter(it: Rig) -> None:
    await it.start()
    kind = "breakglass_checkpoint"
    note = await it.found(
        lambda: next((m for m in it.audit() if (m.metadata or {})["event_type"] == kind), None)
    )
    await it.told_all()
    await it.until(lambda: it.store.post(AUDIT, note.ts))
    await it.olga.delete(note)
    await it.alarmed("Audit entry deleted", "signed checkpoint")
    (posted,) = await again(it, kind="breakglass_checkpoint_again")
    assert posted.human_text().endswith(note.human_text())
    await it.keeps_its_promises()


async def test_a_server_that_died_between_the_post_and_its_note_posts_it_again_once(it: Rig) -> None:
    await it.start()
    await told_entry(it)
    assert it.server is not None
    with mock.patch.object(it.server.store, "told", side_effect=ConnectionError):
        await it.olga.delete(it.entries()[0])
        await again(it)
        await it.crash()
    await it.start()
    await it.until(lambda: _told_again(it))
    assert len(await again(it)) == 1


async def _told_again(it: Rig) -> bool:
    """The line that tells of the deletion lies behind the cursor."""
    (record,) = await it.told(e.AuditEntryDeleted)
    return await it.store.cursor("again") > record.seq


async def test_a_deleted_entry_that_leaves_a_tombstone_is_the_same_alarm(it: Rig) -> None:
    await it.start()
    await told_entry(it)
    entry = it.entries()[0]
    await it.dana.post(AUDIT, "What is this?", thread_ts=entry.ts)
    await it.olga.delete(entry)
    await it.alarmed("Audit entry deleted")
    assert len(await it.told(e.AuditEntryDeleted)) == 1


async def test_a_human_who_posts_there_is_an_alarm(it: Rig) -> None:
    await it.start()
    await it.dana.post(AUDIT, "#5 2026-11-21 02:17:03 Mallory proved who they are.")
    await it.alarmed("Foreign post", "@dana")
    (record,) = await it.told(e.ForeignPost)
    assert isinstance(record.event, e.ForeignPost)
    assert record.event.by == DANA


async def test_another_app_that_posts_there_is_an_alarm(it: Rig) -> None:
    await it.start()
    other = it.sandbox.install({**MANIFEST, "display_information": {"name": "Other"}})
    it.sandbox.invite(AUDIT, other.bot_user_id)
    client = AsyncWebClient(other.bot_token, base_url=it.sandbox.api_url)
    said = await client.chat_postMessage(channel=AUDIT, text="#6 all is well")

    async def noticed() -> bool:
        facts = [record.event for record in await it.told(e.ForeignPost)]
        return e.ForeignPost(channel=AUDIT, ts=str(said["ts"]), by=other.bot_user_id) in facts

    await it.until(noticed)
    await it.alarmed("Foreign post")


async def test_another_process_with_our_own_token_that_posts_there_is_an_alarm(it: Rig) -> None:
    await it.start()
    client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
    await client.chat_postMessage(channel=AUDIT, text="#6 all is well")
    await it.alarmed("Foreign post")
    (record,) = await it.told(e.ForeignPost)
    assert isinstance(record.event, e.ForeignPost)


async def test_a_copy_of_an_entry_posted_with_our_own_token_is_an_alarm(it: Rig) -> None:
    await it.start()
    entry = it.entries()[0]
    client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
    await client.chat_postMessage(channel=AUDIT, text=entry.text, metadata=entry.metadata)
    await it.alarmed("Foreign post")


async def test_an_entry_changed_with_our_own_token_is_an_alarm(it: Rig) -> None:
    await it.start()
    client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
    await client.chat_update(channel=AUDIT, ts=it.entries()[0].ts, text="Nothing happened.")
    await it.alarmed("Audit entry changed")
    (posted,) = await again(it)
    assert "Installation acme created" in posted.human_text()


async def test_renaming_the_channel_and_making_it_public_are_alarms(it: Rig) -> None:
    await it.start()
    await it.olga.rename(AUDIT, "old-audit")
    await it.alarmed("Foreign post", "@olga")
    await it.olga.convert(AUDIT, private=False)

    async def twice() -> bool:
        return len(await it.told(e.ForeignPost)) == 2

    await it.until(twice)
    await it.keeps_its_promises()


async def test_what_happens_in_other_channels_is_no_alarm(it: Rig) -> None:
    await it.start()
    await it.dana.post(SECURITY, "Quiet night.")
    await it.sandbox.quiet()
    assert await it.told(e.ForeignPost) == []


@pytest.mark.parametrize("it", ["http"], indirect=True)
async def test_what_could_not_be_recorded_is_heard_when_slack_sends_it_again(it: Rig) -> None:
    await it.start()
    await it.sandbox.quiet()
    assert it.server is not None
    note, failures = it.server.store.note, iter([ConnectionError("the database is away")])

    async def fails_once(*events: e.Event, also: Any = ()) -> None:  # noqa: ANN401  as the store takes it
        for failure in failures:
            raise failure
        await note(*events, also=also)

    with mock.patch.object(it.server.store, "note", fails_once):
        await it.dana.post(AUDIT, "Hello?")
        await it.alarmed("Foreign post", "@dana")
    assert len(await it.told(e.ForeignPost)) == 1


async def test_a_post_that_began_before_a_refusal_does_not_show_that_the_channel_is_well(it: Rig) -> None:
    channel = AuditChannel(AsyncMock(), it.store, AUDIT)
    await channel.back()
    it.server = None
    with mock.patch.object(it.store, "note", AsyncMock()):
        earlier = channel.posting("breakglass_checkpoint")
        channel.posting("breakglass_audit")
        await channel.refused("Slack says restricted_action.")
        await channel.posted("breakglass_checkpoint", earlier, now=True)
        assert channel.closed() == "the audit channel is lost: Slack says restricted_action."
        await channel.posted("breakglass_audit", channel.posting("breakglass_audit"), now=False)
        assert channel.closed() is not None, "it was found, not posted"
        await channel.posted("breakglass_audit", channel.posting("breakglass_audit"), now=True)
        assert channel.closed() is None


# --- delivered again ------------------------------------------------------------------------------------


async def test_an_event_that_slack_delivers_twice_counts_once(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.duplicate_events()
    await it.dana.post(AUDIT, "Hello?")
    await it.alarmed("Foreign post")
    await it.sandbox.quiet()
    assert len(await it.told(e.ForeignPost)) == 1


async def test_a_group_event_delivered_twice_or_out_of_order_leaves_the_group_as_slack_has_it(
    it: Rig,
) -> None:
    await it.start()
    it.sandbox.faults.duplicate_events(2)
    it.sandbox.set_usergroup("S0LEADS001", [])
    it.sandbox.faults.reorder_events()
    it.sandbox.set_usergroup("S0LEADS001", [CAROL])
    await it.sandbox.quiet()
    request = await it.asks()
    await it.approved(request.id, by=it.carol)
    await it.reaches(request.id, State.ACTIVE)


async def test_a_click_that_is_delivered_three_times_has_one_effect(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    await it.approved(request.id)
    click = it.sandbox.wire_log.pushes("interactive")[-1]
    for _ in range(2):
        await it.sandbox.delivery.interact(it.app, "interactive", click.args)
    await it.reaches(request.id, State.ACTIVE)
    assert it.truth.calls("grant") == 1
    assert len(await it.told(e.ApprovalGiven)) == 1
