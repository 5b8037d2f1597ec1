"""boto3's IAM client in threads: a deadline on everything, and IAM's errors in our own words.

boto3 is imported here and nowhere else. A thread cannot be stopped, so nothing that was given up may begin.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import boto3  # type: ignore[import-untyped]  # boto3 ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # boto3 ships no types
from botocore.exceptions import (  # type: ignore[import-untyped]  # the same
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from bot.backends.aws_iam.policy import Json
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import Secret

T = TypeVar("T")

_PASSING: Final = frozenset(
    {
        "ConcurrentModification",
        "EntityTemporarilyUnmodifiable",
        "RequestLimitExceeded",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""4xx codes that mean "not now" and not "no" (IAM API Reference, Common Errors and PutUserPolicy)."""

_TELLING: Final = frozenset({"AccessDenied", "NoSuchEntity", "MalformedPolicyDocument", "LimitExceeded"})
"""Codes whose message names actions, users and limits, and never what was signed."""


class NotThere(BackendRefused):
    """IAM knows no such user, role or policy."""


class Client:
    """IAM for users or for roles. Made on first use, because boto3 may look around for credentials."""

    def __init__(self, name: str, kind: str, make: Callable[[], Any]) -> None:
        self._name, self._kind, self._make = name, kind, make
        self._made: Any = None
        self._lock = (
            threading.Lock()
        )  # making a client is not safe in threads; using one is (boto3, "Clients")

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """A deadline around some calls.

        Raises:
            BackendUnavailable: it passed.
        """
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise BackendUnavailable(f"{self._name}: IAM did not answer within {seconds:g} s.") from None

    async def put(self, principal: str, name: str, policy: Json) -> None:
        """Makes or replaces the inline policy."""
        await self._ask("put_{}_policy", principal, PolicyName=name, PolicyDocument=json.dumps(policy))

    async def get(self, principal: str, name: str) -> Json | None:
        """The inline policy, or None."""
        try:
            answer = await self._ask("get_{}_policy", principal, PolicyName=name)
        except NotThere:
            return None
        document = answer["PolicyDocument"]
        return dict(json.loads(document) if isinstance(document, str) else document)

    async def delete(self, principal: str, name: str) -> None:
        """Removes the inline policy; already gone is success."""
        with suppress(NotThere):
            await self._ask("delete_{}_policy", principal, PolicyName=name)

    async def path(self, principal: str) -> str:
        """Where the user or role stands."""
        return str((await self._ask("get_{}", principal))[self._kind.title()]["Path"])

    async def under(self, prefix: str) -> list[str]:
        """Names of all users, or roles, under a path."""
        pages = await self._pages("list_{}s", PathPrefix=prefix)
        return [
            str(one[f"{self._kind.title()}Name"]) for page in pages for one in page[f"{self._kind.title()}s"]
        ]

    async def policies(self, principal: str) -> list[str]:
        """Names of the inline policies of one of them; none if it is not there."""
        try:
            pages = await self._pages("list_{}_policies", **self._named(principal))
        except NotThere:
            return []
        return [str(name) for page in pages for name in page["PolicyNames"]]

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _named(self, principal: str) -> Json:
        return {f"{self._kind.title()}Name": principal}

    async def _ask(self, call: str, principal: str, **words: str) -> Any:  # noqa: ANN401 - untyped library
        verb = call.format(self._kind)
        return await self._in_thread(lambda client: getattr(client, verb)(**self._named(principal), **words))

    async def _pages(self, call: str, **words: str) -> list[Any]:
        verb = call.format(self._kind)
        return await self._in_thread(lambda client: list(client.get_paginator(verb).paginate(**words)))

    async def _in_thread(self, do: Callable[[Any], T]) -> T:
        given_up = threading.Event()

        def work() -> T:
            with self._lock:
                self._made = self._made or self._make()
                client = self._made
            if given_up.is_set():
                raise TimeoutError
            return do(client)

        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            given_up.set()
            raise
        except (ClientError, BotoCoreError) as error:
            raise self._told(error) from None  # its context may carry the signed request

    def _told(self, error: ClientError | BotoCoreError) -> BackendError:
        if not isinstance(error, ClientError):
            ours = isinstance(error, NoCredentialsError | PartialCredentialsError | ParamValidationError)
            kind = BackendRefused if ours else BackendUnavailable
            return kind(f"{self._name}: IAM could not be asked ({type(error).__name__}).")
        code = str(error.response.get("Error", {}).get("Code", "?"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if not 400 <= status < 500 or status == 429 or code in _PASSING:
            return BackendUnavailable(f"{self._name}: IAM could not do it now ({code}).")
        said = f": {error.response['Error'].get('Message', '')}" if code in _TELLING else ""
        kind = NotThere if code == "NoSuchEntity" else BackendRefused
        return kind(f"{self._name}: IAM refused ({code}){said}")


def client_maker(
    keys: Mapping[str, Secret], *, region: str, endpoint: str, deadline: float
) -> Callable[[], Any]:
    """How to make boto3's client. Without keys boto3 looks for credentials in its own ways."""

    def make() -> Any:  # noqa: ANN401 - untyped library
        return boto3.Session().client(
            "iam",
            region_name=region,
            endpoint_url=endpoint or None,
            config=Config(
                connect_timeout=deadline,
                read_timeout=deadline,
                retries={"total_max_attempts": 1},  # the keeper repeats, and it looks first
            ),
            **{word: secret.reveal() for word, secret in keys.items()},
        )

    return make
