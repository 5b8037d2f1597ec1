"""Grants and ends access at one PostgreSQL cluster.

A grant is a role M named by the mark, a member of the ordered role with INHERIT and without SET.
    login       M cannot log in; it is granted to the person's own login. Rights arrive and leave at once, in
                open sessions too; only statements and cursors under way keep reading, so sessions are cut.
    ephemeral   M itself is the login, with a password shown once and VALID UNTIL. PostgreSQL checks that at
                login only, so sessions are cut here as well.
Without SET nobody becomes the ordered role: what people do stays under their own name, what they create
belongs to them, and no session keeps an identity that a revoke could not take away.

Ending:
    (1) M can no longer log in, is in no role and is held by nobody: committed first, so that rights are gone
        whatever fails later. Its comment still says whose it was.
    (2) Sessions are cut until none is left.
    (3) What M owns goes to the role `breakglass-kept-<installation>`, which has no rights. Not to the ordered
        role: a view or SECURITY DEFINER function left behind would go on reading with its rights, for all.
    (4) M is dropped, and looked for again. It goes last: while anything is left to do, `live()` shows it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from bot.backends.marks import Marks
from bot.backends.postgres import catalog, checks
from bot.backends.postgres.catalog import Found, Mode, Note
from bot.backends.postgres.scram import new_password, verifier
from bot.backends.postgres.wire import Db, Server, alone, run
from bot.core.errors import BackendError, BackendRefused, BackendUnavailable
from bot.core.model import EndedBy, Ending, Handoff, Lease, Order, Secret

_LOGIN: Final = Ending(
    EndedBy.BOT,
    note="At the end all sessions of this login are cut, also those that were open before.",
)
_EPHEMERAL: Final = Ending(
    EndedBy.LOGIN,
    note="PostgreSQL refuses new logins after the end; sessions open then are cut by Breakglass.",
)

_WHO: Final = """
SELECT r.rolcanlogin AS can_login, r.rolsuper AS super, r.rolname = current_user AS broker
FROM pg_roles r WHERE r.rolname = $1::text
"""
_TO_CUT: Final = """
SELECT r.oid FROM pg_roles r WHERE r.rolname = $1::text OR r.rolname = $2::text
UNION
SELECT h.oid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles h ON h.oid = m.member
WHERE r.rolname = $1::text AND NOT h.rolsuper
"""
_SESSIONS: Final = """
SELECT count(*), count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
WHERE a.usesysid = ANY ($1::oid[]) AND a.usename <> current_user
"""
_MEMBERSHIPS: Final = """
SELECT g.rolname AS role, p.rolname AS member, b.rolname AS grantor
FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
                       JOIN pg_roles b ON b.oid = m.grantor
WHERE (g.rolname = $1::text OR p.rolname = $1::text) AND pg_has_role(m.grantor, 'USAGE')
"""
_LEFT_BEHIND: Final = """
SELECT DISTINCT coalesce(b.datname, current_database()) AS database
FROM pg_shdepend d LEFT JOIN pg_database b ON b.oid = d.dbid
WHERE d.refclassid = 'pg_authid'::regclass AND d.classid <> 'pg_auth_members'::regclass
AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1::text)
ORDER BY 1
"""

_LEFT_HERE: Final = """
SELECT FROM pg_shdepend d
WHERE d.refclassid = 'pg_authid'::regclass AND d.classid <> 'pg_auth_members'::regclass
AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1::text)
AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@dataclass(frozen=True)
class Door:
    """Where people connect to."""

    host: str
    port: int
    database: str


@dataclass(frozen=True)
class Postgres:
    """The backend. Every method is one of the contract; none keeps anything between calls."""

    server: Server
    marks: Marks
    roles: tuple[str, ...]
    connection_limit: int
    door: Door

    def ending(self, order: Order) -> Ending:
        """Scope: `role`, one of the settings'; `mode`: `ephemeral` (if left out) or `login`."""
        if not {"role"} <= set(order.scope) <= {"role", "mode"}:
            raise BackendRefused("The scope must be a role, and optionally a mode.")
        if order.scope["role"] not in self.roles:
            raise BackendRefused(f"The role must be one of: {', '.join(self.roles)}.")
        if order.scope.get("mode", "ephemeral") not in {"login", "ephemeral"}:
            raise BackendRefused("The mode must be login or ephemeral.")
        if _mode(order) == "ephemeral":
            return _EPHEMERAL
        if not order.principal:
            raise BackendRefused("You have no login at this database; ask an operator to add yours.")
        return _LOGIN

    async def grant(self, order: Order) -> Lease:
        """One transaction: the role, its membership and its holder exist together or not at all."""
        self.marks.demand(order.mark)
        self.ending(order)
        password = new_password()
        async with self.server.session() as db:
            async with db.transaction():
                await alone(db, order.mark)
                found = await catalog.find(db, self.marks, order.mark)
                if found is None:
                    await self._create(db, order, password)
                else:
                    await self._renew(db, order, password, found)
            found = await catalog.find(db, self.marks, order.mark)
        if found is None or found.lease.altered:
            raise BackendUnavailable(
                f"{self.server.name}: asked again, PostgreSQL does not show {order.mark} as it was granted"
                + (f": {found.lease.altered}." if found else ".")
            )
        return replace(found.lease, handoff=self._handoff(order, password))

    async def revoke(self, order: Order) -> None:
        """The four steps at the top. Objects left behind never hold up (1) and (2)."""
        self.marks.demand(order.mark)
        async with self.server.session() as db:
            logins = await self._disable(db, order)  # (1)
            if logins is None:
                return
            await _cut(db, logins)  # (2)
            databases = [str(row["database"]) for row in await db.fetch(_LEFT_BEHIND, order.mark)]
            if not databases:
                await self._drop(db, order)  # (4)
                return
        troubles = [trouble for one in databases if (trouble := await self._keep(one, order))]  # (3)
        if troubles:
            raise troubles[0]
        async with self.server.session() as db:
            await self._drop(db, order)  # (4)

    async def live(self) -> Sequence[Lease]:
        """From the catalogs alone, in one query."""
        async with self.server.session() as db:
            return [found.lease for found in await catalog.find_all(db, self.marks)]

    async def problems(self) -> Sequence[str]:
        """Can it be reached, and are the broker's rights enough and no more?"""
        return await checks.problems(self.server, self.roles)

    def by_hand(self, order: Order) -> str:
        """The statements of docs/backends/postgres.md. DROP ROLE takes the membership from the person."""
        mark = _name(order.mark)
        logins = [order.mark, *([order.principal] if _mode(order) == "login" else [])]
        return (  # people read this, and nothing of ours runs it
            f"ALTER ROLE {mark} NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608  quoted
            f"WHERE usename IN ({', '.join(map(_text, logins))}); REASSIGN OWNED BY {mark} TO CURRENT_USER; "
            f"DROP OWNED BY {mark}; DROP ROLE {mark};"
        )

    async def _create(self, db: Db, order: Order, password: str) -> None:
        role, mode, principal = order.scope["role"], _mode(order), order.principal
        if await db.fetchval("SELECT now() >= $1::timestamptz", order.expires_at):
            raise BackendRefused("By the database's clock this access would already be over.")
        # Our own session must not inherit what it hands out, whatever the cluster's default says.
        await db.execute("SET LOCAL createrole_self_grant = ''")
        if mode == "ephemeral":
            await run(
                db,
                "CREATE ROLE %I LOGIN PASSWORD %L VALID UNTIL %L CONNECTION LIMIT %s",
                order.mark, verifier(password), order.expires_at.isoformat(), str(self.connection_limit),
            )  # fmt: skip
        else:
            await self._demand_login(db, principal)
            await run(db, "CREATE ROLE %I NOLOGIN CONNECTION LIMIT 0", order.mark)
        await run(db, "GRANT %I TO %I WITH ADMIN FALSE, INHERIT TRUE, SET FALSE", role, order.mark)
        if mode == "login":
            await run(db, "GRANT %I TO %I WITH ADMIN FALSE, INHERIT TRUE, SET FALSE", order.mark, principal)
        await _comment(db, order)

    async def _demand_login(self, db: Db, principal: str) -> None:
        row = await db.fetchrow(_WHO, principal)
        if row is None or not row["can_login"]:
            raise BackendRefused(f'There is no login "{principal}" at this database.')
        if row["super"]:
            raise BackendRefused(
                f'"{principal}" is a superuser: it has everything, and we could not cut it off.'
            )
        if row["broker"]:
            raise BackendRefused(f'"{principal}" is the login that Breakglass itself uses.')

    async def _renew(self, db: Db, order: Order, password: str, found: Found) -> None:
        """The same order again: the access is there already. Only an ephemeral login gets a new password."""
        lease = found.lease
        if lease.altered:
            raise BackendRefused(f"{order.mark} exists, and is being ended or was changed: {lease.altered}.")
        if (lease.scope["role"], found.mode) != (order.scope["role"], _mode(order)) or (
            found.mode == "login" and lease.principal != order.principal
        ):
            raise BackendRefused(f"{order.mark} exists for another order.")
        if found.mode == "ephemeral":
            until = order.expires_at.isoformat()
            await run(db, "ALTER ROLE %I PASSWORD %L VALID UNTIL %L", order.mark, verifier(password), until)
            await _comment(db, order)

    def _handoff(self, order: Order, password: str) -> Handoff | None:
        if _mode(order) == "login":
            return None
        fields = {
            "host": self.door.host,
            "port": str(self.door.port),
            "database": self.door.database,
            "user": order.mark,
            "password": password,
        }
        return Handoff(tuple((label, Secret(text)) for label, text in fields.items()))

    async def _disable(self, db: Db, order: Order) -> list[int] | None:
        """The logins whose sessions are to be cut; None if there is no such role: ended, or never was."""
        person = order.principal if _mode(order) == "login" else ""
        async with db.transaction():
            await alone(db, order.mark)  # also waits for a grant of the same mark that is still under way
            if await db.fetchrow(_WHO, order.mark) is None:
                return None
            logins = [int(row["oid"]) for row in await db.fetch(_TO_CUT, order.mark, person)]
            await run(db, "ALTER ROLE %I NOLOGIN PASSWORD NULL", order.mark)
            # Cascading: whoever was given ADMIN meanwhile may have handed it on.
            for row in await db.fetch(_MEMBERSHIPS, order.mark):
                words = (row["role"], row["member"], row["grantor"])
                await run(db, "REVOKE %I FROM %I GRANTED BY %I CASCADE", *words)
        return logins

    async def _keep(self, database: str, order: Order) -> BackendError | None:
        """In one database: what M owns goes to the keeper, and what rights it has on other things end.

        Gives back what stopped it, so that the next database is not held up; the text says what to run.
        """
        try:
            async with self.server.session(database) as db:
                await self._move(db, order)
                if await db.fetchrow(_LEFT_HERE, order.mark) is not None:
                    raise BackendRefused("Somebody gave it rights that only they can take back.")
        except BackendError as error:
            return type(error)(
                f"The login {order.mark} is disabled, nobody holds it and its sessions are cut, but things "
                f'in the database "{database}" still depend on it. {error} Run there as an administrator: '
                f'REASSIGN OWNED BY "{order.mark}" TO a role of your choice; DROP OWNED BY "{order.mark}";'
            )
        return None

    async def _move(self, db: Db, order: Order) -> None:
        """One transaction, in which we are M, the keeper and the ordered role; before and after it, none.

        The ordered role, because it may own what M was given rights on, and because the keeper must be
        allowed to create in the schema before PostgreSQL gives it a function (as M was when it made it).
        """
        kept = f"breakglass-kept-{self.marks.installation}"
        we = str(await db.fetchval("SELECT current_user"))
        borrowed = [(order.mark, we), (kept, we)]
        if (role := order.scope.get("role", "")) in self.roles:
            borrowed += [(role, we), (role, kept)]
        async with db.transaction():
            await alone(db, kept)
            if await db.fetchrow(_WHO, kept) is None:
                await run(db, "CREATE ROLE %I NOLOGIN", kept)
            for names in borrowed:
                await run(db, "GRANT %I TO %I WITH INHERIT TRUE, SET TRUE", *names)
            await run(db, "REASSIGN OWNED BY %I TO %I", order.mark, kept)
            await run(db, "DROP OWNED BY %I", order.mark)  # what is left: rights, and default privileges
            for names in borrowed:
                await run(db, "REVOKE %I FROM %I", *names)

    async def _drop(self, db: Db, order: Order) -> None:
        async with db.transaction():
            await alone(db, order.mark)
            await run(db, "DROP ROLE IF EXISTS %I", order.mark)
        if await db.fetchrow(_WHO, order.mark) is not None:
            raise BackendUnavailable(f"{self.server.name}: asked again, {order.mark} is still there.")


async def _comment(db: Db, order: Order) -> None:
    note = Note(order.scope["role"], _mode(order), order.principal, order.expires_at, order.note)
    await run(db, "COMMENT ON ROLE %I IS %L", order.mark, note.dumps())


async def _cut(db: Db, logins: list[int]) -> None:
    """Until no session of these logins is left; the caller's deadline bounds it.

    Asked by login, not by rights: one with an open cursor, or that ran SET ROLE by other means, is there.
    """
    while await db.fetchval(_SESSIONS, logins):  # noqa: ASYNC110 - the server sends no event
        await asyncio.sleep(0.02)


def _mode(order: Order) -> Mode:
    return cast("Mode", order.scope.get("mode", "ephemeral"))


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
