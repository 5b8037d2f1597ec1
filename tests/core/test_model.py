"""What the nouns promise by themselves."""

import hashlib
import traceback
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from bot.core import model
from bot.core.model import Handoff, Lease, Mark, Roster, Secret, State, Words
from tests.core.samples import ANNA, BEN, NOW, PEOPLE, ROSTER, request_in


def test_a_secret_shows_itself_to_reveal_alone() -> None:
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", repr(Handoff((("Password", secret),))), repr([secret])]
    assert not [text for text in shown if "hunter2" in text]
    assert secret.reveal() == "hunter2"


def test_a_secret_in_an_error_does_not_show_when_it_is_logged() -> None:
    error = ValueError(Lease(Mark("m"), "anna", {}, handoff=Handoff((("Password", Secret("hunter2")),))))
    shown = "".join(traceback.format_exception(error))
    assert "Password" in shown
    assert "hunter2" not in shown


def test_words_commit_to_salt_and_text_and_show_neither() -> None:
    words = Words.of("Größe", b"0123456789abcdef")
    assert words.commitment == hashlib.sha256(b"0123456789abcdef" + "Größe".encode()).hexdigest()
    assert "Größe" not in repr(words)
    assert str(words) == "Größe"


def test_the_same_text_under_another_salt_is_another_commitment() -> None:
    """Nobody who knows the history can try out what somebody might have typed."""
    assert Words.of("yes", b"a" * 16) != Words.of("yes", b"b" * 16)


def test_erased_words_are_equal_to_what_they_were_and_say_so() -> None:
    words = Words.of("yes", b"a" * 16)
    assert Words(words.commitment) == words
    assert str(Words(words.commitment)) == "[erased]"


def test_no_role_and_an_unknown_role_mean_nobody() -> None:
    assert ROSTER.holders(()) == ROSTER.holders(("no-such-role",)) == frozenset()
    assert Roster(PEOPLE, {}).holders(("leads",)) == frozenset()
    assert ROSTER.holders(("leads", "oncall", "no-such-role")) >= {ANNA, BEN}


def test_a_lease_can_be_ended_by_what_the_provider_says_alone() -> None:
    for until in (NOW, None):
        order = Lease(Mark("bg-acme-7k3q2m"), "anna", {"role": "prod_ro"}, until).as_order()
        assert (order.mark, order.principal, order.scope) == ("bg-acme-7k3q2m", "anna", {"role": "prod_ro"})
        assert order.expires_at >= NOW
        assert order.expires_at.tzinfo is not None


def test_every_state_is_pending_held_over_or_awaiting_review() -> None:
    groups = [model.PENDING, model.HELD, model.TERMINAL, {State.AWAITING_REVIEW}]
    assert sorted(state for group in groups for state in group) == sorted(State)


def test_a_request_cannot_be_changed_in_place() -> None:
    request = request_in(State.ACTIVE)
    with pytest.raises(FrozenInstanceError):
        request.expires_at = None  # type: ignore[misc]  # the type checker says the same


@pytest.mark.parametrize(
    "noun", [cls for cls in vars(model).values() if isinstance(cls, type) and is_dataclass(cls)]
)
def test_every_noun_is_frozen_and_has_no_room_for_more(noun: type) -> None:
    assert noun.__dataclass_params__.frozen  # type: ignore[attr-defined]  # not in the stubs
    assert set(noun.__dict__["__slots__"]) == {field.name for field in fields(noun)}
