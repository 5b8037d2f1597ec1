"""The tutorial: a provider inside this process, and the adapter that grants there. Read it before your own.

An adapter does four things: it says how access ends, makes it, ends it, and lists what is ours. Everything
else here is the pretended provider. What to copy: the mark is the entry's name; every answer is read back;
the provider's exceptions become `BackendRefused` or `BackendUnavailable` in one place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from bot.backends.marks import Marks
from bot.backends.settings import Frozen
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Lease, Mark, Order


class Settings(Frozen):
    """A provider that lives as long as this process."""

    principals: tuple[str, ...] = Field(description="Names of the people who exist there.")
    roles: tuple[str, ...] = Field(min_length=1, description="Roles that may be granted, and no others.")


@dataclass
class MemoryProvider:
    """Who may do what, by name, until when. It raises what clients of real providers raise."""

    principals: set[str]
    clock: Callable[[], datetime]
    standing: set[tuple[str, str]] = field(default_factory=set)
    entries: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)
    sessions: list[tuple[str, str]] = field(default_factory=list)

    def may(self, principal: str, role: str) -> bool:
        """Whether the provider would let that person do that now."""
        lasting = {(who, what) for who, what, until in self.entries.values() if self.clock() < until}
        return (principal, role) in self.standing | lasting

    async def put(self, name: str, principal: str, role: str, until: datetime) -> None:
        """Makes or replaces the entry of that name."""
        if principal not in self.principals:
            raise PermissionError(f"no such principal: {principal}")
        self.entries[name] = (principal, role, until)

    async def drop(self, name: str) -> None:
        """Removes the entry and cuts the sessions it opened."""
        gone = self.entries.pop(name, None)
        self.sessions = [one for one in self.sessions if gone is None or one != gone[:2]]

    async def list(self) -> dict[str, tuple[str, str, datetime]]:
        """Every entry, whoever made it."""
        return dict(self.entries)


@dataclass(frozen=True)
class Memory:
    """Grants roles in a `MemoryProvider`."""

    provider: MemoryProvider
    roles: tuple[str, ...]
    marks: Marks

    @property
    def inside(self) -> Literal[True]:
        """The provider is this process's own: no adapter of a real one says this."""
        return True

    def ending(self, order: Order) -> Ending:
        """Refuses with a sentence for the person; silence means it can be done."""
        if set(order.scope) != {"role"} or order.scope["role"] not in self.roles:
            raise BackendRefused(f"The scope must be one role out of: {', '.join(self.roles)}.")
        if not order.principal:
            raise BackendRefused("You have no principal here; ask an operator to add yours.")
        return Ending(EndedBy.PROVIDER)

    async def grant(self, order: Order) -> Lease:
        """Putting the same name again replaces the entry with itself: the same access, never a second."""
        self.marks.demand(order.mark)
        self.ending(order)
        role = order.scope["role"]
        with _translated():
            await self.provider.put(order.mark, order.principal, role, order.expires_at)
        for lease in await self.live():
            if lease.mark == order.mark:
                return lease
        raise BackendUnavailable("Asked again, the provider does not show the entry.")

    async def revoke(self, order: Order) -> None:
        """Already gone is success; still there when asked again is not."""
        self.marks.demand(order.mark)
        with _translated():
            await self.provider.drop(order.mark)
        if any(lease.mark == order.mark for lease in await self.live()):
            raise BackendUnavailable("Asked again, the provider still shows the entry.")

    async def live(self) -> Sequence[Lease]:
        """Strangers' entries and those of other installations are not ours to name."""
        with _translated():
            entries = await self.provider.list()
        return [
            Lease(Mark(name), who, {"role": role}, until, preexisting=(who, role) in self.provider.standing)
            for name, (who, role, until) in entries.items()
            if self.marks.ours(name)
        ]

    def by_hand(self, order: Order) -> str:
        """For when `revoke` does not work."""
        return f"restart Breakglass: {order.mark} lives in its process alone"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:  # it said no
        raise BackendRefused(f"The provider refused: {error}.") from None
    except OSError:  # it did not say anything; that includes TimeoutError and ConnectionError
        raise BackendUnavailable("The provider did not answer.") from None


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> Memory:
    """Builds the provider too: `backend.provider` is the other side."""
    del name, env
    provider = MemoryProvider(set(settings.principals), lambda: datetime.now(UTC))
    return Memory(provider, settings.roles, Marks(installation))
