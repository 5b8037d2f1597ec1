"""The process's environment: secrets, and where things are. Rule: no value is echoed, not even in errors."""

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

from cryptography.fernet import Fernet

from bot.config.errors import ConfigError
from bot.core.model import Secret

DEFAULT_DATABASE: Final = "sqlite:///breakglass.db"
SLACK_API: Final = "https://slack.com/api/"
_SLACK_HOSTS: Final = frozenset({"slack.com", "www.slack.com"})
_EMPTY: Final = Secret("")


class Need(StrEnum):
    """A part of the environment that a command cannot do without."""

    SLACK = "slack"
    DATABASE = "database"
    OWNER = "owner"
    COPY = "copy"
    SECRET_KEYS = "keys"  # noqa: S105 - a name, not a secret
    SIGNING_KEY = "signing"


SERVE: Final = frozenset(Need) - {Need.OWNER, Need.COPY}
"""A server needs everything but what would let it change its own tables."""

MIGRATE: Final = frozenset({Need.DATABASE, Need.OWNER})
"""So little is needed to change the schema."""

COPY: Final = frozenset({Need.DATABASE, Need.COPY})
"""From here to there."""

VERIFY: Final = frozenset({Need.DATABASE})
"""The verifier trusts no key of ours."""

END: Final = frozenset({Need.DATABASE, Need.SECRET_KEYS})
"""Ending access, and enrolling: the keys seal what a grant left behind, and factors."""

COMMANDS: Final[Mapping[str, frozenset[Need]]] = {
    "serve": SERVE,
    "migrate": MIGRATE,
    "copy": COPY,
    "verify": VERIFY,
    "status": VERIFY,
    "revoke": END,
    "enroll": END,
}
"""What each command needs of the environment. `check` looks for all that `serve` needs."""


Transport = Literal["socket", "http"]
"""How Slack reaches the bot, as `[slack]` says."""


class Variable(NamedTuple):
    """One environment variable; the reference is made from these."""

    need: Need | None
    required: bool
    meaning: str
    transport: Transport | None = None
    """The only transport that looks at it."""


VARIABLES: Final[Mapping[str, Variable]] = {
    "SLACK_BOT_TOKEN": Variable(
        Need.SLACK, True, "The bot token, `xoxb-…`. Copy it from the app's settings, “OAuth & Permissions”."
    ),
    "SLACK_APP_TOKEN": Variable(
        Need.SLACK,
        True,
        "The app-level token, `xapp-…`. Generate it in the app's settings with the scope "
        "`connections:write`, “Basic Information”.",
        "socket",
    ),
    "SLACK_SIGNING_SECRET": Variable(
        Need.SLACK,
        True,
        "Proves that a request comes from Slack. Copy it from the app's settings, “Basic Information”. While "
        "it is changed: the new one and the old one, separated by a comma.",
        "http",
    ),
    "SLACK_API_URL": Variable(Need.SLACK, False, f"Where Slack's Web API is. Default: `{SLACK_API}`."),
    "BREAKGLASS_ALLOW_OTHER_SLACK": Variable(
        None,
        False,
        "`1` lets `SLACK_API_URL` name a host that is not Slack's. Whoever answers there can forge every "
        "approver: for the sandbox only, and the history says so at each start.",
    ),
    "BREAKGLASS_CONFIG": Variable(
        None, False, "The configuration file, unless `--config` names one. Default: `config/breakglass.toml`."
    ),
    "BREAKGLASS_DATABASE_URL": Variable(
        Need.DATABASE,
        False,
        "`sqlite:///path` or `postgresql://user:password@host/database`. "
        f"Default: `{DEFAULT_DATABASE}`, a file in the working directory.",
    ),
    "BREAKGLASS_OWNER_DATABASE_URL": Variable(
        Need.OWNER,
        False,
        "The same PostgreSQL database as the role that owns the tables, for `breakglass migrate` alone. The "
        "server must not have it. Not used with SQLite.",
    ),
    "BREAKGLASS_COPY_TO": Variable(
        Need.COPY, True, "Where `breakglass copy` copies the history to: an address like the one it is in."
    ),
    "BREAKGLASS_SECRET_KEYS": Variable(
        Need.SECRET_KEYS,
        True,
        "Fernet keys that encrypt secrets at rest, separated by commas. The first encrypts, all decrypt: to "
        "rotate, put a new one in front and restart. `breakglass keygen` makes one.",
    ),
    "BREAKGLASS_SIGNING_KEY_FILE": Variable(
        Need.SIGNING_KEY,
        True,
        "Path of the Ed25519 key that signs the history. Only the user who runs the server may read it. "
        "`breakglass keygen` makes one.",
    ),
    "BREAKGLASS_SIGNING_MEMORY": Variable(
        Need.SIGNING_KEY,
        False,
        "Path of the file in which the signer remembers what it signed last, in a folder that the server may "
        "write to: better not where the database is. Default: beside the key, `<key>.signed`.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What `need` asked for, checked. The rest was not looked at and is empty."""

    slack_bot_token: Secret = _EMPTY
    slack_app_token: Secret = _EMPTY
    slack_signing_secrets: tuple[Secret, ...] = ()
    """Empty in Socket Mode, which does not use it. More than one while it is changed."""
    slack_api_url: str = SLACK_API
    """Ends with a slash, as slack-sdk wants it."""
    database_url: Secret = _EMPTY
    """Names an asynchronous driver: `sqlite+aiosqlite://` or `postgresql+asyncpg://`."""
    owner_database_url: Secret = _EMPTY
    copy_to: Secret = _EMPTY
    secret_keys: tuple[Secret, ...] = ()
    """Fernet keys, the current one first."""
    signing_key_file: Path | None = None
    signing_memory: Path | None = None
    """None: beside the key."""

    @property
    def other_slack(self) -> str:
        """The Web API's address when it is not Slack's own, for the history and the log; else empty."""
        return "" if urlsplit(self.slack_api_url).hostname in _SLACK_HOSTS else self.slack_api_url

    @classmethod
    def read(
        cls, env: Mapping[str, str], *, need: Collection[Need] = SERVE, transport: Transport = "socket"
    ) -> Self:
        """The part of `env` that a command needs, when Slack is reached by `transport`.

        Raises:
            ConfigError: with everything that is missing or wrong in that part, and nothing about the rest.
        """
        reader = _Reader(env, need, transport)
        allow_other = env.get("BREAKGLASS_ALLOW_OTHER_SLACK") == "1"
        found = cls(
            slack_bot_token=Secret(reader.get("SLACK_BOT_TOKEN", _token("xoxb-"))),
            slack_app_token=Secret(reader.get("SLACK_APP_TOKEN", _token("xapp-"))),
            slack_signing_secrets=_secrets(reader.get("SLACK_SIGNING_SECRET", _signing_secrets)),
            slack_api_url=reader.get("SLACK_API_URL", _api(allow_other=allow_other)) or SLACK_API,
            database_url=Secret(reader.get("BREAKGLASS_DATABASE_URL", _database, DEFAULT_DATABASE)),
            owner_database_url=Secret(reader.get("BREAKGLASS_OWNER_DATABASE_URL", _database)),
            copy_to=Secret(reader.get("BREAKGLASS_COPY_TO", _database)),
            secret_keys=_secrets(reader.get("BREAKGLASS_SECRET_KEYS", _fernet_keys)),
            signing_key_file=_path(reader.get("BREAKGLASS_SIGNING_KEY_FILE", _private)),
            signing_memory=_path(reader.get("BREAKGLASS_SIGNING_MEMORY", str)),
        )
        if reader.problems:
            raise ConfigError(reader.problems)
        return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads variables one by one and remembers what is wrong with them."""

    env: Mapping[str, str]
    need: Collection[Need]
    transport: Transport
    problems: list[str] = field(default_factory=list)

    def get(self, name: str, check: Callable[[str], str], default: str = "") -> str:
        """The checked value; empty where it is absent, not needed, or wrong."""
        variable = VARIABLES[name]
        if variable.need not in self.need or variable.transport not in {None, self.transport}:
            return ""
        text = self.env.get(name, "").strip() or default
        if text:
            try:
                return check(text)
            except ValueError as error:
                self.problems.append(f"{name}: {error}")
        elif variable.required:
            self.problems.append(f"{name}: It is not set. {variable.meaning}")
        return ""


def _token(prefix: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.startswith(prefix):
            raise ValueError(f"This is another kind of token. The one that is needed starts with {prefix}.")
        return text

    return check


def _secrets(text: str) -> tuple[Secret, ...]:
    return tuple(Secret(one) for one in text.split(",") if one)


def _signing_secrets(text: str) -> str:
    secrets = [secret.strip() for secret in text.split(",")]
    for secret in secrets:
        # Slack's are 32 hexadecimal digits; a guessable one would let anybody speak for every approver.
        if not re.fullmatch(r"[0-9A-Za-z]{16,}", secret):
            raise ValueError(
                "This is not a signing secret (Slack's are 32 letters and digits; a token, xoxb-… or xapp-…, "
                "is something else). Copy it from the app's settings, “Basic Information”."
            )
    return ",".join(secrets)


def _api(*, allow_other: bool) -> Callable[[str], str]:
    def check(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"This is not a web address. Unset it, or write one such as {SLACK_API}.")
        if parts.hostname in _SLACK_HOSTS:
            if parts.scheme != "https":
                raise ValueError("The bot's token would travel in clear text. Write https.")
        elif not allow_other:
            raise ValueError(
                f"{parts.hostname} is not Slack, and whoever answers there can forge every approver. "
                "Unset it, or set BREAKGLASS_ALLOW_OTHER_SLACK=1 if this is the sandbox."
            )
        return urlunsplit(parts).rstrip("/") + "/"

    return check


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme in {"sqlite", "sqlite+aiosqlite"}:
        if not rest.startswith("/") or rest in {"/", "/:memory:"}:
            raise ValueError("A history must outlive the process. Name a file: sqlite:///breakglass.db.")
        return f"sqlite+aiosqlite://{rest}"
    if scheme in {"postgres", "postgresql", "postgresql+asyncpg"}:
        if not _readable(f"postgresql://{rest}"):
            raise ValueError(
                "This address cannot be read. Write postgresql://role:password@host:5432/database, with "
                "special characters of the password as %XX."
            )
        return f"postgresql+asyncpg://{rest}"
    dialect, _, driver = scheme.partition("+")
    if dialect in {"postgres", "postgresql"} and driver:
        raise ValueError(f"The driver {driver!r} is not used here. Write postgresql:// without one.")
    raise ValueError("Only SQLite and PostgreSQL are supported. Write sqlite:///path or postgresql://….")


def _readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.path.strip("/")) and parts.port != 0
    except ValueError:
        return False


def _fernet_keys(text: str) -> str:
    keys = [key.strip() for key in text.split(",")]
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise ValueError(
                f"Key {number} of {len(keys)} is not a Fernet key (44 characters of URL-safe base64). "
                "Make one: breakglass keygen"
            ) from None
    if len(set(keys)) != len(keys):
        raise ValueError("The same key is listed twice. Remove one of the two.")
    return ",".join(keys)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _private(text: str) -> str:
    try:
        mode = Path(text).stat().st_mode
    except OSError as error:
        raise ValueError(
            f"{text} cannot be read ({error.strerror}). Mend the path, or make one: breakglass keygen"
        ) from None
    if not stat.S_ISREG(mode) or not os.access(text, os.R_OK):
        raise ValueError(
            f"{text} is not a file this process may read. Give it to the user who runs the server."
        )
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{text} is open to others than its owner. Run: chmod 600 {text}")
    return text
