"""Who may, how long, how many, what next. Every guard is silent when the answer is yes.

A guard raises `Refused` with a sentence for the person and a code for the history. The same guards run when
somebody asks, when somebody clicks and again at the moment of granting, so that nothing that changed in
between slips through. An empty list of people means nobody.
"""

import fnmatch
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.core import events as e
from bot.core.errors import Refused, Stale
from bot.core.machine import SAYS
from bot.core.model import (
    HELD,
    OPERATOR,
    PENDING,
    Deny,
    HandoffState,
    Mfa,
    Person,
    PersonId,
    Policy,
    Proof,
    Request,
    Roster,
    Scenario,
    State,
    Terms,
    Why,
)

CHALLENGE_LIFE: Final = timedelta(minutes=10)
"""A request without its code waits this long (NIST SP 800-63B asks for at most 10 minutes)."""

REASON_MAX: Final = 3000
"""Characters; Slack's own limit for a plain text input."""


# --- asking ---------------------------------------------------------------------------------------------


def may_ask(policy: Policy, scenario: str, access: str, person: PersonId, roster: Roster) -> Terms:
    """The terms under which `person` may ask for `access` through `scenario`.

    Raises:
        Refused: they may not, for the reason that comes first: person, scenario, access, role, deny-list.
    """
    _is_a_colleague(roster.people.get(person))
    found = policy.scenarios.get(scenario)
    if found is None:
        raise Refused(
            "That scenario is not registered. Pick one from the list.", code="no_scenario", field="scenario"
        )
    terms = policy.accesses.get(access)
    if terms is None or access not in found.accesses:
        raise Refused(
            f"“{found.title}” does not offer that access. Pick one from its list.",
            code="not_offered",
            field="access",
        )
    if person not in roster.holders(terms.requesters):
        raise Refused(
            f"Your roles do not let you ask for {terms.title}. "
            f"It is open to: {_roles(terms.requesters)}. Ask one of them, or have your role changed.",
            code="may_not_ask",
            field="access",
        )
    is_not_denied(policy, terms, person, roster)
    return terms


def scenarios_for(policy: Policy, person: PersonId, roster: Roster) -> list[tuple[Scenario, list[Terms]]]:
    """What `person` may ask for, in the file's order; scenarios that offer them nothing are left out."""
    offers = []
    for scenario in policy.scenarios.values():
        terms = []
        for key in scenario.accesses:
            try:
                terms.append(may_ask(policy, scenario.key, key, person, roster))
            except Refused:
                continue
        if terms:
            offers.append((scenario, terms))
    return offers


def is_well_asked(
    scenario: Scenario,
    terms: Terms,
    *,
    criteria: Sequence[str],
    duration: timedelta,
    reason: str,
    incident: str,
) -> None:
    """The form itself: criteria confirmed, duration offered, a reason, an incident where one is asked for.

    Raises:
        Refused: with `field` set to what must be mended.
    """
    missing = [criterion for criterion in scenario.criteria if criterion not in criteria]
    if missing:
        raise Refused(
            f"Confirm every criterion of “{scenario.title}”; not confirmed: {missing[0]} "
            "If it is not true, this is another scenario.",
            code="criteria",
            field="criteria",
        )
    if duration not in terms.durations:
        offered = ", ".join(human_duration(d) for d in terms.durations)
        raise Refused(
            f"{terms.title} can be held for {offered}. Pick one of these.", code="duration", field="duration"
        )
    visible = _visible(reason)
    if len(visible) < scenario.reason_min:
        raise Refused(
            f"Say in at least {scenario.reason_min} characters what is wrong and what you will do; "
            "whoever is woken to approve this reads it first.",
            code="reason",
            field="reason",
        )
    if len(reason) > REASON_MAX:
        raise Refused(
            f"The reason has {len(reason)} characters; {REASON_MAX} is the most.",
            code="reason",
            field="reason",
        )
    if not _names_an_incident(scenario, incident):
        example = f", for example {scenario.incident_example}" if scenario.incident_example else ""
        raise Refused(
            f"This scenario needs an incident reference{example}.", code="incident", field="incident"
        )


def _names_an_incident(scenario: Scenario, incident: str) -> bool:
    """As far as the scenario asks for one."""
    return not scenario.incident_pattern or bool(re.fullmatch(scenario.incident_pattern, incident))


def is_not_denied(policy: Policy, terms: Terms, person: PersonId, roster: Roster) -> None:
    """The deny-list. Nothing overrides it, so it is asked again at every later step.

    Raises:
        Refused: with the rule's own reason.
    """
    for rule in policy.deny:
        if _denies(rule, terms, person, roster):
            raise Refused(
                f"The deny-list forbids this, whoever approves: {rule.because}", code="denied", field="access"
            )


def _denies(rule: Deny, terms: Terms, person: PersonId, roster: Roster) -> bool:
    criteria = [
        not rule.people or person in rule.people,
        not rule.roles or person in roster.holders(rule.roles),
        not rule.accesses or any(_fits(terms.access, glob) for glob in rule.accesses),
        not rule.environments or terms.environment in rule.environments,
        all(_fits(terms.scope.get(key, ""), glob) for key, glob in rule.scope.items()),
    ]
    return all(criteria)


def _fits(text: str, glob: str) -> bool:
    """Without regard to case: a rule that is meant to forbid must not be missed by a capital letter."""
    return fnmatch.fnmatchcase(text.casefold(), glob.casefold())


# --- deciding -------------------------------------------------------------------------------------------


def may_approve(request: Request, person: PersonId, roster: Roster) -> int:
    """The tier (from 0) in which `person` may now say yes.

    A human counts once in a request, in whatever groups they are, and never for their own request.

    Raises:
        Stale: it is not, or no longer, waiting for a decision.
        Refused: this person may not decide it.
    """
    if request.state not in {State.AWAITING_APPROVAL, State.AWAITING_MFA}:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if person == request.requester:
        raise Refused("You asked for this yourself; someone else must approve it.", code="self_approval")
    _is_a_colleague(roster.people.get(person))
    if any(approval.by == person for approval in request.approvals):
        raise Refused(
            "Your approval already counts, once. Another person must add theirs.", code="second_vote"
        )
    tier = tier_of(request)
    if person not in roster.holders(request.terms.tiers[tier].roles):
        later = any(person in roster.holders(t.roles) for t in request.terms.tiers[tier + 1 :])
        raise Refused(
            f"This step belongs to {_roles(request.terms.tiers[tier].roles)}; yours comes after it."
            if later
            else f"Only {_roles(request.terms.tiers[tier].roles)} may decide this.",
            code="not_your_tier" if later else "may_not_decide",
        )
    if request.state is State.AWAITING_MFA:
        raise Refused(
            "The requester has not proved who they are yet; wait for the card to say so.", code="no_proof_yet"
        )
    return tier


def may_deny(request: Request, person: PersonId, roster: Roster) -> None:
    """Anyone who may decide in any tier may say no at any time before the grant, also after their own yes.

    Raises:
        Stale: there is nothing left to deny.
        Refused: this person has no say in it.
    """
    if request.state not in PENDING:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if person == request.requester:
        raise Refused("You asked for this yourself; withdraw it instead.", code="self_denial")
    _is_a_colleague(roster.people.get(person))
    approvers = tuple(role for tier in request.terms.tiers for role in tier.roles)
    if person not in roster.holders(approvers):
        raise Refused(f"Only {_roles(approvers)} may decide this.", code="may_not_decide")


def tier_of(request: Request) -> int:
    """The first tier, from 0, that is not full. The number of tiers when all are."""
    for index, tier in enumerate(request.terms.tiers):
        if sum(approval.tier == index for approval in request.approvals) < tier.count:
            return index
    return len(request.terms.tiers)


def missing_votes(request: Request) -> int:
    """How many more humans the current tier needs."""
    index = tier_of(request)
    if index == len(request.terms.tiers):
        return 0
    return request.terms.tiers[index].count - sum(a.tier == index for a in request.approvals)


def after_approval(
    request: Request, person: PersonId, tier: int, proof: Proof | None, now: datetime
) -> list[e.Event]:
    """What `person`'s yes causes: the vote, and when it was the last one, the intention to grant."""
    vote = e.ApprovalGiven(actor=person, tier=tier, proof=proof)
    last = tier == len(request.terms.tiers) - 1 and missing_votes(request) == 1
    if not last:
        return [vote]
    if is_fresh(request, now):
        return [vote, e.QuorumReached(expires_at=now + request.duration)]
    return [vote, e.ProofWentStale(lapses_at=now + CHALLENGE_LIFE)]


def is_fresh(request: Request, now: datetime) -> bool:
    """Whether the requester's proof is young enough to grant on."""
    if request.terms.mfa is Mfa.NONE:
        return True
    return request.proof is not None and now - request.proof.at <= request.terms.mfa_max_age


def still_stands(request: Request, policy: Policy, roster: Roster) -> None:
    """Everything that was true when it was asked is true now. Runs at every click and before the grant.

    Raises:
        Refused: code `policy_changed` when the terms are not the ones that were shown, or the scenario asks
            today for what nobody confirmed; else the guard's.
    """
    terms = may_ask(policy, request.scenario, request.terms.access, request.requester, roster)
    scenario = policy.scenarios[request.scenario]
    as_asked = (
        terms == request.terms
        and set(scenario.criteria) <= set(request.criteria)
        and _names_an_incident(scenario, request.incident)
    )
    if not as_asked:
        raise Refused(
            "The policy for this access changed after it was asked for. Ask again under the new one.",
            code="policy_changed",
        )


def has_quorum(request: Request, roster: Roster) -> None:
    """The approvals on record still carry the grant: each by a colleague who still holds that tier's role.

    Raises:
        Refused: somebody who approved has lost the right to.
    """
    for index, tier in enumerate(request.terms.tiers):
        voters = {approval.by for approval in request.approvals if approval.tier == index}
        for voter in voters:
            _is_a_colleague(roster.people.get(voter))
        if request.requester in voters or len(voters & roster.holders(tier.roles)) < tier.count:
            raise Refused(
                f"An approval no longer counts: that person has left {_roles(tier.roles)}. Ask again.",
                code="approval_void",
            )


# --- proving --------------------------------------------------------------------------------------------


def may_prove(request: Request, person: PersonId) -> None:
    """Only the requester proves for a request, and only while it waits for that."""
    if person != request.requester:
        raise Refused("Only the person who asked can prove this request.", code="not_yours")
    if request.state not in {State.AWAITING_MFA, State.APPROVED_STALE}:
        raise Stale(f"{request.id} {SAYS[request.state]}")


# --- ending ---------------------------------------------------------------------------------------------


def may_withdraw(request: Request, person: PersonId) -> None:
    """The requester may take back what was not granted yet."""
    if person != request.requester:
        raise Refused("Only the person who asked can withdraw this.", code="not_yours")
    if request.state not in PENDING:
        raise Stale(f"{request.id} {SAYS[request.state]}")


def may_revoke(
    request: Request, person: PersonId, policy: Policy, roster: Roster, *, killing: bool = False
) -> Why:
    """The holder hands back; its approvers, security and the operator revoke.

    `killing` is the operator's switch for everything that a person, or anybody, holds. No second factor is
    asked for: this only reduces power.
    """
    if request.state not in HELD or request.state is State.REVOKING:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if person == request.requester:
        return Why.HANDED_BACK
    if person == OPERATOR:
        return Why.KILLED if killing else Why.REVOKED
    _is_a_colleague(roster.people.get(person))
    approvers = tuple(role for tier in request.terms.tiers for role in tier.roles)
    if person not in roster.holders(approvers + policy.security):
        raise Refused(
            f"Only the holder, {_roles(approvers + policy.security)} may end this access. "
            "If it must end now, ask any of them.",
            code="may_not_revoke",
        )
    return Why.REVOKED


def may_see_handoff(request: Request, person: PersonId) -> None:
    """A credential is shown once, to the requester alone."""
    if person != request.requester:
        raise Refused("This credential belongs to the person who asked for it.", code="not_yours")
    if request.state is not State.ACTIVE:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if request.handoff is HandoffState.SHOWN:
        raise Refused(
            "This credential was already shown once. If you lost it, hand the access back and ask again; "
            "if that was not you, revoke it now.",
            code="already_shown",
        )
    if request.handoff is HandoffState.NONE:
        raise Refused("This access has no credential to show: use your own login.", code="no_handoff")


# --- reviewing ------------------------------------------------------------------------------------------


def may_report(request: Request, person: PersonId) -> None:
    """The requester says, once, what was done."""
    if person != request.requester:
        raise Refused("Only the person who held the access can report on it.", code="not_yours")
    if request.state is not State.AWAITING_REVIEW:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if request.report is not None:
        raise Refused("Your report is already on record.", code="already_reported")


def may_review(request: Request, person: PersonId, roster: Roster, now: datetime) -> None:
    """Another human judges: a reviewer who is neither the requester nor the only one who approved."""
    if request.state is not State.AWAITING_REVIEW:
        raise Stale(f"{request.id} {SAYS[request.state]}")
    if person == request.requester:
        raise Refused("You held this access; someone else must review it.", code="self_review")
    _is_a_colleague(roster.people.get(person))
    if person not in roster.holders(request.terms.reviewers):
        raise Refused(f"Only {_roles(request.terms.reviewers)} may review this.", code="may_not_review")
    if {approval.by for approval in request.approvals} == {person}:
        raise Refused(
            "You alone approved this; someone else must judge whether it was right.", code="sole_approver"
        )
    assert request.end is not None
    assert request.end.ended_at is not None
    if request.report is None and now < request.end.ended_at + request.terms.report_within:
        raise Refused(
            "The requester has not reported yet what was done. You can review without it once their time "
            f"({human_duration(request.terms.report_within)} after the end) is over.",
            code="no_report_yet",
        )


def is_said(text: str, what: str, field: str, least: int = 3) -> str:
    """`text` without surrounding space, when it says something visible.

    Raises:
        Refused: it is empty, invisible or too long.
    """
    if len(_visible(text)) < least:
        raise Refused(f"Please say {what}.", code="empty", field=field)
    if len(text) > REASON_MAX:
        raise Refused(
            f"That has {len(text)} characters; {REASON_MAX} is the most.", code="too_long", field=field
        )
    return text.strip()


# --- words ----------------------------------------------------------------------------------------------


def human_duration(duration: timedelta) -> str:
    """`1 h 30 min`, `45 min`, `8 s`."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")) if n]
    return " ".join(parts) or "0 s"


def _visible(text: str) -> str:
    """What a reader would see: no white space, no controls, no zero-width or direction marks."""
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c) not in {"Cc", "Cf"})


def _roles(roles: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(roles)) or "nobody"


def _is_a_colleague(person: Person | None) -> None:
    """A human of this workspace with a full, active account. Everyone else has no authority here.

    Raises:
        Refused: saying which of these is missing.
    """
    if person is None:
        raise Refused("Slack does not know you in this workspace.", code="unknown_person")
    if not person.active:
        raise Refused("This account is deactivated.", code="deactivated")
    if person.is_bot:
        raise Refused("Break-glass access is decided by and given to humans only.", code="bot")
    if person.is_stranger:
        raise Refused("People of other organisations have no say here.", code="stranger")
    if person.is_guest:
        raise Refused("Guest accounts have no say here. Ask a full member of the workspace.", code="guest")


def is_gone(person: Person | None) -> str | None:
    """Why a requester may neither hold nor wait for anything any more; None while they may.

    Losing a role is no reason: others approved what is held, and its end is set. Nor is not being known: only
    what the directory says of somebody takes their access away, never its silence.
    """
    try:
        if person is not None:
            _is_a_colleague(person)
    except Refused as refusal:
        return f"The requester's account is {_INSTEAD[refusal.code]}."
    return None


_INSTEAD: Final = {
    "deactivated": "deactivated",
    "bot": "a bot's now",
    "stranger": "one of another organisation now",
    "guest": "a guest's now",
}
