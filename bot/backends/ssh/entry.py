"""What a host holds about a grant: the file named by its mark, as the host tells it.

The rule: a host's words are read with suspicion. What is not whole is no entry, and is told as unreadable.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Entry:
    """One grant on one host."""

    mark: str
    login: str
    """Its name in the settings."""
    narrowed: str
    """The one host that was asked for; empty: all of the login's."""
    account: str
    until: int
    """Seconds since 1970; from then on the host lets nobody in and ends sessions."""
    principal: str
    note: str
    serial: int
    hosts: tuple[str, ...] = ()
    """All hosts that were told of the grant."""
    certificates: tuple[str, ...] = ()
    """SHA-256 in hex of each certificate that was signed for it: a host lets in these, to the byte."""

    @classmethod
    def of(cls, raw: object) -> Self | None:
        """None where a host's answer is no entry."""
        if not isinstance(raw, Mapping):
            return None
        raw = {"certificates": [], **raw}  # a grant from before hosts were told of them
        words = [raw.get(name) for name in ("mark", "login", "narrowed", "account", "principal", "note")]
        numbers = [raw.get(name) for name in ("until", "serial")]
        lists: dict[str, Any] = {name: raw.get(name) for name in ("hosts", "certificates")}
        if (
            not all(isinstance(word, str) for word in words)
            or not all(type(number) is int and 0 <= number < 2**63 for number in numbers)
            or not all(isinstance(texts, list) for texts in lists.values())
            or not all(isinstance(text, str) for texts in lists.values() for text in texts)
            or int(raw["until"]) > LAST
        ):
            return None
        return cls(**{name: raw[name] for name in cls.__slots__} | {k: tuple(v) for k, v in lists.items()})

    def dumps(self) -> dict[str, Any]:
        """As a host is told."""
        return asdict(self)


LAST = 253402300799
"""The last second that Python's calendar knows: 9999-12-31."""
