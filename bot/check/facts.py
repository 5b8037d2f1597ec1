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


class Step(StrEnum):
    """A step of the walk from no Slack app to a first grant, in the order of docs/connect.md."""

    FILE = "file"
    APP = "app"
    CHANNELS = "channels"
    PEOPLE = "people"
    KEYS = "keys"
    DATABASE = "database"
    BACKENDS = "backends"
    ACCESSES = "accesses"
    FACTORS = "factors"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Severity
    key: str
    """Where it is mended: a key of the file, an environment variable, or `slack`."""
    sentence: str
    fix: str
    step: Step | None = None
    """Where in the walk it belongs, when the key alone does not say so."""


class WorkspaceSilent(BreakglassError):
    """Slack could not be asked; the text says why, free of secrets. `word` is Slack's own, if it gave one."""

    def __init__(self, text: str, word: str = "") -> None:
        super().__init__(text)
        self.word = word


class NotShown(BreakglassError):
    """Slack does not show this kind of thing to the bot; the text is its word for why."""


@dataclass(frozen=True, slots=True)
class Us:
    """Our app as Slack sees it."""

    workspace: str
    """Its name; the id is `team`."""
    team: str
    bot: str
    """The handle by which people invite it."""
    scopes: frozenset[str] | None
    """What the token is allowed: the header `x-oauth-scopes` of any answer; None when there was none."""


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

    Every method raises `WorkspaceSilent` when Slack cannot be asked, and those about people, groups and
    channels `NotShown` when a right is missing.
    """

    async def us(self) -> Us:
        """Who the bot token is."""
        ...

    async def connects(self) -> str:
        """Slack's word against the app-level token, or nothing: with it a socket can be opened."""
        ...

    async def people(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """Those of `ids` whom Slack knows."""
        ...

    async def group_members(self, group: str) -> frozenset[PersonId] | None:
        """Who is in a user group; None when there is no such group, or it is disabled."""
        ...

    async def channel(self, id: str) -> Channel | None:
        """The channel; None when Slack does not show it to the bot."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """Slack's answers about everything the file names."""

    us: Us
    connects: str
    people: Mapping[PersonId, Person]
    groups: Mapping[str, frozenset[PersonId] | None]
    channels: Mapping[str, Channel | None]
    unseen: Mapping[str, str]
    """Ids that Slack did not show for want of a right, each with its word for that."""

    @property
    def shows_people(self) -> bool:
        """Whether everybody in a role was seen: without that, nobody can be told to be locked out."""
        return not self.unseen.keys() - self.channels.keys()

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
    """Asks Slack about everything the file names. One missing right hides only what it is for.

    Raises:
        WorkspaceSilent: it could not be asked.
    """
    us = await workspace.us()
    unseen: dict[str, str] = {}
    roles = config.roles.values()
    groups: dict[str, frozenset[PersonId] | None] = {}
    for group in sorted({group for role in roles for group in role.groups}):
        try:
            groups[group] = await workspace.group_members(group)
        except NotShown as error:
            unseen[group] = str(error)
    wanted = {user for role in roles for user in role.users}
    wanted.update(member for members in groups.values() for member in members or ())
    wanted.update(person for rule in config.policy.deny for person in rule.people)
    people: Mapping[PersonId, Person] = {}
    try:
        people = await workspace.people(sorted(wanted))
    except NotShown as error:
        unseen |= dict.fromkeys(wanted, str(error))
    channels: dict[str, Channel | None] = {}
    for _use, id in config.channels:
        try:
            channels[id] = await workspace.channel(id)
        except NotShown as error:
            unseen[id] = str(error)
            channels[id] = None
    return Facts(us, await workspace.connects(), people, groups, channels, unseen)


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
