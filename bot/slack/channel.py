"""The audit channel's health, and what is noticed in it.

Rules: new access waits for a healthy channel, ending access never does. Our own posts are known by the ledger
(`posts`), not by who sent them: another process with our token is foreign too. Bolt's own filter would hide
deletions of our own messages; it is switched off (see `bolt.py`).
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.slack.people import TROUBLE, Pause, said
from bot.store import Store

log = logging.getLogger(__name__)

CHECK_EVERY: Final = 60.0
"""Seconds between two looks at the channel itself: events can be lost."""

SETTLE: Final = 5.0
"""Seconds until a message of our own must be in the ledger; its event may overtake the answer to the post."""

MOST_PATIENCE: Final = 24
"""As often as that is waited for again while the answer to a post of ours is still out: two minutes."""

GONE: Final = {
    "channel_archive": "it was archived.",
    "group_archive": "it was archived.",
    "channel_deleted": "it was deleted.",
    "group_deleted": "it was deleted.",
    "channel_left": "the bot was removed from it.",
    "group_left": "the bot was removed from it.",
}


class AuditChannel:
    """One channel that must be there, and in which only we may speak.

    Args:
        client: Slack's Web API.
        store: the ledger of our posts, and the history.
        channel: its id.
        pause: waits between two looks.
    """

    def __init__(
        self, client: AsyncWebClient, store: Store, channel: str, pause: Pause = asyncio.sleep
    ) -> None:
        self._client = client
        self._store = store
        self._pause = pause
        self.id = channel
        self.bot_id = ""
        self._trouble: str | None = "the audit channel was not checked yet."
        self._mute: str | None = None
        self._told = False
        self._posting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def closed(self) -> str | None:
        """Why no new access may be granted, or None."""
        return self._trouble or self._mute

    async def lost(self, because: str) -> None:
        """The channel cannot be trusted now."""
        self._trouble = f"the audit channel is lost: {because}"
        await self._say_lost(because)

    async def back(self) -> None:
        """The channel is there, open, and we are in it."""
        self._trouble = None
        await self._say_back()

    async def _say_lost(self, because: str) -> None:
        """Once per loss."""
        if not self._told:
            self._told = True
            await self._store.note(e.AuditChannelLost(because=because))

    async def _say_back(self) -> None:
        """Only when both say so, the look and the post."""
        if self._told and self.closed() is None:
            self._told = False
            await self._store.note(e.AuditChannelBack())

    # --- our posts, as their sender tells ---------------------------------------------------------------

    def posting(self, kind: str) -> None:
        """A post of ours is under way: what it says may stand there before we know."""
        self._posting.add(kind)

    async def refused(self, because: str) -> None:
        """Slack takes no post there. However healthy it looks, only a post that goes shows better."""
        self._mute = f"the audit channel is lost: {because}"
        await self._say_lost(because)

    async def posted(self, kind: str) -> None:
        """It is there, and in the ledger."""
        self._posting.discard(kind)
        self._mute = None
        await self._say_back()

    # --- looking ----------------------------------------------------------------------------------------

    async def keep_checking(self) -> None:
        """Looks at the channel every minute, until cancelled."""
        while True:
            await self.check()
            await self._pause(CHECK_EVERY if self._trouble is None else SETTLE)

    async def check(self) -> None:
        """One look: is it there, open, and are we in it?"""
        try:
            channel = (await self._client.conversations_info(channel=self.id))["channel"]
        except SlackApiError as error:
            await self.lost(f"Slack says {said(error)}.")
        except TROUBLE as error:
            await self.lost(f"Slack does not answer ({type(error).__name__}).")
        else:
            if channel.get("is_archived"):
                await self.lost(GONE["channel_archive"])
            elif not channel.get("is_member"):
                await self.lost(GONE["channel_left"])
            else:
                await self.back()

    # --- Slack's events ---------------------------------------------------------------------------------

    async def changed(self, event: Mapping[str, Any]) -> None:
        """An event about the channel itself."""
        if _channel_of(event) != self.id:
            return
        because = GONE.get(event["type"])
        if because is not None:
            await self.lost(because)
        else:
            await self.check()

    async def message(self, event: Mapping[str, Any]) -> None:
        """A `message` event of any subtype in any channel we are in."""
        if event.get("channel") != self.id:
            return
        match event.get("subtype"):
            case "message_deleted":
                await self._deleted(event)
            case "message_changed":
                await self._edited(event)
            case _ if event.get("bot_id") == self.bot_id and self.bot_id:
                self._later(event["ts"])
            case _:
                await self._foreign(event["ts"], event.get("user") or event.get("bot_id") or "unknown")

    async def _deleted(self, event: Mapping[str, Any]) -> None:
        ts = event.get("deleted_ts") or event.get("previous_message", {}).get("ts", "")
        post = await self._store.post(self.id, ts)
        if post is not None:
            note = e.AuditEntryDeleted(
                channel=self.id, ts=ts, first_seq=post.first, last_seq=post.last, stream=post.stream
            )
            await self._store.note(note)

    async def _edited(self, event: Mapping[str, Any]) -> None:
        now, before = event.get("message", {}), event.get("previous_message", {})
        if now.get("subtype") == "tombstone":  # what Slack leaves of a deleted message that has replies
            await self._deleted(event)
            return
        post = await self._store.post(self.id, now.get("ts", ""))
        # An unfurl changes attachments only; we never edit an entry, so any other change is somebody's.
        if post is not None and _words(now) != _words(before):
            note = e.AuditEntryChanged(
                channel=self.id, ts=now["ts"], first_seq=post.first, last_seq=post.last, stream=post.stream
            )
            await self._store.note(note)

    def _later(self, ts: str) -> None:
        task = asyncio.create_task(self._is_ours(ts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _is_ours(self, ts: str) -> None:
        for _ in range(MOST_PATIENCE):
            await self._pause(SETTLE)
            if await self._store.post(self.id, ts) is not None:
                return
            if not self._posting:
                break
        await self._foreign(ts, self.bot_id)

    async def _foreign(self, ts: str, by: str) -> None:
        await self._store.note(e.ForeignPost(channel=self.id, ts=ts, by=by))


def _channel_of(event: Mapping[str, Any]) -> str:
    channel = event.get("channel", "")
    return str(channel.get("id", "") if isinstance(channel, dict) else channel)


def _words(message: Mapping[str, Any]) -> tuple[object, object]:
    return message.get("text"), message.get("blocks")
