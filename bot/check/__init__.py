"""`breakglass check`: what is wrong with this installation, before the night somebody needs it.

`run_checks` asks everybody once and gives findings, errors first; it changes nothing. The judgements are
pure: `lockouts` (who could never get in), `surroundings` (people, channels, scopes, environment).
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from bot.backends import Backend
from bot.check import surroundings
from bot.check.facts import Channel, Facts, Finding, Severity, Workspace, WorkspaceSilent, look
from bot.check.lockouts import lockouts
from bot.check.surroundings import SCOPES, told
from bot.config import Config
from bot.core.model import PersonId

__all__ = [
    "SCOPES",
    "Channel",
    "Facts",
    "Finding",
    "Severity",
    "Workspace",
    "WorkspaceSilent",
    "look",
    "run_checks",
    "told",
]


async def run_checks(
    config: Config,
    *,
    env: Mapping[str, str],
    workspace: Workspace | None,
    backends: Mapping[str, Backend],
    enrolled: Collection[PersonId],
    now: datetime,
) -> list[Finding]:
    """Everything that is not as it should be, errors first.

    Args:
        config: loaded with no need, so that what is missing in the environment becomes a finding.
        env: the environment that `serve` would see.
        workspace: Slack; None when there is no token to ask it with.
        backends: those that could be built, by name.
        enrolled: who has a second factor.
        now: the time orders are tried at.
    """
    found = [*surroundings.environment(env), *surroundings.loose_ends(config)]
    try:
        facts = await look(config, workspace) if workspace else None
    except WorkspaceSilent as error:
        facts = None
        found.append(
            Finding(
                Severity.ERROR,
                "slack",
                f"Slack did not say who is who: {error}",
                "Mend that, then check again: lock-outs were not looked for.",
            )
        )
    if facts:
        found += surroundings.people(config, facts)
        found += surroundings.channels(config, facts)
        found += surroundings.scopes(config, facts)
        found += lockouts(config, facts.roster(config), backends, enrolled, now)
    found += await surroundings.providers(backends, config.keeper.grant_deadline)
    return sorted(found, key=lambda finding: finding.severity is Severity.WARNING)
