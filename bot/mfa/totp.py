"""Time-based one-time codes (RFC 6238): six digits, 30 seconds, one step of grace either side.

Rule (RFC 6238 section 5.2, NIST SP 800-63B): a code is accepted once. `check` says which time step a code
belongs to; the caller uses that step up in the same transaction that records the proof.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyotp

from bot.core.errors import Refused
from bot.core.model import Secret

STEP: Final = 30
"""Seconds a code lives."""

GRACE: Final = 1
"""Steps either side that still count: clocks differ, people type."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new secret: as text to type, and as the address an authenticator reads from a QR code."""

    secret: Secret
    uri: Secret


def enrol(person: str, issuer: str) -> Enrolment:
    """A fresh 160-bit secret for `person`."""
    text = pyotp.random_base32()
    return Enrolment(Secret(text), Secret(pyotp.TOTP(text).provisioning_uri(name=person, issuer_name=issuer)))


def check(secret: Secret, code: str, now: datetime, last_step: int) -> int:
    """The time step that `code` proves.

    Raises:
        Refused: code `wrong` when it fits no step near now, `replayed` when it was used before.
    """
    digits = re.sub(r"[\s-]", "", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        raise Refused("A code is six digits, from your authenticator.", code="wrong", field="code")
    current = int(now.timestamp()) // STEP
    generator = pyotp.TOTP(secret.reveal())
    matching = [
        step
        for step in range(current - GRACE, current + GRACE + 1)
        if hmac.compare_digest(generator.generate_otp(step), digits)
    ]
    if not matching:
        raise Refused(
            "That code is not right. Wait for the next one and check the clock of your phone.",
            code="wrong",
            field="code",
        )
    if matching[-1] <= last_step:
        raise Refused(
            "This code was used already. Wait for the next one (at most 30 s) and enter that.",
            code="replayed",
            field="code",
        )
    return matching[-1]
