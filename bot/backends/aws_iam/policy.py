"""Policies with an end, and what a policy found at AWS says about its own."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

VERSION: Final = "2012-10-17"
BEFORE: Final = "DateLessThan"
NOW: Final = "aws:CurrentTime"


def ends_itself(statement: Json) -> bool:
    """Whether a statement of the settings has an end of its own. Keys of conditions know no case."""
    keys = statement.get("Condition", {}).get(BEFORE, {})
    return any(key.casefold() == NOW.casefold() for key in keys)


def bounded(statements: Sequence[Json], until: datetime) -> Json:
    """The policy: each statement ends at `until`, rounded down to the second; its own conditions stay."""
    copies = deepcopy(list(statements))
    for statement in copies:
        ends = statement.setdefault("Condition", {}).setdefault(BEFORE, {})
        ends[NOW] = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Version": VERSION, "Statement": copies}


def unbounded(policy: Json) -> tuple[list[Json], list[datetime | None]]:
    """The reverse: the statements without our condition, and the end of each (None: it has none)."""
    listed = policy.get("Statement", [])
    copies = deepcopy([listed] if isinstance(listed, dict) else listed)
    ends: list[datetime | None] = []
    for statement in copies:
        conditions = statement.get("Condition", {})
        end = None
        with suppress(ValueError, TypeError):
            end = datetime.fromisoformat(conditions.get(BEFORE, {}).pop(NOW, None))
        ends.append(end)
        if not conditions.get(BEFORE, True):
            del conditions[BEFORE]
        if not conditions:
            statement.pop("Condition", None)
    return copies, ends
