"""Words nobody should type, and that somebody will."""

from hypothesis import strategies as st

NASTY = st.sampled_from(
    [
        *("<!channel>", "<!here>", "<@U0ALICE01>", "<!subteam^S0LEADS01>", "<#C0REQUEST1>", "@everyone"),
        *("<https://evil.example|reset your password>", "https://evil.example", "&lt;!channel&gt;", "&"),
        *("*bold*", "_it_", "~gone~", "`code`", "```", ":fire:", "> quote", "|", "^", "\n\n"),
        *("\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\x00", "\x1b", "\ud800", "\U000e0041"),
        *("\U0001f525", "e\u0301", "x" * 3000, "\U0001f525" * 1600, "&" * 3000, "<" * 3000),
    ]
)
WORDS = st.lists(st.one_of(NASTY, st.text(max_size=30)), max_size=8).map("".join)
"""Text in which everything that Slack understands may stand."""
