"""JSON schemas: replies satisfy them, by jsonschema and pydantic; unsupported keywords are refused by name."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import jsonschema
import pydantic
import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.text.samples import SENTENCES

CITY = {"enum": ["ရန်ကုန်", "กรุงเทพ", "ភ្នំពេញ", "ວຽງຈັນ", "சென்னை", "Đà Nẵng"]}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "city": CITY,
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "city", "tags"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "person": PERSON,
    "anything": {},
    "any object": {"type": "object"},
    "numbers": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 2.5, "multipleOf": 0.5},
        "maxItems": 3,
    },
    "thai": {"type": "string", "pattern": "^[ก-๙]{3,9}$"},
    "burmese or nothing": {"anyOf": [{"type": "string", "pattern": "^[က-႟]+$"}, {"type": "null"}]},
    "date": {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}, "required": ["on"]},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, CITY], "items": False, "minItems": 2},
    "map": {
        "type": "object",
        "patternProperties": {"^[a-z]{1,3}$": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "list of itself": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "boolean"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5, "maximum": 70}, "b": {"const": "\u0001/ก"}}, "required": ["b"]},
        ]
    },
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_what_is_written_satisfies_the_schema(demo, schema: dict[str, Any], seed: int) -> None:
    text = demo.write(demo.compiler.schema(schema), seed)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(json.loads(text))


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, pydantic.Field(ge=1, le=9)]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: Annotated[str, pydantic.Field(max_length=8)]


class Shop(pydantic.BaseModel):
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
    open: tuple[int, int] | None
    prices: Annotated[list[Annotated[float, pydantic.Field(ge=0, le=100)]], pydantic.Field(max_length=3)]
    model_config = pydantic.ConfigDict(extra="forbid")


@pytest.mark.parametrize("seed", range(4))
def test_what_is_written_for_a_pydantic_class_makes_an_instance(demo, seed: int) -> None:
    Shop.model_validate_json(demo.write(demo.compiler.schema(Shop), seed), strict=True)


@pytest.mark.parametrize("language", SENTENCES)
def test_every_language_can_be_said_in_a_string_and_as_a_constant(demo, language: str) -> None:
    sentences = " ".join(SENTENCES[language])
    text = json.dumps(sentences, ensure_ascii=False)
    assert demo.takes(demo.compiler.schema({"type": "string"}), text)
    constant = demo.compiler.schema({"const": sentences})
    assert demo.takes(constant, text)
    assert not demo.takes(constant, text[:-2] + '"')


def test_bytes_that_are_no_character_are_refused_in_strings(demo) -> None:
    constraint = demo.compiler.schema({"type": "string"}).start()
    for token in demo.spell('"') + [demo.pieces.index(b"\xe1"), demo.pieces.index(b"\x80")]:
        assert constraint.allows(token)
        constraint.accept(token)
    assert not constraint.allows(demo.spell('"')[0])
    assert constraint.allows(demo.pieces.index(b"\x80"))


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('{"a":1,"b":[1,2]}', True),
        ('{"a": 1, "b": [1, 2]}', True),
        (' {"a":1,"b":[1,2]}', False),
        ('{"a":1,"b":[1,2]}\n', False),
        ('{"a":  1,"b":[1,2]}', False),
        ('{"a":1 ,"b":[1,2]}', False),
        ('{\n"a":1,"b":[1,2]}', False),
        ('{"b":[1,2],"a":1}', False),
    ],
)
def test_white_space_is_one_space_after_commas_and_colons_or_none(demo, text: str, taken: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "integer"}}},
        "required": ["a", "b"],
    }
    assert demo.takes(demo.compiler.schema(schema), text) is taken


def test_a_schema_may_be_its_text(demo) -> None:
    assert demo.compiler.schema('{"const": "ก"}') == demo.compiler.schema({"const": "ก"})
    assert demo.takes(demo.compiler.schema("true"), "[1]")
    assert demo.takes(demo.compiler.schema(True), "[1]")


def test_bounds_of_64_bit_integers_are_drawn_in_to_what_is_counted_exactly(demo) -> None:
    grammar = demo.compiler.schema({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1})
    assert demo.takes(grammar, str(2**53))
    assert demo.takes(grammar, str(-(2**53)))
    assert not demo.takes(grammar, str(2**53 + 1))


def test_options_for_llguidance_cannot_be_smuggled_in(demo) -> None:
    grammar = demo.compiler.schema({"type": "array", "x-guidance": {"whitespace_pattern": " *"}})
    assert demo.takes(grammar, "[]")
    assert not demo.takes(grammar, "[  ]")


def loop() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    schema["items"] = schema
    return schema


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


class Unwritable(pydantic.BaseModel):
    call: Annotated[object, pydantic.PlainValidator(lambda value: value, json_schema_input_type=type)]


UNSUPPORTED = "leave it out, and check the reply for it"
EXCLUDES = "take out what excludes the rest"
MEND = "mend the schema, or make it simpler"
JSON_ONLY = "use what JSON can hold"
REFUSALS: dict[str, tuple[Any, str, str]] = {
    "no JSON": (
        '{"type": "object",\n ]',
        "the schema is no JSON: expecting property name enclosed in double quotes in line 2, column 2",
        "give the text of a JSON schema",
    ),
    "a list": ([], "the schema is of type list", 'give an object, such as {"type": "object"}'),
    "text of a list": ("[]", "the schema is of type list", 'give an object, such as {"type": "object"}'),
    "none": (None, "the schema is of type NoneType", 'give an object, such as {"type": "object"}'),
    "false": (False, "nothing satisfies the schema false", "give a schema that something satisfies"),
    "no JSON type": (
        {"const": {1}},
        "the schema cannot be JSON: object of type set is not json serializable",
        JSON_ONLY,
    ),
    "circular": (loop(), "the schema is nested too deeply", "use $defs and $ref"),
    "nested": (nested(100_000), "the schema is nested too deeply", "use $defs and $ref"),
    "nested text": ('{"items":' * 100_000, "the schema is nested too deeply", "use $defs and $ref"),
    "long": ({"title": "x" * (1 << 18)}, "the schema is 262,157 characters of JSON", "262,144 is the limit"),
    "lone surrogate": (
        {"const": "\ud800"},
        "the schema holds half of a surrogate pair",
        "use whole characters",
    ),
    "not a number": (
        {"minimum": math.nan},
        "a number in the schema is not within ±9,007,199,254,740,992",
        "use a smaller one, or a string",
    ),
    "huge constant": (
        {"const": [-(2**63)]},
        "a number in the schema is not within ±9,007,199,254,740,992",
        "use a smaller one, or a string",
    ),
    "huge number in a constant": (
        {"const": {"maximum": 2**63}},
        "a number in the schema is not within ±9,007,199,254,740,992",
        "use a smaller one, or a string",
    ),
    "not": ({"not": {}}, 'the schema uses "not", which is not supported', UNSUPPORTED),
    "several": (
        {"items": {"contains": {}, "uniqueItems": True}},
        'the schema uses "contains", "uniqueItems", which is not supported',
        UNSUPPORTED,
    ),
    "one of": (
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        "the schema uses oneOf with options of which two may hold at once, which is not supported",
        "use anyOf, or give each option a constant of its own",
    ),
    "format": (
        {"format": "zawgyi", "type": "string"},
        'the schema asks for the format "zawgyi", which is unknown',
        "leave it out, or say it as a pattern",
    ),
    "pattern": (
        {"type": "string", "pattern": "(?=a)b"},
        "the schema has an unsupported pattern: look-around, including look-ahead and look-behind, is not supported",
        "write it as a simpler regular expression",
    ),
    "type": ({"type": "ကိန်း"}, "the schema is not supported: invalid type: ကိန်း", MEND),
    "keyword": ({"minimum": "x"}, "the schema is not supported: expected a number for 'minimum', got \"x\"", MEND),
    "properties": ({"properties": 5}, "the schema is not supported: properties must be an object", MEND),
    "no reference": (
        {"$ref": "#/$defs/x"},
        "the schema refers to /$defs/x, which is not in it",
        "refer to what stands in the schema itself, as in #/$defs/name",
    ),
    "foreign reference": (
        {"$ref": "https://example.org/x"},
        "the schema refers to https://example.org/x, which is not in it",
        "refer to what stands in the schema itself, as in #/$defs/name",
    ),
    "reference to itself": ({"$ref": "#"}, "no text satisfies the schema", EXCLUDES),
    "bounds": (
        {"type": "integer", "minimum": 5, "maximum": 3},
        "nothing satisfies the schema: minimum (5) is greater than maximum (3)",
        EXCLUDES,
    ),
    "required and forbidden": (
        {"required": ["a"], "properties": {"a": False}, "type": "object"},
        "nothing satisfies the schema: required property 'a' is unsatisfiable",
        EXCLUDES,
    ),
    "no option": ({"enum": []}, "nothing satisfies the schema: anyOf is empty", EXCLUDES),
    "a class": (
        Unwritable,
        "the class has no JSON schema: Cannot generate a JsonSchema for core_schema.IsInstanceSchema (<class 'type'>)",
        "use fields that JSON can hold",
    ),
}


@pytest.mark.parametrize(("schema", "message", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_schema_or_cannot_be_followed_is_refused(demo, schema: Any, message: str, hint: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        demo.compiler.schema(schema)
    assert (refused.value.message, str(refused.value.hint)) == (message, hint)
