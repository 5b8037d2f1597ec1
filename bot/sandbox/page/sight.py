"""What one person sees, in pieces: (kind, id, mark, make), the mark telling cheaply whether a piece changed.

Rule: a mark is a frozen record itself (compared by identity, so that thousands of messages cost next to
nothing), or, for the few things without one, the value; `make` builds the JSON only for what changed.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bot.sandbox.client import Persona
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.page import exchanges
from bot.sandbox.records import Channel, User
from bot.sandbox.sandbox import Sandbox


class Piece(NamedTuple):
    """Something on the page."""

    kind: str
    id: str
    mark: object
    make: Callable[[], Json]


def pieces(sandbox: Sandbox, persona: Persona) -> Iterator[Piece]:
    """All that this person sees now, in the order in which a page can use it."""
    yield from _people(sandbox)
    yield from _apps(sandbox)
    visible = [channel for channel in sandbox.channels.values() if persona.sees(channel)]
    for channel in visible:
        yield Piece("channel", channel.id, channel, lambda it=channel: _channel(it, persona.id))  # type: ignore[misc] # bound at once
    yield from _windows(sandbox, persona)
    for message in persona.ephemerals():
        yield _message("ephemeral", message)
    for channel in visible:
        for message in sandbox.workspace.messages[channel.id].values():
            yield _message("message", message)
    yield from _exchanges(sandbox)


def _people(sandbox: Sandbox) -> Iterator[Piece]:
    for user in sandbox.users.values():
        yield Piece("person", user.id, user, lambda it=user: _person(it))  # type: ignore[misc] # bound at once
    for group in sandbox.workspace.usergroups.values():
        value = {"id": group.id, "handle": group.handle, "name": group.name, "users": list(group.users)}
        yield _small("group", value)


def _apps(sandbox: Sandbox) -> Iterator[Piece]:
    for app in sandbox.workspace.apps.values():
        for command in app.commands.values():
            about = {"usage": command.usage, "description": command.description}
            yield _small("command", {"id": command.name, "name": command.name, "app_id": app.app_id, **about})
        for callback_id, shortcut in app.shortcuts.items():
            about = {"kind": shortcut.kind, "name": shortcut.name}
            yield _small("shortcut", {"id": callback_id, "app_id": app.app_id, **about})


def _windows(sandbox: Sandbox, persona: Persona) -> Iterator[Piece]:
    stack = persona.modals()
    for depth, modal in enumerate(stack):
        value = {
            "id": modal.view.id,
            "depth": depth,
            "top": depth == len(stack) - 1,
            "view": modal.view.to_json(),
            "values": modal.values(),
            "suggested": modal.suggested(),
        }
        yield _small("modal", value)
    for app in sandbox.workspace.apps.values():
        if app.home_tab:
            home = persona.home(app)
            shown = {"view": home.view.to_json(), "values": home.values()} if home else {"view": None}
            yield _small("home", {"id": app.app_id, "app_id": app.app_id, "values": {}, **shown})


def _exchanges(sandbox: Sandbox) -> Iterator[Piece]:
    log, workspace = sandbox.wire_log, sandbox.workspace
    first = max(0, len(log) - exchanges.LAST)
    secrets = exchanges.secrets_of(list(workspace.apps.values()), list(workspace.tokens))
    for number, exchange in enumerate(log[first:], start=first):
        mark = (exchange.status, exchange.answer is None)
        yield Piece(
            "exchange",
            str(number),
            mark,
            lambda it=exchange, at=number: exchanges.shown(at, it, secrets),  # type: ignore[misc] # bound at once
        )


def _small(kind: str, value: Json) -> Piece:
    return Piece(kind, str(value["id"]), value, lambda: value)


def _message(kind: str, message: Message) -> Piece:
    name = f"{message.channel}:{message.ts}"
    more: Json = {"channel": message.channel, "id": name}
    if kind == "ephemeral":
        more["ephemeral"] = True
    return Piece(kind, name, message, lambda: {**message.to_json(), **more})


def _person(user: User) -> Json:
    person: Json = {
        "id": user.id,
        "handle": user.handle,
        "name": user.name,
        "tz": user.tz,
        "is_bot": user.is_bot,
        "is_admin": user.is_admin,
        "is_owner": user.is_owner,
        "deleted": user.deleted,
        "is_guest": user.is_restricted or user.is_ultra_restricted,
        "is_stranger": user.is_stranger,
    }
    return person | ({"app_id": user.app_id} if user.app_id else {})


def _channel(channel: Channel, you: str) -> Json:
    partner = next((user for user in channel.members if user != you), you)
    return {
        "id": channel.id,
        "name": partner if channel.kind == "im" else channel.name,
        "kind": channel.kind,
        "is_private": channel.is_private,
        "is_member": you in channel.members,
        "is_archived": channel.is_archived,
        "topic": channel.topic,
        "purpose": channel.purpose,
        "members": list(channel.members),
        "only_admins_post": channel.only_admins_post,
        "is_ext_shared": channel.is_ext_shared,
    }
