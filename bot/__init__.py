"""Breakglass: emergency access from Slack, with a hard end and a history that can be checked.

Read it from the inside out. `core` is pure: what a request is, how it may change, who may change it.
`desk` holds the verbs and joins `core` with `store` (the history), `backends` (providers), `mfa` and `audit`.
`keeper` ends what is due. `slack`, `web` and `cli` are three counters of the same desk. `app` builds it all.
"""

__version__ = "0.1.0"


def to_install(extra: str) -> str:
    """How to get an extra, as a sentence. No registry has this package: what bears its name is another's."""
    return f"In a checkout of Breakglass, run: pip install '.[{extra}]'"
