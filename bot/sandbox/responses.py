"""response_url: five uses within thirty minutes, the only way to change an ephemeral message.

The body of a command's ack means the same as a post to its response_url, and is shown by the same code.
"""

import json
import secrets
from dataclasses import dataclass, replace

from aiohttp import web

from bot.sandbox.apps import App
from bot.sandbox.errors import SlackError
from bot.sandbox.kit import check_message
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.wire import Exchange, WireLog
from bot.sandbox.workspace import Workspace

USES = 5
LIFE = 30 * 60.0


@dataclass
class ResponseUrl:
    """Where an answer goes: a person in a channel, and the message they acted on, if there was one."""

    app: App
    user_id: str
    channel_id: str
    original: Message | None
    born: float
    uses: int = 0


@dataclass
class Responses:
    """All response_urls handed out, by the secret at their end."""

    workspace: Workspace
    log: WireLog
    base_url: str = ""

    def __post_init__(self) -> None:
        self._given: dict[str, ResponseUrl] = {}

    def new(self, app: App, user_id: str, channel_id: str, original: Message | None = None) -> str:
        """A fresh address for answers to this interaction."""
        secret = secrets.token_urlsafe(18)
        now = self.workspace.clock.now()
        self._given[secret] = ResponseUrl(app, user_id, channel_id, original, now)
        family = "actions" if original else "commands"
        return f"{self.base_url}/{family}/{self.workspace.team.id}/{len(self._given)}/{secret}"

    async def handle(self, request: web.Request) -> web.Response:
        """POST to a response_url: JSON only; `ok` in plain text, or 404 with the reason."""
        target = self._given.get(request.match_info["secret"])
        args = _body(await request.read())
        app_id = target.app.app_id if target else None
        exchange = Exchange("to_slack", "response_url", args or {}, self.workspace.clock.now(), app_id)
        self.log.append(exchange)
        status, text = self._respond(target, args)
        exchange.status, exchange.answer = status, {"text": text}
        self.workspace.pulse.beat()
        return web.Response(status=status, text=text)

    def _respond(self, target: ResponseUrl | None, args: Json | None) -> tuple[int, str]:
        if target is None:
            return 404, "no_service"
        if target.uses >= USES or self.workspace.clock.now() - target.born > LIFE:
            return 404, "expired_url"
        if args is None:
            return 400, "invalid_payload"
        target.uses += 1
        try:
            self.show(target, args)
        except SlackError as error:
            return 400, error.code
        return 200, "ok"

    def show(self, target: ResponseUrl, args: Json) -> Message | None:
        """Do what the body asks for; the message the person now sees, if any."""
        if args.get("delete_original"):
            self._delete(target)
            return None
        blocks = args.get("blocks") or []
        if problems := check_message(blocks):
            raise SlackError("invalid_blocks", [str(found) for found in problems])
        text = str(args.get("text") or "")
        if not (text or blocks or args.get("attachments")):
            raise SlackError("no_text")
        message = Message(
            channel=target.channel_id,
            ts=self.workspace.new_ts(),
            text=text,
            user=target.app.bot_user_id,
            bot_id=target.app.bot_id,
            app_id=target.app.app_id,
            team=self.workspace.team.id,
            blocks=tuple(blocks),
            metadata=args.get("metadata"),
            thread_ts=args.get("thread_ts"),
        )
        if args.get("replace_original"):
            return self._replace(target, message)
        if args.get("response_type") == "in_channel":
            return self.workspace.store(message)
        return self.workspace.whisper(replace(message, ephemeral_to=target.user_id))

    def _delete(self, target: ResponseUrl) -> None:
        original = target.original
        if original is None:
            raise SlackError("cant_delete_message")
        if original.ephemeral_to:
            ephemerals = self.workspace.ephemerals
            ephemerals[:] = [found for found in ephemerals if found.ts != original.ts]
            self.workspace.pulse.beat()
        elif found := self.workspace.find(original.channel, original.ts):
            self.workspace.delete(found)

    def _replace(self, target: ResponseUrl, message: Message) -> Message | None:
        original = target.original
        if original is None:  # the answer to a command has nothing to replace
            return self.workspace.whisper(replace(message, ephemeral_to=target.user_id))
        if original.ephemeral_to:
            self._delete(target)
            new = replace(message, ts=original.ts, ephemeral_to=original.ephemeral_to)
            target.original = self.workspace.whisper(new)
            return target.original
        found = self.workspace.find(original.channel, original.ts)
        if found is None:
            raise SlackError("message_not_found")
        changes = {"text": message.text, "blocks": message.blocks}
        return self.workspace.edit(found, target.app.bot_user_id, **changes)


def _body(raw: bytes) -> Json | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
