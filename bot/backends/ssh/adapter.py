"""Grants and ends access on hosts.

Granting:
    (1) Every host of the login is asked whether it would take the grant. One that does not answer, or says
        no, is left out and named to the person: in an emergency the broken host is often why. If none would,
        that is the answer.
    (2) Only then is anything signed. A certificate is worth nothing until a host knows its hash.
    (3) The hosts that would are told that hash, and the list of all that are told. One that fails now makes
        the whole grant fail: it may hold it, and what cannot be confirmed is taken away.

Ending: every host of the login ends it and says to which hosts the grant was sent. One that cannot be reached
holds up the end unless it was never sent there. Only one thing is kept between calls: to which hosts an
attempt to grant was sent, so that the next attempt does not forget one.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncssh

from bot.backends.marks import Marks
from bot.backends.ssh import checks
from bot.backends.ssh.certificate import Authority, Login, digest_of, new_key, serial_of
from bot.backends.ssh.control import Control
from bot.backends.ssh.entry import Entry
from bot.backends.ssh.handoff import handoff
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Lease, Mark, Order

_ENDING: Final = Ending(
    EndedBy.PROVIDER,
    timedelta(minutes=2),
    "Each host refuses new logins at the end and cuts sessions by itself within two minutes. Ended early, it "
    "lives on, to that end, on a host that cannot be reached.",
)


@dataclass(frozen=True)
class Ssh:
    """The backend. `keys` are people's public keys, by their name here."""

    control: Control
    authority: Authority
    marks: Marks
    logins: Mapping[str, Login]
    keys: Mapping[str, asyncssh.SSHKey] = field(repr=False)
    attempts: dict[Mark, set[str]] = field(default_factory=dict, repr=False)

    def ending(self, order: Order) -> Ending:
        """Scope: `login`, one of the settings'; `host`, to narrow it to one of the login's hosts."""
        if not {"login"} <= set(order.scope) <= {"login", "host"}:
            raise BackendRefused("The scope must be a login, and optionally a host.")
        login = self.logins.get(order.scope["login"])
        if login is None:
            raise BackendRefused(f"The login must be one of: {', '.join(self.logins)}.")
        if order.scope.get("host", login.hosts[0]) not in login.hosts:
            raise BackendRefused(f"The host must be one of: {', '.join(login.hosts)}.")
        if not order.principal:
            raise BackendRefused("You have no name for these hosts; ask an operator to add yours.")
        return _ENDING

    async def grant(self, order: Order) -> Lease:
        """The three steps at the top."""
        self.marks.demand(order.mark)
        self.ending(order)
        login = self.logins[order.scope["login"]]
        now, until = time.time(), int(order.expires_at.timestamp())
        entry = Entry(
            mark=order.mark,
            login=order.scope["login"],
            narrowed=order.scope.get("host", ""),
            account=login.account,
            until=until,
            principal=order.principal,
            note=order.note,
            serial=serial_of(order.mark),
        )
        offer = {"do": "offer", "entry": entry.dumps(), "now": now}
        there, left_out = await self.control.ask_each(self._hosts(order), offer)  # (1)
        for name, answer in there.items():
            if other := checks.another_version(answer):  # an older one looks at less of a certificate
                left_out[name] = BackendRefused(f"{name}: {other}")
        there = {name: answer for name, answer in there.items() if name not in left_out}
        if not there:
            raise _all_of(left_out)
        sent = self.attempts.setdefault(order.mark, set())
        sent.update(there)
        registered = self.keys.get(order.principal)
        key = registered or new_key()
        certificate = self.authority.sign(  # (2)
            key,
            mark=order.mark,
            who=f"{order.principal} {order.note}",
            login=login,
            now=int(now),
            until=until,
        )
        entry = replace(entry, hosts=tuple(sorted(sent)), certificates=(digest_of(certificate),))
        order_to_host = {"do": "grant", "entry": entry.dumps(), "now": time.time()}
        told, failed = await self.control.ask_each(there, order_to_host)  # (3)
        if any(isinstance(error, BackendUnavailable) for error in failed.values()):
            raise _all_of(failed)
        if failed:
            await self.revoke(order)  # refused means that nothing of it exists anywhere
            raise _all_of(failed)
        lease = self._lease(
            order.mark, {name: Entry.of(answer.get("entry")) for name, answer in told.items()}
        )
        if lease.altered:
            raise BackendUnavailable(f"Asked again, {order.mark} is not as it was granted: {lease.altered}.")
        shown = handoff(
            order.mark,
            login.account,
            [self.control.hosts[name] for name in self._hosts(order) if name in there],
            certificate=certificate,
            private_key="" if registered else key.export_private_key().decode(),
            left_out={name: str(error) for name, error in left_out.items()},
        )
        return replace(lease, handoff=shown)

    async def revoke(self, order: Order) -> None:
        """All hosts at the same time; those that answer have ended it, whatever the others do."""
        self.marks.demand(order.mark)
        ended, failed = await self.control.ask_each(self._hosts(order), {"do": "end", "mark": order.mark})
        sent = {str(name) for answer in ended.values() for name in answer.get("hosts") or ()}
        remaining = {name: error for name, error in failed.items() if not sent or name in sent}
        if remaining:
            raise _all_of(remaining)
        self.attempts.pop(order.mark, None)

    async def live(self) -> Sequence[Lease]:
        """What every host lists. One that does not answer makes this unknown: it may hold what we seek."""
        answers, failed = await self.control.ask_each(self.control.hosts, {"do": "list"})
        if failed:
            raise _all_of(failed)
        found: dict[str, dict[str, Entry | None]] = {}
        for name, answer in answers.items():
            if not isinstance(answer.get("grants"), dict):
                raise BackendUnavailable(f"{name}: breakglass-host listed nothing that can be read.")
            for mark, entry in answer["grants"].items():
                if self.marks.ours(mark):
                    found.setdefault(mark, {})[name] = Entry.of(entry)
        return [self._lease(Mark(mark), entries) for mark, entries in sorted(found.items())]

    async def problems(self) -> Sequence[str]:
        """Is each host set up, and is our own login there enough and no more?"""
        return await checks.problems(self.control, self.authority)

    def by_hand(self, order: Order) -> str:
        """The command, and where."""
        return f"as root on {', '.join(self._hosts(order))}: breakglass-host end {order.mark}"

    def _hosts(self, order: Order) -> tuple[str, ...]:
        """Where an order reaches: as a lease says, else as the settings say; everywhere if they do not."""
        scope = order.scope
        if "hosts" in scope:
            return tuple(name for name in scope["hosts"].split() if name in self.control.hosts)
        if scope.get("host") in self.control.hosts:
            return (scope["host"],)
        login = self.logins.get(scope.get("login", ""))
        return login.hosts if login else tuple(self.control.hosts)

    def _lease(self, mark: Mark, entries: Mapping[str, Entry | None]) -> Lease:
        """One lease out of what each host has about it; None where that cannot be read."""
        readable = {name: entry for name, entry in sorted(entries.items()) if entry is not None}
        first = next(iter(readable.values()), None)
        scope = {"login": first.login if first else "", "hosts": " ".join(sorted(entries))}
        if first and first.narrowed:
            scope["host"] = first.narrowed
        return Lease(
            mark,
            first.principal if first else "",
            scope,
            datetime.fromtimestamp(max(entry.until for entry in readable.values()), UTC) if first else None,
            altered="; ".join(self._changes(entries, readable)),
        )

    def _changes(self, entries: Mapping[str, object], readable: Mapping[str, Entry]) -> Iterator[str]:
        """What differs from what we granted, in words."""
        for name in sorted(set(entries) - set(readable)):
            yield f"what {name} has about it cannot be read"
        sent = {name for entry in readable.values() for name in entry.hosts}
        for name in sorted(sent & set(self.control.hosts) - set(entries)):
            yield f"it is gone from {name}"
        if len({entry.until for entry in readable.values()}) > 1:
            yield "hosts have different ends for it"
        for name, entry in readable.items():
            login = self.logins.get(entry.login)
            if login is not None and entry.account != login.account:
                yield f"on {name} it is for the account {entry.account}"


def _all_of(errors: Mapping[str, BackendError]) -> BackendError:
    """One error for several hosts: refused only if every one said no."""
    shown = [str(error) for error in errors.values()][:5]
    more = f" And {len(errors) - len(shown)} more hosts." if len(errors) > len(shown) else ""
    refused = all(isinstance(error, BackendRefused) for error in errors.values())
    return (BackendRefused if refused else BackendUnavailable)(" ".join(shown) + more)
