"""What the person is shown: one block to paste into a shell, and the same in pieces for a phone's SSH app.

The rule: nobody has to trust a host at first sight at 02:17, so the hosts' keys come along. Every word in the
block is quoted; Slack's window shows it character by character.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from bot.backends.ssh.control import Host
from bot.core.model import Handoff, Mark, Secret

MOST_SHOWN: Final = 8
"""Hosts whose keys and addresses are shown; about 110 characters each, and Slack's windows are not long."""


def handoff(
    mark: Mark,
    account: str,
    hosts: Sequence[Host],
    *,
    certificate: str,
    private_key: str,
    left_out: Mapping[str, str],
) -> Handoff:
    """`private_key` is empty where the person's own key was certified: then nothing here is secret."""
    fields = {
        "hosts": _places(account, hosts),
        "hosts without it": "\n".join(left_out.values()),
        "paste into a shell": _block(mark, account, hosts, certificate, private_key),
        "private key": private_key,
        "certificate": certificate,
    }
    return Handoff(tuple((label, Secret(text)) for label, text in fields.items() if text))


def _places(account: str, hosts: Sequence[Host]) -> str:
    lines = [f"{host.name}: {account}@{host.address} port {host.port}" for host in hosts[:MOST_SHOWN]]
    more = [host.name for host in hosts[MOST_SHOWN:]]
    return "\n".join([*lines, *([f"and {', '.join(more)[:1500]}"] if more else [])])


def _block(mark: Mark, account: str, hosts: Sequence[Host], certificate: str, private_key: str) -> str:
    folder = f"~/.ssh/{mark}"
    known = "\n".join(
        f"{_known_as(host)} {' '.join(key.split()[:2])}" for host in hosts[:MOST_SHOWN] for key in host.keys
    )
    options = [f"-o CertificateFile={folder}/key-cert.pub", f"-o UserKnownHostsFile={folder}/known_hosts"]
    if private_key:
        options = [f"-i {folder}/key", "-o IdentitiesOnly=yes", *options]
    files = {"key": private_key.strip(), "key-cert.pub": certificate, "known_hosts": known}
    here = hosts[0]
    return "\n".join(
        [
            f"(umask 077; mkdir -p {folder})",
            *(
                f"(umask 077; cat > {folder}/{name}) <<'END'\n{text}\nEND"
                for name, text in files.items()
                if text
            ),
            f"ssh {' '.join(options)} -p {here.port} {shlex.quote(f'{account}@{here.address}')}",
        ]
    )


def _known_as(host: Host) -> str:
    """sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: the port is written where it is not 22."""
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"
