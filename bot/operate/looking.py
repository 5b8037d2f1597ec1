"""Looking at the database, beside a server that runs or without one. Rule: it never writes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypedDict

from bot.config import VERIFY, Environment
from bot.core.machine import SAYS
from bot.core.model import Request, State
from bot.office import require_there, utc_now
from bot.store import Reader, open_engine, require_current


class StatusRow(TypedDict):
    """A request that is not over. Moments are ISO 8601, UTC. `by_hand` is empty unless it is stuck."""

    id: str
    state: str
    requester: str
    access: str
    environment: str
    opened_at: str
    expires_at: str | None
    approvals: list[str]
    ended: str | None
    stuck_since: str | None
    backend: str
    mark: str
    principal: str
    by_hand: str
    review_overdue: bool


@asynccontextmanager
async def reading(env: Mapping[str, str]) -> AsyncIterator[Reader]:
    """The database, to read beside a server that runs.

    Raises:
        ConfigError: it is not there.
        SchemaOutdated: it is another version's.
    """
    url = Environment.read(env, need=VERIFY).database_url.reveal()
    require_there(url)
    engine = open_engine(url)
    try:
        await require_current(engine)
        yield Reader(engine, utc_now)
    finally:
        await engine.dispose()


async def status(reader: Reader) -> list[StatusRow]:
    """Every request that is not over, oldest first."""
    return [_row(request) for request in await reader.unfinished()]


def _row(request: Request) -> StatusRow:
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
        "backend": request.terms.backend,
        "mark": request.mark,
        "principal": request.principal,
        "by_hand": end.by_hand if end else "",
        "review_overdue": request.review_overdue,
    }


def status_line(row: StatusRow) -> str:
    """One line for a person."""
    until = f", until {row['expires_at'][:19]} UTC" if row["state"] == "active" and row["expires_at"] else ""
    stuck = _stuck(row) if row["stuck_since"] else ""
    overdue = " Its review is overdue." if row["review_overdue"] else ""
    said = SAYS[State(row["state"])]
    return f"{row['id']}  {row['access']} for {row['requester']}{until}: {said}{stuck}{overdue}"


def _stuck(row: StatusRow) -> str:
    whose = f" of {row['principal']}" if row["principal"] else ""
    by_hand = f" By hand: {row['by_hand']}" if row["by_hand"] else ""
    since = f"{row['stuck_since']}"[:19]
    return f" STUCK since {since} UTC: {row['mark']}{whose} at {row['backend']} may still exist.{by_hand}"
