"""Every guard, one sentence each: who may, how long, how many, what next."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import canonical
from bot.core import events as e
from bot.core import machine, policy
from bot.core.errors import Refused, Stale
from bot.core.model import (
    OPERATOR,
    PENDING,
    Approval,
    Deny,
    HandoffState,
    Mfa,
    Person,
    PersonId,
    Request,
    Roster,
    State,
    Terms,
    Tier,
    Why,
)
from tests.core.samples import (
    ANNA,
    BEN,
    CARA,
    DORA,
    EMIL,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    ROSTER,
    SCENARIO,
    TERMS,
    lived,
    opened,
    policy_of,
    proof,
    request_in,
    requests_in,
    roster_of,
    said,
)

TWO_TIERS = replace(TERMS, tiers=(Tier(("leads",), 2), Tier(("security",))))
FRESH = e.ProofAccepted(actor=ANNA, proof=proof())


def refused(guard: Callable[..., object], *args: object, **kwargs: object) -> Refused:
    with pytest.raises(Refused) as caught:
        guard(*args, **kwargs)
    assert caught.value.sentence.endswith((".", "?", "]")), "a refusal is a sentence for a person"
    return caught.value


def waiting(terms: Terms = TERMS, *votes: tuple[PersonId, int]) -> Request:
    """A request in AWAITING_APPROVAL with these votes."""
    approvals = (e.ApprovalGiven(actor=who, tier=tier) for who, tier in votes)
    return lived((FRESH, *approvals), opened(terms=terms))


# --- who is a colleague ---------------------------------------------------------------------------------

NO_AUTHORITY = {
    "deactivated": replace(PEOPLE[ANNA], active=False),
    "bot": replace(PEOPLE[ANNA], is_bot=True),
    "stranger": replace(PEOPLE[ANNA], is_stranger=True),
    "guest": replace(PEOPLE[ANNA], is_guest=True),
}


def without(person: PersonId, roster: Roster = ROSTER) -> Roster:
    return replace(roster, people={id: who for id, who in roster.people.items() if id != person})


@pytest.mark.parametrize("code", [*NO_AUTHORITY, "unknown_person"])
def test_whoever_is_no_active_full_member_has_no_say_in_anything(code: str) -> None:
    """In every role there is; with one flag each, so that no flag hides behind another."""
    everything: dict[str, set[PersonId]] = {"oncall": {BEN}, "leads": {ANNA}, "security": {ANNA}}
    roster = roster_of(**everything)
    roster = (
        without(ANNA, roster)
        if code == "unknown_person"
        else replace(roster, people={**roster.people, ANNA: NO_AUTHORITY[code]})
    )
    pending = lived((replace(FRESH, actor=BEN),), opened(actor=BEN))
    active = replace(request_in(State.ACTIVE), requester=BEN)
    ended = replace(request_in(State.AWAITING_REVIEW), requester=BEN)
    asks = replace(roster, roles={**roster.roles, "oncall": frozenset({ANNA})})
    assert refused(policy.may_ask, policy_of(), SCENARIO.key, "prod-db", ANNA, asks).code == code
    assert refused(policy.may_approve, pending, ANNA, roster).code == code
    assert refused(policy.may_deny, pending, ANNA, roster).code == code
    assert refused(policy.may_revoke, active, ANNA, policy_of(), roster).code == code
    assert refused(policy.may_review, ended, ANNA, roster, NOW + 48 * HOUR).code == code
    assert policy.scenarios_for(policy_of(), ANNA, asks) == []


# --- asking ---------------------------------------------------------------------------------------------


def test_who_holds_the_role_gets_the_terms_as_they_stand() -> None:
    assert policy.may_ask(policy_of(), SCENARIO.key, "prod-db", ANNA, ROSTER) is TERMS


@pytest.mark.parametrize(
    ("scenario", "access", "code", "field"),
    [
        ("no-such", "prod-db", "no_scenario", "scenario"),
        (SCENARIO.key, "no-such", "not_offered", "access"),
        (SCENARIO.key, "hidden", "not_offered", "access"),
    ],
)
def test_an_access_is_asked_for_through_a_scenario_that_offers_it(
    scenario: str, access: str, code: str, field: str
) -> None:
    rules = policy_of(accesses={"prod-db": TERMS, "hidden": replace(TERMS, access="hidden")})
    refusal = refused(policy.may_ask, rules, scenario, access, ANNA, ROSTER)
    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("requesters", [(), ("no-such-role",), ("leads",)])
def test_an_empty_an_unknown_and_another_role_let_nobody_ask(requesters: tuple[str, ...]) -> None:
    rules = policy_of(replace(TERMS, requesters=requesters))
    refusal = refused(policy.may_ask, rules, SCENARIO.key, "prod-db", ANNA, ROSTER)
    assert (refusal.code, refusal.field) == ("may_not_ask", "access")
    if not requesters:
        assert "open to: nobody" in refusal.sentence


def test_what_somebody_may_not_ask_for_is_not_offered_to_them() -> None:
    other = replace(TERMS, access="staging-db", requesters=("leads",))
    rules = policy_of(TERMS, other)
    ((scenario, terms),) = policy.scenarios_for(rules, ANNA, ROSTER)
    assert (scenario.key, terms) == (SCENARIO.key, [TERMS])
    assert policy.scenarios_for(rules, EMIL, ROSTER) == []


def form(**changes: Any) -> Mapping[str, Any]:  # noqa: ANN401  fields of the form
    return {
        "criteria": SCENARIO.criteria,
        "duration": HOUR,
        "reason": "It lags by an hour.",
        "incident": "",
        **changes,
    }


def test_a_form_that_is_filled_in_well_is_met_with_silence() -> None:
    policy.is_well_asked(SCENARIO, TERMS, **form())
    backwards = tuple(reversed(SCENARIO.criteria))
    policy.is_well_asked(SCENARIO, TERMS, **form(criteria=backwards, duration=15 * MINUTE))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("criteria", ()),
        ("criteria", SCENARIO.criteria[:1]),
        ("criteria", ("Customers are affected", "No runbook helps.")),
        ("duration", timedelta(0)),
        ("duration", 16 * MINUTE),
        ("duration", -HOUR),
        ("duration", 24 * HOUR),
        ("reason", ""),
        ("reason", "   too short   "[:12]),
        ("reason", " " * 200),
        ("reason", "\u200b" * 200),
        ("reason", "\u200b\u200c\u200d\u2060\ufeff\u202e\u2066\u00ad" * 20),
        ("reason", "a\u200b" * 9),
        ("reason", "\n\t\u2028\u3000" * 50),
        ("reason", "\u0000\u001b" * 50),
        ("reason", "x" * (policy.REASON_MAX + 1)),
    ],
)
def test_a_mistake_in_the_form_names_its_field(field: str, value: object) -> None:
    refusal = refused(policy.is_well_asked, SCENARIO, TERMS, **form(**{field: value}))
    assert (refusal.field, refusal.code) == (field, field)


@pytest.mark.parametrize(
    "reason", ["exactly 12.", "日本語で十文字の理由です。", "naïve reäson", "x" * policy.REASON_MAX]
)
def test_a_visible_reason_of_the_right_length_is_enough_in_any_script(reason: str) -> None:
    policy.is_well_asked(SCENARIO, TERMS, **form(reason=reason))


@pytest.mark.parametrize("incident", ["", "INC", "INC-", "XINC-42", "INC-42 ", "INC-42\n", "inc-42"])
def test_an_incident_reference_must_match_whole(incident: str) -> None:
    scenario = replace(SCENARIO, incident_pattern="INC-[0-9]+", incident_example="INC-42")
    refusal = refused(policy.is_well_asked, scenario, TERMS, **form(incident=incident))
    assert (refusal.code, refusal.field) == ("incident", "incident")
    assert "for example INC-42" in refusal.sentence


def test_an_incident_reference_that_matches_is_enough_and_none_is_asked_for_without_a_pattern() -> None:
    scenario = replace(SCENARIO, incident_pattern="INC-[0-9]+")
    policy.is_well_asked(scenario, TERMS, **form(incident="INC-42"))
    policy.is_well_asked(SCENARIO, TERMS, **form(incident="whatever"))
    assert "for example" not in refused(policy.is_well_asked, scenario, TERMS, **form()).sentence


# --- the deny-list --------------------------------------------------------------------------------------

MATCHING = {
    "people": frozenset({ANNA}),
    "roles": ("oncall",),
    "accesses": ("prod-*",),
    "environments": ("production",),
    "scope": {"role": "*_ro"},
}
MISSING = {
    "people": frozenset({BEN}),
    "roles": ("leads",),
    "accesses": ("staging-*",),
    "environments": ("staging",),
    "scope": {"role": "*superuser*"},
}


def deny(**criteria: Any) -> Deny:  # noqa: ANN401  fields of Deny
    return Deny(because="Nobody does that here.", **criteria)


@pytest.mark.parametrize("criterion", MATCHING)
def test_a_rule_with_one_criterion_that_matches_denies(criterion: str) -> None:
    rules = policy_of(deny=(deny(**{criterion: MATCHING[criterion]}),))
    refusal = refused(policy.is_not_denied, rules, TERMS, ANNA, ROSTER)
    assert (refusal.code, refusal.field) == ("denied", "access")
    assert "Nobody does that here." in refusal.sentence
    assert refused(policy.may_ask, rules, SCENARIO.key, "prod-db", ANNA, ROSTER).code == "denied"


@pytest.mark.parametrize("criterion", MATCHING)
def test_a_rule_denies_only_when_every_criterion_matches(criterion: str) -> None:
    rules = policy_of(deny=(deny(**{**MATCHING, criterion: MISSING[criterion]}),))
    policy.is_not_denied(rules, TERMS, ANNA, ROSTER)
    assert refused(policy.is_not_denied, policy_of(deny=(deny(**MATCHING),)), TERMS, ANNA, ROSTER)


def test_a_rule_without_criteria_denies_everything() -> None:
    assert refused(policy.is_not_denied, policy_of(deny=(deny(),)), TERMS, EMIL, ROSTER).code == "denied"


@pytest.mark.parametrize(
    ("pattern", "value", "denied"),
    [
        ("prod_ro", "prod_ro", True),
        ("prod", "prod_ro", False),
        ("prod?ro", "prod_ro", True),
        ("*superuser*", "pg_superuser_2", True),
        ("[ab]*", "b2", True),
        ("*", "", True),
        ("SUPERUSER", "superuser", True),
    ],
)
def test_patterns_match_the_whole_value_in_whatever_case(pattern: str, value: str, denied: bool) -> None:
    terms = replace(TERMS, access=value, scope={"role": value})
    for rule in (deny(accesses=(pattern,)), deny(scope={"role": pattern})):
        assert policy._denies(rule, terms, ANNA, ROSTER) is denied


def test_a_scope_without_the_key_is_matched_as_an_empty_value() -> None:
    assert not policy._denies(deny(scope={"database": "?*"}), TERMS, ANNA, ROSTER)
    assert policy._denies(deny(scope={"database": "*"}), TERMS, ANNA, ROSTER)


def test_the_second_rule_denies_when_the_first_does_not() -> None:
    rules = policy_of(deny=(deny(environments=("staging",)), deny(environments=("production",))))
    assert refused(policy.is_not_denied, rules, TERMS, ANNA, ROSTER).code == "denied"


# --- approving ------------------------------------------------------------------------------------------


def test_a_holder_of_the_tiers_role_may_approve_in_it() -> None:
    assert policy.may_approve(waiting(), BEN, ROSTER) == 0
    assert policy.may_approve(waiting(TWO_TIERS, (BEN, 0), (CARA, 0)), DORA, ROSTER) == 1


@pytest.mark.parametrize("overlap", [("leads",), ("security",), ("oncall", "leads", "security")])
def test_nobody_approves_their_own_request_whatever_groups_overlap(overlap: tuple[str, ...]) -> None:
    """Admin or not: there is no role that lifts this."""
    roster = roster_of(**{role: {ANNA, BEN, CARA, DORA} for role in overlap})
    assert refused(policy.may_approve, waiting(), ANNA, roster).code == "self_approval"
    assert refused(policy.may_approve, waiting(TWO_TIERS, (BEN, 0)), ANNA, roster).code == "self_approval"


def test_a_second_approval_by_the_same_person_counts_once() -> None:
    assert refused(policy.may_approve, waiting(TWO_TIERS, (BEN, 0)), BEN, ROSTER).code == "second_vote"


def test_a_person_in_every_tier_counts_once() -> None:
    everywhere = roster_of(leads={BEN, CARA}, security={BEN, DORA})
    full = waiting(TWO_TIERS, (BEN, 0), (CARA, 0))
    assert refused(policy.may_approve, full, BEN, everywhere).code == "second_vote"
    assert policy.may_approve(full, DORA, everywhere) == 1


@pytest.mark.parametrize("roles", [(), ("no-such-role",)])
def test_an_empty_or_unknown_list_of_approvers_approves_nobody(roles: tuple[str, ...]) -> None:
    request = waiting(replace(TERMS, tiers=(Tier(roles),)))
    for person in (BEN, CARA, DORA, EMIL):
        assert refused(policy.may_approve, request, person, ROSTER).code == "may_not_decide"


def test_a_later_tier_waits_for_its_turn() -> None:
    assert refused(policy.may_approve, waiting(TWO_TIERS), DORA, ROSTER).code == "not_your_tier"
    full = waiting(TWO_TIERS, (BEN, 0), (CARA, 0))
    assert refused(policy.may_approve, full, EMIL, ROSTER).code == "may_not_decide"


def test_nobody_approves_before_the_requester_proved_who_they_are() -> None:
    request = request_in(State.AWAITING_MFA)
    assert refused(policy.may_approve, request, BEN, ROSTER).code == "no_proof_yet"
    assert refused(policy.may_approve, request, EMIL, ROSTER).code == "may_not_decide"


@pytest.mark.parametrize("state", sorted(set(State) - {State.AWAITING_MFA, State.AWAITING_APPROVAL}))
def test_a_click_that_comes_too_late_to_approve_is_stale(state: State) -> None:
    for request in requests_in(state):
        with pytest.raises(Stale):
            policy.may_approve(request, BEN, ROSTER)


def test_tiers_fill_from_the_first_and_each_vote_counts_in_its_own() -> None:
    one, two, three = ((BEN, 0), (CARA, 0), (DORA, 1))
    told = [
        (policy.tier_of(request), policy.missing_votes(request))
        for request in (
            waiting(TWO_TIERS),
            waiting(TWO_TIERS, one),
            waiting(TWO_TIERS, one, two),
            waiting(TWO_TIERS, one, two, three),
        )
    ]
    assert told == [(0, 2), (0, 1), (1, 1), (2, 0)]


def test_only_the_last_vote_that_is_missing_causes_the_grant() -> None:
    vote = e.ApprovalGiven(actor=CARA, tier=0)
    assert policy.after_approval(waiting(TWO_TIERS), CARA, 0, None, NOW) == [vote]
    assert policy.after_approval(waiting(TWO_TIERS, (BEN, 0)), CARA, 0, None, NOW) == [vote]
    last = policy.after_approval(waiting(TWO_TIERS, (BEN, 0), (CARA, 0)), DORA, 1, None, NOW)
    assert last == [e.ApprovalGiven(actor=DORA, tier=1), e.QuorumReached(expires_at=NOW + 15 * MINUTE)]


def test_a_vote_carries_its_own_proof() -> None:
    mine = proof(NOW, BEN)
    assert policy.after_approval(waiting(), BEN, 0, mine, NOW)[0] == e.ApprovalGiven(
        actor=BEN, tier=0, proof=mine
    )


def test_a_slow_approval_asks_the_requester_for_one_fresh_code_within_ten_minutes() -> None:
    late = NOW + TERMS.mfa_max_age + timedelta(microseconds=1)
    assert policy.after_approval(waiting(), BEN, 0, None, late)[1:] == [
        e.ProofWentStale(lapses_at=late + 10 * MINUTE)
    ]


@pytest.mark.parametrize(
    ("age", "fresh"),
    [
        (timedelta(0), True),
        (TERMS.mfa_max_age, True),
        (TERMS.mfa_max_age + timedelta(microseconds=1), False),
        (HOUR, False),
    ],
)
def test_a_proof_is_fresh_up_to_its_greatest_age_and_not_a_moment_longer(age: timedelta, fresh: bool) -> None:
    assert policy.is_fresh(waiting(), NOW + age) is fresh


def test_no_proof_is_never_fresh_unless_none_is_asked_for() -> None:
    assert not policy.is_fresh(request_in(State.AWAITING_MFA), NOW)
    assert policy.is_fresh(request_in(State.AWAITING_MFA, replace(TERMS, mfa=Mfa.NONE)), NOW + HOUR)


# --- denying --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(PENDING))
@pytest.mark.parametrize("person", [BEN, DORA])
def test_anyone_of_any_tier_may_deny_at_any_time_before_the_grant(state: State, person: PersonId) -> None:
    policy.may_deny(request_in(state, TWO_TIERS), person, ROSTER)


def test_an_approver_may_still_deny_after_their_own_yes() -> None:
    policy.may_deny(waiting(TWO_TIERS, (BEN, 0)), BEN, ROSTER)


@pytest.mark.parametrize("state", sorted(set(State) - PENDING))
def test_there_is_nothing_left_to_deny_once_it_is_granted_or_over(state: State) -> None:
    with pytest.raises(Stale):
        policy.may_deny(request_in(state), BEN, ROSTER)


@pytest.mark.parametrize(("person", "code"), [(ANNA, "self_denial"), (EMIL, "may_not_decide")])
def test_the_requester_and_people_without_a_say_cannot_deny(person: PersonId, code: str) -> None:
    roster = roster_of(leads={ANNA, BEN})
    assert refused(policy.may_deny, waiting(), person, roster).code == code


# --- what was true is true ------------------------------------------------------------------------------


def test_an_unchanged_policy_still_stands() -> None:
    policy.still_stands(waiting(), policy_of(), ROSTER)


@pytest.mark.parametrize(
    "change",
    [
        {"scope": {"role": "prod_rw"}},
        {"tiers": (Tier(("leads",), 2),)},
        {"durations": (15 * MINUTE,)},
        {"mfa_max_age": HOUR},
        {"title": "Production database"},
        {"approver_mfa": Mfa.TOTP},
    ],
)
def test_terms_that_are_not_those_that_were_shown_do_not_stand(change: dict[str, Any]) -> None:
    rules = policy_of(replace(TERMS, **change))
    assert refused(policy.still_stands, waiting(), rules, ROSTER).code == "policy_changed"


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        ({"criteria": ("Customers are affected.", "The director agrees.")}, False),
        ({"criteria": (*SCENARIO.criteria, "The director agrees.")}, False),
        ({"criteria": SCENARIO.criteria[:1]}, True),
        ({"criteria": SCENARIO.criteria[::-1]}, True),
        ({"incident_pattern": r"PROD-\d+"}, False),
        ({"incident_pattern": r"INC-\d+"}, True),
        ({"title": "The replica lags", "incident_example": "INC-1"}, True),
    ],
)
def test_what_was_confirmed_still_has_to_be_all_that_the_scenario_asks(
    change: dict[str, Any], stands: bool
) -> None:
    rules = policy_of(scenarios={SCENARIO.key: replace(SCENARIO, **change)})
    if stands:
        policy.still_stands(waiting(), rules, ROSTER)
    else:
        assert refused(policy.still_stands, waiting(), rules, ROSTER).code == "policy_changed"


@pytest.mark.parametrize(
    ("rules", "roster", "code"),
    [
        (policy_of(deny=(deny(people=frozenset({ANNA})),)), ROSTER, "denied"),
        (policy_of(scenarios={}), ROSTER, "no_scenario"),
        (policy_of(accesses={}), ROSTER, "not_offered"),
        (policy_of(), roster_of(oncall={BEN}), "may_not_ask"),
        (policy_of(), roster_of(replace(PEOPLE[ANNA], active=False)), "deactivated"),
    ],
    ids=["denied now", "scenario gone", "access gone", "role lost", "account closed"],
)
def test_what_would_be_refused_now_no_longer_stands(rules: Any, roster: Roster, code: str) -> None:  # noqa: ANN401  Policy
    assert refused(policy.still_stands, waiting(), rules, roster).code == code


def test_terms_that_came_back_from_the_database_are_the_same_terms() -> None:
    """`still_stands` compares a stored copy: a difference in kind only would let everything lapse."""
    stored = canonical.decode(Terms, canonical.encode(TERMS))
    assert stored is not TERMS
    policy.still_stands(waiting(stored), policy_of(), ROSTER)


def quorum(terms: Terms = TWO_TIERS) -> Request:
    return waiting(terms, (BEN, 0), (CARA, 0), (DORA, 1))


def test_a_full_quorum_of_people_who_still_hold_their_roles_carries_the_grant() -> None:
    policy.has_quorum(quorum(), ROSTER)


@pytest.mark.parametrize(
    ("roster", "code"),
    [
        (roster_of(leads={CARA}), "approval_void"),
        (roster_of(security=set()), "approval_void"),
        (roster_of(leads={DORA}, security={BEN, CARA}), "approval_void"),
        (roster_of(replace(PEOPLE[BEN], active=False)), "deactivated"),
        (roster_of(replace(PEOPLE[DORA], is_guest=True)), "guest"),
        (without(CARA), "unknown_person"),
    ],
    ids=["left the role", "role emptied", "roles swapped", "deactivated", "now a guest", "gone"],
)
def test_an_approval_by_somebody_who_lost_the_right_is_void(roster: Roster, code: str) -> None:
    assert refused(policy.has_quorum, quorum(), roster).code == code


def test_too_few_votes_are_no_quorum_and_neither_is_one_human_twice() -> None:
    assert refused(policy.has_quorum, waiting(TWO_TIERS, (BEN, 0), (DORA, 1)), ROSTER).code == "approval_void"
    twice = waiting(TWO_TIERS, (BEN, 0), (BEN, 0), (DORA, 1))
    assert refused(policy.has_quorum, twice, ROSTER).code == "approval_void"


def test_the_requesters_own_vote_voids_a_quorum_even_if_it_got_on_record() -> None:
    request = replace(quorum(), approvals=(*quorum().approvals, Approval(ANNA, 0, NOW)))
    roster = roster_of(leads={ANNA, BEN, CARA})
    assert refused(policy.has_quorum, request, roster).code == "approval_void"


# --- proving, withdrawing, ending -----------------------------------------------------------------------

ONLY_THE_REQUESTER: Mapping[str, tuple[Callable[[Request, PersonId], None], frozenset[State]]] = {
    "prove": (policy.may_prove, frozenset({State.AWAITING_MFA, State.APPROVED_STALE})),
    "withdraw": (policy.may_withdraw, PENDING),
    "report": (policy.may_report, frozenset({State.AWAITING_REVIEW})),
    "see the handoff": (policy.may_see_handoff, frozenset({State.ACTIVE})),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", ONLY_THE_REQUESTER)
def test_only_the_requester_may_and_only_in_its_time(verb: str, state: State) -> None:
    guard, states = ONLY_THE_REQUESTER[verb]
    request = request_in(state)
    for person in (BEN, DORA, EMIL, OPERATOR):
        assert refused(guard, request, person).code == "not_yours"
    if state in states:
        guard(request, ANNA)
    else:
        with pytest.raises(Stale):
            guard(request, ANNA)


@pytest.mark.parametrize("state", [State.GRANTING, State.ACTIVE])
@pytest.mark.parametrize(
    ("person", "why"),
    [(ANNA, Why.HANDED_BACK), (BEN, Why.REVOKED), (DORA, Why.REVOKED), (OPERATOR, Why.REVOKED)],
)
def test_holder_approvers_security_and_operator_may_end_an_access(
    state: State, person: PersonId, why: Why
) -> None:
    assert policy.may_revoke(request_in(state), person, policy_of(), ROSTER) is why


def test_a_holder_whose_account_is_closed_may_still_hand_back() -> None:
    roster = roster_of(NO_AUTHORITY["deactivated"])
    assert policy.may_revoke(request_in(State.ACTIVE), ANNA, policy_of(), roster) is Why.HANDED_BACK


def test_the_kill_switch_is_the_operators_and_for_others_an_end_like_any_other() -> None:
    for who, why in ((OPERATOR, Why.KILLED), (DORA, Why.REVOKED), (ANNA, Why.HANDED_BACK)):
        active = request_in(State.ACTIVE)
        assert policy.may_revoke(active, who, policy_of(), ROSTER, killing=True) is why


def test_a_colleague_without_any_of_these_roles_may_not() -> None:
    refusal = refused(policy.may_revoke, request_in(State.ACTIVE), EMIL, policy_of(), ROSTER)
    assert refusal.code == "may_not_revoke"
    assert "leads or security" in refusal.sentence


@pytest.mark.parametrize("state", sorted(set(State) - {State.GRANTING, State.ACTIVE}))
def test_what_is_not_held_or_is_ending_already_cannot_be_ended_again(state: State) -> None:
    with pytest.raises(Stale):
        policy.may_revoke(request_in(state), DORA, policy_of(), ROSTER)


@pytest.mark.parametrize(
    ("handoff", "code"), [(HandoffState.SHOWN, "already_shown"), (HandoffState.NONE, "no_handoff")]
)
def test_a_credential_is_shown_once_and_only_if_there_is_one(handoff: HandoffState, code: str) -> None:
    request = replace(request_in(State.ACTIVE), handoff=handoff)
    assert refused(policy.may_see_handoff, request, ANNA).code == code


# --- reviewing ------------------------------------------------------------------------------------------

REPORTED = machine.apply(
    request_in(State.AWAITING_REVIEW), e.ReportFiled(actor=ANNA, report=said("done")), NOW
)


def test_a_report_is_filed_once() -> None:
    assert refused(policy.may_report, REPORTED, ANNA).code == "already_reported"


def test_another_reviewer_may_judge_once_the_requester_has_reported() -> None:
    policy.may_review(REPORTED, CARA, ROSTER, NOW)


@pytest.mark.parametrize(
    ("person", "code"), [(ANNA, "self_review"), (BEN, "sole_approver"), (EMIL, "may_not_review")]
)
def test_the_holder_the_only_approver_and_people_without_the_role_may_not_review(
    person: PersonId, code: str
) -> None:
    roster = roster_of(leads={ANNA, BEN, CARA})
    assert refused(policy.may_review, REPORTED, person, roster, NOW).code == code


def test_one_of_several_approvers_may_review() -> None:
    request = replace(REPORTED, approvals=(Approval(BEN, 0, NOW), Approval(CARA, 0, NOW)))
    policy.may_review(request, BEN, ROSTER, NOW)


def test_a_review_without_a_report_waits_until_the_requesters_time_is_over() -> None:
    request = request_in(State.AWAITING_REVIEW)
    over = NOW + TERMS.report_within
    early = over - timedelta(microseconds=1)
    assert refused(policy.may_review, request, CARA, ROSTER, early).code == "no_report_yet"
    policy.may_review(request, CARA, ROSTER, over)


@pytest.mark.parametrize("state", sorted(set(State) - {State.AWAITING_REVIEW}))
def test_only_what_waits_for_its_review_can_be_reviewed(state: State) -> None:
    with pytest.raises(Stale):
        policy.may_review(request_in(state), CARA, ROSTER, NOW)


@pytest.mark.parametrize("roles", [(), ("no-such-role",)])
def test_an_empty_or_unknown_list_of_reviewers_lets_nobody_review(roles: tuple[str, ...]) -> None:
    request = replace(REPORTED, terms=replace(TERMS, reviewers=roles))
    assert refused(policy.may_review, request, CARA, ROSTER, NOW).code == "may_not_review"


# --- words ----------------------------------------------------------------------------------------------


def test_what_is_said_comes_back_without_surrounding_space() -> None:
    assert policy.is_said("  use the runbook\n", "why not", "reason") == "use the runbook"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("\u200b\u200b\u200b", "empty"),
        ("ab", "empty"),
        ("x" * 3001, "too_long"),
    ],
)
def test_silence_and_floods_are_refused_at_their_field(text: str, code: str) -> None:
    refusal = refused(policy.is_said, text, "why not", "reason")
    assert (refusal.code, refusal.field) == (code, "reason")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=8), "8 s"),
        (45 * MINUTE, "45 min"),
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (timedelta(days=2, seconds=1), "2 d 1 s"),
    ],
)
def test_durations_read_as_people_say_them(duration: timedelta, text: str) -> None:
    assert policy.human_duration(duration) == text


# --- whatever the roles are -----------------------------------------------------------------------------

ALL = sorted(PEOPLE)
GROUPS = st.fixed_dictionaries(
    {role: st.frozensets(st.sampled_from(ALL)) for role in ("oncall", "leads", "security", "others")}
)
TIERS = st.lists(
    st.builds(
        Tier,
        st.lists(st.sampled_from(["leads", "security", "others", "no-such"]), max_size=3).map(tuple),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(GROUPS, TIERS, st.permutations(ALL))
def test_votes_only_ever_come_from_distinct_others_who_hold_the_role(
    groups: Mapping[str, frozenset[PersonId]], tiers: tuple[Tier, ...], order: list[PersonId]
) -> None:
    """Everybody presses Approve twice, in any order: a grant means a full quorum without the requester."""
    roster = Roster(PEOPLE, groups)
    request = waiting(replace(TERMS, tiers=tiers))
    for person in (*order, *order):
        try:
            tier = policy.may_approve(request, person, roster)
        except (Refused, Stale):
            continue
        caused = policy.after_approval(request, person, tier, None, NOW)
        for event in caused:
            request = machine.apply(request, event, NOW)
    voters = [approval.by for approval in request.approvals]
    assert ANNA not in voters, "the requester never counts"
    assert len(voters) == len(set(voters)), "one human counts once"
    for approval in request.approvals:
        assert approval.by in roster.holders(tiers[approval.tier].roles)
    if request.state is State.GRANTING:
        policy.has_quorum(request, roster)
        for index, tier_ in enumerate(tiers):
            assert sum(approval.tier == index for approval in request.approvals) == tier_.count
    else:
        assert refused(policy.has_quorum, request, roster).code == "approval_void"


@pytest.mark.parametrize("state", sorted(PENDING))
def test_silence_never_approves(state: State) -> None:
    """Facts that need no human lead from a pending request to its lapse and nowhere else."""
    by_hand = {e.ProofAccepted, e.MfaNotRequired, e.ApprovalGiven, e.RequestDenied, e.RequestWithdrawn}
    after_a_vote = {e.QuorumReached, e.ProofWentStale, e.Activated}
    alone = set(machine.TRANSITIONS[state]) - by_hand - after_a_vote
    assert alone == {e.RequestLapsed}
    assert machine.TRANSITIONS[state][e.RequestLapsed] is State.LAPSED


PATTERNS = st.sampled_from(["*", "prod-*", "staging", "*_ro", "x", ""])
RULES = st.builds(
    Deny,
    st.just("No."),
    people=st.frozensets(st.sampled_from(ALL), max_size=2),
    roles=st.lists(st.sampled_from(["oncall", "leads", "no-such"]), max_size=2).map(tuple),
    accesses=st.lists(PATTERNS, max_size=2).map(tuple),
    environments=st.lists(st.sampled_from(["production", "staging"]), max_size=2).map(tuple),
    scope=st.dictionaries(st.sampled_from(["role", "database"]), PATTERNS, max_size=2),
)


@given(st.lists(RULES, max_size=3).map(tuple), RULES, GROUPS)
def test_one_more_rule_on_the_deny_list_never_allows_more(
    rules: tuple[Deny, ...], another: Deny, groups: Mapping[str, frozenset[PersonId]]
) -> None:
    roster = Roster(PEOPLE, groups)

    def allowed(deny: tuple[Deny, ...]) -> set[PersonId]:
        offered = policy_of(deny=deny)
        return {person for person in ALL if policy.scenarios_for(offered, person, roster)}

    assert allowed((*rules, another)) <= allowed(rules)
    assert allowed((another, *rules)) == allowed((*rules, another))


@given(st.builds(Person, st.just(ANNA), st.just("Anna"), st.just(""), *[st.booleans()] * 4))
def test_one_flag_is_enough_to_have_no_authority(person: Person) -> None:
    flags = (not person.active, person.is_bot, person.is_guest, person.is_stranger)
    offers = policy.scenarios_for(policy_of(), ANNA, roster_of(person))
    assert bool(offers) is not any(flags)
