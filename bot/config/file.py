"""The reviewed file, table by table. Every field says what it is for.

Rule: these descriptions are the documentation. `docs/configuration.md` and the JSON Schema for editors are
generated from them (`python -m bot.config`), so there is nothing else to keep in step.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo, model_validator

from bot.config import words as w
from bot.config.duration import Duration, between
from bot.config.environment import Transport
from bot.core.machine import GRANT_GRACE
from bot.core.model import Mfa, PersonId

Count = Annotated[int, Strict()]

_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=size) for size in (1, 60, 3_600, 86_400))

AccessDuration = Annotated[Duration, *between(_SECOND, 7 * _DAY)]
"""An emergency that lasts longer than a week is no emergency: that is standing access."""

ReviewTime = Annotated[Duration, *between(_MINUTE, 30 * _DAY)]
"""Later than a month nobody remembers what was done."""


class Table(BaseModel):
    """A table of the file: frozen, and closed to keys that nobody knows."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class Channels(Table):
    """The Slack channels, by id. The bot must be a member of each."""

    requests: w.ChannelId
    """Where each request has its card and approvers decide."""
    audit: w.ChannelId
    """The locked channel every event is told to. Private; a post by anybody but the bot is an alarm."""
    security: w.ChannelId
    """Where alarms go: what somebody must look at now."""

    @model_validator(mode="after")
    def _audit_is_apart(self) -> Self:
        if self.audit in {self.requests, self.security}:
            raise ValueError(
                "The audit channel is also used for something else. Give it a channel of its own, "
                "where nobody else posts."
            )
        return self


def _address(value: object) -> object:
    found = (
        re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", value)
        if isinstance(value, str)
        else None
    )
    if isinstance(value, str) and (found is None or int(found[2]) > 65_535):
        raise ValueError(f"“{value}” is not an address. Write host and port, e.g. 127.0.0.1:8080.")
    return value


class Http(Table):
    """Where this server listens: for the machines that watch it and, with the transport `http`, for Slack."""

    listen: Annotated[str, BeforeValidator(_address)] = "127.0.0.1:8080"
    """Host and port. Keep it private, behind a proxy; in a container `0.0.0.0:8080`. Port 0: any free one."""

    @property
    def host(self) -> str:
        """The name or address, without the brackets of IPv6."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """0 stands for any free one."""
        return int(self.listen.rpartition(":")[2])


class Slack(Table):
    """How the bot and Slack reach each other. Tokens come from the environment."""

    transport: Transport = "socket"
    """`socket`: the bot opens a WebSocket (Socket Mode). `http`: Slack posts to `/slack/events` here."""


class History(Table):
    """The tamper-evident history."""

    checkpoint_every: Annotated[Duration, *between(_SECOND, _MINUTE)] = _MINUTE
    """How soon after an event a signed checkpoint covers it. `verify` misses one after two minutes."""
    heartbeat: Annotated[Duration, *between(_MINUTE, _HOUR)] = _HOUR
    """How often to sign and post a checkpoint when nothing happened, so that silence is proof too."""


class Keeper(Table):
    """What the bot does by the clock."""

    reconcile_every: Annotated[Duration, *between(5 * _SECOND, 5 * _MINUTE)] = _MINUTE
    """How often each provider is asked what access of ours lives there."""
    grant_deadline: Annotated[Duration, *between(_SECOND, GRANT_GRACE)] = timedelta(seconds=20)
    """A grant that the provider has not confirmed by then is revoked, never adopted."""


class Role(Table):
    """Who somebody is to the desk. A role with nobody in it is nobody."""

    users: tuple[w.UserId, ...] = ()
    """People, by Slack member id."""
    groups: tuple[w.GroupId, ...] = ()
    """Slack user groups, by id. Whoever can edit the group edits this role: restrict that in Slack."""


class Desk(Table):
    """Who looks after the desk itself."""

    security: Annotated[tuple[w.RoleRef, ...], Field(min_length=1)]
    """Roles that may revoke anyone's access and are told of alarms."""


class Review(Table):
    """The review that follows every use. Each access may say otherwise for itself."""

    reviewers: Annotated[tuple[w.RoleRef, ...], Field(min_length=1)]
    """Roles that judge a use. Never the requester, nor the only person who approved."""
    report_within: ReviewTime = timedelta(hours=24)
    """How long the requester has, after the access ended, to say what was done."""
    review_within: ReviewTime = timedelta(hours=72)
    """How long after the end the review must be signed."""


class Backend(Table):
    """One provider, reached with one set of credentials. Further keys belong to its kind."""

    model_config = ConfigDict(extra="allow")

    kind: w.Name
    """Which adapter this is, e.g. `memory`, `postgres`, `aws-iam`. Each kind has further keys of its own."""
    people: Mapping[w.UserId, w.Line] = {}
    """Who a person is at this provider: Slack member id = the name there. Some kinds need none."""

    @property
    def principals(self) -> Mapping[PersonId, str]:
        """`people`, in the word the desk uses for what a person is at a provider."""
        return self.people

    @property
    def settings(self) -> Mapping[str, object]:
        """The keys that belong to the kind."""
        return self.model_extra or {}


class Tier(Table):
    """One step of approval."""

    roles: Annotated[tuple[w.RoleRef, ...], Field(min_length=1)]
    """Roles whose members may decide in this step."""
    count: Annotated[Count, Field(ge=1, le=10)] = 1
    """How many distinct people must say yes. One person counts once in the whole request."""

    @model_validator(mode="after")
    def _can_be_filled(self, info: ValidationInfo) -> Self:
        names = w.names_in(info)
        lists = [names.listed.get(role) for role in self.roles] if names else [None]
        people: set[str] = set()
        for listed in lists:
            if listed is None:
                return self
            people |= listed
        if self.count > len(people):
            raise ValueError(
                f"This step needs {self.count} people and its roles list {len(people)}. "
                "Lower the count or add people to the roles."
            )
        return self


class Access(Table):
    """What may be granted, and what it takes to get it."""

    title: w.AccessTitle
    """What people read when they choose. At most 75 characters."""
    environment: w.Name
    """Where it reaches, e.g. `production`. It sets the default of `approver_mfa`."""
    risk: Literal["low", "medium", "high"]
    """How much harm it can do; shown to whoever approves."""
    backend: w.BackendRef
    """The backend that grants it."""
    scope: Mapping[str, str] = {}
    """What exactly is granted there, in the words of the backend's kind, e.g. `{ role = "prod_ro" }`."""
    durations: Annotated[tuple[AccessDuration, ...], Field(min_length=1, max_length=w.CHECKBOXES)]
    """The durations on offer. The shortest that does the job comes first."""
    requesters: tuple[w.RoleRef, ...]
    """Roles whose members may ask. Empty means nobody."""
    approval: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=5)]
    """The steps of approval, in order. All must be filled, by distinct people, never by the requester."""
    mfa: Mfa = Mfa.TOTP
    """The second factor the requester proves for each request: `totp` or `none`."""
    approver_mfa: Mfa | None = None
    """The second factor each approver proves. Left out: `totp` in `production`, else `none`."""
    mfa_max_age: Annotated[Duration, *between(_MINUTE, _HOUR)] = timedelta(minutes=10)
    """A proof older than this when the last approval arrives must be renewed before the grant."""
    lapse_after: Annotated[Duration, *between(_MINUTE, _DAY)] = timedelta(minutes=30)
    """A request nobody decided lapses after this. Silence never approves."""
    reviewers: Annotated[tuple[w.RoleRef, ...] | None, Field(min_length=1)] = None
    """Roles that judge a use of this access. Left out: those of `[review]`."""
    report_within: ReviewTime | None = None
    """Left out: that of `[review]`."""
    review_within: ReviewTime | None = None
    """Left out: that of `[review]`."""

    @model_validator(mode="after")
    def _offers_each_duration_once(self) -> Self:
        if len(set(self.durations)) != len(self.durations):
            raise ValueError("The same duration is offered twice. Remove one of them.")
        return self


class Incident(Table):
    """The incident reference a scenario asks for."""

    pattern: Annotated[str, Field(min_length=1)]
    """A regular expression (Python's) that the whole reference must match."""
    example: w.Line
    """A reference that matches; shown as a hint."""

    @model_validator(mode="after")
    def _shows_what_it_means(self) -> Self:
        try:
            matches = re.fullmatch(self.pattern, self.example)
        except re.error as error:
            raise ValueError(
                f"“{self.pattern}” is not a regular expression: {error}. "
                "In single quotes TOML leaves backslashes alone: 'INC-\\d+'."
            ) from None
        if not matches:
            raise ValueError(
                f"The example “{self.example}” does not match the pattern “{self.pattern}”. Mend one of them."
            )
        return self


class Scenario(Table):
    """A kind of emergency, thought through beforehand. Access can be asked for only through one."""

    title: w.ScenarioTitle
    """What people read when they choose. At most 75 characters."""
    criteria: Annotated[tuple[w.Option, ...], Field(min_length=1, max_length=w.CHECKBOXES)]
    """What must be true for this to be it; the requester confirms each. At most 10, of 75 characters."""
    accesses: Annotated[tuple[w.AccessRef, ...], Field(min_length=1, max_length=w.MOST_ACCESSES)]
    """What may be asked for."""
    incident: Incident | None = None
    """Ask for an incident reference. Left out: none is asked for."""
    reason_min: Annotated[Count, Field(ge=1, le=500)] = 10
    """How many characters the reason needs at least."""

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if len(set(self.criteria)) != len(self.criteria) or len(set(self.accesses)) != len(self.accesses):
            raise ValueError("A criterion or an access is listed twice. Remove one of the two.")
        return self


class Deny(Table):
    """A rule that nothing overrides: it forbids what matches everything it names."""

    because: w.Line
    """Why; the person who is refused reads it."""
    people: tuple[w.UserId, ...] = ()
    """These people."""
    roles: tuple[w.RoleRef, ...] = ()
    """Members of these roles."""
    accesses: tuple[w.AccessGlob, ...] = ()
    """These accesses; `*` and `?` stand for any characters."""
    environments: tuple[w.EnvironmentRef, ...] = ()
    """Accesses in these environments."""
    scope: Mapping[str, str] = {}
    """Accesses whose scope matches, key by key; `*` and `?` stand for any characters."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.people or self.roles or self.accesses or self.environments or self.scope):
            raise ValueError(
                "This rule names nothing, so it would forbid everything to everyone. "
                'If that is meant, write accesses = ["*"].'
            )
        return self


class File(Table):
    """The reviewed file of a Breakglass installation."""

    installation: w.InstallationName
    """Part of every mark at providers, by which our access is found again. Never change it."""
    channels: Channels
    """The Slack channels, by id."""
    http: Http = Http()
    """Where this server listens."""
    slack: Slack = Slack()
    """How the bot and Slack reach each other."""
    history: History = History()
    """The tamper-evident history."""
    keeper: Keeper = Keeper()
    """What the bot does by the clock."""
    roles: Annotated[Mapping[w.Name, Role], Field(min_length=1)]
    """Who somebody is to the desk, by the role's name."""
    desk: Desk
    """Who looks after the desk itself: `security`."""
    review: Review
    """Who reviews a use, and until when: `reviewers`."""
    backends: Annotated[Mapping[w.Name, Backend], Field(min_length=1)]
    """Where access is granted, by the backend's name."""
    accesses: Annotated[Mapping[w.Name, Access], Field(min_length=1)]
    """What may be granted, by the access's name."""
    scenarios: Annotated[Mapping[w.Name, Scenario], Field(min_length=1, max_length=w.SELECT_OPTIONS)]
    """The emergencies thought through beforehand, by the scenario's name."""
    deny: tuple[Deny, ...] = ()
    """Rules that nothing overrides."""
