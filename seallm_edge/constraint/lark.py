"""Grammar rules → llguidance's notation, a variant of Lark, for exactly the same texts.

llguidance splits text into terminals by the longest match, as a programming language's lexer does: with terminals of
several characters, `[a-z]* "b"` would allow nothing. So a grammar without recursion is written as one terminal, and
a recursive one with terminals of single characters, whose longest match is unambiguous.
ref: llguidance docs/syntax.md
"""

from __future__ import annotations

from .characters import Ranges
from .rules import ROOT, Chars, Choice, Name, Node, Repeat, Rules, Sequence, checked, is_recursive

HEADER = '%llguidance {"no_forcing": true}\n'
"""Lets the model choose the tokenization of text that the grammar forces."""


def to_lark(rules: Rules) -> str:
    """Grammar in llguidance's notation. Raises InvalidOption for inconsistent rules, see `rules.checked`."""
    loops = {name: _without_right_recursion(name, node) for name, node in checked(rules).items()}
    letter = "r" if is_recursive(loops) else "R"  # a name in capitals makes a terminal
    writer = _Writer({name: f"{letter}{n}" for n, name in enumerate(loops)})
    lines = [f"{writer.names[name]}: {writer.write(node)}" for name, node in loops.items()]
    classes = [f"{name}: /{_regex(ranges)}/" for ranges, name in writer.classes.items()]
    return HEADER + "\n".join([f"start: {writer.names[ROOT]}", *lines, *classes, ""])


def _without_right_recursion(name: str, node: Node) -> Node:
    """Rule `a ::= b a | c` as `a ::= b* c`: the same texts, without a parser stack that grows with the text."""
    options = node.options if isinstance(node, Choice) else (node,)
    again: list[Node] = []
    last: list[Node] = []
    for option in options:
        if isinstance(option, Sequence) and option.items and _is_name(option.items[-1], name):
            again.append(Sequence(option.items[:-1]))
        else:
            last.append(option)
    if not again:
        return node
    return Sequence((Repeat(_one_of(again), 0, None), _one_of(last)))


def _is_name(node: Node, name: str) -> bool:
    return isinstance(node, Name) and node.name == name


def _one_of(options: list[Node]) -> Node:
    return options[0] if len(options) == 1 else Choice(tuple(options))


class _Writer:
    """Writer of nodes; `classes` collects the character classes they use, with their names."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.classes: dict[Ranges, str] = {}

    def write(self, node: Node) -> str:
        match node:
            case Chars(ranges):
                return self.classes.setdefault(ranges, f"C{len(self.classes)}")
            case Name(name):
                return self.names[name]
            case Sequence(items):
                return " ".join(map(self._item, items)) or '""'
            case Choice(options):
                return " | ".join(map(self.write, options))
        return self._atom(node.item) + _times(node)

    def _item(self, node: Node) -> str:
        return self.write(node) if isinstance(node, Repeat) else self._atom(node)

    def _atom(self, node: Node) -> str:
        text = self.write(node)
        return text if isinstance(node, Chars | Name) else f"({text})"


def _times(node: Repeat) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    return signs.get((node.least, node.most)) or f"{{{node.least},{node.most or ''}}}"


def _regex(ranges: Ranges) -> str:
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges) + "]"
