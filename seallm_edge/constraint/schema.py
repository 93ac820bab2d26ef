"""JSON schema → llguidance's notation. Knows JSON and schemas, not tokens.

ref: llguidance docs/json_schema.md for the supported keywords; the others are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..errors import InvalidOption
from .digits import MAX_DIGITS, digits_of
from .lark import HEADER

_MAX_CHARACTERS = 1 << 18  # characters of JSON
_MAX_EXACT_INTEGER = 1 << 53  # llguidance computes in floating point, and recurses without end near -2**63
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum")
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum")
_VALUES = ("const", "enum")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # of schemas by name
_REFERENCES = ("$ref", "$dynamicRef", "$id")
_URI = ":/?#[]@!$&'()*+,;=%"  # ref: RFC 3986, section 2.2; percent-encoded characters stay as they are
_OPTIONS_KEY = "x-guidance"
_OPTIONS = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""One space after a comma or colon, as models usually write, or none: a reply cannot fill up with whitespace."""


def to_lark(schema: Mapping[str, Any] | bool | str | type) -> tuple[str, int]:
    """(grammar of the JSON texts that satisfy `schema`, in llguidance's notation; digit limit for parts of numbers).

    Takes a schema, its JSON text, or a class with `model_json_schema()`, such as a pydantic model. Raises InvalidOption
    for anything else.
    """
    given = _as_mapping(schema)
    text = _as_json(given)
    if len(text) > _MAX_CHARACTERS:
        raise InvalidOption(f"the schema is {len(text):,} characters of JSON", f"{_MAX_CHARACTERS:,} is the limit")
    written = json.loads(text)  # plain dict, list, str and numbers, no subclasses
    most_digits = max([MAX_DIGITS, *map(digits_of, _numbers(written))])
    bounded = {**_rewritten(_rewritten(written, _with_bounds), _with_uris), _OPTIONS_KEY: _OPTIONS}
    return f"{HEADER}start: %json {json.dumps(bounded, ensure_ascii=False)}\n", most_digits


def _as_mapping(schema: object) -> Mapping[str, Any]:
    if isinstance(schema, str):
        schema = _parsed(schema)
    elif callable(method := getattr(schema, "model_json_schema", None)):
        schema = _from_class(method)
    if schema is True:
        return {}
    if schema is False:
        raise InvalidOption("nothing satisfies the schema false", "give a schema that something satisfies")
    if not isinstance(schema, Mapping):
        raise InvalidOption(
            f"the schema is of type {type(schema).__name__}", 'give an object, such as {"type": "object"}'
        )
    return schema


def _from_class(method: Any) -> object:
    try:
        return method()
    except (TypeError, ValueError, RuntimeError) as error:  # pydantic's errors are subclasses
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidOption(f"the class has no JSON schema: {problem}", "use fields that JSON can hold") from error


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"{error.msg.lower()} in line {error.lineno}, column {error.colno}"
        raise InvalidOption(f"the schema is no JSON: {problem}", "give the text of a JSON schema") from error
    except RecursionError as error:
        raise InvalidOption("the schema is nested too deeply", "use $defs and $ref") from error


def _as_json(schema: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(_with_exact_numbers(schema), allow_nan=False, ensure_ascii=False)
        text.encode()
    except InvalidOption:
        raise
    except UnicodeEncodeError as error:
        raise InvalidOption("the schema holds half of a surrogate pair", "use whole characters") from error
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"the schema cannot be JSON: {str(error).lower()}", "use what JSON can hold") from error
    except RecursionError as error:
        raise InvalidOption("the schema is nested too deeply", "use $defs and $ref") from error
    return text


def _with_exact_numbers(node: object, key: str = "", is_value: bool = False) -> object:
    """Schema with bounds clamped to ±2**53, the range of exact integers; those of 64-bit integers lie beyond."""
    if isinstance(node, Mapping):
        return {k: _with_exact_numbers(v, k, is_value or k in _VALUES) for k, v in node.items()}
    if isinstance(node, list | tuple):
        return [_with_exact_numbers(item, is_value=is_value) for item in node]
    if not isinstance(node, int | float) or abs(node) <= _MAX_EXACT_INTEGER:
        return node
    if key in _UPPER_BOUNDS and node > 0 and not is_value:
        return _MAX_EXACT_INTEGER
    if key in _LOWER_BOUNDS and node < 0 and not is_value:
        return -_MAX_EXACT_INTEGER
    raise InvalidOption(
        f"a number in the schema is not within ±{_MAX_EXACT_INTEGER:,}", "use a smaller one, or a string"
    )


def _numbers(node: object) -> Iterator[int | float]:
    if isinstance(node, int | float) and not isinstance(node, bool):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _numbers(child)


def _rewritten(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]], is_map: bool = False) -> Any:
    """Schema with `change` applied to each subschema; not to values, nor to maps from names to schemas."""
    if isinstance(node, list):
        return [_rewritten(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: child if key in _VALUES and not is_map else _rewritten(child, change, key in _MAPS and not is_map)
        for key, child in node.items()
    }
    return found if is_map else change(found)


def _with_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Schema with bounds beside a `multipleOf`, since unbounded multiples may have any number of digits."""
    if not isinstance(schema.get("multipleOf"), int | float):
        return schema
    bounds: dict[str, Any] = {} if schema.keys() & set(_UPPER_BOUNDS) else {"maximum": _MAX_EXACT_INTEGER}
    if not schema.keys() & set(_LOWER_BOUNDS):
        bounds["minimum"] = -_MAX_EXACT_INTEGER
    return schema | bounds


def _with_uris(schema: dict[str, Any]) -> dict[str, Any]:
    """Schema with percent-encoded references, as URIs need: non-ASCII letters, spaces and others."""
    return {
        key: quote(value, safe=_URI) if key in _REFERENCES and isinstance(value, str) else value
        for key, value in schema.items()
    }
