"""What the application's role may do on PostgreSQL: exactly this, and what to run when it is not so.

Rule: whoever steals the application's password can add to the history and never change it. So the role owns
nothing, is no member of the owner, and may only insert and select where only that is needed. A superuser, or
the owner after taking the triggers away, still can: checkpoints outside the database show that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.core.errors import BreakglassError
from bot.store.address import quoted

_GROWS: Final = frozenset({"SELECT", "INSERT"})
_CHANGES: Final = _GROWS | {"UPDATE"}
_COMES_AND_GOES: Final = _GROWS | {"DELETE"}

RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "alembic_version": frozenset({"SELECT"}),
    "cards": _COMES_AND_GOES,
    "checkpoints": _GROWS,
    "cursors": _CHANGES,
    "events": _GROWS,
    "factors": _CHANGES | {"DELETE"},
    "failures": _COMES_AND_GOES,
    "handoffs": _COMES_AND_GOES,
    "head": _CHANGES,
    "installation": _CHANGES,
    "moved": _COMES_AND_GOES,
    "posts": _COMES_AND_GOES,
    "requests": _CHANGES,
    "seen": _COMES_AND_GOES,
    "tokens": _COMES_AND_GOES,
    "words": _GROWS,
}
"""Table: what the application does with it. Nothing else, and nothing on any other table."""

APPEND_ONLY: Final = ("checkpoints", "events")
SEQUENCES: Final = ("failures_id_seq",)

_TOO_MUCH: Final = {
    "rolsuper": ("is a superuser", "NOSUPERUSER"),
    "rolcreaterole": ("may make and change roles", "NOCREATEROLE"),
    "rolcreatedb": ("may make databases", "NOCREATEDB"),
    "rolreplication": ("may replicate the whole server", "NOREPLICATION"),
    "rolbypassrls": ("passes row security", "NOBYPASSRLS"),
}

_POWERS: Final = (
    "pg_write_all_data",
    "pg_maintain",
    "pg_execute_server_program",
    "pg_write_server_files",
    "pg_read_server_files",
    "pg_create_subscription",
)
"""Predefined roles with which the history could be changed, or the server taken over."""


class WrongRights(BreakglassError):
    """The application's role may do too much or too little; each line says what, and what mends it."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with the rights: a sentence, and the statement that mends it."""

    sentence: str
    mend: str


async def require_rights(engine: AsyncEngine) -> None:
    """Silent on SQLite, and when the role that `engine` connects as may do exactly what it should.

    Raises:
        WrongRights: with a line for each thing that is wrong, at most twelve.
    """
    found = await wrong_rights(engine)
    if found:
        lines = [f"{wrong.sentence} An administrator runs: {wrong.mend}" for wrong in found[:12]]
        more = [f"... and {len(found) - 12} more; `breakglass check` lists them."] if len(found) > 12 else []
        raise WrongRights("\n".join([*lines, *more]))


async def wrong_rights(engine: AsyncEngine) -> list[Wrong]:
    """Everything that is wrong with the rights of the role that `engine` connects as."""
    if engine.dialect.name != "postgresql":
        return []
    async with engine.connect() as connection:
        role = str(await connection.scalar(text("SELECT session_user")))
        found, owned = await _powers(connection, role), await _owned(connection, role)
        found += owned
        all_powerful = await connection.scalar(text("SHOW is_superuser")) == "on"
        if not owned and not all_powerful:  # they have every right on every table: no need to list those
            found += await _places(connection, role)
            found += await _tables(connection, role)
        return [*found, *await _triggers(connection)]


async def require_owner(engine: AsyncEngine, role: str) -> None:
    """Silent when the role that `engine` connects as may own the tables that the application's `role` uses.

    Raises:
        WrongRights: both are one, `role` is not there, or the owner may not make tables.
    """
    query = (
        "SELECT current_user AS owner, current_database() AS database, "
        "EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :role) AS there, "
        "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS makes"
    )
    async with engine.connect() as connection:
        row = (await connection.execute(text(query), {"role": role})).one()
    if row.owner == role:
        raise WrongRights(
            f"The owner's address and the application's both name the role {role!r}. Who owns the tables can "
            "rewrite the history. Make a second role, CREATE ROLE breakglass_app LOGIN PASSWORD '…', and "
            "name it in BREAKGLASS_DATABASE_URL."
        )
    if not row.there:
        raise WrongRights(
            f"There is no role {role!r}, which BREAKGLASS_DATABASE_URL names. "
            f"Make it, then migrate again: CREATE ROLE {quoted(role)} LOGIN PASSWORD '…'"
        )
    if not row.makes:
        raise WrongRights(
            f"The role {row.owner!r} of the owner's address may not make tables in {row.database}. "
            f"An administrator runs: ALTER DATABASE {quoted(row.database)} OWNER TO {quoted(row.owner)}"
        )


async def grant_rights(engine: AsyncEngine, role: str) -> None:
    """Gives `role` exactly the rights of the application. `engine` connects as the owner."""
    async with engine.begin() as connection:
        schema = quoted(str(await connection.scalar(text("SELECT current_schema()"))))
        to = quoted(role)
        statements = [
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {to}",
            f"GRANT USAGE ON SCHEMA {schema} TO {to}",
        ]
        for table, rights in RIGHTS.items():
            statements.append(f"REVOKE ALL ON {schema}.{quoted(table)} FROM PUBLIC, {to}")
            statements.append(f"GRANT {', '.join(sorted(rights))} ON {schema}.{quoted(table)} TO {to}")
        for sequence in SEQUENCES:
            statements.append(f"REVOKE ALL ON SEQUENCE {schema}.{quoted(sequence)} FROM PUBLIC, {to}")
            statements.append(f"GRANT USAGE ON SEQUENCE {schema}.{quoted(sequence)} TO {to}")
        for statement in statements:
            await connection.exec_driver_sql(statement)


# --- what is asked of PostgreSQL --------------------------------------------------------------------------


async def _powers(connection: AsyncConnection, role: str) -> list[Wrong]:
    row = (
        (await connection.execute(text("SELECT * FROM pg_roles WHERE rolname = session_user")))
        .mappings()
        .one()
    )
    found = [
        Wrong(f"The application's role {role!r} {what}.", f"ALTER ROLE {quoted(role)} {mend}")
        for column, (what, mend) in _TOO_MUCH.items()
        if row[column]
    ]
    if row["rolsuper"]:
        return found  # a superuser counts as a member of everything
    query = text(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(:powers) "
        "AND pg_has_role(session_user, oid, 'MEMBER')"
    )
    return found + [
        Wrong(
            f"The application's role {role!r} is a member of {power}.",
            f"REVOKE {quoted(power)} FROM {quoted(role)}",
        )
        for power in await connection.scalars(query, {"powers": list(_POWERS)})
    ]


async def _owned(connection: AsyncConnection, role: str) -> list[Wrong]:
    """Owners of the database, the schema and the tables that the role is, or is a member of."""
    rows = await connection.execute(
        text(
            "WITH owned AS ("
            "SELECT datdba AS owner, 'DATABASE' AS kind, datname::text AS name FROM pg_database "
            "WHERE datname = current_database() UNION ALL "
            "SELECT nspowner, 'SCHEMA', nspname::text FROM pg_namespace "
            "WHERE nspname = current_schema() UNION ALL "
            "SELECT relowner, 'TABLE', relname::text FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)) "
            "SELECT kind, name, rolname AS owner FROM owned JOIN pg_roles ON oid = owner "
            "WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) "
            "AND pg_has_role(session_user, owner, 'MEMBER') ORDER BY kind, name"
        ),
        {"tables": list(RIGHTS)},
    )
    owned: dict[str, list[str]] = {}
    for row in rows:
        if row.owner != "pg_database_owner":  # its one member is the owner of the database, named already
            owned.setdefault(row.owner, []).append(f"{row.kind.lower()} {row.name}")
    found = []
    for owner, things in owned.items():
        named = ", ".join(things[:3]) + (f" and {len(things) - 3} more" if len(things) > 3 else "")
        if owner == role:
            found.append(
                Wrong(
                    f"The application's role {role!r} owns {named}, and so can rewrite the history. If it is "
                    "the owner's, name another one in BREAKGLASS_DATABASE_URL and migrate again.",
                    f"REASSIGN OWNED BY {quoted(role)} TO breakglass_owner",
                )
            )
        else:
            found.append(
                Wrong(
                    f"The application's role {role!r} is a member of {owner}, who owns {named}, and so can "
                    "rewrite the history.",
                    f"REVOKE {quoted(owner)} FROM {quoted(role)}",
                )
            )
    return found


async def _places(connection: AsyncConnection, role: str) -> list[Wrong]:
    """Where the role may make things of its own."""
    found = []
    query = (
        "SELECT current_database() AS database, current_schema() AS schema, "
        "has_database_privilege(session_user, current_database(), 'CREATE') AS schemas, "
        "has_schema_privilege(session_user, current_schema(), 'CREATE') AS tables"
    )
    row = (await connection.execute(text(query))).one()
    everybody = f"FROM PUBLIC, {quoted(role)}"
    if row.schemas:
        found.append(
            Wrong(
                f"The application's role {role!r} may make schemas in the database {row.database}.",
                f"REVOKE CREATE ON DATABASE {quoted(row.database)} {everybody}",
            )
        )
    if row.tables:
        found.append(
            Wrong(
                f"The application's role {role!r} may make tables and functions in the schema {row.schema}.",
                f"REVOKE CREATE ON SCHEMA {quoted(row.schema)} {everybody}",
            )
        )
    return found


async def _tables(connection: AsyncConnection, role: str) -> list[Wrong]:
    version = int(str(await connection.scalar(text("SHOW server_version_num"))))
    verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    if version >= 170000:
        verbs.append("MAINTAIN")  # new in PostgreSQL 17
    rows = await connection.execute(
        text(
            "SELECT n.nspname AS schema, c.relname AS name, verb, "
            "has_table_privilege(session_user, c.oid, verb) AS whole, "
            "CASE WHEN verb IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') "
            "THEN has_any_column_privilege(session_user, c.oid, verb) "
            "ELSE has_table_privilege(session_user, c.oid, verb) END AS any, "
            "(SELECT string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' "
            "ELSE quote_ident(pg_get_userbyid(a.grantee)) END, ', ') FROM ("
            "SELECT (aclexplode(c.relacl)).* UNION ALL SELECT (aclexplode(attacl)).* FROM pg_attribute "
            "WHERE attrelid = c.oid AND attacl IS NOT NULL) a WHERE a.privilege_type = verb "
            "AND (a.grantee = 0 OR pg_has_role(session_user, a.grantee, 'MEMBER'))) AS through "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "CROSS JOIN unnest(CAST(:verbs AS text[])) AS verb "
            "WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname = ANY(:tables) "
            "ORDER BY c.relname, verb"
        ),
        {"verbs": verbs, "tables": list(RIGHTS)},
    )
    found: list[Wrong] = []
    for row in rows:
        found += _table(row._mapping, role)  # noqa: SLF001  SQLAlchemy's documented name
    for sequence in SEQUENCES:
        query = text("SELECT has_sequence_privilege(session_user, CAST(:name AS text), 'USAGE')")
        if not await connection.scalar(query, {"name": sequence}):
            sentence = f"The application's role {role!r} may not use the sequence {sequence}, which it needs."
            found.append(Wrong(sentence, f"GRANT USAGE ON SEQUENCE {quoted(sequence)} TO {quoted(role)}"))
    return found


def _table(row: Mapping[Any, Any], role: str) -> Iterator[Wrong]:
    name, verb = f"{quoted(row['schema'])}.{quoted(row['name'])}", row["verb"]
    if verb in RIGHTS[row["name"]]:
        if not row["whole"]:
            yield Wrong(
                f"The application's role {role!r} may not {verb} on {row['name']}, which it needs.",
                f"GRANT {verb} ON {name} TO {quoted(role)}",
            )
    elif row["any"]:
        yield Wrong(
            f"The application's role {role!r} may {verb} on {row['name']}, which it must not.",
            f"REVOKE {verb} ON {name} FROM {row['through'] or quoted(role)}",
        )


async def _triggers(connection: AsyncConnection) -> list[Wrong]:
    """Triggers that somebody with more rights switched off or took away."""
    rows = await connection.execute(
        text(
            "SELECT c.relname AS name, t.tgenabled FROM pg_class c LEFT JOIN pg_trigger t "
            "ON t.tgrelid = c.oid AND t.tgname = c.relname || '_append_only' "
            "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(:tables)"
        ),
        {"tables": list(APPEND_ONLY)},
    )
    found = []
    for row in rows:
        trigger = f"{row.name}_append_only"
        if row.tgenabled is None:
            found.append(
                Wrong(
                    f"The trigger that keeps {row.name} append-only is gone: somebody with the owner's "
                    "rights took it away. Run `breakglass verify` with collected checkpoints first.",
                    f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {row.name} FOR EACH "
                    f"STATEMENT EXECUTE FUNCTION history_is_append_only(); "
                    f"ALTER TABLE {row.name} ENABLE ALWAYS TRIGGER {trigger}",
                )
            )
        elif row.tgenabled not in {"A", b"A"}:
            found.append(
                Wrong(
                    f"The trigger that keeps {row.name} append-only is not always on: somebody with the "
                    "owner's rights changed it. Run `breakglass verify` with collected checkpoints first.",
                    f"ALTER TABLE {row.name} ENABLE ALWAYS TRIGGER {trigger}",
                )
            )
    return found
