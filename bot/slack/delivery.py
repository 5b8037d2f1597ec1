"""Tells Slack what the history says: audit lines, checkpoints, cards, messages to people.

Rules: the history is the queue. Each stream keeps a cursor into it and moves it only once Slack has the
message, so a crash or an outage delays and never loses or reorders. What has gathered meanwhile goes out
folded into one. Nothing here is waited for by a grant or a revoke.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.audit.canonical import Record
from bot.audit.tree import root_of
from bot.core import events as e
from bot.core.model import PersonId, Request, RequestId
from bot.slack.channel import AuditChannel
from bot.slack.echo import Echo
from bot.slack.people import TROUBLE, Pause, said
from bot.slack.posting import HARMLESS, Fits, Posting, kind_of, payload_of
from bot.slack.views import audit, card, notices
from bot.slack.views.text import Faces, Payload
from bot.store import Store, StoredCheckpoint, also

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 5.0
"""Seconds until the history is looked at even if nothing in this process was committed."""

GATHER: Final = 0.05
"""Seconds between a commit and the look at what it left to tell. More commits and the act at the provider
often follow it: those come first, and what gathered meanwhile is told in one go."""

LONGEST_WAIT: Final = 60.0

PASSING: Final = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "unknown"}
)
"""Slack's errors that go by themselves (docs.slack.dev, common errors). Any other is an answer."""

UNHEARD: Final = frozenset(
    {"not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"}
)
"""Answers about our token: nothing is told to anybody until there is a good one."""

CLOSED: Final = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})
"""Answers about a channel. Alarms wait for theirs; nobody else would hear them."""

CARD_GONE: Final = frozenset(
    {"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"}
)
"""A card that is there no longer, or can no longer be changed: what a deleted one with replies leaves."""


@dataclass(frozen=True, slots=True)
class Channels:
    """Where things are told, by channel id."""

    requests: str
    audit: str
    security: str


class Delivery:
    """All that is told to Slack, in order.

    Args:
        client: Slack's Web API; it waits out rate limits itself.
        store: the history and the cursors.
        channels: where.
        audit_channel: told when posting to it fails.
        faces: what people and roles are called now.
        pause: waits between two posts, and before a post is tried again.
        echo: told of each post in the audit channel, which comes back as an event.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        store: Store,
        channels: Channels,
        audit_channel: AuditChannel,
        faces: Callable[[], Faces],
        *,
        pause: Pause = asyncio.sleep,
        echo: Echo | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._channels = channels
        self._audit_channel = audit_channel
        self._faces = faces
        self._pause = pause
        self._posting = Posting(client, pause, lambda: audit_channel.bot_id, channels.audit, echo or Echo())
        self._dms: dict[PersonId, str] = {}
        self._one_card = asyncio.Lock()
        for kind in (audit.ENTRY, audit.CHECKPOINT):
            audit_channel.posting(kind)  # one by a process before us may stand there until our first is noted

    async def run(self) -> None:
        """Delivers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for step in (
                self.tell_audit,
                self.tell_checkpoints,
                self.tell_again,
                self.tell_cards,
                self.tell_people,
                self.tell_threads,
                self.tell_security,
            ):
                group.create_task(self._forever(step))

    async def _forever(self, step: Callable[[], Awaitable[bool]]) -> None:
        wake = asyncio.Event()
        self._store.on_commit(wake.set)
        wait = 1.0
        while True:
            wake.clear()
            try:
                while await step():
                    wait = 1.0
            except TROUBLE as error:
                log.warning(
                    "%s: Slack did not take it (%s); again in %.0f s", step.__name__, said(error), wait
                )
                await self._pause(wait)
                wait = min(wait * 2, LONGEST_WAIT)
                continue
            except Exception:
                log.exception("%s failed; again in %.0f s", step.__name__, wait)
                await self._pause(wait)
                wait = min(wait * 2, LONGEST_WAIT)
                continue
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with a commit.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await wake.wait()
            await self._pause(GATHER)

    # --- the audit channel ------------------------------------------------------------------------------

    async def tell_audit(self) -> bool:
        """Posts the next lines of the history, as many as fit into one message. True: there may be more."""
        first = await self._store.cursor("audit")
        message = await self._entry(first, first + audit.MOST_LINES)
        if message is None:
            return False
        await self._post_audit("audit", message, self._is_entry(message))
        return True

    async def tell_checkpoints(self) -> bool:
        """Posts the next signed checkpoint."""
        waiting = await self._store.checkpoints(await self._store.cursor("checkpoints") - 1)
        if not waiting:
            return False
        # A checkpoint covers all before it: after an outage only the last one is told. But one of the others
        # may stand there already, by a process that died before it could note that.
        *others, message = [_checkpoint(one) for one in waiting]
        if others and not self._posting.is_sure(message):
            channel = self._channels.audit
            for there in await self._posting.standing(channel, message, _is_one_of(others)):
                id = there.payload["last"]
                await self._store.told("checkpoints", channel, there.ts, id, id, again=True)
            for other in others:
                self._posting.settled(other)
        await self._post_audit("checkpoints", message, _is_one_of([message]))
        return True

    async def tell_again(self) -> bool:
        """Posts again, with its numbers, what somebody deleted or changed in the audit channel."""

        async def tell(record: Record, _request: Request | None) -> bool:
            match record.event:
                case e.AuditEntryDeleted(channel=channel) | e.AuditEntryChanged(channel=channel) as lost:
                    if channel == self._channels.audit:
                        await self._post_again(record.seq, lost)
                        return True
            return False

        return await self._tell("again", tell)

    async def _post_again(self, because: int, lost: e.AuditEntryDeleted | e.AuditEntryChanged) -> None:
        if lost.stream == "checkpoints":
            for one in (await self._store.checkpoints(lost.first_seq - 1))[:1]:
                message = audit.again(_checkpoint(one), because)
                await self._post_audit("checkpoints", message, _is_one_of([message]), again=True)
            return
        first = lost.first_seq
        while (entry := await self._entry(first, lost.last_seq + 1)) is not None:
            # People may be called by longer names by now: then it takes one message more.
            message = audit.again(entry, because)
            first = await self._post_audit("audit", message, self._is_entry(message), again=True) + 1

    async def _entry(self, first: int, end: int) -> Payload | None:
        """As many of the lines with first <= seq < end as fit into one message; None when there are none."""
        records = await self._store.records(first, end)
        if not records:
            return None
        leaves = [line.leaf for line in await self._store.lines(first, end)]
        message = audit.audit_message(records, leaves, self._faces())
        payload = message["metadata"]["event_payload"]
        payload["root"] = await self._root(first, payload["last"])
        return message

    async def _root(self, first: int, last: int) -> str:
        """The tree of these lines alone: nobody knows it before they have read every one of them."""
        return root_of(await self._store.leaves(first, last + 1)).hex()

    def _is_entry(self, message: Mapping[str, Any]) -> Fits:
        """This message, though perhaps with fewer or more of its lines: names may have had another length."""
        wanted = payload_of(message)
        first = wanted["first"]

        async def fits(there: Mapping[str, Any]) -> bool:
            carries = payload_of(there)
            last, root = carries.get("last"), carries.get("root")
            if type(last) is not int or carries != {**wanted, "last": last, "root": root} or _edited(there):
                return False
            most = min(first + audit.MOST_LINES - 1, await self._store.last_seq())
            return bool(first <= last <= most and root == await self._root(first, last))

        return fits

    async def _post_audit(
        self, stream: str, message: Mapping[str, Any], fits: Fits, *, again: bool = False
    ) -> int:
        """Posts in the audit channel and keeps that in the ledger; the last number that it carries."""
        channel = self._channels.audit
        under_way = kind_of(message)
        began = self._audit_channel.posting(under_way)
        try:
            posted = await self._posting.once(channel, message, fits)
        except SlackApiError as error:
            if said(error) not in PASSING:
                await self._audit_channel.refused(f"Slack says {said(error)}.")
            raise
        # What stands there may carry fewer lines than would fit now: the rest follows in the next message.
        first, last = posted.payload["first"], posted.payload["last"]
        await self._store.told(stream, channel, posted.ts, first, last, again=again)
        self._posting.noted(message)
        await self._audit_channel.posted(under_way, began, now=not posted.found)
        return int(last)

    # --- cards ------------------------------------------------------------------------------------------

    async def tell_cards(self) -> bool:
        """Brings cards up to date, the oldest request first."""
        behind = await self._store.cards_behind()
        refused: SlackApiError | None = None
        for request, *_ in behind:
            try:
                await self._show(request.id)
            except SlackApiError as error:
                if said(error) in PASSING:
                    raise
                refused = error  # one that Slack does not take holds up no other
        if refused is not None:
            raise refused
        return bool(behind)

    async def _show(self, id: RequestId) -> None:
        """Brings the card of a request up to date; two at once would post two."""
        async with self._one_card:
            request = await self._store.get(id)
            channel, ts = await self._store.card_of(id) or ("", "")
            message = card.request_card(request, self._store.now(), self._faces())
            shown = request.version
            if ts:
                try:
                    await self._client.chat_update(channel=channel, ts=ts, **HARMLESS, **message)
                except SlackApiError as error:
                    if said(error) not in CARD_GONE:
                        raise
                    ts = ""  # somebody deleted the card: the request still needs one
            new = not ts
            if new:
                channel = self._channels.requests
                posted = await self._posting.once(channel, message, _is_card_of(id))
                # One that a crashed server left there is behind, whatever it says: it is updated next.
                ts, shown = posted.ts, 0 if posted.found else shown
            await self._store.show_card(id, channel, ts, shown)
            if new:
                self._posting.noted(message)

    # --- people -----------------------------------------------------------------------------------------

    async def tell_people(self) -> bool:
        """Direct messages, to whom the next line of the history means something."""

        async def tell(record: Record, request: Request | None) -> bool:
            about = notices.notices(record, request, self._faces()) if request else []
            messages = [*about, *notices.about_people(record)]
            for person, message in messages:
                await self._to_person(person, message)
            return bool(messages)

        return await self._tell("people", tell)

    async def tell_threads(self) -> bool:
        """One short line per step, in the thread of the request's card."""

        async def tell(record: Record, request: Request | None) -> bool:
            if request is None:
                return False
            lines = notices.thread_lines(record, request, self._faces())
            for line in lines:
                await self._in_thread(request, line)
            return bool(lines)

        return await self._tell("threads", tell)

    async def tell_security(self) -> bool:
        """Alarms: what somebody must look at now."""

        async def tell(record: Record, request: Request | None) -> bool:
            alarm = notices.alarm(record, request)
            if alarm is not None:
                await self._kindly(self._channels.security, alarm, CLOSED)
            return alarm is not None

        return await self._tell("security", tell)

    async def _tell(self, stream: str, tell: Callable[[Record, Request | None], Awaitable[bool]]) -> bool:
        """Tells the next lines; the cursor moves after each that was told, and once past the silent rest.

        Most lines say nothing in most streams, and each move is a durable commit, for which the next click
        and the next end of access would have to wait.
        """
        position = await self._store.cursor(stream)
        records = await self._store.records(position, position + 50)
        for record in records:
            about = RequestId(record.request) if record.request and record.after else None
            told = await tell(record, await self._store.get(about) if about else None)
            if told or record is records[-1]:
                await self._store.do(also.advance(stream, record.seq + 1))
        return bool(records)

    async def _in_thread(self, request: Request, message: Mapping[str, Any]) -> None:
        where = await self._store.card_of(request.id)
        if where is None:
            await self._show(request.id)
            where = await self._store.card_of(request.id)
            assert where is not None
        channel, ts = where
        await self._kindly(channel, {**message, "thread_ts": ts})

    async def _to_person(self, person: PersonId, message: Mapping[str, Any]) -> None:
        channel = self._dms.get(person)
        if channel is None:
            try:
                opened = await self._client.conversations_open(users=[person])
            except SlackApiError as error:
                if said(error) in PASSING | UNHEARD:
                    raise
                log.warning("Cannot write to %s: %s", person, said(error))
                return
            channel = self._dms[person] = opened["channel"]["id"]
        await self._kindly(channel, message)

    async def _kindly(
        self, channel: str, message: Mapping[str, Any], wait_out: frozenset[str] = frozenset()
    ) -> None:
        """Posts what helps but decides nothing: what is refused for good does not hold up the rest.

        It waits while Slack does not hear us at all, and through the errors in `wait_out`.
        """
        try:
            await self._posting.post(channel, message)
        except SlackApiError as error:
            if said(error) in PASSING | UNHEARD | wait_out:
                raise
            log.warning("Cannot post to %s: %s", channel, said(error))


def _checkpoint(one: StoredCheckpoint) -> Payload:
    message = audit.checkpoint_message(one.id, one.size, one.note)
    message["metadata"]["event_payload"]["root"] = one.root.hex()
    return message


def _is_one_of(messages: Sequence[Mapping[str, Any]]) -> Fits:
    """To the letter one of these."""

    async def fits(there: Mapping[str, Any]) -> bool:
        return not _edited(there) and payload_of(there) in map(payload_of, messages)

    return fits


def _edited(there: Mapping[str, Any]) -> bool:
    """We never change what stands in the audit channel, so whatever was changed there is not ours."""
    return "edited" in there


def _is_card_of(id: RequestId) -> Fits:
    async def fits(there: Mapping[str, Any]) -> bool:
        return payload_of(there).get("key") == id

    return fits
