"""`/breakglass`: opens the form; `help`, `status`, `revoke`, `review`, `enroll`, however it is typed.

Rule: the answer is in the acknowledgement, so that it also arrives where the bot is no member.
"""

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.errors import Refused
from bot.desk import Ask
from bot.slack.listeners.counter import Counter, No, Then, Touch, outcome
from bot.slack.listeners.telling import open_window
from bot.slack.views import form, guide, modals
from bot.slack.views.text import Payload, escape
from bot.store import UnknownRequest

Answer = Payload | Then


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to the command of the manifest."""

    async def typed(ack: AsyncAck, body: dict[str, Any]) -> None:
        touch = Touch.of(body)
        text = str(body.get("text") or "")
        answer = await outcome(guide.COMMAND, answer_to(counter, touch, text))
        if isinstance(answer, No):
            await ack(text=escape(answer.sentence))
        elif callable(answer):
            await ack()
            counter.aside.start(answer())
        else:
            await ack(**answer)

    app.command(guide.COMMAND)(typed)


async def answer_to(  # noqa: PLR0911  one case per word
    counter: Counter, touch: Touch, text: str
) -> Answer:
    """The answer to what was typed after the command."""
    words = "".join(char for char in text if char.isprintable() or char.isspace()).split()
    word, rest = (words[0].casefold(), words[1:]) if words else ("", [])
    if word == "hand" and rest and rest[0].casefold() == "back":
        word, rest = "revoke", rest[1:]
    match word:
        case "":
            return await open_form(counter, touch)
        case "help":
            return guide.help_message()
        case "status":
            return await _status(counter, touch)
        case "revoke" | "end":
            return await _revoke(counter, touch, rest) if rest else guide.which("revoke")
        case "review":
            return await _review(counter, touch, rest) if rest else guide.which("review")
        case "enroll" | "enrol":
            return lambda: open_window(counter, touch, modals.enrol_modal(), "enroll")
        case _ if word.startswith("bg") and (id := guide.read_id(words)[0]) is not None:
            return guide.what_with(id)
        case _:
            return guide.help_message(word)


async def open_form(counter: Counter, touch: Touch, draft: form.Draft | None = None) -> Then:
    """The request form, with what this person may ask for now.

    Raises:
        Refused: they may ask for nothing; the sentence says why.
    """
    offers = await counter.desk.offers(touch.person)
    if not offers:
        await _say_why_nothing(counter, touch)
    view = form.request_modal(offers, draft or form.Draft())
    return lambda: open_window(counter, touch, view, "ask")


async def _say_why_nothing(counter: Counter, touch: Touch) -> None:
    """Lets the desk itself refuse the first thing there is, so that it is said and recorded as every attempt.

    Raises:
        Refused: always.
    """
    scenarios = counter.desk.policy.scenarios.values()
    wanted = next(((s.key, access) for s in scenarios for access in s.accesses), ("", ""))
    # No criteria, no duration and no reason: this can never be filed.
    nothing = Ask(
        person=touch.person,
        scenario=wanted[0],
        access=wanted[1],
        criteria=(),
        duration=guide.NO_TIME,
        reason="",
        keys=(touch.key,),
    )
    try:
        await counter.desk.ask(nothing)
    except Refused as refusal:
        if refusal.code not in {"criteria", "duration", "reason"}:
            raise
    raise Refused(guide.NOTHING_OFFERED, code="nothing_offered")


async def _status(counter: Counter, touch: Touch) -> Payload:
    roster = await counter.desk.people.roster(touch.person)
    requests = await counter.store.unfinished()
    return guide.status_message(touch.person, requests, roster, counter.store.now())


async def _revoke(counter: Counter, touch: Touch, rest: list[str]) -> Payload:
    id, words = guide.read_id(rest)
    if id is None:
        return guide.which("revoke", " ".join(rest))
    other = guide.read_id(words)[0] if _names_another(words) else None
    try:
        request = await counter.desk.revoke(id, touch.person, " ".join(words), touch.key)
        return guide.revoking(request, other)
    except UnknownRequest:
        return guide.unknown_request(id)


def _names_another(words: list[str]) -> bool:
    """Whether a second id follows at once; one further on is part of a reason."""
    follows = [word for word in words if word.casefold() not in {"and", "&", "+", ","}]
    return bool(follows) and follows[0].casefold().startswith("bg")


async def _review(counter: Counter, touch: Touch, rest: list[str]) -> Answer:
    id, _ = guide.read_id(rest)
    if id is None:
        return guide.which("review", " ".join(rest))
    try:
        await counter.desk.may_review(id, touch.person, touch.key)
    except UnknownRequest:
        return guide.unknown_request(id)
    view = modals.review_modal(await counter.store.get(id))
    return lambda: open_window(counter, touch, view, "review", id)
