"""What stands in the audit channel, held against the ledger: what happened there while nobody listened.

Slack's events tell within seconds what becomes of the channel (`channel.py`), but not to a process that is
down, and one of them can be lost. So everything is looked through when a server starts, once a day, and when
Slack says that messages were removed in bulk; and every five minutes the last day.

Rules: nothing is told twice, by a round or an event. A few messages that were taken out are posted again,
each with an alarm; many, or the oldest ones, which Slack's own retention takes, are one alarm and are not
posted again: a channel that forgets must not be filled anew for ever. What stood there before the first round
of all is not judged. Slack changes texts (entities, emoji), so a change shows by Slack's mark `edited`, or by
other metadata, never by the text.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.slack.channel import AuditChannel, is_join
from bot.slack.people import TROUBLE, Pause, said
from bot.slack.posting import payload_of
from bot.store import Carried, Duplicate, Store, also

log = logging.getLogger(__name__)

EVERY: Final = 300.0
"""Seconds between two rounds."""

RECENT: Final = timedelta(hours=24)
"""How far back an ordinary round looks. Slack's retention keeps nothing for less than a day."""

ROUNDS_A_DAY: Final = 288
"""After so many rounds everything is looked through again."""

PAGE: Final = 200
"""Messages asked for at once: as many as Slack advises (docs.slack.dev, conversations.history)."""

PAGE_EVERY: Final = 1.5
"""Seconds between two pages: Slack allows this method about fifty calls a minute."""

MOST_PAGES: Final = 100
"""Pages of one round. What is older than these 20,000 messages is watched by Slack's events alone."""

MOST_THREADS: Final = 20
"""Threads whose replies are read in one round. We never reply, so each is somebody's; the rest come next."""

MOST_REPLIES: Final = 999
"""Replies of one thread that are read: as many as Slack gives at once."""

MOST_SINGLY: Final = 10
"""Messages of one round that are told one by one, and posted again; of more than that one alarm tells."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it stands there, as far as it matters."""

    ts: str
    is_stone: bool
    """What Slack leaves of a deleted message that has replies."""
    is_edited: bool
    payload: Mapping[str, Any]
    latest_reply: str
    shape: Mapping[str, Any]
    """Who posted it, and what sort of message it is."""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Seen":
        """From a message of conversations.history or conversations.replies."""
        return cls(
            ts=str(message["ts"]),
            is_stone=message.get("subtype") == "tombstone",
            is_edited="edited" in message,
            payload=payload_of(message),
            latest_reply=str(message.get("latest_reply", "")),
            shape={key: message[key] for key in ("ts", "subtype", "user", "bot_id") if key in message},
        )

    def is_altered(self, post: Carried) -> bool:
        """Whether it is not what we posted. One that Slack gives without metadata says nothing of that."""
        carries = (self.payload.get("first"), self.payload.get("last"))
        return self.is_edited or (bool(self.payload) and carries != (post.first, post.last))


class Rounds:
    """Looks through the audit channel, again and again.

    Args:
        client: Slack's Web API; it waits out rate limits itself.
        store: the ledger of our posts, and the history.
        channel: takes what is noticed.
        pause: waits between two rounds, and between two pages.
    """

    def __init__(
        self, client: AsyncWebClient, store: Store, channel: AuditChannel, pause: Pause = asyncio.sleep
    ) -> None:
        self._client = client
        self._store = store
        self._channel = channel
        self._pause = pause
        self._until_full = 0

    async def run(self) -> None:
        """One round after the other, until cancelled."""
        while True:
            try:
                await self.look(everything=self._until_full <= 0)
            except TROUBLE as error:
                log.warning("The audit channel could not be looked through: Slack says %s.", said(error))
            except Exception:
                log.exception("The audit channel could not be looked through; the next round will.")
            else:
                self._until_full = self._until_full - 1 if self._until_full > 0 else ROUNDS_A_DAY
            await self._until_due()

    async def _until_due(self) -> None:
        waiting = asyncio.ensure_future(self._pause(EVERY))
        called = asyncio.create_task(self._channel.look_now.wait())
        try:
            await asyncio.wait({waiting, called}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._channel.look_now.clear()
            waiting.cancel()
            called.cancel()
            await asyncio.gather(waiting, called, return_exceptions=True)

    async def look(self, *, everything: bool = False) -> None:
        """One round: through all there is, or the last day.

        Raises:
            TROUBLE: Slack gave no good answer; what was found so far is told, the rest is found next time.
        """
        purged, self._channel.purged = self._channel.purged, False
        try:
            seen = await self._look_for_ours(everything=everything, purged=purged)
        except BaseException:
            self._channel.purged |= purged
            raise
        await self._look_for_strangers(seen)

    async def _look_for_ours(self, *, everything: bool, purged: bool) -> Mapping[str, Seen]:
        after = "0" if everything or purged else _ts(self._store.now() - RECENT)
        # The ledger first: what we post while the pages are read is in neither.
        known = await self._store.posts(self._channel.id, after)
        seen, after = await self._read(after)
        ours = {ts: post for ts, post in known.items() if post.ours and post.state != "gone" and ts > after}
        lost = {ts for ts in ours if ts not in seen or seen[ts].is_stone}
        await self._tell_lost(ours, lost, purged=purged)
        there = {ts: post for ts, post in ours.items() if post.state == "there" and ts not in lost}
        await self._tell_altered(ours, {ts for ts, post in there.items() if seen[ts].is_altered(post)})
        return seen

    async def _read(self, after: str) -> tuple[dict[str, Seen], str]:
        """What stands there later than `after`, by ts, and from when on that is all of it."""
        seen: dict[str, Seen] = {}
        cursor: str | None = None
        for page in range(MOST_PAGES):
            if page:
                await self._pause(PAGE_EVERY)
            answer = await self._client.conversations_history(
                channel=self._channel.id, oldest=after, limit=PAGE, include_all_metadata=True, cursor=cursor
            )
            seen |= {found.ts: found for found in map(Seen.of, answer["messages"])}
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return seen, after
        return seen, min(seen)

    # --- ours that are gone -----------------------------------------------------------------------------

    async def _tell_lost(self, ours: Mapping[str, Carried], lost: set[str], *, purged: bool) -> None:
        oldest_left = min(ours.keys() - lost, default="9")
        yesterday = _ts(self._store.now() - RECENT)
        forgotten = {ts for ts in lost if purged or ts < min(oldest_left, yesterday)}
        if len(lost - forgotten) > MOST_SINGLY:
            forgotten = lost
        for ts in sorted(lost - forgotten):
            await self._channel.deleted(ts)
        if forgotten or purged:
            await self._tell_in_bulk("purged", "gone", ours, forgotten)

    async def _tell_altered(self, ours: Mapping[str, Carried], altered: set[str]) -> None:
        if len(altered) > MOST_SINGLY:
            await self._tell_in_bulk("changed", "changed", ours, altered)
            return
        for ts in sorted(altered):
            await self._channel.altered(ts)

    async def _tell_in_bulk(
        self, what: str, state: str, ours: Mapping[str, Carried], which: set[str]
    ) -> None:
        lines = [ours[ts] for ts in which if ours[ts].stream == "audit"]
        note = e.AuditChannelChanged(
            channel=self._channel.id,
            what=what,
            entries=len(which),
            first_seq=min((post.first for post in lines), default=None),
            last_seq=max((post.last for post in lines), default=None),
        )
        kept = [also.posts_are(state, self._channel.id, *which)] if which else []
        with suppress(Duplicate):
            await self._store.note(note, also=kept)

    # --- what is not ours -------------------------------------------------------------------------------

    async def _look_for_strangers(self, seen: Mapping[str, Seen]) -> None:
        since = await self._since(seen)
        known = await self._store.posts(self._channel.id)
        threads = [one for one in seen.values() if one.latest_reply > since and one.latest_reply not in known]
        found = dict(seen)
        for one in threads[:MOST_THREADS]:
            found |= await self._replies(one.ts, since)
        unknown = [
            one for one in found.values() if one.ts > since and one.ts not in known and not one.is_stone
        ]
        by_us = [one.ts for one in unknown if self._channel.is_by_us(one.shape)]
        unsettled = set(await self._channel.settled(by_us)) if by_us else set()
        strangers = [
            one
            for one in unknown
            if self._channel.is_news(one.shape) and (one.ts not in by_us or one.ts in unsettled)
        ]
        posts = [one.ts for one in strangers if not is_join(one.shape)]
        if len(posts) > MOST_SINGLY:
            note = e.AuditChannelChanged(channel=self._channel.id, what="posts", entries=len(posts))
            with suppress(Duplicate):
                await self._store.note(note, also=[also.foreign(self._channel.id, *posts)])
            strangers = [one for one in strangers if is_join(one.shape)]
        for one in sorted(strangers, key=lambda one: one.ts):
            await self._channel.stranger(one.shape)

    async def _replies(self, ts: str, since: str) -> dict[str, Seen]:
        answer = await self._client.conversations_replies(
            channel=self._channel.id, ts=ts, oldest=since, limit=MOST_REPLIES
        )
        return {one.ts: one for one in map(Seen.of, answer["messages"]) if one.ts != ts}

    async def _since(self, seen: Mapping[str, Seen]) -> str:
        """From when on strangers are told: what the first round of all finds there is not judged."""
        name = f"since/{self._channel.id}"
        kept = await self._store.cursor(name)
        if not kept:
            kept = int(max(seen, default=_ts(self._store.now())).replace(".", ""))
            await self._store.do(also.advance(name, kept))
        return f"{kept // 1_000_000}.{kept % 1_000_000:06d}"


def _ts(moment: datetime) -> str:
    """A moment as Slack writes it."""
    return f"{moment.timestamp():.6f}"
