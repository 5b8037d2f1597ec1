"""What the verifier says to lives that are well formed and were never allowed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.audit.canonical import Record
from bot.audit.lives import AT_ONCE, Lives
from bot.audit.report import Finding, Kind, Report
from bot.core import events as e
from bot.core import machine
from bot.core.model import Mfa, PersonId, Proof, Request, Tier
from tests.core.samples import ANNA, BEN, CARA, DORA, MINUTE, NOW, TERMS, opened, proof

PROVED = replace(TERMS, approver_mfa=Mfa.TOTP)
"""Both must prove who they are: who asks, and who approves."""


def played(begin: e.RequestOpened, *events: tuple[int, e.Event]) -> list[Finding]:
    """What is found in a history of this request, each event so many seconds after the first."""
    request: Request = machine.open_request(begin, NOW)
    lines = [Record(0, NOW, begin, request.id, "p", "", request.state)]
    for seq, (later, event) in enumerate(events, 1):
        at = NOW + timedelta(seconds=later)
        before, request = request, machine.apply(request, event, at)
        lines.append(Record(seq, at, event, request.id, "p", before.state, request.state))
    report = Report()
    lives = Lives(report)
    for line in lines:
        lives.play(line)
    return report.findings


def asked(by: PersonId = ANNA) -> tuple[int, e.Event]:
    return 0, e.ProofAccepted(actor=ANNA, proof=proof(NOW, by))


def approved(by: PersonId, shown: Proof | None, later: int = 120) -> tuple[int, e.Event]:
    return later, e.ApprovalGiven(actor=by, tier=0, proof=shown)


def granted(later: int = 120) -> tuple[int, e.Event]:
    return later, e.QuorumReached(expires_at=NOW + 20 * MINUTE)


def code(by: PersonId, later: int = 120) -> Proof:
    return proof(NOW + timedelta(seconds=later), by)


def test_a_grant_with_a_proof_of_everybody_who_must_give_one_is_allowed() -> None:
    assert played(opened(terms=PROVED), asked(), approved(BEN, code(BEN)), granted()) == []


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (None, f"on an approval by {BEN} without their own proof"),
        (code(CARA), f"on an approval by {BEN} without their own proof"),
        (code(ANNA), f"on an approval by {BEN} without their own proof"),
        (
            replace(code(BEN), assertion=f"passkey/{BEN}/7"),
            f"on an approval by {BEN} without their own proof",
        ),
        (code(BEN, 120 - 31), f"on an approval by {BEN} whose proof is of another moment"),
        (code(BEN, 120 + 31), f"on an approval by {BEN} whose proof is of another moment"),
    ],
    ids=["none", "another approver's", "the requester's", "another factor's", "older", "younger"],
)
def test_an_approval_must_come_with_its_approvers_own_proof_of_that_moment(
    shown: Proof | None, says: str
) -> None:
    (found,) = played(opened(terms=PROVED), asked(), approved(BEN, shown), granted())
    assert found.sentence == f"BG-7K3Q2M is granted at line 3 {says}."
    assert (found.kind, found.check, found.seq) == (Kind.VIOLATION, "lives", 3)


def test_the_proof_of_every_approver_counts_and_not_only_that_of_the_last() -> None:
    terms = replace(PROVED, tiers=(Tier(("leads",), 2),))
    first, second = approved(BEN, None, 60), approved(CARA, code(CARA))
    (found,) = played(opened(terms=terms), asked(), first, second, granted())
    assert f"on an approval by {BEN} without" in found.sentence


def test_an_approvers_proof_does_not_age_while_others_decide() -> None:
    """It is bound to the decision it was given with; after a slow approval the requester proves anew."""
    terms = replace(PROVED, tiers=(Tier(("leads",)), Tier(("security",))))
    hour = 3600
    later = proof(NOW + timedelta(seconds=hour), ANNA)
    findings = played(
        opened(terms=terms),
        asked(),
        approved(BEN, code(BEN)),
        (hour - 60, e.ApprovalGiven(actor=DORA, tier=1, proof=code(DORA, hour - 60))),
        (hour - 60, e.ProofWentStale(lapses_at=NOW + 2 * hour * timedelta(seconds=1))),
        (hour, e.Activated(actor=ANNA, proof=later, expires_at=NOW + 80 * MINUTE)),
    )
    assert findings == []


@pytest.mark.parametrize("whose", [BEN, CARA])
def test_a_grant_on_somebody_elses_proof_is_found(whose: PersonId) -> None:
    (found,) = played(opened(), asked(whose), approved(BEN, None), granted())
    assert found.sentence == "BG-7K3Q2M is granted at line 3 on a proof that is not the requester's."
    assert found.kind is Kind.VIOLATION


def test_an_activation_on_somebody_elses_proof_is_found() -> None:
    at = 1800
    stale = (at, e.ProofWentStale(lapses_at=NOW + 90 * MINUTE))
    activated = (at, e.Activated(actor=ANNA, proof=code(BEN, at), expires_at=NOW + 60 * MINUTE))
    (found,) = played(opened(), asked(), approved(BEN, None, at), stale, activated)
    assert "on a proof that is not the requester's" in found.sentence


def test_where_no_proof_is_asked_for_none_is_missed() -> None:
    terms = replace(TERMS, mfa=Mfa.NONE)
    assert played(opened(terms=terms), (0, e.MfaNotRequired()), approved(BEN, None), granted()) == []


def test_a_commit_that_waited_for_another_is_no_finding() -> None:
    waited = 120 - int(AT_ONCE.total_seconds())
    assert played(opened(terms=PROVED), asked(), approved(BEN, code(BEN, waited)), granted()) == []
