"""The Web API: families of methods, one table.

Scopes, tiers and arguments are from docs.slack.dev/reference/methods.
"""

from bot.sandbox.methods import chat, conversations, extras, files, people, views
from bot.sandbox.methods.call import METHODS, Call, Method

__all__ = [
    "METHODS",
    "Call",
    "Method",
    "chat",
    "conversations",
    "extras",
    "files",
    "people",
    "views",
]
