"""Pydantic's findings in our words, each `key.path: What is wrong. How to mend it.` on one line."""

from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.config.errors import nearest

Loc = Sequence[int | str]

_SENTENCES: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "string_type": lambda _: "This must be text. Put it in quotes.",
    "string_too_long": lambda c: f"This is longer than {c['max_length']} characters. Shorten it.",
    "string_too_short": lambda _: "This is empty. Write something.",
    "int_type": lambda _: "This must be a whole number. Write it without quotes, e.g. 2.",
    "greater_than_equal": lambda c: f"This is too low. Write at least {c['ge']}.",
    "less_than_equal": lambda c: f"This is too high. Write at most {c['le']}.",
    "too_short": lambda _: "This is empty: it would mean nobody and nothing. List at least one.",
    "too_long": lambda c: (
        f"{c['actual_length']} are more than fit: {c['max_length']}. Shorten or split the list."
    ),
    "literal_error": lambda c: f"This word is not known here. Write {c['expected']}.",
    "enum": lambda c: f"This word is not known here. Write {c['expected']}.",
    "tuple_type": lambda _: "This must be a list. Put it in [brackets].",
    "mapping_type": lambda _: "This must be a table. Write key = value pairs in {braces}, or a [section].",
    "dict_type": lambda _: "This must be a table. Write key = value pairs in {braces}, or a [section].",
    "model_type": lambda _: "This must be a table. Write key = value pairs in {braces}, or a [section].",
}


def problems_of(error: ValidationError, model: type[BaseModel], under: Loc = ()) -> list[str]:
    """One line for each mistake. `under` is where in the file it stands; `model` helps to say what fits."""
    found = error.errors()
    return [
        f"{key_of((*under, *one['loc']))}: {_sentence(one, model)}"
        for one in found
        if not _follows(one, found)
    ]


def _follows(one: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """A list whose items are all wrong is also called too short; that says nothing new."""
    depth = len(one["loc"])
    return one["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == one["loc"] for other in found
    )


def key_of(loc: Loc) -> str:
    """`accesses.prod-db-read.approval[0].roles`, as it would be written."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part != "[key]")
    return "".join(parts).removeprefix(".") or "the file"


def _sentence(found: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    owner, name = _model_at(model, found["loc"][:-1]), str(found["loc"][-1])
    if kind == "extra_forbidden":
        return f"Nothing here is called that. {nearest(name, owner.model_fields if owner else ())}"
    if kind == "missing":
        described = owner.model_fields[name].description if owner else None
        return f"This is missing. Add it: {described}" if described else "This is missing. Add it."
    if kind in _SENTENCES:
        return _SENTENCES[kind](context)
    return f"{found['msg']}. Mend the value."


def _model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model whose fields stand at `loc`, found by walking the annotations."""
    here: Any = model
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            info = here.model_fields.get(str(part))
            here = info.annotation if info else None
        else:  # a mapping's values or a list's items
            inner = get_args(here)
            here = inner[0 if get_origin(here) in {tuple, list} else -1] if inner else None
        here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - annotations have no common type
    """`X | None` as `X`."""
    if get_origin(annotation) in {Union, UnionType}:
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation
