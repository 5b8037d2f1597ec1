"""Everything that can go wrong between an app and Slack, asked for by name.

A fault is taken by the next matching call, `times` times, oldest first. Faults never change what Slack would
have done, only whether and how the app hears of it.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "ratelimited", "500", "503", "html", "error", "cut_before", "cut_after_store", "slow"
]


@dataclass
class Fault:
    """One planned failure; see `Faults.add`."""

    method: str
    kind: FaultKind
    times: int
    retry_after: int
    delay: float
    error: str


@dataclass
class Faults:
    """The plan of failures of one sandbox; `clear` ends them all.

    `latency` is added to every Web API call, in seconds of the sandbox's clock. `skew` is added to the
    timestamp of signed requests, `tamper` changes one byte of their bodies after signing. `mute_pongs` leaves
    the pings of new sockets unanswered, `mute_hello` opens them without a word, and `deaf` ones say hello,
    answer pings and deliver nothing; `too_many` refuses every new socket.
    """

    latency: float = 0.0
    skew: float = 0.0
    tamper: bool = False
    mute_pongs: bool = False
    mute_hello: bool = False
    deaf: bool = False
    too_many: bool = False
    planned: list[Fault] = field(default_factory=list)
    _events: list[Literal["duplicate", "lose", "reorder"]] = field(default_factory=list)

    def add(
        self,
        *,
        method: str = "*",
        kind: FaultKind,
        times: int = 1,
        retry_after: int = 1,
        delay: float = 0.0,
        error: str = "fatal_error",
    ) -> None:
        """Let the next `times` calls of `method` ("*": any) fail in this way.

        `cut_before` drops the connection unread, `cut_after_store` after the work was done (the danger of
        double posts), `slow` waits `delay` seconds first, `error` answers ok: false with `error`.
        """
        self.planned.append(Fault(method, kind, times, retry_after, delay, error))

    def duplicate_events(self, times: int = 1) -> None:
        """Deliver the next events twice: same event_id, new envelope."""
        self._events += ["duplicate"] * times

    def lose_events(self, times: int = 1) -> None:
        """Never deliver the next events, not even on retry."""
        self._events += ["lose"] * times

    def reorder_events(self, times: int = 1) -> None:
        """Hold the next events back until another one has overtaken them."""
        self._events += ["reorder"] * times

    def clear(self) -> None:
        """Everything works again."""
        self.__init__()  # type: ignore[misc] # back to the defaults, whichever fields there are

    def take(self, method: str) -> Fault | None:
        """The fault for this call, used up."""
        for fault in self.planned:
            if fault.method in ("*", method):
                fault.times -= 1
                if fault.times <= 0:
                    self.planned.remove(fault)
                return fault
        return None

    def take_event(self) -> Literal["duplicate", "lose", "reorder"] | None:
        """What happens to the next event."""
        return self._events.pop(0) if self._events else None
