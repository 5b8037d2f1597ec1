"""A whole conversation between people and an app, through real Bolt: by Socket Mode, and by signed HTTP."""

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Sandbox
from tests.sandbox.door import Connect

FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "ask",
    "title": {"type": "plain_text", "text": "Open the door"},
    "submit": {"type": "plain_text", "text": "Ask"},
    "blocks": [
        {
            "type": "input",
            "block_id": "which",
            "label": {"type": "plain_text", "text": "Door"},
            "element": {
                "type": "static_select",
                "action_id": "v",
                "options": [
                    {"text": {"type": "plain_text", "text": "Front"}, "value": "front"},
                    {"text": {"type": "plain_text", "text": "Back"}, "value": "back"},
                ],
            },
        },
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "v", "min_length": 3},
        },
    ],
}


def card(text: str, *, open_: bool) -> list[dict[str, Any]]:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    button = {
        "type": "button",
        "action_id": "approve",
        "text": {"type": "plain_text", "text": "Approve"},
        "value": "1",
        "confirm": {
            "title": {"type": "plain_text", "text": "Sure?"},
            "text": {"type": "plain_text", "text": "It opens at once."},
            "confirm": {"type": "plain_text", "text": "Yes"},
            "deny": {"type": "plain_text", "text": "No"},
        },
    }
    return [section, {"type": "actions", "elements": [button]}] if open_ else [section]


def listeners(bolt: AsyncApp, channel: str) -> None:
    """A door-keeper in forty lines."""

    @bolt.command("/door")
    async def command(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack(text=f"You said {body['text']}.")
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @bolt.view("ask")
    async def submitted(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        values = body["view"]["state"]["values"]
        if values["why"]["v"]["value"] == "because":
            await ack(response_action="errors", errors={"why": "That is no reason."})
            return
        await ack()
        door = values["which"]["v"]["selected_option"]["value"]
        text = f"<@{body['user']['id']}> wants the {door} door"
        await client.chat_postMessage(channel=channel, text=text, blocks=card(text, open_=True))

    @bolt.action("approve")
    async def approved(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        text = f"Approved by <@{body['user']['id']}>"
        place = body["container"]
        await client.chat_update(
            channel=place["channel_id"], ts=place["message_ts"], text=text, blocks=card(text, open_=False)
        )

    @bolt.event("message")
    async def heard(ack: AsyncAck) -> None:
        await ack()


async def conversation(sandbox: Sandbox, channel: str, alice_id: str, bob_id: str) -> None:
    alice, bob = sandbox.persona(alice_id), sandbox.persona(bob_id)

    outcome = await alice.command("/door open", channel=channel)
    assert outcome.ok
    assert outcome.human_text() == "You said open."
    assert [message.text for message in alice.ephemerals(channel)] == ["You said open."]

    modal = await sandbox.wait_for(lambda: alice.modal)
    assert modal.title == "Open the door"
    assert modal.labels() == ["Door", "Reason"]
    modal.fill("Reason", "no")
    assert await modal.submit() == {
        "Door": "Please complete this required field.",
        "Reason": "Please enter at least 3 characters.",
    }
    modal.fill("Door", "Front")
    modal.fill("Reason", "because")
    assert await modal.submit() == {"Reason": "That is no reason."}
    modal.fill("Reason", "fire drill")
    assert await modal.submit() is None
    assert alice.modal is None

    asked = await sandbox.wait_for(lambda: next((m for m in bob.messages(channel) if m.buttons()), None))
    assert asked.human_text().startswith("@alice wants the front door")
    assert (await bob.press(asked, "Approve", confirm=False)).cancelled
    assert (await bob.press(asked, "Approve", confirm=True)).ok
    await sandbox.wait_for(lambda: not bob.messages(channel)[-1].buttons())
    assert bob.messages(channel)[-1].human_text() == "Approved by @bob"


async def test_a_conversation_over_socket_mode(
    sandbox: Sandbox, door: App, bolt: AsyncApp, connect: Connect
) -> None:
    """A command, a modal, a submission, a message, a button and an update, through real Bolt."""
    alice, bob = sandbox.add_user("alice"), sandbox.add_user("bob")
    channel = sandbox.add_channel("doors", private=True, members=[alice.id, bob.id, door.bot_user_id])
    listeners(bolt, channel.id)
    await connect(bolt, door)
    await conversation(sandbox, channel.id, alice.id, bob.id)
