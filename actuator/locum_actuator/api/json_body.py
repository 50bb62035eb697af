"""Read the JSON object in the body of a request. Every fault is a `BadRequest` that explains what to send."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest


def json_body(keys: AbstractSet[str], example: str, *, may_be_empty: bool = True) -> dict[str, Any]:
    """Return the object in the body of the current request, which may contain only `keys`.

    An empty body counts as an empty object, unless the request needs one. `example` is such an object, as JSON.
    """
    give = f"give a JSON object such as {example}"
    try:
        body = json.loads(request.get_data() or (b"{}" if may_be_empty else b""))
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest(give)
    if unknown := sorted(set(body) - keys):
        raise BadRequest(f"'{unknown[0]}' is not known: {give}")
    return body


def flag(body: dict[str, Any], key: str) -> bool:
    """Return a boolean value, and False if the key is missing."""
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{key}: give true or false")
    return value
