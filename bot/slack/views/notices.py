"""What a fact means for people: direct messages, lines in the card's thread, alarms for the security channel.

Rule: only facts that somebody must know or act on make a message. The words follow from the fact; the buttons
from what is true now, because a message may be read late. Nothing here decides who may do what.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bot.core import events as e
from bot.core import policy
from bot.core.model import SYSTEM, HandoffState, Mfa, PersonId, Request, State, Why
from bot.slack.views import alarms, buttons, says
from bot.slack.views.alarms import Fact
from bot.slack.views.text import (
    UNKNOWN,
    Faces,
    Payload,
    escape,
    mention,
    message,
    moment,
    one_line,
    quoted,
    said,
    section,
)

alarm = alarms.alarm


Notice = tuple[PersonId, Payload]

QUOTED: Final = 1500


# --- direct messages ------------------------------------------------------------------------------------


def notices(fact: Fact, request: Request, faces: Faces = UNKNOWN) -> list[Notice]:
    """Who must be told of this fact about `request` (as it is now), and what they read."""
    tell = _TELLING.get(type(fact.event))
    told = tell(fact.event, request, faces) if tell is not None else None
    return [] if told is None else [(request.requester, told)]


def about_people(fact: Fact) -> list[Notice]:
    """Direct messages that follow from facts about no request: somebody's own second factor."""
    match fact.event:
        case e.EnrollmentIssued(person=person):
            text = (
                "The operator issued an enrolment token for you. You get it from them, not here; then type "
                "/breakglass enroll. If you did not ask for one, tell security now."
            )
        case e.Enrolled(person=person):
            text = (
                "Your second factor for Breakglass was set up just now; an earlier one no longer works. "
                "If that was not you, tell security at once."
            )
        case e.LockedOut(person=person):
            text = (
                "Too many wrong codes were entered in your name: more are refused for up to 30 minutes, and "
                "security was told. If it was not you, somebody may be using your account: tell security "
                "now, not over Slack. If it was you, the operator can lift it with a new enrolment token."
            )
        case _:
            return []
    return [(person, message(text, section(text)))]


def _told(text: str, request: Request, faces: Faces, *which: str, words: Payload | None = None) -> Payload:
    now_useful = buttons.on_card(request)
    row = buttons.row(request, tuple(name for name in which if name in now_useful), faces)
    return message(text, section(text), *([words] if words else []), *row)


def _name(request: Request) -> str:
    return f"*{request.id}* ({escape(one_line(request.terms.title))})"


def _opened(_event: e.Event, request: Request, faces: Faces) -> Payload | None:
    if request.state is not State.AWAITING_MFA:
        return None
    text = (
        f"{_name(request)} waits for your code until {moment(request.lapses_at)}. "
        "Nobody is asked to decide before that."
    )
    return _told(text, request, faces, buttons.ENTER_CODE, buttons.WITHDRAW)


def _went_stale(event: e.ProofWentStale, request: Request, faces: Faces) -> Payload:
    text = (
        f"{_name(request)} is approved, but your first code is too old by now. Enter a fresh one by "
        f"{moment(event.lapses_at)} and you are in."
    )
    return _told(text, request, faces, buttons.ENTER_CODE, buttons.WITHDRAW)


def _granted(event: e.AccessGranted, request: Request, faces: Faces) -> Payload:
    assert request.expires_at is not None
    as_whom = f" as {escape(one_line(request.principal))}" if request.principal else ""
    text = f"You are in: {_name(request)}{as_whom}, until {moment(request.expires_at)}. "
    if event.handoff and request.handoff is HandoffState.WAITING:
        text += "Press “Show credential” to see it once; then it exists nowhere with us. "
    if event.preexisting:
        text += "You had this access already by other means; that is left alone. "
    text += f"{escape(says.ending(request.ending))} If you are done earlier, hand it back."
    return _told(text, request, faces, buttons.SHOW_CREDENTIAL, buttons.HAND_BACK)


def _shown(_event: e.Event, request: Request, faces: Faces) -> Payload:
    text = (
        f"The credential of {_name(request)} was shown to you just now and is gone from our store. "
        "If that was not you, hand the access back at once and tell security."
    )
    return _told(text, request, faces, buttons.HAND_BACK)


def _ends_soon(event: e.ExpiryNear, request: Request, faces: Faces) -> Payload | None:
    if request.state is not State.ACTIVE:
        return None  # told late: it has ended meanwhile
    text = (
        f"{_name(request)} ends soon, at {moment(event.expires_at)}. It cannot be made longer: if you need "
        "more time, ask again now, and somebody must approve that too. If you are done, hand it back."
    )
    return _told(text, request, faces, buttons.HAND_BACK)


def _denied(event: e.RequestDenied, request: Request, faces: Faces) -> Payload:
    reason = quoted(event.reason, QUOTED)
    text = f"{_name(request)} was denied by {mention(event.actor)}. Nothing was granted."
    shown = _told(text, request, faces, words=said("Why", event.reason, QUOTED))
    return {**shown, "text": f"{text} Why: {reason}"}


def _lapsed(event: e.RequestLapsed, request: Request, faces: Faces) -> Payload:
    text = f"{_name(request)} lapsed: {escape(one_line(event.because))} Nothing was granted."
    return _told(text, request, faces, buttons.ASK_AGAIN)


def _revoked(event: e.RevokeOrdered, request: Request, faces: Faces) -> Payload | None:
    if event.why not in {Why.REVOKED, Why.KILLED, Why.GONE} or event.actor == request.requester:
        return None  # what the holder did, or the clock, is told when it has ended
    if event.why is Why.GONE:
        who = "It was found gone at the provider."
    elif event.actor == SYSTEM:
        who = event.detail
    else:
        who = f"{mention(event.actor)} ends it."
    text = f"{_name(request)}: {who} You lose this access, open sessions too."
    words = said("Why", event.reason, QUOTED) if event.reason is not None else None
    shown = _told(text, request, faces, words=words)
    reason = f" Why: {quoted(event.reason, QUOTED)}" if event.reason is not None else ""
    return {**shown, "text": f"{text}{reason}"}


def _ended(_event: e.Event, request: Request, faces: Faces) -> Payload:
    assert request.end is not None
    due = request.end.ended_at or request.end.ordered_at
    text = (
        f"{_name(request)} has ended. {says.ended(request)} Please say what you did with it by "
        f"{moment(due + request.terms.report_within)}; another person then reviews it."
    )
    return _told(text, request, faces, buttons.REPORT)


def _abandoned(_event: e.Event, request: Request, faces: Faces) -> Payload:
    text = f"{_name(request)} failed and nobody was let in. {says.why(request)}"
    return _told(text, request, faces, buttons.ASK_AGAIN)


def _overdue(_event: e.Event, request: Request, faces: Faces) -> Payload | None:
    if request.report is not None:
        return None
    text = f"The review of {_name(request)} is overdue, and your report is still missing. Please file it now."
    return _told(text, request, faces, buttons.REPORT)


def _reviewed(event: e.ReviewSigned, request: Request, faces: Faces) -> Payload:
    text = f"{_name(request)} was reviewed by {mention(event.actor)}: {says.VERDICTS[event.verdict]}."
    shown = _told(text, request, faces, words=said("What follows", event.follow_ups, QUOTED))
    return {**shown, "text": f"{text} What follows: {quoted(event.follow_ups, QUOTED)}"}


_TELLING: Final[Mapping[type[e.Event], Callable[[Any, Request, Faces], Payload | None]]] = {
    e.RequestOpened: _opened,
    e.ProofWentStale: _went_stale,
    e.AccessGranted: _granted,
    e.HandoffShown: _shown,
    e.ExpiryNear: _ends_soon,
    e.RequestDenied: _denied,
    e.RequestLapsed: _lapsed,
    e.RevokeOrdered: _revoked,
    e.AccessEnded: _ended,
    e.GrantAbandoned: _abandoned,
    e.ReviewOverdue: _overdue,
    e.ReviewSigned: _reviewed,
}


# --- lines in the card's thread -------------------------------------------------------------------------


def thread_lines(fact: Fact, request: Request, faces: Faces = UNKNOWN) -> list[Payload]:
    """Short lines for the thread of the request's card, mentioning whoever must act next."""
    line = _line(fact, request, faces)
    return [] if line is None else [message(line, section(line))]


def _line(  # noqa: C901, PLR0911, PLR0912  one case per fact reads better than a table of functions
    fact: Fact, request: Request, faces: Faces
) -> str | None:
    event = fact.event
    match event:
        case e.ProofAccepted() | e.MfaNotRequired():
            # Filed together with its code: the card itself was posted asking the approvers.
            if fact.at == request.opened_at:
                return None
            first = request.terms.tiers[0].roles
            return f"{mention(event.actor)} proved who they are. {faces.asked(first)}: please decide."
        case e.ApprovalGiven():
            return _approved(event, request, faces)
        case e.QuorumReached():
            return f"Approved. Access is being given, to end at {moment(event.expires_at)}."
        case e.ProofWentStale():
            return f"Approved. {mention(request.requester)}: your code is too old by now, enter a fresh one."
        case e.Activated():
            return f"Fresh code accepted. Access is being given, to end at {moment(event.expires_at)}."
        case e.AccessGranted():
            return f"Granted and read back. {mention(request.requester)} is in."
        case e.HandoffShown():
            return "The credential was shown, once."
        case e.LeaseAltered():
            return f"Somebody changed this access at the provider: {escape(one_line(event.what))}"
        case e.RequestDenied():
            return f"Denied{says.by(event.actor)}."
        case e.RequestWithdrawn():
            return "Taken back by the requester."
        case e.RequestLapsed():
            return f"Lapsed: {escape(one_line(event.because))}"
        case e.RevokeOrdered():
            return f"Ending ordered ({event.why.value.replace('_', ' ')}){says.by(event.actor)}."
        case e.RevokeFailed() if not event.stuck or alarms.is_time_to_say(fact, request):
            error = escape(one_line(event.error))
            return f"Could not be ended yet: {error} The next try is at {moment(event.next_try_at)}."
        case e.AccessEnded():
            return "Ended: the provider, asked again, no longer knows the access."
        case e.GrantAbandoned():
            return "Proved absent: nobody was let in."
        case e.ReportFiled():
            return f"The report is filed. {faces.asked(request.terms.reviewers)}: please review."
        case e.ReviewOverdue():
            return f"The review is overdue. {faces.asked(request.terms.reviewers)}: please review."
        case e.ReviewSigned():
            return f"Reviewed{says.by(event.actor)}: {says.VERDICTS[event.verdict]}."
        case _:
            return None


def _approved(event: e.ApprovalGiven, request: Request, faces: Faces) -> str:
    tiers = request.terms.tiers
    step = f" (step {event.tier + 1} of {len(tiers)})" if len(tiers) > 1 else ""
    how = " with a code" if event.proof is not None and event.proof.method is not Mfa.NONE else ""
    line = f"{mention(event.actor)} approved{how}{step}."
    now = policy.tier_of(request)
    if request.state is State.AWAITING_APPROVAL and event.tier < now < len(tiers):
        line += f" {faces.asked(tiers[now].roles)}: it is yours to decide now."
    return line
