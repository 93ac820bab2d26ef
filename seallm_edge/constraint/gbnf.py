"""Parser of GBNF, llama.cpp's notation for grammars. Knows the notation; `rules` checks the parsed rules.

ref: llama.cpp grammars/README.md. Refused, although llama.cpp accepts it: a token reference (`<think>`), an empty
character class, a second rule of the same name, more than 2,000 repetitions (which llama.cpp treats as no limit).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InvalidOption
from .characters import ANY, Ranges, char_class, letters
from .rules import Chars, Choice, Name, Node, Repeat, Rules, Sequence, fail

_MAX_CHARACTERS = 1 << 18  # characters
_MAX_REPETITIONS = 2000  # llama.cpp's MAX_REPETITION_THRESHOLD
_MAX_GROUP_DEPTH = 25  # llguidance's own limit is 30, with the parentheses that we add

_LEXEMES = re.compile(
    r"""(?P<blank>[ \t]+|\#[^\r\n]*)
      | (?P<newline>\r\n?|\n)
      | (?P<define>::=)
      | (?P<name>[A-Za-z0-9_-]+)
      | (?P<literal>"(?:[^"\\]|\\.)*+")
      | (?P<class>\[(?:[^\]\\]|\\.)*+\])
      | (?P<repeat>[*+?]|\{\s*\d{1,9}\s*(?:,\s*\d{0,9}\s*)?\})
      | (?P<operator>[|().])
      | (?P<token>!?<[^>\r\n]*>)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_UNFINISHED = {
    '"': "the text has no closing quote",
    "[": "the character class has no closing bracket",
    "{": "the repetition is none of {m} {m,} {m,n}",
}


def parse(text: str) -> Rules:
    """Rules of a grammar by name, in its order. Raises InvalidOption that names the line."""
    if not isinstance(text, str):
        raise InvalidOption(f"the grammar is of type {type(text).__name__}", "give its text, in GBNF")
    if len(text) > _MAX_CHARACTERS:
        raise InvalidOption(f"the grammar is {len(text):,} characters long", f"{_MAX_CHARACTERS:,} is the limit")
    return _Parser(list(_significant(_lex(text)))).rules()


@dataclass(frozen=True, slots=True)
class _Lexeme:
    kind: str
    text: str
    line: int


def _lex(text: str) -> Iterator[_Lexeme]:
    position, line = 0, 1
    while position < len(text):
        match = _LEXEMES.match(text, position)
        if not match:
            fail(line, _UNFINISHED.get(text[position], f"{text[position]!r} cannot stand here"))
        kind = match.lastgroup or ""
        if kind == "token":
            fail(line, f"{match[0]} asks for a token", "only text can be asked for: write it in quotes")
        if kind != "blank":
            yield _Lexeme(kind, match[0], line)
        line += match[0].count("\n")
        position = match.end()
    yield _Lexeme("newline", "\n", line)


def _significant(lexemes: Iterator[_Lexeme]) -> Iterator[_Lexeme]:
    """Lexemes without the newlines that end no rule: those in a group, after `::=`, beside `|`, after a newline."""
    depth = 0
    before = "\n"
    held = None
    for lexeme in lexemes:
        if lexeme.kind == "newline":
            if depth <= 0 and before not in ("::=", "|", "\n"):
                held = lexeme
            continue
        if held and lexeme.text != "|":
            yield held
        yield lexeme
        held, before = None, lexeme.text
        depth += {"(": 1, ")": -1}.get(lexeme.text, 0)
    if held:
        yield held


class _Parser:
    """Recursive descent: rules, choice, sequence, item."""

    def __init__(self, lexemes: list[_Lexeme]) -> None:
        self._lexemes = lexemes
        self._position = 0

    def rules(self) -> Rules:
        rules: Rules = {}
        while self._peek().kind != "end":
            name = self._take("name", "the name of a rule")
            self._take("define", "::=")
            if name.text in rules:
                fail(name.line, f"this is a second rule {name.text!r}", "join the two with |")
            rules[name.text] = self._choice(0)
            if self._peek().kind != "end":
                self._take("newline", "the end of the rule")
        return rules

    def _choice(self, depth: int) -> Node:
        options = [self._sequence(depth)]
        while self._peek().text == "|":
            self._position += 1
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while (lexeme := self._peek()).kind in ("name", "literal", "class") or lexeme.text in (".", "("):
            self._position += 1
            item = self._item(lexeme, depth)
            while self._peek().kind == "repeat":
                item = _repeated(item, self._take("repeat"))
            items.append(item)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _item(self, lexeme: _Lexeme, depth: int) -> Node:
        if lexeme.kind == "name":
            return Name(lexeme.text, lexeme.line)
        if lexeme.text == "(":
            return self._group(lexeme.line, depth + 1)
        characters = [Chars(ranges) for ranges in _characters(lexeme)]
        return characters[0] if len(characters) == 1 else Sequence(tuple(characters))

    def _group(self, line: int, depth: int) -> Node:
        if depth > _MAX_GROUP_DEPTH:
            fail(line, f"groups are nested more than {_MAX_GROUP_DEPTH} deep", "make some of them rules")
        inside = self._choice(depth)
        if self._peek().text != ")":
            fail(self._peek().line, f"the group that began in line {line} has no closing )")
        self._position += 1
        return inside

    def _peek(self) -> _Lexeme:
        if self._position < len(self._lexemes):
            return self._lexemes[self._position]
        return _Lexeme("end", "", self._lexemes[-1].line if self._lexemes else 1)

    def _take(self, kind: str, wanted: str = "") -> _Lexeme:
        lexeme = self._peek()
        if lexeme.kind != kind:
            found = repr(lexeme.text) if lexeme.text.strip() else "nothing"
            fail(lexeme.line, f"{found} stands where {wanted} should be")
        self._position += 1
        return lexeme


def _characters(lexeme: _Lexeme) -> list[Ranges]:
    if lexeme.text == ".":
        return [ANY]
    try:
        body = lexeme.text[1:-1]
        return letters(body) if lexeme.kind == "literal" else [char_class(body)]
    except ValueError as error:
        fail(lexeme.line, str(error))


def _repeated(item: Node, lexeme: _Lexeme) -> Node:
    least, most = _bounds(lexeme.text)
    if most is not None and most < least:
        fail(lexeme.line, f"{lexeme.text} ends before it begins", f"write {{{most},{least}}}")
    if max(least, most or 0) > _MAX_REPETITIONS:
        fail(lexeme.line, f"{lexeme.text} is more than {_MAX_REPETITIONS:,} repetitions", "leave the end open: {m,}")
    return Sequence(()) if most == 0 else Repeat(item, least, most)


def _bounds(text: str) -> tuple[int, int | None]:
    if text in "*+?":
        return int(text == "+"), 1 if text == "?" else None
    numbers = [int(number) for number in re.findall("[0-9]+", text)]
    return numbers[0], None if "," in text and len(numbers) == 1 else numbers[-1]
