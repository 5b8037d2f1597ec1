"""What can be pressed, in which state. Rule: a button carries the request's id and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.core.model import HandoffState, Mfa, Request, State
from bot.slack.views import says
from bot.slack.views.text import LABEL, Faces, Payload, cut, one_line, plain

APPROVE: Final = "approve"
DENY: Final = "deny"
WITHDRAW: Final = "withdraw"
ENTER_CODE: Final = "enter_code"
SHOW_CREDENTIAL: Final = "show_credential"
HAND_BACK: Final = "hand_back"
REVOKE: Final = "revoke"
REPORT: Final = "report"
REVIEW: Final = "review"
ASK_AGAIN: Final = "ask_again"


@dataclass(frozen=True, slots=True)
class _Button:
    text: str
    aloud: str
    """What a screen reader says before the id: `Approve` + ` request BG-7K3Q2M of Alice`."""
    style: str = ""


_BUTTONS: Final[Mapping[str, _Button]] = {
    APPROVE: _Button("Approve", "Approve request", "primary"),
    DENY: _Button("Deny", "Deny request", "danger"),
    WITHDRAW: _Button("Take back", "Take back request"),
    ENTER_CODE: _Button("Enter code", "Enter your code for request", "primary"),
    SHOW_CREDENTIAL: _Button("Show credential", "Show once the credential of", "primary"),
    HAND_BACK: _Button("Hand back", "Hand back your access"),
    REVOKE: _Button("Revoke", "Revoke access", "danger"),
    REPORT: _Button("Report", "Report on access", "primary"),
    REVIEW: _Button("Review", "Review access"),
    ASK_AGAIN: _Button("Ask again", "Ask again, as in request", "primary"),
}


_ON_CARD: Final[Mapping[State, tuple[str, ...]]] = {
    State.AWAITING_MFA: (ENTER_CODE, DENY, WITHDRAW),
    State.AWAITING_APPROVAL: (APPROVE, DENY, WITHDRAW),
    State.APPROVED_STALE: (ENTER_CODE, DENY, WITHDRAW),
    State.GRANTING: (REVOKE,),
    State.ACTIVE: (SHOW_CREDENTIAL, HAND_BACK, REVOKE),
    State.AWAITING_REVIEW: (REPORT, REVIEW),
    State.LAPSED: (ASK_AGAIN,),
    State.FAILED: (ASK_AGAIN,),
}


def on_card(request: Request) -> tuple[str, ...]:
    """The buttons that mean something now, in the order in which they are shown."""
    done = set()
    if request.handoff is not HandoffState.WAITING:
        done.add(SHOW_CREDENTIAL)
    if request.report is not None:
        done.add(REPORT)
    return tuple(name for name in _ON_CARD.get(request.state, ()) if name not in done)


def row(request: Request, which: tuple[str, ...], faces: Faces) -> list[Payload]:
    """These buttons as blocks: one row, or nothing."""
    if not which:
        return []
    elements = [_button(name, request, faces) for name in which]
    # The id of the row changes with the version: Slack keeps what it knows of a block under its id.
    return [{"type": "actions", "block_id": f"{request.id}:{request.version}", "elements": elements}]


def _button(name: str, request: Request, faces: Faces) -> Payload:
    kind = _BUTTONS[name]
    aloud = f"{kind.aloud} {request.id} of {faces.name(request.requester)}"
    button: Payload = {
        "type": "button",
        "action_id": name,
        "text": plain(kind.text, LABEL),
        "value": request.id,
        "accessibility_label": cut(aloud, LABEL),
    }
    if kind.style:
        button["style"] = kind.style
    confirm = _confirm(name, request, faces)
    if confirm is not None:
        button["confirm"] = confirm
    return button


def _confirm(name: str, request: Request, faces: Faces) -> Payload | None:
    """The question before an act that no window follows: it says what happens."""
    title = one_line(request.terms.title)
    who = faces.name(request.requester)
    match name:
        case "approve" if request.terms.approver_mfa is Mfa.NONE:
            return _question(f"Approve {request.id}?", says.effect(request, who), "Approve")
        case "hand_back":
            return _question(
                "Hand it back?",
                f"Access to “{cut(title, 80)}” and its open sessions end at once. "
                "If you still need it afterwards, you must ask again.",
                "Hand back",
            )
        case "revoke":
            return _question(
                f"Revoke {request.id}?",
                f"{who} loses “{cut(title, 80)}” and open sessions at once. A review is due all the same.",
                "Revoke",
                danger=True,
            )
        case "withdraw":
            return _question("Take it back?", "The request ends here; nothing is granted.", "Take back")
        case _:
            return None


def _question(title: str, text: str, yes: str, *, danger: bool = False) -> Payload:
    """A confirm dialog (docs.slack.dev: title 100, text 300, buttons 30 characters)."""
    return {
        "title": plain(title, 100),
        "text": plain(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain("Not now", 30),
        "style": "danger" if danger else "primary",
    }
