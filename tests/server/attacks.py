"""Attacks on a real history by somebody who owns the database file, and what `verify` says to each.

    python -m tests.server.attacks        prints the table: attack | caught by | what verify says

The history comes from a real server with real requests. Each attack works on a copy of it with raw SQL, the
triggers dropped. The auditor then runs `verify` with what the attack leaves them: the public key and the
signer's memory beside the key (`here`), or also the checkpoints that the audit channel showed (`channel`).
"""

import asyncio
import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bot.audit.canonical import dumps
from bot.audit.checkpoint import Signer
from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core.model import State, Verdict
from bot.operate.verifying import Verified, verify
from tests.server.rig import ALICE, BOB, CAROL, DANA, Rig, rig

FORGED_WORDS: Final = "Bob told me to."


@dataclass(frozen=True)
class Copy:
    """A copy of the history for one attack."""

    home: Path
    db: sqlite3.Connection
    target: int
    """The line that says who approved: what the attacker wants changed."""

    @property
    def signer(self) -> Signer:
        """The key, for whoever stole it."""
        return Signer.load(self.home / "signing.key")

    def size(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM events").fetchone()[0])

    def body(self, seq: int) -> bytes:
        return bytes(self.db.execute("SELECT body FROM events WHERE seq = ?", [seq]).fetchone()[0])

    def write(self, seq: int, body: bytes, *, leaf: bool = True) -> None:
        """Puts other bytes into a line, with the hash that belongs to them or with the old one."""
        self.db.execute("UPDATE events SET body = ? WHERE seq = ?", [body, seq])
        if leaf:
            self.db.execute("UPDATE events SET leaf = ? WHERE seq = ?", [leaf_hash(body), seq])

    def tree(self, size: int | None = None) -> Frontier:
        rows = self.db.execute("SELECT body FROM events ORDER BY seq").fetchall()
        return Frontier().extend(leaf_hash(bytes(body)) for (body,) in rows[:size])

    def fix_head(self) -> None:
        """Makes the head row the tree of the rows, as they are now."""
        self.db.execute("UPDATE head SET frontier = ?", [self.tree().to_bytes()])

    def fix_requests(self) -> None:
        """Makes the requests table say what the changed line says."""
        (text,) = self.db.execute(
            "SELECT body FROM requests WHERE body LIKE ?", [f'%"by":"{BOB}"%']
        ).fetchone()
        self.db.execute("UPDATE requests SET body = ? WHERE body = ?", [text.replace(BOB, CAROL), text])

    def renumber(self) -> None:
        """Makes every line carry the number of its place."""
        lines = [bytes(b) for (b,) in self.db.execute("SELECT body FROM events ORDER BY seq")]
        seqs = [seq for (seq,) in self.db.execute("SELECT seq FROM events ORDER BY seq")]
        for place, (seq, body) in enumerate(zip(seqs, lines, strict=True)):
            fixed = dumps({**json.loads(body), "seq": place})
            self.db.execute(
                "UPDATE events SET seq = ?, body = ?, leaf = ? WHERE seq = ?",
                [place, fixed, leaf_hash(fixed), seq],
            )

    def shift(self, after: int) -> None:
        """Makes room for one line behind `after`."""
        for seq in range(self.size() - 1, after, -1):
            self.db.execute("UPDATE events SET seq = ? WHERE seq = ?", [seq + 1, seq])

    def insert(self, seq: int, like: int) -> None:
        """A new line of the same kind as another, in the name of Carol."""
        body = json.loads(self.body(like)) | {"seq": seq, "actor": CAROL}
        row = self.db.execute("SELECT at, type, request FROM events WHERE seq = ?", [like]).fetchone()
        data = dumps(body)
        self.db.execute(
            "INSERT INTO events (seq, at, type, request, body, leaf) VALUES (?, ?, ?, ?, ?, ?)",
            [seq, *row, data, leaf_hash(data)],
        )

    def cut(self, size: int) -> None:
        self.db.execute("DELETE FROM events WHERE seq >= ?", [size])

    def resign(self) -> None:
        """Signs every checkpoint anew with the stolen key, and makes the signer remember only that."""
        for id, size in self.db.execute("SELECT id, size FROM checkpoints").fetchall():
            root = self.tree(size).root()
            note = self.signer.seal(size, root).note
            self.db.execute("UPDATE checkpoints SET root = ?, note = ? WHERE id = ?", [root, note, id])
        self.signer.memory.write_bytes(self.tree().to_bytes())


def forged(copy: Copy) -> bytes:
    """The line that says who approved, with another name in it."""
    return copy.body(copy.target).replace(BOB.encode(), CAROL.encode())


# --- what is done ---------------------------------------------------------------------------------------


def edit(copy: Copy) -> None:
    copy.write(copy.target, forged(copy), leaf=False)


def edit_and_leaf(copy: Copy) -> None:
    copy.write(copy.target, forged(copy))


def edit_and_tree(copy: Copy) -> None:
    edit_and_leaf(copy)
    copy.fix_head()


def edit_everything(copy: Copy) -> None:
    edit_and_tree(copy)
    copy.fix_requests()


def delete(copy: Copy) -> None:
    copy.db.execute("DELETE FROM events WHERE seq = ?", [copy.target])


def delete_and_close(copy: Copy) -> None:
    delete(copy)
    copy.renumber()
    copy.fix_head()


def insert(copy: Copy) -> None:
    copy.shift(copy.target)
    copy.insert(copy.target + 1, copy.target)


def insert_and_renumber(copy: Copy) -> None:
    insert(copy)
    copy.renumber()
    copy.fix_head()


def swap(copy: Copy) -> None:
    one, other = copy.body(copy.target), copy.body(copy.target + 1)
    copy.write(copy.target, other)
    copy.write(copy.target + 1, one)


def move_time(copy: Copy) -> None:
    """The approval is dated back, so that it seems to have come before the proof went stale."""
    line = json.loads(copy.body(copy.target))
    at = "2020" + line["at"][4:]
    copy.write(copy.target, dumps({**line, "at": at}))
    beside = datetime.fromisoformat(at).timestamp() * 1_000_000
    copy.db.execute("UPDATE events SET at = ? WHERE seq = ?", [round(beside), copy.target])
    copy.fix_head()


def cut_rows(copy: Copy) -> None:
    copy.cut(copy.size() - 5)


def cut_and_head(copy: Copy) -> None:
    cut_rows(copy)
    copy.fix_head()


def cut_and_checkpoints(copy: Copy) -> None:
    cut_and_head(copy)
    copy.db.execute("DELETE FROM checkpoints WHERE size > ?", [copy.size()])


def cut_to_before_the_first_request(copy: Copy) -> None:
    """Back to an early checkpoint; the requests go too, so that nothing here contradicts anything."""
    first = copy.db.execute("SELECT min(seq) FROM events WHERE request IS NOT NULL").fetchone()[0]
    size = copy.db.execute("SELECT max(size) FROM checkpoints WHERE size <= ?", [first]).fetchone()[0]
    copy.cut(size)
    copy.db.execute("DELETE FROM requests")
    copy.db.execute("DELETE FROM words")
    copy.fix_head()
    copy.db.execute("DELETE FROM checkpoints WHERE size > ?", [size])


def cut_and_forget(copy: Copy) -> None:
    cut_to_before_the_first_request(copy)
    copy.signer.memory.write_bytes(copy.tree().to_bytes())


def requests_only(copy: Copy) -> None:
    copy.fix_requests()


def hide_request(copy: Copy) -> None:
    copy.db.execute("DELETE FROM requests WHERE rowid = (SELECT min(rowid) FROM requests)")


def never_due(copy: Copy) -> None:
    """Nothing that the columns are asked for finds it any more: it would never end."""
    copy.db.execute("UPDATE requests SET due_at = NULL, state = 'reviewed', backend = 'elsewhere'")


def beside(copy: Copy) -> None:
    """The bytes stay as they are; what the table is asked for becomes another request, kind and time."""
    copy.db.execute(
        "UPDATE events SET type = 'server_started', request = NULL, at = 'noon' WHERE seq = ?", [copy.target]
    )


def checkpoint_changed(copy: Copy) -> None:
    copy.db.execute(
        "UPDATE checkpoints SET note = replace(note, 'acme' || char(10), 'acme' || char(10) || '1')"
    )


def checkpoints_removed(copy: Copy) -> None:
    copy.db.execute("DELETE FROM checkpoints WHERE id > 1")


def stolen_key(copy: Copy) -> None:
    edit_everything(copy)
    copy.resign()


def words_erased(copy: Copy) -> None:
    copy.db.execute("DELETE FROM words WHERE rowid = (SELECT min(rowid) FROM words)")


def words_falsified(copy: Copy) -> None:
    """The reason, as cards and reviewers read it."""
    copy.db.execute("UPDATE words SET text = ? WHERE text LIKE '%locks hold%'", [FORGED_WORDS])


def words_of_no_text(copy: Copy) -> None:
    """Bytes that are no text at all, and a salt of another kind."""
    copy.db.execute("UPDATE words SET text = CAST(x'ff00' AS TEXT), salt = 7")


def words_put_there(copy: Copy) -> None:
    copy.db.execute("INSERT INTO words (commitment, salt, text) VALUES ('ab', x'00', 'It was Bob.')")


@dataclass(frozen=True)
class Attack:
    """One attack, and by which check it must be caught `here` and with the `channel`; "" for not at all."""

    letter: str
    what: str
    do: Callable[[Copy], None]
    here: str
    channel: str = "checkpoints"
    line: int | None = 0
    """Which line the report must name, counted from the target; None where the attack is about no line."""


ATTACKS: Final = (
    Attack("a", "edit a line", edit, "rows", "rows"),
    Attack("b", "edit a line and its leaf hash", edit_and_leaf, "head"),
    Attack("c", "edit a line, recompute the tree and the head", edit_and_tree, "checkpoints"),
    Attack("c2", "the same, and make the requests table agree", edit_everything, "checkpoints"),
    Attack("c3", "date a line back, recompute the tree and the head", move_time, "checkpoints"),
    Attack("d", "delete a line in the middle", delete, "rows", "rows"),
    Attack("d2", "delete it, close the gap, recompute", delete_and_close, "checkpoints"),
    Attack("e", "insert a line and shift the rest", insert, "rows", "rows", line=2),
    Attack("e2", "insert it, renumber, recompute", insert_and_renumber, "checkpoints"),
    Attack("f", "swap two lines", swap, "rows", "rows"),
    Attack("g", "cut the tail: lines only", cut_rows, "head", "checkpoints", None),
    Attack("g2", "cut the tail: lines and head", cut_and_head, "checkpoints", line=None),
    Attack("g3", "cut the tail: lines, head, checkpoints", cut_and_checkpoints, "checkpoints", line=None),
    Attack(
        "g4", "cut all requests, everywhere here", cut_to_before_the_first_request, "checkpoints", line=None
    ),
    Attack("g5", "the same, and the signer's memory", cut_and_forget, "", line=None),
    Attack("h", "edit the requests table only", requests_only, "requests", "requests", None),
    Attack("h2", "delete a request from the table", hide_request, "requests", "requests", None),
    Attack("h3", "change when and where a request comes due", never_due, "requests", "requests", None),
    Attack("m", "change what stands beside a line's bytes", beside, "rows", "rows"),
    Attack("w", "change somebody's words", words_falsified, "words", "words", None),
    Attack("w2", "put bytes there that are no text", words_of_no_text, "words", "words", None),
    Attack("w3", "put words there that no line is about", words_put_there, "words", "words", None),
    Attack("k", "change a checkpoint", checkpoint_changed, "checkpoints", line=None),
    Attack("l", "remove the checkpoints", checkpoints_removed, "unsealed", "unsealed", None),
    Attack("i", "stolen key: edit all, sign all anew", stolen_key, ""),
    Attack("j", "erase somebody's words (allowed)", words_erased, "", "", None),
)


# --- the scene ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A finished history: its folder, the line to attack, and the checkpoints that the channel showed."""

    home: Path
    target: int
    collected: Path

    async def after(self, attack: Attack, home: Path, *, channel: bool) -> Verified:
        """What `verify` says once the attack was done to a copy in `home`."""
        shutil.copytree(self.home, home)
        file = home / "breakglass.db"
        with closing(sqlite3.connect(file)) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            attack.do(Copy(home, db, self.target))
            db.commit()
        env = {
            "BREAKGLASS_DATABASE_URL": f"sqlite:///{file}",
            "BREAKGLASS_SIGNING_KEY_FILE": str(home / "signing.key"),
        }
        return await verify(env, key=(), checkpoints=self.collected if channel else None)


async def scene(home: Path) -> Scene:
    """A night with three requests: one used and reviewed, one denied, one taken back."""
    work = home / "server"
    work.mkdir()
    async with rig(work) as it:
        it.clock.forward(timedelta(minutes=-10))
        await it.start()
        await _play(it)
        await it.told_all()
        await it.stop()
        await it.start()  # the last checkpoint of the first server is told by the second
        await it.told_all()
        target = (await it.told(e.ApprovalGiven))[0].seq
        collected = home / "checkpoints.txt"
        collected.write_text("\n".join(message.human_text() for message in it.audit()))
        await it.stop()
    kept = home / "kept"
    kept.mkdir()
    # Not a copy of the file: a connection of the server may still be closing, and write to it meanwhile.
    with (
        closing(sqlite3.connect(work / "breakglass.db")) as db,
        closing(sqlite3.connect(kept / "breakglass.db")) as whole,
    ):
        db.backup(whole)
    for name in ("signing.key", "signing.key.signed"):
        shutil.copy(work / name, kept / name)
    return Scene(kept, target, collected)


async def _play(it: Rig) -> None:
    used = await it.active()
    await it.breakglass("revoke", used.id)
    assert it.server is not None
    desk = it.server.desk
    await desk.report(used.id, ALICE, "Looked at the locks; nothing was changed.", "click-1")
    await desk.review(
        used.id, DANA, verdict=Verdict.REAL, less_was_possible=False, follow_ups="nothing", key="click-2"
    )
    denied, taken_back = await it.asks(), await it.asks()
    await desk.deny(denied.id, BOB, "Use the runbook.", "click-3")
    await desk.withdraw(taken_back.id, ALICE, "click-4")
    assert (await it.store.get(used.id)).state is State.REVIEWED


# --- the table ------------------------------------------------------------------------------------------


def told(found: Verified) -> str:
    """The first finding, and how many more there are."""
    if not found["findings"]:
        return "Sound."
    first, *more = found["findings"]
    return first["sentence"] + (f" (and {len(more)} more)" if more else "")


def caught_by(found: Verified) -> str:
    """The checks that found something, in the order in which they did."""
    return ", ".join(dict.fromkeys(row["check"] for row in found["findings"])) or "nothing"


async def rows(home: Path) -> list[tuple[str, str, str]]:
    """(attack, caught by, what verify says); one more row where only the channel's checkpoints can tell."""
    table = []
    played = await scene(home)
    for attack in ATTACKS:
        here = await played.after(attack, home / f"{attack.letter}-here", channel=False)
        table.append((f"({attack.letter}) {attack.what}", caught_by(here), told(here)))
        if here["sound"]:
            channel = await played.after(attack, home / f"{attack.letter}-channel", channel=True)
            table.append((" … with --checkpoints FILE", caught_by(channel), told(channel)))
    return table


async def _print() -> int:
    with tempfile.TemporaryDirectory() as home:
        table: list[tuple[Any, ...]] = [("attack", "caught by", "what verify says"), ("---",) * 3]
        for row in [*table, *await rows(Path(home))]:
            sys.stdout.write(f"| {' | '.join(row)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_print()))
