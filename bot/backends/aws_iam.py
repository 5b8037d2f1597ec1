"""AWS IAM: one inline policy per grant on a user or role, named by the mark, ended by IAM itself.

The rule: no statement leaves here without `DateLessThan aws:CurrentTime`. IAM compares that with its own clock
at every request, so the access ends on time even if nobody is left to end it. Statements come from the settings
alone; an order can only name them. boto3 is imported here and nowhere else, and runs in threads.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from pydantic import Field, field_validator, model_validator

from bot.backends.marks import Marks
from bot.backends.settings import Frozen, Misconfigured, from_environment
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Lease, Mark, Order

Json = dict[str, Any]
T = TypeVar("T")

VERSION: Final = "2012-10-17"
_BEFORE: Final = "DateLessThan"
_NOW: Final = "aws:CurrentTime"

_ENDING: Final = Ending(
    EndedBy.PROVIDER,
    timedelta(minutes=1),
    # "Changes that I make are not always immediately visible", without a bound: a minute is experience.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    "IAM ends it by its own clock. Ended early, it may work for about a minute more: IAM passes changes on "
    "eventually, and AWS names no bound.",
)
_ASK_AGAIN: Final = 0.5
"""Seconds until a change that is not visible yet is looked for again."""

_PASSING: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "RequestTimeout",
     "ConcurrentModification", "EntityTemporarilyUnmodifiable"}
)  # fmt: skip
"""4xx codes that mean "not now" and not "no" (IAM API Reference, Common Errors and PutUserPolicy)."""

_TELLING: Final = frozenset({"AccessDenied", "NoSuchEntity", "MalformedPolicyDocument", "LimitExceeded"})
"""Codes whose message names actions, users and limits, and never what was signed."""


class Settings(Frozen):
    """One AWS account, reached with one set of credentials."""

    policies: Mapping[str, tuple[Json, ...]] = Field(
        min_length=1,
        description="What may be granted, and nothing else: name -> statements as in an IAM policy. The end is "
        "added to each statement's conditions.",
    )
    attach: Literal["user", "role"] = Field(
        default="user", description="Whether principals are IAM users or IAM roles."
    )
    path_prefix: str = Field(
        default="/",
        pattern=r"^/([!-~]+/)?$",
        description="Only users (or roles) under this path are granted anything, and looked at.",
    )
    only: tuple[str, ...] = Field(
        default=(), description="Only these users (or roles). Empty: all under path_prefix."
    )
    access_key_id_env: str = Field(
        default="",
        description="Name of the environment variable with our access key id. Left out: boto3's own ways.",
    )
    secret_access_key_env: str = Field(
        default="", description="Name of the environment variable with our secret access key."
    )
    region: str = Field(default="us-east-1", description="The region that requests are signed for.")
    endpoint_url: str = Field(
        default="", description="An endpoint other than AWS's public one, such as a VPC endpoint's."
    )
    deadline_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds after which a grant or revoke is given up."
    )
    sweep_deadline_s: float = Field(
        default=60.0, gt=0, le=600, description="Seconds that looking at every user may take."
    )

    @field_validator("policies")
    @classmethod
    def _no_end_of_its_own(cls, policies: Mapping[str, tuple[Json, ...]]) -> Mapping[str, tuple[Json, ...]]:
        """Two ends under one key would be alternatives to IAM, and the later one would win."""
        for name, statements in policies.items():
            if not statements:
                raise ValueError(f"{name} has no statements")
            for statement in statements:
                keys = statement.get("Condition", {}).get(_BEFORE, {})
                if any(key.casefold() == _NOW.casefold() for key in keys):
                    raise ValueError(f"{name} has a {_BEFORE} {_NOW} of its own; the end is ours to set")
        return policies

    @model_validator(mode="after")
    def _both_or_none(self) -> "Settings":
        if bool(self.access_key_id_env) != bool(self.secret_access_key_env):
            raise ValueError("give both access_key_id_env and secret_access_key_env, or neither")
        return self


def bounded(statements: Sequence[Json], until: datetime) -> Json:
    """The policy: each statement ends at `until`, rounded down to the second; its own conditions stay."""
    copies = deepcopy(list(statements))
    for statement in copies:
        ends = statement.setdefault("Condition", {}).setdefault(_BEFORE, {})
        ends[_NOW] = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Version": VERSION, "Statement": copies}


def unbounded(policy: Json) -> tuple[list[Json], list[datetime | None]]:
    """The reverse: the statements without our condition, and the end of each (None: it has none)."""
    listed = policy.get("Statement", [])
    copies = deepcopy([listed] if isinstance(listed, dict) else listed)
    ends: list[datetime | None] = []
    for statement in copies:
        conditions = statement.get("Condition", {})
        end = None
        with suppress(ValueError, TypeError):
            end = datetime.fromisoformat(conditions.get(_BEFORE, {}).pop(_NOW, None))
        ends.append(end)
        if not conditions.get(_BEFORE, True):
            del conditions[_BEFORE]
        if not conditions:
            statement.pop("Condition", None)
    return copies, ends


class Client:
    """boto3's IAM client for users or for roles: made on first use, used in threads, each call bounded."""

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
        task = asyncio.current_task()

        def work() -> T:
            with self._lock:
                self._made = self._made or self._make()
            if task is not None and (task.cancelling() or task.done()):
                raise TimeoutError  # nobody waits any more: what was not begun must not begin now
            return do(self._made)

        try:
            return await asyncio.to_thread(work)
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


class NotThere(BackendRefused):
    """IAM knows no such user, role or policy."""


@dataclass(frozen=True)
class AwsIam:
    """The backend."""

    client: Client
    settings: Settings
    marks: Marks

    def ending(self, order: Order) -> Ending:
        """Scope: `policy`, the name of one in the settings."""
        if set(order.scope) != {"policy"} or order.scope["policy"] not in self.settings.policies:
            raise BackendRefused(f"The scope must be one policy out of: {', '.join(self.settings.policies)}.")
        if not order.principal:
            raise BackendRefused(
                f"You have no IAM {self.settings.attach} here; ask an operator to add yours."
            )
        if self.settings.only and order.principal not in self.settings.only:
            raise BackendRefused(
                f"The IAM {self.settings.attach} {order.principal} is not among those we may use."
            )
        return _ENDING

    async def grant(self, order: Order) -> Lease:
        """Puts the policy and asks until IAM shows exactly that. Putting it again replaces it with itself."""
        self.marks.demand(order.mark)
        self.ending(order)
        policy = bounded(self.settings.policies[order.scope["policy"]], order.expires_at)
        async with self.client.within(self.settings.deadline_s):
            await self._demand_path(order.principal)
            await self.client.put(order.principal, order.mark, policy)
            while await self.client.get(order.principal, order.mark) != policy:
                await asyncio.sleep(_ASK_AGAIN)
        return self._lease(order.principal, order.mark, policy)

    async def revoke(self, order: Order) -> None:
        """Deletes the policy and asks until IAM shows none. There are no sessions: IAM judges every request."""
        self.marks.demand(order.mark)
        async with self.client.within(self.settings.deadline_s):
            await self.client.delete(order.principal, order.mark)
            while await self.client.get(order.principal, order.mark) is not None:
                await asyncio.sleep(_ASK_AGAIN)

    async def live(self) -> Sequence[Lease]:
        """Looks at every user (or role) within bounds, one after the other: IAM throttles early."""
        leases = []
        async with self.client.within(self.settings.sweep_deadline_s):
            for principal in await self._principals():
                for name in filter(self.marks.ours, await self.client.policies(principal)):
                    policy = await self.client.get(principal, name)
                    if policy is not None:
                        leases.append(self._lease(principal, name, policy))
        return leases

    async def problems(self) -> Sequence[str]:
        """Whether those it may grant to can be seen. IAM does not tell a login what it may do."""
        try:
            async with self.client.within(self.settings.sweep_deadline_s):
                there = await self.client.under(self.settings.path_prefix)
        except BackendError as error:
            return [str(error)]
        missing = sorted(set(self.settings.only) - set(there))
        kind, prefix = self.settings.attach, self.settings.path_prefix
        return [f"There is no IAM {kind} {name} under {prefix}. Take it out of `only`." for name in missing]

    async def close(self) -> None:
        """Closes the connections."""
        await asyncio.to_thread(self.client.close)

    async def _demand_path(self, principal: str) -> None:
        """What `live()` would not look at must not be granted."""
        prefix = self.settings.path_prefix
        if prefix != "/" and not (await self.client.path(principal)).startswith(prefix):
            raise BackendRefused(f"The IAM {self.settings.attach} {principal} is not under {prefix}.")

    async def _principals(self) -> Sequence[str]:
        return self.settings.only or await self.client.under(self.settings.path_prefix)

    def _lease(self, principal: str, name: str, policy: Json) -> Lease:
        statements, ends = unbounded(policy)
        granted = [known for known, those in self.settings.policies.items() if list(those) == statements]
        last = None if None in ends or not ends else max(end for end in ends if end is not None)
        return Lease(
            Mark(name),
            principal,
            {"policy": granted[0] if granted else ""},
            last,
            altered="; ".join(_changes(granted, ends)),
        )


def _changes(granted: list[str], ends: list[datetime | None]) -> Iterator[str]:
    if not granted:
        yield "its statements are not those of any policy in the settings"
    if None in ends or not ends:
        yield "a statement in it has no end"
    elif len(set(ends)) > 1:
        yield "its statements end at different times"


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> AwsIam:
    """The backend, not yet connected.

    Raises:
        Misconfigured: a variable that the settings name is not set, or the mark would be too long for IAM.
    """
    if len(installation) > 100:
        raise Misconfigured("installation: at most 100 characters fit into the name of a policy.")
    keys = {}
    if settings.access_key_id_env:
        for word in ("access_key_id", "secret_access_key"):
            key = f"{word}_env"
            keys[f"aws_{word}"] = from_environment(env, getattr(settings, key), key=key, name=name)

    def make() -> Any:  # noqa: ANN401 - untyped library
        return boto3.Session().client(
            "iam",
            region_name=settings.region,
            endpoint_url=settings.endpoint_url or None,
            config=Config(
                connect_timeout=settings.deadline_s,
                read_timeout=settings.deadline_s,
                retries={"total_max_attempts": 1},  # the keeper repeats, and it looks first
            ),
            **{word: secret.reveal() for word, secret in keys.items()},
        )

    return AwsIam(Client(name, settings.attach, make), settings, Marks(installation))
