"""Several hosts, of which some are down, made anew, or set up wrongly."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.backends.ssh.adapter import Ssh
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import Lease, Order
from tests.backends.contract import marks, order_for
from tests.backends.ssh_rig import ME, SshRig, echoes, ssh_rig
from tests.providers.sshd import Sshd

pytestmark = [pytest.mark.usefixtures("sshd_here"), pytest.mark.heavy]


class Two:
    """A rig with a second host beside the first, both reached without a proxy."""

    def __init__(self, rig: SshRig, other: Sshd) -> None:
        self.rig, self.one, self.two = rig, rig.sshd, other
        self.backend = self.again()

    def again(self, **changes: object) -> Ssh:
        hosts = {
            name: {"address": "127.0.0.1", "port": sshd.port, "host_keys": [sshd.host_key]}
            for name, sshd in (("one", self.one), ("two", self.two))
        }
        logins = {"shell": {"account": ME, "hosts": ["*"]}}
        raw: dict[str, Any] = {"hosts": hosts, "logins": logins, **changes}
        return self.rig.again(**raw)


@asynccontextmanager
async def two_hosts() -> AsyncIterator[Two]:
    async with ssh_rig(registered=False) as rig:
        other = await asyncio.to_thread(rig.new_host, "two")
        other.start()
        try:
            yield Two(rig, other)
        finally:
            other.stop()


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    async with two_hosts() as both:
        yield both


def shown(lease: Lease) -> dict[str, str]:
    assert lease.handoff is not None
    return {label: secret.reveal() for label, secret in lease.handoff.fields}


async def test_a_grant_is_on_every_host_of_its_login_and_ends_on_every_one(two: Two) -> None:
    order = order_for(two.rig)
    lease = await two.backend.grant(order)
    assert lease.scope == {"login": "shell", "hosts": "one two"}
    assert two.one.marks() == two.two.marks() == {order.mark}
    assert await marks(two.backend) == [order.mark]
    await two.backend.revoke(order)
    assert two.one.marks() == two.two.marks() == set()


async def test_an_order_may_be_for_one_of_the_hosts(two: Two) -> None:
    order = order_for(two.rig)
    narrow = Order(order.mark, order.principal, {"login": "shell", "host": "two"}, order.expires_at)
    lease = await two.backend.grant(narrow)
    assert lease.scope == {"login": "shell", "host": "two", "hosts": "two"}
    assert (two.one.marks(), two.two.marks()) == (set(), {order.mark})
    (seen,) = await two.backend.live()
    assert seen.scope == lease.scope
    await two.backend.revoke(narrow)
    assert two.two.marks() == set()


async def test_a_host_that_is_down_is_left_out_named_and_holds_up_neither_grant_nor_end(two: Two) -> None:
    order = order_for(two.rig)
    two.two.stop()
    lease = await two.backend.grant(order)
    assert lease.scope["hosts"] == "one"
    assert "two cannot be reached" in shown(lease)["hosts without it"]
    assert "two" not in shown(lease)["hosts"]
    await two.backend.revoke(order)  # the other host knows that it was never sent there
    await two.backend.revoke(order)
    assert two.one.marks() == set()


async def test_a_host_that_is_down_at_the_end_is_waited_for_and_the_others_are_not_held_up(two: Two) -> None:
    order = order_for(two.rig)
    await two.backend.grant(order)
    two.two.stop()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"^two cannot be reached"):
            await two.backend.revoke(order)
        assert two.one.marks() == set()
    with pytest.raises(BackendUnavailable, match=r"^two cannot be reached"):
        await two.backend.live()
    assert two.two.marks() == {order.mark}
    two.two.start()
    await two.backend.revoke(order)
    assert two.two.marks() == set()
    assert await two.backend.live() == []


async def test_a_host_that_fails_between_yes_and_done_makes_it_unavailable(two: Two) -> None:
    """It may hold the grant: nobody is handed anything, and the end asks that host too."""
    order = order_for(two.rig)
    (two.two.state / "grants" / f".{order.mark}.new").mkdir()  # its disk refuses the file
    with pytest.raises(BackendUnavailable, match=r"^two: IsADirectoryError"):
        await two.backend.grant(order)
    assert two.one.marks() == {order.mark}
    two.two.stop()
    with pytest.raises(BackendUnavailable, match=r"^two cannot be reached"):
        await two.backend.revoke(order)
    assert two.one.marks() == set()


async def test_a_host_of_an_earlier_attempt_is_not_forgotten_by_the_next(two: Two) -> None:
    """Two took the grant and is gone now; one, which had failed, takes it. Two still has it."""
    order = order_for(two.rig)
    fault = two.one.state / "grants" / f".{order.mark}.new"
    fault.mkdir()
    with pytest.raises(BackendUnavailable, match=r"^one: IsADirectoryError"):
        await two.backend.grant(order)
    fault.rmdir()
    two.two.stop()
    with pytest.raises(BackendUnavailable, match="it is gone from two"):
        await two.backend.grant(order)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"^two cannot be reached"):
            await two.backend.revoke(order)
    two.two.start()
    await two.backend.revoke(order)
    assert two.one.marks() == two.two.marks() == set()


async def test_a_host_with_another_key_is_no_host_of_ours(two: Two) -> None:
    """It was made anew under the same address, or somebody stands in between."""
    stranger = two.rig.sshd.folder / "host_key"
    two.two.stop()
    (two.two.folder / "host_key").write_bytes(stranger.read_bytes())
    two.two.start()
    lease = await two.backend.grant(order_for(two.rig))
    assert "two showed another host key" in shown(lease)["hosts without it"]
    assert two.two.marks() == set()
    with pytest.raises(BackendRefused, match="another host key"):
        await two.backend.control.ask("two", {"do": "list"})
    assert not two.two.logged("Accepted"), "our key was not even offered"


async def test_what_is_gone_from_one_host_is_told_and_ended(two: Two) -> None:
    order = order_for(two.rig)
    await two.backend.grant(order)
    (two.two.state / "grants" / order.mark).unlink()
    (seen,) = await two.backend.live()
    assert seen.altered == "it is gone from two"
    await two.backend.revoke(seen.as_order())
    assert await two.backend.live() == []


@pytest.mark.parametrize("half", ["", '{"mark": "bg-', "[]", '{"until": 1}', '{"until": "never"}'])
async def test_a_file_that_is_cut_short_lets_nobody_in_is_told_and_can_be_ended(two: Two, half: str) -> None:
    order = order_for(two.rig)
    lease = await two.backend.grant(order)
    for sshd in (two.one, two.two):
        (sshd.state / "grants" / order.mark).write_text(half)
    assert not await two.rig.gets_in(lease)
    (seen,) = await two.backend.live()
    assert "what one has about it cannot be read" in seen.altered
    await two.backend.revoke(seen.as_order())
    assert await two.backend.live() == []


async def test_what_was_changed_on_a_host_is_told(two: Two) -> None:
    order = order_for(two.rig)
    await two.backend.grant(order)
    file = two.two.state / "grants" / order.mark
    file.write_text(file.read_text().replace(f'"account": "{ME}"', '"account": "other"').replace("1", "2", 1))
    file.write_text(file.read_text().replace('"until": 1', '"until": 2'))
    (seen,) = await two.backend.live()
    assert "hosts have different ends for it" in seen.altered
    assert "on two it is for the account other" in seen.altered
    assert seen.expires_at is not None
    assert seen.expires_at > order.expires_at


async def test_a_login_that_left_the_settings_is_still_found_and_ended(two: Two) -> None:
    order = order_for(two.rig)
    await two.backend.grant(order)
    changed = two.again(logins={"other": {"account": ME, "hosts": ["one"]}})
    (seen,) = await changed.live()
    await changed.revoke(seen.as_order())
    assert two.one.marks() == two.two.marks() == set()
    await two.backend.grant(order_for(two.rig, "bbbbbb"))
    await changed.revoke(order_for(two.rig, "bbbbbb"))  # from the request alone: every host is asked
    assert two.one.marks() == two.two.marks() == set()


async def test_what_a_host_says_no_to_is_a_sentence_with_its_name(two: Two) -> None:
    two.one.configure(accounts=["somebody"])
    os.utime(two.two.run / "swept", (time.time() - 600, time.time() - 600))
    with pytest.raises(BackendRefused) as caught:
        await two.backend.grant(order_for(two.rig))
    assert f"one: The account {ME} is not one of `accounts`" in str(caught.value)
    assert "two: Sessions would not end here by themselves: enable breakglass-host.timer" in str(caught.value)


async def test_an_answer_to_something_else_is_no_answer(two: Two) -> None:
    """A forced command that does something else must not look like an end."""
    order = order_for(two.rig)
    await two.backend.grant(order)
    for said in ("echo '{}'", "echo hello", "cat", "true"):
        two.two.keys.write_text(f'restrict,command="{said}" {two.two.control}\n')
        with pytest.raises(BackendUnavailable, match=r"two: breakglass-host gave no answer that can be read"):
            await two.backend.revoke(order)


async def test_the_documented_lines_are_all_that_a_hosts_sshd_needs(two: Two) -> None:
    page = (Path(__file__).parents[2] / "docs" / "backends" / "ssh.md").read_text()
    (lines,) = re.findall(r"```sshd_config\n(.*?)```", page, re.DOTALL)
    lines = lines.replace("/usr/local/sbin/breakglass-host", two.two.serve.removesuffix(" serve"))
    lines = lines.replace("/var/lib/breakglass", str(two.two.state)).replace("User root", f"User {ME}")
    names = "|".join(line.split()[0] for line in lines.splitlines())
    two.two.stop()
    config = re.sub(rf"(?m)^ *({names}) .*\n", "", two.two.sshd_config.read_text())
    two.two.sshd_config.write_text(lines + config)
    two.two.start()
    assert await two.backend.problems() == []
    order = order_for(two.rig)
    lease = await two.backend.grant(order)
    session = await two.rig.open(two.rig.client(lease, "cat", host=two.two))
    assert await echoes(session)
    await two.backend.revoke(order)
    assert not await echoes(session)


# --- checks ------------------------------------------------------------------------------------------------


async def test_all_is_well(two: Two) -> None:
    assert await two.backend.problems() == []


@pytest.mark.parametrize(
    ("line", "instead", "sentence"),
    [
        ("TrustedUserCAKeys .*", "", "does not trust our authority"),
        ("AuthorizedPrincipalsCommand .*", "", "does not ask breakglass-host"),
        ("login %u %i %K %k", "login %u %i %K", "login %u %i %K %k, and reload sshd"),
        ("(login %u %i %K %k)", r"\1 more", "does not ask breakglass-host"),
        ("RevokedKeys .*", "", "does not read the revocation list"),
        ("LogLevel VERBOSE", "LogLevel INFO", "Set LogLevel VERBOSE"),
        ("UsePAM", "UsePan", "sshd -T says"),
    ],
)
async def test_what_is_missing_in_a_hosts_sshd_is_told_with_its_fix(
    two: Two, line: str, instead: str, sentence: str
) -> None:
    text = two.two.sshd_config.read_text()
    two.two.sshd_config.write_text(re.sub(line, instead, text))
    problems = await two.backend.problems()
    assert [problem for problem in problems if problem.startswith("two: ") and sentence in problem]
    assert not [problem for problem in problems if problem.startswith("one: ")]


async def test_what_else_is_wrong_with_a_host_is_told_all_at_once(two: Two) -> None:
    ours = (two.rig.folder / "control.pub").read_text().strip()
    two.one.keys.write_text(f"{ours}\n")  # a shell for our login: too much
    (two.two.state / "revoked.krl").write_text("half a")
    (two.two.run / "swept").unlink()
    two.two.configure(ca=ours)
    problems = " ".join(await two.backend.problems())
    assert "one: breakglass-host gave no answer" in problems
    assert "two refused our control key" in problems, "sshd refuses every key with such a list"
    two.two.helper("setup")
    two.one.authorize(options="")
    problems = " ".join(await two.backend.problems())
    assert "one: our control login can forward ports" in problems
    assert "two: it is set up for another authority" in problems
    assert "two: The last sweep is minutes old" in problems
    two.one.stop()
    assert "one cannot be reached" in " ".join(await two.backend.problems())


async def test_a_control_login_with_a_shell_is_too_much(two: Two) -> None:
    shell = two.rig.folder / "shell"
    shell.write_text(
        f"#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in echo*) eval $SSH_ORIGINAL_COMMAND;;"
        f" *) exec {two.one.serve};; esac\n"
    )
    shell.chmod(0o755)
    two.one.keys.write_text(f'restrict,command="{shell}" {two.one.control}\n')
    assert "one: our control login can run any command" in " ".join(await two.backend.problems())
