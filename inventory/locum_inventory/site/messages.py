"""Turn the model's errors into sentences that name the fault and the remedy.

pydantic reports the kind of error and its location; the wording here is for an administrator, who need not know
what a tuple is.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from locum_inventory.site.model import Site
from locum_inventory.site.renamed_keys import renamed
from locum_inventory.site.yaml_positions import KeyPath

# The risks of the one setting without a default; `locum init` shows the same text when it asks for it.
RISKS = (
    "'takeover' takes over when the host and its service address do not answer and a witness does (if only the"
    " network between the hosts failed, both may then hold the address); 'refuse' alerts people (if the host is"
    " really dead, the service is down until they act)"
)
_NO_DEFAULT = {
    "takeover": "is missing: give at least {when_unreachable: takeover} or {when_unreachable: refuse}",
    "when_unreachable": "is missing, and has no default",
}


def one_of(words: Iterable[str]) -> str:
    """Return the words as an enumeration: `a, b or c`."""
    row = list(words)
    return row[0] if len(row) == 1 else f"{', '.join(row[:-1])} or {row[-1]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the beginning of a sentence that suggests the most similar known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean '{near[0]}'? " if near else ""


def where(path: KeyPath) -> str:
    """Return the dotted key; an item of a list has the list's key, because its text shows which item it is."""
    return ".".join(key for key in path if isinstance(key, str))


def field_at(path: KeyPath) -> FieldInfo | None:
    """Return the model's field at the path; None for host names, list items and unknown keys."""
    return _follow(path)[0]


def keys_at(path: KeyPath) -> tuple[str, ...]:
    """Return the keys that the model allows in the mapping at the path."""
    kind = _one_of_several(_follow(path)[1])
    return tuple(kind.model_fields) if _is_model(kind) else ()


def in_words(error: ErrorDetails, path: KeyPath) -> str:
    """Return what is wrong with the value at the path and what to give instead."""
    kind = error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "extra_forbidden":
        return _unknown_key(path, error["input"])
    if kind == "missing":
        has_no_default = _NO_DEFAULT.get(str(path[-1]))
        return f"{has_no_default}: {RISKS}" if has_no_default else f"is missing: give {_what_is_right(path)}"
    if kind in {"too_short", "string_too_short"}:
        some, needed = len(error["input"]), error["ctx"]["min_length"]
        few = f"has {some} of at least {needed}" if some else "is empty"
        return f"{few}: give {_what_is_right(path)}"
    return f"is {shown(error['input'])}: {_wanted(error, path)}"


def empty(path: KeyPath) -> str:
    """Return the fault of a key without a value, with what to give."""
    return f"has no value: give {_what_is_right(path)}, or leave it out"


def shown(value: Any) -> str:
    """Return a value as one printable line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    return f"'{text[:60]}...'" if len(text) > 60 else f"'{text}'"


def _wanted(error: ErrorDetails, path: KeyPath) -> str:
    kind, field = error["type"], field_at(path)
    if kind == "literal_error" and field is not None:
        return f"use {one_of(get_args(_bare(field.annotation)))}"
    if kind.startswith(("int_", "float_")):
        several = isinstance(path[-1], int) or (field is not None and get_origin(field.annotation) is tuple)
        number = "whole numbers" if several else "a whole number" if kind.startswith("int_") else "a number"
        return f"give {_what_is_right(path)}, as {number}"
    bounds = {
        "greater_than": ("gt", "more than"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "less than"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in bounds:
        name, words = bounds[kind]
        return f"give {_what_is_right(path)}, {words} {error['ctx'][name]:.10g}"
    return f"give {_what_is_right(path)}"


def _what_is_right(path: KeyPath) -> str:
    field = field_at(path)
    if field is not None and field.description:
        return field.description
    if keys := keys_at(path):
        return f"a mapping with the keys {', '.join(keys)}"
    parent = field_at(path[:-1])
    return parent.description if parent is not None and parent.description else "one value"


def _unknown_key(path: KeyPath, value: object) -> str:
    if (now := renamed(path)) is not None:
        return now.sentence(value)
    known = keys_at(path[:-1])
    key = str(path[-1])
    if f"{key}_file" in known:
        return f"is not allowed in a site file: put the secret in a separate file and name it with {key}_file"
    if "password" in key or "passphrase" in key:
        return "is not a known key: locum uses no passwords, and a site file must not contain secrets"
    return f"is not a known key: {did_you_mean(key, known)}the keys here are {', '.join(known)}"


def _follow(path: KeyPath) -> tuple[FieldInfo | None, Any]:
    """Follow the path through the model; return the field at its end, if there is one, and the type there."""
    field: FieldInfo | None = None
    kind: Any = Site
    for key in path:
        if isinstance(key, str):
            kind = _one_of_several(kind)
        if _is_model(kind):
            field = kind.model_fields.get(key)
            kind = _bare(field.annotation) if field is not None else None
        else:
            field = None
            parts = [part for part in get_args(kind) if part is not Ellipsis]
            kind = _bare(parts[-1]) if parts else None
    return field, kind


def _one_of_several(kind: Any) -> Any:
    """Return the model of a list's items if a single item may be given without the list."""
    parts = get_args(kind) if get_origin(kind) is tuple else ()
    return _bare(parts[0]) if parts and _is_model(_bare(parts[0])) else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bare(kind: Any) -> Any:
    """Strip `Annotated` and `| None` from a type."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    return kind
