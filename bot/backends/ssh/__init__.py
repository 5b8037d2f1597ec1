"""SSH: a certificate per grant, and on each host a file that lets it in. OpenSSH on Linux.

    adapter      the four promises of a backend
    certificate  keys as people paste them, and what is signed
    handoff      what the person is shown, ready to paste
    entry        what a host holds about a grant
    control      the connection to a host: one question, one answer
    checks       is each host set up, and is our own login there enough and no more?
    host         runs on the hosts: one file that an operator copies there

The rule: two things are needed to get in, and they are kept apart. The authority's key signs certificates;
our control login tells each host the hash of the ones that were signed here, and a host lets in these, to the
byte, and no others. So the authority's key alone opens no host where sshd asks `breakglass-host`, whatever it
signs, and the control key alone lets nobody in, since it cannot sign. Who has both, or this process, has the
accounts that the hosts list.
"""

import asyncio
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bot.backends.marks import Marks
from bot.backends.settings import Frozen, Misconfigured
from bot.backends.ssh.adapter import Ssh
from bot.backends.ssh.certificate import Authority, Login, public_key, read_private_key
from bot.backends.ssh.control import Control, Host

LONGEST_INSTALLATION = 100
"""So that a mark stays a file's name on every host."""


def _account(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_.-]{0,31}", name):
        raise ValueError("an account is a name such as deploy: small letters, digits, . _ -, at most 32")
    return name


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", name):
        raise ValueError("a name has letters, digits, . _ -, at most 63, and does not begin with . or -")
    return name


def _address(address: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:_][A-Za-z0-9.:_-]{0,252}", address):
        raise ValueError("give a host name or an IP address, without user, port or spaces")
    return address


def _command(command: str) -> str:
    if len(command) > 1000 or not command.isprintable():
        raise ValueError("a command is one line of at most 1000 printable characters; put more into a script")
    return command


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("give an address or a network such as 10.0.0.0/8") from None
    if str(network) != text and "/" in text:
        raise ValueError(f"it has host bits set; write {network}, or the address alone")
    return text


def _some(keys: tuple[str, ...]) -> tuple[str, ...]:
    if not keys:
        raise ValueError("give at least 1; without one anybody could be this host")
    return keys


def _public_key(line: str) -> str:
    return public_key(line).export_public_key().decode().strip()


Name = Annotated[str, AfterValidator(_name)]
PublicKey = Annotated[str, AfterValidator(_public_key)]


class HostTable(Frozen):
    """One host, and how it proves to be that host."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        description="Host name or IP address, for Breakglass and for people."
    )
    port: int = Field(default=22, ge=1, le=65535, description="Port of sshd.")
    host_keys: Annotated[tuple[PublicKey, ...], AfterValidator(_some)] = Field(
        description="Its public host keys, from /etc/ssh/ssh_host_*_key.pub. "
        "Another key is another host, and refused.",
    )


class LoginTable(Frozen):
    """What may be granted: one account on some hosts, as narrow as it can be."""

    account: Annotated[str, AfterValidator(_account)] = Field(description="The account people get.")
    hosts: tuple[str, ...] = Field(
        min_length=1, description="Names out of `hosts`; `web-*` stands for all that match."
    )
    force_command: Annotated[str, AfterValidator(_command)] = Field(
        default="", description="The only thing that runs, whatever the person asks for. Left out: a shell."
    )
    source_addresses: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(), description="Addresses and networks people may come from. Left out: any."
    )
    allow: tuple[Literal["pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc"], ...] = (
        Field(default=("pty",), description="What a session may do besides running commands.")
    )


class Settings(Frozen):
    """Some hosts, reached with one control key, that trust one authority."""

    ca_key_file: str = Field(
        min_length=1, description="File with the authority's private key, without passphrase, mode 0600."
    )
    control_key_file: str = Field(
        min_length=1, description="File with the private key of our control login on the hosts, the same way."
    )
    control_user: Annotated[str, AfterValidator(_account)] = Field(
        default="breakglass", description="Our control login on the hosts."
    )
    hosts: Mapping[Name, HostTable] = Field(min_length=1, description="The hosts, by name.")
    logins: Mapping[Name, LoginTable] = Field(
        min_length=1, description="What may be granted, and nothing else, by name."
    )
    keys: Mapping[str, PublicKey] = Field(
        default={},
        description="Public keys of people, by their name in `people`. "
        "Without one, a key is made for each grant.",
    )
    deadline_s: float = Field(
        default=8.0, gt=0, le=60, description="Seconds after which a host that does not answer is given up."
    )
    connections: int = Field(
        default=32, ge=1, le=1000, description="How many hosts are asked at a time. Idle: no connections."
    )

    @model_validator(mode="after")
    def _hosts_exist(self) -> Self:
        unknown = [
            f"logins.{name}.hosts: no host is called {pattern!r}; give it a table under hosts"
            for name, login in self.logins.items()
            for pattern in login.hosts
            if not _matching(self.hosts, (pattern,))
        ]
        if unknown:
            raise ValueError("; ".join(unknown))
        return self


def _matching(hosts: Mapping[str, HostTable], patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in hosts if any(fnmatchcase(name, pattern) for pattern in patterns))


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> Ssh:
    """The backend, not yet connected.

    Raises:
        Misconfigured: a key file is missing, open to others, encrypted or no key; all of them at once.
    """
    del env
    mistakes: list[str] = []
    keys = {}
    for setting in ("ca_key_file", "control_key_file"):
        try:
            keys[setting] = read_private_key(getattr(settings, setting))
        except ValueError as error:
            mistakes.append(f"{name}.{setting}: {error}")
    if settings.ca_key_file == settings.control_key_file:
        mistakes.append(f"{name}.control_key_file: give a key of its own; who steals one must not have both.")
    if len(installation) > LONGEST_INSTALLATION:
        mistakes.append(f"installation: at most {LONGEST_INSTALLATION} characters fit into a file's name.")
    if mistakes:
        raise Misconfigured(*mistakes)
    return Ssh(
        Control(
            {
                host: Host(host, table.address, table.port, table.host_keys)
                for host, table in settings.hosts.items()
            },
            settings.control_user,
            keys["control_key_file"],
            settings.deadline_s,
            asyncio.Semaphore(settings.connections),
        ),
        Authority(keys["ca_key_file"]),
        Marks(installation),
        {
            login: Login(
                table.account,
                _matching(settings.hosts, table.hosts),
                table.force_command,
                table.source_addresses,
                frozenset(table.allow),
            )
            for login, table in settings.logins.items()
        },
        {person: public_key(line) for person, line in settings.keys.items()},
    )
