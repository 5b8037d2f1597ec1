"""Is this history whole? Finds any row that was edited, deleted, inserted or moved, and says which.

Three layers, each of which catches what the one before cannot:

1. Rows: positions without gaps, bytes in canonical form, each leaf the hash of its bytes, what stands beside
   the bytes as they say it, the right edge of the tree in the head row; people's words those that were
   committed to. Catches whoever edits rows.
2. Lives: every line replays through the state machine to the state stored in it and in the requests table.
   Catches lines that are well formed and wrong, such as a grant without its quorum.
3. Checkpoints: signatures hold, and each one's root is the root of that many leaves. Catches whoever rebuilt
   the tree. Those copied from the audit channel also catch whoever replaced or cut the checkpoints here.

Rule: it reads, and trusts nothing that it reads.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.audit import canonical
from bot.audit.checkpoint import Checkpoint, CheckpointError, Verifier, open_any
from bot.audit.lives import Lives
from bot.audit.report import Finding, Kind, Report, Row, WordsRow
from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core.model import Request, RequestId, commit

__all__ = ["UNSEALED", "Finding", "Kind", "Report", "Row", "WordsRow", "verify"]

UNSEALED: Final = timedelta(seconds=120)
"""Events older than this must be covered by a checkpoint (one is due 60 s after a change)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def verify(
    rows: AsyncIterator[Row],
    *,
    head: Frontier,
    requests: Mapping[RequestId, Request],
    misfiled: Iterable[str],
    words: AsyncIterator[WordsRow],
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
        requests: the requests table, as far as it can be read.
        misfiled: ids of its rows that contradict themselves or cannot be read.
        words: the table of people's words.
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
    lives = Lives(report)
    tree = Frontier()
    said: dict[str, list[int]] = {}
    newest = max((c.size for c in ours), default=0)
    oldest_unsealed: datetime | None = None
    expected = 0
    async for row in rows:
        _check_place(report, row, expected)
        expected = row.seq + 1
        record = _check_row(report, row)
        if record is not None:
            lives.play(record)
            for commitment in {word.commitment for word in canonical.words_in(record.event)}:
                said.setdefault(commitment, []).append(row.seq)
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
    _check_requests(report, lives.now, requests, misfiled)
    await _check_words(report, words, said)
    overdue = now is not None and oldest_unsealed is not None and now - oldest_unsealed > UNSEALED
    if overdue and verifier is not None:
        report.add(
            "unsealed",
            newest,
            f"{report.unsealed} events since {oldest_unsealed:%Y-%m-%d %H:%M:%S} UTC are covered by no "
            "checkpoint, though one is due within a minute: no server ran, or checkpoints were removed.",
            Kind.INCOMPLETE,
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
    at = (record.at - _EPOCH) // timedelta(microseconds=1)
    said = (at, e.type_of(record.event), record.request)
    beside = zip(("at", "type", "request"), row.beside, said, strict=True)
    wrong = ", ".join(name for name, stored, true in beside if stored != true)
    if wrong:
        sentence = f"Edited: what stands beside the bytes of line {row.seq} ({wrong}) is not what they say."
        report.add("rows", row.seq, sentence)
    return record


# --- the tables beside ----------------------------------------------------------------------------------


def _check_requests(
    report: Report,
    lives: Mapping[RequestId, Request],
    requests: Mapping[RequestId, Request],
    misfiled: Iterable[str],
) -> None:
    for name in misfiled:
        sentence = f"The row of {name} in the requests table contradicts itself: it may come due wrongly."
        report.add("requests", None, sentence)
    for id, request in lives.items():
        if id not in requests:
            report.add("requests", None, f"{id} is in the history but missing from the requests table.")
        elif requests[id] != request:
            report.add("requests", None, f"{id} in the requests table is not what its history adds up to.")
    for id in requests.keys() - lives.keys():
        report.add("requests", None, f"{id} is in the requests table but not in the history.")


async def _check_words(
    report: Report, words: AsyncIterator[WordsRow], said: Mapping[str, Sequence[int]]
) -> None:
    """A missing row is erased, which is allowed. One that is there must be what was committed to."""
    async for row in words:
        lines = said.get(row.commitment)
        if lines is None:
            sentence = (
                f"No line of the history commits to the words under {row.commitment[:16]}…: put there, or "
            )
            report.add("words", None, f"{sentence}left over from a line that is gone.")
        elif commit(row.salt, row.text) != row.commitment:
            named = " and ".join(f"line {seq}" for seq in lines)
            sentence = f"Falsified: the words stored for {named} are not those that were written then."
            report.add("words", lines[0], sentence)


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
                Kind.INCOMPLETE,
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
