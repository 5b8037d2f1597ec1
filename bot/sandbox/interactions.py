"""What Slack sends to an app when a person does something: commands, shortcuts, actions, views.

Shapes follow docs.slack.dev/reference/interaction-payloads. An action in an ephemeral message carries no
`message`; one in a view carries the view with what is filled in, and no response_url.
"""

from dataclasses import dataclass

from bot.sandbox.apps import App
from bot.sandbox.delivery import Delivery
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.modals import Modals
from bot.sandbox.records import Channel, User, View
from bot.sandbox.responses import Responses
from bot.sandbox.workspace import Workspace


@dataclass
class Interactions:
    """Builds each payload and returns the app's answer; NoAnswerError when there was none in time."""

    workspace: Workspace
    modals: Modals
    responses: Responses
    delivery: Delivery

    async def command(self, user: User, app: App, name: str, text: str, channel: Channel) -> tuple[str, Json]:
        """A slash command; its response_url and the app's answer."""
        team = self.workspace.team
        url = self.responses.new(app, user.id, channel.id)
        payload = {
            "token": app.verification_token,
            "team_id": team.id,
            "team_domain": team.domain,
            "channel_id": channel.id,
            "channel_name": {"im": "directmessage", "group": "privategroup"}.get(channel.kind, channel.name),
            "user_id": user.id,
            "user_name": user.handle,
            "command": name,
            "text": text,
            "api_app_id": app.app_id,
            "is_enterprise_install": "false",
            "response_url": url,
            "trigger_id": self.modals.trigger(app, user.id, "command"),
        }
        return url, await self.delivery.interact(app, "slash_commands", payload, app.commands[name].url)

    async def shortcut(self, user: User, app: App, callback_id: str) -> Json:
        """A global shortcut."""
        payload = self._base("shortcut", user, app)
        return await self._ask(
            app, {**payload, "callback_id": callback_id, "action_ts": self.workspace.new_ts()}
        )

    async def message_action(self, user: User, app: App, callback_id: str, message: Message) -> Json:
        """A shortcut in the menu of a message."""
        channel = self.workspace.channels[message.channel]
        payload = {
            **self._base("message_action", user, app),
            "callback_id": callback_id,
            "action_ts": self.workspace.new_ts(),
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
            "message_ts": message.ts,
            "message": message.to_json(),
            "response_url": self.responses.new(app, user.id, channel.id, message),
        }
        return await self._ask(app, payload)

    async def act_on_message(
        self, user: User, app: App, message: Message, action: Json, values: Json
    ) -> None:
        """A click in a message; whatever the app answers is ignored."""
        payload = {
            **self._base("block_actions", user, app),
            **self._on_message(message),
            "state": {"values": values},
            "response_url": self.responses.new(app, user.id, message.channel, message),
            "actions": [{**action, "action_ts": self.workspace.new_ts()}],
        }
        await self._ask(app, payload)

    async def act_on_view(self, user: User, app: App, view: View, action: Json, values: Json) -> None:
        """A click in a modal or a Home tab."""
        payload = {
            **self._base("block_actions", user, app, view),
            **_on_view(view, values),
            "actions": [{**action, "action_ts": self.workspace.new_ts()}],
        }
        await self._ask(app, payload)

    async def suggest(self, user: User, app: App, place: Message | View, element: Json, typed: str) -> Json:
        """Ask the app for the options of an external select."""
        on = _on_view(place, {}) if isinstance(place, View) else self._on_message(place)
        base = self._base("block_suggestion", user, app)
        del base["trigger_id"]
        about = {"action_id": element["action_id"], "block_id": element["block_id"], "value": typed}
        return await self.delivery.interact(app, "interactive", {**base, **on, **about}, app.options_url)

    async def submit(self, user: User, app: App, view: View, values: Json) -> Json:
        """A modal's submit button; the answer says what becomes of the modal."""
        base = self._base("view_submission", user, app, view)
        return await self._ask(app, {**base, "view": view.to_json(values), "response_urls": []})

    async def closed(self, user: User, app: App, view: View, values: Json, *, cleared: bool) -> None:
        """A modal was closed without submitting."""
        base = self._base("view_closed", user, app)
        del base["trigger_id"]
        await self._ask(app, {**base, "view": view.to_json(values), "is_cleared": cleared})

    def _base(self, kind: str, user: User, app: App, view: View | None = None) -> Json:
        team = self.workspace.team
        return {
            "type": kind,
            "user": {"id": user.id, "username": user.handle, "name": user.handle, "team_id": user.team_id},
            "api_app_id": app.app_id,
            "token": app.verification_token,
            "trigger_id": self.modals.trigger(app, user.id, kind, view),
            "team": {"id": team.id, "domain": team.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _on_message(self, message: Message) -> Json:
        channel = self.workspace.channels[message.channel]
        ephemeral = message.ephemeral_to is not None
        on: Json = {
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": channel.id,
                "is_ephemeral": ephemeral,
            },
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        }
        if message.thread_ts:
            on["container"]["thread_ts"] = message.thread_ts
        return on if ephemeral else {**on, "message": message.to_json(with_metadata=True)}

    async def _ask(self, app: App, payload: Json) -> Json:
        return await self.delivery.interact(app, "interactive", payload, app.interactivity_url)


def _on_view(view: View, values: Json) -> Json:
    return {"container": {"type": "view", "view_id": view.id}, "view": view.to_json(values)}
