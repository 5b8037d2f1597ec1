"""The frozen bytes: one line of history per type of event, in `frozen/events-1.json`.

`python -m tests.audit.golden` adds the lines of types that are new. It never changes a line: a history that
was written once is read for ever.
"""

from pathlib import Path

from bot.audit import canonical
from bot.core import events as e
from bot.core import machine
from bot.core.errors import Stale
from bot.core.machine import TRANSITIONS
from bot.core.model import Request
from tests.core.samples import NOW, example, requests_in

FOLDER = Path(__file__).parent / "frozen"
NEWEST = FOLDER / "events-1.json"


def example_of(kind: type[e.Event]) -> tuple[e.Event, Request | None, Request | None]:
    """An example of this fact, with the request before and after it where it belongs to one."""
    event = example(kind)
    if isinstance(event, e.RequestOpened):
        return event, None, machine.open_request(event, NOW)
    for state in TRANSITIONS:
        for before in requests_in(state):
            try:
                return event, before, machine.apply(before, event, NOW)
            except Stale:
                continue
    return event, None, None


def line_of(kind: type[e.Event]) -> bytes:
    """What that example is in the history, as line 7."""
    event, before, after = example_of(kind)
    return canonical.event_bytes(event, seq=7, at=NOW, before=before, after=after, policy="p" * 64)


def lines_in(file: Path) -> dict[str, bytes]:
    """The frozen lines by the type of their event."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return {e.type_of(canonical.read(line).event): line for line in lines}


if __name__ == "__main__":
    frozen = lines_in(NEWEST)
    FOLDER.mkdir(exist_ok=True)
    with NEWEST.open("ab") as out:
        for name, kind in e.VOCABULARY.items():
            if name not in frozen:
                out.write(line_of(kind) + b"\n")
