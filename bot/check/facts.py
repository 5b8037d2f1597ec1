"""What `breakglass check` looks at, and what it says: facts in, findings out.

Rule: Slack is asked once, here, for everything. Every judgement after that is a pure function of the facts,
so that a test can show any finding in five lines and without a network.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bot.config import Config
from bot.core.errors import BreakglassError
from bot.core.model import Person, PersonId, Roster


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Somebody will be locked out, or the bot cannot do its work."""
    WARNING = "warning"
    """It works; somebody should look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Severity
    key: str
    """Where it is mended: a key of the file, an environment variable, or `slack`."""
    sentence: str
    fix: str


class WorkspaceSilent(BreakglassError):
    """Slack could not be asked; the text says why, free of secrets."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as Slack describes it to the bot."""

    id: str
    name: str
    is_private: bool
    is_archived: bool = False
    is_shared: bool = False
    """With another organisation or workspace."""
    is_member: bool = True
    """Whether the bot is in it."""


class Workspace(Protocol):
    """What must be known of a Slack workspace.

    Every method raises `WorkspaceSilent` when Slack cannot be asked.
    """

    async def people(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """Those of `ids` whom Slack knows."""
        ...

    async def group_members(self, group: str) -> frozenset[PersonId] | None:
        """Who is in a user group; None when there is no such group, or it is disabled."""
        ...

    async def channel(self, id: str) -> Channel | None:
        """The channel; None when Slack does not show it to the bot."""
        ...

    async def scopes(self) -> frozenset[str]:
        """What the bot's token is allowed: the header `x-oauth-scopes` of any answer."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """Slack's answers about everything the file names."""

    people: Mapping[PersonId, Person]
    groups: Mapping[str, frozenset[PersonId] | None]
    channels: Mapping[str, Channel | None]
    scopes: frozenset[str]

    def roster(self, config: Config) -> Roster:
        """Who is in which role, whether or not their accounts are fit for it."""
        return Roster(
            people=self.people,
            roles={
                name: frozenset(role.users).union(*(self.groups.get(group) or () for group in role.groups))
                for name, role in config.roles.items()
            },
        )


async def look(config: Config, workspace: Workspace) -> Facts:
    """Asks Slack about everything the file names.

    Raises:
        WorkspaceSilent: it could not be asked.
    """
    roles = config.roles.values()
    groups = {
        group: await workspace.group_members(group)
        for group in sorted({g for role in roles for g in role.groups})
    }
    people = {user for role in roles for user in role.users}
    people.update(member for members in groups.values() for member in members or ())
    people.update(person for rule in config.policy.deny for person in rule.people)
    channels = config.channels
    return Facts(
        people=await workspace.people(sorted(people)),
        groups=groups,
        channels={
            id: await workspace.channel(id) for id in (channels.requests, channels.audit, channels.security)
        },
        scopes=await workspace.scopes(),
    )


def unfit(person: Person) -> str:
    """Why this account has no say here, as `policy` sees it too; empty when it has."""
    if not person.active:
        return "is deactivated"
    if person.is_bot:
        return "is a bot"
    if person.is_stranger:
        return "belongs to another organisation"
    return "is a guest" if person.is_guest else ""


def colleagues(roster: Roster, roles: Iterable[str]) -> frozenset[PersonId]:
    """The holders of `roles` who have a say: humans of this workspace with full, active accounts."""
    return frozenset(
        id for id in roster.holders(tuple(roles)) if (person := roster.people.get(id)) and not unfit(person)
    )


def names(ids: Iterable[PersonId], roster: Roster) -> str:
    """`Alice (U0ALICE), Bob (U0BOB) and 3 more`; `nobody` when there is none."""
    found = sorted(f"{person.name} ({id})" if (person := roster.people.get(id)) else id for id in ids)
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(found[:5]) + more or "nobody"
