"""The nouns of the desk, all frozen: a change is a new value, made only by `machine.apply`.

Times are timezone-aware UTC. Words that people typed are `Words`: the history keeps only a salted
commitment, so that the text can be erased later without breaking a proof.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

RequestId = NewType("RequestId", str)
"""`BG-7K3Q2M`: random, six characters of Crockford base32, easy to say on the phone. Also the grant's id."""

PersonId = NewType("PersonId", str)
"""A Slack user id (`U0123ABCD`) within the one workspace that this installation is bound to."""

Mark = NewType("Mark", str)
"""`bg-<installation>-<request id>` in lower case: what every object of ours carries at a provider."""

SYSTEM = PersonId("system")
"""The actor of everything that no human did."""

OPERATOR = PersonId("operator")
"""The actor of what was done from the command line on the server itself."""


class State(StrEnum):
    """Where a request stands. The table of moves is `machine.TRANSITIONS`."""

    AWAITING_MFA = "awaiting_mfa"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED_STALE = "approved_stale"
    GRANTING = "granting"
    ACTIVE = "active"
    REVOKING = "revoking"
    AWAITING_REVIEW = "awaiting_review"
    REVIEWED = "reviewed"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    FAILED = "failed"


PENDING = frozenset({State.AWAITING_MFA, State.AWAITING_APPROVAL, State.APPROVED_STALE})
HELD = frozenset({State.GRANTING, State.ACTIVE, State.REVOKING})
OPEN = PENDING | HELD - {State.REVOKING}
"""Somebody has access, or may come to have it."""
TERMINAL = frozenset({State.REVIEWED, State.DENIED, State.WITHDRAWN, State.LAPSED, State.FAILED})


class EndedBy(StrEnum):
    """What makes an access stop existing when its time is over."""

    PROVIDER = "provider"
    """The provider ends it by itself, even if we are gone."""
    LOGIN = "login"
    """The provider refuses new logins by itself; only we cut sessions that are open."""
    BOT = "bot"
    """Only we end it."""


class Why(StrEnum):
    """Why a grant ended."""

    EXPIRED = "expired"
    HANDED_BACK = "handed_back"
    REVOKED = "revoked"
    KILLED = "killed"
    GONE = "gone"
    """It was no longer at the provider although nobody here ended it."""
    FAILED = "failed"
    """The provider refused the grant."""
    UNANSWERED = "unanswered"
    """The provider, or we, did not answer in time: revoked rather than adopted."""


class Verdict(StrEnum):
    """How a reviewer judges one use."""

    REAL = "real"
    DRILL = "drill"
    MISUSE = "misuse"


class Mfa(StrEnum):
    """The second factor an access demands."""

    NONE = "none"
    TOTP = "totp"


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that never shows itself in `repr`, logs or formatted tracebacks; `reveal()` gives the text."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The text itself; call it as late as can be."""
        return self._text


@dataclass(frozen=True, slots=True)
class Words:
    """Something a person typed. `text` is None once erased; `commitment` stays for ever."""

    commitment: str
    text: str | None = field(default=None, repr=False, compare=False)
    salt: bytes = field(default=b"", repr=False, compare=False)
    falsified: bool = field(default=False, compare=False)
    """Somebody put another text in its place in the database. That text is not taken over: `text` is None."""

    @classmethod
    def of(cls, text: str, salt: bytes) -> "Words":
        """Commits to `text`: SHA-256 over the 16 bytes of salt followed by the UTF-8 text, in hex."""
        return cls(commit(salt, text.encode()), text, salt)

    @classmethod
    def stored(cls, commitment: str, salt: bytes, text: bytes) -> "Words":
        """What a database holds for a commitment; `falsified` when it is not what was committed to."""
        if commit(salt, text) != commitment:
            return cls(commitment, falsified=True)
        return cls(commitment, text.decode(), salt)

    def __str__(self) -> str:
        if self.text is None:
            return "[falsified; see breakglass verify]" if self.falsified else "[erased]"
        return self.text


def commit(salt: bytes, text: bytes) -> str:
    """SHA-256 over the salt followed by the UTF-8 text, in hex: what the history keeps of people's words."""
    return hashlib.sha256(salt + text).hexdigest()


@dataclass(frozen=True, slots=True)
class Person:
    """A human or not, as the directory describes them now."""

    id: PersonId
    name: str
    email: str = ""
    active: bool = True
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    """From another organisation (Slack Connect), or another workspace than the installation's."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in which role at one moment: the only thing policy knows about people."""

    people: Mapping[PersonId, Person]
    roles: Mapping[str, frozenset[PersonId]]

    def holders(self, roles: tuple[str, ...]) -> frozenset[PersonId]:
        """Everyone in any of `roles`. No role means nobody, and so does an unknown one."""
        return frozenset().union(*(self.roles.get(role, frozenset()) for role in roles))


@dataclass(frozen=True, slots=True)
class Ending:
    """How one access ends: by whom, and how long something may live on (`tail`), told before approval."""

    by: EndedBy
    tail: timedelta = timedelta(0)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of approval: `count` distinct humans out of `roles`."""

    roles: tuple[str, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What an access grants and what it takes to get it. Pinned, whole, to each request."""

    access: str
    title: str
    environment: str
    risk: str
    backend: str
    scope: Mapping[str, str]
    """The backend's own settings for this access, e.g. `{"role": "prod_ro"}`."""
    durations: tuple[timedelta, ...]
    requesters: tuple[str, ...]
    tiers: tuple[Tier, ...]
    mfa: Mfa
    approver_mfa: Mfa
    mfa_max_age: timedelta
    lapse_after: timedelta
    reviewers: tuple[str, ...]
    report_within: timedelta
    review_within: timedelta


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pre-registered kind of emergency. Access can be asked for only through one."""

    key: str
    title: str
    criteria: tuple[str, ...]
    accesses: tuple[str, ...]
    incident_pattern: str = ""
    """A regular expression the incident reference must match whole; empty: none is asked for."""
    incident_example: str = ""
    reason_min: int = 10


@dataclass(frozen=True, slots=True)
class Deny:
    """A rule that nothing overrides: it refuses when every criterion that is given matches."""

    because: str
    people: frozenset[PersonId] = frozenset()
    roles: tuple[str, ...] = ()
    accesses: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    scope: Mapping[str, str] = field(default_factory=dict)
    """Glob patterns per scope key: `{"role": "*superuser*"}`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force, with the hash of the reviewed file they came from."""

    hash: str
    scenarios: Mapping[str, Scenario]
    accesses: Mapping[str, Terms]
    deny: tuple[Deny, ...]
    security: tuple[str, ...]
    """Roles that may revoke anyone's access and are told of alarms."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One accepted second factor. `assertion` is unique: `totp/<person>/<time step>`."""

    method: Mfa
    assertion: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """One human's yes, in one tier (counted from 0)."""

    by: PersonId
    tier: int
    at: datetime
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """The no that ended it."""

    by: PersonId
    reason: Words


@dataclass(frozen=True, slots=True)
class End:
    """The ending of a grant, from the order to the proof."""

    why: Why
    by: PersonId
    ordered_at: datetime
    reason: Words | None = None
    attempts: int = 0
    next_try_at: datetime | None = None
    stuck_since: datetime | None = None
    last_error: str = ""
    by_hand: str = ""
    """What an administrator does at the provider to end it, once it is stuck."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """The judgement of one use by another human."""

    by: PersonId
    verdict: Verdict
    less_was_possible: bool
    follow_ups: Words
    at: datetime


class HandoffState(StrEnum):
    """Where the one-time credential of a grant is."""

    NONE = "none"
    WAITING = "waiting"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request and the one grant it may become. Changed only by `machine.apply`."""

    id: RequestId
    version: int
    state: State
    requester: PersonId
    scenario: str
    criteria: tuple[str, ...]
    terms: Terms
    policy: str
    duration: timedelta
    reason: Words
    incident: str
    principal: str
    """Who the requester is at the provider; empty where the backend needs none."""
    mark: Mark
    ending: Ending
    opened_at: datetime
    lapses_at: datetime
    scenario_title: str = ""
    proof: Proof | None = None
    approvals: tuple[Approval, ...] = ()
    denial: Denial | None = None
    lapsed: str = ""
    """Why it lapsed, in our words."""
    granting_since: datetime | None = None
    expires_at: datetime | None = None
    granted_at: datetime | None = None
    handoff: HandoffState = HandoffState.NONE
    preexisting: bool = False
    """The person already had this access by other means; we leave that alone."""
    altered: str = ""
    """What somebody else changed at the provider during the grant; never cleared."""
    warned: bool = False
    """Its holder was told that it ends soon."""
    end: End | None = None
    report: Words | None = None
    reported_at: datetime | None = None
    review_overdue: bool = False
    review: Review | None = None


_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """What a backend is told to grant. The same order again means the same access, never a second one."""

    mark: Mark
    principal: str
    scope: Mapping[str, str]
    expires_at: datetime
    note: str = ""
    """Request id and person for the provider's own log; never people's words."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """A credential to be shown once: label -> secret."""

    fields: tuple[tuple[str, Secret], ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """What the provider says exists, carrying our mark."""

    mark: Mark
    principal: str
    scope: Mapping[str, str]
    expires_at: datetime | None = None
    """The provider-side end, where the provider knows one."""
    handoff: Handoff | None = None
    preexisting: bool = False
    altered: str = ""
    """What differs from what we granted, in words; empty when nothing does."""

    def as_order(self) -> Order:
        """The order that ends this lease: `revoke` reads only mark, principal and scope."""
        return Order(self.mark, self.principal, self.scope, self.expires_at or _NEVER)
