"""A Slack workspace in a box, for tests and for the demo: strict, local, and without a word of the bot in it.

It speaks to an app exactly as Slack does: Web API, Socket Mode, signed HTTP, response_url. What Slack would
refuse, drop, alter or forget, it refuses, drops, alters and forgets, on a clock that is passed in.

    sandbox       the whole in one object: users, channels, apps, faults, clock
    client        a person's hands and eyes; page: the same in a browser
    workspace     the state and what can happen to it; modals: views and triggers
    methods, api  the Web API; rates, faults: what keeps a call from its answer
    delivery      events and interactions on their way to an app; sockets, signing: the two ways
    kit           Block Kit: checked, stored, read
"""

from bot.sandbox.apps import App
from bot.sandbox.client import Home, Modal, Outcome, Persona, Screen
from bot.sandbox.clock import Clock, VirtualClock, WallClock
from bot.sandbox.errors import CannotDoError, NoAnswerError
from bot.sandbox.faults import Faults
from bot.sandbox.message import File, Message
from bot.sandbox.records import Channel, User, Usergroup, View
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.wire import Exchange, WireLog

__all__ = [
    "App",
    "CannotDoError",
    "Channel",
    "Clock",
    "Exchange",
    "Faults",
    "File",
    "Home",
    "Message",
    "Modal",
    "NoAnswerError",
    "Outcome",
    "Persona",
    "Sandbox",
    "Screen",
    "User",
    "Usergroup",
    "View",
    "VirtualClock",
    "WallClock",
    "WireLog",
]
