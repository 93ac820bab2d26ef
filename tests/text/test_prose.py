"""Prose of the 12 languages: the same five sentences, in NFC, recognized as what it is."""

import re
import unicodedata

import pytest

from seallm_edge.text.languages import LANGUAGES, detect_language
from seallm_edge.text.prose import PROSE


def test_every_language_has_its_prose() -> None:
    assert list(PROSE) == [language.code for language in LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_it_is_plain_text_of_its_language(language) -> None:  # type: ignore[no-untyped-def]
    text = PROSE[language.code]
    assert unicodedata.normalize("NFC", text) == text
    assert detect_language(text) in (language, None) or {language.code, detect_language(text).code} == {"id", "ms"}
    assert not re.search(r"\d|[\U00010000-\U0010ffff\u200b-\u200f]", text)
    n_sentences = len(re.findall("[.。။។]", text))
    assert n_sentences == (0 if language.code == "th" else 5)
