"""The whole history checked from the command line.

Rule: it reads beside a running server, and trusts neither that server nor the database.
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypedDict

from bot.audit import verify as history
from bot.audit.checkpoint import CheckpointError, Signer, Verifier, notes_in
from bot.audit.tree import Frontier
from bot.config import ConfigError
from bot.office import utc_now
from bot.operate.looking import reading
from bot.store import Line, Reader, StoredWords

CHUNK: Final = 5000
"""Lines of the history read at once."""


class FoundRow(TypedDict):
    """One thing the verifier found."""

    kind: str
    check: str
    seq: int | None
    sentence: str


class Verified(TypedDict):
    """What `verify` saw."""

    sound: bool
    events: int
    root: str
    checkpoints: int
    collected: int
    unsealed: int
    signatures: bool
    findings: list[FoundRow]


async def verify(env: Mapping[str, str], *, key: Sequence[str], checkpoints: Path | None) -> Verified:
    """The whole history checked; see `audit.verify`.

    Raises:
        ConfigError: the key or the file of checkpoints cannot be used.
    """
    keys, memory = keys_of(env, key)
    verifier = keys[0] if keys else None
    collected = _collected(checkpoints) if checkpoints is not None else []
    if collected and verifier is None:
        raise ConfigError(["--checkpoints: Without the verifier key they prove nothing. Add --key."])
    async with reading(env) as database, database.at_once() as reader:
        report = await report_on(reader, keys, collected=collected, memory=memory, now=utc_now())
    return {
        "sound": report.sound,
        "events": report.events,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "collected": report.collected,
        "unsealed": report.unsealed,
        "signatures": verifier is not None,
        "findings": [
            {
                "kind": found.kind.value,
                "check": found.check,
                "seq": found.seq,
                "sentence": found.sentence,
            }
            for found in report.findings
        ],
    }


async def report_on(
    reader: Reader,
    keys: Sequence[Verifier],
    *,
    collected: Sequence[str] = (),
    memory: Frontier | None = None,
    now: datetime | None = None,
) -> history.Report:
    """The whole history in one database checked; `reader` must see one moment of it. See `audit.verify`."""
    return await history.verify(
        _rows(reader),
        head=await reader.head(),
        requests=await reader.everything(),
        misfiled=await reader.misfiled(),
        words=_words(reader),
        verifier=keys[0] if keys else None,
        earlier=keys[1:],
        notes=[checkpoint.note for checkpoint in await reader.checkpoints()],
        collected=collected,
        remembered=memory,
        now=now,
    )


def _collected(file: Path) -> list[str]:
    try:
        found = notes_in(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"--checkpoints: {file} cannot be read ({error})."]) from None
    if not found:
        raise ConfigError([f"--checkpoints: {file} holds no checkpoint. Copy whole messages."])
    return found


def keys_of(env: Mapping[str, str], given: Sequence[str]) -> tuple[Sequence[Verifier], Frontier | None]:
    """The verifier keys, newest first, given or those of the signing key file; what the signer remembers."""
    file, memory = env.get("BREAKGLASS_SIGNING_KEY_FILE"), env.get("BREAKGLASS_SIGNING_MEMORY")
    try:
        if given:
            return [Verifier.parse(key) for key in given], None
        if file and os.access(file, os.R_OK):
            signer = Signer.load(Path(file), Path(memory) if memory else None)
            return [signer.verifier, *signer.earlier()], signer.last()
    except CheckpointError as error:
        raise ConfigError([f"--key: {error}"]) from None
    return [], None


async def _rows(reader: Reader) -> AsyncIterator[Line]:
    last = await reader.last_seq()
    for first in range(0, last + 1, CHUNK):
        for line in await reader.lines(first, first + CHUNK):
            yield line


async def _words(reader: Reader) -> AsyncIterator[StoredWords]:
    after = ""
    while some := await reader.words(after):
        for words in some:
            yield words
        after = some[-1].commitment


def verify_text(found: Verified) -> str:
    """The report for a person."""
    sealed = f"{found['checkpoints']} checkpoints here, {found['collected']} collected elsewhere"
    lines = [f"{found['events']} events, {sealed}, {found['unsealed']} events since the last checkpoint."]
    lines += [f"✗ {row['kind']}: {row['sentence']}" for row in found["findings"]]
    if found["sound"]:
        lines.append(f"✓ Sound. Root {found['root'][:16]}…")
    if not found["signatures"]:
        lines.append(
            "! Signatures were not checked: no verifier key. Add --key, or set the signing key file."
        )
    if not found["collected"]:
        lines.append(
            "! Whoever has the signing key can rewrite all of it. Only checkpoints kept elsewhere show that:"
        )
        lines.append("  copy some from the audit channel into a file and add --checkpoints FILE.")
    return "\n".join(lines)
