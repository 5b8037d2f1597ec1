"""Settings, keys and certificates of the ssh backend: what needs no host."""

import base64
import json
import re
import struct
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from bot.backends import registry
from bot.backends.settings import Misconfigured
from bot.backends.ssh.adapter import Ssh
from bot.backends.ssh.certificate import Authority, Login, public_key, serial_of
from bot.backends.ssh.control import Host
from bot.backends.ssh.entry import Entry
from bot.backends.ssh.handoff import handoff
from bot.core.errors import BackendRefused
from bot.core.model import Mark, Order

MARK = Mark("bg-acme-7k3q2m")


def new() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def weak() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-rsa", key_size=1024)


def line(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDypDLOgRLww8YFBQHAB5/xovBY9f7p2HA54jKvT3fAF"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("ca", "control"):
        (tmp_path / name).write_bytes(new().export_private_key())
        (tmp_path / name).chmod(0o600)
    return tmp_path


def settings(files: Path, **changes: object) -> dict[str, Any]:
    return {
        "ca_key_file": str(files / "ca"),
        "control_key_file": str(files / "control"),
        "hosts": {"web-1": {"address": "10.0.0.11", "host_keys": [HOST_KEY]}},
        "logins": {"deploy": {"account": "deploy", "hosts": ["web-*"]}},
        **changes,
    }


def create(files: Path, **changes: object) -> Ssh:
    raw = settings(files, **changes)
    built = registry.create("ssh", raw, name="hosts", installation="acme", env={})
    assert isinstance(built, Ssh)
    return built


def mistakes(files: Path, **changes: object) -> str:
    with pytest.raises(Misconfigured) as caught:
        create(files, **changes)
    return "\n".join(caught.value.mistakes)


LOGIN: dict[str, Any] = {"account": "deploy", "hosts": ["web-1"]}
PASTED = new().export_private_key().decode()


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"hosts": {}}, "hosts.hosts", "at least 1"),
        ({"hosts": {"-x": {"address": "a", "host_keys": [HOST_KEY]}}}, "hosts.hosts", "does not begin"),
        (
            {"hosts": {"web-1": {"address": "me@host", "host_keys": [HOST_KEY]}}},
            "web-1.address",
            "without user",
        ),
        (
            {"hosts": {"web-1": {"address": "-oProxyCommand=x", "host_keys": [HOST_KEY]}}},
            "address",
            "host name",
        ),
        ({"hosts": {"web-1": {"address": "a", "host_keys": []}}}, "web-1.host_keys", "at least 1"),
        ({"hosts": {"web-1": {"address": "a", "host_keys": ["SHA256:abc"]}}}, "host_keys.0", ".pub file"),
        (
            {"hosts": {"web-1": {"address": "a", "port": 70000, "host_keys": [HOST_KEY]}}},
            "web-1.port",
            "65535",
        ),
        ({"logins": {"x": {**LOGIN, "hosts": ["db-*"]}}}, "logins.x.hosts", "no host is called 'db-*'"),
        ({"logins": {"x": {**LOGIN, "hosts": []}}}, "logins.x.hosts", "at least 1"),
        ({"logins": {"x": {**LOGIN, "account": "de ploy"}}}, "logins.x.account", "small letters"),
        ({"logins": {"x": {**LOGIN, "account": "root,bob"}}}, "logins.x.account", "small letters"),
        ({"logins": {"x": {**LOGIN, "force_command": "a\nb"}}}, "force_command", "one line"),
        ({"logins": {"x": {**LOGIN, "source_addresses": ["10.0.0.5/8"]}}}, "source_addresses.0", "host bits"),
        (
            {"logins": {"x": {**LOGIN, "source_addresses": ["office"]}}},
            "source_addresses.0",
            "network such as",
        ),
        ({"logins": {"x": {**LOGIN, "allow": ["sudo"]}}}, "logins.x.allow", "port-forwarding"),
        ({"keys": {"alice": "hello"}}, "keys.alice", ".pub file"),
        ({"keys": {"alice": "ssh-ed25519 AAAAnonsense"}}, "keys.alice", "not a public key"),
        ({"keys": {"alice": line(weak())}}, "keys.alice", "1024 bits is too weak"),
        ({"keys": {"alice": f'command="x" {HOST_KEY}'}}, "keys.alice", "not a public key"),
        ({"keys": {"alice": f"{HOST_KEY}\n{HOST_KEY}"}}, "keys.alice", "the one line"),
        ({"keys": {"alice": PASTED}}, "keys.alice", "treat it as stolen"),
        ({"ca_key": PASTED}, "ca_key", "not permitted"),
        ({"deadline_s": 0}, "deadline_s", "greater than 0"),
    ],
)
def test_a_mistake_is_told_by_its_key_without_its_value(
    files: Path, change: dict[str, Any], key: str, words: str
) -> None:
    said = mistakes(files, **change)
    assert key in said
    assert words in said
    for secret in PASTED.splitlines()[1:-1]:
        assert secret not in said


def test_all_mistakes_are_told_at_once(files: Path) -> None:
    said = mistakes(
        files,
        keys={"alice": "x", "bob": "y"},
        logins={"x": {**LOGIN, "account": "A", "source_addresses": ["z"]}},
        hosts={"web-1": {"address": "", "host_keys": ["k"]}},
    )
    assert len(said.splitlines()) == 6, said


@pytest.mark.usefixtures("keygen_here")
def test_a_command_may_have_quotes_of_every_kind(files: Path) -> None:
    command = """psql -c 'select "a"' $HOME \\ `id` ; # %u"""
    login = create(files, logins={"x": {**LOGIN, "force_command": command}}).logins["x"]
    assert f"force-command {command}\n" in certificate(login)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, 0o600, "cannot be read (No such file or directory). Make one: ssh-keygen"),
        ("", 0o600, "holds no private key"),
        (HOST_KEY, 0o600, "holds no private key"),
        (PASTED, 0o644, "open to others (mode 0644). Run: chmod 0600"),
        (PASTED, 0o640, "open to others (mode 0640)"),
        (weak().export_private_key().decode(), 0o600, "too weak"),
    ],
    ids=["absent", "empty", "public", "open to all", "open to a group", "weak"],
)
def test_key_files_that_cannot_be_used_are_told_with_the_fix(
    tmp_path: Path, text: str | None, mode: int, words: str
) -> None:
    for name in ("ca", "control"):
        if text is not None:
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(mode)
    said = mistakes(tmp_path)
    assert len(said.splitlines()) == 2, "both files"
    assert said.count(words) == 2
    assert "hosts.ca_key_file: " in said
    assert not [secret for secret in PASTED.splitlines()[1:-1] if secret in said]


@pytest.mark.usefixtures("keygen_here")
def test_a_key_with_a_passphrase_is_told_with_the_fix(files: Path) -> None:
    (files / "ca").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", files / "ca"], check=True)
    assert f"Run: ssh-keygen -p -N '' -f {files / 'ca'}" in mistakes(files)


def test_one_key_for_both_is_refused(files: Path) -> None:
    assert "give a key of its own" in mistakes(files, control_key_file=str(files / "ca"))


def test_an_installation_too_long_for_a_files_name_is_told(files: Path) -> None:
    with pytest.raises(Misconfigured, match="100 characters"):
        registry.create("ssh", settings(files), name="hosts", installation="a" * 101, env={})


@pytest.mark.parametrize(
    ("scope", "principal", "words"),
    [
        ({"login": "root"}, "alice", "one of: deploy"),
        ({"login": "deploy", "host": "web-9"}, "alice", "one of: web-1"),
        ({"login": "deploy", "hosts": "web-1"}, "alice", "optionally a host"),
        ({"login": "deploy"}, "", "ask an operator to add yours"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_a_sentence_for_the_person(
    files: Path, scope: dict[str, str], principal: str, words: str
) -> None:
    with pytest.raises(BackendRefused, match=words):
        create(files).ending(_order(scope, principal))


def _order(scope: dict[str, str], principal: str) -> Order:
    return Order(MARK, principal, scope, datetime(2040, 1, 1, tzinfo=UTC))


# --- certificates ------------------------------------------------------------------------------------------


def certificate(login: Login, key: asyncssh.SSHKey | None = None) -> str:
    """As OpenSSH itself reads it."""
    signed = Authority(new()).sign(
        key or new(), mark=MARK, who="alice BG-7K3Q2M U0ALICE01", login=login, now=1_000_000, until=2_000_000
    )
    told = subprocess.run(
        ["ssh-keygen", "-L", "-f", "-"],
        input=signed,
        text=True,
        capture_output=True,
        check=True,
        env={"TZ": "UTC"},
    )
    return told.stdout


PLAIN = Login("deploy", ("web-1",), "", (), frozenset())


@pytest.mark.usefixtures("keygen_here")
def test_a_certificate_says_whose_for_which_grant_and_until_when() -> None:
    told = certificate(PLAIN)
    assert 'Key ID: "bg-acme-7k3q2m alice BG-7K3Q2M U0ALICE01"' in told
    assert f"Serial: {serial_of(MARK)}" in told
    assert "from 1970-01-12T13:45:40 to 1970-01-24T03:33:20" in told
    assert re.search(r"Principals: \n +bg-acme-7k3q2m\n +Critical", told)


@pytest.mark.usefixtures("keygen_here")
def test_nothing_is_allowed_that_was_not_asked_for() -> None:
    told = certificate(PLAIN)
    assert "Critical Options: (none)" in told
    assert "Extensions: (none)" in told
    rights = frozenset({"pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc"})
    told = certificate(Login("deploy", ("web-1",), "uptime", ("10.0.0.0/8", "2001:db8::/32"), rights))
    assert "force-command uptime" in told
    assert "source-address 10.0.0.0/8,2001:db8::/32" in told
    assert set(re.findall(r"permit-[\w-]+", told, re.IGNORECASE)) == {
        "permit-pty", "permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding",
        "permit-user-rc",
    }  # fmt: skip


@pytest.mark.usefixtures("keygen_here")
def test_a_key_on_a_hardware_token_can_be_certified() -> None:
    """Public part of an sk-ssh-ed25519 key as PROTOCOL.u2f lays it out: type, 32 bytes, application."""
    parts = (b"sk-ssh-ed25519@openssh.com", bytes(new().public_data[-32:]), b"ssh:")
    blob = base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()
    told = certificate(PLAIN, public_key(f"sk-ssh-ed25519@openssh.com {blob} alice"))
    assert "sk-ssh-ed25519-cert-v01@openssh.com" in told


def test_serial_numbers_are_derived_and_fit_everywhere() -> None:
    marks = [Mark(f"bg-acme-{number:06}") for number in range(1000)]
    serials = {serial_of(mark) for mark in marks}
    assert len(serials) == 1000
    assert all(0 < serial < 2**63 for serial in serials)
    assert serial_of(MARK) == serial_of(Mark(str(MARK)))


def test_an_authority_does_not_show_its_key(files: Path) -> None:
    backend = create(files)
    inner = "".join((files / "ca").read_text().splitlines()[1:-1])
    for text in (repr(backend), repr(backend.authority), repr(backend.control)):
        assert inner[90:130] not in text
    assert "SSHKey" not in repr(backend)


# --- handoff -----------------------------------------------------------------------------------------------


def test_many_hosts_fit_into_the_window() -> None:
    hosts = [Host(f"web-{number}", f"10.0.0.{number}", 22, (HOST_KEY,) * 3) for number in range(200)]
    shown = handoff(MARK, "deploy", hosts, certificate="c" * 900, private_key="k" * 400, left_out={})
    assert sum(len(secret.reveal()) for _, secret in shown.fields) < 9000
    assert max(len(secret.reveal()) for _, secret in shown.fields) < 5000


def test_an_address_with_a_port_of_its_own_is_known_by_both() -> None:
    hosts = [Host("a", "10.0.0.1", 22, (HOST_KEY,)), Host("b", "2001:db8::1", 2222, (HOST_KEY,))]
    shown = dict(handoff(MARK, "deploy", hosts, certificate="c", private_key="", left_out={}).fields)
    block = shown["paste into a shell"].reveal()
    assert f"\n10.0.0.1 {' '.join(HOST_KEY.split()[:2])}\n" in block
    assert "\n[2001:db8::1]:2222 ssh-ed25519 " in block
    assert "IdentitiesOnly" not in block, "their own key is in their agent, or in a file we do not know"


# --- what a host says --------------------------------------------------------------------------------------

ENTRY = Entry("m", "l", "", "a", int(time.time()), "p", "n", 1, ("one",), ("e3b0",))
GOOD: dict[str, Any] = json.loads(json.dumps(ENTRY.dumps()))


def test_an_entry_is_read_as_it_was_written() -> None:
    assert Entry.of(GOOD) == ENTRY


def test_an_entry_from_before_certificates_were_told_is_read_too() -> None:
    del (before := dict(GOOD))["certificates"]
    assert Entry.of(before) == replace(ENTRY, certificates=())


@pytest.mark.parametrize(
    "wrong",
    [{"until": "1"}, {"until": True}, {"until": -1}, {"until": 2**62}, {"serial": 2**63}, {"mark": None},
     {"hosts": "one"}, {"hosts": [1]}, {"hosts": None}, {"certificates": "e3b0"}, {"certificates": [1]},
     {"note": 7}],
)  # fmt: skip
def test_an_entry_that_is_not_whole_is_none(wrong: dict[str, object]) -> None:
    assert Entry.of({**GOOD, **wrong}) is None
    assert Entry.of(list(wrong)) is None
