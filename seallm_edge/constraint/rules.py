"""Grammar rules as nodes, and checks of their consistency. Knows no notation."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import NoReturn

from ..errors import InvalidOption, did_you_mean
from .characters import Ranges

ROOT = "root"
_MAX_DEPTH = 150  # rules and groups inside one another; llguidance's recursion takes 5 kB of stack for each


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of `ranges`."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Name:
    """Reference to a rule by name, in this `line` of the grammar."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items in sequence; without items, the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Choice of one among two or more options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repetition of `item`, `least` to `most` times; `most` is at least 1, or None for no limit."""

    item: Node
    least: int
    most: int | None


Node = Chars | Name | Sequence | Choice | Repeat
Rules = dict[str, Node]


def fail(line: int, problem: str, hint: str = 'the notation is GBNF, as in: root ::= "yes" | "no"') -> NoReturn:
    """Raise InvalidOption for a problem in `line` of a grammar."""
    raise InvalidOption(f"line {line} of the grammar: {problem}", hint)


def checked(rules: Rules) -> Rules:
    """Rules reachable from `root`, each after those it refers to where possible.

    Raises InvalidOption for a missing rule, a rule that never ends, or left recursion.
    """
    if ROOT not in rules:
        raise InvalidOption(f"the grammar has no rule {ROOT!r}", "root ::= … says what the whole reply is")
    for node in rules.values():
        for name in names(node):
            if name.name not in rules:
                fail(name.line, f"there is no rule {name.name!r}{did_you_mean(name.name, rules)}", "define it")
    needed = _needed(rules)
    ending = _closure(needed, with_characters=True)
    for rule in needed:
        if rule not in ending:
            raise InvalidOption(f"the rule {rule!r} never comes to an end", "give it an option without itself")
    _refuse_left_recursion(needed)
    return needed


def names(node: Node) -> Iterator[Name]:
    """References to rules inside `node`, with repetitions."""
    if isinstance(node, Name):
        yield node
    for part in parts(node):
        yield from names(part)


def parts(node: Node) -> tuple[Node, ...]:
    """Child nodes of `node`."""
    match node:
        case Sequence(inner) | Choice(inner):
            return inner
        case Repeat(item):
            return (item,)
    return ()


def is_recursive(rules: Rules) -> bool:
    """Whether any rule refers to itself, directly or through others."""
    return _cycle({rule: [name.name for name in names(node)] for rule, node in rules.items()}) is not None


def _needed(rules: Rules) -> Rules:
    found: Rules = {}
    begun = {ROOT}

    def visit(node: Node, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise InvalidOption(f"the grammar's rules are nested more than {_MAX_DEPTH} deep", "make it flatter")
        if isinstance(node, Name) and node.name not in begun:
            begun.add(node.name)
            visit(rules[node.name], depth + 1)
            found[node.name] = rules[node.name]
        for part in parts(node):
            visit(part, depth + 1)

    visit(rules[ROOT], 0)
    return found | {ROOT: rules[ROOT]}


def _closure(rules: Rules, *, with_characters: bool) -> set[str]:
    """Rules that allow the empty text, or, `with_characters`, any finite text."""
    known: set[str] = set()
    size = -1
    while len(known) > size:
        size = len(known)
        known |= {rule for rule, node in rules.items() if _holds(node, known, with_characters)}
    return known


def _holds(node: Node, known: Set[str], characters: bool) -> bool:
    match node:
        case Chars():
            return characters
        case Name(name):
            return name in known
        case Sequence(items):
            return all(_holds(item, known, characters) for item in items)
        case Choice(options):
            return any(_holds(option, known, characters) for option in options)
    return node.least == 0 or _holds(node.item, known, characters)


def _refuse_left_recursion(rules: Rules) -> None:
    empty = _closure(rules, with_characters=False)
    circle = _cycle({rule: list(_first_names(node, empty)) for rule, node in rules.items()})
    if circle:
        way = " → ".join(circle)
        raise InvalidOption(f"the grammar's rules begin with themselves: {way}", 'repeat instead: a ::= b ("+" b)*')


def _first_names(node: Node, empty: Set[str]) -> Iterator[str]:
    """Rules that a text of `node` may begin with."""
    if isinstance(node, Name):
        yield node.name
    for part in parts(node):
        yield from _first_names(part, empty)
        if isinstance(node, Sequence) and not _holds(part, empty, False):
            break


def _cycle(graph: dict[str, list[str]]) -> list[str] | None:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return None
