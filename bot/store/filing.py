"""How a request lies in its row, and how a row is read again.

Rule: the body is what counts; the columns beside it are what it is found by, and are held against it.
"""

import json
from datetime import datetime
from typing import Any

from bot.audit import canonical
from bot.core import machine
from bot.core.model import Request, State
from bot.store import tables as t


def columns_of(request: Request) -> dict[str, Any]:
    """What stands in the row of a request: its body, and beside it what it is found by."""
    return {
        "version": request.version,
        "state": request.state,
        "requester": request.requester,
        "backend": request.terms.backend,
        "due_at": machine.due_at(request),
        "body": canonical.dumps(canonical.encode(request)).decode(),
    }


def request_in(body: str) -> Request:
    """The request that `body` says, without people's words.

    Raises:
        ValueError: somebody put there what is no request.
        KeyError, TypeError, AttributeError, RecursionError: the same.
    """
    return canonical.decode(Request, json.loads(body))


def readable(body: object) -> Request | None:
    """The request that `body` says; None where somebody put there what is no request."""
    try:
        return request_in(str(body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def is_as_filed(row: dict[str, object]) -> bool:
    """Whether the columns of `row`, as stored, say the same as its body."""
    request = readable(row["body"])
    if request is None:
        return False
    try:
        columns = columns_of(request)
    except (AssertionError, AttributeError, TypeError):  # a state without what belongs to it: never by us
        return False
    filed = {"id": request.id, "mark": request.mark, "opened_at": request.opened_at, **columns}
    if request.state is State.ACTIVE and not request.warned and row["due_at"] == _stored(request.expires_at):
        del filed["due_at"]  # an earlier version warned nobody
    del filed["body"]  # an earlier version may have written it with fewer fields
    return all(row[k] == _stored(v) for k, v in filed.items())


def _stored(value: object) -> object:
    return t.microseconds(value) if isinstance(value, datetime) else value
