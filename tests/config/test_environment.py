"""The environment: each command gets what it needs, and no value is ever shown."""

import base64
from pathlib import Path

import pytest

from bot.config import MIGRATE, SERVE, VERIFY, ConfigError, Environment, Need

# Two keys that are always the same: parametrised tests are collected alike in every worker.
KEY, OLD_KEY = (base64.urlsafe_b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
SIGNING = "8f742231b10e8888abcd99baa555d9a5"
SECRETS = ("xoxb-1-abc", "xapp-1-abc", SIGNING, KEY, OLD_KEY, "hunter2")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "signing.key"
    key.write_text("key")
    key.chmod(0o600)
    return {
        "SLACK_BOT_TOKEN": "xoxb-1-abc",
        "SLACK_APP_TOKEN": "xapp-1-abc",
        "SLACK_SIGNING_SECRET": SIGNING,
        "BREAKGLASS_DATABASE_URL": "postgresql://desk:hunter2@db/breakglass",
        "BREAKGLASS_SECRET_KEYS": f"{KEY}, {OLD_KEY}",
        "BREAKGLASS_SIGNING_KEY_FILE": str(key),
    }


def wrong(env: dict[str, str], need: frozenset[Need] = SERVE) -> list[str]:
    with pytest.raises(ConfigError) as error:
        Environment.read(env, need=need)
    assert not any(secret in problem for problem in error.value.problems for secret in SECRETS)
    return error.value.problems


def test_a_server_gets_everything(env: dict[str, str]) -> None:
    found = Environment.read(env)
    assert found.slack_bot_token.reveal() == "xoxb-1-abc"
    assert found.slack_app_token.reveal() == "xapp-1-abc"
    assert found.slack_signing_secrets == (), "Socket Mode has no signatures"
    assert (found.slack_api_url, found.other_slack) == ("https://slack.com/api/", "")
    assert found.database_url.reveal() == "postgresql+asyncpg://desk:hunter2@db/breakglass"
    assert [key.reveal() for key in found.secret_keys] == [KEY, OLD_KEY]
    assert found.signing_key_file == Path(env["BREAKGLASS_SIGNING_KEY_FILE"])


def test_over_http_it_gets_the_signing_secret_and_no_app_token(env: dict[str, str]) -> None:
    found = Environment.read(env, transport="http")
    assert [secret.reveal() for secret in found.slack_signing_secrets] == [SIGNING]
    assert found.slack_app_token.reveal() == ""
    assert not any(secret in repr(found) for secret in SECRETS)


def test_while_it_is_changed_there_are_two_signing_secrets(env: dict[str, str]) -> None:
    env["SLACK_SIGNING_SECRET"] = f"{'0' * 32}, {SIGNING}"
    found = Environment.read(env, transport="http")
    assert [secret.reveal() for secret in found.slack_signing_secrets] == ["0" * 32, SIGNING]


@pytest.mark.parametrize("wrong", ["hunter2", "xoxb-1-abcdefghijklmnop", "xapp-1-A0-1-abcdefghijklmnop", ","])
def test_what_is_no_signing_secret_is_refused_without_being_shown(env: dict[str, str], wrong: str) -> None:
    env["SLACK_SIGNING_SECRET"] = wrong
    with pytest.raises(ConfigError) as error:
        Environment.read(env, transport="http")
    (problem,) = error.value.problems
    assert problem.startswith("SLACK_SIGNING_SECRET: This is not a signing secret")
    assert wrong == "," or wrong not in problem


def test_no_secret_stands_in_its_repr(env: dict[str, str]) -> None:
    shown = repr(Environment.read(env))
    assert not any(secret in shown for secret in SECRETS)


def test_everything_that_is_missing_is_named_at_once() -> None:
    assert [problem.partition(": It is not set. ")[0] for problem in wrong({})] == [
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "BREAKGLASS_SECRET_KEYS",
        "BREAKGLASS_SIGNING_KEY_FILE",
    ]


@pytest.mark.parametrize("need", [MIGRATE, VERIFY])
def test_a_command_that_needs_the_database_alone_does_not_look_at_the_rest(need: frozenset[Need]) -> None:
    found = Environment.read({"SLACK_BOT_TOKEN": "nonsense"}, need=need)
    assert found.database_url.reveal() == "sqlite+aiosqlite:///breakglass.db"
    assert found.slack_bot_token.reveal() == ""


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("sqlite:////var/x.db", "sqlite+aiosqlite:////var/x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgres://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql://h/d?sslmode=verify-full", "postgresql+asyncpg://h/d?sslmode=verify-full"),
    ],
)
def test_a_plain_database_url_gets_its_asynchronous_driver(url: str, normal: str) -> None:
    assert Environment.read({"BREAKGLASS_DATABASE_URL": url}, need=MIGRATE).database_url.reveal() == normal


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "SLACK_BOT_TOKEN",
            "xapp-1-abc",
            "This is another kind of token. The one that is needed starts with x",
        ),
        (
            "SLACK_APP_TOKEN",
            "xoxb-1-abc",
            "This is another kind of token. The one that is needed starts with x",
        ),
        ("SLACK_API_URL", "slack.com/api", "This is not a web address. Unset it, or write one such as https"),
        ("SLACK_API_URL", "http://slack.com/api", "The bot's token would travel in clear text. Write https."),
        (
            "SLACK_API_URL",
            "https://slack.com@evil.example/api",
            "evil.example is not Slack, and whoever answe",
        ),
        (
            "SLACK_API_URL",
            "https://slack.com.evil.example/api",
            "slack.com.evil.example is not Slack, and who",
        ),
        ("BREAKGLASS_DATABASE_URL", "mysql://h/d", "Only SQLite and PostgreSQL are supported. Write"),
        ("BREAKGLASS_DATABASE_URL", "sqlite://", "A history must outlive the process. Name a file:"),
        ("BREAKGLASS_DATABASE_URL", "sqlite:///:memory:", "A history must outlive the process. Name a file:"),
        ("BREAKGLASS_SECRET_KEYS", f"{KEY},hunter2", "Key 2 of 2 is not a Fernet key (44 characters"),
        ("BREAKGLASS_SECRET_KEYS", f"{KEY},", "Key 2 of 2 is not a Fernet key"),
        ("BREAKGLASS_SECRET_KEYS", f"{KEY},{KEY}", "The same key is listed twice. Remove one of the two."),
        (
            "BREAKGLASS_SIGNING_KEY_FILE",
            "/nowhere",
            "/nowhere cannot be read (No such file or directory). Men",
        ),
        ("BREAKGLASS_SIGNING_KEY_FILE", "/", "/ is not a file this process may read. Give it to the user"),
    ],
)
def test_each_mistake_is_a_sentence(env: dict[str, str], name: str, value: str, said: str) -> None:
    (problem,) = wrong(env | {name: value})
    assert problem.startswith(f"{name}: {said}")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_signing_key_that_others_can_read_or_write_is_refused(env: dict[str, str], mode: int) -> None:
    file = env["BREAKGLASS_SIGNING_KEY_FILE"]
    Path(file).chmod(mode)
    assert wrong(env) == [
        f"BREAKGLASS_SIGNING_KEY_FILE: {file} is open to others than its owner. Run: chmod 600 {file}"
    ]


@pytest.mark.parametrize("slash", ["", "/"])
def test_another_slack_is_served_only_when_that_is_said_aloud(env: dict[str, str], slash: str) -> None:
    env |= {"SLACK_API_URL": f"http://127.0.0.1:9000/api{slash}"}
    assert "is not Slack, and whoever answers there can forge every approver." in wrong(env)[0]
    found = Environment.read(env | {"BREAKGLASS_ALLOW_OTHER_SLACK": "1"})
    assert found.slack_api_url == found.other_slack == "http://127.0.0.1:9000/api/"
