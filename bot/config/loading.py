"""From the file and the environment to one frozen `Config`. Every mistake is reported at once, by its key."""

import hashlib
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from bot.backends import registry
from bot.config import file as f
from bot.config.environment import Environment, Need, Transport
from bot.config.errors import ConfigError
from bot.config.problems import key_of, problems_of
from bot.config.words import Names
from bot.core.model import Deny, Mfa, PersonId, Policy, Scenario, Terms, Tier

PRODUCTION: Final = "production"
"""The environment whose approvers prove a second factor unless the file says otherwise."""

SettingsOf = Callable[[str], type[BaseModel]]
"""The model of a backend kind's own keys; raises `ValueError` with a sentence when there is no such kind."""


def installed_kind(kind: str) -> type[BaseModel]:
    """The settings of the kinds that are installed here."""
    return registry.load(kind).Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a server must know before it starts."""

    path: Path
    installation: str
    channels: f.Channels
    http: f.Http
    slack: f.Slack
    history: f.History
    keeper: f.Keeper
    roles: Mapping[str, f.Role]
    backends: Mapping[str, f.Backend]
    policy: Policy
    environment: Environment

    def principal(self, backend: str, person: PersonId) -> str:
        """Who `person` is at `backend`; empty where the file does not say."""
        return self.backends[backend].principals.get(person, "")


def load(
    path: Path,
    env: Mapping[str, str],
    *,
    need: Collection[Need] = (),
    settings_of: SettingsOf = installed_kind,
) -> Config:
    """The configuration in `path`, with the part of `env` that a command needs.

    Raises:
        ConfigError: with every mistake in the file and in that part of the environment.
    """
    problems: list[str] = []
    environment = file = None
    content, raw = b"", dict[str, Any]()
    try:
        content = _read(path)
        raw = _parsed(content, path)
        file = _validated(raw, settings_of)
    except ConfigError as error:
        problems += error.problems
    try:
        environment = Environment.read(env, need=need, transport=_transport(raw))
    except ConfigError as error:
        problems = error.problems + problems
    if environment is None or file is None:
        raise ConfigError(problems)
    return Config(
        path=path,
        installation=file.installation,
        channels=file.channels,
        http=file.http,
        slack=file.slack,
        history=file.history,
        keeper=file.keeper,
        roles=file.roles,
        backends=file.backends,
        policy=_policy(file, hashlib.sha256(content).hexdigest()),
        environment=environment,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            [f"{path}: It cannot be read ({error.strerror}). Name another with --config."]
        ) from None


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(unicodedata.normalize("NFC", content.decode()))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path.name}: Line {line} is not UTF-8. Save the file as UTF-8."]) from None
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        place = where.removesuffix(")").capitalize().replace("End of document", "The end of the file")
        raise ConfigError([f"{path.name}: {place} is not TOML: {what}. Mend it there first."]) from None


def _transport(raw: Mapping[str, Any]) -> Transport:
    """Which secrets Slack needs, as far as the file says so: also when something else in it is wrong."""
    slack = raw.get("slack")
    return "http" if isinstance(slack, dict) and slack.get("transport") == "http" else "socket"


def _validated(raw: dict[str, Any], settings_of: SettingsOf) -> f.File:
    problems: list[str] = []
    file = None
    try:
        file = f.File.model_validate(raw, context=Names.of(raw))
    except ValidationError as error:
        problems += problems_of(error, f.File)
    problems += _backend_problems(raw, settings_of)
    if file is None or problems:
        raise ConfigError(problems)
    return file


def _backend_problems(raw: dict[str, Any], settings_of: SettingsOf) -> list[str]:
    """What the adapters say about their own keys, also when the rest of the file is wrong."""
    problems = []
    backends = raw.get("backends")
    for name, table in backends.items() if isinstance(backends, dict) else ():
        if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
            continue
        settings = {key: value for key, value in table.items() if key not in f.Backend.model_fields}
        try:
            model = settings_of(table["kind"])
        except ValueError as error:
            problems.append(f"{key_of(('backends', name, 'kind'))}: {error}")
            continue
        try:
            model.model_validate(settings)
        except ValidationError as error:
            problems += problems_of(error, model, under=("backends", name))
    return problems


def _policy(file: f.File, digest: str) -> Policy:
    return Policy(
        hash=digest,
        scenarios={key: _scenario(key, scenario) for key, scenario in file.scenarios.items()},
        accesses={key: _terms(key, access, file.review) for key, access in file.accesses.items()},
        deny=tuple(_deny(rule) for rule in file.deny),
        security=file.desk.security,
    )


def _scenario(key: str, scenario: f.Scenario) -> Scenario:
    incident = scenario.incident
    return Scenario(
        key=key,
        title=scenario.title,
        criteria=scenario.criteria,
        accesses=scenario.accesses,
        incident_pattern=incident.pattern if incident else "",
        incident_example=incident.example if incident else "",
        reason_min=scenario.reason_min,
    )


def _terms(key: str, access: f.Access, review: f.Review) -> Terms:
    approver_mfa = Mfa.TOTP if access.environment == PRODUCTION else Mfa.NONE
    return Terms(
        access=key,
        title=access.title,
        environment=access.environment,
        risk=access.risk,
        backend=access.backend,
        scope=access.scope,
        durations=access.durations,
        requesters=access.requesters,
        tiers=tuple(Tier(tier.roles, tier.count) for tier in access.approval),
        mfa=access.mfa,
        approver_mfa=access.approver_mfa or approver_mfa,
        mfa_max_age=access.mfa_max_age,
        lapse_after=access.lapse_after,
        reviewers=access.reviewers or review.reviewers,
        report_within=access.report_within or review.report_within,
        review_within=access.review_within or review.review_within,
    )


def _deny(rule: f.Deny) -> Deny:
    return Deny(
        because=rule.because,
        people=frozenset(rule.people),
        roles=rule.roles,
        accesses=rule.accesses,
        environments=rule.environments,
        scope=rule.scope,
    )
