"""Menus with more choices than Slack shows: what fits the words typed so far."""

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.model import PersonId
from bot.slack.listeners.counter import Counter, No, outcome
from bot.slack.views import form


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to what is typed into the menus of the request form."""

    async def typed(ack: AsyncAck, body: dict[str, Any]) -> None:
        person = PersonId(body["user"]["id"])
        offers = await outcome("A menu", counter.desk.offers(person))
        if isinstance(offers, No):
            await ack(options=[])
            return
        # The menu of accesses stands in a block named after its scenario; that of scenarios after nothing.
        _, _, scenario = str(body["block_id"]).partition(":")
        await ack(options=form.suggestions(offers, scenario, str(body.get("value") or "")))

    app.options(form.ACCESS)(typed)
    app.options(form.SCENARIO)(typed)
