"""Windows that were filled in and sent.

Rule: what can be mended is said at its field, and what was typed stays. The answer is in the acknowledgement:
nothing else reaches a window that is being submitted. A code is read here, given to the desk and forgotten.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.errors import Refused
from bot.core.model import RequestId, Verdict
from bot.desk import Ask
from bot.slack.listeners.counter import Counter, No, Touch, outcome
from bot.slack.listeners.forms import anew, draft_of
from bot.slack.views import answers, form, modals
from bot.slack.views.guide import FAILED
from bot.slack.views.text import Payload


@dataclass(frozen=True, slots=True)
class Sheet:
    """One submitted window."""

    touch: Touch
    view: Payload

    @property
    def request(self) -> RequestId:
        """The request it is about."""
        return modals.request_id(str(self.view.get("private_metadata") or ""))

    def text(self, field: str) -> str:
        """What was typed into a field."""
        return answers.text(self.view, field)


Reply = dict[str, Any]
"""Arguments of the acknowledgement; none of them closes the window."""

Send = Callable[[Counter, Sheet], Awaitable[Reply]]

CLOSE: Final[Reply] = {}


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to every window that can be sent."""
    for callback, send in SENDS.items():
        app.view(callback)(_sent(counter, callback, send))


def _sent(counter: Counter, callback: str, send: Send) -> Callable[..., Awaitable[None]]:
    async def sent(ack: AsyncAck, body: dict[str, Any]) -> None:
        sheet = Sheet(Touch.of(body), body["view"])
        reply = await outcome(f"The window {callback}", send(counter, sheet))
        await ack(**(_refused(sheet.view, reply) if isinstance(reply, No) else reply))

    return sent


def _refused(view: Mapping[str, Any], no: No) -> Reply:
    """The sentence at its field; on the request form always at a field, so that nothing typed is lost."""
    if not no.sentence:
        return CLOSE
    block = answers.block_of(view, no.field) or answers.block_of(view, form.ACCESS)
    if block is not None:
        return {"response_action": "errors", "errors": {block: no.sentence}}
    title = "Something went wrong" if no.sentence == FAILED else "Nothing was changed"
    return _show(modals.refusal_modal(no.sentence, title))


def _show(view: Payload) -> Reply:
    return {"response_action": "update", "view": view}


# --- asking ---------------------------------------------------------------------------------------------


async def _request(counter: Counter, sheet: Sheet) -> Reply:
    if (right := await anew(counter, sheet.touch, sheet.view)) is not None:
        return _show(right)
    draft = draft_of(sheet.view)
    scenario = counter.desk.policy.scenarios.get(draft.scenario)
    ask = Ask(
        person=sheet.touch.person,
        scenario=draft.scenario,
        access=draft.access,
        criteria=form.confirmed(sheet.view, scenario) if scenario is not None else (),
        duration=draft.duration or timedelta(0),
        reason=draft.reason,
        incident=draft.incident,
        code=sheet.text(form.CODE),
        # The trigger is new with every press of the button; the window is one and files one request.
        keys=(sheet.touch.key, f"view:{sheet.view['id']}"),
    )
    return _show(modals.sent_modal(await counter.desk.ask(ask), counter.channels.requests))


async def _prove(counter: Counter, sheet: Sheet) -> Reply:
    code = sheet.text(modals.CODE)
    await counter.desk.prove(sheet.request, sheet.touch.person, code, sheet.touch.key)
    return CLOSE


# --- deciding -------------------------------------------------------------------------------------------


async def _approve(counter: Counter, sheet: Sheet) -> Reply:
    code = sheet.text(modals.CODE)
    await counter.desk.approve(sheet.request, sheet.touch.person, sheet.touch.key, code)
    return CLOSE


async def _deny(counter: Counter, sheet: Sheet) -> Reply:
    reason = sheet.text(modals.REASON)
    await counter.desk.deny(sheet.request, sheet.touch.person, reason, sheet.touch.key)
    return CLOSE


# --- afterwards -----------------------------------------------------------------------------------------


async def _report(counter: Counter, sheet: Sheet) -> Reply:
    report = sheet.text(modals.REPORT)
    await counter.desk.report(sheet.request, sheet.touch.person, report, sheet.touch.key)
    return CLOSE


async def _review(counter: Counter, sheet: Sheet) -> Reply:
    try:
        verdict = Verdict(answers.choice(sheet.view, modals.OUTCOME))
    except ValueError:
        raise Refused("Choose an outcome.", code="empty", field=modals.OUTCOME) from None
    await counter.desk.review(
        sheet.request,
        sheet.touch.person,
        verdict=verdict,
        less_was_possible=answers.choice(sheet.view, modals.LESS) == modals.YES,
        follow_ups=sheet.text(modals.FOLLOW_UPS),
        key=sheet.touch.key,
    )
    return CLOSE


# --- enrolling ------------------------------------------------------------------------------------------


async def _enrol(counter: Counter, sheet: Sheet) -> Reply:
    token = sheet.text(modals.TOKEN)
    enrolment, sealed = await counter.desk.begin_enrolment(sheet.touch.person, token, sheet.touch.key)
    return _show(modals.enrol_code_modal(token, enrolment.secret, enrolment.uri, sealed))


async def _enrol_code(counter: Counter, sheet: Sheet) -> Reply:
    token, sealed = modals.remembered_enrolment(str(sheet.view.get("private_metadata") or ""))
    await counter.desk.finish_enrolment(
        sheet.touch.person, token, sealed, sheet.text(modals.CODE), sheet.touch.key
    )
    return _show(modals.enrolled_modal())


SENDS: Final[dict[str, Send]] = {
    form.CALLBACK: _request,
    modals.PROVE: _prove,
    modals.APPROVE: _approve,
    modals.DENY: _deny,
    modals.REPORT: _report,
    modals.REVIEW: _review,
    modals.ENROL: _enrol,
    modals.ENROL_CODE: _enrol_code,
}
