"""How a message of ours gets into a channel: at Slack's pace, harmlessly, and once.

Rules: nothing in a message of ours comes alive by itself (`HARMLESS`). A post whose answer was lost is
looked for by its metadata before it is posted again. What is found counts as ours only when our own bot
posted it and what it carries fits what was to be told: anybody with a token can write metadata.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.echo import Echo
from bot.slack.people import Pause

SECONDS_PER_POST: Final = 1.05
"""In one channel (Slack: about one message a second, short bursts allowed)."""

BURST: Final = 2
"""Posts that may go at once after a silence."""

LOOKED_THROUGH: Final = 100
"""Messages of a channel, from the newest on, among which one of ours is looked for."""

HARMLESS: Final[Mapping[str, Any]] = {"parse": "none", "link_names": False}
"""For every message, also one that is changed: no name or channel in it becomes a mention or a link by
Slack's own reading. What we mention ourselves is written out."""

QUIET: Final[Mapping[str, Any]] = {**HARMLESS, "unfurl_links": False, "unfurl_media": False}
"""For every new message: nor does Slack fetch an address in it."""

Fits = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Whether a message that stands there, of this kind and our own, is what was to be told."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that Slack has: where, the metadata payload it carries there, and whether it stood there."""

    ts: str
    payload: Mapping[str, Any]
    found: bool = False


class Posting:
    """Posts.

    Args:
        client: Slack's Web API; it waits out rate limits itself.
        pause: waits between two posts.
        us: our bot's id, known once Slack was met.
        echoed: the channel from which our own posts come back as events.
        echo: told of each post there.
    """

    def __init__(
        self, client: AsyncWebClient, pause: Pause, us: Callable[[], str], echoed: str, echo: Echo
    ) -> None:
        self._client = client
        self._pause = pause
        self._us = us
        self._echoed = echoed
        self._echo = echo
        self._paces: dict[str, Pace] = {}
        self._noted: set[str] = set()
        """Kinds of which this process has noted a post: what another left there was looked for."""
        self._doubted: dict[str, str] = {}
        """Key -> kind of each that may stand there and is not noted."""

    async def once(self, channel: str, message: Mapping[str, Any], fits: Fits) -> Posted:
        """Posts unless it is there already.

        It may be there when an earlier answer was lost, when the note of it was not committed, or when this
        process is new and its predecessor died between the two. Whoever has noted a post says `noted`.
        """
        kind, key = kind_of(message), str(payload_of(message)["key"])
        if kind not in self._noted or key in self._doubted:
            for found in await self.standing(channel, message, fits):
                return found
        self._doubted[key] = kind
        return Posted(await self.post(channel, message), payload_of(message))

    def noted(self, message: Mapping[str, Any]) -> None:
        """Its post is on record: the next one of its kind stands nowhere yet."""
        self._noted.add(kind_of(message))
        self.settled(message)

    def settled(self, message: Mapping[str, Any]) -> None:
        """It was looked for, and is on record if it stood there."""
        self._doubted.pop(str(payload_of(message)["key"]), None)

    def is_sure(self, message: Mapping[str, Any]) -> bool:
        """Whether every one of this kind that was posted is on record."""
        kind = kind_of(message)
        return kind in self._noted and kind not in self._doubted.values()

    async def standing(self, channel: str, message: Mapping[str, Any], fits: Fits) -> list[Posted]:
        """What of this kind our own bot posted there lately, and fits; newest first."""
        answer = await self._client.conversations_history(
            channel=channel, limit=LOOKED_THROUGH, include_all_metadata=True
        )
        standing = []
        for there in answer["messages"]:
            ours = there.get("bot_id") == self._us() and kind_of(there) == kind_of(message)
            if ours and await fits(there):
                standing.append(Posted(str(there["ts"]), payload_of(there), found=True))
        return standing

    async def post(self, channel: str, message: Mapping[str, Any]) -> str:
        """Posts; its ts."""
        await self._paces.setdefault(channel, Pace(self._pause)).wait()
        began = self._echo.clock()
        answer = await self._client.chat_postMessage(channel=channel, **QUIET, **message)
        if channel == self._echoed:
            self._echo.posted(began)
        return str(answer["ts"])


def kind_of(message: Mapping[str, Any]) -> str:
    """What sort of message it is, by its metadata; empty where it carries none."""
    return str((message.get("metadata") or {}).get("event_type", ""))


def payload_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """What it carries for machines."""
    payload = (message.get("metadata") or {}).get("event_payload")
    return payload if isinstance(payload, dict) else {}


class Pace:
    """A short burst, then one a second: what Slack allows in one channel."""

    def __init__(self, pause: Pause = asyncio.sleep) -> None:
        self._pause = pause
        self._ready = 0.0
        self._one = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next post may go."""
        async with self._one:
            now = asyncio.get_running_loop().time()
            self._ready = max(self._ready + SECONDS_PER_POST, now - BURST * SECONDS_PER_POST)
            if self._ready > now:
                await self._pause(self._ready - now)
