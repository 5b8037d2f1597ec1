"""What an operator does from the command line: look, end, check, verify, enrol, make keys.

Rule: none of it needs Slack, except `check`; ending access needs no server either. Each function returns
plain values for programs; the `*_text` beside it says the same to a person.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bot import app
from bot.audit import verify as history
from bot.audit.checkpoint import CheckpointError, Signer, Verifier, notes_in
from bot.audit.tree import Frontier
from bot.config import VERIFY, Config, ConfigError, Environment, Need
from bot.core.errors import BreakglassError, Stale
from bot.core.machine import SAYS
from bot.core.model import HELD, OPERATOR, PersonId, Request, RequestId, Roster, State
from bot.desk import Desk
from bot.mfa import Vault
from bot.store import Reader, open_engine, require_current

NEEDS: Final = frozenset({Need.DATABASE, Need.SECRET_KEYS})
"""Ending access and enrolling."""

CHUNK: Final = 5000
"""Lines of the history read at once by `verify`."""

Row = dict[str, Any]


class Nobody:
    """The directory where Slack is not asked: the operator is known by having this shell."""

    async def roster(self, *_persons: PersonId) -> Roster:
        """Nobody."""
        return self.known()

    def known(self) -> Roster:
        """Nobody."""
        return Roster({}, {})


# --- looking --------------------------------------------------------------------------------------------


@asynccontextmanager
async def reading(env: Mapping[str, str]) -> AsyncIterator[Reader]:
    """The database, to read beside a server that runs.

    Raises:
        ConfigError: it is not there.
        SchemaOutdated: it is another version's.
    """
    url = Environment.read(env, need=VERIFY).database_url.reveal()
    file = Path(url.partition(":///")[2]) if url.startswith("sqlite") else None
    if file is not None and not file.exists():
        raise ConfigError(
            [f"BREAKGLASS_DATABASE_URL: There is no database at {file}. Has the server run yet?"]
        )
    engine = open_engine(url)
    try:
        await require_current(engine)
        yield Reader(engine, app.utc_now)
    finally:
        await engine.dispose()


async def status(reader: Reader) -> list[Row]:
    """Every request that is not over, oldest first."""
    return [_row(request) for request in await reader.unfinished()]


def _row(request: Request) -> Row:
    end = request.end
    return {
        "id": request.id,
        "state": request.state.value,
        "requester": request.requester,
        "access": request.terms.access,
        "environment": request.terms.environment,
        "opened_at": request.opened_at.isoformat(),
        "expires_at": request.expires_at.isoformat() if request.expires_at else None,
        "approvals": [approval.by for approval in request.approvals],
        "ended": end.why.value if end else None,
        "stuck_since": end.stuck_since.isoformat() if end and end.stuck_since else None,
        "review_overdue": request.review_overdue,
    }


def status_line(row: Row) -> str:
    """One line for a person."""
    until = f", until {row['expires_at'][:19]} UTC" if row["state"] == State.ACTIVE else ""
    stuck = f" STUCK since {row['stuck_since'][:19]} UTC." if row["stuck_since"] else ""
    overdue = " Its review is overdue." if row["review_overdue"] else ""
    said = SAYS[State(row["state"])]
    return f"{row['id']}  {row['access']} for {row['requester']}{until}: {said}{stuck}{overdue}"


# --- ending ---------------------------------------------------------------------------------------------


async def revoke(
    config: Config, env: Mapping[str, str], *, id: str | None, person: str | None, reason: str
) -> list[Row]:
    """Orders the end of one request, of all that `person` holds, or of all, and attempts each at once.

    Raises:
        UnknownRequest, Stale: `id` names nothing that can be ended.
    """
    async with app.office(config, env) as place:
        desk = Desk(
            policy=config.policy,
            installation=config.installation,
            store=place.store,
            access=place.access,
            providers=place.providers,
            people=Nobody(),
            factors=place.factors,
            closed=lambda: None,
            start=lambda _request: None,
        )
        if id is not None:
            found = [await place.store.get(_typed(id))]
        else:
            found = await place.store.held_by(PersonId(person) if person else None)
        rows = []
        for request in found:
            if id is not None and request.state not in HELD:
                raise Stale(f"{request.id} {SAYS[request.state]} There is no access to end.")
            ordered = request
            if request.state is not State.REVOKING:
                ordered = await desk.revoke(request.id, OPERATOR, reason)
            after = await place.access.take(ordered)
            gone = after.state is not State.REVOKING
            error = after.end.last_error if after.end else ""
            sentence = (
                "ended; the provider, asked again, no longer has it."
                if gone
                else f"ordered, but not confirmed ({error}). A running server goes on trying; so can you."
            )
            rows.append({"id": after.id, "state": after.state.value, "ended": gone, "sentence": sentence})
        return rows


def _typed(id: str) -> RequestId:
    bare = id.strip().upper().removeprefix("BG-")
    return RequestId(f"BG-{bare}")


# --- verifying ------------------------------------------------------------------------------------------


async def verify(env: Mapping[str, str], *, key: str | None, checkpoints: Path | None) -> Row:
    """The whole history checked; see `audit.verify`.

    Raises:
        ConfigError: the key or the file of checkpoints cannot be used.
    """
    verifier, memory = _keys(env, key)
    collected = _collected(checkpoints) if checkpoints is not None else []
    if collected and verifier is None:
        raise ConfigError(["--checkpoints: Without the verifier key they prove nothing. Add --key."])
    async with reading(env) as reader:
        report = await history.verify(
            _rows(reader),
            head=await reader.head(),
            requests=await reader.everything(),
            verifier=verifier,
            notes=[checkpoint.note for checkpoint in await reader.checkpoints()],
            collected=collected,
            remembered=memory,
            now=app.utc_now(),
        )
    return {
        "sound": report.sound,
        "events": report.events,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "collected": report.collected,
        "unsealed": report.unsealed,
        "signatures": verifier is not None,
        "findings": [
            {"check": found.check, "seq": found.seq, "sentence": found.sentence} for found in report.findings
        ],
    }


def _collected(file: Path) -> list[str]:
    try:
        found = notes_in(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"--checkpoints: {file} cannot be read ({error})."]) from None
    if not found:
        raise ConfigError([f"--checkpoints: {file} holds no checkpoint. Copy whole messages."])
    return found


def _keys(env: Mapping[str, str], key: str | None) -> tuple[Verifier | None, Frontier | None]:
    file = env.get("BREAKGLASS_SIGNING_KEY_FILE")
    try:
        if key is not None:
            return Verifier.parse(key), None
        if file and os.access(file, os.R_OK):
            signer = Signer.load(Path(file))
            return signer.verifier, signer.last()
    except CheckpointError as error:
        raise ConfigError([f"--key: {error}"]) from None
    return None, None


async def _rows(reader: Reader) -> AsyncIterator[history.Row]:
    last = await reader.last_seq()
    for first in range(0, last + 1, CHUNK):
        for line in await reader.lines(first, first + CHUNK):
            yield history.Row(line.seq, line.body, line.leaf)


def verify_text(found: Row) -> str:
    """The report for a person."""
    sealed = f"{found['checkpoints']} checkpoints here, {found['collected']} collected elsewhere"
    lines = [f"{found['events']} events, {sealed}, {found['unsealed']} events since the last checkpoint."]
    lines += [f"✗ {row['sentence']}" for row in found["findings"]]
    if found["sound"]:
        lines.append(f"✓ Sound. Root {found['root'][:16]}…")
    if not found["signatures"]:
        lines.append(
            "! Signatures were not checked: no verifier key. Add --key, or set the signing key file."
        )
    if not found["collected"]:
        lines.append(
            "! Who has the signing key can rewrite all of it; that shows only against checkpoints kept elsewhere:"
        )
        lines.append("  copy some from the audit channel into a file and add --checkpoints FILE.")
    return "\n".join(lines)


# --- enrolling, keys ------------------------------------------------------------------------------------


async def enroll(config: Config, env: Mapping[str, str], *, person: str, directly: bool) -> Row:
    """A token for `person`, or, `directly`, their enrolment itself."""
    async with app.office(config, env) as place:
        if directly:
            enrolment = await place.factors.enrol_directly(PersonId(person), OPERATOR)
            return {"person": person, "uri": enrolment.uri.reveal()}
        token = await place.factors.issue_enrolment(PersonId(person), OPERATOR)
        return {"person": person, "token": token.reveal()}


def keygen(config: Config, file: Path) -> Row:
    """A signing key in a new file, and a key for secrets at rest.

    Raises:
        BreakglassError: the file exists; a key is never overwritten.
    """
    try:
        signer = Signer.generate(app.origin_of(config), file)
    except OSError as error:
        raise BreakglassError(
            f"{file} cannot be made ({error.strerror}). A key is never overwritten."
        ) from None
    return {
        "signing_key_file": str(file),
        "verifier_key": str(signer.verifier),
        "secret_key": Vault.new_key(),
    }
