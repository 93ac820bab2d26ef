import re

import pytest

from seallm_edge.terminal.highlighting import MAX_LINE, Highlighter
from seallm_edge.terminal.style import Style

KEYWORD, STRING, COMMENT, NAME, NUMBER = (f"\x1b[{codes}m" for codes in ("35", "32", "2;3", "34", "36"))
OFF = "\x1b[0m"
SOURCE = (
    "def f(x):\n  /* a */ \"s\" 'c' # d\n<a b='c'>\n\n\tx = {1: [2, 3.0]}; // ខ្មែរ\n`t` $v @q %r\nend {{ x }} <?php"
)


def shown(language: str, code: str, style: Style | None = None) -> list[str]:
    highlighter = Highlighter(language, style or Style())
    return [highlighter.line(line) for line in code.split("\n")]


def test_strings_of_several_lines_are_highlighted_line_by_line() -> None:
    assert shown("python", 'x = """a\nb"""\nreturn 1') == [
        f'x = {STRING}"""{OFF}{STRING}a{OFF}',
        f'{STRING}b{OFF}{STRING}"""{OFF}',
        f"{KEYWORD}return{OFF} {NUMBER}1{OFF}",
    ]


@pytest.mark.parametrize("language", ["c", "java", "js", "css"])
def test_comments_of_several_lines_are_highlighted_line_by_line(language: str) -> None:
    comment = ["/* one", "* don't", "", "*/"]
    assert shown(language, "\n".join(comment)) == [f"{COMMENT}{line}{OFF}" if line else "" for line in comment]
    assert COMMENT not in shown(language, "\n".join([*comment, "x"]))[-1]


def test_the_first_word_after_the_fence_names_the_language() -> None:
    expected = [f"{KEYWORD}def{OFF} {NAME}f{OFF}"]
    assert shown("python title=x.py", "def f") == shown("{.python}", "def f") == shown("py", "def f") == expected


@pytest.mark.parametrize("language", ["", "nonsense", "text", "{}", "\u1780"])
def test_code_in_no_known_language_stays_as_it_is(language: str) -> None:
    assert shown(language, SOURCE) == SOURCE.split("\n")


def test_without_colours_code_stays_as_it_is() -> None:
    assert shown("python", SOURCE, Style(colours=False)) == SOURCE.split("\n")


def test_a_very_long_line_stays_as_it_is() -> None:
    line = "x = 1;" * MAX_LINE
    assert shown("python", line) == [line]


# scheme's lexer fails when its state is kept; yaml's and json's are of other kinds
@pytest.mark.parametrize(
    "language", ["python", "json", "yaml", "html", "php", "sh", "scheme", "console", "diff", "go", "rust"]
)
def test_highlighting_keeps_the_text(language: str) -> None:
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown(language, SOURCE)] == SOURCE.split("\n")
