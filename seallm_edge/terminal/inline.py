"""Incremental parser of Markdown's inline markup: emphasis, code, links, images, entities, escapes.

Text comes out as soon as nothing that follows can change its look. What an open `**`, `[` or backtick holds back comes
out at the end of its block, or `MAX_HELD` characters later, with the mark as text: the time is linear, however marks
are nested. Rules are CommonMark's, except that beside letters of scripts without spaces emphasis may begin and end at
punctuation (`**“你好”**世界`), and that reference links and HTML are text. ref: https://spec.commonmark.org/0.31.2/
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from . import lexing
from .lexing import MAX_HELD, Undecided
from .style import Attributes, Look

Part = tuple[str, Look]
LINE_BREAK = "\n"  # a part of its own


@dataclass
class _Mark:
    """Mark that may begin or end markup: a run of `*`, `_` or `~`, or a bracket. Shown as text unless matched."""

    text: str  # what no markup has used
    position: int
    length: int = 0  # of the whole run
    opens: list[int] = field(default_factory=list)  # innermost first
    closes: list[int] = field(default_factory=list)
    url: str = ""
    can_open: bool = False
    can_close: bool = False
    is_open: bool = False  # text after it may still be changed by what follows


class InlineParser:
    """Parser of the inline text of one block: text in, parts with their looks out; each line feed is a part."""

    def __init__(self, base: int = Attributes.PLAIN, *, hyperlinks: bool = False) -> None:
        self._base = self._attributes = int(base)
        self._hyperlinks = hyperlinks
        self._text = ""  # not read yet
        self._position = 0  # of that text in the block
        self._before = ""  # character before it
        self._nodes: deque[str | _Mark | Part] = deque()  # read, not given out yet
        self._openers: list[_Mark] = []
        self._brackets: list[_Mark] = []
        self._depths: Counter[int] = Counter()
        self._url = ""
        self._rules: dict[str, Callable[[str, int, bool], int]] = {
            "*": self._read_run, "_": self._read_run, "~": self._read_run, "`": self._read_code,
            "[": self._read_bracket, "!": self._read_bracket, "]": self._read_closing_bracket,
            "<": self._read_autolink, "&": self._read_entity, "\\": self._read_escape, "h": self._read_url,
        }  # fmt: skip

    def feed(self, text: str) -> list[Part]:
        """Parts whose look is certain with `text`."""
        self._read(self._text + text, final=False)
        return self._certain_parts(final=False)

    def close(self) -> list[Part]:
        """Parts held back so far; open marks are text."""
        self._read(self._text, final=True)
        return self._certain_parts(final=True)

    def _read(self, text: str, *, final: bool) -> None:
        index = 0
        try:
            while index < len(text):
                plain = lexing.PLAIN.match(text, index)
                if plain:
                    self._nodes.append(plain[0])
                    end = plain.end()
                else:
                    self._before = text[index - 1] if index else self._before
                    end = self._rules[text[index]](text, index, final)
                self._position += end - index
                index = end
        except Undecided:
            pass
        self._before = text[index - 1] if index else self._before
        self._text = text[index:]

    def _read_escape(self, text: str, index: int, final: bool) -> int:
        following = lexing.character_at(text, index + 1, final)
        is_escape = following in lexing.ESCAPABLE
        self._nodes.append(following if is_escape else "\\")
        return index + (2 if is_escape else 1)

    def _read_code(self, text: str, index: int, final: bool) -> int:
        content, end = lexing.code_span(text, index, final)
        self._nodes.append(text[index:end] if content is None else (content, Look(Attributes.CODE)))
        return end

    def _read_entity(self, text: str, index: int, final: bool) -> int:
        characters, end = lexing.entity(text, index, final)
        self._nodes.append(characters)
        return end

    def _read_autolink(self, text: str, index: int, final: bool) -> int:
        return self._add_url(*lexing.autolink(text, index, final))

    def _read_url(self, text: str, index: int, final: bool) -> int:
        if self._before.isalnum():
            return self._add_url("", index + 1, "h")
        return self._add_url(*lexing.bare_url(text, index, final))

    def _add_url(self, url: str, end: int, otherwise: str) -> int:
        self._nodes.append((url, Look(Attributes.URL, url)) if url else otherwise)
        return end

    def _read_run(self, text: str, index: int, final: bool) -> int:
        """Read a run of `*`, `_` or `~`: it ends emphasis, begins it, or is text."""
        run, following = lexing.delimiter_run(text, index, final)
        mark = _Mark(run, self._position, len(run))
        if len(run) < lexing.MAX_RUN and (run[0] != "~" or run == "~~"):
            mark.can_open, mark.can_close = lexing.flanks(run[0], self._before, following)
        self._nodes.append(mark)
        if mark.can_close:
            while mark.text and (opener := self._matching_opener(mark)):
                self._match(opener, mark)
        if mark.can_open and mark.text:
            mark.is_open = True
            self._openers.append(mark)
        return index + len(run)

    def _matching_opener(self, mark: _Mark) -> _Mark | None:
        for opener in reversed(self._openers):
            if mark.position - opener.position > MAX_HELD:
                return None
            if opener.text[0] == mark.text[0] and not _is_odd_match(opener, mark):
                return opener
        return None

    def _match(self, opener: _Mark, mark: _Mark) -> None:
        n_used = 2 if len(opener.text) >= 2 and len(mark.text) >= 2 else 1
        strong = Attributes.STRIKE if mark.text[0] == "~" else Attributes.STRONG
        attribute = strong if n_used == 2 else Attributes.EMPHASIS
        opener.opens.append(attribute)
        mark.closes.append(attribute)
        opener.text, mark.text = opener.text[n_used:], mark.text[n_used:]
        _drop(self._openers, after=opener.position)
        _drop(self._brackets, after=opener.position)
        if not opener.text:
            _drop(self._openers, after=opener.position - 1)

    def _read_bracket(self, text: str, index: int, final: bool) -> int:
        literal = text[index]
        if literal == "!":
            literal += "[" if lexing.character_at(text, index + 1, final) == "[" else ""
        if literal == "!":
            self._nodes.append(literal)
        else:
            bracket = _Mark(literal, self._position, is_open=True)
            self._nodes.append(bracket)
            self._brackets.append(bracket)
        return index + len(literal)

    def _read_closing_bracket(self, text: str, index: int, final: bool) -> int:
        bracket = self._brackets[-1] if self._brackets else None
        if bracket is None or self._position - bracket.position > MAX_HELD:
            self._nodes.append("]")
            return index + 1
        if lexing.character_at(text, index + 1, final) != "(":
            url, end = None, index + 1
        else:
            url, end = lexing.destination(text, index + 1, final)
        if url is None:
            self._nodes.append("]")
        else:
            self._add_link(bracket, url)
        _drop(self._brackets, after=bracket.position - 1)
        return end

    def _add_link(self, bracket: _Mark, url: str) -> None:
        """Turn the text since `bracket` into a link, or into an image's text."""
        _drop(self._openers, after=bracket.position)
        text = self._text_since(bracket)
        if bracket.text == "![":
            bracket.text = ""
            self._nodes.append("" if text else url)
            return
        _drop(self._brackets, after=-1)  # links hold no links
        bracket.text = ""
        bracket.url = url
        bracket.opens.append(Attributes.LINK)
        self._nodes.append(_Mark("", self._position, closes=[Attributes.LINK]))
        if not self._hyperlinks and url and url.removeprefix("mailto:") != text:
            self._nodes.extend([" (" if text else "", (url, Look(Attributes.URL, url)), ")" if text else ""])

    def _text_since(self, bracket: _Mark) -> str:
        texts: list[str] = []
        for node in reversed(self._nodes):
            if node is bracket:
                break
            texts.append(node if isinstance(node, str) else node.text if isinstance(node, _Mark) else node[0])
        return "".join(reversed(texts))

    def _certain_parts(self, *, final: bool) -> list[Part]:
        parts: list[Part] = []
        while self._nodes:
            node = self._nodes[0]
            if isinstance(node, _Mark):
                if node.is_open and not final and self._position - node.position <= MAX_HELD:
                    break
                self._give_mark(node, parts)
            else:
                text, look = (node, Look()) if isinstance(node, str) else node
                self._give(text, look, parts)
            self._nodes.popleft()
        self._openers = [] if not self._nodes else self._openers
        return parts

    def _give_mark(self, mark: _Mark, parts: list[Part]) -> None:
        for attribute in mark.closes:
            self._depths[attribute] -= 1
            self._url = "" if attribute == Attributes.LINK else self._url
        self._sum_attributes()
        if mark.text:
            self._give(mark.text, Look(), parts)
        for attribute in reversed(mark.opens):
            self._depths[attribute] += 1
            self._url = mark.url or self._url
        self._sum_attributes()

    def _sum_attributes(self) -> None:
        self._attributes = self._base | sum(attribute for attribute, depth in self._depths.items() if depth)

    def _give(self, text: str, look: Look, parts: list[Part]) -> None:
        look = Look(self._attributes | look.attributes, look.url or self._url)
        for n, line in enumerate(text.split(LINE_BREAK)):
            if n:
                parts.append((LINE_BREAK, Look()))
            if line and parts and parts[-1][1] == look and parts[-1][0] != LINE_BREAK:
                parts[-1] = (parts[-1][0] + line, look)
            elif line:
                parts.append((line, look))


def _is_odd_match(opener: _Mark, closer: _Mark) -> bool:
    """CommonMark's rule of three, for runs that can begin and end emphasis."""
    if not (opener.can_close or closer.can_open):
        return False
    return (opener.length + closer.length) % 3 == 0 and opener.length % 3 != 0


def _drop(marks: list[_Mark], *, after: int) -> None:
    """Take the marks after a position from a stack: they are text."""
    while marks and marks[-1].position > after:
        marks.pop().is_open = False
