"""What a stolen key opens, and what somebody with a mere account on a host can do there: nothing."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.backends.ssh.certificate import serial_of
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import Lease
from tests.backends.contract import order_for
from tests.backends.ssh_rig import ME, SshRig, ssh_rig
from tests.providers.sshd import make_key

pytestmark = [pytest.mark.usefixtures("sshd_here"), pytest.mark.heavy]


@pytest.fixture
async def rig() -> AsyncIterator[SshRig]:
    async with ssh_rig(registered=True) as rig:
        yield rig


def signed(rig: SshRig, ca: Path, key: str, *words: str) -> list[str]:
    """Somebody's ssh, with a key of their own and what they signed for it."""
    make = ["ssh-keygen", "-q", "-s", str(ca), *words, str(rig.folder / f"{key}.pub")]
    subprocess.run(make, check=True)
    command = rig.client(None, "echo inside", key=key)
    command.insert(-2, f"-oCertificateFile={rig.folder / f'{key}-cert.pub'}")
    return command


async def inside(rig: SshRig, command: list[str]) -> bool:
    return await rig.says(command) == (0, "inside\n")


def configured(rig: SshRig, lines: str) -> None:
    """The operator adds lines to sshd's configuration, and starts sshd again."""
    rig.sshd.stop()
    rig.sshd.sshd_config.write_text(f"{rig.sshd.sshd_config.read_text()}\n{lines}\n")
    rig.sshd.start()


# --- stolen keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["standing", "own"])
async def test_the_authoritys_key_alone_opens_no_host_whatever_it_signs(rig: SshRig, key: str) -> None:
    """The thief's own key; and the person's, to be rid of the forced command and the addresses."""
    order = order_for(rig)
    narrow = {
        "account": ME,
        "hosts": ["one"],
        "force_command": "echo forced",
        "source_addresses": ["127.0.0.1"],
    }
    lease = await rig.again(logins={"shell": narrow}).grant(order)
    words = [
        "-I",
        f"{order.mark} alice",
        "-n",
        order.mark,
        "-z",
        str(serial_of(order.mark)),
        "-V",
        "-1m:+29m",
    ]
    assert not await inside(rig, signed(rig, rig.ca, key, *words))
    assert not rig.sshd.logged("Accepted publickey .*-CERT")
    assert list((rig.sshd.run / "sessions").iterdir()) == []
    assert await rig.says(rig.client(lease, "echo inside")) == (0, "forced\n"), "what we signed is let in"


async def test_the_control_key_alone_lets_in_no_certificate_that_another_key_signed(rig: SshRig) -> None:
    """It can name the certificate on the host, but sshd does not trust who signed it."""
    make_key(rig.folder / "thief-ca")
    order = order_for(rig)
    command = signed(rig, rig.folder / "thief-ca", "standing", "-I", order.mark, "-n", order.mark)
    await rig.backend.grant(order)
    assert not await inside(rig, command)


# --- other authorities, principals files --------------------------------------------------------------------


async def test_another_authority_of_the_host_lets_in_whom_the_operator_opted_in(rig: SshRig) -> None:
    theirs = rig.folder / "their-ca"
    line = make_key(theirs)
    with (rig.sshd.state / "ca.pub").open("a") as trusted:
        trusted.write(f"{line}\n")
    for principal, right in ((rig.account, True), ("somebody", False)):
        command = signed(rig, theirs, "own", "-I", "bg-x theirs", "-n", principal)
        rig.sshd.configure()
        assert not await inside(rig, command), "nobody opted in"
        rig.sshd.configure(other_authorities=[line])
        assert await inside(rig, command) is right


async def test_our_helper_opens_nothing_that_another_authoritys_principals_file_keeps_shut(
    rig: SshRig,
) -> None:
    """sshd asks us after the file said no: our answer must not be wider than theirs."""
    theirs, file = rig.folder / "their-ca", rig.folder / "principals"
    with (rig.sshd.state / "ca.pub").open("a") as trusted:
        trusted.write(make_key(theirs) + "\n")
    file.write_text("ops-only\n")
    configured(rig, f"AuthorizedPrincipalsFile {file}")
    assert await inside(rig, signed(rig, theirs, "own", "-I", "x", "-n", "ops-only"))
    assert not await inside(rig, signed(rig, theirs, "own", "-I", "x", "-n", rig.account))


@pytest.mark.parametrize(
    "lines",
    ["AuthorizedPrincipalsFile {file}", f"Match User {ME}\n AuthorizedPrincipalsFile {{file}}",
     "Match Address 127.0.0.0/8\n AuthorizedPrincipalsFile {file}", "Include {folder}/*.conf"],
    ids=["for all", "for the account", "for some addresses", "included"],
)  # fmt: skip
async def test_no_grant_is_taken_where_sshd_looks_into_a_file_before_it_asks(rig: SshRig, lines: str) -> None:
    """A mark in that file comes in without our asking, so without a note, and nothing would cut it."""
    order = order_for(rig)
    file = rig.folder / "principals"
    file.write_text(f"{order.mark}\n")
    (rig.folder / "more.conf").write_text(
        f"Match LocalPort {rig.sshd.port}\n  authorizedprincipalsfile={file}\n"
    )
    configured(rig, lines.format(file=file, folder=rig.folder))
    with pytest.raises(BackendRefused, match="one: Set AuthorizedPrincipalsFile none"):
        await rig.backend.grant(order)
    assert rig.sshd.marks() == set()
    assert "one: Set AuthorizedPrincipalsFile none" in "\n".join(await rig.again().problems())


async def test_a_principals_file_for_another_account_is_no_hindrance(rig: SshRig) -> None:
    configured(rig, "Match User somebody-else\n AuthorizedPrincipalsFile /etc/ssh/theirs\nMatch all")
    assert await rig.again().problems() == []
    assert await rig.gets_in(await rig.backend.grant(order_for(rig)))


async def test_an_authority_that_is_trusted_where_nobody_is_asked_is_told(rig: SshRig) -> None:
    """There its key opens every account: a certificate with the account's name is enough."""
    text = rig.sshd.sshd_config.read_text()
    (asked,) = re.findall(r"AuthorizedPrincipalsCommand .*\n", text)
    rig.sshd.sshd_config.write_text(text.replace(asked, "") + f"\nMatch User {ME}\n {asked}")
    (problem,) = await rig.again().problems()
    assert "one: sshd trusts our authority also where it does not ask breakglass-host" in problem


async def test_a_host_whose_sshd_asks_as_for_an_older_helper_lets_nobody_in_and_says_the_line(
    rig: SshRig,
) -> None:
    rig.sshd.stop()
    text = rig.sshd.sshd_config.read_text()
    rig.sshd.sshd_config.write_text(text.replace("login %u %i %K %k", "login %u %i %K"))
    rig.sshd.start()
    assert not await rig.gets_in(await rig.backend.grant(order_for(rig)))
    (problem,) = await rig.again().problems()
    assert "AuthorizedPrincipalsCommand" in problem
    assert "login %u %i %K %k, and reload sshd" in problem


# --- hosts that are not ours any more -----------------------------------------------------------------------


async def test_a_host_with_an_older_helper_gets_no_grant_and_its_name_is_said(rig: SshRig) -> None:
    """It would take the grant and look at less than the certificate."""
    old = """echo '{"did": "offer", "version": 1}'"""
    quoted = old.replace('"', '\\"')
    rig.sshd.keys.write_text(f'restrict,command="{quoted}" {rig.sshd.control}\n')
    with pytest.raises(BackendRefused, match="one: its breakglass-host is version 1, and ours is 2"):
        await rig.backend.grant(order_for(rig))


async def test_a_host_that_answers_without_end_is_not_read_without_end(rig: SshRig) -> None:
    """Somebody became root there, and would fill our memory."""
    rig.sshd.keys.write_text(f'restrict,command="yes" {rig.sshd.control}\n')
    async with asyncio.timeout(15):  # its deadline is 20 s
        with pytest.raises(BackendUnavailable, match="gave no answer that can be read"):
            await rig.backend.live()


async def test_a_certificate_that_is_not_ours_to_the_byte_is_refused_by_sshd_itself(rig: SshRig) -> None:
    """What the host compares is what sshd checked: one bit changed, and the signature is none."""
    lease = await rig.backend.grant(order_for(rig))
    command = rig.client(lease, "echo inside")
    (file,) = [Path(word.partition("=")[2]) for word in command if word.startswith("-oCertificateFile=")]
    kind, blob, *rest = file.read_text().split(" ")
    assert await inside(rig, command)
    file.write_text(" ".join([kind, blob[:-6] + ("A" if blob[-6] != "A" else "B") + blob[-5:], *rest]))
    assert not await inside(rig, command)


def handed(lease: Lease) -> dict[str, str]:
    assert lease.handoff is not None
    return {label: secret.reveal() for label, secret in lease.handoff.fields}


async def test_each_attempt_at_the_same_grant_works_with_what_it_handed_over(rig: SshRig) -> None:
    order = order_for(rig)
    first, second = await rig.backend.grant(order), await rig.backend.grant(order)
    assert handed(first)["certificate"] != handed(second)["certificate"]
    assert await rig.gets_in(first)
    assert await rig.gets_in(second)
