"""Words made safe: whatever somebody types, nothing of it comes alive and everything of it is seen."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model import OPERATOR, SYSTEM, PersonId
from bot.sandbox.kit import human_text
from bot.slack.views import text
from bot.slack.views.text import Faces
from tests.slack.hostile import WORDS


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("plain", "plain"),
        ("a\tb\r\nc", "a b\nc"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("a\u200b\u200b\u200bb", "a⟨U+200B×3⟩b"),  # noqa: RUF001  what is shown
        ("end\u2060", "end⟨U+2060⟩"),
        ("\x00\x1b[31m", "⟨U+0000⟩⟨U+001B⟩[31m"),
        ("\ud800", "⟨U+D800⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("שלום", "שלום"),
    ],
)
def test_what_works_unseen_is_shown_by_its_number(typed: str, shown: str) -> None:
    assert text.safe(typed) == shown


@given(WORDS)
def test_safe_text_holds_nothing_invisible_and_is_safe_for_good(typed: str) -> None:
    shown = text.safe(typed)
    assert not {unicodedata.category(char) for char in shown if char != "\n"} & text._INVISIBLE
    assert text.safe(shown) == shown
    shown.encode()


@given(WORDS)
def test_escaped_text_holds_no_entity(typed: str) -> None:
    escaped = text.escape(typed)
    assert not set(escaped) & set("<>")
    assert re.sub(r"&(amp|lt|gt);", "", escaped).count("&") == 0
    assert "://" not in escaped


@given(WORDS, st.integers(50, 300))
def test_a_quotation_fits_and_its_entities_are_whole(typed: str, limit: int) -> None:
    shown = text.quoted(typed, limit)
    assert text.length(shown) <= limit
    assert re.sub(r"&(amp|lt|gt);", "", shown).count("&") == 0


@given(WORDS, st.integers(1, 300))
def test_what_is_cut_says_so(typed: str, limit: int) -> None:
    shown = text.cut(typed, limit)
    assert text.length(shown) <= limit
    assert shown == typed or shown.endswith("…")


@given(WORDS)
def test_words_in_a_quotation_are_shown_to_the_letter(typed: str) -> None:
    block = text.said("Reason", typed)
    assert human_text([block]) == f"Reason\n{text.cut(text.safe(typed).strip() or '–', 3000)}"  # noqa: RUF001  the dash


def test_a_text_object_is_never_empty() -> None:
    for empty in ("", "  ", "\n"):
        assert text.plain(empty)["text"] == "–"  # noqa: RUF001  the dash
        assert text.said("Reason", empty)["elements"][1]["elements"][0]["text"] == "–"  # noqa: RUF001  the dash


@pytest.mark.parametrize(
    ("id", "shown"),
    [
        ("U0ALICE01", "<@U0ALICE01>"),
        ("W0ALICE01", "<@W0ALICE01>"),
        ("S0LEADS01", "<!subteam^S0LEADS01>"),
        (SYSTEM, "Breakglass"),
        (OPERATOR, "the operator (on the server)"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("U0A> <!here", "U0A&gt; &lt;!here"),
        ("B0BOT", "B0BOT"),
    ],
)
def test_only_an_id_becomes_a_mention(id: str, shown: str) -> None:
    assert text.mention(id) == shown


def test_a_moment_is_shown_in_the_readers_zone_and_in_utc_where_that_fails() -> None:
    at = datetime(2026, 11, 21, 3, 17, 59, tzinfo=timezone(timedelta(hours=1)))
    stamp = int(at.timestamp())
    assert text.moment(at) == f"<!date^{stamp}^{{date_short_pretty}} {{time}}|2026-11-21 02:17 UTC>"
    assert text.utc(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04 UTC"


def test_who_is_asked_is_mentioned_once_and_never_endlessly() -> None:
    everyone = [f"U{n:05}" for n in range(50)]
    faces = Faces(roles={"leads": ["U0BOB", "S0LEADS"], "security": ["U0BOB"], "all": everyone})
    assert faces.asked(["leads", "security"]) == "<@U0BOB> <!subteam^S0LEADS>"
    assert faces.asked(["unknown <role>"]) == "unknown &lt;role&gt;"
    assert faces.asked([]) == "nobody"
    assert faces.asked(["all"]).endswith("and 30 more")


def test_a_name_is_short_and_on_one_line() -> None:
    faces = Faces({PersonId("U1"): "Ann\n\u202e" + "x" * 100})
    assert faces.name(PersonId("U1")).startswith("Ann ⟨U+202E⟩x")
    assert len(faces.name(PersonId("U1"))) == 40
    assert faces.name(PersonId("U2")) == "U2"
    assert faces.name(SYSTEM) == "Breakglass"
    assert faces.name(OPERATOR) == "the operator"
