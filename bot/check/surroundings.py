"""What the environment, the file itself and the providers say. Rule: no finding without its fix."""

import asyncio
import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from bot.backends import Backend, Checks
from bot.check.facts import Finding, Severity, Step
from bot.config import SERVE, Config, ConfigError, Environment, Transport
from bot.core.errors import BackendError

MEND: Final = "Mend its settings or its rights; its page under docs/backends says what it needs."


# --- the file itself --------------------------------------------------------------------------------------


def told(error: ConfigError) -> Iterator[Finding]:
    """The mistakes of the file or the environment, as findings."""
    for problem in error.problems:
        key, _, text = problem.partition(": ")
        variable = key.startswith(("SLACK_", "BREAKGLASS_"))
        yield replace(_split(key, text), step=None if variable else Step.FILE)


def _split(key: str, text: str) -> Finding:
    """What is wrong is the first sentence; the rest is how to mend it."""
    sentence, _, fix = text.partition(". ")
    return Finding(Severity.ERROR, key, f"{sentence.removesuffix('.')}.", fix)


def environment(env: Mapping[str, str], transport: Transport) -> Iterator[Finding]:
    """Secrets that a server with this transport misses or that are wrong, and a key that others can read."""
    try:
        Environment.read(env, need=SERVE, transport=transport)
    except ConfigError as error:
        yield from told(error)


def loose_ends(config: Config) -> Iterator[Finding]:
    """What is defined and never used, and rules that catch nothing."""
    policy = config.policy
    used = {*policy.security, *(role for rule in policy.deny for role in rule.roles)}
    for terms in policy.accesses.values():
        used |= {*terms.requesters, *terms.reviewers, *(role for tier in terms.tiers for role in tier.roles)}
    for role in [role for role in config.roles if role not in used]:
        yield Finding(
            Severity.WARNING,
            f"roles.{role}",
            f"The role “{role}” is not used anywhere.",
            "Name it where it belongs, or remove it.",
        )
    offered = {access for scenario in policy.scenarios.values() for access in scenario.accesses}
    for access in [access for access in policy.accesses if access not in offered]:
        yield Finding(
            Severity.WARNING,
            f"accesses.{access}",
            f"No scenario offers “{policy.accesses[access].title}”, so nobody can ask for it.",
            "Add it to the accesses of a scenario, or remove it.",
        )
    granting = {terms.backend for terms in policy.accesses.values()}
    for backend in [backend for backend in config.backends if backend not in granting]:
        yield Finding(
            Severity.WARNING,
            f"backends.{backend}",
            f"No access uses the backend “{backend}”.",
            "Name it in an access, or remove it.",
        )
    for index, rule in enumerate(policy.deny):
        for glob in rule.accesses:
            if not fnmatch.filter(policy.accesses, glob):
                yield Finding(
                    Severity.WARNING,
                    f"deny[{index}].accesses",
                    f"“{glob}” matches no access, so this part of the rule forbids nothing.",
                    "Mend the pattern.",
                )


# --- providers --------------------------------------------------------------------------------------------


async def providers(backends: Mapping[str, Backend], deadline: timedelta) -> list[Finding]:
    """Providers that do not answer, or that say what is wrong. All are asked at the same time."""
    found = await asyncio.gather(*(_provider(name, backend, deadline) for name, backend in backends.items()))
    return [finding for findings in found for finding in findings]


async def _provider(name: str, backend: Backend, deadline: timedelta) -> list[Finding]:
    key = f"backends.{name}"
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            if isinstance(backend, Checks):
                found = [_split(key, problem) for problem in await backend.problems()]
                return [finding if finding.fix else replace(finding, fix=MEND) for finding in found]
            await backend.live()
    except BackendError as error:
        return [Finding(Severity.ERROR, key, f"{name} cannot be used: {error}", MEND)]
    except TimeoutError:
        seconds = int(deadline.total_seconds())
        return [
            Finding(
                Severity.ERROR,
                key,
                f"{name} did not answer within {seconds} s.",
                "See whether it is up and can be reached from here.",
            )
        ]
    return []
