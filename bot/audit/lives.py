"""Every life in a history, played again: does each line follow by the rules, and was each grant allowed?

Rule: it plays what the lines say and takes nothing for granted: not that a line of a known kind was ever
allowed to be written, nor that whoever wrote it asked policy first.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from bot.audit.canonical import Record
from bot.audit.report import Kind, Report
from bot.core import events as e
from bot.core import machine
from bot.core.errors import Stale
from bot.core.model import Mfa, PersonId, Proof, Request, RequestId

SLOW_COMMIT: Final = timedelta(seconds=5)
"""Between the look at a proof's age and the commit that grants on it."""

AT_ONCE: Final = timedelta(seconds=30)
"""Between an approver's code and the commit of the approval it is given with, which may wait for another."""


class Lives:
    """The lives played so far.

    Args:
        report: takes what is found.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self.now: dict[RequestId, Request] = {}
        """Where each request stands after the lines so far."""
        self._assertions: dict[str, int] = {}

    def play(self, record: Record) -> None:
        """The next line."""
        self._step(record)
        self._code(record)

    def _step(self, record: Record) -> None:
        event, id, seq = record.event, record.request, record.seq
        if isinstance(event, e.RequestOpened):
            if event.id in self.now:
                self._found(seq, f"{event.id} is opened a second time at line {seq}.")
            id = event.id
            after = machine.open_request(event, record.at)
        elif not record.after:
            return
        elif id is None or id not in self.now:
            self._found(seq, f"Line {seq} belongs to {id}, which was never opened.")
            return
        else:
            before = self.now[id]
            for how in _violations(record, before):
                self._found(seq, f"{id} is granted at line {seq} {how}.", Kind.VIOLATION)
            try:
                after = machine.apply(before, event, record.at)
            except Stale:
                self._found(seq, f"Line {seq} ({e.type_of(event)}) cannot follow: {id} was {before.state}.")
                return
        self.now[id] = after
        if after.state.value != record.after:
            sentence = f"Line {seq} says {id} became {record.after}; by the rules it became {after.state}."
            self._found(seq, sentence)

    def _code(self, record: Record) -> None:
        proof = getattr(record.event, "proof", None)
        if proof is None:
            return
        first = self._assertions.setdefault(proof.assertion, record.seq)
        if first != record.seq:
            sentence = f"Line {record.seq} uses a code that line {first} used already."
            self._found(record.seq, sentence, Kind.VIOLATION)

    def _found(self, seq: int, sentence: str, kind: Kind = Kind.TAMPERED) -> None:
        self._report.add("lives", seq, sentence, kind)


def _violations(record: Record, before: Request) -> Iterator[str]:
    """No grant without its quorum of distinct humans, none of them the requester, and fresh proof."""
    event = record.event
    if not isinstance(event, e.QuorumReached | e.Activated):
        return
    for index, tier in enumerate(before.terms.tiers):
        voters = {approval.by for approval in before.approvals if approval.tier == index}
        if len(voters - {before.requester}) < tier.count:
            yield "without its quorum"
    everyone = [approval.by for approval in before.approvals]
    if len(everyone) != len(set(everyone)):
        yield "with one human counted twice"
    if before.terms.mfa is not Mfa.NONE:
        proof = event.proof if isinstance(event, e.Activated) else before.proof
        if proof is None or record.at - proof.at > before.terms.mfa_max_age + SLOW_COMMIT:
            yield "without fresh proof"
        if proof is not None and not _proves(proof, before.terms.mfa, before.requester):
            yield "on a proof that is not the requester's"
    if before.terms.approver_mfa is not Mfa.NONE:
        yield from _unproved_approvals(before)


def _unproved_approvals(request: Request) -> Iterator[str]:
    """An approver's proof is bound to the decision it is given with, so its age is counted from there.

    After a slow approval it is the requester who enters a fresh code; nobody approves a second time.
    """
    for approval in request.approvals:
        proof = approval.proof
        if proof is None or not _proves(proof, request.terms.approver_mfa, approval.by):
            yield f"on an approval by {approval.by} without their own proof"
        elif abs(approval.at - proof.at) > AT_ONCE:
            yield f"on an approval by {approval.by} whose proof is of another moment"


def _proves(proof: Proof, factor: Mfa, person: PersonId) -> bool:
    """Whether it is the factor that is asked for, and this person's."""
    return proof.method is factor and proof.assertion.startswith(f"{factor}/{person}/")
