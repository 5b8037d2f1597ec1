"""Where people and the desk meet: what every listener holds, and how every outcome is turned into an answer.

Rules: the state is committed before Slack hears an acknowledgement, and everything else that Slack must do
comes after it. An interaction is known by its trigger, which is unique and stays the same when it is
delivered again. Nobody is left without a sentence, and no error leaves a listener.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Refused, Stale
from bot.core.model import PersonId, RequestId
from bot.desk import Desk
from bot.slack.people import Pause
from bot.slack.views.guide import FAILED
from bot.store import Duplicate, Store, UnknownRequest

log = logging.getLogger(__name__)

T = TypeVar("T")

Then = Callable[[], Coroutine[Any, Any, None]]
"""What Slack does after the acknowledgement."""


class Channels(Protocol):
    """Where things are told."""

    @property
    def requests(self) -> str:
        """The id of the channel in which cards stand."""
        ...


class Aside:
    """Work beside the listeners: kept alive, its errors logged, finished before the end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it; nobody waits."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log_failure("An answer to somebody", error)

    async def settle(self) -> None:
        """Waits until all of it is done."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """The counter of one installation.

    Args:
        desk: the verbs.
        store: what is true now, and which interactions were acted on.
        client: Slack's Web API; it waits out rate limits by itself.
        channels: where cards stand.
        aside: what goes on after an acknowledgement; `settle()` it before the client is closed.
        pause: waits before something is tried again.
    """

    desk: Desk
    store: Store
    client: AsyncWebClient
    channels: Channels
    aside: Aside = field(default_factory=Aside)
    pause: Pause = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Touch:
    """One act of one person. `key` is its trigger: it opens one window, within three seconds."""

    person: PersonId
    key: str
    channel: str = ""
    """Where it happened; empty where that is no channel."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Touch":
        """The act in a payload of any kind."""
        person = body["user"]["id"] if "user" in body else body["user_id"]
        place = body.get("channel") or {}
        channel = body.get("channel_id") or place.get("id") or ""
        return cls(PersonId(person), str(body["trigger_id"]), str(channel))


@dataclass(frozen=True, slots=True)
class No:
    """Why nothing happened. An empty sentence: this very act was answered before, so say nothing."""

    sentence: str
    field: str = ""
    """The field of the form it is about."""


async def outcome(what: str, work: Awaitable[T]) -> T | No:
    """What `work` gave, or why it did not happen. Never raises. `what` names it for the log."""
    try:
        return await work
    except Duplicate:
        return No("")
    except Refused as refusal:
        return No(refusal.sentence, refusal.field or "")
    except Stale as stale:
        return No(stale.sentence)
    except UnknownRequest as error:
        return No(str(error))
    except Exception as error:  # noqa: BLE001  whatever it is, the person must get a sentence
        log_failure(what, error)
        return No(FAILED)


async def is_allowed(verb: Awaitable[object], missing: frozenset[str]) -> bool:
    """Asks a verb with nothing said: when it only misses words (one of `missing`), the rest is in order.

    Returns whether it missed nothing, and so was done.

    Raises:
        Refused, Stale, Duplicate: it is not; recorded as every attempt is.
    """
    try:
        await verb
    except Refused as refusal:
        if refusal.code not in missing:
            raise
        return False
    return True


def log_failure(what: str, error: BaseException) -> None:
    """Where and what kind; never the text, in which a driver or a client may quote what people typed."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed with %s\n%s", what, type(error).__name__, where)


def request_of(body: Mapping[str, Any]) -> RequestId:
    """The request a button is about: its value, and nothing else of the message counts."""
    return RequestId(str(body["actions"][0].get("value", "")))
