"""The table of moves, held against a second one written by hand, and the sentences in the prose above it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import events as e
from bot.core import machine
from bot.core.errors import Stale
from bot.core.events import VOCABULARY, type_of
from bot.core.machine import TRANSITIONS, due_at
from bot.core.model import HELD, PENDING, SYSTEM, TERMINAL, Approval, HandoffState, Request, State, Why
from tests.core.samples import (
    ANNA,
    BEN,
    DORA,
    HOUR,
    MINUTE,
    NOW,
    REVOKE,
    TERMS,
    example,
    request_in,
    requests_in,
    said,
)

EXPECTED = """
awaiting_mfa       proof_accepted     awaiting_approval
awaiting_mfa       mfa_not_required   awaiting_approval
awaiting_mfa       request_denied     denied
awaiting_mfa       request_withdrawn  withdrawn
awaiting_mfa       request_lapsed     lapsed
awaiting_approval  approval_given     awaiting_approval
awaiting_approval  quorum_reached     granting
awaiting_approval  proof_went_stale   approved_stale
awaiting_approval  request_denied     denied
awaiting_approval  request_withdrawn  withdrawn
awaiting_approval  request_lapsed     lapsed
approved_stale     activated          granting
approved_stale     request_denied     denied
approved_stale     request_withdrawn  withdrawn
approved_stale     request_lapsed     lapsed
granting           access_granted     active
granting           revoke_ordered     revoking
active             handoff_shown      active
active             lease_altered      active
active             expiry_near        active
active             revoke_ordered     revoking
revoking           revoke_failed      revoking
revoking           access_ended       awaiting_review
revoking           grant_abandoned    failed
awaiting_review    report_filed       awaiting_review
awaiting_review    review_overdue     awaiting_review
awaiting_review    review_signed      reviewed
"""
MOVES = {(before, event): after for before, event, after in map(str.split, EXPECTED.strip().splitlines())}
RESTING = TERMINAL | {State.AWAITING_REVIEW}


def moves(request: Request, event: e.Event) -> Request | None:
    """The request after `event`, or None when it was refused and nothing moved."""
    before = replace(request)
    after: Request | None = None
    try:
        after = machine.apply(request, event, NOW + MINUTE)
    except Stale as stale:
        told = stale.sentence
    assert request == before, "applying an event never changes the request it is given"
    if after is None:
        assert told == f"{request.id} {machine.SAYS[request.state]}", "the caller is told what is true now"
    return after


@pytest.mark.parametrize("name", VOCABULARY)
@pytest.mark.parametrize("state", State)
def test_every_pair_goes_where_the_documented_table_says_or_is_stale_and_moves_nothing(
    state: State, name: str
) -> None:
    event = example(VOCABULARY[name])
    results = [moves(request, event) for request in requests_in(state)]
    expected = MOVES.get((state.value, name))
    moved = {after.state.value for after in results if after is not None}
    assert moved == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("path", "event"),
    [
        pytest.param(
            (*lived_path, REVOKE), event, id=f"{type_of(event)} after {'a' if lived_path else 'no'} grant"
        )
        for lived_path, event in (
            ((), e.AccessEnded()),
            ((e.AccessGranted(),), e.GrantAbandoned()),
        )
    ],
)
def test_a_confirmed_grant_cannot_be_abandoned_and_an_unconfirmed_one_cannot_end(
    path: tuple[e.Event, ...], event: e.Event
) -> None:
    request = request_in(State.GRANTING)
    for step in path:
        request = machine.apply(request, step, NOW)
    assert moves(request, event) is None


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.ACTIVE, e.HandoffShown(actor=ANNA)),
        (State.ACTIVE, e.ExpiryNear(expires_at=NOW)),
        (State.AWAITING_REVIEW, e.ReportFiled(actor=ANNA, report=said("done"))),
        (State.AWAITING_REVIEW, e.ReviewOverdue()),
    ],
)
def test_facts_that_happen_once_are_stale_the_second_time(state: State, event: e.Event) -> None:
    once = machine.apply(request_in(state), event, NOW)
    assert moves(once, event) is None


def test_a_handoff_that_never_was_cannot_be_shown() -> None:
    request = machine.apply(request_in(State.GRANTING), e.AccessGranted(handoff=False), NOW)
    assert moves(request, e.HandoffShown(actor=ANNA)) is None


# --- the sentences above the table ----------------------------------------------------------------------


def reachable(start: State, *, avoiding: Iterable[State] = ()) -> set[State]:
    found: set[State] = set()
    edge = {start} - set(avoiding)
    while edge:
        found |= edge
        edge = {after for state in edge for after in TRANSITIONS.get(state, {}).values()}
        edge -= found | set(avoiding)
    return found


@pytest.mark.parametrize("start", [State.GRANTING, State.ACTIVE])
def test_after_granting_began_nothing_comes_to_rest_except_through_revoking(start: State) -> None:
    assert reachable(start) >= {State.AWAITING_REVIEW, State.REVIEWED, State.FAILED}
    assert not reachable(start, avoiding={State.REVOKING}) & RESTING


@pytest.mark.parametrize("start", [State.AWAITING_MFA, State.AWAITING_APPROVAL, State.APPROVED_STALE])
def test_nothing_becomes_active_except_through_granting(start: State) -> None:
    assert not reachable(start, avoiding={State.GRANTING}) & (HELD | {State.AWAITING_REVIEW, State.REVIEWED})


def test_only_proof_leaves_revoking() -> None:
    leaving = {event for event, after in TRANSITIONS[State.REVOKING].items() if after is not State.REVOKING}
    assert leaving == {e.AccessEnded, e.GrantAbandoned}


def test_no_state_but_the_pending_and_the_held_leads_back() -> None:
    """What has ended cannot be held again, and what is granted cannot wait for approval again."""
    for state in RESTING:
        assert not reachable(state) & (HELD | PENDING)
    for state in HELD:
        assert not reachable(state) & PENDING
    assert State.ACTIVE not in reachable(State.REVOKING)


def test_terminal_states_have_no_row_and_all_others_have_one() -> None:
    assert set(TRANSITIONS) == set(State) - TERMINAL


def test_every_state_has_a_sentence_for_a_late_click() -> None:
    assert set(machine.SAYS) == set(State)


def test_every_fact_of_a_life_leaves_something_on_the_request_except_one_that_says_all_by_the_state() -> None:
    of_a_life = {event for row in TRANSITIONS.values() for event in row}
    assert of_a_life - set(machine._CHANGES) == {e.RequestWithdrawn}


# --- what facts leave behind ----------------------------------------------------------------------------


def test_a_proof_starts_the_time_that_approvers_have() -> None:
    for event in (example(e.ProofAccepted), e.MfaNotRequired()):
        request = machine.apply(request_in(State.AWAITING_MFA), event, NOW + MINUTE)
        assert request.lapses_at == NOW + MINUTE + TERMS.lapse_after


def test_an_activation_replaces_the_proof_and_carries_the_end() -> None:
    event = example(e.Activated)
    request = machine.apply(request_in(State.APPROVED_STALE), event, NOW + MINUTE)
    assert (request.proof, request.expires_at, request.granting_since) == (
        event.proof,
        event.expires_at,
        NOW + MINUTE,
    )


def test_approvals_are_kept_in_the_order_they_came() -> None:
    request = request_in(State.AWAITING_APPROVAL)
    request = machine.apply(request, e.ApprovalGiven(actor=BEN, tier=0), NOW)
    request = machine.apply(request, e.ApprovalGiven(actor=DORA, tier=1), NOW + MINUTE)
    assert request.approvals == (Approval(BEN, 0, NOW), Approval(DORA, 1, NOW + MINUTE))


def test_ordering_the_end_forgets_the_handoff() -> None:
    active = request_in(State.ACTIVE)
    assert active.handoff is HandoffState.WAITING
    assert machine.apply(active, REVOKE, NOW).handoff is HandoffState.NONE


def test_stuck_is_since_the_first_time_and_cleared_by_proof() -> None:
    request = request_in(State.REVOKING)
    for minute, stuck in enumerate((False, True, True, False)):
        failed = e.RevokeFailed(error=f"no {minute}", next_try_at=NOW + HOUR, stuck=stuck)
        request = machine.apply(request, failed, NOW + minute * MINUTE)
    assert request.end is not None
    assert (request.end.attempts, request.end.stuck_since) == (4, NOW + MINUTE)
    assert request.end.last_error == "no 3"
    request = machine.apply(request, e.GrantAbandoned(), NOW + HOUR)
    assert request.end is not None
    assert (request.end.stuck_since, request.end.next_try_at, request.end.ended_at) == (
        None,
        None,
        NOW + HOUR,
    )
    assert request.end.attempts == 4, "how hard it was stays on record"


@pytest.mark.parametrize(("why", "offered"), [(why, why in {Why.FAILED, Why.UNANSWERED}) for why in Why])
def test_the_same_request_is_offered_again_when_the_provider_was_at_fault(why: Why, offered: bool) -> None:
    request = machine.apply(request_in(State.GRANTING), replace(REVOKE, why=why), NOW)
    assert machine.failed_without_a_grant(request) is offered


def test_a_request_that_never_ended_is_not_offered_again() -> None:
    assert not machine.failed_without_a_grant(request_in(State.ACTIVE))


# --- when it is due -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(PENDING))
def test_a_pending_request_is_due_when_it_lapses(state: State) -> None:
    request = request_in(state)
    assert due_at(request) == request.lapses_at


def test_a_grant_is_due_a_minute_after_its_intention_or_at_its_end_if_that_is_sooner() -> None:
    request = request_in(State.GRANTING)
    assert due_at(request) == NOW + timedelta(seconds=60)
    assert due_at(replace(request, expires_at=NOW + timedelta(seconds=10))) == NOW + timedelta(seconds=10)


def test_an_active_request_is_due_when_its_holder_is_to_be_warned_and_then_at_its_end() -> None:
    request = request_in(State.ACTIVE)
    assert due_at(request) == NOW + 10 * MINUTE
    warned = machine.apply(request, e.ExpiryNear(expires_at=NOW + 15 * MINUTE), NOW + 10 * MINUTE)
    assert due_at(warned) == warned.expires_at == NOW + 15 * MINUTE


@pytest.mark.parametrize(
    ("minutes", "due"), [(3, 3), (10, 10), (10 + 1 / 60, 5 + 1 / 60), (11, 6), (60, 55), (600, 595)]
)
def test_only_who_holds_something_for_more_than_ten_minutes_is_warned(minutes: float, due: float) -> None:
    held = replace(request_in(State.ACTIVE), duration=minutes * MINUTE, expires_at=NOW + minutes * MINUTE)
    assert due_at(held) == NOW + due * MINUTE


def test_a_revoke_is_due_at_once_and_after_a_failure_when_it_said() -> None:
    request = request_in(State.REVOKING)
    assert due_at(request) == NOW
    failed = e.RevokeFailed(error="no", next_try_at=NOW + 5 * MINUTE, stuck=True)
    assert due_at(machine.apply(request, failed, NOW)) == NOW + 5 * MINUTE


def test_a_review_is_due_once() -> None:
    request = request_in(State.AWAITING_REVIEW)
    assert due_at(request) == NOW + TERMS.review_within
    assert due_at(machine.apply(request, e.ReviewOverdue(), NOW)) is None


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_what_is_over_is_never_due(state: State) -> None:
    assert [due_at(request) for request in requests_in(state)] == [None] * len(requests_in(state))


# --- any order of facts ---------------------------------------------------------------------------------

STARTS = st.sampled_from([request for state in TRANSITIONS for request in requests_in(state)])
FACTS = st.lists(st.tuples(st.integers(0, 100), st.timedeltas(timedelta(0), HOUR)), max_size=30)
PINNED = ("id", "requester", "terms", "mark", "principal", "duration", "reason", "policy", "opened_at")


@given(STARTS, FACTS)
def test_no_order_of_facts_breaks_a_life(request: Request, facts: list[tuple[int, timedelta]]) -> None:
    """One version per fact; an end once set is for ever; what was let in is due until it is proved gone."""
    at = NOW
    for pick, later in facts:
        possible = sorted(TRANSITIONS.get(request.state, {}), key=type_of)
        if not possible:
            return
        at += later
        try:
            after = machine.apply(request, example(possible[pick % len(possible)]), at)
        except Stale:
            continue
        assert after.version == request.version + 1
        assert [getattr(after, name) for name in PINNED] == [getattr(request, name) for name in PINNED]
        assert request.expires_at in {None, after.expires_at}
        assert request.granted_at in {None, after.granted_at}
        assert request.approvals == after.approvals[: len(request.approvals)]
        request = after
        sound(request)


def sound(request: Request) -> None:
    """What is true of every request in every state."""
    ended = request.end is not None and request.end.ended_at is not None
    assert (request.expires_at is not None) == (request.granting_since is not None)
    if ended:
        assert request.expires_at is not None, "ended implies an end that was set before"
    assert ended == (request.state in {State.AWAITING_REVIEW, State.REVIEWED, State.FAILED})
    assert (request.end is not None) == (ended or request.state is State.REVOKING)
    if request.state in HELD:
        assert due_at(request) is not None, "whatever may exist at a provider is on the schedule"
    if request.state in {State.AWAITING_REVIEW, State.REVIEWED}:
        assert request.granted_at is not None, "only a confirmed grant is reviewed"
    if request.state is State.FAILED:
        assert request.granted_at is None, "only an unconfirmed grant fails"


@pytest.mark.parametrize("state", State)
def test_the_sample_lives_are_sound(state: State) -> None:
    for request in requests_in(state):
        assert request.state is state
        sound(request)


# --- the vocabulary -------------------------------------------------------------------------------------


def test_the_vocabulary_names_every_fact_once_in_snake_case() -> None:
    assert VOCABULARY["request_opened"] is e.RequestOpened
    assert {type_of(cls) for cls in e.Event.__subclasses__()} == set(VOCABULARY)
    assert type_of(e.MfaNotRequired()) == "mfa_not_required"


def test_what_no_human_did_is_done_by_the_system() -> None:
    defaults = {cls.__dataclass_fields__["actor"].default for cls in VOCABULARY.values()}
    assert defaults == {SYSTEM}
