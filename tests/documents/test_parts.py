"""Parts of a text: within the budget, at paragraphs, and together the whole."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge.documents.parts import Part, chunks, fit
from seallm_edge.errors import InvalidOption
from seallm_edge.text.samples import SENTENCES, TEXTS
from seallm_edge.text.unicode import graphemes

BITS = (*TEXTS, "\n", "\n\n", " ", ". ", "e\u0301", "👩\u200d🍳", "🇹🇭🇻🇳🇲", "\r\n", "a", "។", "\u200b", "क\u094dष")
texts = st.lists(st.sampled_from(BITS), max_size=12).map("".join)


def in_bytes(text: str) -> int:
    return len(text.encode())


def in_pairs(text: str) -> int:
    """Merges pairs of equal characters, so that a longer text may have fewer tokens."""
    return len(text) - sum(a == b for a, b in itertools.pairwise(text))


COUNTERS = st.sampled_from([in_bytes, len, in_pairs, lambda text: len(text) // 3 + 1])


def boundaries(text: str) -> set[int]:
    found, position = {0}, 0
    for cluster in graphemes(text):
        position += len(cluster)
        found.add(position)
    return found


@given(texts, COUNTERS, st.integers(0, 300))
@settings(max_examples=100, deadline=None)
def test_a_beginning_keeps_the_budget_and_whole_clusters(text: str, count, budget: int) -> None:
    part = fit(text, count, budget)
    assert text.startswith(part.text)
    assert part.end in boundaries(text)
    assert part.n_tokens == (count(part.text) if part.text else part.n_tokens)
    assert part.n_tokens <= budget or part.text == ""
    assert (part.whole_tokens, part.whole_characters) == (count(text), len(text))


@given(texts, COUNTERS, st.integers(40, 300))
@settings(max_examples=100, deadline=None)
def test_chunks_are_the_whole_text_and_each_keeps_the_budget(text: str, count, budget: int) -> None:
    parts = list(chunks(text, count, budget))
    assert "".join(part.text for part in parts) == text
    assert [part.start for part in parts] == [sum(len(p.text) for p in parts[:n]) for n in range(len(parts))]
    assert all(count(part.text) == part.n_tokens <= budget for part in parts)
    assert {part.end for part in parts} <= boundaries(text)


@pytest.mark.parametrize(
    ("text", "budget", "expected"),
    [
        ("One two.\n\nThree four five.", 20, "One two.\n\n"),
        ("One two.\n\n\nThree.\n\nFour five six seven eight.", 26, "One two.\n\n\nThree.\n\n"),
        ("A.\n\nOne sentence here. Another follows it now.", 30, "A.\n\nOne sentence here. "),
        ("first line\nsecond line\nthird", 26, "first line\nsecond line\n"),
        ("oneword another thirdword", 20, "oneword another "),
        ("你好。我们去市场。然后回家。", 9, "你好。我们去市场。"),
        ("ខ្ញុំទៅផ្សារ។ គាត់នៅផ្ទះ។", 20, "ខ្ញុំទៅផ្សារ។ "),
        ("aaaaaaaaaaaaaaa", 6, "aaaaaa"),
        ("e\u0301e\u0301e\u0301", 5, "e\u0301e\u0301"),
        ("👩\u200d🍳", 2, ""),
        ("short", 5, "short"),
        ("", 0, ""),
    ],
)
def test_a_part_ends_at_a_paragraph_else_a_sentence_else_a_word(text: str, budget: int, expected: str) -> None:
    assert fit(text, len, budget).text == expected


def test_numbers_of_a_part_are_those_of_the_part_and_of_the_whole() -> None:
    part = fit("abc def", in_bytes, 5)
    assert part == Part("abc ", 0, 4, 7, 7)
    assert (part.end, part.is_whole, fit("abc", len, 9).is_whole) == (4, False, True)


@pytest.mark.parametrize("language", SENTENCES)
def test_a_part_of_a_long_text_takes_few_calls_of_its_own_size(language: str) -> None:
    text = " ".join(SENTENCES[language]) * 300
    lengths: list[int] = []

    def count(piece: str) -> int:
        lengths.append(len(piece))
        return len(piece.encode()) // 4 + 1

    part = fit(text, count, 1_000)
    assert part.n_tokens > 500
    assert len(lengths) <= 16
    assert max(lengths[1:]) <= 3 * len(part.text)


def test_a_cluster_larger_than_the_budget_is_refused() -> None:
    with pytest.raises(InvalidOption, match="a budget of 3 tokens does not hold the character at 2"):
        list(chunks("ab👩\u200d🍳", in_bytes, 3))
