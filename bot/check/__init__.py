"""`breakglass check`: what is wrong with this installation, before the night somebody needs it.

`run_checks` asks everybody once and walks the steps of docs/connect.md; it changes nothing. The judgements
are pure: `workspace` (what Slack says), `lockouts` (who could never get in), `surroundings` (environment,
file, providers), `steps` (what stands and what is missing).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.backends import Backend
from bot.check import surroundings
from bot.check import workspace as slack
from bot.check.facts import (
    Channel,
    Facts,
    Finding,
    NotShown,
    Severity,
    Step,
    Us,
    Workspace,
    WorkspaceSilent,
    look,
)
from bot.check.lockouts import lockouts
from bot.check.steps import TITLES, State, Walked, step_of, walk
from bot.check.surroundings import told
from bot.check.workspace import SCOPES
from bot.config import Config
from bot.core.model import PersonId

__all__ = [
    "SCOPES",
    "TITLES",
    "Channel",
    "Checked",
    "Facts",
    "Finding",
    "NotShown",
    "Severity",
    "State",
    "Step",
    "Us",
    "Walked",
    "Workspace",
    "WorkspaceSilent",
    "look",
    "run_checks",
    "step_of",
    "told",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, errors first, and how far each step is."""

    findings: Sequence[Finding]
    steps: Sequence[Walked]


async def run_checks(
    config: Config,
    *,
    env: Mapping[str, str],
    workspace: Workspace | None,
    backends: Mapping[str, Backend],
    enrolled: Collection[PersonId],
    now: datetime,
    more: Collection[Finding] = (),
    database: str = "",
) -> Checked:
    """Everything that is not as it should be.

    Args:
        config: loaded with no need, so that what is missing in the environment becomes a finding.
        env: the environment that `serve` would see.
        workspace: Slack; None when there is no token to ask it with.
        backends: those that could be built, by name.
        enrolled: who has a second factor.
        now: the time orders are tried at.
        more: what the caller found already: backends that cannot be built, the database.
        database: what was seen of the database; empty when nothing could be.
    """
    secrets = surroundings.environment(env, config.slack.transport)
    found = [*more, *secrets, *surroundings.loose_ends(config)]
    try:
        facts = await look(config, workspace) if workspace else None
    except WorkspaceSilent as error:
        facts = None
        found.append(slack.silent(error))
    if facts:
        found += slack.app(facts)
        found += slack.channels(config, facts)
        found += slack.scopes(config, facts)
        if facts.shows_people:
            found += slack.people(config, facts)
            found += lockouts(config, facts.roster(config), backends, enrolled, now)
        else:
            found.append(slack.hidden(config, facts))
    found += await surroundings.providers(backends, config.keeper.grant_deadline)
    found.sort(key=lambda finding: finding.severity is Severity.WARNING)
    steps = walk(found, config=config, facts=facts, backends=backends, enrolled=enrolled, database=database)
    return Checked(found, steps)
