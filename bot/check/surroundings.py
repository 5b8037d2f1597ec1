"""What Slack, the providers and the environment say about the file. Rule: no finding without its fix."""

import asyncio
import fnmatch
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Final

from bot.backends import Backend, Checks
from bot.check.facts import Channel, Facts, Finding, Severity, colleagues, unfit
from bot.config import SERVE, Config, ConfigError, Environment, Need
from bot.core.errors import BackendError

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

REINSTALL: Final = "Add it to the app (manifest.yml has them all) and install the app again."


# --- the file itself --------------------------------------------------------------------------------------


def told(error: ConfigError) -> Iterator[Finding]:
    """The mistakes of the file or the environment, as findings."""
    for problem in error.problems:
        key, _, text = problem.partition(": ")
        yield _split(key, text)


def _split(key: str, text: str) -> Finding:
    """What is wrong is the first sentence; the rest is how to mend it."""
    sentence, _, fix = text.partition(". ")
    return Finding(Severity.ERROR, key, f"{sentence.removesuffix('.')}.", fix)


def environment(env: Mapping[str, str], need: Collection[Need] = SERVE) -> Iterator[Finding]:
    """Secrets that are missing or wrong, and a signing key that others can read."""
    try:
        Environment.read(env, need=need)
    except ConfigError as error:
        yield from told(error)


def loose_ends(config: Config) -> Iterator[Finding]:
    """What is defined and never used, and rules that catch nothing."""
    policy = config.policy
    used = {*policy.security, *(role for rule in policy.deny for role in rule.roles)}
    for terms in policy.accesses.values():
        used |= {*terms.requesters, *terms.reviewers, *(role for tier in terms.tiers for role in tier.roles)}
    for role in [role for role in config.roles if role not in used]:
        yield Finding(
            Severity.WARNING,
            f"roles.{role}",
            f"The role “{role}” is not used anywhere.",
            "Name it where it belongs, or remove it.",
        )
    offered = {access for scenario in policy.scenarios.values() for access in scenario.accesses}
    for access in [access for access in policy.accesses if access not in offered]:
        yield Finding(
            Severity.WARNING,
            f"accesses.{access}",
            f"No scenario offers “{policy.accesses[access].title}”, so nobody can ask for it.",
            "Add it to the accesses of a scenario, or remove it.",
        )
    granting = {terms.backend for terms in policy.accesses.values()}
    for backend in [backend for backend in config.backends if backend not in granting]:
        yield Finding(
            Severity.WARNING,
            f"backends.{backend}",
            f"No access uses the backend “{backend}”.",
            "Name it in an access, or remove it.",
        )
    for index, rule in enumerate(policy.deny):
        for glob in rule.accesses:
            if not fnmatch.filter(policy.accesses, glob):
                yield Finding(
                    Severity.WARNING,
                    f"deny[{index}].accesses",
                    f"“{glob}” matches no access, so this part of the rule forbids nothing.",
                    "Mend the pattern.",
                )


# --- Slack ------------------------------------------------------------------------------------------------


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
                    "Mend the member id, or remove it.",
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
                    "Mend the group id, or remove it.",
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
                "Mend the member id, or remove it.",
            )


def channels(config: Config, facts: Facts) -> Iterator[Finding]:
    """Channels that cannot be used, or that show more to more people than they should."""
    for use, id in config.channels:
        key, channel = f"channels.{use}", facts.channels.get(id)
        if channel is None:
            yield Finding(
                Severity.ERROR,
                key,
                f"Slack does not show the channel {id} to the bot: the id is wrong, or the channel is "
                "private and the bot is not in it.",
                "Mend the id, or invite the bot there: /invite @Breakglass",
            )
        else:
            yield from _channel(key, channel, is_audit=use == "audit")


def _channel(key: str, channel: Channel, *, is_audit: bool) -> Iterator[Finding]:
    name = f"#{channel.name}"
    if channel.is_archived:
        yield Finding(Severity.ERROR, key, f"{name} is archived.", "Unarchive it, or name another channel.")
    elif not channel.is_member:
        yield Finding(
            Severity.ERROR, key, f"The bot is not in {name}.", f"Type in {name}: /invite @Breakglass"
        )
    if channel.is_shared:
        yield Finding(
            Severity.WARNING,
            key,
            f"{name} is shared with another organisation, who can read it.",
            "Stop sharing it, or name another channel.",
        )
    if is_audit and not channel.is_private:
        yield Finding(
            Severity.WARNING,
            key,
            f"{name} is public: everybody can read the audit and post into it.",
            "Make it private, and let only the bot post there.",
        )


def scopes(config: Config, facts: Facts) -> Iterator[Finding]:
    """What the bot's token may not do although this file needs it."""
    audit = facts.channels.get(config.channels.audit)
    seen = [channel for channel in facts.channels.values() if channel]
    spare = {"groups:history" if audit and not audit.is_private else "channels:history"}
    if not any(role.groups for role in config.roles.values()):
        spare.add("usergroups:read")
    if len(seen) == len(facts.channels):
        spare |= {"channels:read"} if all(channel.is_private for channel in seen) else set()
        spare |= {"groups:read"} if not any(channel.is_private for channel in seen) else set()
    for scope, purpose in SCOPES.items():
        if scope not in facts.scopes | spare:
            yield Finding(
                Severity.ERROR, "slack", f"Without the scope {scope} the bot cannot {purpose}.", REINSTALL
            )


# --- providers --------------------------------------------------------------------------------------------


async def providers(backends: Mapping[str, Backend], deadline: timedelta) -> list[Finding]:
    """Providers that do not answer, or that say what is wrong. All are asked at the same time."""
    found = await asyncio.gather(*(_provider(name, backend, deadline) for name, backend in backends.items()))
    return [finding for findings in found for finding in findings]


async def _provider(name: str, backend: Backend, deadline: timedelta) -> list[Finding]:
    key = f"backends.{name}"
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            if isinstance(backend, Checks):
                return [_split(key, problem) for problem in await backend.problems()]
            await backend.live()
    except BackendError as error:
        return [
            Finding(
                Severity.ERROR, key, f"{name} cannot be used: {error}", "Mend its settings or its rights."
            )
        ]
    except TimeoutError:
        seconds = int(deadline.total_seconds())
        return [
            Finding(
                Severity.ERROR,
                key,
                f"{name} did not answer within {seconds} s.",
                "See whether it is up and can be reached from here.",
            )
        ]
    return []
