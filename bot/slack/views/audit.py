"""The history, line by line, for the audit channel, and the signed checkpoints.

Rule: every fact becomes one line that a person understands. In a message's metadata, `first` and `last` say
which lines it carries and `key` which message it is. Nobody is notified by an entry: people stand there by
name and id. People's words stand in quotes, harmless, and may be cut; the history has them whole.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from bot.core import events as e
from bot.core.model import OPERATOR, SYSTEM, PersonId, Proof, RequestId, Words
from bot.core.policy import human_duration
from bot.slack.views import says
from bot.slack.views.text import UNKNOWN, Faces, Payload, cut, escape, length, one_line, utc, verbatim

MOST_LINES: Final = 50
"""Lines worth reading at once for one message."""

FOLDED: Final = 3500
"""Characters in one message of lines; Slack's own advice is to stay below 4,000."""

WORDS: Final = 1200
"""Characters of somebody's words in a line."""

ENTRY: Final = "breakglass_audit"
CHECKPOINT: Final = "breakglass_checkpoint"
"""What the messages here are called in their metadata."""

_LINE: Final = 3000
_BREAK: Final = "\n"


class Line(Protocol):
    """One line of the history, decoded."""

    @property
    def seq(self) -> int:
        """Its number, from 0."""
        ...

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


def audit_line(line: Line, leaf: bytes = b"", faces: Faces = UNKNOWN) -> str:
    """`#17 2026-11-21 02:17:03 BG-7K3Q2M · ... · 9f3ac1d2`: plain text on one line, safe to show anywhere.

    Args:
        line: the fact.
        leaf: its hash in the tree; the first four bytes are shown.
        faces: what people are called.
    """
    at = line.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    about = f"{line.request}: " if line.request else ""
    what = _SAYS.get(type(line.event), _unknown)(line.event, faces)
    mark = f" · {leaf[:4].hex()}" if leaf else ""
    return cut(one_line(f"#{line.seq} {at} {about}{what}"), _LINE) + mark


def audit_message(lines: Sequence[Line], leaves: Sequence[bytes] = (), faces: Faces = UNKNOWN) -> Payload:
    """One message for as many of `lines` (not none) as fit, from the first on; its metadata says how many."""
    texts: list[str] = []
    room = FOLDED
    for number, line in enumerate(lines[:MOST_LINES]):
        text = audit_line(line, leaves[number] if number < len(leaves) else b"", faces)
        room -= length(escape(text)) + len(_BREAK)
        if room < 0 and texts:
            break
        texts.append(text)
    first, last = lines[0].seq, lines[len(texts) - 1].seq
    said = [part for text in texts for part in _parts(text)]
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": said[:-1]}]}
    payload = {"key": f"audit/{first}", "first": first, "last": last}
    return {
        "text": cut(_BREAK.join(escape(text) for text in texts), FOLDED),
        "blocks": [rich],
        "metadata": {"event_type": ENTRY, "event_payload": payload},
    }


def _parts(text: str) -> list[Payload]:
    """A line in rich text, its number bold: nothing in rich text comes alive by itself."""
    number, _, rest = text.partition(" ")
    return [
        {"type": "text", "text": number, "style": {"bold": True}},
        {"type": "text", "text": f" {rest}"},
        {"type": "text", "text": _BREAK},
    ]


def checkpoint_message(id: int, size: int, note: str) -> Payload:
    """A signed checkpoint, character by character, so that anybody can copy and verify it."""
    payload = {"key": f"checkpoint/{id}", "first": id, "last": id, "size": size}
    return {
        "text": f"Signed checkpoint: the history has {size} {'entry' if size == 1 else 'entries'}.",
        "blocks": [
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "text", "text": f"Signed checkpoint over {size} entries. Copy:"}
                        ],
                    }
                ],
            },
            verbatim(note),
        ],
        "metadata": {"event_type": CHECKPOINT, "event_payload": payload},
    }


def again(entry: Payload, because: int) -> Payload:
    """A message of this channel once more, since line `because` tells that it was deleted or changed."""
    heading = f"Posted again, see #{because}:"
    kind, payload = entry["metadata"]["event_type"], entry["metadata"]["event_payload"]
    said = [{"type": "text", "text": heading, "style": {"italic": True}}]
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": said}]}
    return {
        "text": f"{heading}{_BREAK}{entry['text']}",
        "blocks": [rich, *entry["blocks"]],
        "metadata": {
            "event_type": f"{kind}_again",
            "event_payload": {**payload, "key": f"{payload['key']}/again/{because}"},
        },
    }


# --- one sentence per fact ------------------------------------------------------------------------------


def _who(person: PersonId, faces: Faces) -> str:
    if person in {SYSTEM, OPERATOR}:
        return faces.name(person)
    name = faces.names.get(person)
    return f"{faces.name(person)} ({person})" if name else str(person)


def _quote(words: Words) -> str:
    return f"“{cut(one_line(str(words)), WORDS)}”"


def _proof(proof: Proof | None) -> str:
    return f" with {says.FACTORS[proof.method]}" if proof is not None else ""


def _opened(event: e.RequestOpened, faces: Faces) -> str:
    terms = event.terms
    incident = f", incident {one_line(event.incident)}" if event.incident else ""
    scope = ", ".join(f"{key} {value}" for key, value in sorted(terms.scope.items()))
    principal = f" as {event.principal}" if event.principal else ""
    return (
        f"{_who(event.actor, faces)} asked for {terms.title} ({terms.environment}, {terms.risk} risk; "
        f"{scope} at {terms.backend}{principal}) for {human_duration(event.duration)}, "
        f"scenario {event.scenario}, {len(event.criteria)} criteria confirmed{incident}. "
        f"Reason: {_quote(event.reason)}"
    )


def _granted(event: e.AccessGranted, _faces: Faces) -> str:
    until = f"; it ends there by itself at {utc(event.lease_expires_at)}" if event.lease_expires_at else ""
    handoff = "; a credential waits to be shown once" if event.handoff else ""
    before = "; the person had it before by other means" if event.preexisting else ""
    return f"Access granted and read back at the provider{until}{handoff}{before}."


def _revoke(event: e.RevokeOrdered, faces: Faces) -> str:
    reason = f" Reason: {_quote(event.reason)}" if event.reason is not None else ""
    detail = f" {event.detail}" if event.detail else ""
    why = event.why.value.replace("_", " ")
    return f"Ending ordered by {_who(event.actor, faces)} ({why}).{detail}{reason}"


def _revoke_failed(event: e.RevokeFailed, _faces: Faces) -> str:
    stuck = "STUCK: not ended after repeated attempts" if event.stuck else "Not ended yet"
    by_hand = f" By hand: {event.by_hand}" if event.by_hand else ""
    return f"{stuck}: {event.error} Next try {utc(event.next_try_at)}.{by_hand}"


def _reviewed(event: e.ReviewSigned, faces: Faces) -> str:
    less = "was possible" if event.less_was_possible else "was not possible"
    return (
        f"{_who(event.actor, faces)} reviewed the use: {says.VERDICTS[event.verdict]}; less access {less}. "
        f"Follow-ups: {_quote(event.follow_ups)}"
    )


def _started(event: e.ServerStarted, _faces: Faces) -> str:
    other = (
        f" Slack is taken to be at {event.other_slack}, which is not Slack's own."
        if event.other_slack
        else ""
    )
    return f"Server started, version {event.version}, policy {event.policy[:12]}.{other}"


def _orphan(event: e.OrphanFound, _faces: Faces) -> str:
    about = f" (once {event.about})" if event.about else ""
    return f"{event.backend} holds {event.mark}{about}, which no grant in force explains; it is being ended."


def _attempt(event: e.AttemptRefused, faces: Faces) -> str:
    who, code = _who(event.actor, faces), event.code.replace("_", " ")
    match event.code:
        case "stale":
            return f"{who} came too late: {event.verb}."
        case "expired_trigger" | "used_trigger" | "no_window":
            return f"Slack opened no window for {who}: {event.verb} ({code})."
        case _:
            return f"Refused to {who}: {event.verb} ({code})."


def _audit_channel(event: e.AuditChannelChanged, faces: Faces) -> str:
    match event.what:
        case "joined":
            return f"{_who(PersonId(event.by), faces)} joined {event.channel} and reads every entry."
        case "purged":
            return f"{says.gone(event)} {event.channel}; they are not posted again."
        case "changed":
            return f"{says.changed(event)} {event.channel}; they are not posted again."
        case "posts":
            return f"{event.entries} messages in {event.channel} came from others while nobody looked."
        case "shared" | "unshared":
            now = "is" if event.what == "shared" else "is no longer"
            return f"{event.channel} {now} shared with another organisation."
        case _:
            return f"{event.channel} is {event.what} now."


def _unknown(event: e.Event, faces: Faces) -> str:
    return f"{e.type_of(event).replace('_', ' ')} by {_who(event.actor, faces)}."


_SAYS: Final[Mapping[type[e.Event], Callable[[Any, Faces], str]]] = {
    e.RequestOpened: _opened,
    e.ProofAccepted: lambda ev, f: f"{_who(ev.actor, f)} proved who they are{_proof(ev.proof)}.",
    e.MfaNotRequired: lambda _ev, _f: "No second factor is asked for here, by policy.",
    e.ApprovalGiven: lambda ev, f: f"{_who(ev.actor, f)} approved, step {ev.tier + 1}{_proof(ev.proof)}.",
    e.QuorumReached: lambda ev, _f: f"Enough people approved. Granting, to end at {utc(ev.expires_at)}.",
    e.ProofWentStale: lambda ev, _f: f"Enough people approved; a fresh code is due by {utc(ev.lapses_at)}.",
    e.Activated: lambda ev, f: (
        f"Fresh code of {_who(ev.actor, f)}. Granting, to end at {utc(ev.expires_at)}."
    ),
    e.RequestDenied: lambda ev, f: f"{_who(ev.actor, f)} denied it. Reason: {_quote(ev.reason)}",
    e.RequestWithdrawn: lambda ev, f: f"{_who(ev.actor, f)} took it back.",
    e.RequestLapsed: lambda ev, _f: f"Lapsed: {ev.because}",
    e.AccessGranted: _granted,
    e.HandoffShown: lambda ev, f: f"The credential was shown to {_who(ev.actor, f)}, once.",
    e.LeaseAltered: lambda ev, _f: f"Changed from outside at the provider: {ev.what}",
    e.ExpiryNear: lambda ev, _f: f"It ends soon, at {utc(ev.expires_at)}; its holder is told.",
    e.RevokeOrdered: _revoke,
    e.RevokeFailed: _revoke_failed,
    e.AccessEnded: lambda _ev, _f: "Access ended: the provider, asked again, no longer knows it.",
    e.GrantAbandoned: lambda _ev, _f: "Proved absent at the provider: nobody was let in.",
    e.ReportFiled: lambda ev, f: f"{_who(ev.actor, f)} reported: {_quote(ev.report)}",
    e.ReviewSigned: _reviewed,
    e.ReviewOverdue: lambda _ev, _f: "The review is overdue.",
    e.AttemptRefused: _attempt,
    e.ProofRefused: lambda ev, f: f"Code of {_who(ev.actor, f)} refused ({ev.code.replace('_', ' ')}).",
    e.LockedOut: lambda ev, f: f"Too many wrong codes: those of {_who(ev.person, f)} are refused for now.",
    e.EnrollmentIssued: lambda ev, f: (
        f"{_who(ev.actor, f)} issued an enrolment token for {_who(ev.person, f)}."
    ),
    e.Enrolled: lambda ev, f: (
        f"{_who(ev.person, f)} enrolled {says.FACTORS[ev.method]}; older ones are void."
    ),
    e.InstallationCreated: lambda ev, _f: (
        f"Installation {ev.installation} created; checkpoints of {ev.origin}."
    ),
    e.ServerStarted: _started,
    e.ServerStopped: lambda _ev, _f: "Server stopped in good order.",
    e.WorkspaceBound: lambda ev, _f: f"Bound to Slack workspace {ev.team}.",
    e.OrphanFound: _orphan,
    e.OrphanRemains: lambda ev, _f: f"{ev.mark} could not be ended at {ev.backend}: {ev.error}",
    e.OrphanEnded: lambda ev, _f: f"{ev.mark} is proved gone at {ev.backend}.",
    e.BackendSilent: lambda ev, _f: f"{ev.backend} cannot be asked what lives there: {ev.error}",
    e.BackendAnswers: lambda ev, _f: f"{ev.backend} answers again.",
    e.AuditEntryDeleted: lambda ev, _f: (
        f"Our message {ev.ts} with {says.carried(ev)} was deleted from {ev.channel}."
    ),
    e.AuditEntryChanged: lambda ev, _f: (
        f"Our message {ev.ts} with {says.carried(ev)} was changed in {ev.channel}, not by us."
    ),
    e.ForeignPost: lambda ev, _f: f"{ev.by} posted {ev.ts} in {ev.channel}, where only Breakglass speaks.",
    e.AuditChannelChanged: _audit_channel,
    e.AuditChannelLost: lambda ev, _f: f"Audit channel lost: {ev.because} New access is refused.",
    e.SigningRefused: lambda ev, _f: f"The signer refused to sign this history: {ev.because}",
    e.AuditChannelBack: lambda _ev, _f: "Audit channel back.",
}
