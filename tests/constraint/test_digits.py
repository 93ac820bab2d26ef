"""Digit limits of numbers in JSON, for a model that would write digits without end."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import numpy as np
import pytest

from seallm_edge.constraint.digits import DigitLimit, TokenDigits, digits_of

ONES, NINES = "1111111111111111", "9999999999999999"  # 16 of them


def written(demo: Any, schema: Any, wishes: str) -> str:
    """The reply of a model that always writes the first of `wishes` that is allowed, and else ends what it can."""
    constraint = demo.compiler.schema(schema).start()
    wanted = [demo.spell(wish)[0] for wish in wishes]
    closing = [demo.spell(sign)[0] for sign in '"]}']
    data = b""
    for _ in range(200):
        allowed = constraint.allowed()
        token = next((token for token in wanted if allowed[token]), None)
        if token is None and constraint.may_end:
            return data.decode()
        if token is None:
            others = [int(other) for other in np.flatnonzero(allowed) if other not in demo.ends]
            token = next((token for token in closing if allowed[token]), others[0])
        assert constraint.allows(token)
        constraint.accept(token)
        data += demo.pieces[token]
    raise AssertionError(f"no end in 200 tokens: {data!r}")


@pytest.mark.parametrize(
    ("schema", "wishes", "text"),
    [
        ({"type": "integer"}, "1", ONES),
        ({"type": "integer"}, "-9", f"-{NINES}"),
        ({"type": "number"}, "1.e", f"{ONES}.{ONES}e{ONES}"),
        ({"type": "number"}, "0.", "0.0000000000000000"),
        ({}, "-9.e", f"-{NINES}.{NINES}e-{NINES}"),
        (True, "1.", f"{ONES}.{ONES}"),
        ({"type": "number", "minimum": 0.1, "maximum": 0.25}, "1.", "0.1111111111111111"),
        ({"type": "number", "exclusiveMinimum": 0.1, "maximum": 0.5}, "0.1", "0.10000000000000001"),
        ({"type": "number", "exclusiveMaximum": -0.1}, "0.-1", "-0.10000000000000001"),
        ({"type": "number", "minimum": 1e-20, "maximum": 2e-20}, "1.", "0.00000000000000000001"),
        ({"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9}, "0.", "0.00"),
        ({"type": "integer", "multipleOf": 7}, "1", "1111111111111113"),
        ({"multipleOf": 97, "type": "integer", "minimum": 5}, "1", "1111111111111115"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "1", ONES),
        ({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 1}, "[1", f"[{ONES}]"),
        ({"const": 0.30000000000000004}, "0", "0.30000000000000004"),
        ({"type": "string", "pattern": "^1{20}$"}, "1", f'"{"1" * 20}"'),
    ],
)
def test_a_greedy_model_comes_to_the_end_of_a_number(demo: Any, schema: Any, wishes: str, text: str) -> None:
    assert written(demo, schema, wishes) == text
    exact = Decimal if "exclusive" in json.dumps(schema) else float  # 0.10000000000000001 is 0.1 as a float
    jsonschema.validate(json.loads(text, parse_float=exact), schema)


def test_a_score_in_an_object_ends(demo: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}},
        "required": ["score"],
        "additionalProperties": False,
    }
    assert written(demo, schema, "3.") == '{"score":0.3333333333333333}'


def test_16_digits_are_taken_and_17_are_not(demo: Any) -> None:
    grammar = demo.compiler.schema({"type": "array"})
    assert demo.takes(grammar, f"[{NINES}, 0.{NINES}, 1e{NINES}]")
    assert not demo.takes(grammar, f"[{NINES}9]")
    assert not demo.takes(grammar, f"[0.{NINES}9]")
    assert demo.takes(grammar, f'["{NINES}9", "\\"{NINES}9"]')  # texts are not numbers


def test_properties_may_be_named_as_keywords_are(demo: Any) -> None:
    names = {"multipleOf": True, "const": {"type": "integer", "multipleOf": 7}, "$ref": {"type": "null"}}
    grammar = demo.compiler.schema({"type": "object", "properties": names, "additionalProperties": False})
    assert demo.takes(grammar, '{"multipleOf": 3, "const": 14, "$ref": null}')
    assert not demo.takes(grammar, '{"const": 15}')


def test_tokens_of_several_digits_are_counted_whole() -> None:
    tokens = TokenDigits([b"123", b"12,", b"0", b"a1", b""])
    assert (tokens.leading.tolist(), tokens.longest) == ([3, 2, 1, 0, 0], 3)
    limit = DigitLimit(tokens, 4)
    limit.read(b'{"99999": 12')
    assert [limit.is_exceeded_by(token) for token in range(5)] == [True, False, False, False, False]
    limit.read(b'0, "0000')
    assert not limit.is_exceeded_by(0)


@pytest.mark.parametrize(
    ("number", "count"), [(0, 1), (-1234, 4), (0.25, 2), (1e-20, 20), (0.30000000000000004, 17), (2.5e15, 16)]
)
def test_digits_are_those_of_the_longer_part_without_an_exponent(number: float, count: int) -> None:
    assert digits_of(number) == count


@pytest.mark.parametrize("name", ["ผล", "ผล ลัพธ์", "a/b", "%E0"])
def test_a_reference_may_be_written_in_any_script(demo: Any, name: str) -> None:
    pointer = name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
    grammar = demo.compiler.schema({"$ref": f"#/$defs/{pointer}", "$defs": {name: {"const": 7}}})
    assert demo.takes(grammar, "7")
