"""One fact, one sequence of bytes, for ever: frozen lines, a round trip of everything, and no floats."""

import json
import types
import typing
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any, NewType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.audit import canonical
from bot.audit.canonical import decode, dumps, encode, event_bytes, read, words_in
from bot.core import events as e
from bot.core import machine
from bot.core.events import VOCABULARY
from bot.core.model import Mfa, Request, RequestId, Secret, State, Words
from tests.audit.golden import FOLDER, NEWEST, example_of, line_of, lines_in
from tests.core.samples import NOW, PATHS, example, opened, proof, requests_in, said

# --- frozen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VOCABULARY)
def test_the_bytes_of_every_fact_are_frozen(name: str) -> None:
    """A new type has no line yet: `python -m tests.audit.golden` adds it, and never changes one."""
    assert line_of(VOCABULARY[name]) == lines_in(NEWEST)[name]


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_every_line_that_was_ever_frozen_can_still_be_read(file: Path) -> None:
    lines = lines_in(file)
    assert len(lines) == len(file.read_bytes().splitlines()) > 0
    for name, line in lines.items():
        record = read(line)
        event, before, after = example_of(VOCABULARY[name])
        assert record.event == event
        assert (record.seq, record.at, record.policy) == (7, NOW, "p" * 64)
        assert record.before == (before.state.value if before else "")
        assert record.after == (after.state.value if after else "")


def test_a_line_says_who_did_what_to_whom_by_which_proof() -> None:
    before = requests_in(State.AWAITING_MFA)[0]
    event = e.ProofAccepted(actor=before.requester, proof=proof())
    line = json.loads(
        event_bytes(event, seq=3, at=NOW, before=before, after=machine.apply(before, event, NOW), policy="p")
    )
    assert line == {
        "v": 1,
        "seq": 3,
        "at": "2026-11-21T02:17:00.000000Z",
        "type": "proof_accepted",
        "actor": "U0ANNA",
        "subject": "U0ANNA",
        "request": "BG-7K3Q2M",
        "grant": None,
        "policy": "p",
        "mfa": {"method": "totp", "assertion": "totp/U0ANNA/59840914"},
        "before": "awaiting_mfa",
        "after": "awaiting_approval",
        "data": {
            "proof": {
                "method": "totp",
                "assertion": "totp/U0ANNA/59840914",
                "at": "2026-11-21T02:17:00.000000Z",
            }
        },
    }


# --- there and back -------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda text: unicodedata.normalize("NFC", text)
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  in UTC, next argument
SPANS = st.timedeltas(timedelta(days=-10000), timedelta(days=10000))
WORDS = st.builds(Words.of, TEXT, st.binary(min_size=16, max_size=16))


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911  one line per kind of annotation
    """Any value of `kind`, from its annotations."""
    origin = typing.get_origin(kind)
    inner = typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return st.one_of(*(st.none() if option is types.NoneType else values(option) for option in inner))
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values(inner[1]), max_size=3)
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        Words: WORDS,
        datetime: MOMENTS,
        timedelta: SPANS,
        bool: st.booleans(),
        int: st.integers(),
        str: TEXT,
    }
    if kind in simple:
        return simple[kind]
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})


FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", VOCABULARY)
@FEW
@given(st.data())
def test_every_fact_comes_back_as_it_was_whatever_it_holds(name: str, data: st.DataObject) -> None:
    event = data.draw(values(VOCABULARY[name]))
    body = event_bytes(event, seq=0, at=NOW, before=None, after=None, policy="")
    found = read(body).event
    assert found == event
    assert type(found) is type(event)
    assert event_bytes(found, seq=0, at=NOW, before=None, after=None, policy="") == body


@FEW
@given(values(Request))
def test_every_request_comes_back_as_it_was_whatever_it_holds(request: Request) -> None:
    stored = dumps(encode(request))
    found = decode(Request, json.loads(stored))
    assert found == request
    assert dumps(encode(found)) == stored


@pytest.mark.parametrize("state", State)
def test_a_request_in_every_state_comes_back_as_it_was(state: State) -> None:
    for request in requests_in(state):
        assert decode(Request, json.loads(dumps(encode(request)))) == request
    assert len(requests_in(state)) == len(PATHS[state])


# --- one form -------------------------------------------------------------------------------------------


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT, lambda v: st.lists(v) | st.dictionaries(TEXT, v)
    )
)
def test_canonical_json_is_the_same_from_any_order_of_keys_and_reads_as_json(value: Any) -> None:  # noqa: ANN401  any JSON
    body = dumps(value)
    assert json.loads(body) == value
    assert dumps(json.loads(body)) == body
    if isinstance(value, dict):
        assert dumps(dict(reversed(value.items()))) == body


@pytest.mark.parametrize("value", [0.5, 1.0, float("nan"), float("inf"), {"a": [1.5]}, (0.1,)])
def test_a_float_has_no_place_in_the_history(value: object) -> None:
    with pytest.raises(TypeError, match="float has no place in the history"):
        encode(value)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", Secret("hunter2"), [Secret("hunter2")], example, Request]
)
def test_what_has_no_form_is_refused_and_above_all_secrets(value: object) -> None:
    with pytest.raises(TypeError, match="has no place in the history") as caught:
        encode(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["Größe", "e\u0301", "\u212b", "한글", "ﬁ"])
def test_text_is_stored_in_one_unicode_form(text: str) -> None:
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert len({dumps(encode({form: form})) for form in forms}) == 1
    assert encode(text) == unicodedata.normalize("NFC", text)


def test_a_moment_is_written_in_utc_to_the_microsecond() -> None:
    east = timezone(timedelta(hours=9))
    assert encode(datetime(2026, 11, 21, 11, 17, 0, 5, tzinfo=east)) == "2026-11-21T02:17:00.000005Z"
    assert encode(timedelta(days=-1, microseconds=3)) == -86_400_000_000 + 3


def test_words_are_written_as_what_commits_to_them() -> None:
    words = said("the secret plan")
    assert encode(words) == words.commitment
    assert decode(Words, words.commitment).text is None


# --- what is refused when read --------------------------------------------------------------------------

LINE = event_bytes(
    e.AttemptRefused(verb="approve", code="self_approval", about=RequestId("BG-7K3Q2M")),
    seq=3,
    at=NOW,
    before=None,
    after=None,
    policy="p",
)


def altered(**changes: object) -> bytes:
    return dumps({**json.loads(LINE), **changes})  # type: ignore[dict-item]  # also what is no JSON of ours


DAMAGED = {
    "no bytes": b"",
    "no JSON": b"{",
    "another value": b"[]",
    "a number": b"7",
    "a space": LINE.replace(b",", b", ", 1),
    "a line end": LINE + b"\n",
    "a float": LINE.replace(b'"seq":3', b'"seq":3.0'),
    "an exponent": LINE.replace(b'"seq":3', b'"seq":3e0'),
    "not a number": LINE.replace(b'"seq":3', b'"seq":NaN'),
    "a key twice": LINE.replace(b'{"actor"', b'{"actor":"x","actor"'),
    "keys out of order": json.dumps(dict(reversed(json.loads(LINE).items())), separators=(",", ":")).encode(),
    "escapes": LINE.replace(b"approve", b"appro\\u0076e"),
    "another version": altered(v=2),
    "no version": dumps({k: v for k, v in json.loads(LINE).items() if k != "v"}),
    "an unknown type": altered(type="access_forgotten"),
    "a missing field": altered(data={"verb": "approve"}),
    "a field too many": altered(data={"verb": "approve", "code": "c", "about": None, "more": 1}),
    "another type in a field": altered(data={"verb": 7, "code": "c", "about": None}),
    "data that is none": altered(data=[]),
    "an actor that is none": altered(actor=None),
    "a time that is none": altered(at="yesterday"),
    "a time by the week": altered(at="2026-W47-6T02:17:00.000000Z"),
    "a time without its microseconds": altered(at="2026-11-21T02:17:00Z"),
    "a time with its zone as numbers": altered(at="2026-11-21T02:17:00.000000+00:00"),
    "a time of another zone": altered(at="2026-11-21T02:17:00.000000+02:00"),
    "a time of no zone": altered(at="2026-11-21T02:17:00.000000"),
    "no UTF-8": b"\xff" + LINE,
    "brackets without end": b"[" * 100_000,
}


def test_an_undamaged_line_is_read() -> None:
    assert read(LINE).seq == 3


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_line_that_is_not_in_its_one_form_is_no_line(damage: str) -> None:
    assert DAMAGED[damage] != LINE
    with pytest.raises(ValueError, match=r".+"):
        read(DAMAGED[damage])


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(TypeError):
        decode(int, encode(True))


def test_a_field_with_a_default_may_be_missing_in_an_older_line() -> None:
    """How the vocabulary grows: what was written before the field existed stays readable."""
    line = json.loads(line_of(e.AccessGranted))
    del line["data"]["preexisting"]
    assert read(dumps(line)).event == e.AccessGranted(
        actor=line["actor"], lease_expires_at=NOW + timedelta(microseconds=123), handoff=True
    )


# --- words ----------------------------------------------------------------------------------------------


def test_every_word_of_a_fact_and_of_a_request_is_found() -> None:
    assert words_in(opened()) == [opened().reason]
    reviewed = requests_in(State.REVIEWED)[0]
    assert reviewed.end is not None
    assert reviewed.review is not None
    assert words_in(reviewed) == [reviewed.reason, reviewed.end.reason, reviewed.review.follow_ups]
    assert words_in(e.ServerStopped()) == []
    assert words_in((said("a"), [said("b")], "c")) == [said("a")]


def test_a_type_is_no_value() -> None:
    @dataclass
    class Thing:
        words: Words

    assert words_in(Thing(said("a"))) == [said("a")]
    assert words_in(Thing) == []
    assert canonical.VERSION == 1
    assert encode(Mfa.TOTP) == "totp"
