"""Rendered replies: whole outputs, the same however the text is cut, and what a terminal then shows."""

import re
import unicodedata
from collections.abc import Iterable

import pyte
import pytest
import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge.terminal.line_starts import MAX_DEPTH
from seallm_edge.terminal.markdown import MarkdownStream, PlainStream
from seallm_edge.terminal.style import Style
from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.unicode import graphemes
from seallm_edge.text.width import cells
from support.deltas import cut

PLAIN = Style(colours=False)
SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*m|\]8;;[^\x1b]*\x1b\\)")
REPLY = """\
# Nasi lemak **sedap** ##

Masak *beras* dengan `santan`, lihat [resipi](https://example.com/nasi-lemak) ini.
Hidang panas.

1. Basuh beras
   - tiga kali
   - dengan air sejuk
2. Kukus

   selama 30 minit

> Petua: guna daun
> > pandan

---

| Bahan | Gram |
|:------|-----:|
| beras | 300 |
| **ikan bilis** | 50 |

```python
def masak(beras):
    return beras * 2
```
Siap!
"""
SHOWN = """\
Nasi lemak sedap

Masak beras dengan santan, lihat resipi
(https://example.com/nasi-lemak) ini.
Hidang panas.

1. Basuh beras
   • tiga kali
   • dengan air sejuk
2. Kukus

   selama 30 minit

│ Petua: guna daun
│ │ pandan

───────────────────

Bahan       Gram
----------  ----
beras        300
ikan bilis    50

```python
def masak(beras):
    return beras * 2
```
Siap!"""


def outputs(deltas: Iterable[str], width: int = 80, style: Style = PLAIN) -> list[str]:
    """Output of each delta, and of the end."""
    stream = MarkdownStream(width, style)
    return [*map(stream.feed, deltas), stream.close()]


def rendered(text: str, width: int = 80, style: Style = PLAIN) -> str:
    return "".join(outputs([text], width, style))


def bare(text: str, width: int = 80) -> str:
    """Rendered text without escape sequences."""
    return SEQUENCE.sub("", rendered(text, width))


class Terminal(pyte.Screen):
    """Emulated terminal, which leaves out characters without a width."""

    def draw(self, data: str) -> None:
        for char in data:
            super().draw(char)


def display(output: str, width: int) -> str:
    """What a terminal shows after `output`, which does not scroll."""
    screen = Terminal(width, 2 + output.count("\n") + len(output) // width)
    pyte.Stream(screen).feed(output.replace("\n", "\r\n"))
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


def with_a_width(text: str) -> str:
    """Characters of `text` that have a width by themselves."""
    return "".join(char for char in unicodedata.normalize("NFD", text) if char == "\n" or wcwidth.wcwidth(char) > 0)


def test_a_reply_is_rendered_block_by_block() -> None:
    assert bare(REPLY, 40) == SHOWN


def test_looks_are_escape_sequences_around_words() -> None:
    assert rendered("# A b\n\n**c** *d* ~~e~~ `f` [g](h)", style=Style()) == (
        "\x1b[1;35mA\x1b[0m\x1b[1;35m b\x1b[0m\n\n"
        "\x1b[1mc\x1b[0m \x1b[3md\x1b[0m \x1b[9me\x1b[0m \x1b[36mf\x1b[0m g (\x1b[4mh\x1b[0m)"
    )


def test_without_colours_bold_italic_and_underline_stay() -> None:
    assert Style.of_environment({"NO_COLOR": "1"}) == PLAIN
    assert Style.of_environment({"NO_COLOR": ""}) == Style.of_environment({}) == Style()
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", rendered(REPLY)))
    assert codes == {"0", "1", "2", "3", "4"}


def test_links_become_hyperlinks_where_the_style_says_so() -> None:
    style = Style(colours=False, hyperlinks=True)
    assert rendered("[a](https://b.c)", style=style) == "\x1b]8;;https://b.c\x1b\\a\x1b]8;;\x1b\\"


@pytest.mark.parametrize("style", [Style(), PLAIN, Style(hyperlinks=True)])
@pytest.mark.parametrize("width", [12, 40, 80])
def test_the_output_does_not_depend_on_how_a_reply_is_cut(width: int, style: Style) -> None:
    text = REPLY + "\n\n".join(f"- {first}\n> {second}" for first, second in SENTENCES.values())
    whole = rendered(text, width, style)
    assert "".join(outputs(text, width, style)) == whole
    assert ["".join(outputs(cut(text, seed), width, style)) for seed in range(4)] == [whole] * 4


ATOMS = [
    "*", "**", "_", "~~", "`", "```", "```python\n", "~~~\n", "\n", "\n\n", " ", "    ", "- ", "1. ", "> ", "# ", "#",
    "[", "](", ")", "![", "<", "&amp;", "|", "| a | b |\n", "|--|--|\n", "---\n", "\\", "\\\n", "http", "https://a.b/c",
    "word ", "x" * 30, "ภาษาไทยสวย", "ខ្មែរ", "မြန်မာ", "中文。", "👩\u200d🍳", "\u200b", "\x1b[2J", "\r", "\r\n", "\t",
    "e\u0301", "/* ",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(ATOMS), max_size=60).map("".join), st.integers(0, 99), st.sampled_from([5, 20, 80]))
def test_the_output_of_any_text_does_not_depend_on_how_it_is_cut(text: str, seed: int, width: int) -> None:
    assert "".join(outputs(cut(text, seed), width, Style())) == rendered(text, width, Style())


@settings(max_examples=200)
@given(st.lists(st.sampled_from(ATOMS), max_size=60).map("".join), st.sampled_from([20, 40, 80]))
def test_the_output_moves_no_cursor_and_erases_nothing(text: str, width: int) -> None:
    left = SEQUENCE.sub("", rendered(text, width, Style(hyperlinks=True)))
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", left) == []


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["word", "two", "คน", "- ", "> ", "1. ", "**", "`", " ", "\n", "# ", "| "]), max_size=60)
)
def test_no_word_of_the_source_is_lost(atoms: list[str]) -> None:
    text = "".join(atoms)
    words = re.compile("word|two|คน")
    assert words.findall(re.sub(r"\n[ │]*", "", bare(text, 1_000))) == words.findall(re.sub(r"\n", "", text))


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_output_ends_inside_a_grapheme_cluster(code: str, width: int) -> None:
    text = "\n\n".join(["**{}** {}".format(*SENTENCES[code]), "- `{}`\n- {}".format(*SENTENCES[code])])
    shown = [SEQUENCE.sub("", output) for output in outputs(text, width)]
    assert [cluster for output in shown for cluster in graphemes(output)] == graphemes("".join(shown))


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_line_is_wider_than_the_terminal(code: str, width: int) -> None:
    text = "{0}\n\n> - {1}\n>   1. {0}\n\n| {0} | {1} |\n|--|--|\n| 1 | {0} |\n".format(*SENTENCES[code])
    lines = bare(text, width).split("\n")
    assert [line for line in lines if cells(line) >= width] == []


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("code", SENTENCES)
def test_a_terminal_shows_what_is_meant(code: str, width: int) -> None:
    text = REPLY + "\n{}\n\n* {}".format(*SENTENCES[code])
    meant = "\n".join(line.rstrip() for line in bare(text, width).split("\n"))
    shown = display("".join(outputs(cut(text, 1), width, Style())), width)
    assert with_a_width(shown) == with_a_width(meant)


def test_words_show_as_they_come() -> None:
    deltas = ["The", " **cap", "ital**", " is", " Tok", "yo."]
    assert outputs(deltas) == ["", "The", "", " \x1b[1mcapital\x1b[0m", " is", "", " Tokyo."]


def test_code_shows_line_by_line() -> None:
    assert outputs(["```\na", " = 1\nb", "\n``", "`\n"]) == [
        "\x1b[2m```\x1b[0m",
        "\na = 1",
        "\nb",
        "\n\x1b[2m```\x1b[0m",
        "",
    ]


def test_code_is_neither_wrapped_nor_stripped() -> None:
    code = "```\n    if x:\n\n\ty = '" + "x" * 60 + "'\n**a**  \n```"
    assert bare(code, 20) == code


def test_unclosed_code_ends_with_the_text_and_code_in_a_quote_with_the_quote() -> None:
    assert bare("```\nx\n") == "```\nx"
    assert bare("> ```\n> x\n> >y\nz") == "│ ```\n│ x\n│ >y\nz"


def test_code_in_a_list_item_loses_the_items_indent() -> None:
    assert bare("1. a\n   ```sh\n   ls\n     -l\n   ```\n2. b") == "1. a\n   ```sh\n   ls\n     -l\n   ```\n2. b"


def test_a_table_is_aligned_as_its_delimiters_say() -> None:
    assert bare("| a | bb |\n|---|--:|\n| long | 1 |\n| 中文 | 100 |") == "a      bb\n----  ---\nlong    1\n中文  100"
    assert bare("|a|bcdef|\n|--|:-:|\n|`x|y` \\| z|") == "a   bcdef\n--  ------\n`x  y` | z"
    assert bare("|abcd|e|\n|:-:|-|\n|x|f|") == "abcd  e\n----  -\n x    f"


def test_a_table_that_is_too_wide_shows_a_line_for_each_cell() -> None:
    table = "| Name | Meaning |\n|--|--|\n| a | a rather long explanation |\n| b | short |\n"
    assert bare(table, 24) == "Name: a\nMeaning: a rather long\n    explanation\n\nName: b\nMeaning: short"


def test_a_table_in_a_script_of_disputed_width_shows_a_line_for_each_cell() -> None:
    assert bare("| ប្រទេស | n |\n|--|--|\n| កម្ពុជា | 1 |") == "ប្រទេស: កម្ពុជា\nn: 1"


def test_lines_with_bars_that_are_no_table_are_text() -> None:
    assert bare("| a | b |\nc\n\n| d\n| e\n|") == "| a | b |\nc\n\n| d\n| e\n|"


def test_a_table_row_may_lack_cells_or_have_more() -> None:
    assert bare("| a | b |\n|--|--|\n| 1 |\n| 1 | 2 | 3 |") == "a  b\n-  -  -\n1\n1  2  3"


def test_a_long_table_comes_in_parts() -> None:
    shown = outputs("| a |\n|--|\n" + "| 1 |\n" * 250)
    assert (
        "".join(shown)
        == "\x1b[1ma\x1b[0m\n\x1b[2m-\x1b[0m\n" + "1\n" * 200 + "\x1b[1ma\x1b[0m\n\x1b[2m-\x1b[0m\n" + "1\n" * 49 + "1"
    )


def test_an_unclosed_mark_is_text() -> None:
    assert bare("**a `b [c](d\n\n# *e\n\n- ~~f") == "**a `b [c](d\n\n*e\n\n• ~~f"


def test_line_feeds_in_paragraphs_stay() -> None:
    assert bare("Jalan 5\nKuala Lumpur  \nMalaysia\\\n!\n===") == "Jalan 5\nKuala Lumpur\nMalaysia\n!\n==="


def test_items_nest_by_two_columns_and_keep_their_numbers() -> None:
    assert bare("3) a\n  * b\n    + c\n  * d\n7) e\n-\n- f") == "3) a\n   • b\n     • c\n   • d\n7) e\n• \n• f"


def test_headings_lose_their_marks() -> None:
    assert bare("# a #\n## b#\n###### c ## \n#d\n####### e\n#") == "a\nb#\nc\n#d\n####### e\n"


def test_empty_lines_are_kept_as_one() -> None:
    assert bare("\n\na\n\n\n\nb\n> c\n>\n> d\n\n\n") == "a\n\nb\n│ c\n│\n│ d"


def test_control_characters_are_shown_as_pictures() -> None:
    assert bare("a\x1b[2Jb\r\nc\rd\x07\x9b\x00 [x](\x1b]8;;y)") == "a␛[2Jb\nc␍d␇\ufffd␀ x (␛]8;;y)"


def test_tabs_are_spaces_outside_of_code() -> None:
    assert bare("a\tb\t`c\td`\n\n```\n\te\tf\n```") == "a b c d\n\n```\n\te\tf\n```"


def test_joiners_and_bidirectional_controls_survive() -> None:
    text = "👩\u200d🍳 ரிக்\u200cஷா \u2067abc\u2069 ក\u200bខ"
    assert bare(text) == text


def test_an_empty_reply_is_an_empty_output() -> None:
    assert (outputs([]), outputs(["", "\n", "  "])) == ([""], ["", "", "", ""])


HOSTILE = {
    "quotes": ">" * 10_000 + " x",
    "brackets": "[" * 10_000 + "]" * 10_000,
    "links": "[a](" * 10_000,
    "images": "![" * 10_000,
    "asterisks": "*" * 10_000,
    "emphasis": "*a " * 10_000,
    "strong": "**a " * 5_000 + "a** " * 5_000,
    "backticks": "".join("`" * n + " " for n in range(200)),
    "entities": "&a" * 10_000,
    "items": "- " * 10_000 + "\n" + "".join(" " * n + "- a\n" for n in range(200)),
    "bars": "|" * 10_000 + "\n" + "|a" * 2_000 + "\n" + "|-" * 2_000,
    "spaces": " " * 300_000 + "x",
    "lines": "\n" * 20_000,
    "fences": "```\n" * 5_000,
    "code": "```python\n'''" + "x = 1\n" * 2_000,
    "word": "x" * 300_000,
    "marks": "e" + "\u0301" * 50_000,
    "thai": "ก" * 20_000,
    "controls": "\x1b[2J" * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_comes_through(name: str) -> None:
    text = HOSTILE[name]
    short = text[:20_000]
    assert "".join(outputs([short[n : n + 7] for n in range(0, len(short), 7)], 80, Style())) == rendered(
        short, 80, Style()
    )
    assert bare(text) is not None


@pytest.mark.slow
def test_a_megabyte_of_text_is_rendered() -> None:
    text = ("The **quick** brown fox. ยายใช้ข้าวสาร " * 20 + "\n\n") * 1_400
    assert len(text.encode()) > 1_000_000
    assert bare(text).count("quick") == 28_000


def test_marks_nested_deeper_than_the_limit_are_text() -> None:
    shown = bare("> " * (MAX_DEPTH + 2) + "x", 80)
    assert shown == "│ " * MAX_DEPTH + "> > x"


def test_deep_indents_leave_half_of_the_line() -> None:
    assert bare("> " * 12 + "- word word word", 20) == "│ │ │ │ • word word\n│ │ │ │   word"


def test_a_plain_stream_shows_text_as_it_is() -> None:
    stream = PlainStream()
    assert [stream.feed("# **a**\n"), stream.feed("\x1b[2J\t|"), stream.close()] == ["# **a**\n", "␛[2J\t|", ""]
