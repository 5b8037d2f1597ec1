"""The JSON Schema for editors and `docs/configuration.md`, written from the models' own descriptions."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from bot.config.duration import LIMITS, write_duration
from bot.config.environment import COMMANDS, VARIABLES, Variable
from bot.config.file import File

Schema = dict[str, Any]

_INTRODUCTION: Final = """\
# Configuration

One reviewed file says who may get in, where, and under which terms; secrets come from the environment.
The file is TOML. [`config/breakglass.toml`](../config/breakglass.toml) is a complete one to start from; an
editor that knows its schema (Even Better TOML, Taplo) completes and checks it as you type.

Which file: `--config`, else `BREAKGLASS_CONFIG`, else `config/breakglass.toml`. Its SHA-256 stands in the
history at every start and in every request. A change takes effect at the next start.

Whatever is wrong is said at once, by its key, and nothing starts until it is mended. `breakglass check`
looks at the world too: who is locked out, what Slack says of the people and channels, what providers answer.

Durations are text, their units in this order: `"8s"`, `"15m"`, `"1h30m"`, `"2d"`. Names (of roles, backends,
accesses, scenarios) are lower-case letters, digits and hyphens, at most 40.

*Written by `python -m bot.config reference` from the descriptions in `bot/config/`. Mend them there.*
"""


class _Generator(GenerateJsonSchema):
    """Durations stand in the schema as people write them, and fields need no title beside their name."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - as pydantic declares it
        return write_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - as pydantic declares it
        return False


def schema() -> str:
    """The JSON Schema of the file, as it is published in `config/breakglass.schema.json`."""
    found = File.model_json_schema(schema_generator=_Generator)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"


def reference() -> str:
    """The whole of `docs/configuration.md`."""
    root = File.model_json_schema(schema_generator=_Generator)
    tables = [_table("The top of the file", root, root)]
    tables += [
        section for key, field in root["properties"].items() for section in _sections(key, field, root)
    ]
    return "\n".join([_INTRODUCTION, *tables, _environment()])


def _sections(key: str, field: Schema, root: Schema) -> Iterator[str]:
    """The tables that stand under `key`: its own, and those inside it, deepest last."""
    path, schema = key, _resolved(field, root)
    if "patternProperties" in schema:
        (inner,) = schema["patternProperties"].values()
        path, schema = f"{key}.<name>", _resolved(inner, root)
    many = schema.get("type") == "array"
    if many:
        schema = _resolved(schema["items"], root)
    if "properties" not in schema:
        return
    yield _table(f"`[[{path}]]`" if many else f"`[{path}]`", schema, root)
    for name, nested in schema["properties"].items():
        yield from _sections(f"{path}.{name}", nested, root)


def _table(title: str, schema: Schema, root: Schema) -> str:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_kind(field, root)} | {_default(name, field, required)} | {_meaning(field, root)} |"
        for name, field in schema["properties"].items()
    ]
    about = "" if schema is root else f"{schema['description']}\n\n"
    return (
        f"## {title}\n\n{about}| key | value | default | meaning |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _default(name: str, field: Schema, required: list[str]) -> str:
    if name in required:
        return "required"
    default = field.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{json.dumps(default)}`"


def _meaning(field: Schema, root: Schema) -> str:
    # pydantic leaves a field's description out where its table has the very same one
    return str(field.get("description") or _resolved(field, root)["description"])


def _kind(field: Schema, root: Schema) -> str:
    """What the value is, in one or two words."""
    schema = _resolved(field, root)
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'], root)}"
    if schema.get("type") == "object":
        return "table" if "properties" in schema or "patternProperties" in schema else "table of text"
    if schema.get("type") == "integer":
        return "number"
    return f"duration, {schema[LIMITS]}" if LIMITS in schema else "text"


def _resolved(field: Schema, root: Schema) -> Schema:
    """`field` without references and without "or null"."""
    for alternative in field.get("anyOf", ()):
        if alternative.get("type") != "null":
            return _resolved(alternative, root)
    if "$ref" in field:
        found: Schema = root["$defs"][field["$ref"].rpartition("/")[2]]
        return found
    return field


def _required(variable: Variable) -> str:
    """Which commands do not run without it, and with which transport."""
    if not variable.required:
        return ""
    names = [f"`{name}`" for name, needs in COMMANDS.items() if variable.need in needs]
    only = f" with the transport `{variable.transport}`" if variable.transport else ""
    return f"{', '.join(names)}{only}"


def _environment() -> str:
    rows = [
        f"| `{name}` | {_required(variable)} | {variable.meaning} |" for name, variable in VARIABLES.items()
    ]
    return (
        "## Environment variables\n\n"
        "`breakglass check` says which of those that `serve` needs are missing or wrong.\n\n"
        "| variable | required by | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )
