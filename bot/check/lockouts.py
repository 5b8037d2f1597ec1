"""Who would be locked out on the night it matters. Pure: policy and roster in, findings out.

Every question is asked for each person who may ask, because a human counts once in a whole request and never
for their own. Rule: a finding is an error when it leaves nobody, a warning when it leaves somebody out.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

from bot.backends import Backend
from bot.check.facts import Finding, Severity, Step, colleagues, names
from bot.config import Config
from bot.core.errors import BackendRefused, Refused
from bot.core.model import Mark, Mfa, Order, PersonId, Policy, Roster, Terms
from bot.core.policy import human_duration, is_not_denied

People = frozenset[PersonId]
Reason = TypeVar("Reason", bound=Hashable)


class Gap(NamedTuple):
    """Steps of approval (from 0) that together need more people than there are."""

    steps: tuple[int, ...]
    needed: int
    people: People


def lockouts(
    config: Config,
    roster: Roster,
    backends: Mapping[str, Backend],
    enrolled: Collection[PersonId],
    now: datetime,
) -> Iterator[Finding]:
    """Whatever stops an access from being asked for, approved, granted or reviewed."""
    for terms in config.policy.accesses.values():
        askers = _askers(config.policy, terms, roster)
        if not askers:
            yield _unaskable(config.policy, terms, roster)
            continue
        yield from _approving(terms, askers, roster)
        if terms.backend in backends:
            yield from _granting(config, terms, askers, roster, backend=backends[terms.backend], now=now)
        yield from _reviewing(terms, askers, roster)
    yield from _enrolling(config.policy, roster, enrolled)


# --- asking -----------------------------------------------------------------------------------------------


def _askers(policy: Policy, terms: Terms, roster: Roster) -> People:
    candidates = colleagues(roster, terms.requesters)
    return frozenset(person for person in candidates if not _denial(policy, terms, person, roster))


def _denial(policy: Policy, terms: Terms, person: PersonId, roster: Roster) -> str:
    try:
        is_not_denied(policy, terms, person, roster)
    except Refused as refused:
        return refused.sentence
    return ""


def _unaskable(policy: Policy, terms: Terms, roster: Roster) -> Finding:
    candidates = colleagues(roster, terms.requesters)
    if not candidates:
        return Finding(
            Severity.ERROR,
            f"accesses.{terms.access}.requesters",
            f"Nobody may ask for “{terms.title}”: no full, active account is in {_any(terms.requesters)}.",
            "Add people to these roles, or name another role.",
        )
    rules = sorted({_denial(policy, terms, person, roster) for person in candidates})
    return Finding(
        Severity.ERROR,
        f"accesses.{terms.access}",
        f"Nobody may ask for “{terms.title}”. {' '.join(rules)}",
        "Narrow the rule in [[deny]], or remove the access.",
    )


# --- approving --------------------------------------------------------------------------------------------


def _approving(terms: Terms, askers: People, roster: Roster) -> Iterator[Finding]:
    gaps = {asker: gap for asker in askers if (gap := find_gap(terms, asker, roster))}
    for gap, people in _grouped(gaps):
        steps = " and ".join(str(step + 1) for step in gap.steps)
        need = f"step {steps} needs" if len(gap.steps) == 1 else f"steps {steps} together need"
        humans = "one person" if gap.needed == 1 else f"{gap.needed} different people"
        others = f"only {names(gap.people, roster)}" if gap.people else "nobody"
        yield Finding(
            _severity(gaps, askers),
            f"accesses.{terms.access}.approval",
            f"“{terms.title}” can never be approved{_only('for', people, askers, roster)}: "
            f"{need} {humans} besides the requester, and there is {others}.",
            "Add people to the roles of these steps, or lower their count.",
        )


def find_gap(terms: Terms, asker: PersonId, roster: Roster) -> Gap | None:
    """Why `asker` cannot be approved by distinct humans other than themselves; None when they can.

    Each vote is given to a person, earlier votes moving to other people where that helps (augmenting paths).
    When a vote finds no one, the people tried on the way, and the steps whose votes they hold, violate Hall's
    condition: that is the gap.
    """
    pools = [colleagues(roster, tier.roles) - {asker} for tier in terms.tiers]
    votes = [step for step, tier in enumerate(terms.tiers) for _ in range(tier.count)]
    held: dict[PersonId, int] = {}

    def place(vote: int, tried: set[PersonId]) -> bool:
        for person in sorted(pools[votes[vote]] - tried):
            tried.add(person)
            if person not in held or place(held[person], tried):
                held[person] = vote
                return True
        return False

    for vote, step in enumerate(votes):
        tried: set[PersonId] = set()
        if not place(vote, tried):
            steps = tuple(sorted({step, *(votes[held[person]] for person in tried)}))
            return Gap(steps, sum(terms.tiers[number].count for number in steps), frozenset(tried))
    return None


# --- granting ---------------------------------------------------------------------------------------------


def _granting(
    config: Config, terms: Terms, askers: People, roster: Roster, *, backend: Backend, now: datetime
) -> Iterator[Finding]:
    refusals: dict[PersonId, str] = {}
    for asker in askers:
        order = Order(
            mark=Mark(f"bg-{config.installation}-000000"),
            principal=config.principal(terms.backend, asker),
            scope=terms.scope,
            expires_at=now + max(terms.durations),
        )
        try:
            backend.ending(order)
        except BackendRefused as refused:
            refusals[asker] = str(refused)
    for refusal, people in _grouped(refusals):
        yield Finding(
            _severity(refusals, askers),
            f"accesses.{terms.access}",
            f"“{terms.title}” cannot be granted{_only('to', people, askers, roster)}. "
            f"{terms.backend} says: {refusal}",
            f"Name them in [backends.{terms.backend}.people], or mend the scope of the access.",
        )


# --- reviewing --------------------------------------------------------------------------------------------


def _reviewing(terms: Terms, askers: People, roster: Roster) -> Iterator[Finding]:
    key = f"accesses.{terms.access}"
    reviewers = colleagues(roster, terms.reviewers)
    unreviewed = frozenset(asker for asker in askers if not _is_reviewable(terms, asker, reviewers, roster))
    if unreviewed:
        yield Finding(
            _severity(unreviewed, askers),
            f"{key}.reviewers",
            f"A use of “{terms.title}”{_only('by', unreviewed, askers, roster)} can never be reviewed: "
            "a reviewer is neither the requester nor the only one who approved, and the reviewers are "
            f"{names(reviewers, roster)}.",
            f"Add people to {_any(terms.reviewers)}, or name another role.",
        )
    if terms.report_within >= terms.review_within:
        yield Finding(
            Severity.WARNING,
            f"{key}.report_within",
            f"A use of “{terms.title}” must be reviewed within {human_duration(terms.review_within)}, "
            f"but the requester may take {human_duration(terms.report_within)} to report on it first.",
            "Make report_within shorter than review_within.",
        )


def _is_reviewable(terms: Terms, asker: PersonId, reviewers: People, roster: Roster) -> bool:
    others = reviewers - {asker}
    if sum(tier.count for tier in terms.tiers) > 1:
        return bool(others)
    approvers = colleagues(roster, terms.tiers[0].roles) - {asker}
    return any(not approvers or approvers - {reviewer} for reviewer in others)


# --- proving ----------------------------------------------------------------------------------------------


def _enrolling(policy: Policy, roster: Roster, enrolled: Collection[PersonId]) -> Iterator[Finding]:
    needed: defaultdict[PersonId, set[str]] = defaultdict(set)
    for terms in policy.accesses.values():
        if terms.mfa is Mfa.TOTP:
            for person in _askers(policy, terms, roster):
                needed[person].add(f"get “{terms.title}”")
        if terms.approver_mfa is Mfa.TOTP:
            for person in colleagues(roster, (role for tier in terms.tiers for role in tier.roles)):
                needed[person].add(f"approve “{terms.title}”")
    for person in sorted(needed.keys() - set(enrolled)):
        role = next(name for name, members in roster.roles.items() if person in members)
        yield Finding(
            Severity.WARNING,
            f"roles.{role}",
            f"{names([person], roster)} has no second factor yet, "
            f"and so cannot {_any(sorted(needed[person]))}.",
            f"Start the server, then give them a token: breakglass enroll --person {person}",
            Step.FACTORS,
        )


# --- words ------------------------------------------------------------------------------------------------


def _grouped(reasons: Mapping[PersonId, Reason]) -> list[tuple[Reason, People]]:
    """Each reason with everybody it holds for: one finding instead of one for each of them."""
    groups: defaultdict[Reason, set[PersonId]] = defaultdict(set)
    for person in sorted(reasons):
        groups[reasons[person]].add(person)
    return [(reason, frozenset(people)) for reason, people in groups.items()]


def _severity(affected: Collection[PersonId], askers: People) -> Severity:
    return Severity.ERROR if len(affected) == len(askers) else Severity.WARNING


def _only(word: str, people: People, askers: People, roster: Roster) -> str:
    """Whom it is about; nothing when it is about everybody who may ask."""
    return "" if people == askers else f" {word} {names(people, roster)}"


def _any(words: Collection[str]) -> str:
    return " or ".join(words) or "no role"
