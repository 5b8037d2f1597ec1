"""Errors, split by whose doing they are, so that a handler knows what to say and to whom.

`Refused`: the person asked for something the rules do not allow; the message is a sentence for them.
`Stale`: nobody's fault; the request moved on before this arrived. Nothing was changed.
`BackendRefused`: the provider said no. Nothing exists there; people must hear it.
`BackendUnavailable`: the provider gave no answer. What exists there is unknown until `live()` says.
"""


class BreakglassError(Exception):
    """Any error this package raises on purpose."""


class Refused(BreakglassError):
    """The rules say no.

    Args:
        sentence: what the person reads, with what to do next.
        code: short stable word for the history and for programs, e.g. `self_approval`.
        field: the form field the sentence belongs to (`reason`, `code`, ...), if it is about one.
    """

    def __init__(self, sentence: str, *, code: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.field = field


class Stale(BreakglassError):
    """The request is no longer in a state where this can happen; `sentence` says what is true now."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BackendError(BreakglassError):
    """A provider's trouble, already free of secrets: safe to log, store and show."""


class BackendRefused(BackendError):
    """The provider, or the adapter before asking it, said no: this will not work by trying again."""


class BackendUnavailable(BackendError):
    """No answer, or an answer that may change: the effect is unknown."""
