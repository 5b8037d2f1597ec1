"""Real and emulated providers, one of each per test process. A missing one is a skip with its name.

`BREAKGLASS_REQUIRE_PROVIDERS=1` turns those skips into failures. `BREAKGLASS_TEST_POSTGRES_URL` names a
server to use instead of the wheel's, as its superuser; `BREAKGLASS_TEST_POSTGRES_VERSION=16` the older wheel.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

import pytest

from bot.demo.database import PostgresServer, WheelMissing


@dataclass
class Cluster:
    """A PostgreSQL server and its superuser's URL."""

    admin: str
    ours: bool
    """Started for these tests, so that its configuration may be changed too."""
    checked: bool = False
    prepared: bool = False
    """Our store's roles and the database that is copied for each test are there."""

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
    with _started() as started:
        yield started


@pytest.fixture
def own_cluster(cluster: Cluster) -> Iterator[Cluster]:
    """One whose configuration may be changed, too: somebody may be using the server that is named."""
    if cluster.ours:
        yield cluster
        return
    with _started() as started:
        yield started


@contextmanager
def _started() -> Iterator[Cluster]:
    version = int(os.environ.get("BREAKGLASS_TEST_POSTGRES_VERSION", "18"))
    with TemporaryDirectory(prefix="breakglass-tests-", dir=_fast_place()) as place:
        Path(place).chmod(0o755)  # as root the server runs as somebody else, in a folder of its own below
        try:
            server = PostgresServer(Path(place) / "server", version=version)
        except WheelMissing as missing:
            absent(f"PostgreSQL: {missing}")
        with server:
            yield Cluster(server.url(), ours=True)


def _fast_place() -> str | None:
    """Memory where there is plenty (a container's 64 MB is not): a database per test is much writing."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30:
        return str(memory)
    return None


@dataclass
class Account:
    """moto's AWS account over HTTP, with IAM enforced: who has no policy is refused, as at AWS."""

    host: str
    port: int
    access_key: str
    secret_key: str

    def client(self, service: str, access_key: str = "", secret_key: str = "") -> Any:  # noqa: ANN401
        """A boto3 client past every proxy; without keys the administrator's."""
        import boto3  # type: ignore[import-untyped]  # boto3 ships no types
        from botocore.config import Config  # type: ignore[import-untyped]  # the same

        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://{self.host}:{self.port}",
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    @cached_property
    def iam(self) -> Any:  # noqa: ANN401 - untyped library
        return self.client("iam")


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    """An emulated AWS. It does not evaluate `DateLessThan`: ends there are asserted as text, not seen."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as missing:
        absent(f"AWS: {missing.name} is not installed")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        account = Account(host, port, "testing", "testing")
        account.iam.create_user(UserName="administrator")
        account.iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=allowing("*"))
        key = account.iam.create_access_key(UserName="administrator")["AccessKey"]
        account.iam.close()
        enforce = Request(
            f"http://{host}:{port}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST"
        )
        with urlopen(enforce) as answer:
            assert answer.status == 200
        account = Account(host, port, key["AccessKeyId"], key["SecretAccessKey"])
        yield account
        account.iam.close()
    finally:
        server.stop()


def allowing(*actions: str) -> str:
    """A policy document."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="session")
def sshd_here() -> None:
    """A real sshd can be started; each rig starts its own."""
    from tests.providers.sshd import missing  # asyncssh may be missing too

    if reason := missing():
        absent(reason)


@pytest.fixture
def keygen_here() -> None:
    """OpenSSH's own tool, which says whether it can read what we wrote."""
    if shutil.which("ssh-keygen") is None:
        absent("SSH: ssh-keygen is not installed")


def absent(reason: str) -> NoReturn:
    """Skip, or fail where every provider must be there."""
    if os.environ.get("BREAKGLASS_REQUIRE_PROVIDERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason=reason)  # named, on a newcomer's machine; where providers are required it failed above
