"""The floor, a process of its own: the plainest Bolt app there is, with listeners that only acknowledge.

Told by its environment: SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN.
"""

import asyncio
import os
from typing import Any, Final

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

COMMAND, MODAL, BUTTON = "/bare", "/bare-modal", "bare"

MANIFEST: Final[dict[str, Any]] = {
    "display_information": {"name": "Bare"},
    "features": {
        "bot_user": {"display_name": "bare"},
        "slash_commands": [
            {"command": COMMAND, "description": "acknowledges"},
            {"command": MODAL, "description": "acknowledges and opens a small modal"},
        ],
    },
    "oauth_config": {"scopes": {"bot": ["commands"]}},
    "settings": {"interactivity": {"is_enabled": True}, "socket_mode_enabled": True},
}

VIEW: Final[dict[str, Any]] = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Bare"},
    "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Nothing."}}],
}


async def main() -> None:
    """Acknowledges until it is killed."""
    client = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
    app = AsyncApp(client=client)

    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    async def open_modal(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=VIEW)

    app.command(COMMAND)(acknowledge)
    app.command(MODAL)(open_modal)
    app.action(BUTTON)(acknowledge)
    handler = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
    await handler.start_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped


if __name__ == "__main__":
    asyncio.run(main())
