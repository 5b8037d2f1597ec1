"""What `/breakglass help` and `status` answer, and the short answers to other commands."""

import difflib
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.core import policy
from bot.core.errors import BreakglassError
from bot.core.model import HELD, PENDING, PersonId, Request, RequestId, Roster, State
from bot.slack.views import says
from bot.slack.views.text import Payload, cut, escape, mention, message, moment, one_line, section

COMMAND: Final = "/breakglass"
WORDS: Final = ("help", "status", "revoke", "enroll", "review")
ID_LENGTH: Final = 6
_ALPHABET: Final = frozenset("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_READ_AS: Final = str.maketrans("OIL", "011")
NO_TIME: Final = timedelta(0)
MOST: Final = 15
"""Lines in one list of the status; the rest is counted."""

HELP: Final = f"""*Emergency access, when production or an AI in it misbehaves*
`{COMMAND}` opens the form: scenario, access, reason, your code. Others approve; you are in; it ends.
`{COMMAND} status` shows what you hold, what waits for you and which reviews are due.
`{COMMAND} revoke BG-7K3Q2M` ends an access now: your own, or as approver or security anybody's.
`{COMMAND} review BG-7K3Q2M` opens the review of a use that has ended.
`{COMMAND} enroll` sets up your second factor, with a token from the operator.
Done early? Press “Hand back” on the card. Every step goes on a record that can be verified."""

FAILED: Final = (
    "Something failed on our side. Nothing was changed unless the card says so. Please try once more; "
    "if it happens again, tell the operator."
)
TOO_SLOW: Final = "Slack took too long to open the window, so nothing happened. Please press again."
USED_UP: Final = "Slack had used this click up already. If you see no window, press again."
FORM_CHANGED: Final = (
    "These fields are new to you: another scenario, access or policy asks for others. Nothing was filed. "
    "Look at them and send the form again."
)
FORM_STANDS: Final = (
    "Slack did not let the form follow your choice. Send it as it is: nothing is filed then, and it is shown "
    "anew, with what you typed."
)
OUTDATED: Final = "This button belongs to an older version and does nothing. Type /breakglass instead."
OTHER_TEAM: Final = "This Breakglass belongs to another workspace. Ask in your own."
CLOSED_TOO_EARLY: Final = (
    "The credential could not be shown, and it exists nowhere with us any more. "
    "Hand the access back and ask again; nobody has seen it."
)
NOTHING_OFFERED: Final = (
    "There is nothing you can ask for here: your roles would allow it, but no provider knows you by a name. "
    "Ask the operator to add you to the principals."
)


def help_message(unknown: str = "") -> Payload:
    """The help; when `unknown` was typed, what was probably meant stands first."""
    if not unknown:
        return message(HELP, section(HELP))
    shown = escape(cut(one_line(unknown), 40))
    near = difflib.get_close_matches(unknown.casefold(), WORDS, n=1, cutoff=0.5)
    hint = f"Did you mean `{COMMAND} {near[0]}`?" if near else "These are the commands:"
    first = f"I do not know “{shown}”. {hint}"
    return message(f"{first}\n{HELP}", section(first), section(HELP))


def which(word: str, typed: str = "") -> Payload:
    """`revoke` or `review` without an id; with what was typed instead."""
    found = (
        f"I find no id in “{escape(cut(one_line(typed), 40))}”; ids look like BG-7K3Q2M. " if typed else ""
    )
    return message(f"{found}Which one? Type `{COMMAND} {word} BG-…`; `{COMMAND} status` lists the ids.")


def what_with(id: RequestId) -> Payload:
    """An id, and no word for what to do with it."""
    return message(
        f"`{COMMAND} revoke {id}` ends that access now; `{COMMAND} review {id}` opens its review. "
        "To approve or deny it, press the button on its card."
    )


def unknown_request(id: RequestId) -> Payload:
    """An id that is none of ours."""
    return message(f"There is no request {id}. `{COMMAND} status` lists those that are open.")


def revoking(request: Request, other: RequestId | None = None) -> Payload:
    """The order to end it is on record. `other` was named too and is as it was: one line ends one access."""
    also = f" {other} is not ended by that: type `{COMMAND} revoke {other}` too." if other else ""
    return message(
        f"*{request.id}* of {mention(request.requester)} is being ended now. The card says when the provider "
        f"agrees that it is gone; it is tried for as long as that takes.{also}"
    )


def status_message(person: PersonId, requests: Sequence[Request], roster: Roster, now: datetime) -> Payload:
    """What concerns `person` out of everything unfinished."""
    mine = [request for request in requests if request.requester == person]
    lists = (
        ("What you hold", [_held(request) for request in mine if request.state in HELD]),
        ("What you asked for", [_pending(request) for request in mine if request.state in PENDING]),
        (
            "What waits for your decision",
            [_to_decide(request) for request in requests if _may_decide(request, person, roster)],
        ),
        ("Reports you owe", [_to_report(request) for request in mine if _owes_report(request)]),
        (
            "Reviews you can sign",
            [_to_review(request) for request in requests if _may_review(request, person, roster, now)],
        ),
    )
    texts = [_list(title, lines) for title, lines in lists if lines]
    if not texts:
        texts = ["You hold nothing, nothing waits for you, and no review is due from you."]
    return message("\n".join(texts), *(section(text) for text in texts))


def _list(title: str, lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n".join([f"*{title}*", *lines[:MOST], *more])


def _name(request: Request) -> str:
    return f"• {request.id} {escape(cut(one_line(request.terms.title), 60))}"


def _held(request: Request) -> str:
    if request.state is State.ACTIVE and request.expires_at is not None:
        return f"{_name(request)}, until {moment(request.expires_at)}"
    return f"{_name(request)}, {'being ended' if request.state is State.REVOKING else 'being granted'}"


def _pending(request: Request) -> str:
    waits = "your code" if request.state is not State.AWAITING_APPROVAL else says.needed(request.terms.tiers)
    return f"{_name(request)}, waits for {escape(waits)} until {moment(request.lapses_at)}"


def _to_decide(request: Request) -> str:
    return f"{_name(request)}, of {mention(request.requester)}, lapses at {moment(request.lapses_at)}"


def _owes_report(request: Request) -> bool:
    return request.state is State.AWAITING_REVIEW and request.report is None


def _due(request: Request) -> datetime:
    assert request.end is not None
    return request.end.ended_at or request.end.ordered_at


def _to_report(request: Request) -> str:
    return f"{_name(request)}, by {moment(_due(request) + request.terms.report_within)}"


def _to_review(request: Request) -> str:
    by = moment(_due(request) + request.terms.review_within)
    return f"{_name(request)}, of {mention(request.requester)}, by {by}"


def _may_decide(request: Request, person: PersonId, roster: Roster) -> bool:
    try:
        policy.may_approve(request, person, roster)
    except BreakglassError:
        return False
    return True


def _may_review(request: Request, person: PersonId, roster: Roster, now: datetime) -> bool:
    try:
        policy.may_review(request, person, roster, now)
    except BreakglassError:
        return False
    return True


def read_id(typed: Sequence[str]) -> tuple[RequestId | None, list[str]]:
    """(the request meant by `bg-7k3q2m`, `7K3Q2M` or `BG 7K3Q2M`, if any is; what was typed after it).

    The alphabet of ids has no O, I and L: they are read as 0, 1 and 1. Words before an id with its `BG` are
    passed over; without it, only the first word can be meant as one.
    """
    words = [_letters(word) for word in typed]
    for at, word in enumerate(words):
        if word == "BG":
            after = next((n for n in range(at + 1, len(words)) if words[n]), at)
            bare = words[after]
        else:
            after = at
            bare = word.removeprefix("BG") if len(word) > ID_LENGTH else word if at == 0 else ""
        bare = bare.translate(_READ_AS)
        if len(bare) == ID_LENGTH and _ALPHABET.issuperset(bare):
            return RequestId(f"BG-{bare}"), list(typed[after + 1 :])
    return None, []


def _letters(word: str) -> str:
    """What of a word could belong to an id. A mention or a link is none."""
    if word.startswith("<"):
        return ""
    return "".join(
        char for char in unicodedata.normalize("NFKC", word).upper() if char.isascii() and char.isalnum()
    )
