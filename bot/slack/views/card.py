"""The one live card of a request: always the truth, in every state.

Rule: rendered from the request alone. Buttons stand only where they still mean something; whoever presses an
old one is told what is true now.
"""

from datetime import datetime

from bot.core import policy
from bot.core.model import HELD, PENDING, TERMINAL, Mfa, Request
from bot.slack.views import buttons, says
from bot.slack.views.text import (
    UNKNOWN,
    Faces,
    Payload,
    cut,
    escape,
    mention,
    message,
    moment,
    mrkdwn,
    one_line,
    plain,
    quoted,
    said,
    section,
    small,
)

LATER_WORDS = 1500
"""Characters shown of a report or of follow-ups; the reason, which is decided upon, is shown whole."""


def request_card(request: Request, now: datetime, faces: Faces = UNKNOWN) -> Payload:
    """Arguments of chat.postMessage and chat.update: text, blocks, metadata.

    The metadata names the request, so that a post whose answer was lost can be found.
    """
    title, sentence = says.headline(request, now, faces)
    blocks = [
        {"type": "header", "text": plain(f"{request.id}: {one_line(request.terms.title)}", 150)},
        section(f"*{escape(title)}*\n{sentence}"),
        *_warnings(request),
        {"type": "section", "fields": _facts(request)},
        said("Reason", request.reason),
        *_words(request),
        small(_criteria(request)),
        *([small(f"How it ends. {says.ending(request.ending)}")] if request.state in PENDING | HELD else []),
        *buttons.row(request, buttons.on_card(request), faces),
    ]
    payload = {"key": request.id, "request": request.id, "version": request.version}
    return {
        **message(_aloud(request, title, sentence), *blocks),
        "metadata": {"event_type": "breakglass_card", "event_payload": payload},
    }


def _aloud(request: Request, title: str, sentence: str) -> str:
    """Everything that counts, for whoever hears the card instead of seeing it."""
    terms = request.terms
    incident = f" Incident: {quoted(request.incident, 150)}." if request.incident else ""
    facts = (
        f"{request.id}: {title}. {mention(request.requester)} asks for {escape(one_line(terms.title))} "
        f"({escape(one_line(terms.environment))}, {escape(one_line(terms.risk))} risk) "
        f"for {policy.human_duration(request.duration)}. {sentence}{incident} "
        f"{escape(says.ending(request.ending))}"
    )
    return f"{cut(facts, 2400)} Reason: {quoted(request.reason, 1200)}"


def _warnings(request: Request) -> list[Payload]:
    lines = []
    if request.preexisting:
        lines.append(
            "*They already had this access by other means.* That is left alone: it stays when this one ends."
        )
    if request.altered:
        altered = escape(one_line(request.altered))
        lines.append(f"*Somebody changed this access at the provider while it was held:* {altered}")
    return [section("\n".join(lines))] if lines else []


def _facts(request: Request) -> list[Payload]:
    terms = request.terms
    scope = ", ".join(f"{key} {value}" for key, value in sorted(terms.scope.items()))
    access = f"*Access*\n{escape(one_line(terms.title))}"
    if scope:
        access += f"\n{escape(one_line(scope))} at {escape(one_line(terms.backend))}"
    fields = [
        mrkdwn(f"*Who*\n{mention(request.requester)}{_principal(request)}", 2000),
        mrkdwn(access, 2000),
        mrkdwn(f"*Where, and the risk*\n{escape(one_line(f'{terms.environment}, {terms.risk} risk'))}", 2000),
        mrkdwn(f"*How long*\n{_how_long(request)}", 2000),
        mrkdwn(f"*Scenario*\n{escape(one_line(request.scenario_title or request.scenario))}", 2000),
        plain(f"Incident\n{one_line(request.incident) or 'none given'}", 300),
        mrkdwn(f"*Second factor*\n{_proved(request)}", 2000),
        mrkdwn(f"*Approved by*\n{_approved(request)}", 2000),
    ]
    if request.state in PENDING:
        fields.append(mrkdwn(f"*Who decides*\n{escape(says.needed(terms.tiers))}", 2000))
    return fields


def _principal(request: Request) -> str:
    return f"\nas {escape(one_line(request.principal))}" if request.principal else ""


def _how_long(request: Request) -> str:
    length = policy.human_duration(request.duration)
    if request.end is not None and request.end.ended_at is not None:
        began = f"{length} were asked for"
        return f"{began}; from {moment(request.granted_at)}" if request.granted_at else began
    if request.expires_at is not None:
        return f"{length}, until {moment(request.expires_at)}"
    return f"{length} from the moment it is granted"


def _proved(request: Request) -> str:
    if request.terms.mfa is Mfa.NONE:
        return "none is asked for here"
    if request.proof is None:
        return "not proved yet"
    return f"code proved at {moment(request.proof.at)}"


def _approved(request: Request) -> str:
    if not request.approvals:
        return "nobody yet" if request.state not in TERMINAL else "nobody"
    many = len(request.terms.tiers) > 1
    lines = [
        f"{mention(approval.by)}{f', step {approval.tier + 1}' if many else ''}"
        f"{', with a code' if approval.proof else ''}, {moment(approval.at)}"
        for approval in request.approvals
    ]
    return "\n".join(lines)


def _words(request: Request) -> list[Payload]:
    """What people said later on, each under its own heading."""
    blocks = []
    if request.denial is not None:
        blocks.append(said("Why it was denied", request.denial.reason, LATER_WORDS))
    if request.end is not None and request.end.reason is not None:
        blocks.append(said("Why it was ended", request.end.reason, LATER_WORDS))
    if request.report is not None:
        blocks.append(said("What was done, says the requester", request.report, LATER_WORDS))
    if request.review is not None:
        blocks.append(said("What follows, says the reviewer", request.review.follow_ups, LATER_WORDS))
    return blocks


def _criteria(request: Request) -> str:
    if not request.criteria:
        return "This scenario has no criteria to confirm."
    return "Confirmed by the requester: " + "; ".join(one_line(criterion) for criterion in request.criteria)
