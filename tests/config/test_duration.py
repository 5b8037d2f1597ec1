"""Durations: what people may write, and what every other text is answered with."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8s", 8), ("15m", 900), ("1h", 3600), ("1h30m", 5400), ("2d", 172_800), ("90m", 5400), ("0h5m", 300)],
)
def test_a_duration_is_units_in_order(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("0m", "no time at all"),
        ("0d0h", "no time at all"),
        ("-5", "is not a duration"),
        ("-5m", "is not a duration"),
        ("1 fortnight", "is not a duration"),
        ("15", "is not a duration"),
        ("15M", "is not a duration"),
        ("30m1h", "is not a duration"),
        ("1h 30m", "is not a duration"),
        ("1.5h", "is not a duration"),
        ("\u0661\u0665m", "is not a duration"),
        ("", "is not a duration"),
        ("367d", "longer than 366 days"),
        ("999999999d", "longer than 366 days"),
        (900, "text with a unit"),
        (None, "text with a unit"),
    ],
)
def test_anything_else_is_refused_with_how_to_write_it(wrong: object, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse_duration(wrong)
    assert str(refused.value).endswith('Write it as "8s", "15m", "1h30m" or "2d".')


@given(st.integers(min_value=1, max_value=366 * 86_400))
def test_what_is_written_is_read_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(write_duration(duration)) == duration


@given(st.text(alphabet="0123456789dhms -+.x", max_size=12) | st.text(max_size=8))
def test_any_text_is_either_a_positive_duration_or_a_sentence(text: str) -> None:
    try:
        assert timedelta(0) < parse_duration(text) <= timedelta(days=366)
    except ValueError as error:
        assert "Write it as" in str(error)  # noqa: PT017 - both outcomes are right
