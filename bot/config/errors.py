"""The one error of configuration: it carries every mistake that was found, not only the first."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from bot.core.errors import BreakglassError


class ConfigError(BreakglassError):
    """The installation is not configured as it must be.

    Args:
        problems: one line each, `key.path: What is wrong. How to mend it.`, free of secrets.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def nearest(word: str, known: Iterable[str]) -> str:
    """The sentence that helps after a name nobody knows: the nearest one there is, or all of them."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"Did you mean “{close[0]}”?"
    return f"Known here: {', '.join(names)}." if names else "None is defined."
