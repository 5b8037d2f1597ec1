"""People's second factors over a real database: once, five tries, tokens, and nothing shown."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from bot.core import events as e
from bot.core.errors import Refused
from bot.core.model import OPERATOR, Mfa, Secret, State
from bot.factors import TOKEN_LIFE, WRONG_CODES, WRONG_CODES_WITHIN, Factors
from bot.mfa import Vault, VaultError
from bot.store import Duplicate, Store, also
from tests.core.samples import ANNA, BEN, DORA, MINUTE, TERMS
from tests.desk.rig import VAULT_KEY, Rig, rig

STEP = timedelta(seconds=30)


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as built:
        yield built


async def refused(attempt: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await attempt  # type: ignore[misc]  # any awaitable
    return caught.value


async def wrong(it: Rig, times: int) -> None:
    request = await it.desk.ask(it.form())
    for _ in range(times):
        assert (await refused(it.desk.prove(request.id, ANNA, "000000", it.key()))).code == "wrong"


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (5, 30 * MINUTE, timedelta(hours=24)) == (WRONG_CODES, WRONG_CODES_WITHIN, TOKEN_LIFE)


# --- proving --------------------------------------------------------------------------------------------


async def test_a_proof_names_its_method_person_step_and_time_and_not_the_code(it: Rig) -> None:
    proof, used = await it.factors.prove(ANNA, it.code(ANNA))
    step = int(it.clock.now.timestamp()) // 30
    assert (proof.method, proof.assertion, proof.at) == (Mfa.TOTP, f"totp/{ANNA}/{step}", it.clock.now)
    assert it.code(ANNA) not in repr(proof)
    await it.store.note(e.ServerStopped(), also=[used])
    assert (await refused(it.factors.prove(ANNA, it.code(ANNA)))).code == "replayed"


async def test_a_code_that_was_looked_at_but_not_recorded_is_not_used_up(it: Rig) -> None:
    await it.factors.prove(ANNA, it.code(ANNA))
    await it.factors.prove(ANNA, it.code(ANNA))


async def test_the_previous_and_the_next_step_count_but_never_one_that_is_behind(it: Rig) -> None:
    early, now, late = (pyotp.TOTP(it.secrets[ANNA].reveal()).at(it.clock.now + n * STEP) for n in (-1, 0, 1))
    for code in (early, now, late):
        await it.store.note(e.ServerStopped(), also=[(await it.factors.prove(ANNA, code))[1]])
    for code in (early, now, late):
        assert (await refused(it.factors.prove(ANNA, code))).code == "replayed"


async def test_whoever_never_enrolled_is_told_how(it: Rig) -> None:
    refusal = await refused(it.factors.prove(BEN, "123456"))
    assert (refusal.code, refusal.field) == ("not_enrolled", "code")
    assert "/breakglass enroll" in refusal.sentence


# --- five tries -----------------------------------------------------------------------------------------


async def test_five_wrong_codes_lock_also_the_right_one_and_survive_a_restart(it: Rig) -> None:
    await wrong(it, 5)
    for _ in range(2):
        refusal = await refused(it.factors.prove(ANNA, it.code(ANNA)))
        assert (refusal.code, refusal.field) == ("locked", "code")
        await it.crash()
        it.store = Store(it.engine, it.clock)


async def test_four_wrong_codes_do_not_lock_and_a_right_one_forgives_them(it: Rig) -> None:
    await wrong(it, 4)
    it.clock.forward(STEP)
    await it.asked()
    await wrong(it, 4)
    it.clock.forward(STEP)
    await it.asked()


async def test_the_lock_opens_half_an_hour_after_the_wrong_codes(it: Rig) -> None:
    await wrong(it, 5)
    it.clock.forward(WRONG_CODES_WITHIN - timedelta(microseconds=1))
    assert (await refused(it.factors.prove(ANNA, it.code(ANNA)))).code == "locked"
    it.clock.forward(timedelta(microseconds=1))
    await it.factors.prove(ANNA, it.code(ANNA))


async def test_wrong_codes_are_counted_over_all_requests_of_a_person(it: Rig) -> None:
    for _ in range(5):
        await wrong(it, 1)
    assert (await refused(it.factors.prove(ANNA, it.code(ANNA)))).code == "locked"


async def test_a_replay_counts_like_a_wrong_code(it: Rig) -> None:
    request = await it.asked()
    assert request.state is State.AWAITING_APPROVAL
    other = await it.desk.ask(it.form())
    for _ in range(5):
        assert (await refused(it.desk.prove(other.id, ANNA, it.code(ANNA), it.key()))).code == "replayed"
    it.clock.forward(STEP)
    assert (await refused(it.desk.prove(other.id, ANNA, it.code(ANNA), it.key()))).code == "locked"


async def test_the_lock_is_an_event_that_security_can_see(it: Rig) -> None:
    await wrong(it, 5)
    request = await it.desk.ask(it.form())
    await refused(it.desk.prove(request.id, ANNA, it.code(ANNA), it.key()))
    assert len(await it.told(e.ProofRefused)) == 5
    (attempt,) = await it.told(e.AttemptRefused)
    assert attempt.event == e.AttemptRefused(actor=ANNA, verb="prove", code="locked", about=request.id)


async def test_the_fifth_miss_locks_and_says_so_at_once(it: Rig) -> None:
    """Whoever stops at five is told of all the same, and in the same commit."""
    await wrong(it, 4)
    assert await it.told(e.LockedOut) == []
    await wrong(it, 1)
    missed, locked = (await it.history())[-2:]
    assert locked.event == e.LockedOut(actor=ANNA, person=ANNA)
    assert (missed.event.actor, missed.at) == (ANNA, locked.at)


async def test_five_guesses_every_half_hour_are_told_every_half_hour(it: Rig) -> None:
    for number in range(1, 4):
        await wrong(it, 5)
        assert len(await it.told(e.LockedOut)) == number
        it.clock.forward(WRONG_CODES_WITHIN)


async def test_of_many_misses_at_the_same_instant_one_locks(it: Rig) -> None:
    """All of them were looked at before any was counted."""
    request = await it.desk.ask(it.form())
    tries = [it.desk.prove(request.id, ANNA, "000000", it.key()) for _ in range(9)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(result, Refused) for result in results)
    events = [type(record.event) for record in await it.history()]
    assert events.count(e.LockedOut) == 1
    assert events[: events.index(e.LockedOut)].count(e.ProofRefused) == WRONG_CODES


async def test_guessing_tokens_is_told_like_guessing_codes(it: Rig) -> None:
    for _ in range(5):
        await refused(it.desk.begin_enrolment(BEN, "0000", it.key()))
    (locked,) = await it.told(e.LockedOut)
    assert locked.event == e.LockedOut(actor=BEN, person=BEN)


async def test_ones_own_lock_locks_nobody_else(it: Rig) -> None:
    await it.enrol(BEN)
    await wrong(it, 5)
    await it.factors.prove(BEN, it.code(BEN))


async def test_ending_access_is_never_blocked_by_the_lock(it: Rig) -> None:
    requests = [await it.active(), await it.active()]
    await wrong(it, 5)
    await it.revoked(requests[0].id, ANNA)
    await it.enrol(DORA)
    for _ in range(5):
        await it.store.do(also.count_failure(DORA))
    await it.revoked(requests[1].id, DORA)
    assert it.vault.ledger == {}


async def test_a_right_code_among_many_tries_at_once_comes_too_late_after_five_wrong_ones(it: Rig) -> None:
    """All of them look before any is counted: so it is counted again in the commit that uses the code up."""
    request = await it.desk.ask(it.form())
    proof, used = await it.factors.prove(ANNA, it.code(ANNA))
    await wrong(it, 5)
    accepted = e.ProofAccepted(actor=ANNA, proof=proof)
    assert (await refused(it.store.record(request, accepted, also=[used]))).code == "locked"
    assert await it.state(request.id) is State.AWAITING_MFA
    assert (await it.store.factor(ANNA) or (b"", 0))[1] == -1, "and it was not used up"


# --- enrolling ------------------------------------------------------------------------------------------


async def enrolled(it: Rig, factors: Factors | None = None) -> Secret:
    """Ben, from the operator's token to the first code."""
    factors = factors or it.factors
    token = (await factors.issue_enrolment(BEN, OPERATOR)).reveal()
    enrolment, sealed = await factors.begin_enrolment(BEN, token)
    code = pyotp.TOTP(enrolment.secret.reveal()).at(it.clock.now)
    await factors.finish_enrolment(BEN, token, sealed, code, it.key())
    it.secrets[BEN] = enrolment.secret
    return enrolment.secret


async def test_from_the_token_to_the_first_proof(it: Rig) -> None:
    secret = await enrolled(it)
    assert (await refused(it.factors.prove(BEN, it.code(BEN)))).code == "replayed", "the first code is used"
    it.clock.forward(STEP)
    await it.factors.prove(BEN, it.code(BEN))
    assert await it.store.enrolled() == {ANNA, BEN}
    sealed, _ = (await it.store.factor(BEN)) or (b"", 0)
    assert secret.reveal().encode() not in sealed
    told = [record.event for record in await it.history()][-2:]
    assert told == [
        e.EnrollmentIssued(actor=OPERATOR, person=BEN),
        e.Enrolled(actor=BEN, person=BEN, method=Mfa.TOTP),
    ]


async def test_a_token_works_once(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    (first, sealed), (second, other) = [await it.factors.begin_enrolment(BEN, token) for _ in range(2)]
    await it.factors.finish_enrolment(
        BEN, token, sealed, pyotp.TOTP(first.secret.reveal()).at(it.clock.now), it.key()
    )
    code = pyotp.TOTP(second.secret.reveal()).at(it.clock.now)
    assert (await refused(it.factors.finish_enrolment(BEN, token, other, code, it.key()))).code == "bad_token"
    assert (await refused(it.factors.begin_enrolment(BEN, token))).code == "bad_token"


@pytest.mark.parametrize("other", ["", "0000-0000-0000-0000", "AAAA"])
async def test_a_wrong_token_enrols_nobody(it: Rig, other: str) -> None:
    await it.factors.issue_enrolment(BEN, OPERATOR)
    refusal = await refused(it.factors.begin_enrolment(BEN, other))
    assert (refusal.code, refusal.field) == ("bad_token", "token")


async def test_a_token_is_for_one_person(it: Rig) -> None:
    """Two stolen accounts cannot enrol each other."""
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    assert (await refused(it.factors.begin_enrolment(DORA, token))).code == "bad_token"
    assert (await refused(it.factors.begin_enrolment(ANNA, token))).code == "bad_token"


async def test_a_token_expires_after_a_day(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    enrolment, sealed = await it.factors.begin_enrolment(BEN, token)
    it.clock.forward(TOKEN_LIFE)
    code = pyotp.TOTP(enrolment.secret.reveal()).at(it.clock.now)
    assert (await refused(it.factors.begin_enrolment(BEN, token))).code == "bad_token"
    assert (
        await refused(it.factors.finish_enrolment(BEN, token, sealed, code, it.key()))
    ).code == "bad_token"


async def test_a_newer_token_voids_the_older(it: Rig) -> None:
    older, newer = [(await it.factors.issue_enrolment(BEN, OPERATOR)).reveal() for _ in range(2)]
    assert (await refused(it.factors.begin_enrolment(BEN, older))).code == "bad_token"
    await it.factors.begin_enrolment(BEN, newer)


async def test_a_token_may_be_typed_in_any_case_and_without_dashes(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    for typed in (token, f" {token.lower()} ", token.replace("-", "")):
        await it.factors.begin_enrolment(BEN, typed)


async def test_guessing_tokens_locks_like_guessing_codes(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    for _ in range(5):
        await refused(it.desk.begin_enrolment(BEN, "0000", it.key()))
    assert (await refused(it.desk.begin_enrolment(BEN, token, it.key()))).code == "locked"


async def test_a_wrong_first_code_stores_nothing_and_keeps_the_token(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    enrolment, sealed = await it.factors.begin_enrolment(BEN, token)
    assert (await refused(it.desk.finish_enrolment(BEN, token, sealed, "000000", it.key()))).code == "wrong"
    assert await it.store.factor(BEN) is None
    code = pyotp.TOTP(enrolment.secret.reveal()).at(it.clock.now)
    await it.desk.finish_enrolment(BEN, token, sealed, code, it.key())


async def test_enrolling_anew_voids_the_earlier_secret(it: Rig) -> None:
    first = await enrolled(it)
    it.clock.forward(STEP)
    await enrolled(it)
    it.clock.forward(STEP)
    old = pyotp.TOTP(first.reveal()).at(it.clock.now)
    assert (await refused(it.factors.prove(BEN, old))).code == "wrong"
    await it.factors.prove(BEN, it.code(BEN))


async def test_an_enrolment_delivered_twice_counts_once(it: Rig) -> None:
    token = (await it.factors.issue_enrolment(BEN, OPERATOR)).reveal()
    enrolment, sealed = await it.factors.begin_enrolment(BEN, token)
    code = pyotp.TOTP(enrolment.secret.reveal()).at(it.clock.now)
    results = await asyncio.gather(
        *(it.desk.finish_enrolment(BEN, token, sealed, code, "click") for _ in range(3)),
        return_exceptions=True,
    )
    assert results.count(None) == 1
    assert {type(result) for result in results if result is not None} <= {Duplicate, Refused}
    assert len(await it.told(e.Enrolled)) == 2  # Anna's, and this one


# --- keys and secrets -----------------------------------------------------------------------------------


async def test_new_keys_in_front_open_what_older_ones_sealed(it: Rig) -> None:
    new = Secret(Vault.new_key())
    rotated = Factors(it.store, Vault([new, VAULT_KEY]), "Breakglass")
    await rotated.prove(ANNA, it.code(ANNA))
    await enrolled(it, rotated)
    it.clock.forward(STEP)
    await Factors(it.store, Vault([new]), "Breakglass").prove(BEN, it.code(BEN))
    with pytest.raises(VaultError):
        await Factors(it.store, Vault([new]), "Breakglass").prove(ANNA, it.code(ANNA))


async def test_no_secret_token_or_code_shows_in_what_is_said_or_stored(it: Rig, tmp_path: Path) -> None:
    token = await it.factors.issue_enrolment(BEN, OPERATOR)
    enrolment, sealed = await it.factors.begin_enrolment(BEN, token.reveal())
    code = pyotp.TOTP(enrolment.secret.reveal()).at(it.clock.now)
    said = [repr(token), repr(enrolment), repr(sealed)]
    with pytest.raises(Refused) as caught:
        await it.desk.finish_enrolment(BEN, "0000-1111", sealed, code, it.key())
    said += [repr(caught.value), caught.value.sentence, str(caught.value.args)]
    await it.factors.finish_enrolment(BEN, token.reveal(), sealed, code, it.key())
    said += [repr(await it.history())]
    said += ["".join(file.read_bytes().decode("latin-1") for file in files(tmp_path))]
    hidden = [enrolment.secret, token, Secret(token.reveal().replace("-", "")), Secret("0000-1111")]
    assert not [text for text in said for secret in hidden if secret.reveal() in text]
    assert f"'{code}'" not in "".join(said)
    assert TERMS.mfa is Mfa.TOTP


def files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file()]
