"""views.*: modals and Home tabs. Wrong blocks are `invalid_arguments` here, not `invalid_blocks`."""

from bot.sandbox.errors import SlackError
from bot.sandbox.kit import check_view
from bot.sandbox.kit.check import too_large
from bot.sandbox.kit.schema import Json
from bot.sandbox.methods.call import Call, method
from bot.sandbox.records import View


def checked(view: object, kind: str) -> Json:
    """The view, when Slack would take it for this surface."""
    if too_large(view):
        raise SlackError("view_too_large")
    if problems := check_view(view):
        raise SlackError("invalid_arguments", [str(found) for found in problems])
    assert isinstance(view, dict)
    if view["type"] != kind:
        raise SlackError("invalid_arguments", [f"[ERROR] must be of type {kind} [json-pointer:/view/type]"])
    return view


def _trigger(call: Call) -> str:
    found = call.text("trigger_id") or call.text("interactivity_pointer")
    if not found:
        raise SlackError("invalid_arguments", ["[ERROR] missing required field: trigger_id [json-pointer:]"])
    return found


@method("views.open", tier=4, required="view", args="trigger_id interactivity_pointer")
def open_view(call: Call) -> Json:
    """Open a modal for whoever made the trigger."""
    content = checked(call.args["view"], "modal")
    trigger = call.modals.exchange(_trigger(call), call.bot)
    return {"view": call.modals.open(trigger, call.bot, content).to_json()}


@method("views.push", tier=4, required="view", args="trigger_id interactivity_pointer")
def push(call: Call) -> Json:
    """Put a modal over the one the trigger came from."""
    content = checked(call.args["view"], "modal")
    trigger = call.modals.exchange(_trigger(call), call.bot)
    return {"view": call.modals.push(trigger, call.bot, content).to_json()}


@method("views.update", tier=4, required="view", args="view_id external_id hash")
def update(call: Call) -> Json:
    """Change a view, if it is still the one the hash saw."""
    if not call.text("view_id") and not call.text("external_id"):
        raise SlackError("invalid_arguments", ["[ERROR] view_id or external_id is required [json-pointer:]"])
    view = call.modals.named(call.bot, view_id=call.text("view_id"), external_id=call.text("external_id"))
    content = checked(call.args["view"], view.kind)
    _unchanged(call, view)
    return {"view": call.modals.update(view, content).to_json()}


@method("views.publish", tier=4, required="user_id view", args="hash")
def publish(call: Call) -> Json:
    """Set the Home tab of one person."""
    content = checked(call.args["view"], "home")
    if not call.bot.home_tab:
        raise SlackError("not_enabled")
    user = call.user("user_id")
    before = call.modals.homes.get((call.bot.app_id, user.id))
    if before is not None:
        _unchanged(call, call.modals.views[before])
    return {"view": call.modals.publish(call.bot, user.id, content).to_json()}


def _unchanged(call: Call, view: View) -> None:
    if call.text("hash") and call.text("hash") != view.hash:
        raise SlackError("hash_conflict")
