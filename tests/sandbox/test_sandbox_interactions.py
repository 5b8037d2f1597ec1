"""Three seconds, one use: acks, triggers, response_urls and modals (S4 to S11)."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, CannotDoError, Persona, Sandbox, VirtualClock
from tests.sandbox.door import MANIFEST, REASON, buttons, field, modal, section
from tests.sandbox.wire import Frame, Wire


@pytest.fixture
def alice(sandbox: Sandbox) -> Persona:
    return sandbox.persona(sandbox.add_user("alice").id)


async def typed(alice: Persona, wire: Wire, line: str = "/door") -> Frame:
    """Type a command and ack it at once; what the app was told."""
    waiting = asyncio.create_task(alice.command(line))
    frame = await wire.frame()
    await wire.ack(frame)
    assert (await waiting).ok
    payload: Frame = frame["payload"]
    return payload


async def opened(alice: Persona, wire: Wire, client: AsyncWebClient, view: Frame) -> Frame:
    """Open this modal; the view as Slack returned it."""
    payload = await typed(alice, wire)
    answer = await client.views_open(trigger_id=payload["trigger_id"], view=view)
    shown: Frame = answer["view"]
    return shown


async def submitted(alice: Persona, wire: Wire, answer: Frame | None = None) -> tuple[Frame, Any]:
    """Submit the modal on screen, answered so; the payload, and what the person sees."""
    assert alice.modal
    waiting = asyncio.create_task(alice.modal.submit())
    frame = await wire.frame()
    await wire.ack(frame, answer)
    return frame["payload"], await waiting


async def refused(call: Any) -> str:  # noqa: ANN401 - a coroutine of any method
    """The error of a call that must fail."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_s04_an_ack_at_2_9_seconds_is_in_time(alice: Persona, wire: Wire, clock: VirtualClock) -> None:
    """An ack 2.9 s after the command reaches the person."""
    waiting = asyncio.create_task(alice.command("/door"))
    frame = await wire.frame()
    await clock.advance(2.9)
    await wire.ack(frame, {"text": "just in time"})
    assert (await waiting).text == "just in time"


async def test_s04_an_ack_after_3_seconds_is_too_late(
    alice: Persona, wire: Wire, clock: VirtualClock, client: AsyncWebClient
) -> None:
    """After 3.1 s the person has read operation_timeout, and the trigger is dead."""
    waiting = asyncio.create_task(alice.command("/door"))
    frame = await wire.frame()
    await clock.advance(3.1)
    assert (await waiting).error == "operation_timeout"
    await wire.ack(frame, {"text": "too late"})
    trigger = frame["payload"]["trigger_id"]
    assert await refused(client.views_open(trigger_id=trigger, view=modal(section()))) == "expired_trigger_id"
    assert not alice.ephemerals()


async def test_s05_a_trigger_works_once(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """The second use of a trigger is refused, and the first modal stays."""
    trigger = (await typed(alice, wire))["trigger_id"]
    await client.views_open(trigger_id=trigger, view=modal(section("first")))
    again = client.views_open(trigger_id=trigger, view=modal(section("second")))
    assert await refused(again) == "exchanged_trigger_id"
    assert alice.modal
    assert "first" in alice.modal.text()


async def test_s05_a_refused_view_does_not_use_the_trigger_up(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """A view that was refused leaves its trigger good for another try."""
    trigger = (await typed(alice, wire))["trigger_id"]
    bad = client.views_open(trigger_id=trigger, view=modal(section(""), title="x"))
    assert await refused(bad) == "invalid_arguments"
    await client.views_open(trigger_id=trigger, view=modal(section()))
    assert alice.modal


async def test_s06_a_trigger_dies_after_three_seconds(
    alice: Persona, wire: Wire, client: AsyncWebClient, clock: VirtualClock
) -> None:
    """A trigger of 2.9 s opens a modal, one of 3.1 s does not."""
    young = (await typed(alice, wire))["trigger_id"]
    await clock.advance(2.9)
    await client.views_open(trigger_id=young, view=modal(section()))
    old = (await typed(alice, wire))["trigger_id"]
    await clock.advance(3.1)
    assert await refused(client.views_open(trigger_id=old, view=modal(section()))) == "expired_trigger_id"


async def test_s06_expiry_is_also_told_as_invalid_arguments(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient, clock: VirtualClock
) -> None:
    """Slack has two ways to say that a trigger expired; the sandbox can speak both."""
    sandbox.modals.expiry_as_arguments = True
    old = (await typed(alice, wire))["trigger_id"]
    await clock.advance(3.1)
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=old, view=modal(section()))
    assert caught.value.response["response_metadata"]["messages"] == [
        "[ERROR] `trigger_id` expired [json-pointer:/trigger_id]"
    ]


async def test_s07_a_trigger_of_another_app_is_invalid(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """Neither an invented trigger nor one made for another app opens anything."""
    trigger = (await typed(alice, wire))["trigger_id"]
    other = sandbox.install({**MANIFEST, "features": {}})
    stranger = AsyncWebClient(other.bot_token, base_url=sandbox.api_url)
    assert (
        await refused(stranger.views_open(trigger_id=trigger, view=modal(section()))) == "invalid_trigger_id"
    )
    assert await refused(client.views_open(trigger_id="1.2.x", view=modal(section()))) == "invalid_trigger_id"
    assert alice.modal is None


async def test_s07_a_trigger_opens_the_modal_of_its_own_person_only(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """The modal appears to whoever made the trigger, and to nobody else."""
    bob = sandbox.persona(sandbox.add_user("bob").id)
    await opened(alice, wire, client, modal(section()))
    assert alice.modal
    assert bob.modal is None


async def respond(url: str, **body: object) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, await answer.text()


async def test_s08_a_response_url_works_five_times(alice: Persona, wire: Wire) -> None:
    """The sixth answer to one interaction is refused; an unknown address is no service."""
    url = (await typed(alice, wire))["response_url"]
    for number in range(5):
        assert await respond(url, text=f"answer {number}") == (200, "ok")
    assert await respond(url, text="one more") == (404, "expired_url")
    assert len(alice.ephemerals()) == 5
    assert await respond(url[:-3] + "xyz", text="hello") == (404, "no_service")


async def test_s08_a_response_url_lives_half_an_hour(alice: Persona, wire: Wire, clock: VirtualClock) -> None:
    """After 29 minutes an answer arrives, after 31 it does not."""
    url = (await typed(alice, wire))["response_url"]
    await clock.advance(29 * 60)
    assert await respond(url, text="late") == (200, "ok")
    await clock.advance(2 * 60)
    assert await respond(url, text="too late") == (404, "expired_url")


async def test_s08_an_ephemeral_message_changes_only_through_its_response_url(
    sandbox: Sandbox, door: App, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """chat.update cannot find an ephemeral message; replace_original changes it; delete_original ends it."""
    channel = sandbox.add_channel("doors", members=[alice.id, door.bot_user_id])
    told = await client.chat_postEphemeral(
        channel=channel.id, user=alice.id, text="psst", blocks=[section("psst"), buttons("More")]
    )
    update = client.chat_update(channel=channel.id, ts=told["message_ts"], text="louder")
    assert await refused(update) == "message_not_found"

    waiting = asyncio.create_task(alice.press(alice.ephemerals(channel)[0], "More"))
    frame = await wire.frame()
    await wire.ack(frame, {"text": "the body of this ack is ignored"})
    assert (await waiting).ok
    payload = frame["payload"]
    assert "message" not in payload
    assert payload["container"]["is_ephemeral"]

    assert await respond(payload["response_url"], text="replaced", replace_original=True) == (200, "ok")
    assert [message.text for message in alice.ephemerals(channel)] == ["replaced"]
    assert await respond(payload["response_url"], delete_original=True) == (200, "ok")
    assert alice.ephemerals(channel) == []
    assert alice.messages(channel) == []


async def test_s09_three_modals_are_the_limit(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """A third modal can be pushed over two, a fourth cannot."""
    view = modal(section(), buttons("Deeper"))
    await opened(alice, wire, client, view)
    for expected in (None, None, "push_limit_reached"):
        assert alice.modal
        waiting = asyncio.create_task(alice.modal.press("Deeper"))
        frame = await wire.frame()
        await wire.ack(frame)
        await waiting
        push = client.views_push(trigger_id=frame["payload"]["trigger_id"], view=view)
        assert (await refused(push) if expected else (await push)["ok"]) == (expected or True)


async def test_s09_nothing_can_be_pushed_on_a_closed_modal(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """A trigger from a modal that was closed meanwhile, or from no modal, pushes nothing."""
    await opened(alice, wire, client, modal(section(), buttons("Deeper")))
    assert alice.modal
    waiting = asyncio.create_task(alice.modal.press("Deeper"))
    frame = await wire.frame()
    await wire.ack(frame)
    await waiting
    await alice.modal.close()
    push = client.views_push(trigger_id=frame["payload"]["trigger_id"], view=modal(section()))
    assert await refused(push) == "not_found"
    trigger = (await typed(alice, wire))["trigger_id"]
    assert await refused(client.views_push(trigger_id=trigger, view=modal(section()))) == "not_found"


async def test_s10_an_update_with_a_stale_hash_is_refused(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """Whoever updates a view with an old hash has not seen its last state, and changes nothing."""
    view = await opened(alice, wire, client, modal(section("one")))
    await client.views_update(view_id=view["id"], hash=view["hash"], view=modal(section("two")))
    stale = client.views_update(view_id=view["id"], hash=view["hash"], view=modal(section("three")))
    assert await refused(stale) == "hash_conflict"
    assert alice.modal
    assert "two" in alice.modal.text()


async def test_s10_what_was_typed_survives_an_update(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """A field that keeps its block_id and action_id keeps its value; another one starts empty."""
    view = await opened(alice, wire, client, modal(REASON, field("Door", {"type": "plain_text_input"})))
    assert alice.modal
    alice.modal.fill("Reason", "fire")
    alice.modal.fill("Door", "front")
    other = field("Door", {"type": "plain_text_input", "action_id": "w"})
    await client.views_update(view_id=view["id"], view=modal(REASON, other))
    assert (alice.modal.value("Reason"), alice.modal.value("Door")) == ("fire", None)


async def test_s11_errors_must_name_an_input_block(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """An error under an input block is shown there; under any other name the person sees a general error."""
    await opened(alice, wire, client, modal(section(block_id="intro"), REASON))
    assert alice.modal
    alice.modal.fill("Reason", "fire")
    for errors, seen in (
        ({"reason": "Not good enough."}, {"Reason": "Not good enough."}),
        ({"intro": "No input here."}, {"": "We had some trouble connecting. Try again?"}),
        ({}, {"": "We had some trouble connecting. Try again?"}),
    ):
        _, shown = await submitted(alice, wire, {"response_action": "errors", "errors": errors})
        assert shown == seen
        assert alice.modal


async def test_s11_a_response_action_moves_the_modals(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """update replaces, push covers, an empty ack uncovers again, clear closes everything."""
    await opened(alice, wire, client, modal(section("one")))
    await submitted(alice, wire, {"response_action": "update", "view": modal(section(), title="Two")})
    assert alice.modal
    assert alice.modal.title == "Two"
    await submitted(alice, wire, {"response_action": "push", "view": modal(section(), title="Three")})
    assert alice.modal.title == "Three"
    await submitted(alice, wire)
    assert alice.modal.title == "Two"
    await submitted(alice, wire, {"response_action": "clear"})
    assert alice.modal is None


async def test_a_modal_opened_by_a_submission_is_never_seen(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """views.open on the trigger of a view_submission answers ok and shows nothing."""
    await opened(alice, wire, client, modal(section()))
    payload, _ = await submitted(alice, wire)
    answer = await client.views_open(trigger_id=payload["trigger_id"], view=modal(section("lost")))
    assert answer["ok"]
    assert alice.modal is None


async def test_a_view_as_returned_cannot_be_sent_back(
    alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """Slack adds keys to a view that it does not take."""
    view = await opened(alice, wire, client, modal(section()))
    assert await refused(client.views_update(view_id=view["id"], view=view)) == "invalid_arguments"


async def test_an_external_id_is_unique(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """Two open views cannot have the same name; one can be updated by it."""
    await opened(alice, wire, client, modal(section(), external_id="only-one"))
    trigger = (await typed(alice, wire))["trigger_id"]
    second = client.views_open(trigger_id=trigger, view=modal(section(), external_id="only-one"))
    assert await refused(second) == "duplicate_external_id"
    await client.views_update(external_id="only-one", view=modal(section("found")))
    assert alice.modal
    assert "found" in alice.modal.text()


async def test_closing_is_told_only_where_asked(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """view_closed comes for a view with notify_on_close, and says whether everything was closed."""
    for everything in (False, True):
        await opened(alice, wire, client, modal(section(), notify_on_close=True))
        assert alice.modal
        waiting = asyncio.create_task(alice.modal.close(everything=everything))
        frame = await wire.frame()
        await wire.ack(frame)
        await waiting
        assert (frame["payload"]["type"], frame["payload"]["is_cleared"]) == ("view_closed", everything)
    await opened(alice, wire, client, modal(section()))
    assert alice.modal
    before = len(sandbox.wire_log.pushes("interactive"))
    await alice.modal.close()
    assert len(sandbox.wire_log.pushes("interactive")) == before


async def test_home_is_published_and_pressed(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """Opening the Home tab is told as an event; a button on it comes with the view and no response_url."""
    assert await alice.open_home() is None
    frame = await wire.frame()
    assert frame["payload"]["event"]["type"] == "app_home_opened"
    await wire.ack(frame)
    await client.views_publish(user_id=alice.id, view={"type": "home", "blocks": [section(), buttons("Ask")]})
    home = await sandbox.wait_for(alice.home)
    waiting = asyncio.create_task(home.press("Ask"))
    frame = await wire.frame()
    await wire.ack(frame)
    assert (await waiting).ok
    assert frame["payload"]["container"]["type"] == "view"
    assert "response_url" not in frame["payload"]


async def test_a_client_offers_only_what_is_there(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """Unknown labels, options and buttons, and text that is too long, cannot be entered."""
    menu = {"type": "static_select", "options": [{"text": {"type": "plain_text", "text": "A"}, "value": "a"}]}
    short = {"type": "plain_text_input", "max_length": 3}
    await opened(alice, wire, client, modal(field("Door", menu), field("Code", short)))
    assert alice.modal
    for label, value in (("Window", "A"), ("Door", "B"), ("Code", "1234")):
        with pytest.raises(CannotDoError):
            alice.modal.fill(label, value)
    with pytest.raises(CannotDoError):
        await alice.modal.press("Nowhere")


async def test_every_kind_of_field_travels_in_its_own_shape(
    sandbox: Sandbox, alice: Persona, wire: Wire, client: AsyncWebClient
) -> None:
    """state.values carries each element as the documentation shows it."""
    bob = sandbox.add_user("bob")
    options = [
        {"text": {"type": "plain_text", "text": name}, "value": name.lower()} for name in ("One", "Two")
    ]
    kinds: dict[str, tuple[dict[str, Any], object, Frame]] = {
        "Text": ({"type": "plain_text_input"}, "hi", {"value": "hi"}),
        "Number": ({"type": "number_input", "is_decimal_allowed": False}, 3, {"value": "3"}),
        "Email": ({"type": "email_text_input"}, "a@b.co", {"value": "a@b.co"}),
        "Url": ({"type": "url_text_input"}, "https://x.io", {"value": "https://x.io"}),
        "Menu": ({"type": "static_select", "options": options}, "Two", {"selected_option": options[1]}),
        "Radio": ({"type": "radio_buttons", "options": options}, "One", {"selected_option": options[0]}),
        "Boxes": ({"type": "checkboxes", "options": options}, ["One", "Two"], {"selected_options": options}),
        "Many": (
            {"type": "multi_static_select", "options": options},
            ["Two"],
            {"selected_options": options[1:]},
        ),
        "Who": ({"type": "users_select"}, "bob", {"selected_user": bob.id}),
        "All": ({"type": "multi_users_select"}, ["@bob"], {"selected_users": [bob.id]}),
        "Date": ({"type": "datepicker"}, "2026-12-24", {"selected_date": "2026-12-24"}),
        "Time": ({"type": "timepicker"}, "18:30", {"selected_time": "18:30"}),
        "Moment": ({"type": "datetimepicker"}, 1_800_000_000, {"selected_date_time": 1_800_000_000}),
        "Nothing": ({"type": "datepicker"}, None, {"selected_date": None}),
    }
    fields = [field(name, element, optional=name == "Nothing") for name, (element, _, _) in kinds.items()]
    await opened(alice, wire, client, modal(*fields))
    assert alice.modal
    assert alice.modal.labels() == list(kinds)
    for name, (_, value, _) in kinds.items():
        alice.modal.fill(name, value)
    payload, shown = await submitted(alice, wire)
    assert shown is None
    for name, (element, _, entry) in kinds.items():
        held = payload["view"]["state"]["values"][name.lower()]["v"]
        assert _values(held) == {"type": element["type"], **_values(entry)}


def _values(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Without the `emoji` that Slack adds to every text."""
    if isinstance(value, dict):
        return {key: _values(part) for key, part in value.items() if key != "emoji"}
    return [_values(part) for part in value] if isinstance(value, list) else value


async def test_an_external_menu_asks_the_app(alice: Persona, wire: Wire, client: AsyncWebClient) -> None:
    """Typing asks by block_suggestion; choosing with dispatch_action is told at once."""
    element = {"type": "external_select", "min_query_length": 2}
    await opened(alice, wire, client, modal(field("Role", element, dispatch_action=True)))
    assert alice.modal
    assert await alice.modal.suggest("Role", "p") == []
    waiting = asyncio.create_task(alice.modal.suggest("Role", "pr"))
    frame = await wire.frame()
    assert (frame["payload"]["type"], frame["payload"]["value"]) == ("block_suggestion", "pr")
    option = {"text": {"type": "plain_text", "text": "prod"}, "value": "p"}
    await wire.ack(frame, {"options": [option]})
    assert await waiting == ["prod"]
    choosing = asyncio.create_task(alice.modal.choose("Role", "prod"))
    frame = await wire.frame()
    await wire.ack(frame)
    assert (await choosing).ok
    assert frame["payload"]["actions"][0]["selected_option"] == option
    assert frame["payload"]["view"]["state"]["values"]["role"]["v"]["selected_option"] == option
