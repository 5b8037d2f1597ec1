"""The audit vocabulary: one frozen dataclass per fact. What is not an event did not happen.

The same words serve the state machine, the history table, the audit channel and the documentation.
A class name in snake case is the event's type in the history; it is frozen for ever once released, and so
are its fields (new fields need a default). Fields hold no secrets; what people typed is `Words`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.model import (
    SYSTEM,
    Ending,
    Mark,
    Mfa,
    PersonId,
    Proof,
    RequestId,
    Terms,
    Verdict,
    Why,
    Words,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `actor` is the human (or `system`, `operator`) who did it."""

    actor: PersonId = SYSTEM


# --- the life of a request ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOpened(Event):
    """Somebody asked, confirmed the criteria and gave a reason."""

    id: RequestId
    scenario: str
    criteria: tuple[str, ...]
    terms: Terms
    policy: str
    duration: timedelta
    reason: Words
    incident: str
    principal: str
    mark: Mark
    ending: Ending
    lapses_at: datetime
    scenario_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofAccepted(Event):
    """The requester proved a second factor for this request."""

    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaNotRequired(Event):
    """Policy asks for no second factor here; said aloud in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven(Event):
    """One human said yes, in one tier, with their own proof where policy demands it."""

    tier: int
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumReached(Event):
    """Enough distinct humans said yes.

    This is the intention to grant: committed before the provider is called, it carries the end.
    """

    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofWentStale(Event):
    """Enough humans said yes, but the requester's proof is older than policy allows."""

    lapses_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated(Event):
    """A fresh proof after a slow approval: the intention to grant, as in `QuorumReached`."""

    expires_at: datetime
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDenied(Event):
    """One approver said no. Final for this request."""

    reason: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithdrawn(Event):
    """The requester took it back before anything was granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLapsed(Event):
    """Nobody answered in time, or the policy changed underneath. Silence never approves."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGranted(Event):
    """The provider, asked again, says that the access exists."""

    lease_expires_at: datetime | None = None
    handoff: bool = False
    preexisting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffShown(Event):
    """The one-time credential was shown to the requester; it is gone from our store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAltered(Event):
    """Somebody else changed the access at the provider while it was held."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryNear(Event):
    """It ends soon, and its holder is told so. Said once, and never for a short one."""

    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOrdered(Event):
    """The access must end now. From here only revoking goes on, for as long as it takes."""

    why: Why
    reason: Words | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeFailed(Event):
    """One attempt did not work, or the provider still shows the access. It will be tried again."""

    error: str
    next_try_at: datetime
    stuck: bool
    by_hand: str = ""
    """Once it is stuck: what an administrator does there to end it, where the adapter knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEnded(Event):
    """The provider, asked again, no longer knows the access. A review is now due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAbandoned(Event):
    """An access that was never confirmed is proved absent. Nobody was let in, so nothing to review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiled(Event):
    """The requester said what was done."""

    report: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSigned(Event):
    """Another human judged the use."""

    verdict: Verdict
    less_was_possible: bool
    follow_ups: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOverdue(Event):
    """The review was due and nobody signed it. Said once."""


# --- people and the desk --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRefused(Event):
    """Somebody tried what the rules do not allow, or came too late. `code` says which.

    That of `errors.Refused`; or `stale`: the request had moved on; `unknown_request`; `outdated`: a button of
    an older version; `expired_trigger`, `used_trigger`, `no_window`: Slack opened no window for it.
    """

    verb: str
    code: str
    about: RequestId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRefused(Event):
    """A second factor, or a token for one, was wrong or replayed."""

    method: Mfa
    code: str
    about: RequestId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut(Event):
    """The miss just before this was one too many: codes and tokens of `person` are refused for a while."""

    person: PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentIssued(Event):
    """The operator issued a one-time enrolment token for `person`."""

    person: PersonId


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled(Event):
    """`person` now has a second factor; any earlier one is void."""

    person: PersonId
    method: Mfa


# --- the installation, its providers and its audit channel ----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationCreated(Event):
    """The first event of every history."""

    installation: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStarted(Event):
    """A server took the desk, under this policy."""

    version: str
    policy: str
    other_slack: str = ""
    """The Slack address when it is not Slack's own: whoever answers there can forge every approver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStopped(Event):
    """A server left the desk in good order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceBound(Event):
    """The installation belongs to this Slack workspace from now on; people of others have no say."""

    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanFound(Event):
    """A provider holds an object with our mark that no grant in force explains. It will be ended."""

    backend: str
    mark: Mark
    about: RequestId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanEnded(Event):
    """That object is proved gone."""

    backend: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanRemains(Event):
    """It could not be ended; it is tried again at every look. Said anew when the reason changes."""

    backend: str
    mark: Mark
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSilent(Event):
    """A provider could not be asked what lives there. Said once per silence."""

    backend: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAnswers(Event):
    """It can be asked again."""

    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRefused(Event):
    """The history does not continue what was signed before. New grants are refused."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryDeleted(Event):
    """A message of ours was deleted from the audit channel. What it said is posted again."""

    channel: str
    ts: str
    first_seq: int
    last_seq: int
    stream: str = "audit"
    """What the two numbers count: lines of the history (`audit`), or signed `checkpoints`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryChanged(Event):
    """A message of ours was changed in the audit channel, and not by us. What it said is posted again."""

    channel: str
    ts: str
    first_seq: int
    last_seq: int
    stream: str = "audit"
    """As in `AuditEntryDeleted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPost(Event):
    """Something not ours was posted in the audit channel."""

    channel: str
    ts: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChannelChanged(Event):
    """The audit channel, or who can read it, is not what it was. It can still be written.

    `what` is `joined`: a new reader; `public` or `private`, `shared` or `unshared` with another organisation;
    `purged` or `changed`: so many messages of ours are gone, or were changed, that they are not posted again;
    `posts`: more came from others, while nobody looked, than are worth a line each.
    """

    channel: str
    what: str
    by: str = ""
    """Who joined."""
    entries: int = 0
    """How many messages that are."""
    first_seq: int | None = None
    """From which line of the history on those carried some; None when they carried none."""
    last_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChannelLost(Event):
    """The audit channel cannot be written or is no longer what it must be. New grants are refused."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChannelBack(Event):
    """The audit channel is healthy again."""


def type_of(event: Event | type[Event]) -> str:
    """The event's type as it stands in the history: `RequestOpened` -> `request_opened`."""
    name = event.__name__ if isinstance(event, type) else type(event).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


VOCABULARY: dict[str, type[Event]] = {
    type_of(cls): cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event
}
"""Every type of event there is, by its name in the history."""
