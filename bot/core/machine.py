"""How a request changes, and the only way it does.

    AWAITING_MFA ──proof──▶ AWAITING_APPROVAL ──quorum──▶ GRANTING ──granted──▶ ACTIVE
         │                        │    ▲ each approval          │                  │
         │                        │    └── stays                │ refused,         │ time is over,
         │                        ├──▶ APPROVED_STALE ──code──▶ │ unanswered       │ handed back,
         │                        │    (quorum, old proof)      ▼                  ▼ revoked, gone
         └──── DENIED · WITHDRAWN · LAPSED ◀┘                REVOKING ◀────────────┘
                                                        retried │ until the provider says it is gone
                                     never confirmed: FAILED ◀──┴──▶ AWAITING_REVIEW ──▶ REVIEWED

The rules behind the picture:

1. **Intention before action.** GRANTING is entered by an event that already carries the end
   (`expires_at`), committed before the provider is called. A crash anywhere leaves work, never access.
2. **Nothing rests after granting began except through REVOKING.** A grant that failed or was not answered
   may have worked, so it is revoked like any other. An answer that arrives late finds REVOKING and is Stale.
3. **Revoking is not a resting state.** `RevokeFailed` keeps it where it is, with the next attempt's moment.
   There is no event that gives up.
4. **Nobody in, nothing to review.** Only a grant that was never confirmed ends as FAILED; every confirmed
   one must be reviewed.
5. **Terminal states never change.** They have no row in the table.
6. **An unknown pair raises `Stale` and changes nothing.** The caller is told what is true now.

The table says which fact may follow which state. *Who* may cause it is `policy`'s business, asked before an
event is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.core import events as e
from bot.core.errors import Stale
from bot.core.model import (
    Approval,
    Denial,
    End,
    HandoffState,
    Request,
    Review,
    State,
    Why,
)

GRANT_GRACE: Final = timedelta(seconds=60)
"""Longer than any provider is waited for (`[keeper] grant_deadline` may not exceed it)."""

WARNING: Final = timedelta(minutes=5)
"""So long before the end its holder is told."""

WORTH_A_WARNING: Final = timedelta(minutes=10)
"""Who holds something for no longer than this was told its end a moment ago."""

TRANSITIONS: Final[Mapping[State, Mapping[type[e.Event], State]]] = {
    State.AWAITING_MFA: {
        e.ProofAccepted: State.AWAITING_APPROVAL,
        e.MfaNotRequired: State.AWAITING_APPROVAL,
        e.RequestDenied: State.DENIED,
        e.RequestWithdrawn: State.WITHDRAWN,
        e.RequestLapsed: State.LAPSED,
    },
    State.AWAITING_APPROVAL: {
        e.ApprovalGiven: State.AWAITING_APPROVAL,
        e.QuorumReached: State.GRANTING,
        e.ProofWentStale: State.APPROVED_STALE,
        e.RequestDenied: State.DENIED,
        e.RequestWithdrawn: State.WITHDRAWN,
        e.RequestLapsed: State.LAPSED,
    },
    State.APPROVED_STALE: {
        e.Activated: State.GRANTING,
        e.RequestDenied: State.DENIED,
        e.RequestWithdrawn: State.WITHDRAWN,
        e.RequestLapsed: State.LAPSED,
    },
    State.GRANTING: {
        e.AccessGranted: State.ACTIVE,
        e.RevokeOrdered: State.REVOKING,
    },
    State.ACTIVE: {
        e.HandoffShown: State.ACTIVE,
        e.LeaseAltered: State.ACTIVE,
        e.ExpiryNear: State.ACTIVE,
        e.RevokeOrdered: State.REVOKING,
    },
    State.REVOKING: {
        e.RevokeFailed: State.REVOKING,
        e.AccessEnded: State.AWAITING_REVIEW,
        e.GrantAbandoned: State.FAILED,
    },
    State.AWAITING_REVIEW: {
        e.ReportFiled: State.AWAITING_REVIEW,
        e.ReviewOverdue: State.AWAITING_REVIEW,
        e.ReviewSigned: State.REVIEWED,
    },
}


def open_request(event: e.RequestOpened, at: datetime) -> Request:
    """The request that `RequestOpened` begins. Every life starts here and nowhere else."""
    return Request(
        id=event.id,
        version=1,
        state=State.AWAITING_MFA,
        requester=event.actor,
        scenario=event.scenario,
        criteria=event.criteria,
        terms=event.terms,
        policy=event.policy,
        duration=event.duration,
        reason=event.reason,
        incident=event.incident,
        principal=event.principal,
        mark=event.mark,
        ending=event.ending,
        opened_at=at,
        lapses_at=event.lapses_at,
        scenario_title=event.scenario_title,
    )


def apply(request: Request, event: e.Event, at: datetime) -> Request:
    """The request after `event`, which happened `at` (database time).

    Raises:
        Stale: the event cannot follow this state. The request is unchanged.
    """
    after = TRANSITIONS.get(request.state, {}).get(type(event))
    if after is None or not _fits(request, event):
        raise Stale(f"{request.id} {SAYS[request.state]}")
    changes = _CHANGES.get(type(event), _nothing)(request, event, at)
    return replace(request, state=after, version=request.version + 1, **changes)


def due_at(request: Request) -> datetime | None:
    """When this request next needs the keeper, even if nobody does anything. None: never.

    A grant that is still unanswered `GRANT_GRACE` after its intention has lost whoever was to carry it out.
    """
    match request.state:
        case State.AWAITING_MFA | State.AWAITING_APPROVAL | State.APPROVED_STALE:
            return request.lapses_at
        case State.GRANTING:
            assert request.granting_since is not None
            assert request.expires_at is not None
            return min(request.granting_since + GRANT_GRACE, request.expires_at)
        case State.ACTIVE:
            return warning_at(request) or request.expires_at
        case State.REVOKING:
            assert request.end is not None
            return request.end.next_try_at or request.end.ordered_at
        case State.AWAITING_REVIEW if not request.review_overdue:
            assert request.end is not None
            assert request.end.ended_at is not None
            return request.end.ended_at + request.terms.review_within
        case _:
            return None


def warning_at(request: Request) -> datetime | None:
    """When the holder is to be told that it ends soon. None: never, or that was said."""
    if request.warned or request.expires_at is None or request.duration <= WORTH_A_WARNING:
        return None
    return request.expires_at - WARNING


SAYS: Final[Mapping[State, str]] = {
    State.AWAITING_MFA: "is waiting for the requester's code.",
    State.AWAITING_APPROVAL: "is waiting for approval.",
    State.APPROVED_STALE: "is approved and waits for a fresh code from the requester.",
    State.GRANTING: "is approved and being granted at this moment.",
    State.ACTIVE: "is active.",
    State.REVOKING: "is being revoked.",
    State.AWAITING_REVIEW: "has ended and waits for its review.",
    State.REVIEWED: "has ended and is reviewed.",
    State.DENIED: "was denied.",
    State.WITHDRAWN: "was withdrawn by the requester.",
    State.LAPSED: "lapsed: nobody decided in time.",
    State.FAILED: "failed: nobody was let in.",
}
"""What a late click is told: the id, then this."""


# --- what each fact leaves on the request ---------------------------------------------------------------


def _fits(request: Request, event: e.Event) -> bool:  # noqa: PLR0911  one case per fact
    """Rule 4, and the facts that may happen once."""
    match event:
        case e.AccessEnded():
            return request.granted_at is not None
        case e.GrantAbandoned():
            return request.granted_at is None
        case e.HandoffShown():
            return request.handoff is HandoffState.WAITING
        case e.ExpiryNear():
            return not request.warned
        case e.ReportFiled():
            return request.report is None
        case e.ReviewOverdue():
            return not request.review_overdue
        case _:
            return True


_Changes = dict[str, Any]


def _nothing(_request: Request, _event: e.Event, _at: datetime) -> _Changes:
    return {}


def _proof(request: Request, event: e.ProofAccepted, at: datetime) -> _Changes:
    return {"proof": event.proof, "lapses_at": at + request.terms.lapse_after}


def _no_proof(request: Request, _event: e.MfaNotRequired, at: datetime) -> _Changes:
    return {"lapses_at": at + request.terms.lapse_after}


def _stale(_request: Request, event: e.ProofWentStale, _at: datetime) -> _Changes:
    return {"lapses_at": event.lapses_at}


def _approval(request: Request, event: e.ApprovalGiven, at: datetime) -> _Changes:
    return {"approvals": (*request.approvals, Approval(event.actor, event.tier, at, event.proof))}


def _quorum(_request: Request, event: e.QuorumReached, at: datetime) -> _Changes:
    return {"granting_since": at, "expires_at": event.expires_at}


def _activated(_request: Request, event: e.Activated, at: datetime) -> _Changes:
    return {"granting_since": at, "expires_at": event.expires_at, "proof": event.proof}


def _denied(_request: Request, event: e.RequestDenied, _at: datetime) -> _Changes:
    return {"denial": Denial(event.actor, event.reason)}


def _lapsed(_request: Request, event: e.RequestLapsed, _at: datetime) -> _Changes:
    return {"lapsed": event.because}


def _granted(_request: Request, event: e.AccessGranted, at: datetime) -> _Changes:
    return {
        "granted_at": at,
        "handoff": HandoffState.WAITING if event.handoff else HandoffState.NONE,
        "preexisting": event.preexisting,
    }


def _shown(_request: Request, _event: e.HandoffShown, _at: datetime) -> _Changes:
    return {"handoff": HandoffState.SHOWN}


def _altered(_request: Request, event: e.LeaseAltered, _at: datetime) -> _Changes:
    return {"altered": event.what}


def _warned(_request: Request, _event: e.ExpiryNear, _at: datetime) -> _Changes:
    return {"warned": True}


def _revoke(_request: Request, event: e.RevokeOrdered, at: datetime) -> _Changes:
    end = End(why=event.why, by=event.actor, ordered_at=at, reason=event.reason, last_error=event.detail)
    return {"end": end, "handoff": HandoffState.NONE}


def _revoke_failed(request: Request, event: e.RevokeFailed, at: datetime) -> _Changes:
    assert request.end is not None
    stuck_since = request.end.stuck_since or (at if event.stuck else None)
    end = replace(
        request.end,
        attempts=request.end.attempts + 1,
        next_try_at=event.next_try_at,
        stuck_since=stuck_since,
        last_error=event.error,
        by_hand=event.by_hand or request.end.by_hand,
    )
    return {"end": end}


def _ended(request: Request, _event: e.Event, at: datetime) -> _Changes:
    assert request.end is not None
    return {"end": replace(request.end, ended_at=at, next_try_at=None, stuck_since=None)}


def _reported(_request: Request, event: e.ReportFiled, at: datetime) -> _Changes:
    return {"report": event.report, "reported_at": at}


def _reviewed(_request: Request, event: e.ReviewSigned, at: datetime) -> _Changes:
    review = Review(event.actor, event.verdict, event.less_was_possible, event.follow_ups, at)
    return {"review": review}


def _overdue(_request: Request, _event: e.ReviewOverdue, _at: datetime) -> _Changes:
    return {"review_overdue": True}


_CHANGES: Final[Mapping[type[e.Event], Callable[[Request, Any, datetime], _Changes]]] = {
    e.ProofAccepted: _proof,
    e.MfaNotRequired: _no_proof,
    e.ProofWentStale: _stale,
    e.ApprovalGiven: _approval,
    e.QuorumReached: _quorum,
    e.Activated: _activated,
    e.RequestDenied: _denied,
    e.RequestLapsed: _lapsed,
    e.AccessGranted: _granted,
    e.HandoffShown: _shown,
    e.LeaseAltered: _altered,
    e.ExpiryNear: _warned,
    e.RevokeOrdered: _revoke,
    e.RevokeFailed: _revoke_failed,
    e.AccessEnded: _ended,
    e.GrantAbandoned: _ended,
    e.ReportFiled: _reported,
    e.ReviewSigned: _reviewed,
    e.ReviewOverdue: _overdue,
}


def failed_without_a_grant(request: Request) -> bool:
    """Whether the grant ended for a reason that makes the card offer the same request again."""
    return request.end is not None and request.end.why in {Why.FAILED, Why.UNANSWERED}
