"""People, and what apps hear of them (S21, S22, S24)."""

import asyncio
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, CannotDoError, Channel, Persona, Sandbox
from tests.sandbox.door import MANIFEST, buttons, section
from tests.sandbox.wire import Wire


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice").id)


@pytest.fixture
def admin(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("admin", is_admin=True).id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona, admin: Persona) -> Channel:
    return sandbox.add_channel("doors", private=True, members=[alice.id, admin.id, door.bot_user_id])


async def heard(wire: Wire) -> dict[str, Any]:
    """The next event, acknowledged."""
    frame = await wire.frame()
    await wire.ack(frame)
    event: dict[str, Any] = frame["payload"]["event"]
    return event


async def test_s21_two_people_can_press_the_same_button_at_once(
    client: AsyncWebClient, doors: Channel, alice: Persona, admin: Persona, wire: Wire
) -> None:
    """Both presses reach the app; which one counts is the app's affair."""
    await client.chat_postMessage(channel=doors.id, text="card", blocks=[section(), buttons("Approve")])
    await heard(wire)
    card = alice.messages(doors)[-1]
    presses = asyncio.gather(alice.press(card, "Approve"), admin.press(card.ts, "Approve", channel=doors))
    users = set()
    for _ in range(2):
        frame = await wire.frame()
        await wire.ack(frame)
        users.add(frame["payload"]["user"]["id"])
    assert users == {alice.id, admin.id}
    assert all(outcome.ok for outcome in await presses)


async def test_s21_a_stale_client_still_shows_old_buttons(
    client: AsyncWebClient, doors: Channel, alice: Persona, wire: Wire
) -> None:
    """A button of an old rendering can be pressed; the app is told the message as it is now."""
    said = await client.chat_postMessage(
        channel=doors.id, text="card", blocks=[section(), buttons("Approve")]
    )
    await heard(wire)
    stale = alice.messages(doors)[-1]
    await client.chat_update(channel=doors.id, ts=said["ts"], text="done", blocks=[section("done")])
    await heard(wire)
    with pytest.raises(CannotDoError):
        await alice.press(said["ts"], "Approve", channel=doors)
    pressing = asyncio.create_task(alice.press(stale, "Approve"))
    frame = await wire.frame()
    await wire.ack(frame)
    assert (await pressing).ok
    assert frame["payload"]["actions"][0]["value"] == "1"
    assert frame["payload"]["message"]["text"] == "done"
    await client.chat_delete(channel=doors.id, ts=said["ts"])
    assert (await alice.press(stale, "Approve")).error == "message_not_found"


async def test_s22_a_member_cannot_touch_what_an_app_said(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """Members neither edit nor delete an app's message, and do not manage the channel."""
    await client.chat_postMessage(channel=doors.id, text="entry")
    entry = alice.messages(doors)[-1]
    for attempt in (
        alice.edit(entry, "other"),
        alice.delete(entry),
        alice.archive(doors),
        alice.rename(doors, "x"),
    ):
        with pytest.raises(CannotDoError):
            await attempt


async def test_s22_an_admin_deletes_an_entry(
    client: AsyncWebClient, doors: Channel, admin: Persona, wire: Wire
) -> None:
    """The deletion is told with the whole previous message, hidden, and without who did it."""
    said = await client.chat_postMessage(channel=doors.id, text="entry")
    await heard(wire)
    await admin.delete(admin.messages(doors)[-1])
    event = await heard(wire)
    assert (event["subtype"], event["hidden"], event["deleted_ts"]) == ("message_deleted", True, said["ts"])
    assert event["previous_message"]["text"] == "entry"
    assert event["channel_type"] == "group"
    assert "user" not in event


async def test_s22_an_admin_does_the_same_with_a_token(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, alice: Persona, admin: Persona
) -> None:
    """By the Web API a person may do what their client lets them do: an admin deletes and archives."""
    said = await client.chat_postMessage(channel=doors.id, text="entry")
    member, governor = (
        AsyncWebClient(sandbox.user_token(person.id), base_url=sandbox.api_url) for person in (alice, admin)
    )
    with pytest.raises(SlackApiError, match="cant_delete_message"):
        await member.chat_delete(channel=doors.id, ts=said["ts"])
    with pytest.raises(SlackApiError, match="restricted_action"):
        await member.conversations_archive(channel=doors.id)
    await governor.chat_delete(channel=doors.id, ts=said["ts"])
    await governor.conversations_archive(channel=doors.id)
    assert admin.messages(doors) == []
    assert sandbox.channels[doors.id].is_archived


async def test_s22_a_deleted_parent_is_told_as_a_change(
    client: AsyncWebClient, doors: Channel, admin: Persona, wire: Wire
) -> None:
    """With replies below, deletion comes as message_changed to a tombstone; the last reply takes it along."""
    said = await client.chat_postMessage(channel=doors.id, text="entry")
    reply = await client.chat_postMessage(channel=doors.id, text="reply", thread_ts=said["ts"])
    await heard(wire)
    await heard(wire)
    await admin.delete(admin.messages(doors)[0])
    event = await heard(wire)
    assert (event["subtype"], event["message"]["subtype"]) == ("message_changed", "tombstone")
    await client.chat_delete(channel=doors.id, ts=reply["ts"])
    gone = [(await heard(wire))["deleted_ts"] for _ in range(2)]
    assert gone == [said["ts"], reply["ts"]]
    assert admin.messages(doors) == []


async def test_s22_other_voices_are_heard(
    sandbox: Sandbox, doors: Channel, admin: Persona, wire: Wire, door: App
) -> None:
    """A person's post has no bot_id, another app's has its own."""
    other = sandbox.install({**MANIFEST, "features": {}})
    sandbox.invite(doors, other.bot_user_id)
    await admin.post(doors, "by hand")
    stranger = AsyncWebClient(other.bot_token, base_url=sandbox.api_url)
    await stranger.chat_postMessage(channel=doors.id, text="by another bot")
    own = [entry for entry in await _events(wire, 4) if entry["type"] == "message" and "subtype" not in entry]
    assert [(event.get("bot_id"), event["text"]) for event in own] == [
        (None, "by hand"),
        (other.bot_id, "by another bot"),
    ]
    assert own[1]["app_id"] != door.app_id


async def _events(wire: Wire, number: int) -> list[dict[str, Any]]:
    return [await heard(wire) for _ in range(number)]


async def test_s22_retention_is_told_without_names(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, wire: Wire, admin: Persona
) -> None:
    """A purge removes in bulk and says only up to where."""
    await client.chat_postMessage(channel=doors.id, text="old")
    new = await client.chat_postMessage(channel=doors.id, text="new")
    await _events(wire, 2)
    assert sandbox.retention_purge(doors, new["ts"]) == 1
    event = await heard(wire)
    assert (event["type"], event["latest"]) == ("group_history_changed", new["ts"])
    assert [message.text for message in admin.messages(doors)] == ["new"]


async def test_s22_changes_of_the_channel_are_told(
    sandbox: Sandbox, doors: Channel, admin: Persona, wire: Wire, door: App
) -> None:
    """Rename, archive, publication, sharing, and being thrown out."""
    await admin.rename(doors, "gates")
    renamed = await _events(wire, 2)
    assert [event.get("subtype", event["type"]) for event in renamed] == ["group_name", "group_rename"]
    await admin.archive(doors)
    assert (await heard(wire))["type"] == "group_archive"
    await admin.unarchive(doors)
    await admin.convert(doors, private=False)
    assert (await heard(wire))["subtype"] == "channel_convert_to_public"
    sandbox.share(doors)
    assert (await heard(wire))["type"] == "channel_shared"
    assert sandbox.channels[doors.id].is_ext_shared
    await admin.kick(doors, door.bot_user_id)
    left = await heard(wire)
    assert (left["type"], left["channel"], left["actor_id"]) == ("channel_left", doors.id, admin.id)


async def test_s24_people_change_between_two_looks(
    sandbox: Sandbox, client: AsyncWebClient, alice: Persona, admin: Persona, wire: Wire
) -> None:
    """Deactivation empties the groups and is told; so is a changed group."""
    leads = sandbox.add_usergroup("leads", [alice.id, admin.id])
    sandbox.set_usergroup(leads.id, [alice.id])
    assert (await heard(wire))["removed_users"] == [admin.id]
    sandbox.deactivate(alice.id)
    events = {event["type"]: event for event in await _events(wire, 2)}
    assert events["user_change"]["user"]["deleted"]
    assert events["subteam_members_changed"]["removed_users"] == [alice.id]
    assert (await client.usergroups_users_list(usergroup=leads.id))["users"] == []
    assert (await client.users_info(user=alice.id))["user"]["deleted"]
    with pytest.raises(CannotDoError):
        await alice.command("/door")


async def test_s24_guests_and_strangers_are_marked(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """users.info says who is a guest and who is from another workspace."""
    guest = sandbox.add_user("guest", is_restricted=True)
    stranger = sandbox.add_user("stranger", is_stranger=True)
    assert (await client.users_info(user=guest.id))["user"]["is_restricted"]
    seen = (await client.users_info(user=stranger.id))["user"]
    assert seen["is_stranger"]
    assert seen["team_id"] != sandbox.workspace.team.id


async def test_uninstalling_kills_every_token(
    sandbox: Sandbox, client: AsyncWebClient, door: App, wire: Wire
) -> None:
    """tokens_revoked is the last thing an app hears, and nothing it holds works any more."""
    sandbox.uninstall(door)
    assert (await heard(wire))["type"] == "tokens_revoked"
    for token, call in ((door.bot_token, client.auth_test), (door.app_token, client.auth_test)):
        with pytest.raises(Exception, match="token_revoked"):
            await call(token=token)
