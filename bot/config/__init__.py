"""Configuration: one reviewed TOML file, and the environment for secrets, become frozen values.

`load` is the door. Rule: nothing is guessed and nothing is ignored; whatever is wrong is said at once, each
as `key.path: What is wrong. How to mend it.`
"""

from bot.config.duration import parse_duration, write_duration
from bot.config.environment import COPY, END, MIGRATE, SERVE, VERIFY, Environment, Need, Transport
from bot.config.errors import ConfigError
from bot.config.file import Backend, Channels, File, History, Http, Keeper, Role, Slack
from bot.config.loading import Config, SettingsOf, load

__all__ = [
    "COPY",
    "END",
    "MIGRATE",
    "SERVE",
    "VERIFY",
    "Backend",
    "Channels",
    "Config",
    "ConfigError",
    "Environment",
    "File",
    "History",
    "Http",
    "Keeper",
    "Need",
    "Role",
    "SettingsOf",
    "Slack",
    "Transport",
    "load",
    "parse_duration",
    "write_duration",
]
