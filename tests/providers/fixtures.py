"""Real and emulated providers, one of each per test process. A missing one is a skip with its name.

`BREAKGLASS_REQUIRE_PROVIDERS=1` turns those skips into failures. `BREAKGLASS_TEST_POSTGRES_URL` names a
server to use instead of the wheel's, as its superuser; `BREAKGLASS_TEST_POSTGRES_VERSION=16` the older wheel.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

import pytest

from bot.demo.database import PostgresServer, WheelMissing


@dataclass
class Cluster:
    """A PostgreSQL server and its superuser's URL."""

    admin: str
    ours: bool
    """Started for these tests, so that its configuration may be changed too."""
    checked: bool = False

    @property
    def host(self) -> str:
        return urlsplit(self.admin).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.admin).port or 5432

    @property
    def superuser(self) -> str:
        return unquote(urlsplit(self.admin).username or "")

    def admin_url(self, database: str) -> str:
        return urlsplit(self.admin)._replace(path="/" + quote(database, safe="")).geturl()

    def url(self, user: str, password: str, database: str, port: int | None = None) -> str:
        words = [quote(word, safe="") for word in (user, password, database)]
        return f"postgresql://{words[0]}:{words[1]}@{self.host}:{port or self.port}/{words[2]}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real PostgreSQL."""
    if given := os.environ.get("BREAKGLASS_TEST_POSTGRES_URL"):
        yield Cluster(given, ours=False)
        return
    try:
        server = PostgresServer(version=int(os.environ.get("BREAKGLASS_TEST_POSTGRES_VERSION", "18")))
    except WheelMissing as missing:
        _absent(f"PostgreSQL: {missing}")
    with server:
        yield Cluster(server.url(), ours=True)


def _absent(reason: str) -> NoReturn:
    if os.environ.get("BREAKGLASS_REQUIRE_PROVIDERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
