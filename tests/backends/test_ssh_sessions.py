"""What sshd does with a certificate of ours: what it refuses, what it ends, and what it writes down."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.backends.ssh import host
from bot.backends.ssh.certificate import serial_of
from bot.core.errors import BackendRefused
from bot.core.model import Lease, Order
from bot.demo.ports import free_port
from tests.backends.contract import order_for
from tests.backends.ssh_rig import SshRig, echoes, ssh_rig
from tests.providers.fixtures import absent

pytestmark = [pytest.mark.usefixtures("sshd_here"), pytest.mark.heavy]


@pytest.fixture
async def rig() -> AsyncIterator[SshRig]:
    async with ssh_rig(registered=False) as rig:
        yield rig


def login(rig: SshRig, **narrow: object) -> dict[str, Any]:
    return {"logins": {"shell": {"account": rig.account, "hosts": ["one"], **narrow}}}


def lies_about_its_end(rig: SshRig, order: Order) -> None:
    """The host's own file says for ever, as if somebody with root there had changed it."""
    file = rig.sshd.state / "grants" / order.mark
    entry = json.loads((file if file.exists() else rig.sshd.state / "ended" / order.mark).read_text())
    file.write_text(json.dumps({**entry, "until": 2**33}))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - other processes and the clock send no event
            await asyncio.sleep(0.05)


async def test_a_certificate_ends_by_itself_whatever_the_host_holds(rig: SshRig) -> None:
    order = replace(order_for(rig), expires_at=datetime.now(UTC) + timedelta(seconds=6))
    lease = await rig.backend.grant(order)
    lies_about_its_end(rig, order)
    assert await rig.gets_in(lease)
    await until(lambda: datetime.now(UTC) > order.expires_at)  # real time: sshd has a clock of its own
    assert not await rig.gets_in(lease)
    assert rig.sshd.logged("Certificate invalid: expired")


async def test_the_host_ends_a_session_and_the_grant_by_itself_with_nobody_to_tell_it(rig: SshRig) -> None:
    order = replace(order_for(rig), expires_at=datetime.now(UTC) + timedelta(seconds=6))
    lease = await rig.backend.grant(order)
    alive = await rig.open_session(lease)
    rig.sshd.helper("sweep")
    assert await alive(), "not over yet"
    rig.cut()  # we are gone
    await until(lambda: datetime.now(UTC) > order.expires_at)
    assert await alive(), "sshd itself does not look at the end again"
    rig.sshd.helper("sweep")
    assert not await alive()
    assert rig.sshd.marks() == set()


async def test_the_log_names_the_grant_the_person_and_the_serial(rig: SshRig) -> None:
    order = order_for(rig)
    assert await rig.gets_in(await rig.backend.grant(order))
    (line,) = rig.sshd.logged("Accepted publickey .*-CERT .*")
    assert f"ID {order.mark} alice BG-7K3Q2M for a test (serial {serial_of(order.mark)})" in line


async def test_a_revoked_certificate_is_refused_by_the_revocation_list_alone(rig: SshRig) -> None:
    order = order_for(rig)
    lease = await rig.backend.grant(order)
    await rig.backend.revoke(order)
    assert rig.sshd.serials == {serial_of(order.mark)}
    lies_about_its_end(rig, order)  # the grant is back on the host, put there by hand
    assert not await rig.gets_in(lease)
    assert rig.sshd.logged("revoked by file")


async def test_an_ended_grant_never_comes_back(rig: SshRig) -> None:
    order = order_for(rig)
    await rig.backend.grant(order)
    await rig.backend.revoke(order)
    with pytest.raises(BackendRefused, match="does not come back"):
        await rig.backend.grant(order)


@pytest.mark.parametrize("fault", ["exit 1", "head -c 20 /dev/urandom > $5", ": > $5", "exit 0"])
async def test_a_revocation_list_that_cannot_be_read_is_never_put_in_place(rig: SshRig, fault: str) -> None:
    """The full disk, the killed process: sshd would refuse every key, also the operators'."""
    await rig.give_before()
    order = order_for(rig)
    alive = await rig.open_session(await rig.backend.grant(order))
    broken = rig.folder / "ssh-keygen"
    broken.write_text(
        f'#!/bin/sh\nif [ "$1" = -k ]; then set -- "$@"; {fault}; else exec ssh-keygen "$@"; fi\n'
    )
    broken.chmod(0o755)
    before = (rig.sshd.state / "revoked.krl").read_bytes()
    rig.sshd.configure(keygen=str(broken))
    await rig.backend.revoke(order)
    assert not await alive(), "the access itself ended"
    assert (rig.sshd.state / "revoked.krl").read_bytes() == before
    assert await rig.standing_works()
    rig.sshd.configure()
    rig.sshd.helper("sweep")
    assert rig.sshd.serials == {serial_of(order.mark)}


async def test_a_forced_command_runs_whatever_was_asked_for(rig: SshRig) -> None:
    command = """printf '%s|' "it's" "$SSH_ORIGINAL_COMMAND" """.strip()
    lease = await rig.again(**login(rig, force_command=command)).grant(order_for(rig))
    assert await rig.says(rig.client(lease, "rm -rf /tmp/nothing")) == (0, "it's|rm -rf /tmp/nothing|")


@pytest.mark.parametrize(("network", "inside"), [("10.0.0.0/8", False), ("127.0.0.0/8", True)])
async def test_only_the_named_addresses_may_use_it(rig: SshRig, network: str, inside: bool) -> None:
    lease = await rig.again(**login(rig, source_addresses=["192.0.2.7", network])).grant(order_for(rig))
    assert await rig.gets_in(lease) is inside


@pytest.mark.parametrize("allow", [["pty"], ["pty", "port-forwarding"]])
async def test_ports_are_forwarded_only_where_it_was_asked_for(rig: SshRig, allow: list[str]) -> None:
    lease = await rig.again(**login(rig, allow=allow)).grant(order_for(rig))
    running = await rig.open(rig.client(lease, "-W", f"127.0.0.1:{rig.sshd.port}"))
    assert running.stdout is not None
    assert (await running.stdout.readline()).startswith(b"SSH-2.0") is ("port-forwarding" in allow)


@pytest.mark.parametrize("allow", [[], ["pty"]])
async def test_a_terminal_is_given_only_where_it_was_asked_for(rig: SshRig, allow: list[str]) -> None:
    lease = await rig.again(**login(rig, allow=allow)).grant(order_for(rig))
    _, said = await rig.says(rig.client(lease, "-tt", "tty"))
    assert ("/dev/pts/" in said) is ("pty" in allow)


async def test_the_account_is_the_granted_one_and_no_other(rig: SshRig) -> None:
    lease = await rig.backend.grant(order_for(rig))
    rig.account = "daemon"
    assert not await rig.gets_in(lease)


async def test_a_certificate_without_the_hosts_grant_is_worth_nothing(rig: SshRig) -> None:
    order = order_for(rig)
    lease = await rig.backend.grant(order)
    (rig.sshd.state / "grants" / order.mark).unlink()
    assert not await rig.gets_in(lease)


# --- sessions ----------------------------------------------------------------------------------------------


async def test_sessions_of_others_on_the_same_account_are_left_alone(rig: SshRig) -> None:
    await rig.give_before()
    first, second = order_for(rig, "aaaaaa"), order_for(rig, "bbbbbb")
    mine = await rig.open_session(await rig.backend.grant(first))
    other = await rig.open_session(await rig.backend.grant(second))
    standing = await rig.open_session(None, key="standing")
    await rig.backend.revoke(first)
    assert [await mine(), await other(), await standing()] == [False, True, True]


async def test_every_session_of_a_shared_connection_is_cut_with_it(rig: SshRig) -> None:
    """ControlMaster: the second session never logs in."""
    order = order_for(rig)
    lease = await rig.backend.grant(order)
    shared = f"-oControlPath={rig.folder}/shared"
    command = rig.client(lease)
    first = await rig.open([*command[:-1], "-oControlMaster=yes", shared, command[-1], "cat"])
    assert await echoes(first)
    second = await rig.open([*command[:-1], shared, command[-1], "cat"])
    assert await echoes(second)
    assert len(rig.sshd.logged("Accepted publickey .*-CERT ")) == 1, (
        "the test itself: one login, two sessions"
    )
    await rig.backend.revoke(order)
    assert [await echoes(first), await echoes(second)] == [False, False]


async def test_a_forwarded_port_is_cut_although_no_command_runs(rig: SshRig) -> None:
    order = order_for(rig)
    lease = await rig.again(**login(rig, allow=["port-forwarding"])).grant(order)
    port = free_port()
    command = rig.client(lease)
    await rig.open([*command[:-1], "-N", f"-L127.0.0.1:{port}:127.0.0.1:{rig.sshd.port}", command[-1]])
    reader, writer = await eventually_open(port)
    assert (await reader.readline()).startswith(b"SSH-2.0")
    await rig.backend.revoke(order)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def eventually_open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("how", "left"), [("sleep 600 &", False), ("setsid sleep 600 &", False), ("(setsid sleep 600 &)", True)]
)
async def test_what_runs_below_the_connection_ends_with_it_and_what_left_it_remains(
    rig: SshRig, how: str, left: bool
) -> None:
    """The last one is what docs/backends/ssh.md says cannot be promised without systemd's session scopes."""
    order = order_for(rig)
    note = rig.folder / "pid"
    detach = how.replace("sleep 600", f"sh -c 'echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600'")
    alive = await rig.open_session(
        await rig.backend.grant(order), command=f"{detach.replace('&', '</dev/null >/dev/null 2>&1 &')}\ncat"
    )
    assert await alive()
    await until(note.exists)
    pid = int(note.read_text())
    await rig.backend.revoke(order)
    assert not await alive()
    try:
        assert bool(host.started(pid)) is left
    finally:
        if host.started(pid):
            os.kill(pid, 9)


async def test_a_session_that_ignores_signals_is_cut_all_the_same(rig: SshRig) -> None:
    order = order_for(rig)
    stubborn = "trap '' HUP TERM INT PIPE; while :; do read line && echo \"$line\"; done"
    alive = await rig.open_session(await rig.backend.grant(order), command=stubborn)
    assert await alive()
    await rig.backend.revoke(order)
    assert not await alive()


async def test_the_note_of_a_dead_connection_ends_nobody_elses(rig: SshRig) -> None:
    """Process numbers are used again; the note has the start time too."""
    order = order_for(rig)
    await rig.backend.grant(order)
    stranger = await asyncio.create_subprocess_exec("sleep", "600")
    note = rig.sshd.run / "sessions" / f"{order.mark}.{stranger.pid}.1"
    note.touch()
    await rig.backend.revoke(order)
    assert stranger.returncode is None
    assert not note.exists()
    stranger.kill()
    await stranger.wait()


# --- handoff -----------------------------------------------------------------------------------------------


def handed(lease: Lease) -> dict[str, str]:
    assert lease.handoff is not None
    return {label: secret.reveal() for label, secret in lease.handoff.fields}


@pytest.mark.parametrize("registered", [True, False])
async def test_what_is_shown_works_when_pasted_into_a_shell(registered: bool) -> None:
    async with ssh_rig(registered=registered) as rig:
        address = {"one": {**rig.settings()["hosts"]["one"], "port": rig.sshd.port}}
        lease = await rig.again(hosts=address).grant(order_for(rig))
        shown = handed(lease)
        assert ("private key" in shown) is not registered
        assert sum(map(len, shown.values())) < 5000, "Slack's window"
        home = rig.folder / "home"
        (home / ".ssh").mkdir(parents=True)
        agent = ["ssh-agent", "sh", "-c", f"ssh-add -q {rig.folder}/own && exec sh"]
        # ssh finds ~ by the account, a shell by HOME: the same for people, not for this test
        block = (
            shown["paste into a shell"].replace("~/.ssh", f"{home}/.ssh").replace("ssh -", "ssh -F none -", 1)
        )
        running = await asyncio.create_subprocess_exec(
            *(agent if registered else ["sh"]), env={**os.environ, "HOME": str(home)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await running.communicate(f"{block} echo inside".encode())
        assert out == b"inside\n", err
        assert not [path for path in home.rglob("*") if path.stat().st_mode & 0o077 and path.is_file()]


async def test_the_private_key_is_in_the_handoff_and_nowhere_else(rig: SshRig) -> None:
    lease = await rig.backend.grant(order_for(rig))
    key = handed(lease)["private key"].splitlines()[3]
    assert key not in repr(lease)
    for path in rig.folder.rglob("*"):
        assert not path.is_file() or key not in path.read_bytes().decode(errors="replace")
    assert key.encode() not in rig.proxy.heard


@pytest.fixture
def account() -> Iterator[str]:
    """An ordinary account to throw away."""
    if os.getuid() != 0:
        absent("SSH: only root can make an account to throw away")
    name = f"bg{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    subprocess.run(["usermod", "--password", "*", name], check=True)  # without PAM, sshd takes "!" for locked
    yield name
    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


async def test_an_account_other_than_ours_is_granted_and_cut(account: str) -> None:
    """sshd gives an ordinary account a process of its own below the one that was noted."""
    async with ssh_rig(registered=False, account=account) as rig:
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        assert await rig.says(rig.client(lease, "id -un")) == (0, f"{account}\n")
        alive = await rig.open_session(lease, command="setsid cat")
        assert await alive()
        await rig.backend.revoke(order)
        assert not await alive()
        assert not await rig.gets_in(lease)
