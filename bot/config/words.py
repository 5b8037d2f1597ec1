"""The kinds of text that stand in the file: names, ids, titles, references. Each says what it must look like.

References are checked against `Names`, which is read leniently from the whole file before anything is
validated. So a name that nobody defined is reported together with every other mistake, in one pass.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from bot.config.errors import nearest
from bot.core.model import PersonId

OPTION_TEXT: Final = 75
"""Characters in the text of an option of a Slack select or checkbox (docs.slack.dev, option object)."""

CHECKBOXES: Final = 10
"""Options in one Slack checkbox or radio group (docs.slack.dev, checkboxes element)."""

SELECT_OPTIONS: Final = 100
"""Options in one Slack select menu (docs.slack.dev, select menu element)."""

MOST_ACCESSES: Final = 5000
"""Accesses in one scenario: more than a menu shows are searched for by typing a word of their title."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the file defines, whether or not each definition is itself right."""

    defined: Mapping[str, frozenset[str]]
    """`role`, `access`, `backend`, `scenario`, `environment` -> the names of each."""
    titles: Mapping[str, Counter[str]]
    """`access`, `scenario` -> how often each title is used."""
    listed: Mapping[str, frozenset[str] | None]
    """Role -> the people it lists; None when it also has groups, whose size only Slack knows."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Reads `raw` (parsed TOML), ignoring everything that has the wrong shape."""
        tables = {
            kind: {key: value for key, value in _table(raw, section).items() if isinstance(value, dict)}
            for kind, section in (
                ("role", "roles"),
                ("access", "accesses"),
                ("backend", "backends"),
                ("scenario", "scenarios"),
            )
        }
        defined = {kind: frozenset(table) for kind, table in tables.items()}
        defined["environment"] = frozenset(_texts(tables["access"], "environment"))
        return cls(
            defined=defined,
            titles={kind: Counter(_texts(tables[kind], "title")) for kind in ("access", "scenario")},
            listed={
                name: None if role.get("groups") else frozenset(map(str, role.get("users") or ()))
                for name, role in tables["role"].items()
                if isinstance(role.get("users") or [], list)
            },
        )


def _table(raw: Mapping[str, Any], section: str) -> dict[str, Any]:
    found = raw.get(section)
    return found if isinstance(found, dict) else {}


def _texts(tables: Mapping[str, Mapping[str, Any]], key: str) -> list[str]:
    return [table[key] for table in tables.values() if isinstance(table.get(key), str)]


def names_in(info: ValidationInfo) -> Names | None:
    """The names of the file being validated; None when one model is built by itself."""
    return info.context if isinstance(info.context, Names) else None


def _defined(kind: str, *, glob: bool = False) -> AfterValidator:
    def check(value: str, info: ValidationInfo) -> str:
        names = names_in(info)
        if names is None or value in names.defined[kind] or (glob and re.search(r"[*?\[]", value)):
            return value
        raise ValueError(f"There is no {kind} “{value}”. {nearest(value, names.defined[kind])}")

    return AfterValidator(check)


def _only_one(kind: str) -> AfterValidator:
    def check(value: str, info: ValidationInfo) -> str:
        names = names_in(info)
        if names is not None and names.titles[kind][value] > 1:
            raise ValueError(
                f"Another {kind} has the title “{value}” too. Give each its own; people choose by it."
            )
        return value

    return AfterValidator(check)


def _shaped(pattern: str, sentence: str) -> tuple[AfterValidator, Any]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"“{value}” is not {sentence}")
        return value

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^{pattern}$"})


def _readable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("This must be one line that people can read. Write it without line breaks.")
    return value


def _checked(check: Callable[[str], str], most: int) -> tuple[StringConstraints, AfterValidator]:
    return StringConstraints(max_length=most), AfterValidator(check)


Name = Annotated[
    str,
    *_shaped(
        r"[a-z0-9][a-z0-9-]{0,39}",
        "a name. Use lower-case letters, digits and hyphens, at most 40, e.g. prod-db-read.",
    ),
]
InstallationName = Annotated[
    str,
    *_shaped(
        r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?",
        "an installation's name. Use at most 20 lower-case letters, digits and inner hyphens, e.g. acme.",
    ),
]
UserId = Annotated[
    PersonId,
    *_shaped(
        r"[UW][A-Z0-9]{2,20}",
        "a Slack member id. In Slack open the person's profile, then ⋮, then “Copy member ID” (U…).",
    ),
]
GroupId = Annotated[
    str,
    *_shaped(
        r"S[A-Z0-9]{2,20}",
        "a Slack user group id. In Slack open the group, then ⋮, then “Copy group ID” (S…).",
    ),
]
ChannelId = Annotated[
    str,
    *_shaped(
        r"[CG][A-Z0-9]{2,20}",
        "a Slack channel id. In Slack open the channel's details and copy the id at the very bottom (C…).",
    ),
]
Line = Annotated[str, *_checked(_readable, 300)]
Option = Annotated[str, *_checked(_readable, OPTION_TEXT)]
AccessTitle = Annotated[Option, _only_one("access")]
ScenarioTitle = Annotated[Option, _only_one("scenario")]
RoleRef = Annotated[str, _defined("role")]
AccessRef = Annotated[str, _defined("access")]
AccessGlob = Annotated[str, _defined("access", glob=True)]
BackendRef = Annotated[str, _defined("backend")]
EnvironmentRef = Annotated[str, _defined("environment")]
