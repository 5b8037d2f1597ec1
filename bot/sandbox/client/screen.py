"""A rendering a person acts on: the elements on it by their visible names, and what is filled in.

A screen sends only what Slack's client would send: a name that is not there, or there twice, cannot be used,
and a button with a confirm dialog does nothing until the dialog is answered.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from bot.sandbox.apps import App
from bot.sandbox.client import fields
from bot.sandbox.errors import CannotDoError, NoAnswerError
from bot.sandbox.interactions import Interactions
from bot.sandbox.kit import check_options, human_text, plain
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message, elements, one_element
from bot.sandbox.records import User, View
from bot.sandbox.workspace import Workspace

Key = tuple[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of an act: `error` in Slack's words (operation_timeout, ...), or what one now sees."""

    error: str | None = None
    message: Message | None = None
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        """Nothing went wrong."""
        return self.error is None

    @property
    def text(self) -> str:
        """The text of the answer; empty when there was none."""
        return self.message.text if self.message else ""

    @property
    def blocks(self) -> list[Json]:
        """The blocks of the answer."""
        return list(self.message.blocks) if self.message else []

    @property
    def in_channel(self) -> bool:
        """Whether everybody sees the answer."""
        return self.message is not None and self.message.ephemeral_to is None

    def human_text(self) -> str:
        """All the person reads: the answer, or the error."""
        return self.message.human_text() if self.message else (self.error or "")


@dataclass
class Memory:
    """What one person's client remembers between renderings."""

    drafts: dict[str, dict[Key, Json]] = field(default_factory=dict)
    suggested: dict[Key, list[Json]] = field(default_factory=dict)


class Screen(ABC):
    """A message, a modal or a Home tab in front of a person."""

    def __init__(
        self, user: User, app: App, memory: Memory, interactions: Interactions, workspace: Workspace
    ) -> None:
        self._user = user
        self._app = app
        self._memory = memory
        self._interactions = interactions
        self._workspace = workspace

    # --- what is there

    @property
    @abstractmethod
    def blocks(self) -> list[Json]:
        """The blocks on the screen, as stored."""

    @property
    @abstractmethod
    def _name(self) -> str:
        """Under which the drafts of this screen are kept."""

    @abstractmethod
    def _place(self) -> Message | View:
        """What the app is told the person acted in."""

    @abstractmethod
    async def _send(self, action: Json) -> None:
        """Carry an action to the app."""

    def text(self) -> str:
        """All text on it, one line each."""
        return human_text(self.blocks, self._workspace.names())

    def labels(self) -> list[str]:
        """The names of its fields, in order."""
        return [_called(element) for element in elements(self.blocks) if element["type"] in fields.KINDS]

    def buttons(self) -> list[str]:
        """The texts of its buttons, in order."""
        return [plain(part["text"]["text"]) for part in elements(self.blocks) if part["type"] == "button"]

    def options(self, label: str) -> list[str]:
        """What a menu offers, by visible text."""
        return [plain(option["text"]["text"]) for option in self._offered(self._field(label))]

    def value(self, label: str) -> object:
        """What a field holds now: text, an option's text, an id, or a list of these."""
        element = self._field(label)
        held = self._entry(element)[fields.KINDS[element["type"]].state]
        return [_told(each) for each in held] if isinstance(held, list) else _told(held)

    # --- what one can do

    def fill(self, label: str, value: object) -> None:
        """Put a value into a field without telling the app."""
        element = self._field(label)
        self._keep(element, fields.filled(element, value, self._offered(element), self._found))

    async def choose(self, label: str, value: object) -> Outcome:
        """Fill a field and let go of it: the app hears of it where the field dispatches."""
        self.fill(label, value)
        return await self._let_go(self._field(label))

    async def suggest(self, label: str, typed: str) -> list[str]:
        """Type into an external select: the options the app offers, by visible text."""
        found = await self._suggested(self._field(label), typed)
        return [plain(option["text"]["text"]) for option in found]

    async def press(self, label: str, *, confirm: bool | None = None) -> Outcome:
        """Press a button (or an entry of an overflow menu) by its visible text.

        `confirm` answers its confirm dialog, and must be given exactly when there is one.
        """
        element, action = self._pressable(label)
        if "confirm" in element and confirm is None:
            raise CannotDoError(f"{label!r} asks for confirmation first")
        if "confirm" not in element and confirm is not None:
            raise CannotDoError(f"{label!r} asks for no confirmation")
        if confirm is False:
            return Outcome(cancelled=True)
        return await self._act(action)

    # --- the same by id, for a client that has drawn the elements and knows which one was used

    def put(self, block_id: str, action_id: str, entry: object) -> None:
        """Keep what was put into a field: its entry in `state.values`, checked against the field."""
        element = self._element(block_id, action_id)
        self._keep(element, fields.entered(element, entry, self._choices(element), self._found))

    async def act(
        self, block_id: str, action_id: str, *, option: object = None, entry: object = None
    ) -> Outcome:
        """Press a button, choose from an overflow menu, or let go of a field that now holds `entry`.

        Its confirm dialog, where there is one, has been answered with yes.
        """
        element = self._element(block_id, action_id)
        if element["type"] in fields.KINDS:
            if entry is not None:
                self.put(block_id, action_id, entry)
            return await self._let_go(element)
        if element["type"] == "overflow":
            selected = fields.offered_option(element["options"], option)
            return await self._act({"type": "overflow", "selected_option": selected, **_ids(element)})
        return await self._act(_pressed(element))

    async def suggest_for(self, block_id: str, action_id: str, typed: str) -> list[Json]:
        """The options that the app offers for what was typed into this external select."""
        return await self._suggested(self._element(block_id, action_id), typed)

    def suggested(self) -> Json:
        """The options last suggested for its external selects, by block and action."""
        found: Json = {}
        for element in elements(self.blocks):
            if _key(element) in self._memory.suggested:
                block = found.setdefault(element["block_id"], {})
                block[element["action_id"]] = self._memory.suggested[_key(element)]
        return found

    # --- how

    def _element(self, block_id: str, action_id: str) -> Json:
        for part in elements(self.blocks):
            if (part["block_id"], part.get("action_id")) == (block_id, action_id):
                return part
        raise CannotDoError("This has changed meanwhile. Look at it again, then choose.")

    def _keep(self, element: Json, entry: Json) -> None:
        self._memory.drafts.setdefault(self._name, {})[_key(element)] = entry

    async def _let_go(self, element: Json) -> Outcome:
        """The app hears of a field in a section or actions block, and of an input that dispatches."""
        block = next(block for block in _all(self.blocks) if block["block_id"] == element["block_id"])
        if block["type"] == "input" and not block.get("dispatch_action"):
            return Outcome()
        shown: Json = {key: element[key] for key in ("placeholder", "initial_option") if key in element}
        return await self._act({**shown, **self._entry(element), **_ids(element)})

    async def _suggested(self, element: Json, typed: str) -> list[Json]:
        if len(typed) < element.get("min_query_length", 3):
            return []
        answer = await self._interactions.suggest(self._user, self._app, self._place(), element, typed)
        if problems := check_options(answer):
            raise CannotDoError(f"the app's options were refused: {problems[0]}")
        self._memory.suggested[_key(element)] = fields.options_of(answer)
        return self._offered(element)

    def _pressable(self, label: str) -> tuple[Json, Json]:
        on_screen = elements(self.blocks)
        buttons = [
            part for part in on_screen if part["type"] == "button" and plain(part["text"]["text"]) == label
        ]
        for menu in on_screen:
            if menu["type"] == "overflow" and not buttons:
                for option in menu["options"]:
                    if plain(option["text"]["text"]) == label:
                        return menu, {"type": "overflow", "selected_option": option, **_ids(menu)}
        button = one_element(buttons, label)
        return button, _pressed(button)

    async def _act(self, action: Json) -> Outcome:
        try:
            await self._send(action)
        except NoAnswerError as error:
            return Outcome(error=error.code)
        return Outcome()

    # --- values

    def values(self) -> Json:
        """`state.values` of this screen."""
        values: Json = {}
        for element in elements(self.blocks):
            if element["type"] in fields.KINDS:
                values.setdefault(element["block_id"], {})[element["action_id"]] = self._entry(element)
        return values

    def _entry(self, element: Json) -> Json:
        """What was filled in, as long as the field is still of the same kind."""
        draft = self._memory.drafts.get(self._name, {}).get(_key(element))
        return draft if draft and draft["type"] == element["type"] else fields.initial(element)

    def _field(self, label: str) -> Json:
        parts = [part for part in elements(self.blocks) if part["type"] in fields.KINDS]
        return one_element([part for part in parts if label in (_called(part), part["action_id"])], label)

    def _offered(self, element: Json) -> list[Json]:
        return fields.options_of(element) or self._memory.suggested.get(_key(element), [])

    def _choices(self, element: Json) -> list[Json]:
        """What may stand in a menu: what it offers, and what it was given at first."""
        given = [*element.get("initial_options", []), element.get("initial_option")]
        return [*self._offered(element), *(option for option in given if option)]

    def _found(self, name: str) -> str:
        """The id of a person or channel, by id, handle, full name or #name."""
        wanted = name.removeprefix("@").removeprefix("#")
        for user in self._workspace.users.values():
            if wanted in (user.id, user.handle, user.name):
                return user.id
        for channel in self._workspace.channels.values():
            if wanted in (channel.id, channel.name):
                return channel.id
        raise CannotDoError(f"nobody is called {name!r}")


class MessageScreen(Screen):
    """A message as a person's client rendered it, which may be long ago."""

    def __init__(self, seen: Message, *about: object) -> None:
        super().__init__(*about)  # type: ignore[arg-type] # the arguments of Screen, in their order
        self._seen = seen

    @property
    def blocks(self) -> list[Json]:
        """The blocks of that rendering."""
        return list(self._seen.blocks)

    @property
    def _name(self) -> str:
        return f"{self._seen.channel}:{self._seen.ts}"

    def _place(self) -> Message:
        """Slack tells the app of the message as it is NOW, whatever the client still shows."""
        if self._seen.ephemeral_to:
            return self._seen
        now = self._workspace.find(self._seen.channel, self._seen.ts)
        if now is None:
            raise NoAnswerError("message_not_found", "deleted meanwhile")
        return now

    def _element(self, block_id: str, action_id: str) -> Json:
        """A button may be one of a moment ago, which a client still shows: the app is told all the same."""
        try:
            return super()._element(block_id, action_id)
        except CannotDoError:
            for rendering in self._workspace.earlier(self._seen):
                for part in elements(list(rendering.blocks)):
                    found = (part["block_id"], part.get("action_id")) == (block_id, action_id)
                    if found and part["type"] not in fields.KINDS:
                        return part
            raise

    async def _send(self, action: Json) -> None:
        await self._interactions.act_on_message(self._user, self._app, self._place(), action, self.values())


def _told(held: object) -> object:
    return plain(held["text"]["text"]) if isinstance(held, dict) and "text" in held else held


def _called(element: Json) -> str:
    placeholder = element.get("placeholder", {}).get("text", "")
    return str(element.get("label") or plain(placeholder) or element["action_id"])


def _key(element: Json) -> Key:
    return element["block_id"], element.get("action_id", "")


def _pressed(button: Json) -> Json:
    kept = ("type", "text", "value", "style", "url", "accessibility_label", "confirm")
    return {**{key: button[key] for key in kept if key in button}, **_ids(button)}


def _ids(element: Json) -> Json:
    return {"block_id": element["block_id"], "action_id": element["action_id"]}


def _all(blocks: list[Json]) -> list[Json]:
    return [part for block in blocks for part in (block, *block.get("child_blocks", []))]
