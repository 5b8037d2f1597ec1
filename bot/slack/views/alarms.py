"""What the security channel hears: what is wrong, and what to do about it.

Rule: an alarm is rare enough to be read. A wrong code is not one, five are, once; a late click or that of a
curious colleague is not one, an attempt to approve oneself is.
"""

import re
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.core import events as e
from bot.core.model import SYSTEM, Request, RequestId, Verdict, Why
from bot.slack.views import says
from bot.slack.views.text import Payload, escape, mention, message, moment, one_line, section

AGAIN: Final = timedelta(hours=1)
"""An access that cannot be ended is said again this often. Retries are at most 5 minutes apart."""

_CHANNEL: Final = re.compile(r"[CG][A-Z0-9]{2,}")
_RETRY: Final = timedelta(minutes=5)

_ATTEMPTS: Final = {
    "self_approval": "tried to approve their own request. Nothing was approved.",
    "denied": "asked for something the deny-list forbids. Nothing was filed.",
    "already_shown": "asked for a credential that was shown already. If the first time was somebody else, "
    "revoke that access now.",
    "deactivated": "acts although the account is deactivated. End its Slack sessions.",
    "guest": "tried to act as a guest of the workspace. Guests have no say.",
    "bot": "is a bot and tried to act as a human.",
    "stranger": "is from another organisation and tried to act here. See which shared channel they are in.",
    "other_team": "sent an interaction from another workspace. See where the app is installed.",
    "unknown_person": "is not known to Slack in this workspace and tried to act.",
}
_PROOFS: Final = {
    "replayed": "entered a code that was used before. If it was read over a shoulder or intercepted, their "
    "second factor is not safe; ask them.",
    "bad_token": "entered an enrolment token that is not theirs or not valid. Whoever gets a token can "
    "become them; ask where it came from.",
}


class Fact(Protocol):
    """A line of the history, as far as it matters here."""

    @property
    def at(self) -> datetime:
        """When it happened."""
        ...

    @property
    def event(self) -> e.Event:
        """The fact itself."""
        ...

    @property
    def request(self) -> RequestId | None:
        """The request it is about."""
        ...


def alarm(fact: Fact, request: Request | None = None) -> Payload | None:
    """What the security channel must hear of this fact; None for most. `request` is the one it is about."""
    text = _says(fact, request)
    return None if text is None else message(text, section(text))


def _says(  # noqa: C901, PLR0911, PLR0912  one case per fact reads better than a table of functions
    fact: Fact, request: Request | None
) -> str | None:
    event = fact.event
    match event:
        case e.AttemptRefused():
            return _attempt(event)
        case e.ProofRefused() | e.LockedOut():
            return _second_factor(event)
        case e.RevokeOrdered(actor=actor, why=Why.REVOKED) if actor == SYSTEM and request is not None:
            return (
                f"*Access of somebody who left:* {mention(request.requester)} held {request.id}. "
                f"{escape(one_line(event.detail))} It is being ended. See what was done with it."
            )
        case e.RevokeFailed(stuck=True) if is_time_to_say(fact, request):
            return _not_ended(fact, event, request)
        case e.LeaseAltered():
            return (
                f"*Changed from outside:* somebody changed the access of {fact.request or 'a grant'} at the "
                f"provider: {escape(one_line(event.what))} See who, and revoke it if nobody should have."
            )
        case e.ReviewSigned(verdict=Verdict.MISUSE):
            return f"*Misuse:* so {mention(event.actor)} judged the use of {fact.request}. See its review."
        case e.ReviewOverdue():
            return f"*Review overdue:* nobody has reviewed {fact.request}. Its card has the button."
        case e.OrphanFound():
            return (
                f"*Unexplained access:* {escape(event.backend)} holds {escape(event.mark)}, which carries "
                f"our mark, and no grant in force explains it.{_about(event.about)} It is being ended. See "
                "who made it: our own credentials there may have been used by somebody else."
            )
        case e.OrphanRemains():
            return (
                f"*Unexplained access remains:* {escape(event.mark)} at {escape(event.backend)} could not be "
                f"ended: {escape(one_line(event.error))} It is tried again at every look; end it by hand."
            )
        case e.OrphanEnded():
            return (
                f"*Unexplained access ended:* {escape(event.mark)} is proved gone at {escape(event.backend)}."
            )
        case e.BackendSilent():
            return (
                f"*Provider silent:* {escape(event.backend)} cannot be asked what lives there: "
                f"{escape(one_line(event.error))} Ending access there may be late. See whether it is up and "
                "our credentials are valid."
            )
        case e.BackendAnswers():
            return f"*Provider back:* {escape(event.backend)} answers again."
        case _:
            return _channel(event)


def _not_ended(fact: Fact, event: e.RevokeFailed, request: Request | None) -> str:
    what, where, by_hand = "", "there", ""
    if request is not None:
        whose = f" of {escape(one_line(request.principal))}" if request.principal else ""
        where = f"at {escape(request.terms.backend)}"
        what = f", {escape(request.mark)}{whose},"
    if event.by_hand:
        by_hand = f" By hand: {escape(one_line(event.by_hand))}"
    return (
        f"*Access not ended:* {fact.request or 'a grant'}{what} is still {where} after repeated attempts. "
        f"The provider says: {escape(one_line(event.error))} It is tried again at "
        f"{moment(event.next_try_at)}, for ever, and nothing new is granted {where} until it is gone. If you "
        f"can, end it by hand at the provider.{by_hand}"
    )


def _channel(event: e.Event) -> str | None:  # noqa: PLR0911  one case per fact
    """The audit channel, and the server itself."""
    match event:
        case e.AuditEntryDeleted() | e.AuditEntryChanged():
            done = "deleted" if isinstance(event, e.AuditEntryDeleted) else "changed"
            return (
                f"*Audit entry {done}:* somebody {done} our message with {says.carried(event)} in "
                f"{_place(event.channel)}. It is posted again. The history itself is whole; run “breakglass "
                "verify”, and see in Slack's own audit log who it was."
            )
        case e.ForeignPost():
            return (
                f"*Foreign post:* {mention(event.by)} posted in {_place(event.channel)}, where only "
                "Breakglass speaks. Treat what it says as not ours, and restrict who may post there."
            )
        case e.AuditChannelChanged():
            return _audit_channel(event)
        case e.AuditChannelLost():
            return (
                f"*Audit channel lost:* {escape(one_line(event.because))} New access is refused until it is "
                "back; what is active still ends on time. Restore the channel and invite the bot."
            )
        case e.AuditChannelBack():
            return "*Audit channel back:* it can be written again; new access can be granted."
        case e.SigningRefused():
            return (
                f"*History not signed:* {escape(one_line(event.because))} The history may have been "
                "rewritten or rolled back. New access is refused; run “breakglass verify” before all else."
            )
        case e.ServerStarted(other_slack=address) if address:
            return (
                f"*Not Slack's own address:* a server started that takes {escape(one_line(address))} for "
                "Slack. Whoever answers there can forge every approver. If this is no demonstration, stop it."
            )
        case _:
            return None


def _audit_channel(event: e.AuditChannelChanged) -> str | None:  # noqa: PLR0911  one case per change
    place = _place(event.channel)
    match event.what:
        case "joined":
            return (
                f"*New reader:* {mention(event.by)} joined {place} and can read every audit entry, old ones "
                "too. If they should not, remove them."
            )
        case "public":
            return f"*Audit channel public:* everybody in the workspace can read {place}. Make it private."
        case "shared":
            return (
                f"*Audit channel shared:* {place} is shared with another organisation, whose people can read "
                "it. End that; the audit is for nobody outside."
            )
        case "purged":
            return (
                f"*Audit entries gone:* {says.gone(event)} {place}. Slack's retention does that, or somebody "
                "who may delete messages. They are not posted again: the history itself is whole, run "
                "“breakglass verify”. Set the channel's retention to keep everything."
            )
        case "changed":
            return (
                f"*Audit entries changed:* {says.changed(event)} {place}. Only our own token can do that: "
                "somebody else has it, so make a new one. They are not posted again: the history itself is "
                "whole, run “breakglass verify”."
            )
        case "posts":
            return (
                f"*Foreign posts:* {event.entries} messages in {place} are not in our books; they came while "
                "nobody looked. Treat what they say as not ours, and restrict who may post there."
            )
        case _:
            return None


def _attempt(event: e.AttemptRefused) -> str | None:
    if event.code == "not_yours" and event.verb == "reveal":
        what = "tried to see a credential that belongs to somebody else. It was not shown."
    elif event.code in _ATTEMPTS:
        what = _ATTEMPTS[event.code]
    else:
        return None
    return f"*Refused:* {mention(event.actor)} {what}{_about(event.about)}"


def _second_factor(event: e.ProofRefused | e.LockedOut) -> str | None:
    if isinstance(event, e.LockedOut):
        return (
            f"*Locked out:* too many wrong codes in the name of {mention(event.person)}; more are refused "
            "for up to 30 minutes. Ask them, not over Slack, whether it was they: if not, somebody uses "
            "their account."
        )
    if event.code in _PROOFS:
        return f"*Second factor:* {mention(event.actor)} {_PROOFS[event.code]}{_about(event.about)}"
    return None


def _about(id: RequestId | None) -> str:
    return f" It was about {escape(id)}." if id else ""


def _place(channel: str) -> str:
    return f"<#{channel}>" if _CHANNEL.fullmatch(channel) else escape(one_line(channel))


def is_time_to_say(fact: Fact, request: Request | None) -> bool:
    """When it got stuck, and then about once an hour."""
    if request is None or request.end is None or request.end.stuck_since is None:
        return True
    stuck = fact.at - request.end.stuck_since
    return stuck <= timedelta(0) or (stuck >= AGAIN and stuck % AGAIN < _RETRY)
