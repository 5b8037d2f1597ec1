"""Requests in every state, and the offers of a form: what the renderings are tried on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.core import events as e
from bot.core import machine
from bot.core.model import (
    EndedBy,
    Ending,
    Mark,
    Mfa,
    PersonId,
    Proof,
    Request,
    RequestId,
    Scenario,
    Terms,
    Tier,
    Verdict,
    Why,
    Words,
)
from bot.desk import Offer

NOW = datetime(2026, 11, 21, 2, 17, tzinfo=UTC)
ALICE, BOB, CAROL, DANA = (PersonId(f"U0{name}") for name in ("ALICE01", "BOB0001", "CAROL01", "DANA001"))

TERMS = Terms(
    access="prod-db-read",
    title="Production database, read",
    environment="production",
    risk="medium",
    backend="prod-db",
    scope={"role": "prod_ro"},
    durations=(timedelta(minutes=15), timedelta(minutes=30)),
    requesters=("on-call",),
    tiers=(Tier(("leads",), 1), Tier(("security",), 1)),
    mfa=Mfa.TOTP,
    approver_mfa=Mfa.TOTP,
    mfa_max_age=timedelta(minutes=10),
    lapse_after=timedelta(minutes=30),
    reviewers=("security",),
    report_within=timedelta(hours=24),
    review_within=timedelta(hours=72),
)
SCENARIO = Scenario(
    key="db-locks",
    title="The database is locked and customers are waiting",
    criteria=("Customers are affected now", "The runbook for blocked queries did not help"),
    accesses=("prod-db-read",),
    incident_pattern=r"INC-\d+",
    incident_example="INC-42",
)


def words(text: str) -> Words:
    return Words.of(text.encode(errors="replace").decode(), b"0" * 16)


def opened(reason: str = "Replica lag, 40 s and growing", **changes: object) -> Request:
    """A request as it begins."""
    event = e.RequestOpened(
        actor=ALICE,
        id=RequestId("BG-7K3Q2M"),
        scenario="db-locks",
        criteria=SCENARIO.criteria,
        terms=TERMS,
        policy="ab" * 32,
        duration=timedelta(minutes=30),
        reason=words(reason),
        incident="INC-42",
        principal="alice",
        mark=Mark("bg-example-7k3q2m"),
        ending=Ending(EndedBy.LOGIN, timedelta(minutes=15), "Queries that run may finish."),
        lapses_at=NOW + timedelta(minutes=10),
    )
    return replace(machine.open_request(event, NOW), **changes)  # type: ignore[arg-type]  # field names


def proof(person: PersonId = ALICE, at: datetime = NOW) -> Proof:
    return Proof(Mfa.TOTP, f"totp/{person}/1", at)


def after(request: Request, *events: e.Event, at: datetime = NOW) -> Request:
    for event in events:
        request = machine.apply(request, event, at)
    return request


END = NOW + timedelta(minutes=30)


def every_state(reason: str = "Replica lag, 40 s and growing", said: str = "nothing") -> Iterator[Request]:
    """One request in each state a card can show, and the variants that look different."""
    said_words = words(said)
    asked = opened(reason)
    waiting = after(asked, e.ProofAccepted(actor=ALICE, proof=proof()))
    second = after(waiting, e.ApprovalGiven(actor=BOB, tier=0, proof=proof(BOB)))
    full = after(second, e.ApprovalGiven(actor=CAROL, tier=1))
    stale = after(full, e.ProofWentStale(lapses_at=END))
    granting = after(full, e.QuorumReached(expires_at=END))
    active = after(granting, e.AccessGranted(lease_expires_at=END, handoff=True, preexisting=True))
    altered = after(active, e.HandoffShown(actor=ALICE), e.LeaseAltered(what="The <role> was widened."))
    revoking = after(altered, e.RevokeOrdered(actor=BOB, why=Why.REVOKED, reason=said_words))
    failing = after(revoking, e.RevokeFailed(error="No <route>", next_try_at=END, stuck=False))
    stuck = after(failing, e.RevokeFailed(error="No route", next_try_at=END, stuck=True))
    ended = after(stuck, e.AccessEnded())
    reported = after(ended, e.ReportFiled(actor=ALICE, report=said_words))
    overdue = after(ended, e.ReviewOverdue())
    reviewed = after(
        reported,
        e.ReviewSigned(actor=DANA, verdict=Verdict.DRILL, less_was_possible=True, follow_ups=said_words),
    )
    denied = after(waiting, e.RequestDenied(actor=BOB, reason=said_words))
    withdrawn = after(asked, e.RequestWithdrawn(actor=ALICE))
    lapsed = after(asked, e.RequestLapsed(because="Nobody answered."))
    failed = after(
        granting,
        e.RevokeOrdered(why=Why.FAILED, detail="There is no role prod_ro."),
        e.GrantAbandoned(),
    )
    yield from (asked, waiting, second, stale, granting, active, altered, revoking, failing, stuck, ended)
    yield from (reported, overdue, reviewed, denied, withdrawn, lapsed, failed)
    for why in Why:
        yield after(active, e.RevokeOrdered(why=why, detail="A detail."), e.AccessEnded())


def offers(accesses: int = 2) -> list[Offer]:
    """Two scenarios; the first offers that many accesses."""
    ending = Ending(EndedBy.BOT)
    many = tuple(
        (replace(TERMS, access=f"db-{n:03}", title=f"Database number {n}"), ending) for n in range(accesses)
    )
    quiet = replace(SCENARIO, key="drill", title="Drill", criteria=("An exercise",), incident_pattern="")
    free = replace(TERMS, access="practice", title="Practice", mfa=Mfa.NONE)
    return [Offer(SCENARIO, many), Offer(quiet, ((free, Ending(EndedBy.PROVIDER)),))]
