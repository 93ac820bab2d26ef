"""The catalogues hold all messages of the code, translated, with the same placeholders, and compiled."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from seallm_edge import translations
from seallm_edge.documents import DocumentNotice
from seallm_edge.terminal.notices import document_notice_words
from seallm_edge.translations.update import (
    PACKAGE,
    compiled,
    is_translated,
    messages,
    path_of,
    read,
    translated_codes,
    updated,
    written,
)

CODES = translated_codes()
FUNCTIONS = ("_", "ngettext", "marked")
STALE = "run `make words`"


def forms(text: object) -> list[str]:
    return [text] if isinstance(text, str) else [*text]  # type: ignore[misc]


def fields(text: str) -> set[tuple[str, str]]:
    """Placeholders with their formats."""
    return {(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def edges(text: str) -> tuple[str, str]:
    """Spaces before and after a text."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def is_right(message: Message) -> bool:
    """Whether each form of the translation has the placeholders and outer spaces of a form of the message; the forms
    for one thing may leave its number out.
    """
    known = [fields(form) for form in forms(message.id)]
    return all(
        (fields(form) in known or fields(form) == set.union(*known)) and edges(form) == edges(forms(message.id)[0])
        for form in forms(message.string)
    )


def test_eleven_languages_and_english() -> None:
    assert [*CODES, "en"] == [code for code in translations.codes() if code != "en"] + ["en"]
    assert len(CODES) == 11


@pytest.mark.parametrize("code", CODES)
def test_every_message_is_translated(code: str) -> None:
    known = {message.id: message for message in read(code) if message.id}
    wanted = [message.id for message in messages() if message.id]
    assert [one for one in wanted if one not in known or not is_translated(known[one])] == [], STALE
    assert [one for one in known if one not in wanted] == [], STALE


@pytest.mark.parametrize("code", CODES)
def test_placeholders_are_those_of_the_message(code: str) -> None:
    assert [message.id for message in read(code) if message.id and not is_right(message)] == []


@pytest.mark.parametrize("code", CODES)
def test_the_compiled_catalogue_is_that_of_the_text(code: str) -> None:
    catalogue = updated(code, messages())
    assert path_of(code, "po").read_bytes().replace(b"\r\n", b"\n") == written(catalogue), STALE
    assert path_of(code, "mo").read_bytes() == compiled(catalogue), STALE


def calls(path: Path) -> Iterator[tuple[ast.Call, bool]]:
    """(call of a translating function, whether it is inside an f-string) in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for node in ast.walk(one)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in FUNCTIONS:
                yield node, id(node) in inside


def test_the_extraction_sees_every_message() -> None:
    seen = {form for message in messages() for form in forms(message.id)}
    for path in PACKAGE.rglob("*.py"):
        if path.parent == PACKAGE / "translations":
            continue
        for call, is_in_f_string in calls(path):
            texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            assert not (texts and is_in_f_string), (path.name, texts)
            assert set(texts) <= seen, (path.name, texts)


def test_documents_notices_have_words_for_each_of_their_topics() -> None:
    made = {
        node.args[0].value
        for path in (PACKAGE / "documents").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DocumentNotice"
        if isinstance(node.args[0], ast.Constant)
    }
    facts = {"n": 2, "n_pages": 9, "pages": "3 and 4"}
    words = {topic: document_notice_words(DocumentNotice(topic, "", facts)) for topic in made}
    assert len(words) == 5
    assert all(words.values())
