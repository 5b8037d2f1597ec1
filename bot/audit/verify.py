"""Is this history whole? Finds any row that was edited, deleted, inserted or moved, and says which.

Three layers, each of which catches what the one before cannot:

1. Rows: positions without gaps, bytes in canonical form, each leaf the hash of its bytes, the right edge of
   the tree in the head row. Catches whoever edits rows.
2. Lives: every line replays through the state machine to the state stored in it and in the requests table.
   Catches lines that are well formed and wrong, such as a grant without its quorum.
3. Checkpoints: signatures hold, and each one's root is the root of that many leaves. Catches whoever rebuilt
   the tree. Those copied from the audit channel also catch whoever replaced or cut the checkpoints here.

Rule: it reads, and trusts nothing that it reads.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bot.audit import canonical
from bot.audit.checkpoint import Checkpoint, CheckpointError, Verifier, open_any
from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core import machine
from bot.core.errors import Stale
from bot.core.model import Mfa, Request, RequestId

UNSEALED: Final = timedelta(seconds=120)
"""Events older than this must be covered by a checkpoint (one is due 60 s after a change)."""

MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the history as stored: `seq`, the bytes, and the leaf hash beside them."""

    seq: int
    body: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which check, at which line (or None), and a sentence."""

    check: str
    seq: int | None
    sentence: str


@dataclass(slots=True)
class Report:
    """What was verified and what was found."""

    events: int = 0
    root: bytes = b""
    checkpoints: int = 0
    collected: int = 0
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def add(self, check: str, seq: int | None, sentence: str) -> None:
        """Adds a finding; after the first twenty only counts would follow, and they would say no more."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(check, seq, sentence))


async def verify(
    rows: AsyncIterator[Row],
    *,
    head: Frontier,
    requests: Mapping[RequestId, Request],
    verifier: Verifier | None,
    notes: Iterable[str] = (),
    collected: Iterable[str] = (),
    earlier: Sequence[Verifier] = (),
    remembered: Frontier | None = None,
    now: datetime | None = None,
) -> Report:
    """Checks everything there is to check.

    Args:
        rows: the history in the order of its seq.
        head: the tree the head row claims.
        requests: the requests table.
        verifier: the public key checkpoints must be signed with; None leaves signatures out.
        notes: checkpoints from this database, in order.
        collected: checkpoints that the auditor copied from elsewhere.
        earlier: public keys that were in use before `verifier`; checkpoints may be signed with one of them.
        remembered: the last tree the signer signed, from its own memory beside the key.
        now: for "every event is covered by a checkpoint by now"; None leaves that out.
    """
    report = Report()
    keys = [verifier, *earlier] if verifier else []
    ours = _opened(report, keys, notes, "in this database")
    theirs = _opened(report, keys, collected, "from the file")
    report.checkpoints, report.collected = len(ours), len(theirs)
    memory = [Checkpoint("", remembered.size, remembered.root(), "")] if remembered else []
    wanted = {c.size for c in (*ours, *theirs, *memory)}
    roots: dict[int, bytes] = {0: Frontier().root()}
    lives: dict[RequestId, Request] = {}
    tree = Frontier()
    assertions: dict[str, int] = {}
    newest = max((c.size for c in ours), default=0)
    oldest_unsealed: datetime | None = None
    expected = 0
    async for row in rows:
        _check_place(report, row, expected)
        expected = row.seq + 1
        record = _check_row(report, row)
        if record is not None:
            _check_life(report, record, lives)
            _check_assertion(report, record, assertions)
            if row.seq >= newest and oldest_unsealed is None:
                oldest_unsealed = record.at
        tree = tree.append(leaf_hash(row.body))
        if tree.size in wanted:
            roots[tree.size] = tree.root()
    report.events, report.root = tree.size, tree.root()
    report.unsealed = max(0, tree.size - newest)
    if (head.size, head.root()) != (tree.size, tree.root()):
        report.add(
            "head",
            None,
            f"The head row claims {head.size} events and another tree than the {tree.size} rows give.",
        )
    _check_notes(report, ours, roots, tree.size, "in this database")
    _check_notes(report, theirs, roots, tree.size, "from the file")
    _check_notes(report, memory, roots, tree.size, "in the signer's memory")
    _check_requests(report, lives, requests)
    overdue = now is not None and oldest_unsealed is not None and now - oldest_unsealed > UNSEALED
    if overdue and verifier is not None:
        report.add(
            "unsealed",
            newest,
            f"{report.unsealed} events since {oldest_unsealed:%Y-%m-%d %H:%M:%S} UTC are covered by no "
            "checkpoint, though one is due within a minute: no server ran, or checkpoints were removed.",
        )
    return report


# --- rows -----------------------------------------------------------------------------------------------


def _check_place(report: Report, row: Row, expected: int) -> None:
    if row.seq > expected:
        gone = f"line {expected}" if row.seq == expected + 1 else f"lines {expected} to {row.seq - 1}"
        report.add("rows", expected, f"Deleted: {gone} missing.")
    elif row.seq < expected:
        report.add("rows", row.seq, f"Out of place: line {row.seq} comes after line {expected - 1}.")


def _check_row(report: Report, row: Row) -> canonical.Record | None:
    if leaf_hash(row.body) != row.leaf:
        report.add("rows", row.seq, f"Edited: the bytes of line {row.seq} do not give its leaf hash.")
    try:
        record = canonical.read(row.body)
    except ValueError as error:
        report.add("rows", row.seq, f"Edited: line {row.seq} is no history line ({error}).")
        return None
    if record.seq != row.seq:
        report.add(
            "rows",
            row.seq,
            f"Moved or inserted: line {row.seq} carries the bytes that were written as line {record.seq}.",
        )
    return record


# --- lives ----------------------------------------------------------------------------------------------


def _check_life(report: Report, record: canonical.Record, lives: dict[RequestId, Request]) -> None:
    event, id = record.event, record.request
    if isinstance(event, e.RequestOpened):
        if event.id in lives:
            report.add("lives", record.seq, f"{event.id} is opened a second time at line {record.seq}.")
        lives[event.id] = machine.open_request(event, record.at)
    elif id in lives and record.after:
        before = lives[id]
        _check_grant(report, record, before)
        try:
            lives[id] = machine.apply(before, event, record.at)
        except Stale:
            report.add(
                "lives",
                record.seq,
                f"Line {record.seq} ({e.type_of(event)}) cannot follow: {id} was {before.state.value}.",
            )
            return
    elif record.after:
        report.add("lives", record.seq, f"Line {record.seq} belongs to {id}, which was never opened.")
        return
    else:
        return
    if lives[RequestId(str(id))].state.value != record.after:
        report.add(
            "lives",
            record.seq,
            f"Line {record.seq} says {id} became {record.after}; by the rules it became "
            f"{lives[RequestId(str(id))].state.value}.",
        )


def _check_grant(report: Report, record: canonical.Record, before: Request) -> None:
    """No grant without its quorum of distinct humans, none of them the requester, and fresh proof."""
    event = record.event
    if not isinstance(event, e.QuorumReached | e.Activated):
        return
    for index, tier in enumerate(before.terms.tiers):
        voters = {approval.by for approval in before.approvals if approval.tier == index}
        if len(voters - {before.requester}) < tier.count:
            report.add(
                "lives", record.seq, f"{before.id} is granted at line {record.seq} without its quorum."
            )
    everyone = [approval.by for approval in before.approvals]
    if len(everyone) != len(set(everyone)):
        report.add(
            "lives", record.seq, f"{before.id} is granted at line {record.seq} with one human counted twice."
        )
    proof = event.proof if isinstance(event, e.Activated) else before.proof
    if before.terms.mfa is not Mfa.NONE and (
        proof is None or record.at - proof.at > before.terms.mfa_max_age + timedelta(seconds=5)
    ):
        report.add("lives", record.seq, f"{before.id} is granted at line {record.seq} without fresh proof.")


def _check_assertion(report: Report, record: canonical.Record, assertions: dict[str, int]) -> None:
    proof = getattr(record.event, "proof", None)
    if proof is None:
        return
    first = assertions.setdefault(proof.assertion, record.seq)
    if first != record.seq:
        report.add("lives", record.seq, f"Line {record.seq} uses a code that line {first} used already.")


def _check_requests(
    report: Report, lives: Mapping[RequestId, Request], requests: Mapping[RequestId, Request]
) -> None:
    for id, request in lives.items():
        if id not in requests:
            report.add("requests", None, f"{id} is in the history but missing from the requests table.")
        elif requests[id] != request:
            report.add("requests", None, f"{id} in the requests table is not what its history adds up to.")
    for id in requests.keys() - lives.keys():
        report.add("requests", None, f"{id} is in the requests table but not in the history.")


# --- checkpoints ----------------------------------------------------------------------------------------


def _opened(report: Report, keys: Sequence[Verifier], notes: Iterable[str], where: str) -> list[Checkpoint]:
    opened = []
    for note in notes if keys else ():
        try:
            opened.append(open_any(keys, note))
        except CheckpointError as error:
            report.add("checkpoints", None, f"A checkpoint {where} does not hold: {error}")
    return opened


def _check_notes(
    report: Report, checkpoints: list[Checkpoint], roots: Mapping[int, bytes], size: int, where: str
) -> None:
    sound = 0
    for checkpoint in sorted(checkpoints, key=lambda c: c.size):
        if checkpoint.size > size:
            report.add(
                "checkpoints",
                size,
                f"Cut: a checkpoint {where} covers {checkpoint.size} events, only {size} are here.",
            )
        elif roots.get(checkpoint.size) != checkpoint.root:
            report.add(
                "checkpoints",
                sound,
                f"Rewritten: the first {checkpoint.size} events no longer give the root that was signed "
                f"({base64.b64encode(checkpoint.root).decode()}). What changed lies in lines {sound} to "
                f"{checkpoint.size - 1}.",
            )
            return
        else:
            sound = checkpoint.size
