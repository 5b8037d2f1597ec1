"""Connections to PostgreSQL, with limits so that nothing hangs, and a sentence for each way they can fail.

Rule: no text holds a password. What is said names host, database and role, and what PostgreSQL itself said.
"""

import ssl
from typing import Final

import asyncpg

from bot.core.errors import BreakglassError
from bot.store.address import quoted, role_of, shown

SETTINGS: Final = {
    "application_name": "breakglass",
    "default_transaction_isolation": "read committed",  # writers take turns by a lock; see `Store`
    "statement_timeout": "30s",
    "lock_timeout": "10s",  # as long as SQLite waits for a writer
    "idle_in_transaction_session_timeout": "60s",
    # The server forgets a client that is gone after half a minute, and with it the right to serve.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Of every session. `PATIENT` lifts the limits for migrations and copies, which may take long."""

PATIENT: Final = {
    **SETTINGS,
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

CONNECT_WITHIN: Final = 10.0
ANSWER_WITHIN: Final = 40.0
"""Seconds; longer than `statement_timeout`, for a network that swallows the answer."""


class DatabaseUnreachable(BreakglassError):
    """There is no connection to the database; the text says why and what to do."""


class _NoTls(ConnectionError):
    """The server offers no TLS."""


async def connect(url: str, settings: dict[str, str] | None = None) -> asyncpg.Connection:
    """A new session at `url`, which asyncpg reads as libpq would (`sslmode`, `sslrootcert`, ...).

    Raises:
        DatabaseUnreachable: with the reason.
    """
    wanted = SETTINGS if settings is None else settings
    plain = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    try:
        return await asyncpg.connect(
            plain,
            server_settings=wanted,
            timeout=CONNECT_WITHIN,
            command_timeout=None if wanted is PATIENT else ANSWER_WITHIN,
        )
    except ConnectionError as error:
        # asyncpg's own word for a server that answers "no" to TLS is a bare ConnectionError with this text.
        no_tls = _NoTls() if "rejected SSL upgrade" in str(error) else error
        raise DatabaseUnreachable(_sentence(plain, no_tls)) from None
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnreachable(_sentence(plain, error)) from None


def _sentence(url: str, error: Exception) -> str:
    where, role = shown(url), role_of(url)
    said = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) and error.args else ""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            words = {"where": where, "role": role, "said": said, "reason": reason}
            return sentence.format(**words, quoted=quoted(role), database=quoted(where.rpartition("/")[2]))
    # An address that cannot be read: its own words could hold a part of the password.
    return (
        f"The address of the database cannot be used ({type(error).__name__}). Write "
        "postgresql://role:password@host:5432/database, with special characters as %XX."
    )


_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        asyncpg.InvalidPasswordError,
        (
            "PostgreSQL at {where} does not let role {role!r} in with this password. Mend the address, or "
            "let an administrator set it: ALTER ROLE {quoted} PASSWORD '…'"
        ),
    ),
    (
        asyncpg.InvalidCatalogNameError,
        (
            "There is no such database at {where}. An administrator makes it: "
            "CREATE DATABASE {database} OWNER breakglass_owner"
        ),
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        (
            "PostgreSQL at {where} does not let role {role!r} in ({said}). Make the role, or add a line for "
            "it to pg_hba.conf."
        ),
    ),
    (
        asyncpg.TooManyConnectionsError,
        "PostgreSQL at {where} has no connection left ({said}). Raise max_connections there.",
    ),
    (
        asyncpg.CannotConnectNowError,
        "PostgreSQL at {where} is starting or stopping ({said}). Try again in a moment.",
    ),
    (asyncpg.PostgresError, "PostgreSQL at {where} refuses the connection ({said})."),
    (
        ssl.SSLError,
        (
            "TLS with {where} failed ({reason}). Name the authority's certificate with sslrootcert=FILE, and "
            "the host as its certificate does."
        ),
    ),
    (
        TimeoutError,
        (
            f"No database answers at {{where}} within {CONNECT_WITHIN:.0f} s. Is the address right, and does "
            "a firewall let it through?"
        ),
    ),
    (
        _NoTls,
        (
            "PostgreSQL at {where} does not offer TLS, and the address asks for it. Switch it on there "
            "(ssl = on), or, on a network that nobody else is on, write sslmode=disable."
        ),
    ),
    (
        FileNotFoundError,
        (
            "A file that the address of {where} names is not there. Mend sslrootcert, sslcert, sslkey or the "
            "folder of the socket."
        ),
    ),
    (
        OSError,
        "No database answers at {where} ({reason}). Does PostgreSQL run, and is the address right?",
    ),
)
"""The most exact kind first."""
