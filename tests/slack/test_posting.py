"""A post whose answer was lost is looked for before it is posted again, whatever was posted meanwhile."""

from collections.abc import Mapping
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Channel, Sandbox
from bot.slack.echo import Echo
from bot.slack.people import TROUBLE
from bot.slack.posting import Posting, payload_of

MANIFEST = {
    "display_information": {"name": "Poster"},
    "features": {"bot_user": {"display_name": "poster"}},
    "oauth_config": {"scopes": {"bot": ["chat:write", "channels:history"]}},
}


def card(key: str) -> dict[str, Any]:
    return {"text": key, "metadata": {"event_type": "card", "event_payload": {"key": key}}}


async def no_time(_seconds: float) -> None:
    """A pause, for who has none."""


async def once(posting: Posting, channel: Channel, key: str) -> bool:
    """Posts; whether it stood there already."""

    async def fits(there: Mapping[str, Any]) -> bool:
        return payload_of(there).get("key") == key

    return (await posting.once(channel.id, card(key), fits)).found


async def test_one_that_is_noted_takes_the_doubt_from_no_other() -> None:
    async with await Sandbox.start() as sandbox:
        app: App = sandbox.install(MANIFEST)
        channel = sandbox.add_channel("cards", members=[app.bot_user_id])
        client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url, retry_handlers=[])
        posting = Posting(client, no_time, lambda: app.bot_id, "", Echo())
        assert not await once(posting, channel, "first")
        posting.noted(card("first"))
        sandbox.faults.add(method="chat.postMessage", kind="cut_after_store")
        with pytest.raises(TROUBLE):
            await once(posting, channel, "lost")
        assert not await once(posting, channel, "another")
        posting.noted(card("another"))
        assert not posting.is_sure(card("more")), "one of this kind is in doubt"
        assert await once(posting, channel, "lost"), "it stood there"
        posting.noted(card("lost"))
        assert posting.is_sure(card("more"))
