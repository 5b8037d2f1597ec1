"""`breakglass check`: nothing is said of a right installation, and one true sentence for each thing wrong."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from bot.check import (
    SCOPES,
    Channel,
    Checked,
    Finding,
    NotShown,
    Severity,
    State,
    Step,
    Us,
    WorkspaceSilent,
    run_checks,
    step_of,
    told,
)
from bot.check.lockouts import find_gap
from bot.check.surroundings import providers
from bot.config import Config, ConfigError
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Lease, Mfa, Order, Person, PersonId, Roster, Terms, Tier
from tests.config.conftest import Loads

NOW = datetime(2026, 3, 1, 2, 17, tzinfo=UTC)
ALICE, BOB, CAROL, DANA, ERIN = map(PersonId, ("U0ALICE", "U0BOB", "U0CAROL", "U0DANA", "U0ERIN"))
PEOPLE = {id: Person(id, id[2:].capitalize()) for id in (ALICE, BOB, CAROL, DANA, ERIN)}


@dataclass
class Provider:
    """A backend that knows everybody and answers, unless told otherwise."""

    strangers: frozenset[str] = frozenset()
    trouble: Exception | None = None

    def ending(self, order: Order) -> Ending:
        if order.principal in self.strangers:
            raise BackendRefused("You have no login here.")
        return Ending(EndedBy.PROVIDER)

    async def grant(self, order: Order) -> Lease:
        raise NotImplementedError

    async def revoke(self, order: Order) -> None:
        raise NotImplementedError

    async def live(self) -> Sequence[Lease]:
        if self.trouble:
            raise self.trouble
        return []


@dataclass
class World:
    """A workspace, a provider and an environment in which all is well, until a test changes something."""

    people_known: dict[PersonId, Person] = field(default_factory=lambda: dict(PEOPLE))
    groups: dict[str, frozenset[PersonId]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(
        default_factory=lambda: {
            id: Channel(id, id.lower(), is_private=True) for id in ("C0REQ", "C0AUD", "C0SEC")
        }
    )
    granted: frozenset[str] | None = frozenset(SCOPES)
    enrolled: frozenset[PersonId] = frozenset(PEOPLE)
    silent: str = ""
    socket: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    backend: Provider = field(default_factory=Provider)
    env: dict[str, str] = field(default_factory=dict)

    async def people(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        self._shown("people")
        return {id: self.people_known[id] for id in ids if id in self.people_known}

    async def group_members(self, group: str) -> frozenset[PersonId] | None:
        self._shown(group)
        return self.groups.get(group)

    async def channel(self, id: str) -> Channel | None:
        self._shown(id)
        return self.channels.get(id)

    async def us(self) -> Us:
        if self.silent:
            raise WorkspaceSilent(f"it said {self.silent}.", self.silent)
        return Us("Sandbox", "T0SANDBOX1", "breakglass", self.granted)

    async def connects(self) -> str:
        return self.socket

    def _shown(self, thing: str) -> None:
        if thing in self.hidden:
            raise NotShown(self.hidden[thing])

    def account(self, id: PersonId, *, active: bool = True, is_guest: bool = False) -> "World":
        self.people_known[id] = replace(self.people_known[id], active=active, is_guest=is_guest)
        return self


class Frank(Provider):
    """A backend that can say what is wrong with it."""

    async def problems(self) -> Sequence[str]:
        return ["The broker's role is a superuser. Give it no more than ADMIN on the roles."]


@pytest.fixture
def world(tmp_path: Path) -> World:
    key = tmp_path / "signing.key"
    key.write_text("key")
    key.chmod(0o600)
    return World(
        env={
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_APP_TOKEN": "xapp-1",
            "BREAKGLASS_SECRET_KEYS": Fernet.generate_key().decode(),
            "BREAKGLASS_SIGNING_KEY_FILE": str(key),
        }
    )


async def walked(config: Config, world: World, *, database: str = "3 events.") -> Checked:
    return await run_checks(
        config,
        env=world.env,
        workspace=world,
        backends={"db": world.backend},
        enrolled=world.enrolled,
        now=NOW,
        database=database,
    )


async def check(config: Config, world: World) -> list[Finding]:
    return list((await walked(config, world)).findings)


async def test_nothing_is_said_of_a_right_installation(loads: Loads, world: World) -> None:
    assert await check(loads(), world) == []


Change = Callable[[World], object]
Edits = tuple[tuple[str, str], ...]
NOTHING: Change = lambda _: None  # noqa: E731 - it stands in a table of lambdas

LOCKOUTS: list[tuple[Edits, Change, str]] = [
    (
        (('requesters = ["on-call"]', "requesters = []"),),
        NOTHING,
        (
            "error accesses.db-read.requesters: Nobody may ask for “Database, read”: no full, active account "
            "is in no role."
        ),
    ),
    (
        (),
        lambda w: w.account(ALICE, active=False).account(ERIN, is_guest=True),
        (
            "error accesses.db-read.requesters: Nobody may ask for “Database, read”: no full, active account "
            "is in on-call."
        ),
    ),
    (
        (("[scenarios.locks]", '[[deny]]\nbecause = "Never."\nroles = ["on-call"]\n[scenarios.locks]'),),
        NOTHING,
        (
            "error accesses.db-read: Nobody may ask for “Database, read”. The deny-list forbids this, "
            "whoever approves: Never."
        ),
    ),
    (
        (),
        lambda w: w.account(BOB, active=False).account(CAROL, is_guest=True),
        (
            "error accesses.db-read.approval: “Database, read” can never be approved: step 1 needs one "
            "person besides the requester, and there is nobody."
        ),
    ),
    (
        (('["U0ALICE", "U0ERIN"]', '["U0ALICE"]'), ('["U0BOB", "U0CAROL"]', '["U0ALICE"]')),
        NOTHING,
        (
            "error accesses.db-read.approval: “Database, read” can never be approved: step 1 needs one "
            "person besides the requester, and there is nobody."
        ),
    ),
    (
        (('["U0BOB", "U0CAROL"]', '["U0ALICE"]'),),
        NOTHING,
        (
            "warning accesses.db-read.approval: “Database, read” can never be approved for Alice (U0ALICE): "
            "step 1 needs one person besides the requester, and there is nobody."
        ),
    ),
    (
        (('[{ roles = ["leads"] }]', '[{ roles = ["leads"], count = 2 }, { roles = ["leads"] }]'),),
        NOTHING,
        (
            "error accesses.db-read.approval: “Database, read” can never be approved: steps 1 and 2 together "
            "need 3 different people besides the requester, and there is only Bob (U0BOB), Carol (U0CAROL)."
        ),
    ),
    (
        (),
        lambda w: setattr(w.backend, "strangers", {"alice", ""}),
        "error accesses.db-read: “Database, read” cannot be granted. db says: You have no login here.",
    ),
    (
        (),
        lambda w: setattr(w.backend, "strangers", {""}),
        (
            "warning accesses.db-read: “Database, read” cannot be granted to Erin (U0ERIN). db says: You "
            "have no login here."
        ),
    ),
    (
        (('risk = "high"', 'risk = "high"\nreviewers = ["idle"]\n'), ("[desk]", "[roles.idle]\n[desk]")),
        NOTHING,
        (
            "error accesses.db-read.reviewers: A use of “Database, read” can never be reviewed: a reviewer "
            "is neither the requester nor the only one who approved, and the reviewers are nobody."
        ),
    ),
    (
        (('["U0BOB", "U0CAROL"]', '["U0DANA"]'),),
        NOTHING,
        (
            "error accesses.db-read.reviewers: A use of “Database, read” can never be reviewed: a reviewer "
            "is neither the requester nor the only one who approved, and the reviewers are Dana (U0DANA)."
        ),
    ),
    (
        (('risk = "high"', 'risk = "high"\nreviewers = ["on-call"]'),),
        lambda w: w.account(ERIN, active=False),
        (
            "error accesses.db-read.reviewers: A use of “Database, read” can never be reviewed: a reviewer "
            "is neither the requester nor the only one who approved, and the reviewers are Alice (U0ALICE)."
        ),
    ),
    (
        (('reviewers = ["security"]', 'reviewers = ["security"]\nreport_within = "4d"'),),
        NOTHING,
        (
            "warning accesses.db-read.report_within: A use of “Database, read” must be reviewed within 3 d, "
            "but the requester may take 4 d to report on it first."
        ),
    ),
    (
        (),
        lambda w: setattr(w, "enrolled", frozenset(PEOPLE) - {BOB}),
        "warning roles.leads: Bob (U0BOB) has no second factor yet, and so cannot approve “Database, read”.",
    ),
    (
        (),
        lambda w: setattr(w, "enrolled", frozenset(PEOPLE) - {ERIN}),
        "warning roles.on-call: Erin (U0ERIN) has no second factor yet, and so cannot get “Database, read”.",
    ),
]

SURROUNDINGS: list[tuple[Edits, Change, str]] = [
    (
        (("[desk]", '[roles.idle]\nusers = ["U0BOB"]\n[desk]'),),
        NOTHING,
        "warning roles.idle: The role “idle” is not used anywhere.",
    ),
    (
        (("[scenarios.locks]", '[backends.spare]\nkind = "memory"\n[scenarios.locks]'),),
        NOTHING,
        "warning backends.spare: No access uses the backend “spare”.",
    ),
    (
        (("[scenarios.locks]", '[[deny]]\nbecause = "Never."\naccesses = ["prd-*"]\n[scenarios.locks]'),),
        NOTHING,
        "warning deny[0].accesses: “prd-*” matches no access, so this part of the rule forbids nothing.",
    ),
    (
        (("[scenarios.locks]", '[[deny]]\nbecause = "Left."\npeople = ["U0GONE"]\n[scenarios.locks]'),),
        NOTHING,
        (
            "warning deny[0].people: Slack does not know U0GONE in this workspace, so the rule does not "
            "catch who is meant."
        ),
    ),
    (
        (),
        lambda w: w.account(CAROL, active=False),
        "warning roles.leads.users: Carol (U0CAROL) is deactivated, and so has no say.",
    ),
    (
        (),
        lambda w: w.account(CAROL, is_guest=True),
        "warning roles.leads.users: Carol (U0CAROL) is a guest, and so has no say.",
    ),
    (
        (),
        lambda w: w.people_known.update({CAROL: Person(CAROL, "Carol", is_bot=True)}),
        "warning roles.leads.users: Carol (U0CAROL) is a bot, and so has no say.",
    ),
    (
        (),
        lambda w: w.people_known.update({CAROL: Person(CAROL, "Carol", is_stranger=True)}),
        "warning roles.leads.users: Carol (U0CAROL) belongs to another organisation, and so has no say.",
    ),
    (
        (),
        lambda w: w.people_known.pop(CAROL),
        "error roles.leads.users: Slack does not know U0CAROL in this workspace.",
    ),
    (
        (('"U0CAROL"]', '"U0CAROL"]\ngroups = ["S0LEADS"]'),),
        NOTHING,
        "error roles.leads.groups: Slack does not know the user group S0LEADS, or it is disabled.",
    ),
    (
        (('["U0DANA"]', "[]"),),
        NOTHING,
        "error desk.security: Nobody is told of alarms: no full, active account is in these roles.",
    ),
    (
        (),
        lambda w: w.channels.pop("C0REQ"),
        (
            "error channels.requests: Slack does not show the channel C0REQ to the bot: the id is wrong, or "
            "the channel is private and the bot is not in it."
        ),
    ),
    (
        (),
        lambda w: w.channels.update(C0SEC=Channel("C0SEC", "sec", is_private=True, is_member=False)),
        "error channels.security: The bot is not in #sec.",
    ),
    (
        (),
        lambda w: w.channels.update(C0REQ=Channel("C0REQ", "req", is_private=True, is_archived=True)),
        "error channels.requests: #req is archived.",
    ),
    (
        (),
        lambda w: w.channels.update(C0AUD=Channel("C0AUD", "audit", is_private=False)),
        "warning channels.audit: #audit is public: everybody can read the audit and post into it.",
    ),
    (
        (),
        lambda w: w.channels.update(C0AUD=Channel("C0AUD", "audit", is_private=True, is_shared=True)),
        "warning channels.audit: #audit is shared with another organisation, who can read it.",
    ),
    (
        (),
        lambda w: setattr(w, "granted", frozenset(SCOPES) - {"chat:write"}),
        "error slack: Without the scope chat:write the bot cannot post requests, alarms and the audit.",
    ),
    (
        (),
        lambda w: setattr(w, "silent", "token_revoked"),
        "error SLACK_BOT_TOKEN: Slack did not say who is who: it said token_revoked.",
    ),
    (
        (),
        lambda w: setattr(w, "granted", None),
        "warning slack: What answers there does not say which scopes the token has, as Slack does.",
    ),
    (
        (),
        lambda w: setattr(w, "silent", "fatal_error"),
        "error slack: Slack did not say who is who: it said fatal_error.",
    ),
    (
        (),
        lambda w: setattr(w, "socket", "not_allowed_token_type"),
        "error SLACK_APP_TOKEN: Slack opens no socket with it: it said not_allowed_token_type.",
    ),
    (
        (),
        lambda w: w.hidden.update(C0REQ="missing_scope"),
        "error channels.requests: Slack does not show the channel C0REQ to the bot: a scope is missing.",
    ),
    (
        (),
        lambda w: w.hidden.update(people="missing_scope"),
        (
            "error roles: Slack does not show the bot everybody in the roles: a scope is missing. Who would "
            "be locked out cannot be told."
        ),
    ),
    (
        (('"U0CAROL"]', '"U0CAROL"]\ngroups = ["S0LEADS"]'),),
        lambda w: w.hidden.update(S0LEADS="plan_upgrade_required"),
        (
            "error roles: Slack does not show the bot everybody in the roles: this workspace's plan has no "
            "user groups. Who would be locked out cannot be told."
        ),
    ),
    (
        (),
        lambda w: setattr(w.backend, "trouble", BackendUnavailable("no answer from db:5432.")),
        "error backends.db: db cannot be used: no answer from db:5432.",
    ),
    (
        (),
        lambda w: setattr(w, "backend", Frank()),
        "error backends.db: The broker's role is a superuser.",
    ),
    (
        (),
        lambda w: w.env.pop("SLACK_APP_TOKEN"),
        "error SLACK_APP_TOKEN: It is not set.",
    ),
    (
        (),
        lambda w: Path(w.env["BREAKGLASS_SIGNING_KEY_FILE"]).chmod(0o644),
        "error BREAKGLASS_SIGNING_KEY_FILE: KEY is open to others than its owner.",
    ),
]


@pytest.mark.parametrize(("edits", "change", "sentence"), [*LOCKOUTS, *SURROUNDINGS])
async def test_what_is_wrong_is_found(
    loads: Loads, world: World, edits: Edits, change: Change, sentence: str
) -> None:
    change(world)
    found = await check(loads(*edits), world)
    assert sentence.replace("KEY is", f"{world.env.get('BREAKGLASS_SIGNING_KEY_FILE')} is") in {
        f"{finding.severity} {finding.key}: {finding.sentence}" for finding in found
    }
    assert all(finding.fix for finding in found)


OVER_HTTP = (("[roles.on-call]", '[slack]\ntransport = "http"\n[roles.on-call]'),)
SECRET = "8f742231b10e8888abcd99baa555d9a5"


async def test_over_http_the_signing_secret_is_wanted_and_no_app_token(loads: Loads, world: World) -> None:
    del world.env["SLACK_APP_TOKEN"]
    (found,) = await check(loads(*OVER_HTTP), world)
    assert (found.severity, found.key, found.sentence) == (
        Severity.ERROR, "SLACK_SIGNING_SECRET", "It is not set.",
    )  # fmt: skip
    world.env["SLACK_SIGNING_SECRET"] = "xoxb-another-thing"
    (found,) = await check(loads(*OVER_HTTP), world)
    assert (found.key, step_of(found)) == ("SLACK_SIGNING_SECRET", Step.APP)
    assert found.sentence.startswith("This is not a signing secret")
    world.env["SLACK_SIGNING_SECRET"] = SECRET
    assert await check(loads(*OVER_HTTP), world) == []


async def test_an_access_that_no_scenario_offers_is_found(loads: Loads, world: World) -> None:
    config = loads()
    spare = replace(config.policy.accesses["db-read"], access="spare", title="Spare")
    accesses = {**config.policy.accesses, "spare": spare}
    (found,) = await check(replace(config, policy=replace(config.policy, accesses=accesses)), world)
    assert found.sentence == "No scenario offers “Spare”, so nobody can ask for it."
    assert (found.severity, found.key) == (Severity.WARNING, "accesses.spare")


async def test_members_of_a_group_hold_its_role(loads: Loads, world: World) -> None:
    world.groups["S0LEADS"] = frozenset({BOB, CAROL})
    assert await check(loads(('["U0BOB", "U0CAROL"]', '[]\ngroups = ["S0LEADS"]')), world) == []


async def test_errors_come_before_warnings(loads: Loads, world: World) -> None:
    world.account(CAROL, active=False)
    world.granted = frozenset()
    severities = [finding.severity for finding in await check(loads(), world)]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


async def test_what_slack_does_not_say_does_not_hide_the_rest(loads: Loads, world: World) -> None:
    world.silent = "ratelimited"
    world.backend.trouble = BackendRefused("wrong password.")
    assert [finding.key for finding in await check(loads(), world)] == ["slack", "backends.db"]


async def test_without_a_token_slack_is_not_asked(loads: Loads, world: World) -> None:
    found = await run_checks(
        loads(), env=world.env, workspace=None, backends={}, enrolled=frozenset(), now=NOW
    )
    assert found.findings == []
    unseen = {step.step for step in found.steps if step.state is State.UNSEEN}
    assert unseen == {*Step} - {Step.FILE, Step.KEYS}


async def test_every_step_of_a_right_installation_is_done_and_says_what_was_seen(
    loads: Loads, world: World
) -> None:
    found = await walked(loads(), world)
    assert [step.step for step in found.steps] == [*Step]
    assert all(step.state is State.DONE and step.seen for step in found.steps)


async def test_a_step_with_an_error_is_missing_and_one_with_a_warning_is_done(
    loads: Loads, world: World
) -> None:
    world.channels.pop("C0REQ")
    world.enrolled = frozenset()
    found = await walked(loads(), world)
    states = {step.step: step.state for step in found.steps}
    assert states.pop(Step.CHANNELS) is State.MISSING
    assert set(states.values()) == {State.DONE}
    assert {step_of(finding) for finding in found.findings} == {Step.CHANNELS, Step.FACTORS}


async def test_what_a_missing_right_hides_is_not_called_done(loads: Loads, world: World) -> None:
    world.hidden["people"] = "missing_scope"
    states = {step.step: step.state for step in (await walked(loads(), world, database="")).steps}
    assert states[Step.PEOPLE] is State.MISSING
    assert states[Step.ACCESSES] is states[Step.FACTORS] is states[Step.DATABASE] is State.UNSEEN


@pytest.mark.parametrize(
    ("private", "spared"),
    [(True, {"channels:read", "channels:history"}), (False, {"groups:read", "groups:history"})],
)
async def test_only_the_scopes_of_the_channels_there_are_is_asked_for(
    loads: Loads, world: World, private: bool, spared: set[str]
) -> None:
    world.channels = {id: Channel(id, id, is_private=private) for id in world.channels}
    world.granted = frozenset(SCOPES) - spared - {"usergroups:read"}
    assert not [finding for finding in await check(loads(), world) if finding.key == "slack"]


async def test_a_provider_that_says_nothing_at_all_is_waited_for_only_so_long() -> None:
    class Mute(Provider):
        async def live(self) -> Sequence[Lease]:
            await asyncio.sleep(60)
            return []

    (found,) = await providers({"db": Mute()}, timedelta(milliseconds=1))
    assert found.sentence == "db did not answer within 0 s."


def test_the_mistakes_of_a_file_are_findings_too() -> None:
    (found,) = told(ConfigError(["a.b: This is wrong. Mend it. Soon."]))
    assert found == Finding(Severity.ERROR, "a.b", "This is wrong.", "Mend it. Soon.", Step.FILE)


def _terms(tiers: tuple[Tier, ...]) -> Terms:
    return Terms(
        access="x",
        title="X",
        environment="e",
        risk="low",
        backend="b",
        scope={},
        durations=(timedelta(minutes=5),),
        requesters=(),
        tiers=tiers,
        mfa=Mfa.NONE,
        approver_mfa=Mfa.NONE,
        mfa_max_age=timedelta(minutes=5),
        lapse_after=timedelta(minutes=5),
        reviewers=(),
        report_within=timedelta(hours=1),
        review_within=timedelta(hours=2),
    )


MEMBERS = st.frozensets(st.sampled_from(sorted(PEOPLE)), max_size=4)


@given(st.lists(st.tuples(MEMBERS, st.integers(1, 2)), min_size=1, max_size=3))
def test_a_gap_is_found_exactly_when_no_distinct_people_fill_the_steps(
    steps: list[tuple[frozenset[PersonId], int]],
) -> None:
    roster = Roster(PEOPLE, {str(number): members for number, (members, _) in enumerate(steps)})
    terms = _terms(tuple(Tier((str(number),), count) for number, (_, count) in enumerate(steps)))
    gap = find_gap(terms, ALICE, roster)
    pools = [members - {ALICE} for members, count in steps for _ in range(count)]
    others = sorted(PEOPLE.keys() - {ALICE})
    possible = any(
        all(person in pool for person, pool in zip(people, pools, strict=True))
        for people in permutations(others, len(pools))
    )
    assert (gap is None) == possible
    if gap:
        assert gap.people == frozenset().union(*(steps[number][0] for number in gap.steps)) - {ALICE}
        assert gap.needed == sum(steps[number][1] for number in gap.steps) > len(gap.people)
