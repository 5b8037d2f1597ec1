"""An installed app: what its manifest asked for is what it has, and nothing more."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.sandbox.kit.schema import Json


@dataclass(frozen=True)
class Command:
    """A slash command of the manifest."""

    name: str
    url: str | None
    should_escape: bool
    description: str = ""
    usage: str = ""


@dataclass(frozen=True)
class Shortcut:
    """A shortcut of the manifest: in the lightning menu, or in that of a message."""

    name: str
    kind: Literal["global", "message"]


@dataclass(frozen=True)
class App:
    """An installation: ids, secrets, and the manifest read once."""

    app_id: str
    bot_id: str
    bot_user_id: str
    name: str
    bot_token: str = field(repr=False)
    app_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    verification_token: str = field(repr=False)
    scopes: frozenset[str]
    subscriptions: frozenset[str]
    commands: Mapping[str, Command]
    shortcuts: Mapping[str, Shortcut]
    socket_mode: bool
    home_tab: bool
    events_url: str | None
    interactivity_url: str | None
    options_url: str | None


@dataclass(frozen=True)
class Token:
    """What a token stands for: a bot, an app (Socket Mode only) or a person."""

    kind: Literal["bot", "app", "user"]
    user_id: str
    app_id: str | None
    state: Literal["live", "revoked"] = "live"


def app_from(manifest: Json, *, app_id: str, bot_id: str, bot_user_id: str) -> App:
    """The app a manifest describes, with fresh secrets; a missing section means "no"."""
    features = manifest.get("features", {})
    settings = manifest.get("settings", {})
    events = settings.get("event_subscriptions", {})
    interactivity = settings.get("interactivity", {})
    url = interactivity.get("request_url")
    socket_mode = bool(settings.get("socket_mode_enabled"))
    return App(
        app_id=app_id,
        bot_id=bot_id,
        bot_user_id=bot_user_id,
        name=manifest["display_information"]["name"],
        bot_token=f"xoxb-{secrets.token_hex(12)}",
        app_token=f"xapp-1-{app_id}-{secrets.token_hex(12)}",
        signing_secret=secrets.token_hex(16),
        verification_token=secrets.token_hex(12),
        scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
        subscriptions=frozenset(events.get("bot_events", [])),
        commands={
            entry["command"]: Command(
                entry["command"],
                entry.get("url"),
                bool(entry.get("should_escape")),
                entry.get("description", ""),
                entry.get("usage_hint", ""),
            )
            for entry in features.get("slash_commands", [])
        },
        shortcuts={
            entry["callback_id"]: Shortcut(entry["name"], entry["type"])
            for entry in features.get("shortcuts", [])
        },
        socket_mode=socket_mode,
        home_tab=bool(features.get("app_home", {}).get("home_tab_enabled")),
        events_url=events.get("request_url"),
        interactivity_url=url,
        options_url=interactivity.get("message_menu_options_url") or url,
    )
