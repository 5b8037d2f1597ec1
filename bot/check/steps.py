"""The walk of `breakglass check`: from a Slack app that does not exist to a night when it is needed.

Rule: the steps are those of docs/connect.md, in its order. Every finding belongs to exactly one of them, and
a step that could not be looked at is never called done.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.check.facts import Facts, Finding, Severity, Step, Us
from bot.config import Config

TITLES: Final[Mapping[Step, str]] = {
    Step.FILE: "The reviewed file",
    Step.APP: "The Slack app",
    Step.CHANNELS: "Its channels",
    Step.PEOPLE: "People and roles",
    Step.KEYS: "Keys",
    Step.DATABASE: "The database",
    Step.BACKENDS: "Backends",
    Step.ACCESSES: "Who gets in, and who says yes",
    Step.FACTORS: "Second factors",
}

_BY_KEY: Final[Mapping[str, Step]] = {
    "slack": Step.APP,
    "http": Step.APP,
    "channels": Step.CHANNELS,
    "roles": Step.PEOPLE,
    "desk": Step.PEOPLE,
    "deny": Step.PEOPLE,
    "BREAKGLASS_SECRET_KEYS": Step.KEYS,
    "BREAKGLASS_SIGNING_KEY_FILE": Step.KEYS,
    "BREAKGLASS_SIGNING_MEMORY": Step.KEYS,
    "backends": Step.BACKENDS,
    "accesses": Step.ACCESSES,
    "scenarios": Step.ACCESSES,
}


class State(StrEnum):
    """How far a step is."""

    DONE = "done"
    MISSING = "missing"
    """An error stands in the way."""
    UNSEEN = "unseen"
    """It could not be looked at; what stands before it comes first."""


@dataclass(frozen=True, slots=True)
class Walked:
    """A step and what was seen there."""

    step: Step
    state: State
    seen: str
    """A sentence; empty unless done."""


def step_of(finding: Finding) -> Step:
    """Where a finding belongs."""
    if finding.step is not None:
        return finding.step
    name = finding.key.partition(".")[0].partition("[")[0]
    if name.startswith("SLACK_"):
        return Step.APP
    if "DATABASE" in name:
        return Step.DATABASE
    return _BY_KEY.get(name, Step.FILE)


def walk(
    found: Sequence[Finding],
    *,
    config: Config | None,
    facts: Facts | None,
    backends: Collection[str],
    enrolled: Collection[str],
    database: str,
) -> list[Walked]:
    """Every step, in order.

    Args:
        found: everything that is not as it should be.
        config: None when the file itself cannot be read.
        facts: None when Slack could not be asked.
        backends: names of those that were asked.
        enrolled: who has a second factor.
        database: what was seen of it; empty when nothing could be.
    """
    wrong = {step_of(finding) for finding in found if finding.severity is Severity.ERROR}
    seen = _seen(config, facts, backends, enrolled, database)
    return [
        Walked(step, State.MISSING, "")
        if step in wrong
        else Walked(step, State.DONE if seen.get(step) else State.UNSEEN, seen.get(step, ""))
        for step in Step
    ]


def _seen(
    config: Config | None,
    facts: Facts | None,
    backends: Collection[str],
    enrolled: Collection[str],
    database: str,
) -> dict[Step, str]:
    if config is None:
        return {}
    policy = config.policy
    seen = {
        Step.FILE: f"{_count(policy.scenarios, 'scenario')}, "
        f"{_count(policy.accesses, 'access', 'accesses')}; SHA-256 {policy.hash[:12]}….",
        Step.KEYS: "A signing key and a secret key, as they should be.",
        Step.DATABASE: database,
        Step.BACKENDS: f"{', '.join(sorted(backends))} answered." if backends else "",
    }
    if facts is None:
        return seen
    channels = [channel for channel in facts.channels.values() if channel]
    seen[Step.APP] = _app(facts.us)
    seen[Step.CHANNELS] = ", ".join(
        f"#{channel.name}" + (" (private)" if channel.is_private else "") for channel in channels
    )
    if facts.shows_people:
        people = _count(facts.people, "person", "people")
        seen[Step.PEOPLE] = f"{people} in {_count(config.roles, 'role')}, as Slack knows them."
        seen[Step.ACCESSES] = "Every access can be asked for, approved, granted and reviewed."
        seen[Step.FACTORS] = f"{_count(enrolled, 'person has', 'people have')} one."
    return seen


def _app(us: Us) -> str:
    return f"@{us.bot} in the workspace “{us.workspace}” ({us.team})."


def _count(things: Collection[object], one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"
