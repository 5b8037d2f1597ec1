"""Secrets at rest: authenticated encryption under keys that are not in the database and can be rotated.

The first key seals; any of them opens. To rotate: put a new key in front, restart, and remove the old one
once everything that it sealed has been sealed anew or has expired.
"""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.core.errors import BreakglassError
from bot.core.model import Secret


class VaultError(BreakglassError):
    """What was stored cannot be opened with the keys at hand."""


class Vault:
    """Seals and opens with `keys` (Fernet keys: 32 bytes in URL-safe base64), the current one first."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._box = MultiFernet([Fernet(key.reveal()) for key in keys])

    @staticmethod
    def new_key() -> str:
        """A fresh random key."""
        return Fernet.generate_key().decode()

    def seal(self, secret: Secret) -> bytes:
        """The secret, unreadable without a key."""
        return self._box.encrypt(secret.reveal().encode())

    def open(self, sealed: bytes) -> Secret:
        """The inverse of `seal`.

        Raises:
            VaultError: none of the keys fits.
        """
        try:
            return Secret(self._box.decrypt(sealed).decode())
        except InvalidToken:
            raise VaultError(
                "A stored secret cannot be opened: the key that sealed it is not in BREAKGLASS_SECRET_KEYS."
            ) from None
