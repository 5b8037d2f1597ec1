"""Secrets at rest: authenticated encryption under keys that are not in the database and can be rotated.

The first key seals; any of them opens. To rotate: put a new key in front and restart. The server then seals
anew (`renew`) whatever rests, and the old key can go.
"""

from collections.abc import Sequence
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.core.errors import BreakglassError
from bot.core.model import Secret


class VaultError(BreakglassError):
    """What was stored cannot be opened with the keys at hand."""


class Vault:
    """Seals and opens with `keys` (Fernet keys: 32 bytes in URL-safe base64), the current one first."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._keys = [Fernet(key.reveal()) for key in keys]
        self._box = MultiFernet(self._keys)

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

    @property
    def has_spare_keys(self) -> bool:
        """Whether there are others than the current one."""
        return len(self._keys) > 1

    def key_of(self, sealed: bytes) -> int | None:
        """Which key opens it, by its place: 0 is the current one. None: none does."""
        for place, key in enumerate(self._keys):
            with suppress(InvalidToken):
                key.decrypt(sealed)
                return place
        return None

    def renew(self, sealed: bytes) -> bytes:
        """The same secret under the current key; as it was when it is already, or when no key opens it."""
        return self._box.rotate(sealed) if self.key_of(sealed) else sealed
