"""The file: what a right one becomes, and one true sentence for each mistake."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bot.config import SERVE, Config, ConfigError, Need, load, parse_duration, write_duration
from bot.core.machine import GRANT_GRACE
from bot.core.model import Deny, Mfa, PersonId, Scenario, Terms, Tier
from tests.config.conftest import SMALL, Loads, Problems

DENY = '\n[[deny]]\nbecause = "Never."\n'


def test_a_right_file_becomes_the_policy(loads: Loads) -> None:
    config = loads(more=DENY + 'people = ["U0ERIN"]\naccesses = ["db-*"]\nscope = { role = "*admin*" }')
    assert config.policy.hash == hashlib.sha256(config.path.read_bytes()).hexdigest()
    assert config.policy.security == ("security",)
    assert config.policy.scenarios == {
        "locks": Scenario(
            key="locks",
            title="Locked",
            criteria=("Customers are affected",),
            accesses=("db-read",),
            incident_pattern=r"INC-\d+",
            incident_example="INC-42",
        )
    }
    assert config.policy.accesses == {
        "db-read": Terms(
            access="db-read",
            title="Database, read",
            environment="production",
            risk="high",
            backend="db",
            scope={"role": "ro"},
            durations=(timedelta(minutes=15), timedelta(hours=1)),
            requesters=("on-call",),
            tiers=(Tier(("leads",), 1),),
            mfa=Mfa.TOTP,
            approver_mfa=Mfa.TOTP,
            mfa_max_age=timedelta(minutes=10),
            lapse_after=timedelta(minutes=30),
            reviewers=("security",),
            report_within=timedelta(hours=24),
            review_within=timedelta(hours=72),
        )
    }
    assert config.policy.deny == (
        Deny(
            because="Never.",
            people=frozenset({PersonId("U0ERIN")}),
            accesses=("db-*",),
            scope={"role": "*admin*"},
        ),
    )


def test_the_rest_of_the_file_is_at_hand(loads: Loads) -> None:
    config = loads(('kind = "memory"', 'kind = "memory"\nlimit = 3'), more='[http]\nlisten = "[::1]:0"')
    assert config.installation == "acme"
    assert (config.channels.audit, config.http.host, config.http.port) == ("C0AUD", "::1", 0)
    assert (config.history.heartbeat, config.keeper.grant_deadline) == (
        timedelta(hours=1),
        timedelta(seconds=20),
    )
    assert config.roles["leads"].users == ("U0BOB", "U0CAROL")
    assert config.backends["db"].settings == {"limit": 3}
    assert config.principal("db", PersonId("U0ALICE")) == "alice"
    assert config.principal("db", PersonId("U0ERIN")) == ""


def test_outside_production_approvers_prove_nothing_unless_the_file_says_so(loads: Loads) -> None:
    staging = ('"production"', '"staging"')
    assert loads(staging).policy.accesses["db-read"].approver_mfa is Mfa.NONE
    said = ('risk = "high"', 'risk = "high"\napprover_mfa = "totp"')
    assert loads(staging, said).policy.accesses["db-read"].approver_mfa is Mfa.TOTP


def test_production_may_do_without_the_approvers_proof_only_in_so_many_words(loads: Loads) -> None:
    said = ('risk = "high"', 'risk = "high"\napprover_mfa = "none"')
    assert loads(said).policy.accesses["db-read"].approver_mfa is Mfa.NONE


def test_an_access_may_be_reviewed_otherwise(loads: Loads) -> None:
    config = loads(
        ('risk = "high"', 'risk = "high"\nreviewers = ["leads"]\nreport_within = "1h"\nreview_within = "2h"')
    )
    terms = config.policy.accesses["db-read"]
    assert (terms.reviewers, terms.report_within, terms.review_within) == (
        ("leads",),
        timedelta(hours=1),
        timedelta(hours=2),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"acme"', '"Acme Inc"', "installation: “Acme Inc” is not an installation's name. Use at most 20"),
        ('"acme"', '"acme-"', "installation: “acme-” is not an installation's name."),
        ("[channels]", "[chanels]", "chanels: Nothing here is called that. Did you mean “channels”?"),
        ('requests = "C0REQ"\n', "", "channels.requests: This is missing. Add it: Where each request"),
        ('"C0REQ"', '"#requests"', "channels.requests: “#requests” is not a Slack channel id. In Slack open"),
        ('"C0SEC"', '"C0AUD"', "channels: The audit channel is also used for something else. Give it"),
        ('"U0BOB"', '"bob"', "roles.leads.users[0]: “bob” is not a Slack member id. In Slack open"),
        ('"U0DANA"]', '"U0DANA"]\ngroups = ["@sec"]', "roles.security.groups[0]: “@sec” is not a Slack user"),
        (
            "[roles.leads]",
            '[roles."The Leads"]',
            "roles.The Leads: “The Leads” is not a name. Use lower-case",
        ),
        ('users = ["U0DANA"]', 'user = ["U0DANA"]', "roles.security.user: Nothing here is called that. Did"),
        ('security = ["security"]', "security = []", "desk.security: This is empty: it would mean nobody"),
        ('reviewers = ["security"]', "reviewers = []", "review.reviewers: This is empty: it would mean nob"),
        ('reviewers = ["security"]', 'reviewers = ["secs"]', "review.reviewers[0]: There is no role “secs”."),
        ('kind = "memory"\n', "", "backends.db.kind: This is missing. Add it: Which adapter"),
        (
            'U0ALICE = "alice"',
            'alice = "alice"',
            "backends.db.people.alice: “alice” is not a Slack member",
        ),
        ('"Database, read"', '"' + "x" * 76 + '"', "accesses.db-read.title: This is longer than 75 charact"),
        ('"Database, read"', '" "', "accesses.db-read.title: This must be one line that people can read. Wr"),
        (
            '"Database, read"',
            '"a\\nb"',
            "accesses.db-read.title: This must be one line that people can read.",
        ),
        ('"high"', '"hihg"', "accesses.db-read.risk: This word is not known here. Write 'low', 'medium' or"),
        (
            'backend = "db"',
            'backend = "dbs"',
            "accesses.db-read.backend: There is no backend “dbs”. Did you",
        ),
        (
            '{ role = "ro" }',
            "{ role = 1 }",
            "accesses.db-read.scope.role: This must be text. Put it in quote",
        ),
        ('"15m"', '"0m"', "accesses.db-read.durations[0]: “0m” is no time at all. Write it as"),
        ('"15m"', "900", "accesses.db-read.durations[0]: A duration is text with a unit. Write it as"),
        (
            '["15m", "1h"]',
            "[]",
            "accesses.db-read.durations: This is empty: it would mean nobody and nothing.",
        ),
        ('["15m", "1h"]', '["60m", "1h"]', "accesses.db-read: The same duration is offered twice. Remove"),
        (
            'requesters = ["on-call"]',
            'requesters = "on-call"',
            "accesses.db-read.requesters: This must be a l",
        ),
        (
            'requesters = ["on-call"]',
            'requesters = ["oncall"]',
            "accesses.db-read.requesters[0]: There is no ",
        ),
        (
            '[{ roles = ["leads"] }]',
            "[]",
            "accesses.db-read.approval: This is empty: it would mean nobody an",
        ),
        ('{ roles = ["leads"] }', "{ roles = [] }", "accesses.db-read.approval[0].roles: This is empty: it"),
        (
            '{ roles = ["leads"] }',
            '{ roles = ["leads"], count = 3 }',
            "accesses.db-read.approval[0]: This step needs 3 people and its roles list 2. Lower the count or",
        ),
        (
            '{ roles = ["leads"] }',
            '{ roles = ["leads"], count = 0 }',
            "accesses.db-read.approval[0].count: This is too low. Write at least 1.",
        ),
        (
            '{ roles = ["leads"] }',
            '{ roles = ["leads"], count = true }',
            "accesses.db-read.approval[0].count: This must be a whole number. Write it without quotes",
        ),
        ('risk = "high"', 'risk = "high"\nmfa = "sms"', "accesses.db-read.mfa: This word is not known here."),
        ('"Locked"', '"' + "x" * 76 + '"', "scenarios.locks.title: This is longer than 75 characters. Sho"),
        ('["Customers are affected"]', "[]", "scenarios.locks.criteria: This is empty: it would mean nobody"),
        (
            '["Customers are affected"]',
            str([f"c{n}" for n in range(11)]),
            "scenarios.locks.criteria: 11 are more than fit: 10. Shorten or split the list.",
        ),
        (
            '"Customers are affected"',
            '"' + "x" * 76 + '"',
            "scenarios.locks.criteria[0]: This is longer than 75 characters. Shorten it.",
        ),
        (
            ', example = "INC-42" }',
            " }",
            "scenarios.locks.incident.example: This is missing. Add it: A reference",
        ),
        (
            '["Customers are affected"]',
            '["a", "a"]',
            "scenarios.locks: A criterion or an access is listed tw",
        ),
        (
            'accesses = ["db-read"]',
            'accesses = ["db"]',
            "scenarios.locks.accesses[0]: There is no access “db”",
        ),
        (r"'INC-\d+'", "'INC-('", "scenarios.locks.incident: “INC-(” is not a regular expression: missing )"),
        (
            '"INC-42"',
            '"42"',
            r"scenarios.locks.incident: The example “42” does not match the pattern “INC-\d+”.",
        ),
    ],
)
def test_each_mistake_has_its_key_and_its_remedy(problems: Problems, old: str, new: str, said: str) -> None:
    assert any(problem.startswith(said) for problem in problems((old, new)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[http]\nlisten = "localhost"', "http.listen: “localhost” is not an address. Write host and port"),
        ('[http]\nlisten = "::1:99999"', "http.listen: “::1:99999” is not an address."),
        ("[http]\nlisten = 8080", "http.listen: This must be text."),
        (
            '[slack]\ntransport = "rtm"',
            "slack.transport: This word is not known here. Write 'socket' or 'http'.",
        ),
        ('[history]\nheartbeat = "daily"', "history.heartbeat: “daily” is not a duration."),
        ("[keeper]\nreconcile_every = 60", "keeper.reconcile_every: A duration is text with a unit."),
        (
            DENY,
            "deny[0]: This rule names nothing, so it would forbid everything to everyone. If that is meant",
        ),
        (DENY + 'roles = ["lead"]', "deny[0].roles[0]: There is no role “lead”. Did you mean “leads”?"),
        (DENY + 'accesses = ["db"]', "deny[0].accesses[0]: There is no access “db”."),
        (DENY + 'environments = ["prod"]', "deny[0].environments[0]: There is no environment “prod”."),
    ],
)
def test_each_mistake_in_an_optional_table_has_them_too(problems: Problems, more: str, said: str) -> None:
    (problem,) = problems(more=more)
    assert problem.startswith(said)


LIMITS = [
    ("[history]\ncheckpoint_every", "1s", "1m"),
    ("[history]\nheartbeat", "1m", "1h"),
    ("[keeper]\nreconcile_every", "5s", "5m"),
    ("[keeper]\ngrant_deadline", "1s", "1m"),
    ("[accesses.db-read]\ndurations", "1s", "7d"),
    ("[accesses.db-read]\nmfa_max_age", "1m", "1h"),
    ("[accesses.db-read]\nlapse_after", "1m", "1d"),
    ("[accesses.db-read]\nreport_within", "1m", "30d"),
    ("[accesses.db-read]\nreview_within", "1m", "30d"),
    ("[review]\nreport_within", "1m", "30d"),
    ("[review]\nreview_within", "1m", "30d"),
]


def timed(where: str, value: str) -> tuple[list[tuple[str, str]], str]:
    """What to change in the small configuration, and what to add, so that this key has this value."""
    table, _, key = where.partition("\n")
    if key == "durations":
        return [('durations = ["15m", "1h"]', f'durations = ["{value}"]')], ""
    line = f'{table}\n{key} = "{value}"\n'
    return ([(f"{table}\n", line)], "") if table in SMALL else ([], line)


@pytest.mark.parametrize(("where", "least", "most"), LIMITS)
def test_a_time_outside_its_limits_is_told_by_its_key_with_the_limit(
    loads: Loads, problems: Problems, where: str, least: str, most: str
) -> None:
    def ask(what: Loads | Problems, value: str) -> Config | list[str]:
        changes, more = timed(where, value)
        return what(*changes, more=more)

    for value in (least, most):
        assert ask(loads, value), "the limit itself is allowed"
    key = where.replace("[", "").replace("]\n", ".") + ("[0]" if "durations" in where else "")
    too_long = write_duration(parse_duration(most) + timedelta(seconds=1))
    assert ask(problems, too_long) == [f"{key}: “{too_long}” is too long here. Write at most {most}."]
    if least != "1s":  # nothing shorter can be written
        too_short = write_duration(parse_duration(least) - timedelta(seconds=1))
        assert ask(problems, too_short) == [
            f"{key}: “{too_short}” is too short here. Write at least {least}."
        ]


def test_no_provider_is_waited_for_longer_than_the_keeper_lets_a_grant_stand_unanswered(
    loads: Loads, problems: Problems
) -> None:
    longest = write_duration(GRANT_GRACE)
    assert loads(more=f'[keeper]\ngrant_deadline = "{longest}"').keeper.grant_deadline == GRANT_GRACE
    (problem,) = problems(more=f'[keeper]\ngrant_deadline = "{longest}1s"')
    assert problem.startswith("keeper.grant_deadline: ")


def test_two_accesses_may_not_look_the_same_in_a_list(problems: Problems) -> None:
    twin = SMALL[SMALL.index("[accesses.db-read]") : SMALL.index("[scenarios")].replace("db-read", "db-too")
    assert [problem.partition(" Give")[0] for problem in problems(more=twin)] == [
        "accesses.db-read.title: Another access has the title “Database, read” too.",
        "accesses.db-too.title: Another access has the title “Database, read” too.",
    ]


def test_a_tier_of_groups_may_need_more_people_than_are_listed(loads: Loads) -> None:
    config = loads(
        ('["U0BOB", "U0CAROL"]', '["U0BOB"]\ngroups = ["S0LEADS"]'), ('["leads"] }', '["leads"], count = 3 }')
    )
    assert config.policy.accesses["db-read"].tiers == (Tier(("leads",), 3),)


def test_every_mistake_is_reported_at_once(problems: Problems) -> None:
    found = problems(
        ('"acme"', '"Acme"'),
        ('"high"', '"huge"'),
        ('accesses = ["db-read"]', 'accesses = ["db-reed"]'),
        more='[slack]\ntransport = "rtm"',
    )
    assert sorted(problem.partition(": ")[0] for problem in found) == [
        "accesses.db-read.risk",
        "installation",
        "scenarios.locks.accesses[0]",
        "slack.transport",
    ]


def test_a_wrong_file_and_a_wrong_environment_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "breakglass.toml"
    path.write_text(SMALL.replace('"acme"', '"Acme"'))
    with pytest.raises(ConfigError) as error:
        load(path, {}, need=SERVE)
    keys = {problem.partition(": ")[0] for problem in error.value.problems}
    assert {"installation", "SLACK_BOT_TOKEN", "BREAKGLASS_SIGNING_KEY_FILE"} <= keys


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\nb = = 2\n", "breakglass.toml: Line 2, column 5 is not TOML: Invalid value. Mend it there"),
        (b"a = 1\na = 2\n", "breakglass.toml: Line 2, column 6 is not TOML: Cannot overwrite a value. Mend"),
        (b"a = [1,", "breakglass.toml: The end of the file is not TOML: Invalid value. Mend it there first."),
        (b"a = 1\nb = '\xff'\n", "breakglass.toml: Line 2 is not UTF-8. Save the file as UTF-8."),
        (b"", "installation: This is missing. Add it: Part of every mark"),
        (b"roles = 3", "roles: This must be a table."),
        (b"roles = { a = 3 }", "roles.a: This must be a table."),
        (b"backends = [1]\naccesses = { a = [] }", "backends: This must be a table."),
    ],
)
def test_text_that_is_no_configuration_is_told_where(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "breakglass.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load(path, {})
    assert any(problem.startswith(said) for problem in error.value.problems)


def test_a_file_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="It cannot be read") as error:
        load(tmp_path / "none.toml", {})
    assert error.value.problems[0].startswith(f"{tmp_path}/none.toml: ")


class Settings(BaseModel):
    """What some adapter wants to know."""

    model_config = ConfigDict(extra="forbid")
    port: int = Field(description="Where it listens.")


def settings_of(kind: str) -> type[BaseModel]:
    if kind != "memory":
        raise ValueError(f"There is no backend kind “{kind}”. Known here: memory.")
    return Settings


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('kind = "oracle"', "backends.db.kind: There is no backend kind “oracle”. Known here: memory."),
        ('kind = "memory"', "backends.db.port: This is missing. Add it: Where it listens."),
        (
            'kind = "memory"\nport = "x"',
            "backends.db.port: Input should be a valid integer, unable to parse string as an integer. Mend",
        ),
        (
            'kind = "memory"\nport = 1\npots = 2',
            "backends.db.pots: Nothing here is called that. Did you mean “port”?",
        ),
    ],
)
def test_a_backends_own_keys_are_judged_by_its_adapter(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "breakglass.toml"
    path.write_text(SMALL.replace('kind = "memory"', line).replace('"acme"', '"Acme"'))
    with pytest.raises(ConfigError) as error:
        load(path, {}, settings_of=settings_of)
    assert len(error.value.problems) == 2, "together with the mistakes elsewhere"
    assert error.value.problems[1].startswith(said)


@pytest.mark.parametrize(
    ("transport", "wanted", "not_looked_at"),
    [
        ("http", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN"),
        ("socket", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"),
    ],
)
@pytest.mark.parametrize("installation", ["acme", "Acme"])
def test_each_transport_wants_its_own_secret_and_not_the_others(
    tmp_path: Path, transport: str, wanted: str, not_looked_at: str, installation: str
) -> None:
    """Also when something else in the file is wrong."""
    path = tmp_path / "breakglass.toml"
    path.write_text(SMALL.replace('"acme"', f'"{installation}"') + f'[slack]\ntransport = "{transport}"\n')
    with pytest.raises(ConfigError) as error:
        load(path, {not_looked_at: "nonsense"}, need={Need.SLACK})
    problems = dict(problem.split(": ", 1) for problem in error.value.problems)
    assert problems[wanted].startswith("It is not set.")
    assert not_looked_at not in problems
    assert ("installation" in problems) == (installation == "Acme")
