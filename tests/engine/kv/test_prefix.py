from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.engine.kv.prefix import begins_with, common_prefix
from seallm_edge.engine.kv.snapshot_file import as_tokens

TOKENS = st.lists(st.integers(0, 3))


@given(TOKENS, TOKENS)
def test_the_common_beginning_of_two_texts(one: list[int], other: list[int]) -> None:
    expected = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    assert common_prefix(one, other) == expected
    assert common_prefix(as_tokens(one).data, as_tokens(other).data) == expected


@given(TOKENS, TOKENS)
def test_a_text_begins_with_another_that_is_its_common_beginning_with_it(one: list[int], other: list[int]) -> None:
    expected = common_prefix(one, other) == len(other)
    assert begins_with(one, other) == expected
    assert begins_with(as_tokens(one).data, as_tokens(other).data) == expected


@given(TOKENS, TOKENS)
def test_a_text_begins_with_its_beginning(one: list[int], other: list[int]) -> None:
    assert begins_with(one + other, one)
