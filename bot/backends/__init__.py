"""Where access is granted: one file per provider, all alike to the desk.

`Backend` is the whole contract. `Contract` tests in `tests/backends/contract.py` hold every adapter to each
sentence of it. Provider exceptions never leave an adapter's file: they become `BackendRefused` (it said no)
or `BackendUnavailable` (no answer, effect unknown), with texts free of secrets.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from bot.core.model import Ending, Lease, Order


@runtime_checkable
class Backend(Protocol):
    """One provider, reached with one set of credentials.

    Everything an adapter creates carries `order.mark` (as a name, tag, title or comment), and the mark alone
    says whose it is: losing our database does not lose the ability to find and end access.
    """

    def ending(self, order: Order) -> Ending:
        """How the access of this order ends, without asking the provider.

        Raises:
            BackendRefused: this order cannot be carried out as configured (for example the person has no
                principal here); the text is a sentence for the requester.
        """
        ...

    async def grant(self, order: Order) -> Lease:
        """Makes the access exist, and returns once the provider, asked again, shows it.

        The same order again gives the same access, never a second one (a lost handoff is renewed). Where the
        provider can end access by itself, it will at `order.expires_at`, never later. Access that was there
        before is left as it is and reported as `lease.preexisting`.

        Raises:
            BackendRefused: the provider said no; nothing of this order exists.
            BackendUnavailable: unknown; `live()` tells.
        """
        ...

    async def revoke(self, order: Order) -> None:
        """Ends the entry and the live sessions; returns only when the provider, asked again, agrees.

        Already gone, or never granted, is success. Reads only mark, principal and scope of the order.

        Raises:
            BackendRefused: the provider said no; the access may still exist.
            BackendUnavailable: no answer, or the access is still there when asked again.
        """
        ...

    async def live(self) -> Sequence[Lease]:
        """Everything there that carries the mark of this installation, and nothing else.

        Raises:
            BackendRefused, BackendUnavailable: it could not be asked.
        """
        ...


@runtime_checkable
class Checks(Protocol):
    """Optional: can it be reached, and are our own rights enough and no more?"""

    async def problems(self) -> Sequence[str]:
        """One sentence per problem, each with its fix. Empty: all is well."""
        ...


@runtime_checkable
class Inside(Protocol):
    """Optional: the provider lives inside the process that built it, and the server's is the one that counts.

    Another process, such as the command line, then leaves ending to the server: its own is empty, and would
    agree to every end.
    """

    @property
    def inside(self) -> Literal[True]:
        """Says so by being there."""
        ...


@runtime_checkable
class Manual(Protocol):
    """Optional: how it ends when we cannot end it."""

    def by_hand(self, order: Order) -> str:
        """What an administrator does there to end this access: to be pasted, on one line, without secrets.

        Reads only mark, principal and scope of the order, and asks nobody.
        """
        ...


@runtime_checkable
class Closes(Protocol):
    """Optional: holds connections that should be closed in good order."""

    async def close(self) -> None:
        """Closes them. Twice is once."""
        ...
