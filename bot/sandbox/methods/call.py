"""One Web API call: who calls, with which arguments, and the questions every method asks of them.

A method is a function from a `Call` to the body of its answer; refusals are raised as `SlackError`. The table
`METHODS` is the whole API: what is not in it is `unknown_method`.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from bot.sandbox.apps import App, Token
from bot.sandbox.errors import SlackError
from bot.sandbox.kit.schema import Json
from bot.sandbox.modals import Modals
from bot.sandbox.records import Channel, Kind, User
from bot.sandbox.workspace import Workspace

T = TypeVar("T")
_TYPE_SCOPES: dict[Kind, str] = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}


@dataclass(frozen=True)
class Call:
    """A call that has passed authentication; `app` is None when a person calls with a token of their own."""

    args: Json
    token: Token
    app: App | None
    workspace: Workspace
    modals: Modals
    base_url: str
    new_socket_url: Callable[[App], str]

    # --- who

    @property
    def caller(self) -> User:
        """The user whose rights count: the bot, or the person."""
        return self.workspace.users[self.token.user_id]

    @property
    def bot(self) -> App:
        """The calling app; methods for apps only refuse people."""
        if self.app is None:
            raise SlackError("not_allowed_token_type")
        return self.app

    def need(self, scope: str) -> None:
        """The app must hold this scope; a person's own token holds them all."""
        if self.app is not None and scope not in self.app.scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(self.app.scopes)))

    def need_for(self, channel: Channel, right: str) -> None:
        """The scope of that right for this kind of channel: channels:read, groups:history, ..."""
        self.need(f"{_TYPE_SCOPES[channel.kind]}:{right}")

    # --- what

    def text(self, name: str, default: str = "") -> str:
        """A string argument."""
        value = self.args.get(name)
        return default if value is None else str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean argument, however the encoding spelt it."""
        value = self.args.get(name)
        return default if value is None else str(value).lower() in ("1", "true")

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        try:
            return int(self.args.get(name, default))
        except (TypeError, ValueError):
            raise SlackError(
                "invalid_arguments", [f"[ERROR] must be an integer [json-pointer:/{name}]"]
            ) from None

    def listed(self, name: str, default: str = "") -> list[str]:
        """A list, given as such or with commas."""
        value = self.args.get(name, default)
        items = value if isinstance(value, list) else str(value).split(",")
        return [str(item).strip() for item in items if str(item).strip()]

    def user(self, name: str = "user") -> User:
        """The user of that id, or user_not_found."""
        user = self.workspace.users.get(self.text(name))
        if user is None:
            raise SlackError("user_not_found")
        return user

    def channel(self, name: str = "channel") -> Channel:
        """A channel the caller can see; for another it does not exist."""
        wanted = self.text(name)
        channel = self.workspace.channels.get(wanted) or next(
            (found for found in self.workspace.channels.values() if wanted == f"#{found.name}"), None
        )
        if channel is None or (channel.is_private and self.caller.id not in channel.members):
            raise SlackError("channel_not_found")
        return channel

    def page(self, items: Sequence[T], *, limit: int, most: int) -> tuple[list[T], Json]:
        """One page of these and the metadata that leads to the next."""
        size = min(max(1, self.number("limit", limit)), most)
        start = _position(self.text("cursor"))
        rest = start + size < len(items)
        cursor = base64.b64encode(f"next:{start + size}".encode()).decode() if rest else ""
        return list(items[start : start + size]), {"response_metadata": {"next_cursor": cursor}}


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor).decode().removeprefix("next:"))
    except (binascii.Error, ValueError):
        raise SlackError("invalid_cursor") from None


Run: TypeAlias = Callable[[Call], Json]


@dataclass(frozen=True)
class Method:
    """A line of the method table. `tier` 0 is "special": not counted by the minute."""

    name: str
    run: Run
    tier: int
    args: frozenset[str]
    required: tuple[str, ...]
    scope: str | None
    tokens: frozenset[str]


METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    tier: int,
    args: str = "",
    required: str = "",
    scope: str | None = None,
    tokens: str = "bot user",
) -> Callable[[Run], Run]:
    """Enter a function into the table; `args` are all names Slack knows for it."""

    def enter(run: Run) -> Run:
        known = frozenset([*args.split(), *required.split()])
        METHODS[name] = Method(
            name, run, tier, known, tuple(required.split()), scope, frozenset(tokens.split())
        )
        return run

    return enter
