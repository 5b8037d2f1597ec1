"""The global shortcut: the same form as the command, from anywhere in Slack."""

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack.listeners.commands import open_form
from bot.slack.listeners.counter import Counter, No, Touch, outcome
from bot.slack.listeners.telling import tell
from bot.slack.needs import SHORTCUT


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to the shortcut of the manifest."""

    async def chosen(ack: AsyncAck, body: dict[str, Any]) -> None:
        touch = Touch.of(body)
        then = await outcome(SHORTCUT, open_form(counter, touch))
        await ack()
        if isinstance(then, No):
            counter.aside.start(tell(counter, touch, then.sentence))
        else:
            counter.aside.start(then())

    app.shortcut(SHORTCUT)(chosen)
