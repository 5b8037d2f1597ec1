"""Made-up people, terms, facts and requests that the tests share. Everything in them is fixed."""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NewType

from bot.core import events as e
from bot.core import machine
from bot.core.model import (
    EndedBy,
    Ending,
    Mark,
    Mfa,
    Person,
    PersonId,
    Policy,
    Proof,
    Request,
    RequestId,
    Roster,
    Scenario,
    State,
    Terms,
    Tier,
    Verdict,
    Why,
    Words,
)

NOW = datetime(2026, 11, 21, 2, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Clock:
    """Virtual time."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


ANNA = PersonId("U0ANNA")
"""On call: asks."""
BEN = PersonId("U0BEN")
"""A lead: approves in the first tier, and reviews."""
CARA = PersonId("U0CARA")
"""A lead: approves in the first tier, and reviews."""
DORA = PersonId("U0DORA")
"""Security: approves in the second tier, and may revoke anything."""
EMIL = PersonId("U0EMIL")
"""A colleague without a role."""

PEOPLE = {id: Person(id, id.removeprefix("U0").title()) for id in (ANNA, BEN, CARA, DORA, EMIL)}
ROLES: Mapping[str, frozenset[PersonId]] = {
    "oncall": frozenset({ANNA}),
    "leads": frozenset({BEN, CARA}),
    "security": frozenset({DORA}),
}
ROSTER = Roster(PEOPLE, ROLES)

TERMS = Terms(
    access="prod-db",
    title="Production database, read only",
    environment="production",
    risk="high",
    backend="vault",
    scope={"role": "prod_ro"},
    durations=(15 * MINUTE, HOUR),
    requesters=("oncall",),
    tiers=(Tier(("leads",)),),
    mfa=Mfa.TOTP,
    approver_mfa=Mfa.NONE,
    mfa_max_age=10 * MINUTE,
    lapse_after=30 * MINUTE,
    reviewers=("leads",),
    report_within=timedelta(hours=24),
    review_within=timedelta(hours=72),
)
SCENARIO = Scenario(
    key="replica-lag",
    title="Replica lag",
    criteria=("Customers are affected.", "No runbook helps."),
    accesses=("prod-db",),
)


def policy_of(*terms: Terms, **changes: Any) -> Policy:  # noqa: ANN401  fields of Policy
    """A policy with one scenario that offers all of `terms`."""
    offered = terms or (TERMS,)
    scenario = replace(SCENARIO, accesses=tuple(each.access for each in offered))
    plain = Policy(
        hash="p" * 64,
        scenarios={scenario.key: scenario},
        accesses={each.access: each for each in offered},
        deny=(),
        security=("security",),
    )
    return replace(plain, **changes)


def roster_of(*more: Person, **roles: set[PersonId]) -> Roster:
    """The usual people and `more` (or the same ones changed), with these roles changed."""
    people = {**PEOPLE, **{person.id: person for person in more}}
    return Roster(people, {**ROLES, **{name: frozenset(who) for name, who in roles.items()}})


def said(text: str) -> Words:
    """Words with a salt that is always the same."""
    return Words.of(text, b"0123456789abcdef")


def proof(at: datetime = NOW, by: PersonId = ANNA) -> Proof:
    return Proof(Mfa.TOTP, f"totp/{by}/{int(at.timestamp()) // 30}", at)


def opened(id: str = "BG-7K3Q2M", terms: Terms = TERMS, **changes: Any) -> e.RequestOpened:  # noqa: ANN401  its fields
    event = e.RequestOpened(
        actor=ANNA,
        id=RequestId(id),
        scenario=SCENARIO.key,
        criteria=SCENARIO.criteria,
        terms=terms,
        policy="p" * 64,
        duration=15 * MINUTE,
        reason=said(f"The replica lags by an hour; I look at what holds it. {id}"),
        incident="INC-42",
        principal="anna",
        mark=Mark(f"bg-acme-{id.removeprefix('BG-').lower()}"),
        ending=Ending(EndedBy.LOGIN, timedelta(seconds=5), "open sessions are cut by us"),
        lapses_at=NOW + 10 * MINUTE,
    )
    return replace(event, **changes)


REVOKE = e.RevokeOrdered(actor=DORA, why=Why.REVOKED, reason=said("enough"))
RETRY = e.RevokeFailed(error="no answer", next_try_at=NOW + 5 * MINUTE, stuck=False)
REVIEW = e.ReviewSigned(actor=CARA, verdict=Verdict.REAL, less_was_possible=False, follow_ups=said("nothing"))

_APPROVED = (
    e.ProofAccepted(actor=ANNA, proof=proof()),
    e.ApprovalGiven(actor=BEN, tier=0),
)
_GRANTING = (*_APPROVED, e.QuorumReached(expires_at=NOW + 15 * MINUTE))
_ACTIVE = (*_GRANTING, e.AccessGranted(lease_expires_at=NOW + 15 * MINUTE, handoff=True))
_ENDED = (*_ACTIVE, REVOKE, e.AccessEnded())

PATHS: Mapping[State, tuple[tuple[e.Event, ...], ...]] = {
    State.AWAITING_MFA: ((),),
    State.AWAITING_APPROVAL: (_APPROVED[:1], _APPROVED, (e.MfaNotRequired(),)),
    State.APPROVED_STALE: ((*_APPROVED, e.ProofWentStale(lapses_at=NOW + 10 * MINUTE)),),
    State.GRANTING: (
        _GRANTING,
        (
            *_APPROVED,
            e.ProofWentStale(lapses_at=NOW + 10 * MINUTE),
            e.Activated(actor=ANNA, expires_at=NOW + 20 * MINUTE, proof=proof(NOW + MINUTE)),
        ),
    ),
    State.ACTIVE: (
        _ACTIVE,
        (*_ACTIVE, e.HandoffShown(actor=ANNA)),
        (*_ACTIVE, e.LeaseAltered(what="longer")),
        (*_ACTIVE, e.ExpiryNear(expires_at=NOW + 15 * MINUTE)),
        (*_GRANTING, e.AccessGranted()),
    ),
    State.REVOKING: (
        (*_GRANTING, REVOKE),
        (*_GRANTING, REVOKE, RETRY),
        (*_ACTIVE, REVOKE),
        (*_ACTIVE, REVOKE, RETRY, replace(RETRY, stuck=True)),
    ),
    State.AWAITING_REVIEW: (
        _ENDED,
        (*_ENDED, e.ReportFiled(actor=ANNA, report=said("restarted the replica"))),
        (*_ENDED, e.ReviewOverdue()),
    ),
    State.REVIEWED: ((*_ENDED, REVIEW),),
    State.DENIED: ((e.RequestDenied(actor=BEN, reason=said("use the runbook")),),),
    State.WITHDRAWN: ((e.RequestWithdrawn(actor=ANNA),),),
    State.LAPSED: ((e.RequestLapsed(because="Nobody decided in time."),),),
    State.FAILED: (
        (*_GRANTING, REVOKE, e.GrantAbandoned()),
        (*_GRANTING, REVOKE, RETRY, e.GrantAbandoned()),
    ),
}
"""For every state some lives that lead there."""


def lived(events: tuple[e.Event, ...], start: e.RequestOpened | None = None) -> Request:
    """The request after `events`, all of them at NOW."""
    request = machine.open_request(start or opened(), NOW)
    for event in events:
        request = machine.apply(request, event, NOW)
    return request


def requests_in(state: State) -> list[Request]:
    return [lived(path) for path in PATHS[state]]


def request_in(state: State, terms: Terms = TERMS) -> Request:
    """The plainest request in `state`."""
    return lived(PATHS[state][0], opened(terms=terms))


# --- a value of any kind the history knows, from its annotations alone ----------------------------------


def example(kind: Any, name: str = "value") -> Any:  # noqa: ANN401, C901, PLR0911  one line per kind of annotation
    """One fixed value of `kind`: a dataclass, or what its fields are annotated with. None is never chosen."""
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        return example(next(o for o in typing.get_args(kind) if o is not types.NoneType), name)
    if origin is tuple:
        return (example(typing.get_args(kind)[0], name),)
    if origin is Mapping:
        return {name: example(typing.get_args(kind)[1], name)}
    if isinstance(kind, NewType):
        return example(kind.__supertype__, name)
    if kind is Words:
        return said(f"words of {name}")
    if kind is datetime:
        return NOW + timedelta(microseconds=123)
    if kind is timedelta:
        return timedelta(minutes=15, microseconds=1)
    if kind is bool:
        return True
    if kind is int:
        return 7
    if kind is str:
        return f"a {name}, “quoted”"
    if issubclass(kind, Enum):
        return next(iter(kind))
    hints = typing.get_type_hints(kind)
    return kind(**{f.name: example(hints[f.name], f.name) for f in fields(kind)})
