"""What the verifier reads, as stored, and what it says of it: findings, each with what it means."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

MOST_FINDINGS: Final = 20


class Row(Protocol):
    """A row of the history as stored."""

    @property
    def seq(self) -> int:
        """Its place."""
        ...

    @property
    def body(self) -> bytes:
        """The bytes."""
        ...

    @property
    def leaf(self) -> bytes:
        """The hash beside them."""
        ...

    @property
    def beside(self) -> tuple[object, object, object]:
        """What else stands beside them: microseconds since 1970, type, request."""
        ...


class WordsRow(Protocol):
    """A row of people's words as stored."""

    @property
    def commitment(self) -> str:
        """What the history keeps of them."""
        ...

    @property
    def salt(self) -> bytes:
        """What makes them unguessable."""
        ...

    @property
    def text(self) -> bytes:
        """The words in UTF-8."""
        ...


class Kind(StrEnum):
    """What a finding means."""

    TAMPERED = "tampered"
    """Something is not what was recorded."""
    VIOLATION = "violation"
    """It may be what was recorded, and the policy of that request did not allow it."""
    INCOMPLETE = "incomplete"
    """Something that should be there is missing: the end of the history, or a checkpoint that was due."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which check, at which line (or None), a sentence, and what it means."""

    check: str
    seq: int | None
    sentence: str
    kind: Kind = Kind.TAMPERED


@dataclass(slots=True)
class Report:
    """What was verified and what was found."""

    events: int = 0
    root: bytes = b""
    checkpoints: int = 0
    collected: int = 0
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def add(self, check: str, seq: int | None, sentence: str, kind: Kind = Kind.TAMPERED) -> None:
        """Adds a finding; after the first twenty only counts would follow, and they would say no more."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(check, seq, sentence, kind))
