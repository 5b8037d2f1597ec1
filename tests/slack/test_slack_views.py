"""What is rendered: every state, within every limit, saying everything in words."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings

from bot.audit.canonical import Record
from bot.core import events as e
from bot.core.events import VOCABULARY
from bot.core.model import Ending, Handoff, Mfa, Request, RequestId, Roster, Secret, State, Tier, Verdict, Why
from bot.sandbox.kit import check_message, check_view, human_text
from bot.slack.views import audit, card, form, guide, modals, notices, says
from bot.slack.views.text import Faces
from tests.core.samples import REVIEW, example
from tests.slack import scenes
from tests.slack.hostile import WORDS
from tests.slack.scenes import ALICE, BOB, NOW

FACES = Faces({ALICE: "Alice Ito"}, {"leads": [BOB, "S0LEADS01"]})
LONG = "The replica lags. " * 170
EVERY = list(scenes.every_state())


def of(state: State) -> Request:
    """The first request in this state."""
    return next(request for request in EVERY if request.state is state)


def is_sound(message: dict[str, Any]) -> None:
    """Slack takes it, and whoever only hears it hears something."""
    assert check_message(message.get("blocks", [])) == []
    assert 0 < len(message["text"]) <= 4000


def active_marks(message: dict[str, Any]) -> str:
    """Everything in which mark-up works."""

    def walk(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if value.get("type") == "mrkdwn":
                yield str(value["text"])
            for part in value.values():
                yield from walk(part)
        elif isinstance(value, list):
            for part in value:
                yield from walk(part)

    return " ".join([message.get("text", ""), *walk(message.get("blocks", []))])


OURS = re.compile(
    r"<@U0(ALICE01|BOB0001|CAROL01|DANA001)>|<!subteam\^S0LEADS01>"
    r"|<!date\^\d+\^\{date_short_pretty\} \{time\}\|[-0-9: ]+UTC>"
)


def nothing_foreign_is_alive_in(message: dict[str, Any]) -> None:
    """Every entity is one that we made; no address is left that Slack would turn into a link."""
    marks = OURS.sub("", active_marks(message))
    assert "<" not in marks
    assert "://" not in marks


# --- the card -------------------------------------------------------------------------------------------


def test_there_is_a_scene_for_every_state() -> None:
    assert {request.state for request in EVERY} == set(State)


@pytest.mark.parametrize("request_", EVERY, ids=lambda one: one.state.value)
def test_a_card_in_every_state_is_sound_and_says_what_counts(request_: Request) -> None:
    message = card.request_card(request_, NOW, FACES)
    is_sound(message)
    for shown in (human_text(message["blocks"]), message["text"]):
        for fact in ("BG-7K3Q2M", "Production database, read", "medium", "30 min", "INC-42", "Replica lag"):
            assert fact in shown
    assert message["metadata"]["event_payload"]["request"] == request_.id
    assert card.request_card(request_, NOW, FACES) == message, "the same state, the same card"


@pytest.mark.parametrize("request_", EVERY, ids=lambda one: one.state.value)
def test_every_button_says_aloud_what_it_does_to_whom(request_: Request) -> None:
    for block in card.request_card(request_, NOW, FACES)["blocks"]:
        for button in block.get("elements", []) if block["type"] == "actions" else []:
            assert button["value"] == request_.id, "a button carries the id and nothing else"
            assert button["accessibility_label"].endswith("BG-7K3Q2M of Alice Ito")
            assert len(button["accessibility_label"]) <= 75


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State.AWAITING_MFA, ["Enter code", "Deny", "Take back"]),
        (State.AWAITING_APPROVAL, ["Approve", "Deny", "Take back"]),
        (State.APPROVED_STALE, ["Enter code", "Deny", "Take back"]),
        (State.GRANTING, ["Revoke"]),
        (State.ACTIVE, ["Show credential", "Hand back", "Revoke"]),
        (State.REVOKING, []),
        (State.AWAITING_REVIEW, ["Report", "Review"]),
        (State.REVIEWED, []),
        (State.DENIED, []),
        (State.WITHDRAWN, []),
        (State.LAPSED, ["Ask again"]),
        (State.FAILED, ["Ask again"]),
    ],
)
def test_a_card_has_the_buttons_of_its_state(state: State, shown: list[str]) -> None:
    blocks = card.request_card(of(state), NOW, FACES)["blocks"]
    buttons = [b["text"]["text"] for block in blocks if block["type"] == "actions" for b in block["elements"]]
    assert buttons == shown


def test_only_a_card_that_waits_for_approval_calls_the_approvers() -> None:
    calling = {r.state for r in EVERY if "<!subteam^S0LEADS01>" in card.request_card(r, NOW, FACES)["text"]}
    assert calling == {State.AWAITING_APPROVAL}


def test_where_we_alone_end_it_the_card_says_so_before_anybody_approves() -> None:
    for end, sentence in says.ENDED_BY.items():
        request = replace(of(State.AWAITING_APPROVAL), ending=Ending(end))
        assert sentence in human_text(card.request_card(request, NOW)["blocks"])


def test_without_approvers_codes_the_button_asks_first_and_says_what_happens() -> None:
    terms = replace(scenes.TERMS, approver_mfa=Mfa.NONE, tiers=(Tier(("leads",), 3),))
    request = replace(of(State.AWAITING_APPROVAL), terms=terms, approvals=())
    actions = card.request_card(request, NOW)["blocks"][-1]
    assert "2 people more must approve" in actions["elements"][0]["confirm"]["text"]["text"]


def test_a_card_past_its_end_says_that_it_is_being_ended() -> None:
    late = card.request_card(of(State.ACTIVE), NOW + timedelta(hours=1))
    assert "is being ended" in late["text"]


@settings(max_examples=20)
@given(WORDS)
def test_hostile_words_never_come_alive_on_a_card(typed: str) -> None:
    for request in scenes.every_state(typed, typed):
        message = card.request_card(replace(request, incident=typed[:100]), NOW, FACES)
        is_sound(message)
        nothing_foreign_is_alive_in(message)


def test_a_reason_as_long_as_can_be_is_shown_whole() -> None:
    message = card.request_card(replace(scenes.opened(LONG[:3000])), NOW)
    is_sound(message)
    assert LONG[:2999].strip() in human_text(message["blocks"])


# --- windows --------------------------------------------------------------------------------------------


def windows() -> Iterator[dict[str, Any]]:
    secret = Secret("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    for accesses in (1, 2, 100, 101, 500):
        yield form.request_modal(scenes.offers(accesses))
    yield form.request_modal(
        scenes.offers(), form.Draft(scenario="drill", reason=LONG + "x" * 999, incident=LONG)
    )
    for request in scenes.every_state(LONG[:3000], LONG[:3000]):
        yield modals.sent_modal(request, "C1")
        yield modals.prove_modal(request)
        yield modals.approve_modal(request, FACES)
        yield modals.deny_modal(request)
        if request.end is not None:
            yield modals.report_modal(request)
            yield modals.review_modal(request)
        yield modals.reveal_modal(request, Handoff((("Password", Secret("p" * 500)), ("User", Secret("")))))
    yield modals.enrol_modal()
    yield modals.enrol_code_modal("T", secret, Secret("otpauth://totp/x"), "sealed")
    yield modals.enrolled_modal()
    yield modals.loading_modal("reveal:1")
    yield modals.refusal_modal(LONG * 3)


def test_every_window_is_one_that_slack_takes() -> None:
    for view in windows():
        assert check_view(view) == [], view["title"]


def test_a_window_remembers_no_code() -> None:
    for view in windows():
        assert "code" not in view.get("private_metadata", "").casefold()


def test_remembered_enrolment_reads_back_what_was_written_and_nothing_else() -> None:
    view = modals.enrol_code_modal("TOKEN", Secret("S" * 32), Secret("u"), "sealed")
    assert modals.remembered_enrolment(view["private_metadata"]) == ("TOKEN", "sealed")
    for broken in ("", "{}", "[]", "null", '{"token": 1}'):
        assert modals.remembered_enrolment(broken) == ("", "")


def test_what_a_draft_no_longer_offers_falls_back_to_the_first() -> None:
    offers = scenes.offers()
    gone = form.Draft(scenario="gone", access="gone", duration=timedelta(days=9))
    assert form.request_modal(offers, gone) == form.request_modal(offers)


def test_more_scenarios_than_slack_shows_are_searched_for_too() -> None:
    first = scenes.offers()[0]
    many = [
        replace(first, scenario=replace(first.scenario, key=f"s{n}", title=f"Scenario {n}"))
        for n in range(130)
    ]
    view = form.request_modal(many)
    assert view["blocks"][0]["element"]["type"] == "external_select"
    assert check_view(view) == []
    assert [o["value"] for o in form.suggestions(many, "", "scenario 129")] == ["s129"]


# --- notices, lines, alarms, the audit channel ----------------------------------------------------------


def record_of(event: e.Event, request: Request | None = None, at: datetime = NOW) -> Record:
    about = request.id if request else getattr(event, "about", None)
    return Record(17, at, event, about, "p" * 64, "", "somewhere" if request else "")


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_fact_has_its_own_line_in_the_audit_channel(name: str) -> None:
    event: e.Event = example(VOCABULARY[name])
    assert type(event) in audit._SAYS
    line = audit.audit_line(record_of(event), b"\x9f\x3a\xc1\xd2\x00")
    assert line.startswith("#17 2026-11-21 02:17:00 ")
    assert line.endswith(" · 9f3ac1d2")
    assert "\n" not in line
    is_sound(audit.audit_message([record_of(event)]))


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_whatever_a_fact_makes_of_messages_is_sound_in_every_later_state(name: str) -> None:
    event: e.Event = example(VOCABULARY[name])
    for request in EVERY:
        if request.end is None and isinstance(event, e.AccessGranted | e.AccessEnded | e.GrantAbandoned):
            continue  # cannot have happened to it
        record = record_of(event, request)
        told = notices.notices(record, request, FACES)
        alarm = notices.alarm(record, request)
        lines = notices.thread_lines(record, request, FACES)
        for message in [*(message for _, message in told), *lines, *([alarm] if alarm else [])]:
            is_sound(message)
        assert {person for person, _ in told} <= {request.requester}


@settings(max_examples=20)
@given(WORDS)
def test_hostile_words_never_come_alive_in_messages(typed: str) -> None:
    said = scenes.words(typed)
    request = of(State.AWAITING_REVIEW)
    denied = e.RequestDenied(actor=BOB, reason=said)
    revoked = e.RevokeOrdered(actor=BOB, why=Why.REVOKED, reason=said)
    review = e.ReviewSigned(actor=BOB, verdict=Verdict.REAL, less_was_possible=False, follow_ups=said)
    report = e.ReportFiled(actor=ALICE, report=said)
    lapsed = e.RequestLapsed(because=typed)
    foreign = e.ForeignPost(channel=typed, ts=typed, by=typed)
    failed = e.RevokeFailed(error=typed, next_try_at=NOW, stuck=True)
    events: list[e.Event] = [denied, revoked, review, report, lapsed, foreign, failed]
    records = [record_of(event, request) for event in events]
    messages = [audit.audit_message(records)]
    for record in records:
        messages += [message for _, message in notices.notices(record, request)]
        messages += notices.thread_lines(record, request)
        messages += [alarm for alarm in [notices.alarm(record, request)] if alarm]
    for message in messages:
        is_sound(message)
        nothing_foreign_is_alive_in(message)


def test_many_lines_are_folded_into_one_message_and_the_rest_is_left() -> None:
    event = e.RequestLapsed(because="Nobody decided in time. " * 8)
    records = [replace(record_of(event), seq=seq) for seq in range(100)]
    payload = audit.audit_message(records)["metadata"]["event_payload"]
    assert payload["first"] == 0
    assert 5 < payload["last"] < audit.MOST_LINES
    short = [replace(record, event=e.ServerStopped()) for record in records]
    assert audit.audit_message(short)["metadata"]["event_payload"]["last"] == audit.MOST_LINES - 1


@given(WORDS)
def test_a_message_of_lines_always_takes_one_and_says_which(typed: str) -> None:
    opened = e.RequestOpened(
        **{f.name: example(get_type_hints(e.RequestOpened)[f.name], f.name) for f in fields(e.RequestOpened)}
        | {"reason": scenes.words(typed)}
    )
    records = [replace(record_of(opened), seq=seq) for seq in range(4, 9)]
    message = audit.audit_message(records, [b"1234"] * 5)
    is_sound(message)
    payload = message["metadata"]["event_payload"]
    assert payload["first"] == 4
    shown = human_text(message["blocks"])
    assert [f"#{n} " in shown for n in range(4, 9)] == [n <= payload["last"] for n in range(4, 9)]
    assert payload["key"] == "audit/4"


def test_an_entry_posted_again_is_the_same_under_a_heading_with_a_key_of_its_own() -> None:
    record = record_of(e.RequestLapsed(because="Nobody decided in time."))
    once = audit.audit_message([record])
    twice = audit.again(once, 23)
    is_sound(twice)
    assert human_text(twice["blocks"]) == "Posted again, see #23:\n" + human_text(once["blocks"])
    assert twice["metadata"] == {
        "event_type": "breakglass_audit_again",
        "event_payload": {"key": "audit/17/again/23", "first": 17, "last": 17},
    }


def test_a_checkpoint_is_posted_character_by_character() -> None:
    note = "breakglass/example\n17\nqiHcL+/=\n\n— breakglass/example Zm9vYmFy&<>\n"
    message = audit.checkpoint_message(3, 17, note)
    is_sound(message)
    assert human_text(message["blocks"][1:]) == note
    assert message["metadata"]["event_payload"] == {"key": "checkpoint/3", "first": 3, "last": 3, "size": 17}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (e.AttemptRefused(actor=ALICE, verb="approve", code="self_approval"), "their own request"),
        (e.AttemptRefused(actor=ALICE, verb="reveal", code="not_yours"), "belongs to somebody else"),
        (e.AttemptRefused(actor=ALICE, verb="approve", code="stranger"), "another organisation"),
        (e.LockedOut(actor=ALICE, person=ALICE), "<@U0ALICE01>"),
        (e.AttemptRefused(actor=ALICE, verb="prove", code="locked"), None),
        (e.AttemptRefused(actor=ALICE, verb="approve", code="stale"), None),
        (e.AttemptRefused(actor=ALICE, verb="approve", code="expired_trigger"), None),
        (e.AttemptRefused(actor=ALICE, verb="approve", code="may_not_decide"), None),
        (e.AttemptRefused(actor=ALICE, verb="withdraw", code="not_yours"), None),
        (e.ProofRefused(actor=ALICE, method=Mfa.TOTP, code="replayed"), "used before"),
        (e.ProofRefused(actor=ALICE, method=Mfa.TOTP, code="bad_token"), "enrolment token"),
        (e.ProofRefused(actor=ALICE, method=Mfa.TOTP, code="wrong"), None),
        (e.RevokeFailed(error="x", next_try_at=NOW, stuck=False), None),
        (e.RevokeFailed(error="No route.", next_try_at=NOW, stuck=True), "No route."),
        (e.AuditEntryDeleted(channel="C1", ts="1", first_seq=3, last_seq=5), "#3 to #5"),
        (e.AuditEntryChanged(channel="C1", ts="1", first_seq=3, last_seq=5), "changed our message"),
        (e.AuditChannelLost(because="it was archived."), "it was archived."),
        (e.ForeignPost(channel="C1", ts="1", by="U0EVIL"), "<@U0EVIL>"),
        (e.BackendSilent(backend="prod-db", error="No route."), "prod-db"),
        (e.ServerStarted(version="1", policy="p", other_slack="http://127.0.0.1"), "forge every approver"),
        (e.ServerStarted(version="1", policy="p"), None),
        (replace(REVIEW, verdict=Verdict.REAL), None),
        (replace(REVIEW, verdict=Verdict.MISUSE), "Misuse"),
        (e.SigningRefused(because="It is shorter than before."), "It is shorter than before."),
        (e.AccessGranted(), None),
    ],
)
def test_security_hears_what_is_wrong_and_nothing_else(event: e.Event, words: str | None) -> None:
    alarm = notices.alarm(record_of(event))
    assert (alarm is None) == (words is None)
    if alarm is not None and words is not None:
        is_sound(alarm)
        assert words in alarm["text"]


def test_an_access_that_is_stuck_is_said_at_once_and_then_every_hour() -> None:
    stuck = next(
        request for request in EVERY if request.end is not None and request.end.stuck_since is not None
    )
    event = e.RevokeFailed(error="No route.", next_try_at=NOW, stuck=True)
    minutes = [
        after
        for after in range(0, 190, 5)
        if notices.alarm(record_of(event, stuck, NOW + timedelta(minutes=after)), stuck) is not None
    ]
    assert minutes == [0, 60, 120, 180]


def test_a_message_read_late_has_only_buttons_that_still_mean_something() -> None:
    granted = record_of(e.AccessGranted(handoff=True), of(State.ACTIVE))
    ((_, fresh),) = notices.notices(granted, of(State.ACTIVE))
    ((_, late),) = notices.notices(granted, of(State.AWAITING_REVIEW))
    assert [b["action_id"] for b in fresh["blocks"][-1]["elements"]] == ["show_credential", "hand_back"]
    assert all(block["type"] != "actions" for block in late["blocks"])


def test_approvers_are_called_in_the_thread_only_when_the_card_did_not() -> None:
    proved = e.ProofAccepted(actor=ALICE, proof=scenes.proof())
    request = of(State.AWAITING_APPROVAL)
    assert notices.thread_lines(record_of(proved, request, request.opened_at), request, FACES) == []
    (late,) = notices.thread_lines(record_of(proved, request, NOW + timedelta(minutes=1)), request, FACES)
    assert "<!subteam^S0LEADS01>" in late["text"]


def test_the_next_step_is_called_when_the_one_before_is_full() -> None:
    second = next(
        request for request in EVERY if request.approvals and request.state is State.AWAITING_APPROVAL
    )
    faces = Faces(roles={"security": ["S0SECUR01"]})
    (line,) = notices.thread_lines(record_of(e.ApprovalGiven(actor=BOB, tier=0), second), second, faces)
    assert (
        line["text"]
        == "<@U0BOB0001> approved (step 1 of 2). <!subteam^S0SECUR01>: it is yours to decide now."
    )


def test_somebody_whose_second_factor_changed_hears_of_it() -> None:
    enrolled = record_of(e.Enrolled(actor=ALICE, person=ALICE, method=Mfa.TOTP))
    issued = record_of(e.EnrollmentIssued(person=BOB))
    assert [person for person, _ in notices.about_people(enrolled)] == [ALICE]
    assert [person for person, _ in notices.about_people(issued)] == [BOB]
    assert notices.about_people(record_of(e.ServerStopped())) == []


def test_whose_codes_are_locked_is_asked_whether_it_was_they() -> None:
    ((person, said),) = notices.about_people(record_of(e.LockedOut(actor=ALICE, person=ALICE)))
    is_sound(said)
    assert person == ALICE
    assert "If it was not you" in said["text"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("stale", "Alice (U0ALICE01) came too late: approve."),
        ("used_trigger", "Slack opened no window for Alice (U0ALICE01): approve (used trigger)."),
        ("may_not_decide", "Refused to Alice (U0ALICE01): approve (may not decide)."),
    ],
)
def test_an_attempt_that_came_to_nothing_says_why_in_its_line(code: str, line: str) -> None:
    record = record_of(e.AttemptRefused(actor=ALICE, verb="approve", code=code))
    assert line in audit.audit_line(record, faces=Faces({ALICE: "Alice"}))


def test_status_of_somebody_with_very_much_is_still_one_message() -> None:
    many = [replace(request, id=RequestId(f"BG-{n:06}")) for n in range(30) for request in EVERY]
    is_sound(guide.status_message(ALICE, many, Roster({}, {}), NOW))
