"""Who is in the demo's workspace, and where they talk. The ids are those of the example configuration."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox import App, Channel, Sandbox


@dataclass(frozen=True, slots=True)
class Part:
    """Somebody in the story: Slack id, name, what they are there for."""

    id: str
    name: str
    does: str
    has_authenticator: bool = True


PEOPLE: Final = {
    "alice": Part("U0ALICE01", "Alice Ito, on call", "asks for access"),
    "bob": Part("U0BOB0001", "Bob Lindqvist, lead", "approves"),
    "carol": Part("U0CAROL01", "Carol Mbeki, lead", "approves"),
    "dana": Part("U0DANA001", "Dana Ferreira, security", "approves what is risky, reviews, hears alarms"),
    "olga": Part("U0OLGA001", "Olga Novak, workspace owner", "can delete anybody's messages", False),
    "mallory": Part("U0MALLORY", "Mallory, no role", "may do nothing at all", False),
}
"""By handle, which is also their login at the production database."""


@dataclass(frozen=True, slots=True)
class Places:
    """The three channels that the configuration names."""

    requests: Channel
    audit: Channel
    security: Channel


def handle_of(id: str) -> str:
    """The handle of a Slack id; empty for somebody else."""
    return next((handle for handle, part in PEOPLE.items() if part.id == id), "")


def settle(sandbox: Sandbox, app: App) -> Places:
    """Everybody joins, in the channels where they belong."""
    for handle, part in PEOPLE.items():
        owner = handle == "olga"
        sandbox.add_user(
            handle, name=part.name, id=part.id, email=f"{handle}@example.com", is_admin=owner, is_owner=owner
        )
    leads = [PEOPLE["bob"].id, PEOPLE["carol"].id]
    sandbox.add_usergroup("leads", leads, id="S0LEADS001", name="Leads")
    everyone = [part.id for part in PEOPLE.values()]
    watchers = [PEOPLE["dana"].id, PEOPLE["olga"].id]
    bot = app.bot_user_id
    return Places(
        sandbox.add_channel("breakglass", members=[*everyone, bot], id="C0REQUEST1"),
        sandbox.add_channel("breakglass-audit", private=True, members=[*watchers, bot], id="C0AUDIT001"),
        sandbox.add_channel("security", private=True, members=[*watchers, bot], id="C0SECURE01"),
    )
