"""Codes by RFC 6238, against its own numbers: near now, once, and never shown."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from bot.core.errors import Refused
from bot.core.model import Secret
from bot.mfa import check, enrol
from bot.mfa.totp import GRACE, STEP
from tests.core.samples import NOW

RFC_SECRET = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
"""`12345678901234567890` in base32: the SHA-1 seed of RFC 6238, appendix B."""

RFC_CODES = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
"""RFC 6238, appendix B: the last six of its eight digits; a code of six is that number modulo 10^6."""


def code(at: datetime, secret: Secret = RFC_SECRET) -> str:
    return pyotp.TOTP(secret.reveal()).at(at)


def refused(text: str, at: datetime = NOW, last: int = -1, secret: Secret = RFC_SECRET) -> Refused:
    with pytest.raises(Refused) as caught:
        check(secret, text, at, last)
    assert caught.value.field == "code"
    return caught.value


@pytest.mark.parametrize("seconds", RFC_CODES)
def test_the_codes_of_the_standard_are_right_at_their_time(seconds: int) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert check(RFC_SECRET, RFC_CODES[seconds], at, -1) == seconds // 30


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_counts_one_step_either_side_of_now(steps: int) -> None:
    now = int(NOW.timestamp()) // STEP
    assert check(RFC_SECRET, code(NOW + timedelta(seconds=STEP * steps)), NOW, -1) == now + steps


@pytest.mark.parametrize("steps", [-10, -2, 2, 10])
def test_a_code_from_further_away_is_wrong(steps: int) -> None:
    assert GRACE == 1
    assert refused(code(NOW + timedelta(seconds=STEP * steps))).code == "wrong"


def test_a_code_is_accepted_once() -> None:
    step = check(RFC_SECRET, code(NOW), NOW, -1)
    assert refused(code(NOW), last=step).code == "replayed"
    assert refused(code(NOW), last=step + 1).code == "replayed", "and none from before the last one used"
    assert check(RFC_SECRET, code(NOW), NOW, step - 1) == step


@pytest.mark.parametrize("typed", ["{0}", " {0} ", "{1} {2}", "{1}-{2}", "{1}\u00a0{2}\n"])
def test_a_code_may_be_typed_as_authenticators_show_it(typed: str) -> None:
    right = code(NOW)
    check(RFC_SECRET, typed.format(right, right[:3], right[3:]), NOW, -1)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        "+12345",
        "".join(map(chr, range(0xFF11, 0xFF17))),
        "٣٤٥٦٧٨",
        "000000x",
    ],
)
def test_what_is_not_six_digits_is_wrong(typed: str) -> None:
    refusal = refused(typed)
    assert refusal.code == "wrong"
    assert "six digits" in refusal.sentence


def test_another_persons_code_is_wrong() -> None:
    assert refused(code(NOW), secret=enrol("Ben", "Breakglass").secret).code == "wrong"


def test_a_refusal_never_repeats_what_was_typed() -> None:
    typed = code(NOW + timedelta(hours=1))
    refusal = refused(typed)
    assert typed not in refusal.sentence + repr(refusal) + str(refusal.args)
    assert RFC_SECRET.reveal() not in repr(refusal)


def test_a_new_secret_has_160_bits_and_an_address_for_an_authenticator_and_shows_neither() -> None:
    enrolments = [enrol("U0ANNA", "Breakglass acme") for _ in range(20)]
    assert len({each.secret.reveal() for each in enrolments}) == 20
    one = enrolments[0]
    assert len(one.secret.reveal()) * 5 >= 160
    parsed = pyotp.parse_uri(one.uri.reveal())
    assert (parsed.secret, parsed.name, parsed.issuer) == (one.secret.reveal(), "U0ANNA", "Breakglass acme")
    assert one.secret.reveal() not in repr(one)
