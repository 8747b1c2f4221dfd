"""What pydantic found in `site.yaml`, said as: which key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic_core import ErrorDetails

from retail_ray.config import Site
from retail_ray.core.uris import mask_credentials

Location = tuple[int | str, ...]
_DATE_TIME = "write date and time with UTC offset, e.g. 2026-03-02T10:00:00+01:00"
_TIME = 'write a local time in quotes, e.g. "12:00"'
_LIST = "write a list"
# By the beginning of pydantic's error type, first match; {…} is filled from the error's context.
_RIGHT = {
    "string_pattern_mismatch": "write lower-case letters, digits, - and _, the first a letter or digit, 60 at most",
    "string_too_short": "must not be empty",
    "string_": "write a text; in quotes, if it looks like a number",
    "timezone_": _DATE_TIME,
    "datetime_": _DATE_TIME,
    "date_": _DATE_TIME,
    "time_": _TIME,
    "finite_number": "write a finite number",
    "float_": "write a number",
    "int_": "write a whole number",
    "bool_": "write true or false",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be below {lt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "choose {expected}",
    "too_short": "at least {min_length} items are needed, found {actual_length}",
    "too_long": "at most {max_length} items are allowed, found {actual_length}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "invalid_key": "keys are words, not numbers",
}


def message(detail: ErrorDetails) -> str:
    """What is wrong at the key and what would be right, with credentials masked; no place."""
    kind, at = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(at)
    if kind == "missing":
        return _missing(at)
    if kind.startswith(("model_", "dict_")):
        return (
            f"write a mapping with some of the keys {', '.join(known_keys(at)) or '<name>: <value>'}, or leave it out"
        )
    right = next((text for prefix, text in _RIGHT.items() if kind.startswith(prefix)), None)
    own = detail["msg"].removeprefix("Value error, ")
    text = own if right is None else right.format(**detail.get("ctx", {}))
    given = detail["input"]
    if isinstance(given, str | int | float | bool):
        text += f" (found {mask_credentials(str(given))!r})"
    meaning = None if right is None else _node(at).get("description")
    return f"{text}; meaning: {meaning}" if meaning else text


def dotted(location: Location) -> str:
    """`cameras[0].floor` of ("cameras", 0, "floor")."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def known_keys(location: Location) -> list[str]:
    """The keys allowed at `location`, read from the JSON Schema."""
    return sorted(_node(location).get("properties", {}))


def _unknown_key(at: Location) -> str:
    known = known_keys(at[:-1])
    close = difflib.get_close_matches(str(at[-1]), known, n=1)
    advice = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
    return f"unknown key; {advice}"


def _missing(at: Location) -> str:
    if isinstance(at[-1], int):
        meaning = next((m for end in range(len(at) - 1, 0, -1) if (m := _node(at[:end]).get("description"))), "")
        return f"this value is missing{f'; meaning of the list: {meaning}' if meaning else ''}"
    meaning = _node(at).get("description")
    return f"this key is missing; write `{at[-1]}: …`{f' ({meaning})' if meaning else ''}"


def _node(location: Location) -> dict[str, Any]:
    """The JSON Schema at `location`; its own description wins over that of what it refers to."""
    schema = Site.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolved(schema, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return _resolved(schema, node)


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    own = {"description": node["description"]} if "description" in node else {}
    node = next((option for option in node.get("anyOf", []) if option.get("type") != "null"), node)
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node | own
