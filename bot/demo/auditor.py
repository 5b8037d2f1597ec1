"""`breakglass verify`, on the history as it is, and on a copy in which somebody forged a line.

Rule: the forger works on a copy, with all the power of whoever owns the database; the bot's own is only read.
"""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from bot.demo.people import PEOPLE
from bot.demo.stage import Stage

FORGED: Final = "forged"
SIGNED: Final = "\n— breakglass/"
"""How the signature of a checkpoint begins; in a demo's first seconds none stands in the channel."""
FOUND: Final = 3
"""The exit code of `verify` when the history is not sound (docs/contracts.md)."""

_PREFERRED: Final = ("approval_given", "request_opened", "enrolled")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the command said: `code` is its exit code (0 sound, 3 something was found)."""

    code: int
    words: str
    forged: str = ""
    """What was changed in the copy, as a sentence; empty for the real history."""


async def verify(stage: Stage) -> Verdict:
    """The real history, against the checkpoints that stand in the audit channel."""
    return await _verify(stage, {})


async def verify_forged(stage: Stage) -> Verdict:
    """A copy in which one line names Mallory as the one who did it."""
    url = stage.env["BREAKGLASS_DATABASE_URL"]
    scheme, _, file = url.partition(":///")
    if scheme.startswith("sqlite"):
        copy = stage.home / "forged.db"
        what = await asyncio.to_thread(_forge_file, Path(file), copy)
        return await _verify(stage, {"BREAKGLASS_DATABASE_URL": f"sqlite:///{copy}"}, what)
    name = url.rpartition("/")[2]
    await asyncio.to_thread(stage.production.server.copy, name, FORGED)
    what = await _forge_database(stage.production.server.url(database=FORGED))
    return await _verify(stage, {"BREAKGLASS_DATABASE_URL": url.removesuffix(name) + FORGED}, what)


async def _verify(stage: Stage, env: dict[str, str], forged: str = "") -> Verdict:
    copied = stage.home / "checkpoints.txt"
    messages = stage.persona("dana").messages(stage.places.audit)
    text = "\n".join(message.human_text() for message in messages)
    copied.write_text(text)
    words = ["verify", *(["--checkpoints", str(copied)] if SIGNED in text else [])]
    code, said, complained = await stage.breakglass(*words, env=env)
    return Verdict(code, (said + complained).strip(), forged)


def _forge_file(source: Path, copy: Path) -> str:
    copy.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(copy)) as there,
    ):
        here.backup(there)
        triggers = there.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
        )
        for (trigger,) in triggers.fetchall():
            there.execute(f'DROP TRIGGER "{trigger}"')
        rows = there.execute("SELECT seq, type, body FROM events ORDER BY seq").fetchall()
        seq, body, what = _forgery(rows)
        there.execute("UPDATE events SET body = ? WHERE seq = ?", (body, seq))
        there.commit()
    return what


async def _forge_database(url: str) -> str:
    there = await asyncpg.connect(url)
    try:
        await there.execute("ALTER TABLE events DISABLE TRIGGER ALL")  # as its owner could
        rows = await there.fetch("SELECT seq, type, body FROM events ORDER BY seq")
        seq, body, what = _forgery([tuple(row.values()) for row in rows])
        await there.execute("UPDATE events SET body = $1 WHERE seq = $2", body, seq)
    finally:
        await there.close()
    return what


def _forgery(rows: list[tuple[Any, ...]]) -> tuple[int, bytes, str]:
    """Which line becomes what, and a sentence about it."""
    found = {kind: (seq, bytes(body)) for seq, kind, body in rows}
    kind = next(kind for kind in (*_PREFERRED, *found) if kind in found)
    seq, body = found[kind]
    line = json.loads(body)
    mallory = PEOPLE["mallory"].id
    forged = body.replace(json.dumps(line["actor"]).encode(), json.dumps(mallory).encode())
    return seq, forged, f"In the copy, event {seq} ({kind}) now says it was {mallory}, not {line['actor']}."
