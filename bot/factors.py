"""People's second factors: enrolment by an operator-issued token, proof for one request, lock-out.

Rules: a code is used up in the very transaction that records what it proves. Wrong codes are counted per
person, not per request, and survive a restart; they never stand in the way of ending access. Two stolen
Slack accounts cannot enrol each other: only the operator issues tokens.
"""

import hashlib
import hmac
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Final

from bot import mfa
from bot.core import events as e
from bot.core.errors import Refused
from bot.core.model import Mfa, PersonId, Proof, Secret
from bot.mfa import Vault
from bot.store import Store, also

WRONG_CODES: Final = 5
WRONG_CODES_WITHIN: Final = timedelta(minutes=30)
"""NIST SP 800-63B wants a limit; PCI DSS 8.3.4 allows ten tries. Five, per person, in half an hour."""

TOKEN_LIFE: Final = timedelta(hours=24)


MISSED: Final = frozenset({"wrong", "replayed", "bad_token"})
"""Refusals that count against the person: each is a guess, or looks like one."""


class Factors:
    """The second factors of one installation.

    Args:
        store: where they rest, sealed.
        vault: seals and opens them.
        issuer: the name an authenticator shows.
    """

    def __init__(self, store: Store, vault: Vault, issuer: str) -> None:
        self._store = store
        self._vault = vault
        self._issuer = issuer

    async def prove(self, person: PersonId, code: str) -> tuple[Proof, also.Step]:
        """The proof that `code` is, and the step that uses it up when that proof is recorded.

        Raises:
            Refused: `not_enrolled`, `no_code`, `wrong`, `replayed` or `locked`.
        """
        await self._is_not_locked(person)
        factor = await self._store.factor(person)
        if factor is None:
            raise Refused(
                "You have no second factor here yet. Ask the operator for an enrolment token, "
                "then type: /breakglass enroll",
                code="not_enrolled",
                field="code",
            )
        if not code.strip():
            raise Refused("Enter the code from your authenticator.", code="no_code", field="code")
        sealed, last_step = factor
        now = self._store.now()
        step = mfa.check(self._vault.open(sealed), code, now, last_step)
        # Counted again where it is recorded: many tries at once all pass the look above.
        unlocked = also.fewer_failures(person, WRONG_CODES, WRONG_CODES_WITHIN, _locked())
        return Proof(Mfa.TOTP, f"totp/{person}/{step}", now), also.use_code(person, step, unlocked)

    async def _is_not_locked(self, person: PersonId) -> None:
        if await self._store.failures(person, WRONG_CODES_WITHIN) >= WRONG_CODES:
            raise _locked()

    async def missed(self, miss: e.ProofRefused, *steps: also.Step) -> None:
        """Counts a miss as it is recorded. The one that locks says so in the same transaction, so once."""
        person = miss.actor
        while True:
            before = await self._store.failures(person, WRONG_CODES_WITHIN)
            locks = [e.LockedOut(actor=person, person=person)] if before + 1 == WRONG_CODES else []
            # Another miss may be recorded just now: then the count is looked up anew.
            same = also.failures_are(before, person, WRONG_CODES_WITHIN)
            with suppress(also.Miscounted):
                await self._store.note(miss, *locks, also=[*steps, same, also.count_failure(person)])
                return

    async def issue_enrolment(self, person: PersonId, actor: PersonId) -> Secret:
        """A one-time token with which `person`, and nobody else, can enrol within 24 hours."""
        token = secrets.token_hex(8).upper()
        step = also.issue_token(person, _digest(token), self._store.now() + TOKEN_LIFE)
        await self._store.note(e.EnrollmentIssued(actor=actor, person=person), also=[step])
        return Secret("-".join(token[i : i + 4] for i in range(0, 16, 4)))

    async def begin_enrolment(self, person: PersonId, token: str) -> tuple[mfa.Enrolment, str]:
        """A fresh secret for the holder of a valid token, and the same sealed, to be handed back with a code.

        Nothing is stored until that first code is right.

        Raises:
            Refused: `bad_token` or `locked`.
        """
        await self._is_enrolment_token(person, token)
        enrolment = mfa.enrol(person, self._issuer)
        return enrolment, self._vault.seal(enrolment.secret).decode()

    async def finish_enrolment(self, person: PersonId, token: str, sealed: str, code: str, key: str) -> None:
        """Stores the secret once its first code is right; the token is used up and any older factor void.

        Raises:
            Refused: `bad_token`, `wrong` or `locked`.
        """
        await self._is_enrolment_token(person, token)
        secret = self._vault.open(sealed.encode())
        step = mfa.check(secret, code, self._store.now(), -1)
        await self._store.note(
            e.Enrolled(actor=person, person=person, method=Mfa.TOTP),
            also=[
                also.take_token(person, _digest(_plain(token))),
                also.enrol(person, self._vault.seal(secret), step),
                also.first_time(key),
            ],
        )

    async def enrol_directly(self, person: PersonId, actor: PersonId) -> mfa.Enrolment:
        """Enrols without the person's part, for sealed storage and tests: whoever reads the result has it."""
        enrolment = mfa.enrol(person, self._issuer)
        await self._store.note(
            e.EnrollmentIssued(actor=actor, person=person),
            e.Enrolled(actor=actor, person=person, method=Mfa.TOTP),
            also=[also.enrol(person, self._vault.seal(enrolment.secret), -1)],
        )
        return enrolment

    async def _is_enrolment_token(self, person: PersonId, token: str) -> None:
        await self._is_not_locked(person)
        known = await self._store.token(person)
        if known is None or not hmac.compare_digest(known, _digest(_plain(token))):
            raise Refused(
                "This enrolment token is not valid for you: wrong, used or expired. "
                "Ask the operator for a new one.",
                code="bad_token",
                field="token",
            )


def _locked() -> Refused:
    return Refused(
        f"{WRONG_CODES} wrong codes: yours are refused for up to 30 minutes, and security was told. "
        "If it was not you, tell them. The operator can lift it with a new enrolment token; "
        "if it is urgent, let a colleague ask.",
        code="locked",
        field="code",
    )


def _plain(token: str) -> str:
    return token.strip().upper().replace("-", "")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
