"""What never reaches a listener, or fails in one: the person still gets a sentence, the log no secret."""

import asyncio
import json
import logging
from typing import Any
from unittest.mock import AsyncMock, MagicMock, call

import pytest
from slack_bolt.async_app import AsyncAck
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core import events as e
from bot.core.model import State
from bot.slack import watch
from bot.slack.channel import AuditChannel
from bot.slack.people import SlackPeople
from bot.slack.views.guide import FAILED, OTHER_TEAM, OUTDATED
from tests.core.samples import ANNA, BEN
from tests.slack.bench import Bench

SECRET = "hunter2"


async def sent(it: Bench, body: dict[str, Any]) -> tuple[int, str]:
    """What Bolt answers to this payload."""
    answer = await it.bolt.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
    return answer.status, answer.body


def press(it: Bench, action: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  parts of a payload
    team = it.sandbox.workspace.team.id
    return {
        "type": "block_actions",
        "user": {"id": BEN, "team_id": team},
        "team": {"id": team},
        "trigger_id": f"t-{action}",
        "container": {"type": "message"},
        "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": "BG-000000"}],
        **changes,
    }


async def test_a_button_of_an_older_version_is_answered(it: Bench) -> None:
    assert await sent(it, press(it, "approve_v0")) == (200, OUTDATED)
    assert await it.refused(BEN) == ["outdated"]


async def test_an_event_that_nobody_listens_to_is_nobodys_attempt(it: Bench) -> None:
    before = await it.rig.history()
    body = {
        "type": "event_callback",
        "team_id": it.sandbox.workspace.team.id,
        "event_id": "Ev2",
        "event": {"type": "star_added", "user": BEN},
    }
    assert await sent(it, body) == (200, "")
    assert await it.rig.history() == before


async def test_another_workspace_is_not_heard_and_it_is_recorded(it: Bench) -> None:
    status, body = await sent(it, press(it, "approve", team={"id": "T0OTHER001"}))
    assert (status, body) == (200, OTHER_TEAM)
    assert await it.refused(BEN) == ["other_team"]


async def test_a_window_of_another_workspace_gets_its_answer_as_a_window(it: Bench) -> None:
    view = {
        "id": "V1",
        "type": "modal",
        "app_installed_team_id": "T0OTHER001",
        "callback_id": "request",
        "state": {},
    }
    status, body = await sent(it, press(it, "x", type="view_submission", view=view))
    assert status == 200
    assert OTHER_TEAM in json.loads(body)["view"]["blocks"][0]["text"]["text"]


async def test_an_event_of_another_workspace_is_swallowed(it: Bench) -> None:
    event = {"type": "user_change", "user": {"id": BEN}}
    body = {"type": "event_callback", "team_id": "T0OTHER001", "event_id": "Ev1", "event": event}
    assert await sent(it, body) == (200, "")


async def test_an_unbound_installation_hears_nobody(it: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unbound() -> str:
        return ""

    await it.reconnect()
    monkeypatch.setattr(it.rig.store, "team", unbound)
    assert await sent(it, press(it, "approve")) == (200, OTHER_TEAM)


async def test_a_bug_behind_a_button_is_a_sentence_for_the_person(
    it: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError(SECRET)

    request = await it.asks()
    card = await it.card(request.id)
    monkeypatch.setattr(it.rig.desk, "approve", broken)
    outcome = await it.presses(it.ben, card, "Approve")
    assert outcome.ok
    assert it.hears(it.ben) == [FAILED]
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_a_bug_behind_the_form_keeps_what_was_typed(it: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError(SECRET)

    form = await it.form()
    await it.fill(form)
    monkeypatch.setattr(it.rig.desk, "ask", broken)
    said = await form.submit()
    assert said == {"Access": FAILED}
    assert form.value("Reason") == "The replica lags by an hour."


async def test_a_bug_behind_the_command_is_a_sentence_for_the_person(
    it: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(it.rig.desk, "offers", broken)
    assert (await it.anna.command("/breakglass", it.channel)).human_text() == FAILED


async def test_what_fails_before_a_listener_is_answered_too(
    it: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> str:
        raise RuntimeError(SECRET)

    await it.reconnect()
    monkeypatch.setattr(it.rig.store, "team", broken)
    assert await sent(it, press(it, "approve")) == (200, FAILED)


async def test_the_same_event_twice_is_heard_once(it: Bench) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(event: dict[str, Any]) -> None:
        heard.put_nowait(event["channel"]["name"])

    it.bolt.event("channel_rename")(hear)
    team = it.sandbox.workspace.team.id
    for name in ("Ev9", "Ev9", "Ev9", "Ev10"):
        event = {"type": "channel_rename", "channel": {"id": it.channel, "name": name}}
        body = {"type": "event_callback", "team_id": team, "event_id": name, "event": event}
        assert await sent(it, body) == (200, "")
    assert [await heard.get() for _ in range(2)] == ["Ev9", "Ev10"]


async def test_an_event_that_could_not_be_recorded_is_heard_when_slack_sends_it_again(it: Bench) -> None:
    """Slack keeps what is not acknowledged, and sends it three times more."""
    channel = AsyncMock(AuditChannel)
    channel.message.side_effect = [ConnectionError("the database is away"), None]
    it.bolt._async_listeners = []
    watch.register(it.bolt, MagicMock(SlackPeople), channel, MagicMock())
    body = _message(it, "Ev7")
    answers = [(await sent(it, body))[0] for _ in range(3)]
    assert answers == [500, 200, 200]
    assert channel.message.await_args_list == [call(body["event"])] * 2, (
        "once in vain, once recorded, then no more"
    )


async def test_our_own_messages_come_through_so_that_a_deletion_is_seen(it: Bench) -> None:
    """With Bolt's own filter an admin could delete an audit entry unseen."""
    heard: list[str] = []

    async def hear(event: dict[str, Any]) -> None:
        heard.append(event.get("subtype", ""))

    it.bolt._async_listeners = []
    it.bolt.event("message")(hear)
    posted = await it.client.chat_postMessage(channel=it.channel, text="an entry")
    message = it.sandbox.message(it.channel, posted["ts"])
    assert message is not None
    it.sandbox.workspace.delete(message)
    await it.sandbox.wait_for(lambda: "message_deleted" in heard)


async def test_no_code_and_no_reason_reach_the_log(it: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = it.fresh_code(ANNA)
    await it.asks(code=code, reason="A very secret reason for it.")
    form = await it.form()
    await it.fill(form, code="987654")
    await form.submit()
    assert code not in caplog.text
    assert "987654" not in caplog.text
    assert "very secret" not in caplog.text
    assert await it.events(e.ProofRefused) == 1


async def test_an_event_that_is_still_being_recorded_is_not_acknowledged_when_it_comes_again(
    it: Bench,
) -> None:
    """Else it would be lost if the first delivery failed after all."""
    begun, free = asyncio.Event(), asyncio.Event()

    async def record(_event: dict[str, Any]) -> None:
        begun.set()
        await free.wait()

    channel = AsyncMock(AuditChannel)
    channel.message.side_effect = record
    it.bolt._async_listeners = []
    watch.register(it.bolt, MagicMock(SlackPeople), channel, MagicMock())
    body = _message(it, "Ev1")
    first = asyncio.create_task(sent(it, body))
    await begun.wait()
    assert (await sent(it, body))[0] == 503
    free.set()
    assert (await first)[0] == 200
    assert (await sent(it, body))[0] == 200
    assert channel.message.await_count == 1


async def test_a_listener_that_fails_after_its_acknowledgement_still_says_so(it: Bench) -> None:
    """What Slack is told goes out when the listener returns."""

    async def broken(ack: AsyncAck) -> None:
        await ack()
        raise RuntimeError(SECRET)

    it.bolt.action("broken")(broken)
    assert await sent(it, press(it, "broken")) == (200, FAILED)


def _message(it: Bench, id: str) -> dict[str, Any]:
    event = {"type": "message", "channel": it.channel, "ts": "1.1", "text": "not ours"}
    team = it.sandbox.workspace.team.id
    return {"type": "event_callback", "team_id": team, "event_id": id, "event": event}
