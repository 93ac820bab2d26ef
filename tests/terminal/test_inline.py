"""Inline markup; CommonMark's own rules are checked against markdown-it."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from seallm_edge.terminal.inline import InlineParser
from seallm_edge.terminal.lexing import MAX_HELD
from seallm_edge.terminal.style import Attributes
from support.deltas import cut

ORACLE = MarkdownIt("commonmark").enable("strikethrough").disable("html_inline")
OF_TOKEN = {
    "strong": Attributes.STRONG,
    "em": Attributes.EMPHASIS,
    "s": Attributes.STRIKE,
    "link": Attributes.LINK,
}


def parts(text: str, deltas: Iterable[str] | None = None) -> list[tuple[str, int]]:
    """Parts of `text` with their attributes, those with the same look joined."""
    parser = InlineParser()
    found: list[tuple[str, int]] = []
    for part, look in [*(part for delta in deltas or [text] for part in parser.feed(delta)), *parser.close()]:
        if found and found[-1][1] == look.attributes and "\n" not in (part, found[-1][0]):
            found[-1] = (found[-1][0] + part, look.attributes)
        else:
            found.append((part, look.attributes))
    return found


def characters(text: str) -> list[tuple[str, int]]:
    """Characters with their attributes; URLs left out."""
    parser = InlineParser(hyperlinks=True)
    return [(char, look.attributes) for part, look in [*parser.feed(text), *parser.close()] for char in part]


def characters_of(tokens: list[Token]) -> list[tuple[str, int]]:
    """The same from markdown-it's tokens."""
    found: list[tuple[str, int]] = []
    depths = dict.fromkeys(OF_TOKEN, 0)
    for token in tokens:
        if token.nesting:
            depths[token.type.rsplit("_", 1)[0]] += token.nesting
            continue
        attributes = sum(OF_TOKEN[name] for name, depth in depths.items() if depth)
        attributes += Attributes.CODE if token.type == "code_inline" else 0
        content = "\n" if token.type in ("softbreak", "hardbreak") else token.content
        found += [(char, attributes) for char in content]
    return found


@pytest.mark.parametrize(
    "marks",
    [("*", "**", "***", "a", " ", "."), ("_", "__", "a", " ", "("), ("*", "_", "**", "a", " ", "b"),
     ("`", "``", "*", "a", " ", "\\"), ("&amp;", "&lt", "&", ";", "&#65;", "&bogus;"), (" ~~", "~~ ", "a", "**", " "),
     ("a", "\\*", "\\a", "\\\\", "*", "b")],
)  # fmt: skip
@settings(max_examples=200)
@given(data=st.data())
def test_emphasis_code_entities_and_escapes_are_commonmarks(marks: tuple[str, ...], data: st.DataObject) -> None:
    text = "a" + "".join(data.draw(st.lists(st.sampled_from(marks), max_size=12))) + "z"
    assert characters(text) == characters_of(ORACLE.parseInline(text)[0].children or [])


@given(st.text(st.sampled_from("*_~`[]()!<>&;\\h a\nคน好")), st.integers(0, 99))
def test_parts_do_not_depend_on_how_the_text_is_cut(text: str, seed: int) -> None:
    assert parts(text, cut(text, seed)) == parts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[text](https://a.b)", [("text", Attributes.LINK), (" (", 0), ("https://a.b", Attributes.URL), (")", 0)]),
        ('[t](<a b> "title")', [("t", Attributes.LINK), (" (", 0), ("a b", Attributes.URL), (")", 0)]),
        ("[x](u_(y))!", [("x", Attributes.LINK), (" (", 0), ("u_(y)", Attributes.URL), (")!", 0)]),
        ("[https://a.b](https://a.b)", [("https://a.b", Attributes.LINK | Attributes.URL)]),
        ("[](https://a.b)", [("https://a.b", Attributes.URL)]),
        ("<https://a.b> <me@a.b>", [("https://a.b", Attributes.URL), (" ", 0), ("me@a.b", Attributes.URL)]),
        ("(https://a.b/c_d_e).", [("(", 0), ("https://a.b/c_d_e", Attributes.URL), (").", 0)]),
        ("https://a.b。中", [("https://a.b", Attributes.URL), ("。中", 0)]),
        ("[**b**](u)", [("b", Attributes.LINK | Attributes.STRONG), (" (", 0), ("u", Attributes.URL), (")", 0)]),
        ("![a picture](x.png) ![](y.png)", [("a picture y.png", 0)]),
        ("[1] [x](not a link) [ref][1]", [("[1] [x](not a link) [ref][1]", 0)]),
    ],
)  # fmt: skip
def test_links_show_their_address_and_images_their_text(text: str, expected: list[tuple[str, int]]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "strong"),
    [("他说**“你好”**世界", "“你好”"), ("คำว่า**\"สวัสดี\"**ใช้", '"สวัสดี"'), ("ပြော**(က)**တယ်", "(က)"), ("a**b**c", "b")],
)  # fmt: skip
def test_emphasis_may_begin_and_end_at_punctuation_beside_scripts_without_spaces(text: str, strong: str) -> None:
    assert [part for part, attributes in parts(text) if attributes] == [strong]


def test_html_is_text() -> None:
    assert parts("<b>x</b><!-- y --><br>") == [("<b>x</b><!-- y --><br>", 0)]


def test_line_feeds_come_as_parts_and_emphasis_spans_them() -> None:
    strong = Attributes.STRONG
    assert parts("**a\nb** c\\\nd") == [("a", strong), ("\n", 0), ("b", strong), (" c", 0), ("\n", 0), ("d", 0)]


def test_text_is_given_out_as_soon_as_it_is_certain() -> None:
    parser = InlineParser()
    given = [
        [text for text, _ in parser.feed(delta)] for delta in ("one ", "**two", " three", "** four", " [a](b", ") c")
    ]
    assert given == [["one "], [], [], ["two three", " four"], [" "], ["a", " (", "b", ") c"]]


@pytest.mark.parametrize("mark", ["**", "*", "[", "`", "_"])
def test_an_open_mark_holds_back_a_bounded_text_and_is_text_then(mark: str) -> None:
    parser = InlineParser()
    text = f"{mark}x " + "word " * 200
    n_fed = next(n for n in range(len(text)) if parser.feed(text[n]))
    assert MAX_HELD <= n_fed <= MAX_HELD + 8
    assert parts(text) == [(text, 0)]


def test_entities_cannot_bring_control_characters_in() -> None:
    assert parts("&#27;[2J &#x9b; &#10; &#0; &#xD800; &#99999999;") == [("␛[2J \ufffd   \ufffd \ufffd &#99999999;", 0)]
