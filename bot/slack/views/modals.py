"""The windows besides the request form.

Rules: a window says what pressing its button does, in an alert, and asks for a code last. What it needs to
remember is the request's id (and, while enrolling, a sealed secret); a code is never in it. A credential is
shown in one window, once.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from bot.core.model import Handoff, Request, RequestId, Secret, State, Verdict
from bot.core.policy import REASON_MAX, human_duration
from bot.slack.views import says
from bot.slack.views.text import (
    LABEL,
    UNKNOWN,
    Faces,
    Payload,
    alert,
    mention,
    moment,
    one_line,
    paragraph,
    plain,
    said,
    section,
    small,
    utc,
    verbatim,
)

PROVE: Final = "prove"
APPROVE: Final = "approve"
DENY: Final = "deny"
REPORT: Final = "report"
REVIEW: Final = "review"
ENROL: Final = "enrol"
ENROL_CODE: Final = "enrol_code"

CODE: Final = "code"
REASON: Final = "reason"
TOKEN: Final = "token"  # noqa: S105  a field's name
OUTCOME: Final = "outcome"
LESS: Final = "less"
FOLLOW_UPS: Final = "follow_ups"

YES: Final = "yes"
NO: Final = "no"


def _window(title: str, *blocks: Payload, close: str = "Close") -> Payload:
    return {
        "type": "modal",
        "title": plain(title, 24),
        "close": plain(close, 24),
        "blocks": list(blocks),
    }


def _form(callback: str, title: str, submit: str, remembered: str, *blocks: Payload) -> Payload:
    return {
        **_window(title, *blocks, close="Cancel"),
        "callback_id": callback,
        "submit": plain(submit, 24),
        "private_metadata": remembered,
    }


def _field(name: str, label: str, element: Payload, hint: str = "") -> Payload:
    block = {
        "type": "input",
        "block_id": name,
        "label": plain(label),
        "element": {**element, "action_id": name},
    }
    return {**block, "hint": plain(hint)} if hint else block


def _line(*, most: int = 20, focus: bool = True) -> Payload:
    return {"type": "plain_text_input", "max_length": most, "focus_on_load": focus}


def _lines(placeholder: str) -> Payload:
    about = plain(placeholder, 150)
    return {"type": "plain_text_input", "multiline": True, "max_length": REASON_MAX, "placeholder": about}


def _radio(options: Mapping[str, str]) -> Payload:
    offered = [{"text": plain(text, LABEL), "value": value} for value, text in options.items()]
    return {"type": "radio_buttons", "options": offered}


# --- after asking ---------------------------------------------------------------------------------------


def sent_modal(request: Request, channel: str) -> Payload:
    """What became of the form. `channel` is where the request's card is."""
    card = f"Its card is in <#{channel}>."
    if request.state is State.AWAITING_MFA:
        then = (
            f"*It waits for your code until {moment(request.lapses_at)}.* Press “Enter code” on the card or "
            "in your messages. Nobody is asked before that."
        )
    else:
        then = f"*{says.needed(request.terms.tiers)} must approve.* You get a message when it is decided."
    lasts = f"You asked for {human_duration(request.duration)}. {says.ending(request.ending)}"
    return _window(
        "Request sent",
        paragraph(f"{request.id}: {request.terms.title}"),
        section(f"{then} {card}"),
        small(lasts),
    )


# --- codes and decisions --------------------------------------------------------------------------------


def prove_modal(request: Request) -> Payload:
    """The requester's code, for a new request or for one that was approved too slowly."""
    if request.state is State.APPROVED_STALE:
        length = human_duration(request.duration)
        then = alert(f"It is approved. With your code access begins at once, for {length}.", "warning")
    else:
        then = alert(f"With your code the request goes to {says.needed(request.terms.tiers)}.")
    return _form(
        PROVE,
        "Enter your code",
        "Enter",
        request.id,
        paragraph(f"{request.id}: {request.terms.title}"),
        then,
        _field(CODE, "Code", _line(), "Six digits from your authenticator; each works once."),
    )


def approve_modal(request: Request, faces: Faces = UNKNOWN) -> Payload:
    """An approver's code, under what it will do."""
    return _form(
        APPROVE,
        "Approve",
        "Approve",
        request.id,
        section(f"*{request.id}* of {mention(request.requester)}"),
        alert(says.effect(request, faces.name(request.requester)), "warning"),
        said("Reason", request.reason),
        small(says.ending(request.ending)),
        _field(CODE, "Code", _line(), "Six digits from your own authenticator; each works once."),
    )


def deny_modal(request: Request) -> Payload:
    """An approver's no, with its reason."""
    return _form(
        DENY,
        "Deny",
        "Deny",
        request.id,
        section(f"*{request.id}* of {mention(request.requester)}"),
        alert("One no ends it, whoever else said yes.", "warning"),
        _field(
            REASON,
            "Reason",
            {**_lines("Why not, and what should they do instead?"), "focus_on_load": True},
            "The requester and the reviewer read it.",
        ),
    )


# --- afterwards -----------------------------------------------------------------------------------------


def report_modal(request: Request) -> Payload:
    """What the requester did with it."""
    return _form(
        REPORT,
        "Report",
        "File the report",
        request.id,
        section(f"*{request.id}* {says.ended(request)}"),
        _field(
            REPORT,
            "What did you do with this access?",
            {**_lines("What you changed or looked at, and whether it helped"), "focus_on_load": True},
            f"Another person ({' or '.join(request.terms.reviewers)}) reads it and judges the use. "
            "It is filed once.",
        ),
    )


def review_modal(request: Request) -> Payload:
    """Another human's judgement, beside what is known."""
    approved = ", ".join(mention(approval.by) for approval in request.approvals)
    report = request.report if request.report is not None else "No report was filed in time."
    return _form(
        REVIEW,
        "Review",
        "Sign the review",
        request.id,
        section(
            f"*{request.id}* of {mention(request.requester)}, approved by {approved}. {says.ended(request)}"
        ),
        paragraph(f"Access: {one_line(request.terms.title)}, {human_duration(request.duration)} asked for"),
        said("Reason", request.reason),
        said("Report", report),
        alert("Signing closes it: your judgement stands under your name and is not changed any more."),
        _field(OUTCOME, "Outcome", _radio({verdict.value: says.VERDICTS[verdict] for verdict in Verdict})),
        _field(
            LESS, "Was less access possible?", _radio({NO: "No, it fitted", YES: "Yes, less would have done"})
        ),
        _field(FOLLOW_UPS, "Follow-ups", _lines("What changes because of it, or “nothing”")),
    )


# --- enrolling ------------------------------------------------------------------------------------------


def enrol_modal() -> Payload:
    """Step 1: the token that only the operator can issue."""
    return _form(
        ENROL,
        "Enrol: 1 of 2",
        "Next",
        "",
        paragraph("You get a second factor for Breakglass here."),
        alert("An earlier one stops working once this is done."),
        _field(
            TOKEN,
            "Enrolment token",
            _line(most=40),
            "Ask the operator for it; it is yours alone, works once, for 24 hours.",
        ),
    )


def enrol_code_modal(token: str, secret: Secret, uri: Secret, sealed: str) -> Payload:
    """Step 2: the new secret, and its first code. What is remembered opens only with the server's keys."""
    text = secret.reveal()
    groups = " ".join(text[i : i + 4] for i in range(0, len(text), 4))
    return _form(
        ENROL_CODE,
        "Enrol: 2 of 2",
        "Enrol",
        json.dumps({"token": token, "sealed": sealed}),
        alert(
            "The key is shown only now. Whoever reads it can pretend to be you; do not keep a copy.",
            "warning",
        ),
        paragraph(
            "In your authenticator app, choose “enter a set-up key”, time-based, and type this key "
            "(spaces do not matter):"
        ),
        verbatim(groups),
        paragraph("Or, on the device that has the app, open this address:"),
        verbatim(uri.reveal()),
        _field(CODE, "Code", _line(focus=False), "The six digits that the app shows now."),
    )


def remembered_enrolment(private_metadata: str) -> tuple[str, str]:
    """(token, sealed secret) from step 2; empty strings when it is not what we wrote."""
    try:
        kept: dict[str, Any] = json.loads(private_metadata)
        return str(kept["token"]), str(kept["sealed"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def enrolled_modal() -> Payload:
    """Done."""
    return _window(
        "Enrolled",
        paragraph(
            "Your codes count from now on. The one you just typed is used up; the next works in a moment. "
            "If you lose the device, tell the operator at once."
        ),
    )


# --- small windows --------------------------------------------------------------------------------------


def loading_modal(external_id: str) -> Payload:
    """Holds the place: Slack gives three seconds to open a window, and any time to fill it."""
    return {
        **_window("One moment", paragraph("Fetching your credential. Keep this window open.")),
        "external_id": external_id,
    }


def reveal_modal(request: Request, handoff: Handoff) -> Payload:
    """The one-time credential."""
    once = "Shown once, to you alone. Closing this window forgets it: copy what you need now."
    blocks = [alert(once, "warning")]
    for label, secret in handoff.fields:
        blocks += [paragraph(label), verbatim(secret.reveal())]
    if request.expires_at is not None:
        blocks.append(
            small(f"It works until {utc(request.expires_at)}, and not in any other hands than yours.")
        )
    return _window("Your credential", *blocks)


def refusal_modal(sentence: str, title: str = "Nothing was changed") -> Payload:
    """Why not, and what to do instead."""
    return _window(title, paragraph(sentence))


def request_id(private_metadata: str) -> RequestId:
    """The request a window is about."""
    return RequestId(private_metadata)
