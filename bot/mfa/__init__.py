"""Second factors: one-time codes, and the box in which secrets rest.

Rule: a code or a secret is never logged, never stored in the open and never part of an error's text.
"""

from bot.mfa.totp import Enrolment, check, enrol
from bot.mfa.vault import Vault, VaultError

__all__ = ["Enrolment", "Vault", "VaultError", "check", "enrol"]
