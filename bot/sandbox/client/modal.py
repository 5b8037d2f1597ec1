"""Modals and the Home tab: screens whose content lives in a view.

A modal object stays good while its view is open; updates show through it. Submitting checks what the client
checks, then does what the app's answer says; an answer that makes no sense shows a general error.
"""

from bot.sandbox.client import fields
from bot.sandbox.client.screen import Screen
from bot.sandbox.errors import CannotDoError, NoAnswerError, SlackError
from bot.sandbox.kit import plain
from bot.sandbox.kit.schema import Json
from bot.sandbox.methods.views import checked
from bot.sandbox.modals import Modals
from bot.sandbox.records import View

GENERIC = "We had some trouble connecting. Try again?"


class ViewScreen(Screen):
    """A view in front of a person."""

    def __init__(self, view_id: str, modals: Modals, *about: object) -> None:
        super().__init__(*about)  # type: ignore[arg-type] # the arguments of Screen, in their order
        self._view_id = view_id
        self._modals = modals

    @property
    def view(self) -> View:
        """The view as it is now."""
        view = self._modals.views.get(self._view_id)
        if view is None:
            raise CannotDoError("This window is closed.")
        return view

    @property
    def blocks(self) -> list[Json]:
        """Its blocks."""
        return self.view.blocks

    @property
    def _name(self) -> str:
        return self._view_id

    def _place(self) -> View:
        return self.view

    async def _send(self, action: Json) -> None:
        await self._interactions.act_on_view(self._user, self._app, self.view, action, self.values())


class Home(ViewScreen):
    """The Home tab of an app."""


class Modal(ViewScreen):
    """A modal on the screen."""

    @property
    def title(self) -> str:
        """Its title."""
        return plain(self.view.content["title"]["text"])

    @property
    def is_open(self) -> bool:
        """Whether it is still on the stack, on top or below another."""
        return self._view_id in self._modals.stacks.get(self._user.id, [])

    @property
    def submit_text(self) -> str | None:
        """The text of its submit button, if it has one."""
        button = self.view.content.get("submit")
        return plain(button["text"]) if button else None

    def text(self) -> str:
        """All text in it, title and buttons included."""
        content = self.view.content
        edges = [plain(content[key]["text"]) for key in ("submit", "close") if content.get(key)]
        return "\n".join([self.title, super().text(), *edges])

    async def submit(self) -> dict[str, str] | None:
        """Press submit. None when it was taken; else what is wrong, by label (by "" for a general error)."""
        names = {
            block["block_id"]: plain(block["label"]["text"]) for block in self.blocks if "label" in block
        }
        wrong = await self.hand_in()
        return wrong and {names.get(block_id, ""): text for block_id, text in wrong.items()}

    async def hand_in(self) -> dict[str, str] | None:
        """The same, with what is wrong by block id."""
        view = self._on_top()
        if self.submit_text is None:
            raise CannotDoError("This window has no submit button.")
        if complaints := self._complaints():
            return complaints
        try:
            answer = await self._interactions.submit(self._user, self._app, view, self.values())
            return self._follow(view, answer)
        except (NoAnswerError, SlackError):
            return {"": GENERIC}

    async def close(self, *, everything: bool = False) -> None:
        """Press close, or (`everything`) the cross that closes the whole stack."""
        view = self._on_top()
        values = self.values()
        everything = everything or bool(view.content.get("clear_on_close"))
        if everything:
            gone = self._modals.clear(self._user.id)
        else:
            gone = [view]
            self._modals.close(view)
        for each in reversed(gone):
            if each.content.get("notify_on_close"):
                kept = values if each.id == view.id else {}
                try:
                    await self._interactions.closed(self._user, self._app, each, kept, cleared=everything)
                except NoAnswerError:
                    continue  # nobody waits for the answer to a closed window

    def _on_top(self) -> View:
        top = self._modals.top(self._user.id)
        if top is None or top.id != self._view_id:
            raise CannotDoError("This window is no longer on top.")
        return top

    def _complaints(self) -> dict[str, str]:
        found: dict[str, str] = {}
        values = self.values()
        for block in self.blocks:
            if block["type"] != "input":
                continue
            element = block["element"]
            entry = values[block["block_id"]][element["action_id"]]
            if said := fields.complaint(element, entry, optional=block["optional"]):
                found[block["block_id"]] = said
        return found

    def _follow(self, view: View, answer: Json) -> dict[str, str] | None:
        """Do what the response_action says."""
        match answer.get("response_action"):
            case None:
                self._modals.close(view)
            case "clear":
                self._modals.clear(self._user.id)
            case "update":
                self._modals.update(self.view, checked(answer.get("view"), "modal"))
            case "push":
                self._modals.push_over(self.view, self._app, checked(answer.get("view"), "modal"))
            case "errors":
                return self._errors(view, answer.get("errors"))
            case _:
                raise SlackError("invalid_arguments")
        return None

    def _errors(self, view: View, errors: object) -> dict[str, str]:
        """Errors belong to input blocks; under any other name the person sees only the general error."""
        if not isinstance(errors, dict) or not errors or not set(errors) <= view.input_ids:
            raise SlackError("invalid_arguments")
        return {block_id: str(text) for block_id, text in errors.items()}
