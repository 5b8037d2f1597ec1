"""The guide: what to type, what to press, what to try to break, and what of it has really happened.

Rule: a step is ticked by the bot's own history, by what the database said, or by what became of a process;
never by a click.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.demo.history import MOST_WRONG, Line
from bot.demo.people import PEOPLE


@dataclass(frozen=True, slots=True)
class Seen:
    """What really happened so far.

    Args:
        lines: the history.
        allowed: (handle, name of the query) of each query that the database answered.
        refused: the same of those it refused.
        cut: handles whose open session the database cut.
        killed: a bot process was killed.
        sound: the real history was verified and is sound.
        forged: a forged copy was verified, and something was found.
    """

    lines: Sequence[Line]
    allowed: frozenset[tuple[str, str]] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()
    cut: frozenset[str] = frozenset()
    killed: bool = False
    sound: bool = False
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `who` is whom to be; `insert` goes into the composer; `go` is a channel."""

    id: str
    who: str
    title: str
    text: str
    done: Callable[[Seen], bool]
    insert: str = ""
    go: str = ""
    panel: str = ""
    """The part of the panel where it is done, if it is done there."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Steps that belong together."""

    title: str
    steps: Sequence[Step] = field(default_factory=tuple)


def told(guide: Sequence[Chapter], seen: Seen) -> list[dict[str, Any]]:
    """The guide as JSON, with `done` for each step."""
    return [
        {
            "title": chapter.title,
            "steps": [
                {
                    "id": step.id,
                    "who": PEOPLE[step.who].id if step.who else "",
                    "title": step.title,
                    "text": step.text,
                    "insert": step.insert,
                    "go": step.go,
                    "panel": step.panel,
                    "done": step.done(seen),
                }
                for step in chapter.steps
            ],
        }
        for chapter in guide
    ]


def happened(kind: str, *, by: str = "", **data: object) -> Callable[[Seen], bool]:
    """Whether the history has such a line: by this person, with these fields."""

    def holds(seen: Seen) -> bool:
        return any(_is(line, kind, by) and _has(line, data) for line in seen.lines)

    return holds


def locked_out(seen: Seen) -> bool:
    """Somebody's codes were refused until they were locked."""
    wrong = [line["actor"] for line in seen.lines if _is(line, "proof_refused", "")]
    return any(wrong.count(actor) >= MOST_WRONG for actor in set(wrong))


def ended_in_spite_of_it(seen: Seen) -> bool:
    """Access that was given before a crash ended after it."""
    held: set[str] = set()
    over_a_crash: set[str] = set()
    in_order = True
    for line in seen.lines:
        match line["type"]:
            case "access_granted":
                held.add(line["request"])
            case "server_stopped":
                in_order = True
            case "server_started":
                over_a_crash |= set() if in_order else held
                in_order = False
            case "access_ended" if line["request"] in over_a_crash:
                return True
            case "access_ended":
                held.discard(line["request"])
    return False


def _is(line: Mapping[str, Any], kind: str, by: str) -> bool:
    return line["type"] == kind and (not by or line["actor"] == PEOPLE[by].id)


def _has(line: Mapping[str, Any], data: Mapping[str, object]) -> bool:
    return all(line["data"].get(key) == value for key, value in data.items())


REQUESTS: Final = "C0REQUEST1"
AUDIT: Final = "C0AUDIT001"
SECURITY: Final = "C0SECURE01"

GUIDE: Final = (
    Chapter(
        "Get in, and be put out again",
        (
            Step(
                "before",
                "alice",
                "On an ordinary day there is no access",
                "Read the orders below. It is the real database that refuses you.",
                lambda seen: ("alice", "read") in seen.refused,
                panel="access",
            ),
            Step(
                "ask",
                "alice",
                "Ask, with Alice's code",
                "It is 02:17 and customers are waiting. Pick the first scenario, then “Production database, "
                "read” and 1 minute. Tick both criteria, give a reason of 20 characters, INC-42, and the "
                "code from her phone.",
                happened("proof_accepted", by="alice"),
                insert="/breakglass",
                go=REQUESTS,
            ),
            Step(
                "self",
                "alice",
                "Try to approve it yourself",
                "Press Approve on your own card.",
                happened("attempt_refused", by="alice", code="self_approval"),
                go=REQUESTS,
            ),
            Step(
                "stranger",
                "mallory",
                "Let a stranger try",
                "Mallory sees the card too, but has no role.",
                happened("attempt_refused", by="mallory"),
                go=REQUESTS,
            ),
            Step(
                "approve",
                "bob",
                "Approve",
                "Press Approve and enter Bob's code. The provider is told only now.",
                happened("access_granted"),
                go=REQUESTS,
            ),
            Step(
                "read",
                "alice",
                "Use the access",
                "Read the orders again. Then try as Bob: approving gave him nothing.",
                lambda seen: ("alice", "read") in seen.allowed,
                panel="access",
            ),
            Step(
                "cut",
                "alice",
                "Keep a session open, and wait",
                "When the minute is over it is cut, and the role is taken back. Only Breakglass ends it, as "
                "the card said: PostgreSQL alone would let her stay.",
                lambda seen: bool(seen.cut),
                panel="access",
            ),
            Step(
                "report",
                "alice",
                "Say what you did",
                "Press Report on the card, now that the access is over.",
                happened("report_filed"),
                go=REQUESTS,
            ),
            Step(
                "review",
                "dana",
                "Review it",
                "Press Review and judge: real emergency, drill or misuse?",
                happened("review_signed"),
                go=REQUESTS,
            ),
        ),
    ),
    Chapter(
        "Change data, with a login made for it",
        (
            Step(
                "shown",
                "alice",
                "Ask to change data",
                "Two must agree here: Bob first, then Dana. Then press Show credential. It is shown once.",
                happened("handoff_shown"),
                insert="/breakglass",
                go=REQUESTS,
            ),
            Step(
                "repair",
                "alice",
                "Repair the stuck order",
                "Choose “the credential from Slack” below, and paste user and password.",
                lambda seen: any(query == "change" for _, query in seen.allowed),
                panel="access",
            ),
        ),
    ),
    Chapter(
        "Try to break it",
        (
            Step(
                "codes",
                "carol",
                "Guess codes until they are locked",
                "Let Alice ask once more. As Carol, press Approve and enter a wrong code five times.",
                locked_out,
                go=REQUESTS,
            ),
            Step(
                "delete",
                "olga",
                "Delete a line of the record",
                "Olga owns the workspace: Slack lets her delete anybody's message. Delete one here.",
                happened("audit_entry_deleted"),
                go=AUDIT,
            ),
            Step(
                "post",
                "olga",
                "Write into the record",
                "Post something here. Then look at #security.",
                happened("foreign_post"),
                insert="Everything is fine, nothing to see here.",
                go=AUDIT,
            ),
            Step(
                "kill",
                "",
                "Kill the bot while somebody is in",
                "SIGKILL: no goodbye, no clean-up. It is started again, as systemd would.",
                lambda seen: seen.killed,
                panel="bot",
            ),
            Step(
                "soul",
                "",
                "And the access ends all the same",
                "What must happen is written down before it is begun. So the new process knows.",
                ended_in_spite_of_it,
                panel="access",
            ),
            Step(
                "verify",
                "",
                "Check the whole history",
                "Runs breakglass verify against the checkpoints in the audit channel.",
                lambda seen: seen.sound,
                panel="bot",
            ),
            Step(
                "forge",
                "",
                "Forge a line, and check again",
                "In a copy of the database, with all the power of its owner.",
                lambda seen: seen.forged,
                panel="bot",
            ),
        ),
    ),
)
"""In the order of a first visit. The channels are those of the example configuration."""
