"""The window in which access is asked for: three taps, a reason, a code.

Rule: everything that can be chosen for somebody already is, and the last line says what will happen. What was
typed survives a change of scenario; what was ticked under another scenario does not.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.core.model import Ending, Mfa, Scenario, Terms
from bot.core.policy import REASON_MAX, human_duration
from bot.slack.views import answers, says
from bot.slack.views.text import LABEL, Payload, alert, cut, one_line, plain, safe

if TYPE_CHECKING:
    from bot.desk import Offer

CALLBACK: Final = "request"

SCENARIO: Final = "scenario"
CRITERIA: Final = "criteria"
ACCESS: Final = "access"
DURATION: Final = "duration"
REASON: Final = "reason"
INCIDENT: Final = "incident"
CODE: Final = "code"

MOST_OPTIONS: Final = 100
"""Options in one select menu (docs.slack.dev); more are searched for by typing."""

_INCIDENT_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is filled in already. Never a code."""

    scenario: str = ""
    access: str = ""
    duration: timedelta | None = None
    reason: str = ""
    incident: str = ""


_EMPTY: Final = Draft()


def request_modal(offers: Sequence["Offer"], draft: Draft = _EMPTY, notice: str = "") -> Payload:
    """The form for what is offered (never nothing). What the draft names is chosen, else the first.

    Args:
        offers: what this person may ask for.
        draft: what is filled in already.
        notice: what they must know before they go on; stands at the top.
    """
    offer = next((offer for offer in offers if offer.scenario.key == draft.scenario), offers[0])
    terms, ending = next(
        (pair for pair in offer.accesses if pair[0].access == draft.access), offer.accesses[0]
    )
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "title": plain("Break-glass access", 24),
        "submit": plain("Ask for access", 24),
        "close": plain("Cancel", 24),
        "blocks": [
            *([alert(notice, "warning")] if notice else []),
            _scenario(offers, offer.scenario),
            *_criteria(offer.scenario),
            _access(offer, terms),
            _duration(terms, draft.duration),
            _reason(offer.scenario, draft.reason),
            _incident(offer.scenario, draft.incident),
            _code(terms),
            alert(_what_will_happen(terms, ending)),
        ],
    }


def confirmed(view: Payload, scenario: Scenario) -> tuple[str, ...]:
    """The criteria that are ticked, of those that `scenario` has now: a tick under any others is none."""
    ticked = answers.choices(view, _criteria_block(scenario))
    return tuple(text for number, text in enumerate(scenario.criteria) if str(number) in ticked)


def suggestions(offers: Sequence["Offer"], scenario: str, typed: str) -> list[Payload]:
    """The accesses of a scenario that hold every word typed, or the scenarios when none is named."""
    found: list[Payload] = []
    if scenario:
        found = [_access_option(t) for o in offers if o.scenario.key == scenario for t, _ in o.accesses]
    else:
        found = [_scenario_option(offer.scenario) for offer in offers]
    words = typed.casefold().split()
    fitting = [option for option in found if all(word in _searched(option) for word in words)]
    return fitting[:MOST_OPTIONS]


def _searched(option: Payload) -> str:
    description = option.get("description", {}).get("text", "")
    return f"{option['text']['text']} {option['value']} {description}".casefold()


def _input(block_id: str, label: str, element: Payload, *, optional: bool = False, hint: str = "") -> Payload:
    block = {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": element,
        "optional": optional,
    }
    return {**block, "hint": plain(hint, 2000)} if hint else block


def _select(action: str, options: list[Payload], chosen: Payload) -> Payload:
    """A menu; one that is searched by typing when there are more options than Slack shows."""
    menu = {"action_id": action, "initial_option": chosen}
    if len(options) > MOST_OPTIONS:
        typing = plain("Type a word of it", 150)
        return {**menu, "type": "external_select", "min_query_length": 0, "placeholder": typing}
    return {**menu, "type": "static_select", "options": options}


def _scenario_option(scenario: Scenario) -> Payload:
    return {"text": plain(one_line(scenario.title), LABEL), "value": scenario.key}


def _access_option(terms: Terms) -> Payload:
    where = one_line(f"{terms.environment}, {terms.risk} risk")
    return {
        "text": plain(one_line(terms.title), LABEL),
        "value": terms.access,
        "description": plain(where, LABEL),
    }


def _scenario(offers: Sequence["Offer"], chosen: Scenario) -> Payload:
    options = [_scenario_option(offer.scenario) for offer in offers]
    menu = _select(SCENARIO, options, _scenario_option(chosen))
    return {**_input(SCENARIO, "Scenario", menu), "dispatch_action": True}


def _criteria_block(scenario: Scenario) -> str:
    """Named after what stands in it: the policy may change while the form is open."""
    digest = hashlib.sha256("\n".join(scenario.criteria).encode()).hexdigest()
    return f"{CRITERIA}:{scenario.key}:{digest[:16]}"


def _criteria(scenario: Scenario) -> list[Payload]:
    """Numbered options: the desk compares the criteria themselves, not what a client sent."""
    if not scenario.criteria:
        return []
    options = [
        {"text": plain(one_line(text), LABEL), "value": str(number)}
        for number, text in enumerate(scenario.criteria)
    ]
    boxes = {"type": "checkboxes", "action_id": CRITERIA, "options": options}
    hint = "Confirm each one. If one is not true, this is another scenario."
    return [_input(_criteria_block(scenario), "Criteria", boxes, hint=hint)]


def _access(offer: "Offer", chosen: Terms) -> Payload:
    options = [_access_option(terms) for terms, _ in offer.accesses]
    menu = _select(ACCESS, options, _access_option(chosen))
    return {**_input(f"{ACCESS}:{offer.scenario.key}", "Access", menu), "dispatch_action": True}


def _duration(terms: Terms, wanted: timedelta | None) -> Payload:
    options = [
        {"text": plain(human_duration(one), LABEL), "value": str(int(one.total_seconds()))}
        for one in terms.durations
    ]
    first = terms.durations.index(wanted) if wanted in terms.durations else 0
    return _input(f"{DURATION}:{terms.access}", "Duration", _select(DURATION, options, options[first]))


def _reason(scenario: Scenario, filled: str) -> Payload:
    element = {
        "type": "plain_text_input",
        "action_id": REASON,
        "multiline": True,
        "max_length": REASON_MAX,
        "placeholder": plain("What is wrong, and what will you do with the access?", 150),
    }
    if filled:
        element["initial_value"] = cut(filled, REASON_MAX)
    hint = f"At least {scenario.reason_min} characters; whoever is woken to approve this reads it first."
    return _input(REASON, "Reason", element, hint=hint)


def _incident(scenario: Scenario, filled: str) -> Payload:
    element = {"type": "plain_text_input", "action_id": INCIDENT, "max_length": _INCIDENT_MAX}
    if filled:
        element["initial_value"] = cut(safe(filled), _INCIDENT_MAX)
    needed = bool(scenario.incident_pattern)
    hint = f"For example {scenario.incident_example}" if needed and scenario.incident_example else ""
    return _input(INCIDENT, "Incident", element, optional=not needed, hint=hint)


def _code(terms: Terms) -> Payload:
    element = {"type": "plain_text_input", "action_id": CODE, "max_length": 20}
    hint = "This access asks for no code; leave it empty."
    if terms.mfa is not Mfa.NONE:
        hint = (
            "Six digits from your authenticator. Left empty, the request is filed all the same "
            "and waits 10 minutes for the code."
        )
    return _input(CODE, "Code", element, optional=True, hint=hint)


def _what_will_happen(terms: Terms, ending: Ending) -> str:
    return f"What happens next: {says.afterwards(terms)} How it ends: {says.ending(ending)}"
