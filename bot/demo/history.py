"""The bot's own history, read while it grows, beside the bot and without asking it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from bot.core.model import PersonId
from bot.factors import WRONG_CODES, WRONG_CODES_WITHIN
from bot.operate.looking import reading
from bot.store import Reader

MOST_WRONG: Final = WRONG_CODES

Line = Mapping[str, Any]
"""One line as docs/contracts.md describes it: `seq`, `type`, `actor`, `request`, `data`, ..."""


@dataclass(slots=True)
class History:
    """All lines so far; `look` reads what came since."""

    _reader: Reader
    lines: list[Line] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, env: Mapping[str, str]) -> AsyncIterator[Self]:
        """The history of the installation that `env` describes."""
        async with reading(env) as reader:
            yield cls(reader)

    async def look(self) -> list[Line]:
        """Everything that happened until now."""
        came = await self._reader.lines(len(self.lines), await self._reader.last_seq() + 1)
        # Two looks at once read the same lines: each is kept once.
        self.lines += [json.loads(line.body) for line in came if line.seq >= len(self.lines)]
        return self.lines

    async def used_step(self, person: str) -> int:
        """The last time step whose code this person has used; -1 when there is none."""
        factor = await self._reader.factor(PersonId(person))
        return factor[1] if factor is not None else -1

    async def wrong_codes(self, person: str) -> int:
        """How many wrong codes count against this person now."""
        return await self._reader.failures(PersonId(person), WRONG_CODES_WITHIN)
