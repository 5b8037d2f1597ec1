"""Block Kit as Slack checks it, stores it and shows it.

`check` says what is wrong and where (a JSON pointer), `stored` what Slack makes of what was sent, `reading`
what a person reads. Limits are from docs.slack.dev/reference/block-kit and from @slack/types 3.2.
"""

from bot.sandbox.kit.check import check_message, check_options, check_view
from bot.sandbox.kit.reading import human_text, plain
from bot.sandbox.kit.schema import Problem, Surface
from bot.sandbox.kit.stored import stored_blocks, stored_text, stored_view

__all__ = [
    "Problem",
    "Surface",
    "check_message",
    "check_options",
    "check_view",
    "human_text",
    "plain",
    "stored_blocks",
    "stored_text",
    "stored_view",
]
