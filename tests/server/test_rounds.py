"""What happens in the audit channel while no server runs, or when Slack's event of it is lost."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.sandbox import Message
from bot.slack import rounds
from bot.slack.rounds import MOST_SINGLY
from tests.server.rig import ALICE, AUDIT, BOB, DANA, OLGA, Rig

Deed = Callable[[Rig], Awaitable[object]]


async def while_away(it: Rig, *deeds: Deed) -> None:
    """These happen long before the next server starts: Slack has given up telling it."""
    await it.sandbox.quiet()
    await it.crash()
    it.sandbox.faults.lose_events(1000)
    for deed in deeds:
        await deed(it)
    it.sandbox.faults.clear()
    await it.start()


async def unheard(it: Rig, *deeds: Deed) -> None:
    """These happen and Slack's events of them are lost; then comes the next round."""
    assert it.server is not None
    await it.sandbox.quiet()
    it.sandbox.faults.lose_events(1000)
    for deed in deeds:
        await deed(it)
    it.sandbox.faults.clear()
    await it.server.rounds.look()


by_chance = pytest.mark.parametrize("somehow", [while_away, unheard], ids=["while away", "event lost"])
"""Both ways in which something goes unheard."""

Somehow = Callable[..., Awaitable[None]]


async def looked(it: Rig) -> Rig:
    """A server with a few entries in the channel, that has made its first round."""
    await it.start()
    await talks(it, 3)
    await it.until(lambda: begun(it))
    await it.server.rounds.look(everything=True)  # type: ignore[union-attr]  # it was started
    return it


async def begun(it: Rig) -> bool:
    return bool(await it.store.cursor(f"since/{AUDIT}"))


async def changes(it: Rig, what: str) -> list[e.AuditChannelChanged]:
    facts = [record.event for record in await it.told(e.AuditChannelChanged)]
    return [fact for fact in facts if isinstance(fact, e.AuditChannelChanged) and fact.what == what]


async def look_twice(it: Rig) -> None:
    """Two rounds more, and another server: nothing may be told again."""
    for _ in range(2):
        assert it.server is not None
        await it.server.rounds.look(everything=True)
    await while_away(it)
    await it.server.rounds.look(everything=True)  # type: ignore[union-attr]  # it was started


def deletes(message: Message) -> Deed:
    async def deed(it: Rig) -> None:
        await it.olga.delete(message)

    return deed


def edits(message: Message) -> Deed:
    async def deed(it: Rig) -> None:
        client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
        await client.chat_update(channel=AUDIT, ts=message.ts, text="Nothing happened.")

    return deed


def again(it: Rig) -> list[Message]:
    return [m for m in it.audit() if (m.metadata or {}).get("event_type") == "breakglass_audit_again"]


def many_entries(it: Rig, count: int) -> list[Message]:
    """The oldest entries but one."""
    entries = it.entries()
    assert len(entries) > count
    return entries[1 : count + 1]


async def talks(it: Rig, entries: int) -> None:
    """So many entries more, each with a line."""
    assert it.server is not None
    for _ in range(entries):
        await it.server.store.note(e.AttemptRefused(actor=ALICE, verb="approve", code="not_an_approver"))
        await it.told_all()


# --- entries --------------------------------------------------------------------------------------------


@by_chance
async def test_an_entry_that_was_deleted_unheard_is_an_alarm_and_posted_again_once(
    it: Rig, somehow: Somehow
) -> None:
    await looked(it)
    entry = it.entries()[1]
    await somehow(it, deletes(entry))
    await it.alarmed("Audit entry deleted")
    await it.until(lambda: len(again(it)) == 1)
    await look_twice(it)
    (record,) = await it.told(e.AuditEntryDeleted)
    assert isinstance(record.event, e.AuditEntryDeleted)
    assert record.event.ts == entry.ts
    assert again(it)[0].human_text() == f"Posted again, see #{record.seq}:\n{entry.human_text()}"
    assert await it.told(e.ForeignPost) == []


@by_chance
async def test_a_deleted_entry_that_left_a_tombstone_unheard_is_the_same_alarm(
    it: Rig, somehow: Somehow
) -> None:
    await looked(it)
    entry = it.entries()[1]

    async def deed(it: Rig) -> None:
        await it.dana.post(AUDIT, "What is this?", thread_ts=entry.ts)
        await it.olga.delete(entry)

    await somehow(it, deed)
    await it.alarmed("Audit entry deleted")
    await it.alarmed("Foreign post", "@dana")
    await look_twice(it)
    assert len(await it.told(e.AuditEntryDeleted)) == len(await it.told(e.ForeignPost)) == 1


@by_chance
async def test_an_entry_that_was_changed_unheard_is_an_alarm_and_posted_again_once(
    it: Rig, somehow: Somehow
) -> None:
    await looked(it)
    entry = it.entries()[1]
    await somehow(it, edits(entry))
    await it.alarmed("Audit entry changed")
    await it.until(lambda: len(again(it)) == 1)
    await look_twice(it)
    (record,) = await it.told(e.AuditEntryChanged)
    assert isinstance(record.event, e.AuditEntryChanged)
    assert record.event.ts == entry.ts


async def test_an_event_and_a_round_tell_of_the_same_deletion_once(it: Rig) -> None:
    await looked(it)
    await it.olga.delete(it.entries()[1])
    await it.alarmed("Audit entry deleted")
    await look_twice(it)
    assert len(await it.told(e.AuditEntryDeleted)) == 1


async def test_many_deleted_entries_are_one_alarm_and_are_not_posted_again(it: Rig) -> None:
    await looked(it)
    await talks(it, MOST_SINGLY + 2)
    taken = many_entries(it, MOST_SINGLY + 1)
    await while_away(it, *map(deletes, taken))
    text = await it.alarmed("Audit entries gone")
    (change,) = await changes(it, "purged")
    payloads = [(message.metadata or {})["event_payload"] for message in taken]
    assert change.entries == MOST_SINGLY + 1
    assert (change.first_seq, change.last_seq) == (payloads[0]["first"], payloads[-1]["last"])
    assert f"{change.entries} of our messages are (lines between #{change.first_seq} and" in text
    await look_twice(it)
    assert await it.told(e.AuditEntryDeleted) == []
    assert again(it) == []
    assert len(await changes(it, "purged")) == 1


async def test_many_changed_entries_are_one_alarm_and_are_not_posted_again(it: Rig) -> None:
    await looked(it)
    await talks(it, MOST_SINGLY + 2)
    changed = many_entries(it, MOST_SINGLY + 1)
    await while_away(it, *map(edits, changed))
    await it.alarmed("Audit entries changed", f"{MOST_SINGLY + 1} of our messages (lines between #")
    await look_twice(it)
    assert await it.told(e.AuditEntryChanged) == []
    assert again(it) == []
    assert len(await changes(it, "changed")) == 1


async def test_messages_that_slack_gives_without_metadata_are_not_taken_for_changed(it: Rig) -> None:
    await looked(it)
    await talks(it, 2)
    bare = {m.ts: replace(m, metadata=None) for m in it.entries()}
    it.sandbox.workspace.messages[AUDIT].update(bare)
    await look_twice(it)
    assert await it.told(e.AuditEntryChanged) == []
    assert await changes(it, "changed") == []


async def test_as_many_as_are_told_singly_are_all_posted_again(it: Rig) -> None:
    await looked(it)
    await talks(it, MOST_SINGLY + 1)
    await while_away(it, *map(deletes, many_entries(it, MOST_SINGLY)))
    await it.until(lambda: len(again(it)) == MOST_SINGLY)
    assert len(await it.told(e.AuditEntryDeleted)) == MOST_SINGLY
    assert await changes(it, "purged") == []


async def test_what_retention_takes_is_one_alarm_and_is_not_posted_again(it: Rig) -> None:
    """The oldest entries, older than a day: that is what Slack's retention takes, without a word to us."""
    await looked(it)
    first, second = it.entries()[:2]

    async def retention(it: Rig) -> None:
        it.sandbox.retention_purge(AUDIT, it.entries()[2].ts)
        it.clock.forward(timedelta(days=2))

    await while_away(it, retention)
    await it.alarmed("Audit entries gone")
    (change,) = await changes(it, "purged")
    gone = [await it.store.post(AUDIT, message.ts) for message in (first, second)]
    assert [post.state for post in gone if post] == ["gone", "gone"]
    assert change.first_seq == 0
    assert await it.told(e.AuditEntryDeleted) == []
    await look_twice(it)
    assert len(await changes(it, "purged")) == 1
    assert again(it) == []


async def test_a_purge_that_slack_tells_of_is_looked_at_at_once_and_one_alarm(it: Rig) -> None:
    await looked(it)
    it.sandbox.retention_purge(AUDIT, it.entries()[2].ts)
    await it.alarmed("Audit entries gone", "of our messages are (lines between #0 and #")
    await look_twice(it)
    assert len(await changes(it, "purged")) == 1
    assert await it.told(e.AuditEntryDeleted) == []
    assert again(it) == []


async def test_a_purge_that_took_nothing_of_ours_is_told_too(it: Rig) -> None:
    await looked(it)
    it.sandbox.retention_purge(AUDIT, it.audit()[0].ts)
    await it.alarmed("Slack says that messages were removed in bulk, and none of ours is missing")
    (change,) = await changes(it, "purged")
    assert (change.entries, change.first_seq, change.last_seq) == (0, None, None)


async def test_a_purge_that_could_not_be_looked_at_is_told_by_the_next_round(it: Rig) -> None:
    await looked(it)
    it.sandbox.faults.add(method="conversations.history", kind="500", times=1)
    it.sandbox.retention_purge(AUDIT, it.entries()[2].ts)
    await it.until(lambda: it.server.channel.purged and not it.server.channel.look_now.is_set())  # type: ignore[union-attr]  # it was started
    assert await changes(it, "purged") == []
    await it.server.rounds.look()  # type: ignore[union-attr]  # it was started
    (change,) = await changes(it, "purged")
    assert change.entries > 0


async def test_an_untouched_channel_is_no_alarm_however_often_it_is_looked_through(it: Rig) -> None:
    await looked(it)
    request = await it.active()
    await it.breakglass("revoke", request.id)
    await look_twice(it)
    await it.told_all()
    alarms = (e.ForeignPost, e.AuditEntryDeleted, e.AuditEntryChanged, e.AuditChannelChanged)
    assert [record.event for kind in alarms for record in await it.told(kind)] == []
    await it.keeps_its_promises()


async def test_a_long_channel_is_read_page_by_page_to_its_beginning(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "PAGE", 2)
    await looked(it)
    await talks(it, 5)
    await while_away(it, deletes(it.entries()[0]))
    await it.alarmed("Audit entry deleted", "with #0")


async def test_what_lies_beyond_the_last_page_is_not_taken_for_deleted(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await looked(it)
    await talks(it, 5)
    monkeypatch.setattr(rounds, "PAGE", 1)
    monkeypatch.setattr(rounds, "MOST_PAGES", 2)
    assert it.server is not None
    await it.server.rounds.look(everything=True)
    assert await it.told(e.AuditEntryDeleted) == []
    assert await changes(it, "purged") == []


# --- what is not ours -----------------------------------------------------------------------------------


@by_chance
async def test_a_foreign_post_that_was_unheard_is_an_alarm_once(it: Rig, somehow: Somehow) -> None:
    await looked(it)
    await somehow(it, lambda it: it.dana.post(AUDIT, "#5 2026-11-21 02:17:03 Mallory proved who they are."))
    await it.alarmed("Foreign post", "@dana")
    await look_twice(it)
    (record,) = await it.told(e.ForeignPost)
    assert isinstance(record.event, e.ForeignPost)
    assert record.event.by == DANA


async def test_a_foreign_post_that_was_heard_is_not_told_again_by_the_next_server(it: Rig) -> None:
    await looked(it)
    await it.dana.post(AUDIT, "Hello?")
    await it.alarmed("Foreign post")
    it.clock.forward(timedelta(days=7))
    await look_twice(it)
    assert len(await it.told(e.ForeignPost)) == 1


@by_chance
async def test_a_reply_below_an_entry_that_was_unheard_is_an_alarm_once(it: Rig, somehow: Somehow) -> None:
    await looked(it)
    parent = it.entries()[0]
    await somehow(it, lambda it: it.dana.post(AUDIT, "That was Bob.", thread_ts=parent.ts))
    await it.alarmed("Foreign post", "@dana")
    await look_twice(it)
    assert len(await it.told(e.ForeignPost)) == 1


@by_chance
async def test_a_post_with_our_own_token_that_was_unheard_is_an_alarm_once(it: Rig, somehow: Somehow) -> None:
    await looked(it)
    entry = it.entries()[0]

    async def deed(it: Rig) -> None:
        client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
        await client.chat_postMessage(channel=AUDIT, text=entry.text, metadata=entry.metadata)

    await somehow(it, deed)
    await it.alarmed("Foreign post")
    await look_twice(it)
    assert len(await it.told(e.ForeignPost)) == 1


async def test_a_flood_of_foreign_posts_is_one_alarm(it: Rig) -> None:
    await looked(it)

    async def flood(it: Rig) -> None:
        for number in range(MOST_SINGLY + 1):
            await it.dana.post(AUDIT, f"Line {number}")

    await while_away(it, flood)
    await it.alarmed("Foreign posts", f"{MOST_SINGLY + 1} messages in")
    await look_twice(it)
    assert len(await changes(it, "posts")) == 1
    assert await it.told(e.ForeignPost) == []


async def test_people_who_leave_are_no_alarm_however_many(it: Rig) -> None:
    await looked(it)

    async def leave(it: Rig) -> None:
        for _ in range(MOST_SINGLY + 1):
            it.sandbox.workspace.say(AUDIT, BOB, "has left the channel", "group_leave")
        await it.olga.invite(AUDIT, BOB)

    await while_away(it, leave)
    await it.alarmed("New reader", "@bob")
    await look_twice(it)
    assert await it.told(e.ForeignPost) == []
    assert await changes(it, "posts") == []


async def test_what_stood_there_before_the_first_round_is_not_judged(it: Rig) -> None:
    it.sandbox.faults.lose_events()
    await it.dana.post(AUDIT, "This will be the audit channel.")
    await looked(it)
    await look_twice(it)
    assert await it.told(e.ForeignPost) == []


# --- the channel and its readers ------------------------------------------------------------------------


@by_chance
async def test_a_new_reader_is_an_alarm_once_and_no_foreign_post(it: Rig, somehow: Somehow) -> None:
    await looked(it)
    await somehow(it, lambda it: it.olga.invite(AUDIT, BOB))
    await it.alarmed("New reader", "@bob")
    await look_twice(it)
    (change,) = await changes(it, "joined")
    assert change.by == BOB
    assert await it.told(e.ForeignPost) == []


async def test_a_new_reader_who_is_heard_of_is_told_once_by_event_and_message(it: Rig) -> None:
    await looked(it)
    await it.olga.invite(AUDIT, BOB)
    await it.alarmed("New reader", "@bob")
    await look_twice(it)
    assert len(await changes(it, "joined")) == 1
    await it.olga.kick(AUDIT, BOB)
    await it.olga.invite(AUDIT, BOB)

    async def twice() -> bool:
        return len(await changes(it, "joined")) == 2

    await it.until(twice)
    assert await it.told(e.ForeignPost) == []


async def test_a_new_reader_is_told_though_slack_writes_nothing_about_it(it: Rig) -> None:
    """A workspace can switch the notices off: then the event alone tells."""
    await looked(it)
    assert it.server is not None
    joined = {"type": "member_joined_channel", "user": BOB, "channel": AUDIT}
    await it.server.channel.changed(joined)
    await it.alarmed("New reader", "@bob")


async def test_our_own_bot_is_no_new_reader(it: Rig) -> None:
    await looked(it)
    await it.olga.kick(AUDIT, it.app.bot_user_id)
    await it.until(lambda: "audit_channel" in it.trouble())
    await it.olga.invite(AUDIT, it.app.bot_user_id)
    await it.alarmed("Audit channel back")
    await look_twice(it)
    assert await changes(it, "joined") == []
    assert await it.told(e.ForeignPost) == []


async def test_a_channel_that_is_shared_is_an_alarm_once_until_it_no_longer_is(it: Rig) -> None:
    await looked(it)
    it.sandbox.share(AUDIT)
    await it.alarmed("Audit channel shared")
    assert it.server is not None
    await it.server.channel.check()
    it.sandbox.share(AUDIT, shared=False)

    async def over() -> bool:
        return len(await changes(it, "unshared")) == 1

    await it.until(over)
    assert len(await changes(it, "shared")) == 1
    assert not it.trouble(), "it can still be written"


@by_chance
async def test_a_channel_that_was_made_public_unheard_is_an_alarm(it: Rig, somehow: Somehow) -> None:
    await looked(it)
    await somehow(it, lambda it: it.olga.convert(AUDIT, private=False))
    assert it.server is not None
    await it.server.channel.check()
    await it.alarmed("Audit channel public")
    await it.alarmed("Foreign post", "@olga")
    (record,) = await it.told(e.ForeignPost)
    assert isinstance(record.event, e.ForeignPost)
    assert record.event.by == OLGA


async def test_a_channel_that_is_made_public_is_an_alarm_at_once(it: Rig) -> None:
    await looked(it)
    await it.olga.convert(AUDIT, private=False)
    await it.alarmed("Audit channel public")
    await it.olga.convert(AUDIT, private=True)

    async def over() -> bool:
        return len(await changes(it, "private")) == 1

    await it.until(over)
    assert len(await changes(it, "public")) == 1
