"""The request form while somebody fills it in: another choice brings other fields, and what was typed stays.

Rule: a form that is behind its choice files nothing. Slack may fail to change it, or somebody may be faster;
then it is shown anew when it is sent. Nor does it come back over what was sent meanwhile: every change names
the version of the window that it is for.
"""

from collections import OrderedDict
from datetime import timedelta
from typing import Any, Final

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack.listeners.counter import Counter, No, Touch, outcome
from bot.slack.listeners.telling import PAUSE, TRIES, tell
from bot.slack.people import TROUBLE, said
from bot.slack.views import answers, form, guide
from bot.slack.views.text import Payload

REMEMBERED: Final = 1000
"""Forms that are open at once, with room to spare."""


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to the two menus that change the form."""
    changes = _Changes(counter)
    app.action(form.SCENARIO)(changes.heard)
    app.action(form.ACCESS)(changes.heard)


def draft_of(view: Payload) -> form.Draft:
    """What is filled in on the request form, the code left out."""
    seconds = answers.choice(view, form.DURATION)
    return form.Draft(
        scenario=answers.choice(view, form.SCENARIO),
        access=answers.choice(view, form.ACCESS),
        duration=timedelta(seconds=int(seconds)) if seconds.isdecimal() else None,
        reason=answers.text(view, form.REASON),
        incident=answers.text(view, form.INCIDENT),
    )


async def anew(counter: Counter, touch: Touch, view: Payload) -> Payload | None:
    """The form as it must be for what is chosen in `view`; None when it is just so, or nothing can be shown.

    Raises:
        Refused: the directory does not answer.
    """
    draft = draft_of(view)
    offers = await counter.desk.offers(touch.person)
    if all(offer.scenario.key != draft.scenario for offer in offers):
        return None  # the desk refuses that, and says why
    right = form.request_modal(offers, draft, guide.FORM_CHANGED)
    return right if answers.inputs(right) != answers.inputs(view) else None


class _Memory(OrderedDict[str, str]):
    """The newest few of what was kept."""

    def keep(self, key: str, value: str) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class _Changes:
    """Another scenario or access was chosen: other criteria, accesses, durations."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._newest = _Memory()
        """View id -> the moment of its newest choice."""
        self._became = _Memory()
        """A version of a window -> the version that our own change made of it."""

    async def heard(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """A menu was used."""
        await ack()
        view_id, at = str(body["view"]["id"]), str(body["actions"][0].get("action_ts", ""))
        # Two quick choices may overtake each other; the later one knows both, so it wins.
        if at >= self._newest.get(view_id, ""):
            self._newest.keep(view_id, at)
            self._counter.aside.start(self._rebuild(Touch.of(body), body["view"], at))

    async def _rebuild(self, touch: Touch, seen: Payload, at: str) -> None:
        offers = await outcome("The form", self._counter.desk.offers(touch.person))
        if isinstance(offers, No) or not offers:
            return  # why, is said when it is sent
        view = form.request_modal(offers, draft_of(seen))
        for attempt in range(TRIES):
            if self._newest.get(str(seen["id"])) != at or await self._is_shown(seen, view):
                return
            await self._counter.pause(PAUSE * (attempt + 1))
        await tell(self._counter, touch, guide.FORM_STANDS)

    async def _is_shown(self, seen: Payload, view: Payload) -> bool:
        """Shows `view` in place of what was seen. True also where that is no longer wanted."""
        version = self._latest(str(seen.get("hash", "")))
        try:
            answer = await self._counter.client.views_update(view_id=seen["id"], hash=version, view=view)
        except TROUBLE as error:
            if said(error) == "hash_conflict":
                # Another choice's change may be under way. Else it was sent, or this very change was made and
                # the answer lost.
                await self._counter.pause(PAUSE)
                return self._latest(version) == version
            return said(error) == "not_found"  # closed
        became = str(answer["view"].get("hash") or "")
        if (
            became and became != version and became not in self._became
        ):  # or looking for the latest went round
            self._became.keep(version, became)
        return True

    def _latest(self, version: str) -> str:
        while version in self._became:
            version = self._became[version]
        return version
