"""The audit channel's health, and what is noticed in it as it happens (`rounds.py`: what was missed).

Rules: new access waits for a healthy channel, ending access never does. Our own posts are known by the ledger
(`posts`), not by who sent them: another process with our token is foreign too. Everything is told once: what
became of a message, or that it is not ours, is kept in the ledger by the commit that tells it. Bolt's own
filter would hide deletions of our own messages; it is switched off (see `bolt.py`).
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.slack.people import TROUBLE, Pause, said
from bot.store import Duplicate, Store, also

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

PURGED: Final = frozenset({"channel_history_changed", "group_history_changed"})
"""Events that tell of messages removed in bulk, by retention for instance, without saying which."""

JOINED: Final = frozenset({"channel_join", "group_join"})
LEFT: Final = frozenset({"channel_leave", "group_leave"})
CONVERTED: Final = frozenset({"channel_convert_to_public", "channel_convert_to_private"})
"""Subtypes of what Slack itself writes into a channel."""

OPPOSITE: Final = {"public": "private", "shared": "unshared"}
"""What an audit channel should not be, and what it is again afterwards."""


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
        self.user_id = ""
        """Our bot's user, who joins channels."""
        self.purged = False
        """Messages were removed in bulk, and it was not yet looked which."""
        self.look_now = asyncio.Event()
        """Set: the next round is due at once."""
        self._trouble: str | None = "the audit channel was not checked yet."
        self._mute: str | None = None
        self._told = False
        self._saying = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._refusals = 0
        self._posting: set[str] = set()
        self._odd: set[str] = set()
        self._noticed: set[str] = set()
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
        """Once per loss; one that could not be recorded is said at the next look."""
        async with self._saying:
            if not self._told:
                await self._store.note(e.AuditChannelLost(because=because))
                self._told = True

    async def _say_back(self) -> None:
        """Only when both say so, the look and the post."""
        async with self._saying:
            if self._told and self.closed() is None:
                await self._store.note(e.AuditChannelBack())
                self._told = False

    # --- our posts, as their sender tells ---------------------------------------------------------------

    def posting(self, kind: str) -> int:
        """A post of ours is under way: what it says may stand there before we know. Returns when that was."""
        self._posting.add(kind)
        return self._refusals

    async def refused(self, because: str) -> None:
        """Slack takes no post there. However healthy it looks, only a post that goes shows better."""
        self._mute = f"the audit channel is lost: {because}"
        self._refusals += 1
        await self._say_lost(because)

    async def posted(self, kind: str, began: int, *, now: bool) -> None:
        """It is there, and in the ledger. It shows better only if it was posted `now`, after any refusal."""
        self._posting.discard(kind)
        if now and began == self._refusals:
            self._mute = None
            await self._say_back()

    # --- looking ----------------------------------------------------------------------------------------

    async def keep_checking(self) -> None:
        """Looks at the channel every minute, until cancelled.

        The database may be away together with Slack: that ends neither the looking nor the server.
        """
        while True:
            try:
                await self.check()
            except Exception:
                log.exception(
                    "What a look at the audit channel showed could not be recorded; it looks again."
                )
            await self._pause(CHECK_EVERY if self._trouble is None else SETTLE)

    async def check(self) -> None:
        """One look: is it there, open, and are we in it? One at a time, so that no older answer wins."""
        async with self._looking:
            await self._check()

    async def _check(self) -> None:
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
                shared = channel.get("is_ext_shared") or channel.get("is_pending_ext_shared")
                await self._is(bool(shared), "shared")
                await self._is(not channel.get("is_private", True), "public")

    async def _is(self, so: bool, what: str) -> None:
        """Said when it becomes so, by every process that finds it so, and when it is over."""
        if so and what not in self._odd:
            await self._store.note(e.AuditChannelChanged(channel=self.id, what=what))
            self._odd.add(what)
        elif not so and what in self._odd:
            await self._store.note(e.AuditChannelChanged(channel=self.id, what=OPPOSITE[what]))
            self._odd.discard(what)

    # --- Slack's events ---------------------------------------------------------------------------------

    async def changed(self, event: Mapping[str, Any]) -> None:
        """An event about the channel itself, or who is in it."""
        if _channel_of(event) != self.id:
            return
        kind = event["type"]
        if kind in GONE:
            await self.lost(GONE[kind])
            return
        if kind in PURGED:
            self.purged = True
            self.look_now.set()
        if kind == "member_joined_channel" and event.get("user") != self.user_id:
            self._soon(self._came(str(event.get("user", ""))))
        self._soon(self.check())

    async def message(self, event: Mapping[str, Any]) -> None:
        """A `message` event of any subtype in any channel we are in."""
        if event.get("channel") != self.id:
            return
        match event.get("subtype"):
            case "message_deleted":
                ts = event.get("deleted_ts") or event.get("previous_message", {}).get("ts", "")
                await self.deleted(ts)
            case "message_changed":
                await self._edited(event)
            case _ if self.is_by_us(event):
                self._soon(self._is_ours(event["ts"]))
            case subtype:
                await self.stranger(event)
                if subtype in CONVERTED:
                    self._soon(self.check())

    def is_by_us(self, message: Mapping[str, Any]) -> bool:
        """Whether our bot posted it. Another process with our token is our bot too."""
        return bool(self.bot_id) and message.get("bot_id") == self.bot_id

    async def deleted(self, ts: str) -> None:
        """A message is gone. Said once, if it was ours."""
        post = await self._store.post(self.id, ts)
        if post is not None:
            note = e.AuditEntryDeleted(
                channel=self.id, ts=ts, first_seq=post.first, last_seq=post.last, stream=post.stream
            )
            await self._once(note, also.posts_are("gone", self.id, ts))

    async def altered(self, ts: str) -> None:
        """A message is not what it was. Said once, if it was ours."""
        post = await self._store.post(self.id, ts)
        if post is not None:
            note = e.AuditEntryChanged(
                channel=self.id, ts=ts, first_seq=post.first, last_seq=post.last, stream=post.stream
            )
            await self._once(note, also.posts_are("changed", self.id, ts))

    async def stranger(self, message: Mapping[str, Any]) -> None:
        """A message that is not ours. Said once, if it is news."""
        if not self.is_news(message):
            return
        by, ts = str(message.get("user") or message.get("bot_id") or "unknown"), message["ts"]
        if is_join(message):
            self._noticed.add(by)
            note = e.AuditChannelChanged(channel=self.id, what="joined", by=by)
            await self._once(note, also.foreign(self.id, ts))
        else:
            await self._once(e.ForeignPost(channel=self.id, ts=ts, by=by), also.foreign(self.id, ts))

    def is_news(self, message: Mapping[str, Any]) -> bool:
        """Not that somebody left, or that our own bot came."""
        ours = is_join(message) and message.get("user") == self.user_id
        return not ours and message.get("subtype") not in LEFT

    async def settled(self, messages: Collection[str]) -> list[str]:
        """Which of our bot's messages are not in the ledger, once their posts had the time to get there."""
        for _ in range(MOST_PATIENCE):
            await self._pause(SETTLE)
            messages = [ts for ts in messages if await self._store.post(self.id, ts) is None]
            if not messages or not self._posting:
                break
        return list(messages)

    async def _edited(self, event: Mapping[str, Any]) -> None:
        now, before = event.get("message", {}), event.get("previous_message", {})
        if now.get("subtype") == "tombstone":  # what Slack leaves of a deleted message that has replies
            await self.deleted(now.get("ts", ""))
        # An unfurl changes attachments only; we never edit an entry, so any other change is somebody's.
        elif _words(now) != _words(before):
            await self.altered(now.get("ts", ""))

    async def _is_ours(self, ts: str) -> None:
        if await self.settled([ts]):
            await self.stranger({"ts": ts, "bot_id": self.bot_id})

    async def _came(self, user: str) -> None:
        """Somebody joined. Slack writes that into the channel too, unless that is switched off."""
        await self._pause(SETTLE)
        if user in self._noticed:
            self._noticed.discard(user)
        else:
            await self._store.note(e.AuditChannelChanged(channel=self.id, what="joined", by=user))

    async def _once(self, note: e.Event, first: also.Step) -> None:
        with suppress(Duplicate):
            await self._store.note(note, also=[first])

    # --- beside -----------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Ends what goes on beside; whatever of it was not told, the rounds of the next server tell."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Slack waits for an answer to its event: what takes longer goes on beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("The audit channel could not be looked after; the next round will.", exc_info=error)


def is_join(message: Mapping[str, Any]) -> bool:
    """Whether it is Slack's own notice that somebody joined."""
    return message.get("subtype") in JOINED


def _channel_of(event: Mapping[str, Any]) -> str:
    channel = event.get("channel", "")
    return str(channel.get("id", "") if isinstance(channel, dict) else channel)


def _words(message: Mapping[str, Any]) -> tuple[object, object]:
    return message.get("text"), message.get("blocks")
