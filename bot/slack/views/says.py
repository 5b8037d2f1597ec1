"""One sentence for each thing that can be true of a request, in mrkdwn unless it says plain.

Rule: what may not hold is never promised. How an access ends is told before anybody approves it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from bot.core import events as e
from bot.core import policy
from bot.core.model import (
    OPERATOR,
    SYSTEM,
    EndedBy,
    Ending,
    Mfa,
    Request,
    State,
    Terms,
    Tier,
    Verdict,
    Why,
)
from bot.slack.views.text import Faces, escape, mention, moment, one_line, people_count

ENDED_BY: Final[Mapping[EndedBy, str]] = {
    EndedBy.PROVIDER: "The provider ends it by itself, on time, even if Breakglass is down.",
    EndedBy.LOGIN: (
        "The provider refuses new logins by itself, on time; "
        "sessions that are still open then are cut by Breakglass alone."
    ),
    EndedBy.BOT: "Only Breakglass ends it: were it down at that moment, access would stay until it is back.",
}
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.REAL: "Real emergency",
    Verdict.DRILL: "Drill",
    Verdict.MISUSE: "Misuse",
}
FACTORS: Final[Mapping[Mfa, str]] = {Mfa.NONE: "no second factor", Mfa.TOTP: "a code from the authenticator"}


def ending(end: Ending) -> str:
    """How an access ends, plain."""
    parts = [ENDED_BY[end.by]]
    if end.tail > timedelta(0):
        parts.append(f"Something may live on for up to {policy.human_duration(end.tail)} after that.")
    if end.note:
        parts.append(one_line(end.note))
    return " ".join(parts)


def carried(lost: e.AuditEntryDeleted | e.AuditEntryChanged) -> str:
    """What a message in the audit channel held, plain."""
    if lost.stream == "checkpoints":
        return f"signed checkpoint {lost.first_seq}"
    return (
        f"#{lost.first_seq} to #{lost.last_seq}" if lost.last_seq > lost.first_seq else f"#{lost.first_seq}"
    )


def gone(event: e.AuditChannelChanged) -> str:
    """How many of our messages were removed in bulk, plain; before the place they are gone from."""
    if not event.entries:
        return "Slack says that messages were removed in bulk, and none of ours is missing in"
    some = "1 of our messages is" if event.entries == 1 else f"{event.entries} of our messages are"
    return f"{some}{_lines(event)} no longer in"


def changed(event: e.AuditChannelChanged) -> str:
    """How many of our messages were changed, plain; before the place where they stand."""
    return f"{event.entries} of our messages{_lines(event)} were changed, and not by us, in"


def _lines(event: e.AuditChannelChanged) -> str:
    return "" if event.first_seq is None else f" (lines between #{event.first_seq} and #{event.last_seq})"


def headline(  # noqa: C901, PLR0911  one case per state reads better than a table of functions
    request: Request, now: datetime, faces: Faces
) -> tuple[str, str]:
    """(a few words, plain; what that means now): the truth about a request in every state."""
    who = mention(request.requester)
    match request.state:
        case State.AWAITING_MFA:
            return "Waiting for the requester's code", (
                f"{who} must enter it by {moment(request.lapses_at)}. Nobody is asked to decide before that."
            )
        case State.AWAITING_APPROVAL:
            return "Waiting for approval", _approval(request, faces)
        case State.APPROVED_STALE:
            return "Approved, and a fresh code is needed", (
                f"The approval took longer than the first code is good for. {who} must enter a fresh one by "
                f"{moment(request.lapses_at)}; then access begins at once."
            )
        case State.GRANTING:
            return "Approved: access is being given", "Nobody is in until the provider confirms it."
        case State.ACTIVE:
            return "Active", _active(request, now)
        case State.REVOKING:
            return _revoking(request)
        case State.AWAITING_REVIEW:
            title = "Ended; the review is overdue" if request.review_overdue else "Ended; the review is due"
            return title, _review_due(request, faces)
        case State.REVIEWED:
            return "Ended and reviewed", f"{ended(request)} {_reviewed(request)}"
        case State.DENIED:
            assert request.denial is not None
            return "Denied", f"{mention(request.denial.by)} said no. Nothing was granted."
        case State.WITHDRAWN:
            return "Taken back", f"{who} took it back before anything was granted."
        case State.LAPSED:
            return "Lapsed", f"{escape(request.lapsed) or 'Nobody decided in time.'} Nothing was granted."
        case State.FAILED:
            return (
                "Failed: nobody was let in",
                f"{ended(request)} “Ask again” opens the same request, filled in.",
            )


def _approval(request: Request, faces: Faces) -> str:
    index = policy.tier_of(request)
    tiers = request.terms.tiers
    missing = policy.missing_votes(request)
    step = f"Step {index + 1} of {len(tiers)}: " if len(tiers) > 1 else ""
    roles = tiers[min(index, len(tiers) - 1)].roles
    more = " more" if any(approval.tier == index for approval in request.approvals) else ""
    return (
        f"{step}{missing}{more} of {faces.asked(roles)} must approve. "
        f"You are asked because you hold the role {escape(' or '.join(dict.fromkeys(roles)))}. "
        f"It lapses at {moment(request.lapses_at)} if nobody decides: silence never approves."
    )


def _active(request: Request, now: datetime) -> str:
    assert request.expires_at is not None
    if now >= request.expires_at:
        return f"Its time was over at {moment(request.expires_at)}; it is being ended."
    return f"{mention(request.requester)} is in until {moment(request.expires_at)}."


def _revoking(request: Request) -> tuple[str, str]:
    end = request.end
    assert end is not None
    because = why(request)
    tries = ""
    if end.attempts:
        tries = f" {end.attempts} {'attempt' if end.attempts == 1 else 'attempts'} did not work"
        tries += f" (the last answer: {escape(one_line(end.last_error))})" if end.last_error else ""
        tries += f"; the next is at {moment(end.next_try_at)}." if end.next_try_at else "."
    if end.stuck_since is not None:
        return "NOT ENDED YET: the access may still exist", (
            f"{because} Since {moment(end.stuck_since)} the provider does not confirm the end.{tries} "
            f"It is tried again for ever; if you can, end it by hand at {escape(request.terms.backend)}."
        )
    return "Ending", f"{because} It counts as ended once the provider, asked again, agrees.{tries}"


def why(request: Request) -> str:  # noqa: PLR0911  one case per reason
    """Why a grant ended, or is ending."""
    end = request.end
    assert end is not None
    match end.why:
        case Why.EXPIRED:
            return "Its time was over."
        case Why.HANDED_BACK:
            return f"{mention(end.by)} handed it back."
        case Why.REVOKED if end.by == SYSTEM:
            return "The requester is no active, full member of the workspace any more, so it was taken away."
        case Why.REVOKED:
            return f"{mention(end.by)} revoked it."
        case Why.KILLED:
            return f"{mention(end.by)} ended it with the kill switch."
        case Why.GONE:
            return "It was gone at the provider although nobody here had ended it."
        case Why.FAILED:
            return f"The provider refused it{_detail(request)}"
        case Why.UNANSWERED:
            return f"The provider did not answer in time, so it was taken away again{_detail(request)}"


def _detail(request: Request) -> str:
    assert request.end is not None
    return f": {escape(one_line(request.end.last_error))}" if request.end.last_error else "."


def ended(request: Request) -> str:
    """When and why it ended."""
    end = request.end
    assert end is not None
    at = f" Proved gone at {moment(end.ended_at)}." if end.ended_at else ""
    return f"{why(request)}{at}"


def _review_due(request: Request, faces: Faces) -> str:
    end = request.end
    assert end is not None
    assert end.ended_at is not None
    if request.report is None:
        report = (
            f"{mention(request.requester)} reports what was done, by "
            f"{moment(end.ended_at + request.terms.report_within)}."
        )
    else:
        assert request.reported_at is not None
        report = f"The report was filed at {moment(request.reported_at)}."
    return (
        f"{ended(request)} {report} {faces.asked(request.terms.reviewers)} "
        f"reviews it by {moment(end.ended_at + request.terms.review_within)}."
    )


def _reviewed(request: Request) -> str:
    review = request.review
    assert review is not None
    less = "Less access was possible." if review.less_was_possible else "Less access was not possible."
    return f"{mention(review.by)} judged: {VERDICTS[review.verdict]}. {less}"


def needed(tiers: tuple[Tier, ...]) -> str:
    """Who must approve, plain: `1 of leads, then 2 of security or managers`."""
    steps = [f"{t.count} of {' or '.join(dict.fromkeys(t.roles)) or 'nobody'}" for t in tiers]
    return ", then ".join(steps)


def effect(request: Request, name: str) -> str:
    """What pressing Approve does now, plain. `name` is the requester's."""
    index, missing, tiers = policy.tier_of(request), policy.missing_votes(request), request.terms.tiers
    length = policy.human_duration(request.duration)
    if missing > 1:
        more = people_count(missing - 1)
        return f"After yours, {more} more must approve in this step. Nothing is granted yet."
    if index < len(tiers) - 1:
        return f"Yours completes this step. Then comes: {needed(tiers[index + 1 :])}. Nothing is granted yet."
    return f"Yours is the last approval: {name} gets “{one_line(request.terms.title)}” for {length}, at once."


def afterwards(terms: Terms) -> str:
    """What asking for this access sets going, plain: told on the last line of the form."""
    reviewers = " or ".join(dict.fromkeys(terms.reviewers))
    lapse, report, review = map(
        policy.human_duration, (terms.lapse_after, terms.report_within, terms.review_within)
    )
    return (
        f"{needed(terms.tiers)} must approve; undecided, it lapses after {lapse}. Then access begins at once "
        f"for as long as you chose. Afterwards you report what you did (within {report}) and {reviewers} "
        f"reviews it (within {review}). All of it goes on the record."
    )


def by(actor: str) -> str:
    """` by ...`, or nothing when no human did it."""
    return "" if actor == SYSTEM else f" by {mention(actor)}"


def is_human(actor: str) -> bool:
    """Whether a person with a Slack account did it."""
    return actor not in {SYSTEM, OPERATOR}
