"""The aws-iam adapter under the contract, over HTTP at moto: EMULATED.

moto judges requests by policies, and does not evaluate `DateLessThan`. That a policy ends is therefore
asserted as the exact JSON that IAM was given; its effect is not observed.
"""

import asyncio
import json
import re
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from bot.backends import Backend, registry
from bot.backends.aws_iam import Settings
from bot.backends.aws_iam.adapter import AwsIam
from bot.backends.aws_iam.client import Client
from bot.backends.aws_iam.policy import bounded, unbounded
from bot.backends.settings import Misconfigured
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import Lease, Order
from tests.backends.contract import Contract, SaysByHand, marks, order_for
from tests.providers.fixtures import Account, allowing
from tests.providers.proxy import Proxy, proxy_to

QUEUES: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
    {
        "Effect": "Allow",
        "Action": ["sqs:PurgeQueue"],
        "Resource": "*",
        "Condition": {
            "Bool": {"aws:MultiFactorAuthPresent": "true"},
            "DateLessThan": {"aws:TokenIssueTime": "2040-01-01T00:00:00Z"},
        },
    },
]
OURS = ("PutUserPolicy", "GetUserPolicy", "DeleteUserPolicy", "ListUserPolicies", "ListUsers", "GetUser")


class AwsRig:
    no_sessions = "IAM judges every request anew: there is no session to cut"
    no_preexisting = "IAM does not tell what a person could do before"

    def __init__(self, account: Account, proxy: Proxy, kind: Literal["user", "role"] = "user") -> None:
        self.account, self.proxy, self.kind = account, proxy, kind
        self.tag = secrets.token_hex(4)
        self.installation = f"t{self.tag}"
        self.scope = {"policy": "queues"}
        self.principal, self.broker = f"alice-{self.tag}", f"broker-{self.tag}"
        self.keys: dict[str, tuple[str, str]] = {}
        for name in (self.principal, self.broker):
            account.iam.create_user(UserName=name, Path=f"/{self.tag}/")
            key = account.iam.create_access_key(UserName=name)["AccessKey"]
            self.keys[name] = (key["AccessKeyId"], key["SecretAccessKey"])
        actions = [f"iam:{action}" for action in OURS]
        if kind == "role":
            actions = [action.replace("User", "Role") for action in actions]
            self.principal = f"admins-{self.tag}"
            account.iam.create_role(
                RoleName=self.principal,
                Path=f"/{self.tag}/",
                AssumeRolePolicyDocument=allowing("sts:AssumeRole"),
            )
        account.iam.put_user_policy(UserName=self.broker, PolicyName="own", PolicyDocument=allowing(*actions))
        self.secrets: Sequence[str] = [secret for _, secret in self.keys.values()]
        self.built: list[AwsIam] = []
        self.person = account.client("sqs", *self.keys.get(self.principal, ("", "")))
        self.backend: Backend = self.again()

    def again(self, patience: float | None = None, **settings: object) -> AwsIam:
        raw = {
            "policies": {
                "queues": QUEUES,
                "logs": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
            },
            "attach": self.kind,
            "path_prefix": f"/{self.tag}/",
            "access_key_id_env": "KEY",
            "secret_access_key_env": "SECRET",
            "endpoint_url": f"http://127.0.0.1:{self.proxy.port}",
            "deadline_s": patience or 10.0,
            "sweep_deadline_s": patience or 10.0,
            **settings,
        }
        env = dict(zip(("KEY", "SECRET"), self.keys[self.broker], strict=True))
        built = registry.create("aws-iam", raw, name="aws", installation=self.installation, env=env)
        assert isinstance(built, AwsIam)
        self.built.append(built)
        return built

    async def stop(self) -> None:
        for backend in self.built:
            await backend.close()
        self.person.close()

    async def works(self, _order: Order | None, _lease: Lease | None) -> bool:
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # the same

        try:
            await asyncio.to_thread(self.person.list_queues)
        except ClientError as error:
            if "AccessDenied" not in str(error):
                raise
            return False
        return True

    async def open_session(self, _lease: Lease) -> Callable[[], Awaitable[bool]]:
        raise NotImplementedError(self.no_sessions)

    async def give_before(self) -> None:
        await self.admin("put_{}_policy", PolicyName="standing", PolicyDocument=allowing("sqs:*"))

    async def standing_works(self) -> bool:
        return await self.works(None, None)

    async def plant(self, name: str) -> None:
        await self.admin("put_{}_policy", PolicyName=name, PolicyDocument=allowing("s3:*"))

    async def names(self) -> set[str]:
        return set((await self.admin("list_{}_policies"))["PolicyNames"])

    async def admin(self, call: str, **words: str) -> Any:  # noqa: ANN401 - untyped library
        named = {f"{self.kind.title()}Name": self.principal}
        return await asyncio.to_thread(getattr(self.account.iam, call.format(self.kind)), **named, **words)

    async def document(self, name: str) -> Any:  # noqa: ANN401 - whatever stands there
        return (await self.admin("get_{}_policy", PolicyName=name))["PolicyDocument"]

    async def refuse(self) -> None:
        words = {"UserName": self.broker, "PolicyName": "own"}
        await asyncio.to_thread(self.account.iam.delete_user_policy, **words)

    def cut(self) -> None:
        self.proxy.cut()

    def pause(self) -> None:
        self.proxy.pause()

    def swallow(self) -> None:
        self.proxy.swallow_after(b"Action=PutUserPolicy", b"Action=DeleteUserPolicy")

    def heal(self) -> None:
        self.proxy.heal()


@asynccontextmanager
async def aws_rig(account: Account, kind: Literal["user", "role"] = "user") -> AsyncIterator[AwsRig]:
    async with proxy_to(account.host, account.port) as proxy:
        rig = await asyncio.to_thread(AwsRig, account, proxy, kind)
        try:
            yield rig
        finally:
            await rig.stop()


class TestAwsIam(Contract, SaysByHand):
    @pytest.fixture
    async def rig(self, account: Account) -> AsyncIterator[AwsRig]:
        async with aws_rig(account) as rig:
            yield rig

    async def test_iam_is_given_exactly_this(self, rig: AwsRig) -> None:
        order = replace(order_for(rig), expires_at=datetime(2040, 2, 3, 4, 5, 6, 999999, UTC))
        await rig.backend.grant(order)
        assert await rig.document(order.mark) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sqs:*",
                    "Resource": "*",
                    "Condition": {"DateLessThan": {"aws:CurrentTime": "2040-02-03T04:05:06Z"}},
                },
                {
                    "Effect": "Allow",
                    "Action": ["sqs:PurgeQueue"],
                    "Resource": "*",
                    "Condition": {
                        "Bool": {"aws:MultiFactorAuthPresent": "true"},
                        "DateLessThan": {
                            "aws:TokenIssueTime": "2040-01-01T00:00:00Z",
                            "aws:CurrentTime": "2040-02-03T04:05:06Z",
                        },
                    },
                },
            ],
        }

    async def test_a_person_iam_does_not_know_is_refused(self, rig: AwsRig) -> None:
        everywhere = rig.again(path_prefix="/")
        order = replace(order_for(rig), principal=f"nobody-{rig.tag}")
        with pytest.raises(BackendRefused, match="NoSuchEntity"):
            await everywhere.grant(order)
        await everywhere.revoke(order)

    async def test_nobody_is_granted_anything_whom_live_would_not_look_at(self, rig: AwsRig) -> None:
        order = replace(order_for(rig), principal="administrator")
        with pytest.raises(BackendRefused, match="is not under"):
            await rig.backend.grant(order)
        with pytest.raises(BackendRefused, match="not one of ours"):
            rig.again(only=["somebody-else"]).ending(order_for(rig))

    async def test_a_person_without_an_iam_user_reads_why(self, rig: AwsRig) -> None:
        with pytest.raises(BackendRefused, match="no IAM user"):
            rig.backend.ending(replace(order_for(rig), principal=""))

    async def test_only_some_users_are_looked_at_where_only_some_are_named(self, rig: AwsRig) -> None:
        order = order_for(rig)
        backend = rig.again(only=[rig.principal, f"gone-{rig.tag}"])
        await backend.grant(order)
        assert await marks(backend) == [order.mark]
        assert await marks(rig.again(only=[rig.broker])) == []
        (problem,) = await backend.problems()
        assert f"gone-{rig.tag}" in problem

    async def test_a_policy_is_told_by_its_statements_with_our_database_lost(self, rig: AwsRig) -> None:
        order = replace(order_for(rig), scope={"policy": "logs"})
        await rig.backend.grant(order)
        (seen,) = await rig.again().live()
        assert seen.scope == {"policy": "logs"}

    @pytest.mark.parametrize(
        ("statements", "words", "has_end"),
        [
            (
                [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
                "not those of any policy.*has no end",
                False,
            ),
            (QUEUES, "^a statement in it has no end$", False),
            (
                bounded(QUEUES[:1], datetime(2040, 1, 1, tzinfo=UTC))["Statement"]
                + bounded(QUEUES[1:], datetime(2041, 1, 1, tzinfo=UTC))["Statement"],
                "^its statements end at different times$",
                True,
            ),
            (bounded(QUEUES[:1], datetime(2040, 1, 1, tzinfo=UTC))["Statement"][0], "not those of any", True),
        ],
    )
    async def test_what_somebody_changed_is_told(
        self, rig: AwsRig, statements: object, words: str, has_end: bool
    ) -> None:
        order = order_for(rig)
        await rig.backend.grant(order)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        await rig.admin("put_{}_policy", PolicyName=order.mark, PolicyDocument=document)
        (seen,) = await rig.backend.live()
        assert re.search(words, seen.altered)
        assert (seen.expires_at is not None) is has_end
        await rig.backend.revoke(seen.as_order())
        assert await marks(rig.backend) == []

    async def test_a_change_iam_does_not_show_in_time_is_unavailable(self, rig: AwsRig) -> None:
        class Eventual(type(rig.again().client)):  # type: ignore[misc]  # a client whose reads lag behind
            async def get(self, _principal: str, _name: str) -> None:
                return None

        impatient = rig.again(patience=1)
        lagging = Eventual("aws", "user", impatient.client._make)
        with pytest.raises(BackendUnavailable, match="within 1 s"):
            await replace(impatient, client=lagging).grant(order_for(rig))
        lagging.close()
        assert await marks(rig.backend) == [order_for(rig).mark]

    async def test_what_was_given_up_before_it_began_never_begins(self, rig: AwsRig) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        order = order_for(rig)
        impatient = rig.again(patience=0.2, path_prefix="/")
        make, ready = impatient.client._make, threading.Event()

        def slow_make() -> object:
            ready.wait(10)  # as when asking a machine that does not answer for credentials
            return make()

        impatient.client._make = slow_make
        with pytest.raises(BackendUnavailable):
            await impatient.grant(order)
        ready.set()
        assert order.mark not in await rig.names(), "asked in the same thread, so after it"

    async def test_wrong_credentials_are_refused_not_unavailable(self, rig: AwsRig) -> None:
        rig.keys[rig.broker] = (rig.keys[rig.broker][0], "wrong")
        (problem,) = await rig.again().problems()
        assert "SignatureDoesNotMatch" in problem

    async def test_all_is_well(self, rig: AwsRig) -> None:
        assert await rig.again().problems() == []


async def test_a_role_is_granted_and_ended_like_a_user(account: Account) -> None:
    async with aws_rig(account, "role") as rig:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        assert await rig.document(order.mark) == bounded(QUEUES, order.expires_at)
        (seen,) = await rig.backend.live()
        assert (seen.mark, seen.principal, seen.altered) == (order.mark, rig.principal, "")
        await rig.backend.revoke(lease.as_order())
        assert await rig.names() == set()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "Throttling", BackendUnavailable),
        (409, "ConcurrentModification", BackendUnavailable),
        (409, "EntityTemporarilyUnmodifiable", BackendUnavailable),
        (429, "SlowDown", BackendUnavailable),
        (500, "ServiceFailure", BackendUnavailable),
        (503, "ServiceUnavailable", BackendUnavailable),
        (400, "MalformedPolicyDocument", BackendRefused),
        (403, "ExpiredToken", BackendRefused),
        (409, "LimitExceeded", BackendRefused),
    ],
)
def test_not_now_is_told_apart_from_no(status: int, code: str, kind: type[BackendError]) -> None:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert type(Client("aws", "user", object)._told(ClientError(answer, "PutUserPolicy"))) is kind


def test_no_credentials_at_all_is_refused() -> None:
    from botocore.exceptions import NoCredentialsError

    assert type(Client("aws", "user", object)._told(NoCredentialsError())) is BackendRefused


# --- pure --------------------------------------------------------------------------------------------------


def test_taking_the_end_off_gives_the_statements_back_and_touches_no_template() -> None:
    until = datetime(2040, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    before = json.dumps(QUEUES)
    assert unbounded(bounded(QUEUES, until)) == (QUEUES, [until, until])
    assert json.dumps(QUEUES) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policies": {}}, "at least 1"),
        ({"policies": {"a": []}}, "no statements"),
        ({"policies": {"a": [{"Condition": {"DateLessThan": {"AWS:currenttime": "x"}}}]}}, "end is ours"),
        ({"access_key_id_env": "KEY"}, "both"),
        ({"path_prefix": "teams"}, "path_prefix"),
        ({"secret_access_key": "hunter2"}, "secret_access_key"),
    ],
)
def test_settings_that_cannot_work_are_told_without_quoting_them(change: dict[str, Any], words: str) -> None:
    raw = {"policies": {"a": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}, **change}
    with pytest.raises(Misconfigured, match=words) as caught:
        registry.create("aws-iam", raw, name="aws", installation="acme", env={})
    assert "hunter2" not in str(caught.value)


def test_an_installation_too_long_for_a_policys_name_is_told() -> None:
    raw = {"policies": {"a": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}}
    with pytest.raises(Misconfigured, match="100 characters"):
        registry.create("aws-iam", raw, name="aws", installation="a" * 101, env={})
    assert Settings.model_validate(raw).access_key_id_env == ""
