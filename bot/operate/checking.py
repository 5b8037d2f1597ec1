"""`breakglass check` on the real world: Slack, providers, the database. The judgements are in `bot.check`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

from bot.audit.checkpoint import CheckpointError, Signer
from bot.backends import Backend, Closes, registry
from bot.check import TITLES, Checked, Finding, Severity, State, run_checks, step_of, told, walk
from bot.config import Config, ConfigError, Environment, Need, load
from bot.core.errors import BreakglassError
from bot.core.model import PersonId
from bot.mfa import Vault
from bot.office import utc_now
from bot.operate.looking import reading
from bot.slack.connect import web_client
from bot.slack.facts import SlackFacts
from bot.store import DatabaseTrouble, wrong_rights

UNSEEN: Final = """\
Not to be seen from here: whether commands, clicks and events reach the bot. Start it (breakglass serve), then
type /breakglass in Slack; GET /ready says what is missing."""

SIGNS: Final[Mapping[str, str]] = {"error": "✗", "warning": "!", "done": "✓", "missing": "✗", "unseen": "·"}


class Problem(TypedDict):
    """One finding: `error` or `warning`, its step, the configuration's key, what is wrong, how to mend it."""

    severity: str
    step: str
    key: str
    sentence: str
    fix: str


class Stand(TypedDict):
    """How far a step is: `done`, `missing` or `unseen`; `seen` is a sentence for what is done."""

    step: str
    state: str
    seen: str


class Report(TypedDict):
    """Every step in order, and everything that is wrong, errors first."""

    steps: list[Stand]
    findings: list[Problem]


async def check(path: Path, env: Mapping[str, str]) -> Report:
    """Everything that is wrong with the installation, and how far it is; see `bot.check`."""
    try:
        config = load(path, env)
    except ConfigError as error:
        found = [*told(error)]
        steps = walk(found, config=None, facts=None, backends=(), enrolled=(), database="")
        return _report(Checked(found, steps))
    backends, more = _backends(config, env)
    more += _signer(env)
    database, enrolled, trouble = await _database(env, _vault(env))
    checked = await run_checks(
        config,
        env=env,
        workspace=_workspace(config, env),
        backends=backends,
        enrolled=enrolled,
        now=utc_now(),
        more=[*more, *trouble],
        database=database,
    )
    for backend in backends.values():
        if isinstance(backend, Closes):
            await backend.close()
    return _report(checked)


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


def _workspace(config: Config, env: Mapping[str, str]) -> SlackFacts | None:
    try:
        found = Environment.read(env, need={Need.SLACK}, transport=config.slack.transport)
    except ConfigError:
        return None  # what is missing is a finding of its own
    return SlackFacts(web_client(found.slack_bot_token, found.slack_api_url), found.slack_app_token)


def _signer(env: Mapping[str, str]) -> list[Finding]:
    """What keeps the signing key from signing. One that is not there at all is a finding of its own."""
    try:
        found = Environment.read(env, need={Need.SIGNING_KEY})
    except ConfigError:
        return []
    assert found.signing_key_file is not None
    key = "BREAKGLASS_SIGNING_KEY_FILE"
    try:
        signer = Signer.load(found.signing_key_file, found.signing_memory)
        signer.earlier()
        key = "BREAKGLASS_SIGNING_MEMORY"
        signer.require_memory()
    except CheckpointError as error:
        return [*told(ConfigError([f"{key}: {error}"]))]
    return []


def _vault(env: Mapping[str, str]) -> Vault | None:
    """The keys that secrets rest under. Those that are missing or wrong are a finding of their own."""
    try:
        return Vault(Environment.read(env, need={Need.SECRET_KEYS}).secret_keys)
    except ConfigError:
        return None


async def _database(env: Mapping[str, str], vault: Vault | None) -> tuple[str, set[PersonId], list[Finding]]:
    """What was seen of it, who has a second factor that can be used, and what is wrong with it."""
    try:
        async with reading(env) as reader:
            found = [
                Finding(Severity.ERROR, "BREAKGLASS_DATABASE_URL", wrong.sentence, f"Run: {wrong.mend}")
                for wrong in await wrong_rights(reader.engine)
            ]
            if found:
                return "", set(), found
            seen = f"{await reader.last_seq()} events in its history."
            if vault is None:
                return seen, await reader.enrolled(), []
            factors, handoffs = await reader.sealed()
            usable = {person for person, sealed in factors.items() if vault.key_of(sealed) is not None}
            return seen, usable, [*_sealed(vault, [*factors.values(), *handoffs.values()])]
    except BreakglassError as error:
        return "", set(), [_unreadable(str(error))]
    except DatabaseTrouble as error:
        return (
            "",
            set(),
            [_unreadable(f"The database cannot be used ({error.orig}). Mend it, or the address.")],
        )


def _sealed(vault: Vault, secrets: Sequence[bytes]) -> Iterator[Finding]:
    """How far a change of keys is."""
    places = [vault.key_of(secret) for secret in secrets]
    lost = places.count(None)
    old = len(places) - lost - places.count(0)
    if lost:
        yield _of_keys(
            f"None of the keys opens {lost} of {len(places)} stored secrets.",
            "Add the key that sealed them. If it is lost, whoever has no second factor now enrols again.",
        )
    if old:
        yield _of_keys(
            f"An old key still seals {old} of {len(places)} stored secrets.",
            "Restart the server: it seals them anew under the first. Then remove the old ones.",
        )
    if vault.has_spare_keys and not old:
        yield _of_keys(
            "An old key is listed, and it seals nothing any more.",
            "Remove it from the environment, and keep it with the backups of its time.",
        )


def _of_keys(sentence: str, fix: str) -> Finding:
    return Finding(Severity.WARNING, "BREAKGLASS_SECRET_KEYS", sentence, fix)


def _unreadable(text: str) -> Finding:
    """A database that is not there yet is no mistake, but the next thing to do."""
    sentence, _, fix = text.removeprefix("BREAKGLASS_DATABASE_URL: ").partition(". ")
    new = sentence.startswith("There is no database")
    return Finding(
        Severity.WARNING if new else Severity.ERROR,
        "BREAKGLASS_DATABASE_URL",
        f"{sentence.removesuffix('.')}.",
        fix or "Mend that.",
    )


def _report(checked: Checked) -> Report:
    return {
        "steps": [
            {"step": walked.step.value, "state": walked.state.value, "seen": walked.seen}
            for walked in checked.steps
        ],
        "findings": [
            {
                "severity": finding.severity.value,
                "step": step_of(finding).value,
                "key": finding.key,
                "sentence": finding.sentence,
                "fix": finding.fix,
            }
            for finding in checked.findings
        ],
    }


def check_text(report: Report) -> str:
    """The walk for a person: each step, and under it what is missing with the way to mend it."""
    lines = []
    for number, (stand, title) in enumerate(zip(report["steps"], TITLES.values(), strict=True), 1):
        seen = stand["seen"] or {"unseen": "Not looked at yet.", "missing": ""}.get(stand["state"], "")
        here = [row for row in report["findings"] if row["step"] == stand["step"]]
        sign = "!" if here and stand["state"] == State.DONE else SIGNS[stand["state"]]
        lines.append(f"{sign} {number}. {title}  {seen}".rstrip())
        for at, row in enumerate(here, 1):
            lines.append(f"    {SIGNS[row['severity']]} {row['key']}: {row['sentence']}")
            if at == len(here) or here[at]["fix"] != row["fix"]:  # several with one mending: said once
                lines.append(f"        {row['fix']}")
    left = [stand["state"] for stand in report["steps"] if stand["state"] != State.DONE]
    if not left:
        return "\n".join([*lines, "", "Nothing is missing that can be seen from here.", UNSEEN])
    steps = "1 step is" if len(left) == 1 else f"{len(left)} steps are"
    mend = "Mend what is marked ✗ from the top" if State.MISSING in left else "Do what is said under the ·"
    return "\n".join([*lines, "", f"{steps} not done. {mend}, then check again."])
