"""The phone in somebody's hand: it shows a code, and never shows one twice.

A code is accepted once: whoever acts twice within 30 seconds must wait for the next one. The desk takes the
previous and the next time step too (RFC 6238 allows for clocks that differ), and this phone uses that to keep
a story short.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pyotp

from bot.core.model import Secret

STEP = 30
"""Seconds a code is shown (RFC 6238)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a phone shows: the code, and between which moments (seconds since 1970) the desk takes it."""

    code: Secret
    takes_from: float
    takes_until: float


class Authenticator:
    """An authenticator that read the otpauth URI `uri`.

    Args:
        uri: as `breakglass enroll --uri` prints it.
        again: whether its owner had another one before, whose last codes may still count as used.
        clock: seconds since 1970.
    """

    def __init__(self, uri: str, *, again: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.secret = Secret(parse_qs(urlsplit(uri).query)["secret"][0])
        self._clock = clock
        self._used = int(clock()) // 30 + 1 if again else -1

    async def code(self) -> str:
        """The next unused code, as early as the desk takes it."""
        while True:
            now = int(self._clock()) // 30
            step = max(self._used + 1, now - 1)
            if step <= now + 1:
                self._used = step
                return pyotp.TOTP(self.secret.reveal()).generate_otp(step)
            await asyncio.sleep(0.2)

    def shown(self, used: int) -> Shown:
        """The next code that was not used yet, when `used` is the last time step that was.

        It is shown before its time where the desk takes it already. Nothing is used up by looking.
        """
        step = max(used + 1, int(self._clock()) // STEP)
        code = pyotp.TOTP(self.secret.reveal()).generate_otp(step)
        return Shown(Secret(code), (step - 1) * STEP, (step + 2) * STEP)

    def wrong(self) -> str:
        """Six digits that are certainly not right now."""
        now = int(self._clock()) // 30
        right = {pyotp.TOTP(self.secret.reveal()).generate_otp(step) for step in range(now - 3, now + 4)}
        return next(text for number in range(100) if (text := f"{number:06d}") not in right)
