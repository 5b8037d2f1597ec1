"""Views and the triggers that open them.

A trigger lives three seconds and is good for one exchange. A person has one stack of at most three modals for
each app; only its top is on the screen. A view changes its hash with every update.
"""

import secrets
from dataclasses import dataclass, replace

from bot.sandbox.apps import App
from bot.sandbox.errors import SlackError
from bot.sandbox.kit import stored_view
from bot.sandbox.kit.schema import Json
from bot.sandbox.records import View
from bot.sandbox.workspace import Workspace

TRIGGER_LIFE = 3.0
STACK = 3


@dataclass(frozen=True)
class Trigger:
    """A person's click, which an app may exchange once for a modal; `view_id` when it was made in one."""

    id: str
    app_id: str
    user_id: str
    born: float
    source: str
    view_id: str | None = None


class Modals:
    """All views of a workspace, by id; stacks by person, newest last."""

    def __init__(self, workspace: Workspace) -> None:
        self.expiry_as_arguments = False  # real Slack says it either way (bolt-python #434)
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[tuple[str, str], str] = {}
        self._workspace = workspace
        self._triggers: dict[str, Trigger] = {}
        self._exchanged: set[str] = set()

    # --- triggers

    def trigger(self, app: App, user_id: str, source: str, view: View | None = None) -> str:
        """A new trigger for something this person just did."""
        now = self._workspace.clock.now()
        number = int(now * 1000) % 10**10
        name = f"{number}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        view_id = view.id if view else None
        self._triggers[name] = Trigger(name, app.app_id, user_id, now, source, view_id)
        return name

    def exchange(self, trigger_id: str, app: App) -> Trigger:
        """Use a trigger up; says in Slack's words why it cannot be."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.app_id != app.app_id:
            raise SlackError("invalid_trigger_id")
        if trigger_id in self._exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._workspace.clock.now() - trigger.born > TRIGGER_LIFE:
            if self.expiry_as_arguments:
                words = "[ERROR] `trigger_id` expired [json-pointer:/trigger_id]"
                raise SlackError("invalid_arguments", [words])
            raise SlackError("expired_trigger_id")
        self._exchanged.add(trigger_id)
        return trigger

    # --- what apps do

    def open(self, trigger: Trigger, app: App, content: Json) -> View:
        """A first modal; one that answers a submission is accepted but never shown (bolt-js #1072)."""
        view = self._new(app, trigger.user_id, content, shown=trigger.source != "view_submission")
        if view.shown:
            self.stacks[trigger.user_id] = [view.id]
        self._workspace.pulse.beat()
        return view

    def push(self, trigger: Trigger, app: App, content: Json) -> View:
        """Another modal over the one in which the trigger was made."""
        stack = self.stacks.get(trigger.user_id, [])
        if trigger.view_id is None or trigger.view_id not in stack:
            raise SlackError("not_found")
        return self.push_over(self.views[trigger.view_id], app, content)

    def push_over(self, below: View, app: App, content: Json) -> View:
        """Another modal on top of the stack that `below` belongs to."""
        stack = self.stacks.get(below.user_id, [])
        if len(stack) >= STACK:
            raise SlackError("push_limit_reached")
        view = self._new(app, below.user_id, content, root=below.root_view_id, previous=stack[-1])
        stack.append(view.id)
        self._workspace.pulse.beat()
        return view

    def update(self, view: View, content: Json) -> View:
        """Other content in the same view, with a new hash."""
        self._free_name(content, but=view.id)
        new = replace(view, content=stored_view(content), hash=self._hash())
        self.views[view.id] = new
        self._workspace.pulse.beat()
        return new

    def publish(self, app: App, user_id: str, content: Json) -> View:
        """The Home tab of one person."""
        name = self.homes.get((app.app_id, user_id))
        if name is not None:
            return self.update(self.views[name], content)
        view = self._new(app, user_id, content)
        self.homes[app.app_id, user_id] = view.id
        self._workspace.pulse.beat()
        return view

    def named(self, app: App, *, view_id: str = "", external_id: str = "") -> View:
        """The app's view of that id, open or home."""
        for view in self.views.values():
            if view.app_id == app.app_id and (
                view.id == view_id or (external_id and view.external_id == external_id)
            ):
                return view
        raise SlackError("not_found")

    # --- what people do

    def top(self, user_id: str) -> View | None:
        """The modal on this person's screen."""
        stack = self.stacks.get(user_id)
        return self.views[stack[-1]] if stack else None

    def close(self, view: View) -> None:
        """Take one view off the stack; the one below comes back."""
        stack = self.stacks.get(view.user_id, [])
        if view.id in stack:
            stack.remove(view.id)
        self.views.pop(view.id, None)
        self._workspace.pulse.beat()

    def clear(self, user_id: str) -> list[View]:
        """Close the whole stack; returns what was open, bottom first."""
        gone = [self.views[name] for name in self.stacks.pop(user_id, [])]
        for view in gone:
            self.views.pop(view.id, None)
        self._workspace.pulse.beat()
        return gone

    def _new(
        self,
        app: App,
        user_id: str,
        content: Json,
        *,
        root: str | None = None,
        previous: str | None = None,
        shown: bool = True,
    ) -> View:
        self._free_name(content)
        name = self._workspace.new_id("V")
        view = View(
            id=name,
            app_id=app.app_id,
            bot_id=app.bot_id,
            team_id=self._workspace.team.id,
            user_id=user_id,
            content=stored_view(content),
            hash=self._hash(),
            root_view_id=root or name,
            previous_view_id=previous,
            shown=shown,
        )
        self.views[name] = view
        return view

    def _free_name(self, content: Json, but: str = "") -> None:
        wanted = content.get("external_id")
        if wanted and any(view.external_id == wanted and view.id != but for view in self.views.values()):
            raise SlackError("duplicate_external_id")

    def _hash(self) -> str:
        return f"{int(self._workspace.clock.now())}.{secrets.token_hex(4)}"
