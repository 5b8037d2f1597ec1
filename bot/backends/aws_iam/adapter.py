"""Grants and ends access at one AWS account."""

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.backends.aws_iam.client import Client
from bot.backends.aws_iam.policy import Json, bounded, unbounded
from bot.backends.marks import Marks
from bot.core.errors import BackendError, BackendRefused
from bot.core.model import EndedBy, Ending, Lease, Mark, Order

_ENDING: Final = Ending(
    EndedBy.PROVIDER,
    timedelta(minutes=1),
    # docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html, "Changes that I make are not always
    # immediately visible": no bound is given there; a minute is what people see.
    "IAM ends it by its own clock. Ended early, it may work for about a minute more: IAM passes changes on "
    "eventually, and AWS names no bound.",
)
_ASK_AGAIN: Final = 0.5
"""Seconds until a change that is not visible yet is looked for again."""


@dataclass(frozen=True)
class Bounds:
    """Which users, or roles, we may touch and must look at."""

    kind: str
    prefix: str
    only: tuple[str, ...]


@dataclass(frozen=True)
class AwsIam:
    """The backend."""

    client: Client
    marks: Marks
    policies: Mapping[str, tuple[Json, ...]]
    bounds: Bounds
    deadline: float
    sweep_deadline: float

    def ending(self, order: Order) -> Ending:
        """Scope: `policy`, the name of one in the settings."""
        if set(order.scope) != {"policy"} or order.scope["policy"] not in self.policies:
            raise BackendRefused(f"The scope must be one policy out of: {', '.join(self.policies)}.")
        if not order.principal:
            raise BackendRefused(f"You have no IAM {self.bounds.kind} here; ask an operator to add yours.")
        if self.bounds.only and order.principal not in self.bounds.only:
            raise BackendRefused(f"The IAM {self.bounds.kind} {order.principal} is not one of ours to use.")
        return _ENDING

    async def grant(self, order: Order) -> Lease:
        """Puts the policy and asks until IAM shows exactly that. Putting it again replaces it with itself."""
        self.marks.demand(order.mark)
        self.ending(order)
        policy = bounded(self.policies[order.scope["policy"]], order.expires_at)
        async with self.client.within(self.deadline):
            await self._demand_path(order.principal)
            await self.client.put(order.principal, order.mark, policy)
            await self._shown(order, policy)
        return self._lease(order.principal, order.mark, policy)

    async def revoke(self, order: Order) -> None:
        """Deletes the policy and asks until IAM shows none. No sessions to cut: IAM judges every request."""
        self.marks.demand(order.mark)
        async with self.client.within(self.deadline):
            await self.client.delete(order.principal, order.mark)
            await self._shown(order, None)

    async def live(self) -> Sequence[Lease]:
        """Looks at every user (or role) within bounds, one after the other: IAM throttles early."""
        leases = []
        async with self.client.within(self.sweep_deadline):
            for principal in await self._principals():
                for name in filter(self.marks.ours, await self.client.policies(principal)):
                    policy = await self.client.get(principal, name)
                    if policy is not None:
                        leases.append(self._lease(principal, name, policy))
        return leases

    async def problems(self) -> Sequence[str]:
        """Whether those it may grant to can be seen. IAM does not tell a login what it may do."""
        try:
            async with self.client.within(self.sweep_deadline):
                there = await self.client.under(self.bounds.prefix)
        except BackendError as error:
            return [str(error)]
        missing = sorted(set(self.bounds.only) - set(there))
        kind, prefix = self.bounds.kind, self.bounds.prefix
        return [f"There is no IAM {kind} {name} under {prefix}. Take it out of `only`." for name in missing]

    def by_hand(self, order: Order) -> str:
        """The one command."""
        kind, whose = self.bounds.kind, shlex.quote(order.principal)
        return f"aws iam delete-{kind}-policy --{kind}-name {whose} --policy-name {order.mark}"

    async def close(self) -> None:
        """Closes the connections."""
        await asyncio.to_thread(self.client.close)

    async def _shown(self, order: Order, wanted: Json | None) -> None:
        """Asks until IAM shows exactly that; the caller's deadline bounds it."""
        while await self.client.get(order.principal, order.mark) != wanted:  # noqa: ASYNC110 - no event
            await asyncio.sleep(_ASK_AGAIN)

    async def _demand_path(self, principal: str) -> None:
        """What `live()` would not look at must not be granted."""
        prefix = self.bounds.prefix
        if prefix != "/" and not (await self.client.path(principal)).startswith(prefix):
            raise BackendRefused(f"The IAM {self.bounds.kind} {principal} is not under {prefix}.")

    async def _principals(self) -> Sequence[str]:
        return self.bounds.only or await self.client.under(self.bounds.prefix)

    def _lease(self, principal: str, name: str, policy: Json) -> Lease:
        statements, ends = unbounded(policy)
        granted = [known for known, those in self.policies.items() if list(those) == statements]
        last = None if None in ends or not ends else max(end for end in ends if end is not None)
        return Lease(
            Mark(name),
            principal,
            {"policy": granted[0] if granted else ""},
            last,
            altered="; ".join(_changes(granted, ends)),
        )


def _changes(granted: list[str], ends: list[datetime | None]) -> Iterator[str]:
    if not granted:
        yield "its statements are not those of any policy in the settings"
    if None in ends or not ends:
        yield "a statement in it has no end"
    elif len(set(ends)) > 1:
        yield "its statements end at different times"
