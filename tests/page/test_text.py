"""Text in the browser: Slack's mark-up becomes nodes, everything else stays text."""

import re
from typing import Any

import pytest

from tests.page.bench import Bench

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.heavy,
]

MARKED = {
    "*bold* _leaning_ ~gone~": "<strong>bold</strong> <em>leaning</em> <s>gone</s>",
    "*bold _and leaning_*": "<strong>bold <em>and leaning</em></strong>",
    "2*3*4 snake_case_name a~b~c": "2*3*4 snake_case_name a~b~c",
    "*open _and ~never closed": "*open _and ~never closed",
    "**two** * spaced *": "<strong>*two*</strong> * spaced *",
    "*_crossed*_": "<strong>_crossed</strong>_",
    "`*code*` &amp;lt;": '<code class="bk-code" dir="auto">*code*</code> &amp;lt;',
    "a\n\nb": "a<br><br>b",
    "&gt; said\n&gt; again\nafter": '<blockquote class="bk-quote" dir="auto">said<br>again</blockquote>after',
    "• one\n• two": '<ul class="bk-list" dir="auto"><li>one</li><li>two</li></ul>',
    "```\n*x*\n<y\n```": '<pre class="bk-pre"><code dir="auto">*x*\n&lt;y</code></pre>',
    ":nonsense_that_is_none: 10:30:45": ":nonsense_that_is_none: 10:30:45",
}


@pytest.mark.parametrize(("stored", "html"), MARKED.items())
async def test_marks_become_elements_and_what_is_unbalanced_stays(
    bench: Bench, stored: str, html: str
) -> None:
    await bench.text(stored)
    assert await bench.place.inner_html() == html


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "<javascript:alert(1)|press>",
    "<JaVaScRiPt:alert(1)>",
    "<data:text/html,<script>alert(1)</script>|press>",
    "<vbscript:x|y> <file:///etc/passwd|z> <//evil.example|w> <blob:x|b>",
    "*<svg onload=alert(1)>*",
    "`<iframe src=//evil.example>`",
    "```<style>*{display:none}</style>```",
    "\x00\x1b[31m\u200b\u2066\ufeff",
    "*_~`" * 700,
    "<" * 1500 + ">" * 1500,
    "<!channel <!here> <@> <#> <!date^^> <!date^x^{time}|never> <!subteam^>",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_makes_no_element_but_those_of_text(bench: Bench, text: str) -> None:
    await bench.text(text)
    found = await bench.kinds()
    assert found <= {
        "strong",
        "em",
        "s",
        "code",
        "pre",
        "br",
        "bdi",
        "span",
        "time",
        "blockquote",
        "ul",
        "li",
    }


@pytest.mark.parametrize(
    "address", ["https://a.example/x?y=1&amp;z", "http://a.example", "mailto:a@b.example"]
)
async def test_only_safe_addresses_are_links_and_show_where_they_lead(bench: Bench, address: str) -> None:
    await bench.text(f"<{address}|https://harmless.example>")
    link = bench.place.locator("a")
    href = str(await link.get_attribute("href"))
    assert href.rstrip("/") == address.replace("&amp;", "&")
    assert await link.get_attribute("title") == href
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
    await link.click()
    assert await bench.asked() == [["follow", href]]


async def test_people_channels_and_groups_are_called_by_name_and_unknown_ones_by_id(bench: Bench) -> None:
    said = await bench.text("<@U1> <@U9> <@U8|eve> <#C1> <#C9|lost> <!subteam^S1> <!here|here>")
    assert said == "@Alice @U9 @eve #incidents #lost @on-call @here"
    assert await bench.place.locator(".bk-mention-me").all_inner_texts() == ["@Alice", "@on-call", "@here"]


async def test_a_name_that_turns_the_direction_turns_only_itself(bench: Bench) -> None:
    await bench.text("<@U2> asks for everything")
    assert await bench.place.locator("bdi").inner_text() == "@Bob \u202eevil"
    left = await bench.page.evaluate(
        """() => {
        const range = document.createRange(); const text = document.querySelector('#place').lastChild;
        range.setStart(text, 1); range.setEnd(text, 2); const first = range.getBoundingClientRect().left;
        range.setStart(text, text.length - 1); range.setEnd(text, text.length);
        return first < range.getBoundingClientRect().left; }"""
    )
    assert left, "what follows the name runs from left to right"


async def test_a_long_word_does_not_widen_the_page(bench: Bench) -> None:
    await bench.render({"type": "section", "block_id": "b", "text": {"type": "mrkdwn", "text": "W" * 3000}})
    assert await bench.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


MOMENT = "1763691420"  # 2025-11-21 02:17 UTC, in Vienna 03:17
DATES = {
    "{date_num}": "2025-11-21",
    "{date_slash}": "21/11/2025",
    "{date_long}": "Friday, November 21, 2025",
    "{date_long_full}": "November 21, 2025",
    "{date_long_pretty}": "Friday, November 21, 2025",
    "{date}": "November 21, 2025",
    "{date_pretty}": "November 21, 2025",
    "{date_short}": "Nov 21, 2025",
    "{date_short_pretty} {time}": "Nov 21, 2025 03:17",
    "at {time_secs}": "at 03:17:00",
    "{nothing} {constructor}": "{nothing} {constructor}",
}


@pytest.mark.parametrize(("format_", "shown"), DATES.items())
async def test_a_moment_is_told_in_the_readers_zone(bench: Bench, format_: str, shown: str) -> None:
    assert await bench.text(f"<!date^{MOMENT}^{format_}|fallback>") == shown
    time = bench.place.locator("time")
    assert await time.get_attribute("datetime") == "2025-11-21T02:17:00.000Z"
    assert re.search(r"21 November|November 21.*CET|GMT\+1", str(await time.get_attribute("title")))


@pytest.mark.parametrize("days", [-1, 0, 1])
async def test_near_days_have_a_name(bench: Bench, days: int) -> None:
    unix = int(await bench.page.evaluate("() => Math.floor(Date.now() / 1000)")) + days * 86_400
    name = {-1: "yesterday", 0: "today", 1: "tomorrow"}[days]
    assert await bench.text(f"<!date^{unix}^{{date_short_pretty}}|x>") == name


@pytest.mark.parametrize("unix", ["", "soon", "99999999999999999999", "-1", "1e3"])
async def test_what_is_no_moment_shows_the_fallback(bench: Bench, unix: str) -> None:
    assert await bench.text(f"<!date^{unix}^{{date}}|2025-11-21>") == "2025-11-21"


async def test_emoji_are_pictures_with_a_name(bench: Bench) -> None:
    await bench.text(":white_check_mark: done")
    assert await bench.place.get_by_role("img", name="white check mark").inner_text() == "✅"


SPOKEN: dict[str, dict[str, Any]] = {
    "Alice asks <now> for it": {"text": "*Alice*\nasks &lt;now&gt; for it"},
    "Heading Said aloud": {
        "text": "",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Heading"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "_Said_\naloud"}},
        ],
    },
}


@pytest.mark.parametrize(("line", "message"), SPOKEN.items())
async def test_a_message_can_be_said_on_one_line(bench: Bench, line: str, message: dict[str, Any]) -> None:
    assert await bench.spoken(message) == line
