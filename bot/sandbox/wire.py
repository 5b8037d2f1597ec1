"""The log of every exchange: what a reader of a test's failure, or of the demo's wire panel, wants to see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.sandbox.kit.schema import Json

Listener = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request and, once there is one, its answer.

    `to_slack`: a Web API call or a response_url (`method` is its name, `args` its decoded arguments).
    `to_app`: an envelope or a signed request (`method` is its type, `args` its payload). `answer` stays None
    when nothing came back. `headers` and `body` are the raw request of HTTP mode, kept to be replayed.
    """

    direction: Literal["to_slack", "to_app"]
    method: str
    args: Json
    at: float
    app_id: str | None = None
    answer: Json | None = None
    status: int | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class WireLog(list[Exchange]):
    """All exchanges in the order in which they began; a new one wakes whoever waits for a change."""

    def __init__(self, beat: Callable[[], None]) -> None:
        super().__init__()
        self._beat = beat

    def append(self, exchange: Exchange) -> None:
        """Enter an exchange at its beginning."""
        super().append(exchange)
        self._beat()

    def calls(self, method: str | None = None) -> list[Exchange]:
        """The Web API calls, or those of one method."""
        return [entry for entry in self if entry.direction == "to_slack" and method in (None, entry.method)]

    def pushes(self, kind: str | None = None) -> list[Exchange]:
        """What went to the app: `events_api`, `slash_commands`, `interactive`, or all of it."""
        return [entry for entry in self if entry.direction == "to_app" and kind in (None, entry.method)]

    def events(self, kind: str | None = None) -> list[Json]:
        """The events delivered (each attempt counts), or those of one type."""
        bodies = [entry.args.get("event", {}) for entry in self.pushes("events_api")]
        return [event for event in bodies if kind in (None, event.get("type"))]
