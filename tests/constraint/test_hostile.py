"""Hostile schemas and grammars: each compiles or is refused, without a crash, a hang or much memory."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seallm_edge.constraint import Grammar
from seallm_edge.errors import InvalidOption

pytestmark = pytest.mark.slow

SCHEMAS: list[Any] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 10},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5}, {"enum": ["ก", None, {"a": [1, 2]}]}]},
    {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "allOf": [{"$ref": "#/$defs/node"}, {"properties": {"on": {"format": "date"}}, "required": ["on"]}],
    },
    {
        "type": "object",
        "patternProperties": {"^[a-z]{1,3}$": {"type": "boolean"}},
        "additionalProperties": {"type": "string", "pattern": "^[ก-๙]+$"},
        "minProperties": 1,
    },
    {"type": "array", "prefixItems": [{"type": "integer"}, {"oneOf": [{"type": "string"}, {"type": "null"}]}]},
]
KEYWORDS = [
    *("type", "properties", "items", "enum", "const", "anyOf", "allOf", "oneOf", "not", "$ref", "$defs", "required"),
    *("pattern", "format", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"),
    *("prefixItems", "additionalProperties", "patternProperties", "minProperties", "$id", "$schema", "x-guidance"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 3, 10**6, 10**18, 2**64, -(2**63), 10**5000, 1e308, -0.0, 1e-300, float("nan")),
    *("", "ก" * 120, "(", "((a*)*)*b", "^(a{1,500}){1,500}$", "\\", "#", "#/$defs/node", "http://x/", "\ud800", "\0"),
    *("string", "integer", "object", [], {}, ["a"], ["string", "null"], [{}], [True], {"$ref": "#"}),
]


def places(node: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(place for key, value in inner for place in places(value, (*way, key)))]


def mutated(schema: Any, chance: random.Random) -> Any:
    root = [copy.deepcopy(schema)]
    for _ in range(chance.randint(1, 4)):
        *way, last = chance.choice(places(root)[1:])
        node: Any = root
        for key in way:
            node = node[key]
        wild = copy.deepcopy(chance.choice(VALUES + SCHEMAS))
        if isinstance(node[last], dict) and chance.random() < 0.5:
            node[last][chance.choice(KEYWORDS)] = wild
        elif chance.random() < 0.2 and way:
            del node[last]
        else:
            node[last] = wild
    return root[0]


def is_followed(compile_: Callable[[], Grammar], demo, chance: random.Random) -> bool:
    """Whether a reply could be begun. Raises nothing but what fails the test."""
    try:
        constraint = compile_().start()
        for _ in range(4):
            allowed = [int(token) for token in np.flatnonzero(constraint.allowed()) if token not in demo.ends]
            if not allowed:
                break
            constraint.accept(chance.choice(allowed))
    except InvalidOption:
        return False
    return True


def test_schemas_changed_at_random_are_followed_or_refused(demo) -> None:
    n_followed = 0
    for seed in range(250):
        chance = random.Random(seed)
        schema = mutated(chance.choice(SCHEMAS), chance)
        n_followed += is_followed(lambda: demo.compiler.schema(schema), demo, chance)  # noqa: B023
    assert 25 < n_followed < 225


GRAMMAR = r"""
root   ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws  # a comment
value  ::= root | string | number | ("true" | "false" | "null") ws | "[" value{0,3} "]"
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ws
ws     ::= | " " | "\n" [ \t]{0,20} | [ก-๙]
"""
SNIPPETS = [
    *'()|*+?{}[]"\\^-.#<>!:=\n\r\t ',
    "::=",
    "root",
    "{2,3}",
    "{0}",
    "{2000}",
    "{999999999}",
    "{99999999999999}",
] + [
    *(
        "\\u0E01",
        "\\UFFFFFFFF",
        "\\x",
        "[^",
        "ก",
        "\0",
        "\ud800",
        "(((",
        "root ::= ",
        "a ::= root\n",
        "<think>",
        "value",
    ),
]


def test_grammars_changed_at_random_are_followed_or_refused(demo) -> None:
    n_followed = 0
    for seed in range(350):
        chance = random.Random(seed)
        text = list(GRAMMAR)
        for _ in range(chance.randint(1, 5)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 3)] = chance.choice(SNIPPETS) if chance.random() < 0.7 else []
        n_followed += is_followed(lambda: demo.compiler.gbnf("".join(text)), demo, chance)  # noqa: B023
    assert 25 < n_followed < 325


PRELUDE = """
from seallm_edge.constraint import GrammarCompiler
from seallm_edge.errors import InvalidOption
class Bytes:
    n_tokens = 257
    def piece(self, token): return bytes([token]) if token < 256 else b""
    def ends_generation(self, token): return token == 256
compiler = GrammarCompiler(Bytes())
def outcome(schema):
    try:
        return "followed" if compiler.schema(schema).start() else ""
    except InvalidOption as error:
        return error.message
def chain(link, n, end={"type": "integer"}):
    return {**{f"x{i}": link(f"#/x{i + 1}") for i in range(n)}, f"x{n}": end, "$ref": "#/x0"}
"""
DEEP = {
    "references": ('chain(lambda to: {"$ref": to}, 8000)', "the schema is too big"),
    "items": ('chain(lambda to: {"items": {"$ref": to}}, 3000)', "followed"),
    "options": (
        'chain(lambda to: {"anyOf": [{"$ref": to}, {"type": "null"}]}, 4000)',
        "the schema is too big",
    ),
    "joined": (
        'chain(lambda to: {"allOf": [{"properties": {"x": {"$ref": to}}}, {"properties": {"x": {}}}]}, 2500)',
        "the schema is too big",
    ),
    "doubled": (
        'chain(lambda to: {"anyOf": [{"$ref": to}, {"minimum": 1, "$ref": to}]}, 60)',
        "the schema is too big",
    ),
    "lowest integer": ('{"const": -2**63}', "a number in the schema is not within ±9,007,199,254,740,992"),
}


@pytest.mark.parametrize(("schema", "expected"), DEEP.values(), ids=DEEP)
def test_what_would_overflow_the_stack_does_not(schema: str, expected: str) -> None:
    source = f"{PRELUDE}\nprint(outcome({schema}))"
    run = subprocess.run([sys.executable, "-X", "utf8", "-c", source], capture_output=True, check=False)
    assert (run.returncode, run.stdout.decode().strip(), run.stderr) == (0, expected, b"")
