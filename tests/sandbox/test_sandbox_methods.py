"""The Web API: who may call what, how it refuses, what it makes of what was sent (S19, S20, S23)."""

import json
from collections.abc import Awaitable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Persona, Sandbox
from bot.sandbox.kit.schema import Json
from tests.sandbox.door import MANIFEST, buttons, modal, section


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    sandbox.rates.enforced = False
    return sandbox.persona(sandbox.add_user("alice", email="alice@example.com").id)


@pytest.fixture
def doors(sandbox: Sandbox, door: App, alice: Persona) -> Channel:
    return sandbox.add_channel("doors", members=[alice.id, door.bot_user_id])


async def refusal(call: Awaitable[object]) -> Json:
    """The body of the answer to a call that must fail."""
    with pytest.raises(SlackApiError) as caught:
        await call
    body: Json = caught.value.response.data
    return body


async def test_s19_invalid_blocks_name_their_place(client: AsyncWebClient, doors: Channel) -> None:
    """chat.* answers invalid_blocks with a JSON pointer; views.* answers invalid_arguments with one."""
    answer = await refusal(client.chat_postMessage(channel=doors.id, text="x", blocks=[section("")]))
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]"
    ]
    answer = await refusal(client.views_open(trigger_id="1.2.3", view=modal(section(), title="x" * 25)))
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]


async def test_s19_blocks_can_be_checked_without_being_sent(client: AsyncWebClient) -> None:
    """blocks.validate says the same as sending would, and stores nothing."""
    good = await client.api_call("blocks.validate", json={"blocks": [section()]})
    assert good["ok"]
    bad = await refusal(client.api_call("blocks.validate", json={"blocks": [{"type": "section"}]}))
    assert bad["errors"][0]["pointer"] == "/blocks/0"


async def test_s20_unknown_arguments_are_ignored_with_a_warning(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """A misspelt argument changes nothing, and the answer says so."""
    answer = await client.chat_postMessage(channel=doors.id, text="hello", unfurl_link=False)
    assert answer["response_metadata"]["warnings"] == ["unknown_argument:unfurl_link"]
    assert [message.text for message in alice.messages(doors)] == ["hello"]


async def call(sandbox: Sandbox, method: str, token: str = "", **request: Any) -> Json:  # noqa: ANN401 - aiohttp's own arguments
    """A call by hand, for encodings that no SDK uses."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= request.pop("headers", {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(sandbox.api_url + method, headers=headers, **request) as answer,
    ):
        body: Json = await answer.json()
        return body


async def test_s20_charsets_are_warned_about(sandbox: Sandbox, door: App) -> None:
    """A form needs no charset, JSON wants one."""
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await call(sandbox, "auth.test", door.bot_token, data=b"", headers=form)
    assert answer["warning"] == "superfluous_charset"
    plain = {"Content-Type": "application/json"}
    answer = await call(sandbox, "auth.test", door.bot_token, data=b"{}", headers=plain)
    assert answer["warning"] == "missing_charset"


async def test_three_encodings_say_the_same(sandbox: Sandbox, door: App, doors: Channel) -> None:
    """Form, multipart and JSON; the token in the header, the form or the query."""
    said = {"channel": doors.id, "blocks": json.dumps([section()]), "token": door.bot_token}
    multipart = aiohttp.FormData(said)
    multipart.add_field("file", b"ignored", filename="x.txt")
    as_json = {"channel": doors.id, "blocks": [section()]}
    post = "chat.postMessage"
    for answer in (
        await call(sandbox, post, data=said),
        await call(sandbox, post, data=multipart),
        await call(sandbox, post, door.bot_token, json=as_json),
        await call(sandbox, f"{post}?token={door.bot_token}", data={"channel": doors.id, "text": "x"}),
    ):
        assert answer["ok"], answer
    assert all(entry.args["channel"] == doors.id for entry in sandbox.wire_log.calls(post))
    assert sandbox.wire_log.calls(post)[0].args["blocks"] == [section()]


async def test_malformed_requests_are_named(sandbox: Sandbox, door: App, doors: Channel) -> None:
    """What cannot be read is refused for what it is."""
    kinds = {"application/json": (b"{", "invalid_json"), "text/plain": (b"x", "invalid_post_type")}
    for kind, (body, error) in kinds.items():
        headers = {"Content-Type": kind}
        answer = await call(sandbox, "auth.test", door.bot_token, data=body, headers=headers)
        assert answer["error"] == error
    bad = {"channel": doors.id, "blocks": "not json"}
    assert (await call(sandbox, "chat.postMessage", door.bot_token, data=bad))[
        "error"
    ] == "invalid_blocks_format"
    assert (await call(sandbox, "chat.postMessage", door.bot_token))["error"] == "invalid_arguments"


async def test_tokens_are_told_apart(sandbox: Sandbox, door: App, alice: Persona) -> None:
    """No token, a wrong one, one of the wrong kind, of a closed account; and a method that does not exist."""
    token = sandbox.user_token(alice.id)
    assert (await call(sandbox, "auth.test"))["error"] == "not_authed"
    assert (await call(sandbox, "auth.test", "xoxb-no"))["error"] == "invalid_auth"
    assert (await call(sandbox, "chat.postMessage", door.app_token))["error"] == "not_allowed_token_type"
    assert (await call(sandbox, "auth.test", token))["user_id"] == alice.id
    sandbox.deactivate(alice.id)
    assert (await call(sandbox, "auth.test", token))["error"] == "account_inactive"
    assert (await call(sandbox, "chat.postMassage", door.bot_token))["error"] == "unknown_method"


async def test_a_scope_that_is_missing_is_named(
    sandbox: Sandbox, client: AsyncWebClient, alice: Persona
) -> None:
    """missing_scope says what was needed and what there is; without users:read.email there is no address."""
    answer = await refusal(client.users_lookupByEmail(email="alice@example.com"))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "users:read.email")
    assert "chat:write" in answer["provided"].split(",")
    assert "email" not in (await client.users_info(user=alice.id))["user"]["profile"]
    more = sandbox.install(
        {**MANIFEST, "oauth_config": {"scopes": {"bot": ["users:read", "users:read.email"]}}}
    )
    reader = AsyncWebClient(more.bot_token, base_url=sandbox.api_url)
    assert (await reader.users_lookupByEmail(email="Alice@example.com"))["user"]["id"] == alice.id


async def test_auth_test_tells_the_scopes(client: AsyncWebClient, door: App) -> None:
    """Bolt reads bot_id and user_id from the body, and the scopes from a header."""
    answer = await client.auth_test()
    assert (answer["bot_id"], answer["user_id"]) == (door.bot_id, door.bot_user_id)
    assert "chat:write" in answer.headers["x-oauth-scopes"]


async def test_slack_stores_other_text_than_was_sent(client: AsyncWebClient, doors: Channel) -> None:
    """Bare signs become entities, addresses links, emoji codes; blocks get ids and defaults."""
    sent = "5 < 6 & 7 > 2 ✅ see https://example.com/x."
    answer = await client.chat_postMessage(channel=doors.id, text=sent, blocks=[section(sent), buttons("Go")])
    stored = "5 &lt; 6 &amp; 7 &gt; 2 :white_check_mark: see <https://example.com/x>."
    message = answer["message"]
    assert message["text"] == stored
    assert message["blocks"][0]["text"] == {"type": "mrkdwn", "text": stored, "verbatim": False}
    assert message["blocks"][1]["elements"][0]["text"]["emoji"]
    assert all(block["block_id"] for block in message["blocks"])


async def test_an_update_with_text_alone_removes_the_blocks(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """Text without blocks drops them; blocks without text keep it; metadata alone leaves both."""
    said = await client.chat_postMessage(channel=doors.id, text="one", blocks=[section("block")])
    place = {"channel": doors.id, "ts": said["ts"]}
    metadata = {"event_type": "seen", "event_payload": {}}
    await client.api_call("chat.update", json={**place, "metadata": metadata})
    [message] = alice.messages(doors)
    assert (message.text, message.human_text(), message.metadata) == ("one", "block", metadata)
    await client.api_call("chat.update", json={**place, "blocks": [section("other")]})
    assert alice.messages(doors)[0].text == "one"
    await client.chat_update(channel=doors.id, ts=said["ts"], text="two")
    [message] = alice.messages(doors)
    assert (message.text, message.blocks) == ("two", ())
    long = client.chat_update(channel=doors.id, ts=said["ts"], text="x" * 4001)
    assert (await refusal(long))["error"] == "msg_too_long"


async def test_an_app_changes_only_its_own_words(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """A person's message is neither updated nor deleted by an app; a missing one is not found."""
    theirs = await alice.post(doors, "mine")
    update = client.chat_update(channel=doors.id, ts=theirs.ts, text="x")
    assert (await refusal(update))["error"] == "cant_update_message"
    delete = client.chat_delete(channel=doors.id, ts=theirs.ts)
    assert (await refusal(delete))["error"] == "cant_delete_message"
    gone = client.chat_delete(channel=doors.id, ts="1.000001")
    assert (await refusal(gone))["error"] == "message_not_found"


async def test_history_leaves_metadata_out_unless_asked(client: AsyncWebClient, doors: Channel) -> None:
    """include_all_metadata brings it; replies are not in the history; pages follow their cursor."""
    metadata = {"event_type": "entry", "event_payload": {"seq": 1}}
    first = await client.chat_postMessage(channel=doors.id, text="one", metadata=metadata)
    await client.chat_postMessage(channel=doors.id, text="reply", thread_ts=first["ts"])
    await client.chat_postMessage(channel=doors.id, text="two")
    plain = await client.conversations_history(channel=doors.id)
    assert [message["text"] for message in plain["messages"]] == ["two", "one"]
    assert "metadata" not in plain["messages"][1]
    assert plain["messages"][1]["reply_count"] == 1
    full = await client.conversations_history(channel=doors.id, include_all_metadata=True, limit=1)
    assert full["has_more"]
    cursor = full["response_metadata"]["next_cursor"]
    more = await client.conversations_history(
        channel=doors.id, include_all_metadata=True, limit=1, cursor=cursor
    )
    assert more["messages"][0]["metadata"] == metadata
    since = await client.conversations_history(channel=doors.id, oldest=first["ts"])
    assert [message["text"] for message in since["messages"]] == ["two"]
    thread = await client.conversations_replies(channel=doors.id, ts=first["ts"])
    assert [message["text"] for message in thread["messages"]] == ["one", "reply"]


async def test_a_reply_to_a_deleted_message_is_refused(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """thread_not_found, whether the parent vanished or left a tombstone over its replies."""
    lonely = await client.chat_postMessage(channel=doors.id, text="alone")
    parent = await client.chat_postMessage(channel=doors.id, text="parent")
    await client.chat_postMessage(channel=doors.id, text="reply", thread_ts=parent["ts"])
    for said in (lonely, parent):
        await client.chat_delete(channel=doors.id, ts=said["ts"])
        reply = client.chat_postMessage(channel=doors.id, text="late", thread_ts=said["ts"])
        assert (await refusal(reply))["error"] == "thread_not_found"
    assert [message.subtype for message in alice.messages(doors)] == ["tombstone", None]


async def test_private_channels_do_not_exist_for_strangers(
    sandbox: Sandbox, client: AsyncWebClient, alice: Persona, door: App
) -> None:
    """channel_not_found for a private channel without the bot, not_in_channel for a public one."""
    secret = sandbox.add_channel("secret", private=True, members=[alice.id])
    public = sandbox.add_channel("public", members=[alice.id])
    for channel, error in ((secret, "channel_not_found"), (public, "not_in_channel")):
        assert (await refusal(client.chat_postMessage(channel=channel.id, text="x")))["error"] == error
        history = client.conversations_history(channel=channel.id)
        assert (await refusal(history))["error"] == error
    listed = await client.conversations_list(types="public_channel,private_channel")
    assert [channel["name"] for channel in listed["channels"]] == ["public"]
    sandbox.invite(secret, door.bot_user_id)
    info = (await client.conversations_info(channel=secret.id))["channel"]
    assert (info["is_private"], info["is_member"], info["is_archived"]) == (True, True, False)
    assert (await client.conversations_members(channel=secret.id))["members"] == [alice.id, door.bot_user_id]


async def test_a_direct_message_is_opened_once(
    sandbox: Sandbox, client: AsyncWebClient, alice: Persona
) -> None:
    """conversations.open answers the same channel each time; posting to a user id reaches the same place."""
    one = (await client.conversations_open(users=alice.id))["channel"]["id"]
    two = (await client.conversations_open(users=alice.id))["channel"]["id"]
    assert one == two
    answer = await client.chat_postMessage(channel=alice.id, text="psst")
    assert answer["channel"] == one
    assert [message.text for message in alice.direct_messages()] == ["psst"]
    sandbox.deactivate(alice.id)
    assert (await refusal(client.conversations_open(users=alice.id)))["error"] == "user_disabled"


async def test_groups_pins_and_links(
    sandbox: Sandbox, client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """Groups list their members only when asked; a pin is set once; a permalink leads to the message."""
    leads = sandbox.add_usergroup("leads", [alice.id])
    listed = (await client.usergroups_list())["usergroups"]
    assert [(group["handle"], "users" in group) for group in listed] == [("leads", False)]
    assert (await client.usergroups_users_list(usergroup=leads.id))["users"] == [alice.id]
    assert (await refusal(client.usergroups_users_list(usergroup="S1")))["error"] == "no_such_subteam"
    said = await client.chat_postMessage(channel=doors.id, text="look")
    await client.pins_add(channel=doors.id, timestamp=said["ts"])
    again = client.pins_add(channel=doors.id, timestamp=said["ts"])
    assert (await refusal(again))["error"] == "already_pinned"
    link = (await client.chat_getPermalink(channel=doors.id, message_ts=said["ts"]))["permalink"]
    async with aiohttp.ClientSession() as session, session.get(link) as page:
        assert await page.text() == "look"


async def test_s23_what_people_write_is_shown_and_notifies_as_slack_would(
    client: AsyncWebClient, doors: Channel, alice: Persona
) -> None:
    """In mrkdwn an unescaped <!channel> notifies everybody; escaped, or in plain_text, it is only text."""
    nasty = f"<!channel> <@{alice.id}> \U0001f9ef \u202e evil \u200b {'x' * 2900}"
    escaped = nasty.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    await client.chat_postMessage(channel=doors.id, text=nasty)
    await client.chat_postMessage(channel=doors.id, text=escaped, blocks=[section(escaped)])
    header = {"type": "header", "text": {"type": "plain_text", "text": "<!channel>"}}
    await client.chat_postMessage(channel=doors.id, text="plain", blocks=[header])
    loud, quiet, plain = alice.messages(doors)
    assert loud.mentions == {"!channel", alice.id}
    assert loud.human_text().startswith("@channel @alice :fire_extinguisher: \u202e evil \u200b")
    assert not quiet.mentions
    assert quiet.human_text().startswith(f"<!channel> <@{alice.id}> :fire_extinguisher: \u202e evil")
    assert (plain.human_text(), plain.mentions) == ("<!channel>", frozenset())


async def test_a_file_is_uploaded_in_three_steps(sandbox: Sandbox, alice: Persona) -> None:
    """The SDK's own upload arrives as one message with its file; a wrong length does not."""
    app = sandbox.install({**MANIFEST, "oauth_config": {"scopes": {"bot": ["files:write"]}}})
    doors = sandbox.add_channel("doors", members=[alice.id, app.bot_user_id])
    client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url)
    await client.files_upload_v2(
        channel=doors.id, content="a,b", filename="week.csv", title="The week", initial_comment="Here:"
    )
    [message] = alice.messages(doors)
    assert message.human_text() == "Here:\nThe week"
    assert [file.content for file in sandbox.workspace.files.values()] == [b"a,b"]
    asked = await client.files_getUploadURLExternal(filename="x", length=3)
    async with aiohttp.ClientSession() as session, session.post(asked["upload_url"], data=b"1234") as answer:
        assert answer.status == 400
    unsent = client.files_completeUploadExternal(files=[{"id": asked["file_id"]}])
    assert (await refusal(unsent))["error"] == "file_not_found"


async def test_calls_can_be_watched(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """on_call hears of each call when it is answered."""
    heard: list[tuple[str, int | None]] = []
    sandbox.on_call(lambda entry: heard.append((entry.method, entry.status)))
    await client.auth_test()
    assert heard == [("auth.test", 200)]
