"""auth.*, users.*, usergroups.*, team.*, bots.*: who is who."""

from bot.sandbox.errors import SlackError
from bot.sandbox.kit.schema import Json
from bot.sandbox.methods.call import Call, method


@method("api.test", tier=4, args="error foo", tokens="none bot user app")
def api_test(call: Call) -> Json:
    """Echo; fails as asked."""
    if call.text("error"):
        raise SlackError(call.text("error"))
    return {"args": call.args}


@method("auth.test", tier=4, tokens="bot user app")
def auth_test(call: Call) -> Json:
    """Who the token is."""
    team = call.workspace.team
    if call.token.kind == "app":
        return {"app_name": call.bot.name, "app_id": call.bot.app_id}
    answer: Json = {
        "url": f"{call.base_url}/",
        "team": team.name,
        "team_id": team.id,
        "user": call.caller.handle,
        "user_id": call.caller.id,
        "is_enterprise_install": False,
    }
    return answer | ({"bot_id": call.app.bot_id} if call.app else {})


@method("apps.connections.open", tier=3, tokens="app")
def connections_open(call: Call) -> Json:
    """An address for one WebSocket."""
    if not call.bot.socket_mode:
        raise SlackError("forbidden_team")
    return {"url": call.new_socket_url(call.bot)}


@method("team.info", tier=3, scope="team:read", args="team domain")
def team_info(call: Call) -> Json:
    """The workspace."""
    return {"team": call.workspace.team.to_json()}


@method("bots.info", tier=3, scope="users:read", args="bot team_id")
def bots_info(call: Call) -> Json:
    """The app behind a bot id."""
    app = call.workspace.app_of(call.text("bot"))
    if app is None:
        raise SlackError("bot_not_found")
    shape = {"id": app.bot_id, "deleted": False, "name": app.name, "updated": 0}
    return {"bot": {**shape, "app_id": app.app_id, "user_id": app.bot_user_id, "icons": {}}}


def _sees_email(call: Call) -> bool:
    return call.app is None or "users:read.email" in call.app.scopes


@method("users.info", tier=4, scope="users:read", required="user", args="include_locale")
def users_info(call: Call) -> Json:
    """One user, as of now."""
    return {"user": call.user().to_json(with_email=_sees_email(call))}


@method("users.list", tier=2, scope="users:read", args="cursor limit include_locale team_id")
def users_list(call: Call) -> Json:
    """Everybody, deactivated accounts and bots included."""
    users, more = call.page(list(call.workspace.users.values()), limit=1000, most=1000)
    shown = [user.to_json(with_email=_sees_email(call)) for user in users]
    return {"members": shown, "cache_ts": int(call.workspace.clock.now()), **more}


@method("users.lookupByEmail", tier=3, scope="users:read.email", required="email")
def lookup_by_email(call: Call) -> Json:
    """The account with this address; a deactivated one is not found."""
    wanted = call.text("email").lower()
    for user in call.workspace.users.values():
        if user.email and user.email.lower() == wanted and not user.deleted:
            return {"user": user.to_json(with_email=True)}
    raise SlackError("users_not_found")


@method("users.getPresence", tier=3, scope="users:read", args="user")
def get_presence(_call: Call) -> Json:
    """Everybody is here."""
    return {"presence": "active"}


@method(
    "usergroups.list",
    tier=2,
    scope="usergroups:read",
    args="include_count include_disabled include_users team_id",
)
def usergroups_list(call: Call) -> Json:
    """All groups; their members only when asked for."""
    with_users, disabled = call.flag("include_users"), call.flag("include_disabled")
    groups = [group for group in call.workspace.usergroups.values() if disabled or not group.disabled]
    return {"usergroups": [group.to_json(with_users=with_users) for group in groups]}


@method(
    "usergroups.users.list",
    tier=2,
    scope="usergroups:read",
    required="usergroup",
    args="include_disabled team_id",
)
def usergroups_users_list(call: Call) -> Json:
    """The members of one group."""
    group = call.workspace.usergroups.get(call.text("usergroup"))
    if group is None or (group.disabled and not call.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}
