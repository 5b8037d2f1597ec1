"""What the documentation tells people to paste works when pasted."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends import Manual, registry
from bot.backends.postgres.catalog import Mode
from bot.core.model import Mark
from tests.backends.contract import order_for
from tests.backends.postgres_rig import postgres_rig
from tests.backends.test_aws_iam_backend import aws_rig
from tests.providers.fixtures import Account, Cluster

PAGES = Path(__file__).parents[2] / "docs" / "backends"


def pasted(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("kind", registry.BUILT_IN)
def test_the_settings_on_each_page_are_settings(kind: str) -> None:
    (text,) = pasted(f"{kind}.md", "toml")
    commented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    for version in (text, commented):
        for table in tomllib.loads(version)["backends"].values():
            assert table.pop("kind") == kind
            table.pop("people", None)
            registry.check(kind, table)


async def test_the_broker_as_documented_has_no_problems_and_is_enough(cluster: Cluster) -> None:
    least, by_hand = pasted("postgres.md", "sql")
    async with postgres_rig(cluster, "ephemeral") as rig:
        names = {
            "breakglass_broker": f"documented_{rig.tag}",
            "prod_ro": rig.role,
            "prod_rw": f"prod_rw_{rig.tag}",
            "bg-acme-7k3q2m": f"bg-{rig.installation}-7k3q2m",
            "'alice'": f"'{rig.principal}'",
        }
        await rig.sql(f"CREATE ROLE prod_rw_{rig.tag}")
        for name, here in names.items():
            least, by_hand = least.replace(name, here), by_hand.replace(name, here)
        await rig.admin.execute(least)
        rig.broker = names["breakglass_broker"]
        rig.passwords[rig.broker] = "..."
        backend = rig.again()
        assert await backend.problems() == []
        order = order_for(rig)
        assert await rig.works(order, await backend.grant(order))
        await backend.revoke(order)
        lease = await backend.grant(order)
        await rig.admin.execute(by_hand)
        assert not await rig.works(order, lease)
        assert await backend.live() == []


@pytest.mark.parametrize("mode", ["login", "ephemeral"])
async def test_what_people_are_told_to_run_at_postgresql_by_hand_ends_the_access(
    cluster: Cluster, mode: Mode
) -> None:
    """And is what the page says, whatever the names are."""
    async with postgres_rig(cluster, mode) as rig:
        assert isinstance(rig.backend, Manual)
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        assert await rig.works(order, lease)
        await rig.admin.execute(rig.backend.by_hand(order))
        assert not await rig.works(order, lease)
        assert await rig.backend.live() == []
        example = replace(order, mark=Mark("bg-acme-7k3q2m"), principal="alice", scope={"mode": "login"})
        _, page = pasted("postgres.md", "sql")
        assert rig.backend.by_hand(example) == " ".join(re.sub(" +--.*", "", page).split())
        odd = replace(example, principal="o'hara")
        assert "IN ('bg-acme-7k3q2m', 'o''hara')" in rig.backend.by_hand(odd)


async def test_what_people_are_told_to_run_at_aws_by_hand_is_what_the_page_says(account: Account) -> None:
    async with aws_rig(account) as rig:
        assert isinstance(rig.backend, Manual)
        example = replace(order_for(rig), mark=Mark("bg-acme-7k3q2m"), principal="alice")
        assert f"By hand: `{rig.backend.by_hand(example)}`" in (PAGES / "aws-iam.md").read_text()
        assert "--user-name 'a b'" in rig.backend.by_hand(replace(example, principal="a b"))


async def test_the_policy_of_the_aws_broker_is_enough(account: Account) -> None:
    (document,) = pasted("aws-iam.md", "json")
    async with aws_rig(account) as rig:
        words = {"UserName": rig.broker, "PolicyName": "own"}
        # moto compares actions and no resources; so this shows that no action is missing, and not the bounds
        text = re.sub(r'"Resource": "arn[^"]*"', '"Resource": "*"', document)
        account.iam.put_user_policy(**words, PolicyDocument=text)
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        assert await rig.works(order, lease)
        assert [found.mark for found in await rig.backend.live()] == [order.mark]
        await rig.backend.revoke(order)
        assert not await rig.works(order, lease)
