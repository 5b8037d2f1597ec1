"""Secrets at rest: unreadable without a key, and keys that can be changed."""

import pytest

from bot.core.model import Secret
from bot.mfa import Vault, VaultError

OLD, NEW = Secret(Vault.new_key()), Secret(Vault.new_key())
SECRET = Secret("JBSWY3DPEHPK3PXP")


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    assert Vault([OLD]).open(sealed) == SECRET
    assert SECRET.reveal().encode() not in sealed
    assert Vault([OLD]).seal(SECRET) != sealed, "the same secret twice cannot be recognised"


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    before = Vault([OLD]).seal(SECRET)
    rotated = Vault([NEW, OLD])
    assert rotated.open(before) == SECRET
    after = rotated.seal(SECRET)
    assert Vault([NEW]).open(after) == SECRET
    with pytest.raises(VaultError):
        Vault([OLD]).open(after)


def test_what_is_sealed_anew_opens_without_the_old_key() -> None:
    before = Vault([OLD]).seal(SECRET)
    rotated = Vault([NEW, OLD])
    after = rotated.renew(before)
    assert [rotated.key_of(one) for one in (before, after, b"", b"nonsense")] == [1, 0, None, None]
    assert Vault([NEW]).open(after) == SECRET
    assert rotated.renew(after) == after, "once is enough"
    assert Vault([NEW]).renew(before) == before, "what no key opens is left for the key to come back"


def test_without_the_key_it_does_not_open_and_the_error_names_where_keys_are() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    with pytest.raises(VaultError, match="BREAKGLASS_SECRET_KEYS") as caught:
        Vault([NEW]).open(sealed)
    assert sealed.decode() not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("place", [0, 10, -1])
def test_what_was_altered_does_not_open(place: int) -> None:
    sealed = bytearray(Vault([OLD]).seal(SECRET))
    sealed[place] = sealed[place] ^ 1
    with pytest.raises(VaultError):
        Vault([OLD]).open(bytes(sealed))


def test_no_keys_are_no_vault() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Vault([])


def test_a_vault_does_not_show_its_keys() -> None:
    assert OLD.reveal() not in repr(Vault([OLD])) + repr(vars(Vault([OLD])))
    assert OLD.reveal() != Vault.new_key()
