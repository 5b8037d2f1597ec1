"""What Slack says about the file: our app, its channels, the people in the roles. Pure.

Rule: no finding without its fix. Click paths are from Slack's documentation (docs.slack.dev, slack.com/help).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from bot.check.facts import Channel, Facts, Finding, Severity, WorkspaceSilent, colleagues, unfit
from bot.config import Config

SCOPES: Final[Mapping[str, str]] = {
    "commands": "offer /breakglass",
    "chat:write": "post requests, alarms and the audit",
    "im:write": "write to people directly",
    "users:read": "see who is deactivated, a guest or a stranger",
    "usergroups:read": "see who is in a user group",
    "channels:read": "see what became of a public channel",
    "channels:history": "see what others do in a public audit channel",
    "groups:read": "see what became of a private channel",
    "groups:history": "see what others do in the private audit channel",
}
"""What the bot's token is needed for. `manifest.yml` asks for them all; some files need fewer."""

SETTINGS: Final = "https://api.slack.com/apps → your app"
"""Where every click path in the app's settings begins."""

REINSTALL: Final = (
    f"{SETTINGS} → OAuth & Permissions → Bot Token Scopes → Add an OAuth Scope (manifest.yml has them all); "
    "then Install App → Reinstall to Workspace."
)
APP_TOKEN: Final = (
    f"{SETTINGS} → Basic Information → App-Level Tokens → Generate Token and Scopes, with connections:write; "
    "and Socket Mode → Enable Socket Mode."
)
BOT_TOKEN: Final = f"{SETTINGS} → OAuth & Permissions → copy the Bot User OAuth Token into SLACK_BOT_TOKEN."
REFUSED: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}
)
"""Slack's words for a token that is not, or no longer, one."""
GROUP_ID: Final = "In Slack: People → User groups → the group → ⋮ → Copy group ID; mend the id, or remove it."
MEMBER_ID: Final = "In Slack, open a profile → ⋮ → Copy member ID; mend the id, or remove it."

NOT_SHOWN: Final[Mapping[str, str]] = {
    "plan_upgrade_required": "this workspace's plan has no user groups",
    "missing_scope": "a scope is missing",
}
"""Slack's words for what it does not show, in ours."""


def silent(error: WorkspaceSilent) -> Finding:
    """Slack could not be asked, so nothing is known of people and channels."""
    refused = error.word in REFUSED
    return Finding(
        Severity.ERROR,
        "SLACK_BOT_TOKEN" if refused else "slack",
        f"Slack did not say who is who: {error}",
        BOT_TOKEN if refused else "See whether Slack can be reached from here, then check again.",
    )


def app(facts: Facts) -> Iterator[Finding]:
    """The app-level token, without which no socket can be opened."""
    if facts.connects:
        yield Finding(
            Severity.ERROR,
            "SLACK_APP_TOKEN",
            f"Slack opens no socket with it: it said {facts.connects}.",
            APP_TOKEN,
        )


def people(config: Config, facts: Facts) -> Iterator[Finding]:
    """Listed people and groups that Slack does not know, or who have no say."""
    for name, role in config.roles.items():
        for user in role.users:
            person = facts.people.get(user)
            if person is None:
                yield Finding(
                    Severity.ERROR,
                    f"roles.{name}.users",
                    f"Slack does not know {user} in this workspace.",
                    MEMBER_ID,
                )
            elif trouble := unfit(person):
                yield Finding(
                    Severity.WARNING,
                    f"roles.{name}.users",
                    f"{person.name} ({user}) {trouble}, and so has no say.",
                    "Remove them from the role.",
                )
        for group in role.groups:
            if facts.groups.get(group) is None:
                yield Finding(
                    Severity.ERROR,
                    f"roles.{name}.groups",
                    f"Slack does not know the user group {group}, or it is disabled.",
                    GROUP_ID,
                )
    if not colleagues(facts.roster(config), config.policy.security):
        yield Finding(
            Severity.ERROR,
            "desk.security",
            "Nobody is told of alarms: no full, active account is in these roles.",
            "Add people to one of them.",
        )
    for index, rule in enumerate(config.policy.deny):
        for unknown in sorted(rule.people - facts.people.keys()):
            yield Finding(
                Severity.WARNING,
                f"deny[{index}].people",
                f"Slack does not know {unknown} in this workspace, so the rule does not catch who is meant.",
                MEMBER_ID,
            )


def hidden(config: Config, facts: Facts) -> Finding:
    """Not everybody in the roles could be seen, so that nothing is said of them."""
    why = next(word for id, word in facts.unseen.items() if id not in facts.channels)
    groups = any(role.groups for role in config.roles.values())
    return Finding(
        Severity.ERROR,
        "roles",
        f"Slack does not show the bot everybody in the roles: {NOT_SHOWN.get(why, why)}. Who would be "
        "locked out cannot be told.",
        "Mend the scopes first." + (" Or name people under users, without groups." if groups else ""),
    )


def channels(config: Config, facts: Facts) -> Iterator[Finding]:
    """Channels that cannot be used, or that show more to more people than they should."""
    for use, id in config.channels:
        key, channel = f"channels.{use}", facts.channels.get(id)
        if id in facts.unseen:
            word = facts.unseen[id]
            yield Finding(
                Severity.ERROR,
                key,
                f"Slack does not show the channel {id} to the bot: {NOT_SHOWN.get(word, word)}.",
                "Mend the scopes first, then check again.",
            )
        elif channel is None:
            yield Finding(
                Severity.ERROR,
                key,
                f"Slack does not show the channel {id} to the bot: the id is wrong, or the channel is "
                "private and the bot is not in it.",
                "The id is at the bottom of the channel's details (click its name). If it is right, type "
                f"there: /invite @{facts.us.bot}",
            )
        else:
            yield from _channel(key, channel, facts.us.bot, is_audit=use == "audit")


def _channel(key: str, channel: Channel, bot: str, *, is_audit: bool) -> Iterator[Finding]:
    name = f"#{channel.name}"
    if channel.is_archived:
        yield Finding(
            Severity.ERROR,
            key,
            f"{name} is archived.",
            f"Open {name} → its name → Settings → Unarchive channel, or name another channel.",
        )
    elif not channel.is_member:
        yield Finding(Severity.ERROR, key, f"The bot is not in {name}.", f"Type in {name}: /invite @{bot}")
    if channel.is_shared:
        yield Finding(
            Severity.WARNING,
            key,
            f"{name} is shared with another organisation, who can read it.",
            f"Open {name} → its name → Integrations or Settings → stop sharing, or name another channel.",
        )
    if is_audit and not channel.is_private:
        yield Finding(
            Severity.WARNING,
            key,
            f"{name} is public: everybody can read the audit and post into it.",
            f"Open {name} → its name → Settings → Change to a private channel. On Business+ and above also: "
            "Posting permissions → only the bot.",
        )


def scopes(config: Config, facts: Facts) -> Iterator[Finding]:
    """What the bot's token may not do although this file needs it."""
    granted = facts.us.scopes
    if granted is None:
        yield Finding(
            Severity.WARNING,
            "slack",
            "What answers there does not say which scopes the token has, as Slack does.",
            f"Compare them with manifest.yml: {SETTINGS} → OAuth & Permissions.",
        )
        return
    audit = facts.channels.get(config.channels.audit)
    seen = [channel for channel in facts.channels.values() if channel]
    spare = {"groups:history" if audit and not audit.is_private else "channels:history"}
    if not any(role.groups for role in config.roles.values()):
        spare.add("usergroups:read")
    if len(seen) == len(facts.channels):
        spare |= {"channels:read"} if all(channel.is_private for channel in seen) else set()
        spare |= {"groups:read"} if not any(channel.is_private for channel in seen) else set()
    for scope, purpose in SCOPES.items():
        if scope not in granted | spare:
            yield Finding(
                Severity.ERROR, "slack", f"Without the scope {scope} the bot cannot {purpose}.", REINSTALL
            )
