"""The changes of what one person sees, as server-sent events; nobody polls and nothing is sent twice.

`reset` first (forget everything), then `changes`: what was put and what is gone, within 50 ms of a change.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Final

from aiohttp import web

from bot.sandbox.client import Persona
from bot.sandbox.kit.schema import Json
from bot.sandbox.page.sight import pieces
from bot.sandbox.sandbox import Sandbox

GATHER: Final = 0.03
"""Seconds in which changes are gathered into one event: a burst is one repaint."""

ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent, so that a lost reader is noticed."""

MOST: Final = 400
"""Pieces in one event: the first paint does not wait for the whole history."""

_MISSING: Final = object()


class Watcher:
    """Remembers what one reader was sent, by mark, and finds what is new."""

    def __init__(self, sandbox: Sandbox, persona: Persona) -> None:
        self._sandbox = sandbox
        self._persona = persona
        self._sent: dict[tuple[str, str], object] = {}

    def changes(self) -> Iterator[Json]:
        """What changed since the last look, in portions."""
        put: list[Json] = []
        there: dict[tuple[str, str], object] = {}
        for kind, id, mark, make in pieces(self._sandbox, self._persona):
            before = self._sent.get((kind, id), _MISSING)
            there[kind, id] = mark
            if before is not mark and (before is _MISSING or not _same(before, mark)):
                put.append({"kind": kind, "id": id, "value": make()})
        gone = [{"kind": kind, "id": id} for kind, id in self._sent if (kind, id) not in there]
        self._sent = there
        for start in range(0, len(put), MOST):
            last = start + MOST >= len(put)
            yield {"put": put[start : start + MOST], "gone": gone if last else []}
        if gone and not put:
            yield {"put": [], "gone": gone}


def _same(before: object, after: object) -> bool:
    """Records are compared by identity alone, which the caller has done; the rest by value."""
    return isinstance(before, dict | tuple) and before == after


async def stream(
    request: web.Request, sandbox: Sandbox, persona: Persona, ended: asyncio.Event
) -> web.StreamResponse:
    """Answer with events until the reader leaves or the page ends."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    workspace = sandbox.workspace
    team = {"id": workspace.team.id, "name": workspace.team.name, "url": sandbox.url}
    watcher = Watcher(sandbox, persona)
    with contextlib.suppress(ConnectionError):
        await response.write(_event("reset", {"you": persona.id, "team": team, "now": sandbox.clock.now()}))
        while not ended.is_set():
            coming = workspace.pulse.coming()
            for portion in watcher.changes():
                await response.write(_event("changes", portion))
            if not await _within(coming, ALIVE):
                await response.write(b": still here\n\n")
                continue
            await _within(ended, GATHER)
    return response


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _event(name: str, value: Json) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
