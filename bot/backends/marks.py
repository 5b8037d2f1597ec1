"""Which names at a provider are ours: `bg-<installation>-<six characters>`, the whole name and nothing else.

The id never contains a dash, so `bg-acme-2-7k3q2m` belongs to the installation `acme-2` and never to `acme`.
"""

import re
from dataclasses import dataclass

from bot.core.errors import BackendRefused

ID = "[0-9a-z]{6}"
"""The random part of a request id in lower case, as a regular expression that SQL understands too."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one installation."""

    installation: str

    @property
    def pattern(self) -> str:
        """Matches our marks, in Python and in PostgreSQL: an installation's name is `[a-z0-9-]+`."""
        return f"^bg-{re.escape(self.installation)}-{ID}$"

    def ours(self, name: str) -> bool:
        """Whether the name is the mark of one of our grants."""
        return "\n" not in name and re.match(self.pattern, name) is not None

    def demand(self, name: str) -> None:
        """Stops an order that carries somebody else's mark before anything is touched.

        Raises:
            BackendRefused: the mark is not ours.
        """
        if not self.ours(name):
            raise BackendRefused(f"{name} is not a mark of the installation {self.installation}.")
