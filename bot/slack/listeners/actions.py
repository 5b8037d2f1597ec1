"""Buttons on cards and in messages.

Rule: a button's value is the request's id; who may, in which state, until when is asked of the desk at every
click. Whoever presses an old button is told what is true now. No Slack call stands before a grant.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.model import RequestId
from bot.slack.listeners.commands import open_form
from bot.slack.listeners.counter import Counter, No, Then, Touch, is_allowed, outcome, request_of
from bot.slack.listeners.telling import faces, fill_window, hold_window, open_window, tell
from bot.slack.views import buttons, form, guide, modals

Act = Callable[[Counter, Touch, RequestId], Awaitable[Then | None]]

_SAID_NOTHING: Final = frozenset({"empty"})
_NO_CODE: Final = frozenset({"no_code"})


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to every button there is."""
    for name, act in ACTS.items():
        app.action(name)(_button(counter, name, act))


def _button(counter: Counter, name: str, act: Act) -> Callable[..., Awaitable[None]]:
    async def pressed(ack: AsyncAck, body: dict[str, Any]) -> None:
        touch = Touch.of(body)
        then = await outcome(name, act(counter, touch, request_of(body)))
        await ack()
        if isinstance(then, No):
            counter.aside.start(tell(counter, touch, then.sentence))
        elif then is not None:
            counter.aside.start(then())

    return pressed


# --- deciding -------------------------------------------------------------------------------------------


async def _approve(counter: Counter, touch: Touch, id: RequestId) -> Then | None:
    if await is_allowed(counter.desk.approve(id, touch.person, touch.key), _NO_CODE):
        return None
    request = await counter.store.get(id)
    view = modals.approve_modal(request, await faces(counter, request.requester))
    return lambda: open_window(counter, touch, view, "approve", id)


async def _deny(counter: Counter, touch: Touch, id: RequestId) -> Then:
    await is_allowed(counter.desk.deny(id, touch.person, "", touch.key), _SAID_NOTHING)
    view = modals.deny_modal(await counter.store.get(id))
    return lambda: open_window(counter, touch, view, "deny", id)


# --- the requester's own --------------------------------------------------------------------------------


async def _withdraw(counter: Counter, touch: Touch, id: RequestId) -> None:
    await counter.desk.withdraw(id, touch.person, touch.key)


async def _enter_code(counter: Counter, touch: Touch, id: RequestId) -> Then:
    await is_allowed(counter.desk.prove(id, touch.person, "", touch.key), _NO_CODE)
    view = modals.prove_modal(await counter.store.get(id))
    return lambda: open_window(counter, touch, view, "prove", id)


async def _ask_again(counter: Counter, touch: Touch, id: RequestId) -> Then:
    """The same request, filled in; somebody else gets the scenario and the access, not the words."""
    old = await counter.store.get(id)
    draft = form.Draft(scenario=old.scenario, access=old.terms.access, duration=old.duration)
    if old.requester == touch.person:
        draft = form.Draft(
            scenario=old.scenario,
            access=old.terms.access,
            duration=old.duration,
            reason=old.reason.text or "",
            incident=old.incident,
        )
    return await open_form(counter, touch, draft)


async def _show_credential(counter: Counter, touch: Touch, id: RequestId) -> Then:
    """The window first, the credential then: it must not be used up for a window that never opens."""

    async def show() -> None:
        external_id = f"reveal:{touch.key}"
        if not await hold_window(counter, touch, modals.loading_modal(external_id), "reveal", id):
            return
        reveal = counter.desk.reveal(id, touch.person, touch.key)
        handoff = await outcome(buttons.SHOW_CREDENTIAL, reveal)
        if isinstance(handoff, No):
            await fill_window(counter, external_id, modals.refusal_modal(handoff.sentence or guide.USED_UP))
            return
        view = modals.reveal_modal(await counter.store.get(id), handoff)
        if not await fill_window(counter, external_id, view):
            await tell(counter, touch, guide.CLOSED_TOO_EARLY)

    return show


async def _end(counter: Counter, touch: Touch, id: RequestId) -> None:
    """Hand back and Revoke: who presses decides which of the two it is."""
    await counter.desk.revoke(id, touch.person, key=touch.key)


# --- afterwards -----------------------------------------------------------------------------------------


async def _report(counter: Counter, touch: Touch, id: RequestId) -> Then:
    await is_allowed(counter.desk.report(id, touch.person, "", touch.key), _SAID_NOTHING)
    view = modals.report_modal(await counter.store.get(id))
    return lambda: open_window(counter, touch, view, "report", id)


async def _review(counter: Counter, touch: Touch, id: RequestId) -> Then:
    await counter.desk.may_review(id, touch.person, touch.key)
    view = modals.review_modal(await counter.store.get(id))
    return lambda: open_window(counter, touch, view, "review", id)


ACTS: Final[dict[str, Act]] = {
    buttons.APPROVE: _approve,
    buttons.DENY: _deny,
    buttons.WITHDRAW: _withdraw,
    buttons.ENTER_CODE: _enter_code,
    buttons.ASK_AGAIN: _ask_again,
    buttons.SHOW_CREDENTIAL: _show_credential,
    buttons.HAND_BACK: _end,
    buttons.REVOKE: _end,
    buttons.REPORT: _report,
    buttons.REVIEW: _review,
}
