"""How somebody is answered: a note only they see, a direct message where that fails, or a window.

Rule: none of these holds state. Whatever matters is on the card and in the history.
"""

import logging
from typing import Any, Final

from slack_sdk.errors import SlackApiError

from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.core.model import PersonId, RequestId, Roster
from bot.slack.listeners.counter import Counter, Touch, log_failure, outcome
from bot.slack.people import TROUBLE, said
from bot.slack.posting import HARMLESS, QUIET
from bot.slack.views.guide import FAILED, TOO_SLOW, USED_UP
from bot.slack.views.text import Faces, Payload, escape
from bot.store import also

log = logging.getLogger(__name__)

TRIES: Final = 3
PAUSE: Final = 0.3
"""Seconds between two tries to fill a window: somebody sits in front of it."""

_CODES: Final = {TOO_SLOW: "expired_trigger", USED_UP: "used_trigger", FAILED: "no_window"}
_GONE: Final = frozenset({"not_found", "invalid_arguments", "view_too_large", "missing_scope"})


async def whisper(counter: Counter, person: PersonId, sentence: str, channel: str = "") -> None:
    """Tells one person a sentence: beside the channel where they acted, else in a direct message."""
    text = escape(sentence)
    if channel:
        try:
            await counter.client.chat_postEphemeral(channel=channel, user=person, text=text, **HARMLESS)
        except TROUBLE as error:
            log.info("No ephemeral answer was possible (%s); writing to the person.", said(error))
        else:
            return
    try:
        opened = await counter.client.conversations_open(users=[person])
        await counter.client.chat_postMessage(channel=opened["channel"]["id"], text=text, **QUIET)
    except TROUBLE as error:
        log.warning("%s could not be answered: %s", person, said(error))


async def tell(counter: Counter, touch: Touch, sentence: str) -> None:
    """Answers an act with a sentence; with none, silence was the answer."""
    if sentence:
        await whisper(counter, touch.person, sentence, touch.channel)


async def open_window(
    counter: Counter, touch: Touch, view: Payload, verb: str, about: RequestId | None = None
) -> None:
    """Opens a window with the trigger of an act, or says why there is none. `verb` is what it is for."""
    try:
        await counter.client.views_open(trigger_id=touch.key, view=view)
    except TROUBLE as error:
        await _no_window(counter, touch, why_no_window(error), verb, about)


async def hold_window(counter: Counter, touch: Touch, view: Payload, verb: str, about: RequestId) -> bool:
    """Opens a window under its external id, to be filled later. False: there is none, and it was said."""
    try:
        await counter.client.views_open(trigger_id=touch.key, view=view)
    except TROUBLE as error:
        why = why_no_window(error)
        # The answer to a first try may have been lost after it worked: then the window is there.
        if why == USED_UP and await fill_window(counter, view["external_id"], view):
            return True
        await _no_window(counter, touch, why, verb, about)
        return False
    return True


async def _no_window(counter: Counter, touch: Touch, why: str, verb: str, about: RequestId | None) -> None:
    """The attempt ended here: recorded, then told. When it arrives again, neither."""
    attempt = e.AttemptRefused(actor=touch.person, verb=verb, code=_CODES[why], about=about)
    noted = await outcome("A note", counter.store.note(attempt, also=[also.first_time(touch.key)]))
    if noted is None or noted.sentence:
        await tell(counter, touch, why)


async def fill_window(counter: Counter, external_id: str, view: Payload) -> bool:
    """Puts `view` into the window. False: nobody sees it."""
    for attempt in range(TRIES):
        try:
            await counter.client.views_update(external_id=external_id, view=view)
        except TROUBLE as error:
            if isinstance(error, SlackApiError) and said(error) in _GONE:
                return False
            await counter.pause(PAUSE * (attempt + 1))
        else:
            return True
    return False


def why_no_window(error: BaseException) -> str:
    """The sentence for a window that did not open. Slack has several words for a trigger that is too old."""
    word = said(error)
    if word == "exchanged_trigger_id":
        return USED_UP
    hints = str(_messages(error)).casefold()
    if word in {"expired_trigger_id", "trigger_expired", "invalid_trigger_id"} or "trigger_id" in hints:
        return TOO_SLOW
    log_failure("Opening a window", error)
    return FAILED


def _messages(error: BaseException) -> object:
    if not isinstance(error, SlackApiError):
        return ""
    return (_of(error).get("response_metadata") or {}).get("messages", "")


def _of(error: SlackApiError) -> dict[str, Any]:
    """Slack's answer; on a server error its body may be no JSON at all."""
    data = getattr(error.response, "data", error.response)
    return data if isinstance(data, dict) else {}


async def faces(counter: Counter, *persons: PersonId) -> Faces:
    """What these people are called, as far as it is known."""
    try:
        roster: Roster = await counter.desk.people.roster(*persons)
    except BreakglassError:
        return Faces()
    return Faces({id: person.name for id, person in roster.people.items()})
