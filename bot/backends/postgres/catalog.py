"""What the server says exists. There is no other memory: our database may be lost, the catalogs are not.

Scope, person and end come from the catalogs' own facts (memberships, VALID UNTIL). The role's comment notes
what was granted, in JSON, only to tell what somebody changed since, and to fill what they took away.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, Self

from bot.backends.marks import Marks
from bot.backends.postgres.wire import Db, Row
from bot.core.model import Lease, Mark

Mode = Literal["login", "ephemeral"]
"""`login`: the person's own login gains the role. `ephemeral`: a login made for this grant alone."""

_FIND: Final = """
SELECT r.oid, r.rolname AS name, r.rolcanlogin AS can_login, r.rolvaliduntil AS until,
       shobj_description(r.oid, 'pg_authid') AS note,
       r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls AS raised,
       EXISTS (SELECT FROM pg_shdepend d
               WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'a'
                     AND d.classid <> 'pg_auth_members'::regclass) AS own_rights,
       (SELECT coalesce(json_agg(json_build_array(g.rolname, m.inherit_option, m.set_option OR m.admin_option)
                                 ORDER BY g.rolname), '[]')
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid) AS roles,
       (SELECT coalesce(json_agg(json_build_array(h.rolname, m.inherit_option, m.set_option OR m.admin_option)
                                 ORDER BY h.rolname), '[]')
        FROM pg_auth_members m JOIN pg_roles h ON h.oid = m.member
        WHERE m.roleid = r.oid AND h.rolname <> current_user) AS holders,
       EXISTS (  -- a holder is in the granted role by some way that is not ours
           WITH RECURSIVE held(oid) AS (
               SELECT m.member FROM pg_auth_members m JOIN pg_roles h ON h.oid = m.member
               WHERE m.roleid = r.oid AND h.rolname <> current_user
               UNION
               SELECT m.roleid FROM held JOIN pg_auth_members m ON m.member = held.oid
                                         JOIN pg_roles g ON g.oid = m.roleid
               WHERE (m.inherit_option OR m.set_option) AND g.rolname !~ $1)
           SELECT FROM held JOIN pg_auth_members m ON m.roleid = held.oid
           WHERE m.member = r.oid) AS preexisting
FROM pg_roles r
WHERE r.rolname ~ $1 AND ($2::text IS NULL OR r.rolname = $2::text)
ORDER BY r.rolname
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What we granted, as the role's comment keeps it."""

    role: str
    mode: Mode
    principal: str
    until: datetime
    text: str = ""

    def dumps(self) -> str:
        """One line of JSON; `text` first, for whoever reads it in psql."""
        return json.dumps(
            {
                "breakglass": self.text,
                "role": self.role,
                "mode": self.mode,
                "principal": self.principal,
                "until": self.until.isoformat(),
            },
            ensure_ascii=False,
        )

    @classmethod
    def loads(cls, comment: str | None) -> Self | None:
        """None where somebody else wrote the comment, or nobody."""
        try:
            raw = json.loads(comment or "")
            mode: Mode = "ephemeral" if raw["mode"] == "ephemeral" else "login"
            until = datetime.fromisoformat(raw["until"])
            return cls(str(raw["role"]), mode, str(raw["principal"]), until, str(raw["breakglass"]))
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Membership:
    """One role in another: `held` rights are in force at once, `more` lets one SET ROLE or hand it on."""

    name: str
    held: bool
    more: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A role of ours, as the catalogs describe it."""

    oid: int
    lease: Lease
    mode: Mode

    @classmethod
    def of(cls, row: Row) -> Self:
        """Reads one row of `_FIND`."""
        name = str(row["name"])
        note = Note.loads(row["note"])
        roles = [Membership(*one) for one in json.loads(row["roles"])]
        holders = [Membership(*one) for one in json.loads(row["holders"])]
        mode: Mode = "ephemeral" if row["can_login"] else note.mode if note else "login"
        until = row["until"] if row["until"] and row["until"].year < 9999 else None  # 9999: infinity
        lease = Lease(
            Mark(name),
            principal=name if mode == "ephemeral" else _first(holders, note.principal if note else ""),
            scope={"role": _first(roles, note.role if note else ""), "mode": mode},
            expires_at=until if mode == "ephemeral" else None,
            preexisting=row["preexisting"],
        )
        changes = _changes(row, note, roles, holders, lease)
        return cls(row["oid"], replace(lease, altered="; ".join(changes)), mode)


async def find(db: Db, marks: Marks, name: str) -> Found | None:
    """The role of one grant, or None."""
    row = await db.fetchrow(_FIND, marks.pattern, name)
    return None if row is None else Found.of(row)


async def find_all(db: Db, marks: Marks) -> list[Found]:
    """Every role that carries a mark of this installation."""
    return [Found.of(row) for row in await db.fetch(_FIND, marks.pattern, None)]


def _first(members: list[Membership], noted: str) -> str:
    """The one we noted if it is still there, else whatever is."""
    names = [member.name for member in members]
    return noted if noted in names or not names else names[0]


def _changes(
    row: Row, note: Note | None, roles: list[Membership], holders: list[Membership], lease: Lease
) -> list[str]:
    """What differs from what we granted, in words."""
    role, principal = lease.scope["role"], lease.principal
    ephemeral = lease.scope["mode"] == "ephemeral"
    members = (*roles, *holders)
    sentences = {
        "the comment that notes what was granted is gone or was rewritten": note is None,
        f"{note and note.role} was granted, and it is {role} now": note is not None and note.role != role,
        "it is no longer a member of any role": not roles,
        "its login is disabled": ephemeral and not row["can_login"],
        "its VALID UNTIL was taken away": ephemeral and lease.expires_at is None,
        f"its VALID UNTIL was changed to {lease.expires_at}": (
            ephemeral and note is not None and lease.expires_at not in {None, note.until}
        ),
        "nobody holds it any more": not ephemeral and not holders,
        f"{note and note.principal} was given it, and {principal} holds it now": (
            not ephemeral and note is not None and note.principal != principal
        ),
        "its holder may now SET ROLE, or hand it on": any(member.more for member in members),
        "its rights are no longer inherited": not all(member.held for member in members),
        "it was given attributes such as SUPERUSER or CREATEROLE": row["raised"],
        "it was given rights of its own on some object": row["own_rights"],
        **{f"it was also put into {one.name}": one.name != role for one in roles},
        **{f"it was also given to {one.name}": ephemeral or one.name != principal for one in holders},
    }
    return [sentence for sentence, true in sentences.items() if true]
