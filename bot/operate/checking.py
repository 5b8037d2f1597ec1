"""`breakglass check` on the real world: Slack, providers, the database. The judgements are in `bot.check`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from bot.backends import Backend, Closes, registry
from bot.check import Finding, Severity, run_checks, told
from bot.config import Config, ConfigError, Environment, Need, load
from bot.core.errors import BreakglassError
from bot.core.model import PersonId
from bot.office import utc_now
from bot.operate.looking import reading
from bot.slack.connect import web_client
from bot.slack.facts import SlackFacts


class Problem(TypedDict):
    """One finding: `error` or `warning`, the configuration's key, what is wrong, how to mend it."""

    severity: str
    key: str
    sentence: str
    fix: str


async def check(path: Path, env: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with the installation, errors first; see `bot.check`."""
    try:
        config = load(path, env)
    except ConfigError as error:
        return [_problem(finding) for finding in told(error)]
    backends, found = _backends(config, env)
    found += await run_checks(
        config,
        env=env,
        workspace=_workspace(env),
        backends=backends,
        enrolled=await _enrolled(env),
        now=utc_now(),
    )
    for backend in backends.values():
        if isinstance(backend, Closes):
            await backend.close()
    return [_problem(finding) for finding in found]


def _backends(config: Config, env: Mapping[str, str]) -> tuple[dict[str, Backend], list[Finding]]:
    built, found = {}, []
    for name, backend in config.backends.items():
        try:
            built[name] = registry.create(
                backend.kind, backend.settings, name=name, installation=config.installation, env=env
            )
        except BreakglassError as error:
            fix = "Mend the key it names, or set the variable."
            found.append(Finding(Severity.ERROR, f"backends.{name}", str(error), fix))
    return built, found


def _workspace(env: Mapping[str, str]) -> SlackFacts | None:
    try:
        environment = Environment.read(env, need={Need.SLACK})
    except ConfigError:
        return None  # what is missing is a finding of its own
    return SlackFacts(web_client(environment.slack_bot_token, environment.slack_api_url))


async def _enrolled(env: Mapping[str, str]) -> set[PersonId]:
    try:
        async with reading(env) as reader:
            return await reader.enrolled()
    except BreakglassError:
        return set()  # no database yet: nobody is


def _problem(finding: Finding) -> Problem:
    return {
        "severity": finding.severity.value,
        "key": finding.key,
        "sentence": finding.sentence,
        "fix": finding.fix,
    }


def check_text(found: list[Problem]) -> str:
    """The findings for a person."""
    signs = {"error": "✗", "warning": "!"}
    lines = [f"{signs[row['severity']]} {row['key']}: {row['sentence']} {row['fix']}" for row in found]
    return "\n".join(lines) or "✓ Nothing is wrong that can be seen from here."
