"""Keys as people paste them, and the certificates that our authority signs.

The rule: a certificate repeats what the host knows too: whose (key id), for which grant (its one principal is
the mark), until when. Nobody gets a right in it that the settings did not name, and a host takes it as it was
signed here, to the byte, or not at all.
Formats: PROTOCOL.certkeys of OpenSSH. asyncssh writes them; no private key is ever in an error's text.
"""

import base64
import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncssh

from bot.core.model import Mark

SMALLEST_RSA: Final = 2048
"""Bits. NIST SP 800-131A: less is disallowed for signatures."""

EARLY: Final = 60
"""Seconds that a certificate is valid before now, for a host whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Login:
    """What may be granted: one account on some hosts, as narrow as it can be."""

    account: str
    hosts: tuple[str, ...]
    force_command: str
    source_addresses: tuple[str, ...]
    allow: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class Authority:
    """The key that hosts trust. It stays here."""

    _key: asyncssh.SSHKey = field(repr=False)

    @property
    def public(self) -> str:
        """`ssh-ed25519 AAAA...`, as hosts have it."""
        return " ".join(self._key.export_public_key().decode().split()[:2])

    def sign(self, key: asyncssh.SSHKey, *, mark: Mark, who: str, login: Login, now: int, until: int) -> str:
        """The certificate, in one line. `now` and `until` are seconds since 1970; `who` is for sshd's log."""
        certificate = self._key.generate_user_certificate(
            key,
            f"{mark} {who}".strip(),
            serial=serial_of(mark),
            principals=[mark],
            valid_after=now - EARLY,
            valid_before=until,
            force_command=login.force_command or None,
            source_address=login.source_addresses or None,
            permit_pty="pty" in login.allow,
            permit_port_forwarding="port-forwarding" in login.allow,
            permit_agent_forwarding="agent-forwarding" in login.allow,
            permit_x11_forwarding="x11-forwarding" in login.allow,
            permit_user_rc="user-rc" in login.allow,
            comment=mark,
        )
        return certificate.export_certificate().decode().strip()


def serial_of(mark: Mark) -> int:
    """The serial number of every certificate of a mark: 63 bits of its hash, so that no list must be kept."""
    return int.from_bytes(hashlib.sha256(mark.encode()).digest()[:8], "big") >> 1 or 1


def digest_of(certificate: str) -> str:
    """What a host knows a certificate by: SHA-256 of all its bytes, in hex."""
    return hashlib.sha256(base64.b64decode(certificate.split()[1])).hexdigest()


def new_key() -> asyncssh.SSHKey:
    """A key pair for one grant."""
    return asyncssh.generate_private_key("ssh-ed25519")


def public_key(line: str) -> asyncssh.SSHKey:
    """A public key as it stands in a `.pub` file.

    Raises:
        ValueError: a sentence that does not quote the text: it may be a private key.
    """
    if "PRIVATE KEY" in line:
        raise ValueError(
            "this is a private key. Take it out, treat it as stolen, make a new one, and give its .pub file"
        )
    words = line.split(maxsplit=2)
    if len(line.splitlines()) != 1 or len(words) < 2 or "-cert-" in words[0]:
        raise ValueError("give the one line of a .pub file: ssh-ed25519 AAAA... name")
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError, IndexError):
        raise ValueError("this is not a public key; give the one line of a .pub file") from None
    _demand_strong(key)
    return key


def read_private_key(path: str) -> asyncssh.SSHKey:
    """The private key in a file that nobody else can read.

    Raises:
        ValueError: a sentence with the fix.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
        text = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}). Make one: {_MAKE}") from None
    if mode & 0o077:
        raise ValueError(f"{path} is open to others (mode {mode & 0o777:04o}). Run: chmod 0600 {path}")
    try:
        key = asyncssh.import_private_key(text)
    except asyncssh.KeyImportError as error:
        if "assphrase" in str(error):
            raise ValueError(
                f"{path} has a passphrase, which nobody types at night. Run: ssh-keygen -p -N '' -f {path}"
            ) from None
        raise ValueError(f"{path} holds no private key. Make one: {_MAKE}") from None
    _demand_strong(key)
    return key


_MAKE: Final = "ssh-keygen -t ed25519 -N '' -f FILE"


def _demand_strong(key: asyncssh.SSHKey) -> None:
    algorithm = key.get_algorithm()
    bits = getattr(key.pyca_key, "key_size", SMALLEST_RSA)
    if algorithm == "ssh-dss" or (algorithm == "ssh-rsa" and bits < SMALLEST_RSA):
        raise ValueError(f"{algorithm} with {bits} bits is too weak. Make one: ssh-keygen -t ed25519")
