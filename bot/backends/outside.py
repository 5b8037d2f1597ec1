"""What a process beside the server has for a backend whose provider lives inside the server's (`Inside`).

Rule: it claims nothing. An order can be committed from here; the act, and what exists, are the server's.
"""

from collections.abc import Sequence

from bot.core.errors import BackendUnavailable
from bot.core.model import Ending, Lease, Order

SENTENCE = (
    "It lives inside the server's process: the server ends it within seconds, and where none runs nothing of "
    "it is left."
)


class Outside:
    """Answers everything with that sentence."""

    def ending(self, order: Order) -> Ending:
        """Nothing is promised from here."""
        del order
        raise BackendUnavailable(SENTENCE)

    async def grant(self, order: Order) -> Lease:
        """Nothing is granted from here."""
        del order
        raise BackendUnavailable(SENTENCE)

    async def revoke(self, order: Order) -> None:
        """Nothing is ended from here."""
        del order
        raise BackendUnavailable(SENTENCE)

    async def live(self) -> Sequence[Lease]:
        """Nothing is seen from here."""
        raise BackendUnavailable(SENTENCE)
