"""Zawgyi text: detected, and converted to Unicode."""

from __future__ import annotations

import pytest

from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.zawgyi import looks_like_zawgyi, zawgyi_to_unicode

WORDS = {  # Zawgyi: Unicode
    "\u1031\u1000\u102c\u1004\u1039\u1038": "\u1000\u1031\u102c\u1004\u103a\u1038",  # good
    "\u103b\u1019\u1014\u1039\u1019\u102c": "\u1019\u103c\u1014\u103a\u1019\u102c",  # Myanmar, as it is said
    "\u101b\u103d\u102d": "\u101b\u103e\u102d",  # to be
    "\u1005\u1000\u102c\u1038\u1031\u103b\u1015\u102c": "\u1005\u1000\u102c\u1038\u1015\u103c\u1031\u102c",  # to speak
    "\u1040\u1014\u1039": "\u101d\u1014\u103a",  # a zero typed for the letter wa
    "\u1042\u1040\u1041\u1048": "\u1042\u1040\u1041\u1048",  # a year stays one
    "\u1044\u1004\u1039\u1038": "\u104e\u1004\u103a\u1038",  # "the said", with a four
    "plain text, \u4e2d\u6587": "plain text, \u4e2d\u6587",
}


@pytest.mark.parametrize("zawgyi", WORDS)
def test_words_become_unicode(zawgyi: str) -> None:
    assert zawgyi_to_unicode(zawgyi) == WORDS[zawgyi]


@pytest.mark.parametrize("language", SENTENCES)
def test_unicode_text_is_not_taken_for_zawgyi(language: str) -> None:
    assert not any(looks_like_zawgyi(sentence) for sentence in SENTENCES[language])


@pytest.mark.parametrize(
    "text", ["\u1031\u1000\u102c\u1004\u1039\u1038", "\u1019\u103d\u102c \u1031\u103b\u1015\u102c"]
)
def test_zawgyi_is_noticed(text: str) -> None:
    assert looks_like_zawgyi(text)


def test_a_kinzi_comes_before_its_consonant_and_what_is_stacked_after() -> None:
    assert zawgyi_to_unicode("\u1021\u1002\u1064\u101c\u102d\u1015\u1039") == (
        "\u1021\u1004\u103a\u1039\u1002\u101c\u102d\u1015\u103a"
    )
    assert zawgyi_to_unicode("\u1019\u108f\u1071\u1031\u101c\u1038") == "\u1019\u1014\u1039\u1010\u101c\u1031\u1038"
