"""What people do in Slack, one file per kind of act: each listener parses, calls one verb, shows.

    counter      what every listener holds; how outcomes become answers
    telling      notes, direct messages, windows
    commands, shortcuts, actions, forms, submissions, options

Rule: no rule is decided here. Who may do what is the desk's business at every single click.
"""

from slack_bolt.async_app import AsyncApp

from bot.slack.listeners import actions, commands, forms, options, shortcuts, submissions
from bot.slack.listeners.counter import Counter


def register(app: AsyncApp, counter: Counter) -> None:
    """Listens to everything people can do."""
    for part in (commands, shortcuts, actions, forms, submissions, options):
        part.register(app, counter)
